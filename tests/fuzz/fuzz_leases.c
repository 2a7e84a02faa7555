/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of other servers, in the format that the first octet chooses, and lines of leases. What a parser gives is
 * written, read again as it was, and goes into an index that answers about it.
 */
#include <stdlib.h>
#include <string.h>

#include "leases/lease_import.h"
#include "leases/lease_index.h"

#define MAX_LINES 4096U

struct reading {
	struct lease_index *index;
	struct lease_addr addr;
	int64_t time;
	unsigned n;
};

static char *written(const struct lease_line *l)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	fputc('{', out);
	lease_line_write(out, l);
	fputc('}', out);
	fclose(out);
	return text;
}

static int take(void *arg, const struct lease_line *l)
{
	struct reading *r = arg;
	struct lease_line again;
	char *text = written(l), *twice;

	if (lease_line_read(text, strlen(text), &again, NULL))
		__builtin_trap();
	twice = written(&again);
	if (strcmp(text, twice) != 0)
		__builtin_trap();
	free(text);
	free(twice);
	r->addr = l->addr;
	r->time = l->time;
	return lease_index_feed(r->index, l) || ++r->n == MAX_LINES;
}

static void read_lines(struct reading *r, const char *text, size_t size)
{
	const char *end = text + size, *newline;
	struct lease_line l;

	for (; text < end && (newline = memchr(text, '\n', (size_t)(end - text))); text = newline + 1)
		if (!lease_line_read(text, (size_t)(newline - text), &l, NULL) && take(r, &l))
			break;
}

static void ask(const struct reading *r)
{
	struct lease_answer a;

	for (int64_t t = r->time - 2; t <= r->time + 2; t++) {
		lease_ask(r->index, &r->addr, NULL, t, &a);
		if ((a.result == LEASE_CUSTOMER) != (a.n == 1))
			__builtin_trap();
		lease_same(r->index, &r->addr, NULL, t - 60, t + 60, &a);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lease_import x = { .take = take, .at = 1795690800, .zone.given = true };
	struct reading r = { 0 };
	FILE *in;

	if (size < 2 || lease_index_new(&r.index))
		return 0;
	x.arg = &r;
	x.live = data[0] & 8;
	in = fmemopen((void *)(data + 1), size - 1, "r");
	if (data[0] % 8 > FORMAT_ACCEL_PPP)
		read_lines(&r, (const char *)data + 1, size - 1);
	else if (in)
		lease_import(&x, (enum lease_format)(data[0] % 8), in);
	if (in)
		fclose(in);
	if (!lease_index_finish(r.index) && r.n)
		ask(&r);
	lease_index_free(r.index);
	return 0;
}
