// SPDX-License-Identifier: BSD-2-Clause
/* Complaints that are tables with a header: CSV of any separator, and tables of HTML. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "leases/complaint_private.h"
#include "leases/import_private.h"

/* Names of columns, as plain_names() leaves them. */
#define TIMES                                                                                    \
	"time|timestamp|date|datetime|date_time|when|start_time|event_time|ts|first|first_seen|" \
	"zeitpunkt|zeitstempel|datum"
#define DATES  "date|datum"
#define CLOCKS "time|uhrzeit|zeit"
#define ADDRS                                                                                       \
	"source_ip|src_ip|ip|ip_address|source|src|src_addr|source_address|address|srcip|sourceip|" \
	"addr|out_addr|quell_ip|ip_adresse|attacker_ip|public_ip"
#define PORTS "source_port|src_port|port|sport|srcport|sourceport|out_port|quell_port|quellport|public_port"

/* A header is looked for in so many lines: a greeting may be before it. */
#define HEADER_LINES 200U
#define HEADER_TEXT  1024U

struct table {
	struct import_columns columns;
	struct zone zone; /* that the header names */
	uint64_t header;  /* its line */
	bool alone;	  /* nothing is before the header */
};

/* "Timestamp (UTC)" is `timestamp`, and names a zone. */
static void plain_name(char *name, struct zone *zone)
{
	char *open = strpbrk(name, "([");
	struct zone own;

	if (open && open > name) {
		char *inner = open + 1;

		inner[strcspn(inner, ")]")] = '\0';
		if (!zone_parse(inner, &own, NULL))
			*zone = own;
		*open = '\0';
		memmove(name, import_trim(name), strlen(import_trim(name)) + 1);
	}
	for (; *name; name++)
		*name = (char)(strchr(" -./", *name) ? '_' : tolower((unsigned char)*name));
}

/* Reads a header; false: it does not name all three. */
static bool read_header(struct table *t, const char *line, size_t size, char separator)
{
	char text[HEADER_TEXT];

	if (size >= sizeof(text) || !memchr(line, separator, size))
		return false;
	memcpy(text, line, size);
	text[size] = '\0';
	t->columns = (struct import_columns){ .separator = separator };
	t->zone = (struct zone){ 0 };
	import_header(&t->columns, text);
	for (unsigned i = 0; i < t->columns.n; i++)
		plain_name(t->columns.name[i], &t->zone);
	return import_has(&t->columns, TIMES "|" CLOCKS) && import_has(&t->columns, ADDRS) &&
	       import_has(&t->columns, PORTS);
}

static bool find_header(struct table *t, const char *text)
{
	static const char separators[] = { '\t', ';', ',', '|' };
	const char *at = text;

	t->alone = true;
	for (uint64_t line = 1; line <= HEADER_LINES && *at; line++) {
		size_t size = strcspn(at, "\r\n");

		for (size_t i = 0; i < sizeof(separators); i++) {
			t->header = line;
			if (read_header(t, at, size, separators[i]))
				return true;
		}
		/* "sep=;" is for spreadsheets. */
		t->alone &= strspn(at, " \t") == size || !strncasecmp(at, "sep=", 4);
		at += size;
		at += strspn(at, "\r") + (at[strspn(at, "\r")] == '\n');
	}
	return false;
}

/* "::ffff:203.0.113.36" and "[203.0.113.36]" are IPv4 addresses. */
static const char *plain_address(char *text)
{
	text += *text == '[';
	text[strcspn(text, "]")] = '\0';
	return text + (!strncasecmp(text, "::ffff:", 7) && strchr(text, '.') ? 7 : 0);
}

static int give_row(const struct complaints *c, const struct table *t, uint64_t line)
{
	struct complaints own = *c;
	struct complaint_parts parts = { .line = line };
	const char *date = import_cell(&t->columns, DATES), *clock = import_cell(&t->columns, CLOCKS);
	char joined[64], addr[64];
	uint32_t any;

	snprintf(joined, sizeof(joined), "%.30s %.30s", date, clock);
	snprintf(addr, sizeof(addr), "%s", import_cell(&t->columns, ADDRS));
	parts.time = *date && *clock ? joined : *clock ? clock : import_cell(&t->columns, TIMES);
	parts.time = *parts.time ? parts.time : NULL;
	parts.addr = plain_address(addr);
	parts.port = import_cell(&t->columns, PORTS);
	/* What follows a table in a mail is no row of it. */
	if (!t->alone && addr_parse(parts.addr, &any))
		return 0;
	if (t->zone.given)
		own.zone = &t->zone;
	return complaint_give(&own, &parts);
}

static int row(const struct complaints *c, void *state, uint64_t line, char *text)
{
	struct table *t = state;

	if (line <= t->header || !*import_trim(text))
		return 0;
	import_row(&t->columns, text);
	return give_row(c, t, line);
}

bool complaint_csv(const struct complaints *c, int *ret)
{
	struct table t = { 0 };

	if (!find_header(&t, c->text))
		return false;
	*ret = complaint_lines(c, row, &t);
	return true;
}
