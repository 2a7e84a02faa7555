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
	struct import_time header, timestamp;
};

static const struct import_time absent = { TIME_NONE, TIME_NONE };

static void detail_begin(struct detail *d)
{
	*d = (struct detail){ .header = absent, .timestamp = absent };
}

static void take_attribute(struct lease_import *x, struct detail *d, const char *name, char *value)
{
	size_t size = strlen(value);
	char *end;

	if (*value == '"')
		size = import_unquote(++value, false, &end);
	value[size] = '\0';
	if (!strcmp(name, "Timestamp"))
		import_time_read(x, value, &d->timestamp, NULL);
	else if (!strcmp(name, "Event-Timestamp"))
		zone_time_read(value, &x->zone, &d->a.event, NULL);
	else
		accounting_take_text(&d->a, name, value, size);
}

static int detail_end(struct lease_import *x, struct detail *d)
{
	struct import_time received = d->timestamp.late != TIME_NONE ? d->timestamp : d->header;
	int r = 0;

	/* Without the receiver's clock, that of the access server says when it happened. */
	if (d->timestamp.late == TIME_NONE && d->a.event) {
		received = (struct import_time){ d->a.event, d->a.event };
		d->a.delay = 0;
	}
	if (d->any && received.late == TIME_NONE)
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

		import_time_read(x, line, &d->header, NULL);
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

/* A time of a row. False: it cannot be read, which has been noted. */
static bool row_time(struct lease_import *x, const struct import_columns *c, const char *name, struct import_time *ret)
{
	const char *text = import_cell(c, name);
	struct error why;

	*ret = absent;
	if (!*text || !strcasecmp(text, "NULL") || !strcmp(text, "\\N") || !strncmp(text, "0000-", 5))
		return true;
	if (!import_time_read(x, text, ret, &why))
		return true;
	import_skip(x, "%s: %.300s", name, why.text);
	return false;
}

static void row_accounting(const struct import_columns *c, struct accounting *a)
{
	static const struct {
		const char *column, *attribute;
	} columns[] = { { "username", "User-Name" },
			{ "nasipaddress", "NAS-IP-Address" },
			{ "acctsessionid", "Acct-Session-Id" },
			{ "callingstationid", "Calling-Station-Id" },
			{ "nasportid", "NAS-Port-Id" },
			{ "framedipaddress", "Framed-IP-Address" },
			{ "framedipv6address", "Framed-IPv6-Address" },
			{ "delegatedipv6prefix", "Delegated-IPv6-Prefix" },
			{ "framedipv6prefix", "Framed-IPv6-Prefix" },
			{ "acctinterval", "Acct-Interim-Interval" } };

	*a = (struct accounting){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const char *cell = import_cell(c, columns[i].column);

		accounting_take_text(a, columns[i].attribute, cell, strlen(cell));
	}
}

/*
 * Causes with which access servers end a session (RFC 2866 section 5.10, RFC 3580 section 3.4), but for those with
 * which sessions are ended for them whose Stop was lost: FreeRADIUS does it when an access server was restarted, as
 * NAS-Reboot, and its radzap as Admin-Reset.
 */
static bool is_cause_of_server(const char *cause)
{
	static const char *const causes[] = {
		"User-Request",	       "Lost-Carrier",	     "Lost-Service",
		"Idle-Timeout",	       "Session-Timeout",    "Admin-Reboot",
		"Port-Error",	       "NAS-Error",	     "NAS-Request",
		"Port-Unneeded",       "Port-Preempted",     "Port-Suspended",
		"Service-Unavailable", "Callback",	     "User-Error",
		"Host-Request",	       "Supplicant-Restart", "Reauthentication-Failure",
		"Port-Reinit",	       "Port-Disabled",
	};

	for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
		if (!strcmp(cause, causes[i]))
			return true;
	return cause[strspn(cause, "0123456789")] == '\0';
}

/* What is said of a session last: its stop, or an update after its start. */
static int row_end(struct lease_import *x, struct accounting *a, const char *cause, struct import_time heard,
		   struct import_time stop, bool updated)
{
	int r = 0;

	a->status = ACCOUNTING_INTERIM;
	if (updated && (stop.late == TIME_NONE || !is_cause_of_server(cause)))
		r = import_accounting(x, a, heard);
	if (r || stop.late == TIME_NONE)
		return r;
	/* Whoever ended it has not heard that it still had its address then. */
	if (!is_cause_of_server(cause))
		a->n_addresses = 0;
	a->status = ACCOUNTING_STOP;
	return import_accounting(x, a, stop);
}

/* A row is a session: its start, and its stop or its last update. */
static int radacct_row(struct lease_import *x, const struct import_columns *c)
{
	struct import_time start, update, stop;
	struct accounting a;
	bool updated;
	int r;

	if (!row_time(x, c, "acctstarttime", &start) || !row_time(x, c, "acctupdatetime", &update) ||
	    !row_time(x, c, "acctstoptime", &stop))
		return 0;
	if (start.late == TIME_NONE)
		return import_skip(x, "the row has no acctstarttime");
	row_accounting(c, &a);
	a.status = ACCOUNTING_START;
	r = import_accounting(x, &a, start);
	updated = update.late != TIME_NONE && update.early > start.late;
	return r ? r : row_end(x, &a, import_cell(c, "acctterminatecause"), updated ? update : start, stop, updated);
}

int import_radacct_csv(struct lease_import *x, FILE *in)
{
	struct import_columns c = { 0 };

	return import_table(x, in, &c, "acctstarttime", "framedipaddress", radacct_row);
}
