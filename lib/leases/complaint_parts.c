// SPDX-License-Identifier: BSD-2-Clause
/* What the forms of complaints share: questions from their parts, and lines. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "leases/complaint_private.h"

#define NO_PORT "port 0 is nobody's"

static int port_parse(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long n;

	while (*text == ' ')
		text++;
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	n = strtoul(text, &end, 10);
	while (isspace((unsigned char)*end))
		end++;
	if (*end || n > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)n;
	return 0;
}

int complaint_give_time(const struct complaints *c, uint64_t line, struct endpoint out, int r, int64_t t,
			const struct error *why)
{
	struct complaint q = { .line = line, .good = !r && out.port, .t = t, .out = out };

	if (r)
		q.why = *why;
	else if (!out.port)
		error_set(&q.why, 0, NO_PORT);
	if (!q.good)
		q.fault = r == -ENODATA ? FAULT_NO_ZONE : r == -ENOENT ? FAULT_NO_TIME : r ? FAULT_TIME : FAULT_NO_PORT;
	return c->take(c->arg, &q);
}

static int give_bad(const struct complaints *c, uint64_t line, enum complaint_fault fault, const char *text)
{
	struct complaint q = { .line = line, .fault = fault };

	error_set(&q.why, 0, "%s", text);
	return c->take(c->arg, &q);
}

int complaint_give(const struct complaints *c, const struct complaint_parts *parts)
{
	struct endpoint out = { 0 };
	struct error why = { 0 };
	int64_t t = 0;
	int r;

	if (!parts->addr || addr_parse(parts->addr, &out.addr))
		return give_bad(c, parts->line, FAULT_NO_ADDRESS, "there is no IPv4 address");
	if (!parts->port || port_parse(parts->port, &out.port))
		return give_bad(c, parts->line, FAULT_NO_PORT,
				"there is no source port; without it every subscriber of the address is possible");
	if (!out.port)
		return give_bad(c, parts->line, FAULT_NO_PORT, NO_PORT);
	if (!parts->time)
		return give_bad(c, parts->line, FAULT_NO_TIME, "there is no time");
	r = zone_time_read(parts->time, c->zone, &t, &why);
	return complaint_give_time(c, parts->line, out, r, t, &why);
}

int complaint_lines(const struct complaints *c, complaint_line each, void *state)
{
	char *at = c->text, *end = c->text + c->size;
	uint64_t line = 0;
	int r = 0;

	while (!r && at < end) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		char *next = newline ? newline + 1 : end;

		if (newline)
			*newline = '\0';
		if (newline && newline > at && newline[-1] == '\r')
			newline[-1] = '\0';
		r = each(c, state, ++line, at);
		at = next;
	}
	return r;
}
