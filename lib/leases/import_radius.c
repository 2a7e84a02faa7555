// SPDX-License-Identifier: BSD-2-Clause
/* What a RADIUS server wrote down: FreeRADIUS' detail files, and its table radacct as CSV with a header. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "leases/import_private.h"

/* A record of a detail file, as its lines come. */
struct detail {
	struct accounting a;
	bool any;
	int64_t header, timestamp, event; /* TIME_NONE: absent */
	bool header_wrong;
};

static void detail_begin(struct detail *d)
{
	*d = (struct detail){ .header = TIME_NONE, .timestamp = TIME_NONE, .event = TIME_NONE };
}

static unsigned status_of(const char *text)
{
	static const struct {
		const char *word;
		unsigned status;
	} words[] = { { "Start", ACCOUNTING_START },
		      { "Stop", ACCOUNTING_STOP },
		      { "Interim-Update", ACCOUNTING_INTERIM },
		      { "Alive", ACCOUNTING_INTERIM },
		      { "Accounting-On", ACCOUNTING_ON },
		      { "Accounting-Off", ACCOUNTING_OFF } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].word, text))
			return words[i].status;
	return 0;
}

/* Attributes that are texts, and where they go. The first that comes stays, but an address names a server best. */
static bool take_text(struct accounting *a, const char *name, const char *value)
{
	const struct {
		const char *name;
		char *to;
	} texts[] = { { "User-Name", a->user },
		      { "NAS-Identifier", *a->server ? NULL : a->server },
		      { "NAS-IP-Address", a->server },
		      { "NAS-IPv6-Address", *a->server ? NULL : a->server },
		      { "Client-IP-Address", *a->server ? NULL : a->server },
		      { "Acct-Session-Id", a->session },
		      { "Calling-Station-Id", a->calling },
		      { "NAS-Port-Id", a->port },
		      { "ADSL-Agent-Circuit-Id", a->circuit },
		      { "Agent-Circuit-Id", a->circuit } };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(texts[i].name, name) != 0)
			continue;
		if (texts[i].to)
			import_text(texts[i].to, LEASE_ID, value);
		return true;
	}
	return false;
}

static void take_other(struct accounting *a, const char *name, const char *value)
{
	if (!strcmp(name, "Acct-Status-Type"))
		a->status = status_of(value);
	else if (!strcmp(name, "Framed-IP-Address"))
		lease_addr_parse(value, &a->address);
	else if (!strcmp(name, "Delegated-IPv6-Prefix"))
		lease_addr_parse(value, &a->delegated);
	else if (!strcmp(name, "Framed-IPv6-Prefix"))
		lease_addr_parse(value, &a->framed);
	else if (!strcmp(name, "Acct-Session-Time"))
		a->session_time = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(name, "Acct-Delay-Time"))
		a->delay = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(name, "Acct-Interim-Interval"))
		a->interval = (uint32_t)strtoul(value, NULL, 10);
}

/* Takes the quotes away, and the backslashes before characters. */
static void unquote(char *value)
{
	size_t n = strlen(value);
	char *out = value;

	if (n < 2 || *value != '"' || value[n - 1] != '"')
		return;
	value[n - 1] = '\0';
	for (const char *in = value + 1; *in; in++) {
		in += *in == '\\' && in[1];
		*out++ = *in;
	}
	*out = '\0';
}

static void take_attribute(struct lease_import *x, struct detail *d, const char *name, char *value)
{
	unquote(value);
	if (!strcmp(name, "Timestamp"))
		zone_time_read(value, &x->zone, &d->timestamp, NULL);
	else if (!strcmp(name, "Event-Timestamp"))
		zone_time_read(value, &x->zone, &d->event, NULL);
	else if (!take_text(&d->a, name, value))
		take_other(&d->a, name, value);
}

static int detail_end(struct lease_import *x, struct detail *d)
{
	int64_t received = d->timestamp != TIME_NONE ? d->timestamp : d->header;
	int r = 0;

	if (d->any && d->timestamp == TIME_NONE && d->event != TIME_NONE) {
		/* The server's own clock says when it happened. */
		received = d->event;
		d->a.delay = 0;
	}
	if (d->any && received == TIME_NONE)
		r = import_skip(x, "the record has no time with a zone; --zone names that of its header");
	else if (d->any)
		r = import_accounting(x, &d->a, received);
	detail_begin(d);
	return r;
}

static int detail_line(struct lease_import *x, void *state, char *line, size_t size)
{
	struct detail *d = state;
	char *equals = strstr(line, " = "), *name;

	if (!size)
		return detail_end(x, d);
	if (*line != '\t' && *line != ' ') {
		int r = detail_end(x, d);

		zone_time_read(line, &x->zone, &d->header, NULL);
		return r;
	}
	if (!equals)
		return 0;
	d->any = true;
	*equals = '\0';
	name = import_trim(line);
	take_attribute(x, d, name, import_trim(equals + 3));
	return 0;
}

int import_freeradius_detail(struct lease_import *x, FILE *in)
{
	struct detail d;
	int r;

	detail_begin(&d);
	r = import_lines(x, in, detail_line, &d);
	return r ? r : detail_end(x, &d);
}

/* A time of a row; TIME_NONE: there is none. False: it cannot be read, which has been noted. */
static bool row_time(struct lease_import *x, const struct import_columns *c, const char *name, int64_t *ret)
{
	const char *text = import_cell(c, name);
	struct error why;

	*ret = TIME_NONE;
	if (!*text || !strcasecmp(text, "NULL") || !strcmp(text, "\\N") || !strncmp(text, "0000-", 5))
		return true;
	if (!zone_time_read(text, &x->zone, ret, &why))
		return true;
	import_skip(x, "%s: %.300s", name, why.text);
	return false;
}

static void row_accounting(const struct import_columns *c, struct accounting *a)
{
	const char *address = import_cell(c, "framedipaddress");

	*a = (struct accounting){ 0 };
	import_text(a->user, sizeof(a->user), import_cell(c, "username"));
	import_text(a->server, sizeof(a->server), import_cell(c, "nasipaddress"));
	import_text(a->session, sizeof(a->session), import_cell(c, "acctsessionid"));
	import_text(a->calling, sizeof(a->calling), import_cell(c, "callingstationid"));
	import_text(a->port, sizeof(a->port), import_cell(c, "nasportid"));
	lease_addr_parse(address, &a->address);
	lease_addr_parse(import_cell(c, "delegatedipv6prefix"), &a->delegated);
	lease_addr_parse(import_cell(c, "framedipv6prefix"), &a->framed);
	a->interval = (uint32_t)strtoul(import_cell(c, "acctinterval"), NULL, 10);
}

/* A row is a session: its start, and its stop or its last update. */
static int radacct_row(struct lease_import *x, const struct import_columns *c)
{
	int64_t start, update, stop;
	struct accounting a;
	int r;

	if (!row_time(x, c, "acctstarttime", &start) || !row_time(x, c, "acctupdatetime", &update) ||
	    !row_time(x, c, "acctstoptime", &stop))
		return 0;
	if (start == TIME_NONE)
		return import_skip(x, "the row has no acctstarttime");
	row_accounting(c, &a);
	a.status = ACCOUNTING_START;
	r = import_accounting(x, &a, start);
	if (r || (stop == TIME_NONE && (update == TIME_NONE || update <= start)))
		return r;
	a.status = stop != TIME_NONE ? ACCOUNTING_STOP : ACCOUNTING_INTERIM;
	return import_accounting(x, &a, stop != TIME_NONE ? stop : update);
}

static int radacct_line(struct lease_import *x, void *state, char *line, size_t size)
{
	struct import_columns *c = state;

	if (!size)
		return 0;
	if (!c->n) {
		import_header(c, line);
		return import_has(c, "acctstarttime") && import_has(c, "framedipaddress") ? 0 : -EBADMSG;
	}
	import_row(c, line);
	return radacct_row(x, c);
}

int import_radacct_csv(struct lease_import *x, FILE *in)
{
	struct import_columns c = { 0 };

	return import_lines(x, in, radacct_line, &c);
}
