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
struct routeros {
	char text[RECORD_MAX];
	size_t size;
};

/* The value of a key in "key=value key="quoted" ...", or "". */
static const char *value_of(const char *text, const char *key, char *ret, size_t room)
{
	size_t n = strlen(key), size;

	ret[0] = '\0';
	for (const char *at = text; (at = strstr(at, key)); at += n) {
		if ((at > text && !isspace((unsigned char)at[-1])) || at[n] != '=')
			continue;
		at += n + 1;
		size = *at == '"' ? strcspn(at + 1, "\"") : strcspn(at, " \t");
		text_keep(ret, room, *at == '"' ? at + 1 : at, size);
		break;
	}
	return ret;
}

static int routeros_ppp(struct lease_import *x, const char *text)
{
	struct lease_line l;
	char value[LEASE_ID], mac[MAC_TEXT];
	int64_t uptime;

	lease_line_init(&l, x->at, LEASE_INTERIM);
	uptime = import_uptime(value_of(text, "uptime", value, sizeof(value)));
	if (lease_addr_parse(value_of(text, "address", value, sizeof(value)), &l.addr) || uptime < 0)
		return import_skip(x, "the session before this line has no address or no uptime");
	l.from = x->at - uptime;
	value_of(text, "name", l.id, sizeof(l.id));
	value_of(text, "caller-id", value, sizeof(value));
	import_text(l.mac, sizeof(l.mac), mac_text(value, mac));
	value_of(text, "session-id", value, sizeof(value));
	if (*value)
		snprintf(l.session, sizeof(l.session), "mikrotik/%.255s", value);
	return import_give(x, &l);
}

static int routeros_dhcp(struct lease_import *x, const char *text)
{
	struct lease_line l;
	char value[LEASE_ID], mac[MAC_TEXT];
	int64_t left, seen;

	if (strcmp(value_of(text, "status", value, sizeof(value)), "bound") != 0)
		return 0;
	left = import_uptime(value_of(text, "expires-after", value, sizeof(value)));
	seen = import_uptime(value_of(text, "last-seen", value, sizeof(value)));
	lease_line_init(&l, x->at - (seen < 0 ? 0 : seen), LEASE_INTERIM);
	l.to = left < 0 ? TIME_OPEN : x->at + left;
	if (lease_addr_parse(value_of(text, "active-address", value, sizeof(value)), &l.addr) &&
	    lease_addr_parse(value_of(text, "address", value, sizeof(value)), &l.addr))
		return import_skip(x, "the lease before this line has no address");
	value_of(text, "active-mac-address", value, sizeof(value));
	if (!*value)
		value_of(text, "mac-address", value, sizeof(value));
	import_text(l.mac, sizeof(l.mac), mac_text(value, mac));
	if (!*value_of(text, "client-id", l.id, sizeof(l.id)))
		import_text(l.id, sizeof(l.id), mac);
	value_of(text, "agent-circuit-id", l.circuit, sizeof(l.circuit));
	return import_give(x, &l);
}

static int routeros_end(struct lease_import *x, struct routeros *r)
{
	char value[8];
	int ret;

	if (!r->size)
		return 0;
	r->size = 0;
	ret = *value_of(r->text, "uptime", value, sizeof(value)) ? routeros_ppp(x, r->text) : routeros_dhcp(x, r->text);
	r->text[0] = '\0';
	return ret;
}

static int routeros_line(struct lease_import *x, void *state, char *line, size_t size)
{
	struct routeros *r = state;
	char *text = import_trim(line);
	int ret = 0;

	(void)size;
	if (!strncmp(text, "Flags:", 6) || *text == '#')
		return 0;
	if (!*text || isdigit((unsigned char)*text))
		ret = routeros_end(x, r);
	if (!ret && *text && r->size + strlen(text) + 2 < sizeof(r->text)) {
		r->text[r->size++] = ' ';
		memcpy(r->text + r->size, text, strlen(text) + 1);
		r->size += strlen(text);
	}
	return ret;
}

int import_mikrotik(struct lease_import *x, FILE *in)
{
	struct routeros r = { 0 };
	int ret = import_lines(x, in, routeros_line, &r);

	return ret ? ret : routeros_end(x, &r);
}

/* Splits "a | b | c" in place. */
static unsigned split(char *line, char *cell[static IMPORT_COLUMNS])
{
	unsigned n = 0;

	while (n < IMPORT_COLUMNS) {
		char *bar = strchr(line, '|');

		if (bar)
			*bar = '\0';
		cell[n++] = import_trim(line);
		if (!bar)
			break;
		line = bar + 1;
	}
	return n;
}

static int accel_row(struct lease_import *x, const struct import_columns *c)
{
	int64_t uptime = import_uptime(import_cell(c, "uptime"));
	const char *sid = import_cell(c, "sid");
	struct lease_line l;
	char mac[MAC_TEXT];

	lease_line_init(&l, x->at, LEASE_INTERIM);
	if (!*import_cell(c, "ip"))
		return 0;
	if (lease_addr_parse(import_cell(c, "ip"), &l.addr) || uptime < 0)
		return import_skip(x, "the session has no address or no uptime");
	l.from = x->at - uptime;
	import_text(l.mac, sizeof(l.mac), mac_text(import_cell(c, "calling-sid"), mac));
	import_text(l.id, sizeof(l.id), *import_cell(c, "username") ? import_cell(c, "username") : mac);
	import_text(l.circuit, sizeof(l.circuit), import_cell(c, "ifname"));
	if (*sid)
		snprintf(l.session, sizeof(l.session), "accel-ppp/%.250s", sid);
	return import_give(x, &l);
}

static int accel_line(struct lease_import *x, void *state, char *line, size_t size)
{
	struct import_columns *c = state;

	if (!size || line[strspn(line, " -+")] == '\0')
		return 0;
	c->cells = split(line, c->cell);
	if (c->n)
		return accel_row(x, c);
	for (unsigned i = 0; i < c->cells; i++)
		snprintf(c->name[c->n++], sizeof(c->name[0]), "%.31s", c->cell[i]);
	return import_has(c, "ip") && import_has(c, "uptime") ? 0 : -EBADMSG;
}

int import_accel_ppp(struct lease_import *x, FILE *in)
{
	struct import_columns c = { 0 };

	return import_lines(x, in, accel_line, &c);
}
