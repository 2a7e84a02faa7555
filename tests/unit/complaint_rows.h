/* SPDX-License-Identifier: BSD-2-Clause */
/* Complaints, and what is found in each. */
#ifndef DETNAT_TEST_COMPLAINT_ROWS_H
#define DETNAT_TEST_COMPLAINT_ROWS_H

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/timestamp.h"
#include "complaints/complaint.h"

#define ONE  "2026-02-04T10:00:01Z 5100;"
#define WHAT "203.0.113.5, source port 5100"
#define AT   "2026-02-04 10:00:01 UTC"

struct complaint_row {
	const char *name, *text, *found;
};

/* Addresses of 203.0.113.0/24 are of the pool. */
static bool row_is_ours(void *arg, uint32_t addr)
{
	(void)arg;
	return addr >> 8 == 0xcb0071;
}

/* "2026-02-04T10:00:01Z 5100;" for each question of 203.0.113.5, "unsure;" for those that are none. */
static int row_note(void *arg, const struct complaint *c)
{
	char addr[ADDR_TEXT], when[TIME_TEXT];

	if (!c->good)
		fprintf(arg, "%s;", complaint_fault_word(c->fault));
	else if (c->out.addr == 0xcb007105)
		fprintf(arg, "%s %u;", time_format(c->t, when), c->out.port);
	else
		fprintf(arg, "%s;", addr_format(c->out.addr, addr));
	return 0;
}

static void expect_rows(const struct complaint_row *rows, size_t n)
{
	struct zone zone = { 0 };

	for (size_t i = 0; i < n; i++) {
		char *found = NULL;
		size_t size;
		FILE *out = open_memstream(&found, &size);
		const struct complaint_reader reader = {
			.zone = &zone, .ours = row_is_ours, .take = row_note, .arg = out
		};

		cr_expect_eq(complaint_read(rows[i].text, strlen(rows[i].text), &reader), 0);
		fclose(out);
		cr_expect_str_eq(found, rows[i].found, "%s: %s", rows[i].name, found);
		free(found);
	}
}

#endif
