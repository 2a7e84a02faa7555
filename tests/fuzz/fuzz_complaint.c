/* SPDX-License-Identifier: BSD-2-Clause */
/* Complaints of any octets: what is found is a question that can be asked, or has a reason. */
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "leases/complaint.h"

static int take(void *arg, const struct complaint *c)
{
	unsigned *n = arg;

	if (c->good ? c->t < TIME_MIN || c->t > TIME_MAX : !*c->why.text)
		__builtin_trap();
	return ++*n == 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zone zone = { .given = size & 1 };
	char *text = malloc(size + 1);
	unsigned n = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	complaint_read(text, size, &zone, take, &n);
	free(text);
	return 0;
}
