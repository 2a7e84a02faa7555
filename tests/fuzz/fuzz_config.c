/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration parser on any octets: no crash, an error text where it refuses, and what it takes it writes so that
 * it reads it back.
 */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what)
{
	if (!what)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_config_ struct config *c = NULL, *back = NULL;
	_cleanup_free_ char *text = NULL, *again = NULL;
	struct error err = { "" };

	if (config_parse((const char *)data, size, "FILE", &c, &err) < 0) {
		require(strncmp(err.text, "FILE:", 5) == 0 && !c);
		return 0;
	}
	text = config_to_json(c);
	require(text && config_parse(text, strlen(text), "FILE", &back, &err) == 0);
	again = config_to_json(back);
	/* Interfaces of both lists move to the front, so the order may be another. */
	require(again && strlen(again) == strlen(text));
	return 0;
}
