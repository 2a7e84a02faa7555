// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the desk's page may send: what is taken becomes words of detnatctl that are neither options nor paths out of a
 * directory, and nothing of them is lost.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/timestamp.h"
#include "forms.h"

static void check(bool right)
{
	if (!right)
		abort();
}

static void check_evidence(const char *text, size_t size)
{
	struct form_evidence e, again;
	struct endpoint out;
	char line[256];
	int64_t t;
	int n;

	if (!form_evidence_read(text, size, &e))
		return;
	check(isalnum((unsigned char)*e.name) && !strpbrk(e.name, "/ \n") && strcmp(e.name, "..") != 0);
	check(isdigit((unsigned char)*e.endpoint) && !endpoint_parse(e.endpoint, &out));
	check(isdigit((unsigned char)*e.at) && !time_parse(e.at, &t));
	n = snprintf(line, sizeof(line), "%s %s %s\n", e.name, e.at, e.endpoint);
	check(form_lines(line, (size_t)n) == 1 && form_evidence_read(line, (size_t)n, &again));
	check(!strcmp(e.name, again.name) && !strcmp(e.at, again.at) && !strcmp(e.endpoint, again.endpoint));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1); /* on the heap, so that a read behind the end is seen */

	if (!text)
		return 0;
	memcpy(text, data, size);
	check(form_lines(text, size) <= size);
	check_evidence(text, size);
	text[size] = '\0';
	if (form_zone_valid(text))
		check(*text && strlen(text) < 64 && !strpbrk(text, " \n;'\"$"));
	free(text);
	return 0;
}
