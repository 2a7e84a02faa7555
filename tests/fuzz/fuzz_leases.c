/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of other servers, in the format that the first octet chooses, and lines of leases. What a parser gives is
 * written, read again as it was, and is a statement about its address.
 */
#include <stdlib.h>
#include <string.h>

#include "leases/lease_import.h"
#include "leases/statements.h"

#define MAX_LINES 4096U

struct reading {
	struct statements *about; /* of the first address */
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
	if (!r->about && lease_event_of_session(l->event) && statements_new(&l->addr, &r->about))
		abort();
	r->time = l->time;
	return (r->about && statements_feed(r->about, l)) || ++r->n == MAX_LINES;
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
		statements_ask(r->about, NULL, t, &a);
		if (a.certain && a.n > 1)
			__builtin_trap();
		statements_same(r->about, NULL, t - 60, t + 60, &a);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lease_import x = { .take = take, .at = 1795690800, .zone.given = true };
	struct reading r = { 0 };
	FILE *in;

	if (size < 2)
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
	if (r.about && !statements_finish(r.about))
		ask(&r);
	statements_free(r.about);
	return 0;
}
