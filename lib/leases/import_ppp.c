// SPDX-License-Identifier: BSD-2-Clause
/*
 * What shows the sessions of one moment: RouterOS' "/ppp active print detail" and "/ip dhcp-server lease print detail",
 * and accel-ppp's "accel-cmd show sessions".
 */
#include <ctype.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>

#include "leases/import_private.h"

/* A record of RouterOS: it begins with a number, and goes on over lines. */
#define RECORD_MAX 4096U
#define FIELDS	   64U
struct routeros {
	char text[RECORD_MAX];
	size_t size;
	bool whole; /* all of it had room */
	/* key=value key="quoted"; what is between quotes is no field. */
	struct {
		const char *key, *value;
	} field[FIELDS];
	unsigned n;
};

/* Splits the record into its fields. False: a quote is open. */
static bool find_fields(struct routeros *r)
{
	char *at = r->text;

	for (r->n = 0; at && r->n < FIELDS && *(at += strspn(at, " \t"));) {
		char *key = at, *value;

		at += strcspn(at, "= \t");
		if (*at != '=')
			continue;
		*at++ = '\0';
		value = at += *at == '"';
		if (value[-1] == '"')
			value[import_unquote(value, true, &at)] = '\0';
		else if (*(at += strcspn(at, " \t")))
			*at++ = '\0';
		r->field[r->n].key = key;
		r->field[r->n++].value = value;
	}
	return at;
}

/* The value of the first field of a name, or "". */
static const char *value_of(const struct routeros *r, const char *key)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!strcmp(r->field[i].key, key))
			return r->field[i].value;
	return "";
}

static void take_mac(char ret[static LEASE_MAC], const char *text)
{
	char mac[MAC_TEXT];

	import_text(ret, LEASE_MAC, mac_text(text, mac));
}

static int routeros_ppp(struct lease_import *x, const struct routeros *r)
{
	int64_t uptime = import_uptime(value_of(r, "uptime"));
	const char *session = value_of(r, "session-id");
	struct lease_line l;

	lease_line_init(&l, x->at, LEASE_INTERIM);
	if (lease_addr_parse(value_of(r, "address"), &l.addr) || uptime < 0)
		return import_skip(x, "the session before this line has no address or no uptime");
	l.from = x->at - uptime;
	import_text(l.id, sizeof(l.id), value_of(r, "name"));
	take_mac(l.mac, value_of(r, "caller-id"));
	if (*session)
		import_text(l.session + sprintf(l.session, "mikrotik/"), LEASE_ID, session);
	return import_give(x, &l);
}

static int routeros_dhcp(struct lease_import *x, const struct routeros *r)
{
	int64_t left = import_uptime(value_of(r, "expires-after")), seen = import_uptime(value_of(r, "last-seen"));
	const char *mac = value_of(r, "active-mac-address"), *id = value_of(r, "client-id");
	struct lease_line l;

	if (strcmp(value_of(r, "status"), "bound") != 0)
		return 0;
	lease_line_init(&l, x->at - (seen < 0 ? 0 : seen), LEASE_INTERIM);
	l.to = left < 0 ? TIME_OPEN : x->at + left;
	if (lease_addr_parse(value_of(r, "active-address"), &l.addr) &&
	    lease_addr_parse(value_of(r, "address"), &l.addr))
		return import_skip(x, "the lease before this line has no address");
	take_mac(l.mac, *mac ? mac : value_of(r, "mac-address"));
	import_text(l.id, sizeof(l.id), *id ? id : l.mac);
	import_text(l.circuit, sizeof(l.circuit), value_of(r, "agent-circuit-id"));
	return import_give(x, &l);
}

static int routeros_end(struct lease_import *x, struct routeros *r)
{
	bool any = r->size, whole = r->whole;

	r->size = 0;
	r->whole = true;
	if (!any)
		return 0;
	if (!whole || !find_fields(r))
		return import_skip(x, "the record before this line is too long, or its quotes do not end");
	return *value_of(r, "uptime") ? routeros_ppp(x, r) : routeros_dhcp(x, r);
}

/* Whether a quote is open at the end of what there is of the record. */
static bool quote_is_open(const struct routeros *r)
{
	bool open = false;

	for (size_t i = 0; i < r->size; i++)
		if (open && r->text[i] == '\\')
			i++;
		else
			open ^= r->text[i] == '"';
	return open;
}

static void add_text(struct routeros *r, const char *text, size_t size)
{
	r->whole &= r->size + size + 2 < sizeof(r->text);
	if (!r->whole)
		return;
	r->text[r->size++] = ' ';
	memcpy(r->text + r->size, text, size);
	r->text[r->size += size] = '\0';
}

/* A comment, which goes on to the end of the line, is no field: " 0   ;;; second floor". */
static int routeros_line(struct lease_import *x, void *state, char *line, size_t size)
{
	struct routeros *r = state;
	char *text = import_trim(line), *comment = strstr(text, ";;;");
	bool open = quote_is_open(r);
	int ret = 0;

	if (!open && (!strncmp(text, "Flags:", 6) || *text == '#'))
		return 0;
	if (!*text || (!open && isdigit((unsigned char)*text)))
		ret = routeros_end(x, r);
	if (comment && !open && !memchr(text, '=', (size_t)(comment - text)))
		*comment = '\0';
	if (*text)
		add_text(r, text, strlen(text));
	return ret;
}

int import_mikrotik(struct lease_import *x, FILE *in)
{
	struct routeros r = { .whole = true };
	int ret = import_lines(x, in, routeros_line, &r);

	return ret ? ret : routeros_end(x, &r);
}

static int accel_row(struct lease_import *x, const struct import_columns *c)
{
	int64_t uptime = import_uptime(import_cell(c, "uptime"));
	const char *sid = import_cell(c, "sid");
	struct lease_line l;

	lease_line_init(&l, x->at, LEASE_INTERIM);
	if (!*import_cell(c, "ip"))
		return 0;
	if (lease_addr_parse(import_cell(c, "ip"), &l.addr) || uptime < 0)
		return import_skip(x, "the session has no address or no uptime");
	l.from = x->at - uptime;
	take_mac(l.mac, import_cell(c, "calling-sid"));
	import_text(l.id, sizeof(l.id), *import_cell(c, "username") ? import_cell(c, "username") : l.mac);
	import_text(l.circuit, sizeof(l.circuit), import_cell(c, "ifname"));
	if (*sid)
		import_text(l.session + sprintf(l.session, "accel-ppp/"), LEASE_ID, sid);
	return import_give(x, &l);
}

int import_accel_ppp(struct lease_import *x, FILE *in)
{
	struct import_columns c = { .separator = '|', .plain = true };

	return import_table(x, in, &c, "ip", "uptime", accel_row);
}
