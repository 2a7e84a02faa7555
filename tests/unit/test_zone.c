// SPDX-License-Identifier: BSD-2-Clause
/* Times as people and servers write them, and the line in which a complaint has its question. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "leases/complaint.h"
#include "leases/zone.h"

Test(zone, seconds_since_1970_have_a_fraction_at_most)
{
	static const struct {
		const char *text;
		int64_t t; /* -1: refused */
	} rows[] = {
		{ "1700000000", 1700000000 },	{ "1700000000.25", 1700000000 },
		{ "1700000000.", 1700000000 },	{ "999999999", 999999999 },
		{ "17000000000", 17000000000 }, { "1700000000.2x", -1 },
		{ "1700000000x", -1 },		{ "99999999", -1 },
		{ "170000000000", -1 },		{ "1700000000999", 1700000000 },
		{ "17000000009999", -1 },
	};
	struct zone zone = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t t = -1;
		struct error err;
		int r = zone_time_read(rows[i].text, &zone, &t, &err);

		cr_expect_eq(r, rows[i].t < 0 ? -EINVAL : 0, "%s: %d", rows[i].text, r);
		cr_expect_eq(t, rows[i].t, "%s: %lld", rows[i].text, (long long)t);
	}
}

static int note_line(void *arg, const struct complaint *c)
{
	*(uint64_t *)arg = c->good ? c->line : 0;
	return 0;
}

Test(zone, a_question_has_the_line_at_which_its_form_begins)
{
	static const struct {
		const char *text;
		uint64_t line;
	} rows[] = {
		{ "From: a@example.net\nX-XARF: PLAIN\n\n---\nReported-From: a@example.net\n"
		  "Date: Sat, 31 Jan 2026 14:05:00 +0100\nSource: 203.0.113.36\nSource-Port: 5100\n",
		  4 },
		{ "ip,port,time\n203.0.113.35,x,2026-01-31 13:05:00 UTC\n203.0.113.36,5100,2026-01-31 13:05:00 UTC\n",
		  3 },
		{ "Hello,\n\n2026-01-31T13:05:00Z 203.0.113.36:5100\n", 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct zone zone = { 0 };
		char *copy = strdup(rows[i].text);
		uint64_t line = 0;

		cr_expect_eq(complaint_read(copy, strlen(copy), &zone, note_line, &line), 0);
		cr_expect_eq(line, rows[i].line, "%zu: line %lu", i, (unsigned long)line);
		free(copy);
	}
}
