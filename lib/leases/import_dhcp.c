// SPDX-License-Identifier: BSD-2-Clause
/* The files of DHCP servers: Kea's CSV, dnsmasq's leases, and those of ISC dhcpd. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "leases/import_private.h"

static bool number_of(const char *text, int64_t *ret)
{
	size_t n = strlen(text);

	if (!n || n > 12 || strspn(text, "0123456789") != n)
		return false;
	*ret = strtoll(text, NULL, 10);
	return true;
}

/* Kea's states of a lease. */
enum { KEA_ASSIGNED = 0, KEA_DECLINED = 1, KEA_RECLAIMED = 2, KEA_RELEASED = 3 };

static void kea_customer(const struct import_columns *c, struct lease_line *l)
{
	const char *client = import_cell(c, "client_id|duid");

	mac_text(import_cell(c, "hwaddr"), l->mac);
	import_text(l->id, sizeof(l->id), *client && strcmp(client, "00") != 0 ? client : l->mac);
}

/* A row that takes a lease out has the time of the client's last message: from then on nothing is promised. */
static int kea_gone(struct lease_import *x, struct lease_line *l, int64_t state, int64_t expire)
{
	l->event = LEASE_STOP;
	l->from = TIME_NONE;
	if (state == KEA_RECLAIMED)
		l->time = l->to = expire;
	else if (x->live)
		l->time = l->to = x->at, l->early = x->since && x->since < x->at ? x->since : TIME_NONE;
	else
		l->event = LEASE_INTERIM, l->to = l->time;
	return import_give(x, l);
}

/* An address that is in use by a stranger: nobody's, from some moment between two on. No line is of more than a day. */
static int give_stranger(struct lease_import *x, struct lease_line *l, int64_t early, int64_t late)
{
	l->event = LEASE_STOP;
	l->time = l->to = late;
	l->early = early < late ? most(early, late - ACCOUNTING_STALE_S) : TIME_NONE;
	l->from = TIME_NONE;
	l->id[0] = l->mac[0] = l->circuit[0] = '\0';
	return import_give(x, l);
}

/* Kea appends a row at each change; its times are those of the client's last message. */
static int kea_row(struct lease_import *x, const struct import_columns *c)
{
	int64_t lifetime, expire, state = KEA_ASSIGNED;
	char address[LEASE_ADDR_TEXT];
	struct lease_line l;

	if (!number_of(import_cell(c, "valid_lifetime"), &lifetime) || !number_of(import_cell(c, "expire"), &expire))
		return import_skip(x, "valid_lifetime or expire is no number");
	number_of(import_cell(c, "state"), &state);
	lease_line_init(&l, expire - lifetime, LEASE_START);
	l.from = l.time;
	l.to = lifetime == UINT32_MAX ? TIME_OPEN : expire;
	snprintf(address, sizeof(address), "%.45s%s%.3s", import_cell(c, "address"),
		 !strcmp(import_cell(c, "lease_type"), "2") ? "/" : "",
		 !strcmp(import_cell(c, "lease_type"), "2") ? import_cell(c, "prefix_len") : "");
	if (lease_addr_parse(address, &l.addr))
		return import_skip(x, "%s is no address", QUOTED(address));
	kea_customer(c, &l);
	/* Its term is how long the address is given to nobody: once that is over, the row goes. */
	if (state == KEA_DECLINED)
		return lifetime ? give_stranger(x, &l, l.time, l.time) : 0;
	if (!*l.id)
		return import_skip(x, "names neither a client nor an Ethernet address");
	if (state != KEA_ASSIGNED || !lifetime)
		return kea_gone(x, &l, state, expire);
	return import_give(x, &l);
}

int import_kea(struct lease_import *x, FILE *in)
{
	struct import_columns c = { .plain = true };

	return import_table(x, in, &c, "address", "expire", kea_row);
}

/* Ends before 2000 are lengths: dnsmasq writes these if it was built for hosts without a clock that keeps the time. */
#define LENGTH_MAX 946684800LL

/* "EXPIRY MAC ADDRESS NAME CLIENT"; 0: it never expires. The file shows the moment of its writing. */
static int dnsmasq_line(struct lease_import *x, void *state, char *line, size_t size)
{
	char *save = NULL, *word[6] = { strtok_r(line, " \t", &save) };
	char mac[MAC_TEXT];
	struct lease_line l;
	int64_t expiry;

	for (unsigned i = 1; i < ARRAY_SIZE(word) && word[i - 1]; i++)
		word[i] = strtok_r(NULL, " \t", &save);
	if (!word[0] || !strcmp(word[0], "duid"))
		return 0;
	lease_line_init(&l, x->at, LEASE_INTERIM);
	if (!word[4] || word[5] || !number_of(word[0], &expiry) || lease_addr_parse(word[2], &l.addr))
		return import_skip(x, "is no line of dnsmasq's leases");
	if (expiry >= LENGTH_MAX && expiry < UINT32_MAX)
		l.to = expiry;
	/* A leading type, as in 06-02:..., is of other hardware than Ethernet. */
	mac_text(word[1], mac);
	import_text(l.mac, sizeof(l.mac), mac);
	import_text(l.id, sizeof(l.id), strcmp(word[4], "*") != 0 ? word[4] : mac);
	return *l.id ? import_give(x, &l) : import_skip(x, "names neither a client nor an Ethernet address");
}

int import_dnsmasq(struct lease_import *x, FILE *in)
{
	return import_lines(x, in, dnsmasq_line, NULL);
}

/* A block of ISC dhcpd, as its lines come. */
struct isc {
	unsigned depth; /* of braces; 0: outside of a lease */
	struct lease_line l;
	int64_t starts, ends;
	char uid[LEASE_ID];
	bool active, abandoned;
};

/* "4 2026/11/26 10:00:00;" or "epoch 1795600000; # ..."; UTC. "never" is TIME_OPEN, what is no time TIME_NONE. */
static int64_t isc_time(char *text)
{
	static const struct zone utc = { .given = true };
	int64_t t = TIME_NONE;

	text[strcspn(text, ";")] = '\0';
	if (!strcmp(text, "never"))
		return TIME_OPEN;
	if (!strncmp(text, "epoch ", 6))
		return number_of(import_trim(text + 6), &t) ? t : TIME_NONE;
	return zone_time_find(text, strlen(text), &utc, &t, NULL, NULL) ? TIME_NONE : t;
}

/* A value between quotes, or octets as "0:4:1". */
static void isc_value(char ret[static LEASE_ID], char *text)
{
	char *end;
	size_t size;

	if (*text == '"') {
		size = import_unquote(++text, false, &end);
		if (end)
			import_octets(ret, LEASE_ID, text, size);
		return;
	}
	text[strspn(text, "0123456789abcdef:")] = '\0';
	import_text(ret, LEASE_ID, text);
}

/* What follows a word at the beginning of a statement; NULL: it is another one. */
static char *after(char *line, const char *word)
{
	size_t n = strlen(word);

	return strncmp(line, word, n) != 0 ? NULL : line + n;
}

static void isc_statement(struct isc *b, char *line)
{
	char mac[MAC_TEXT], *rest;

	if ((rest = after(line, "starts ")))
		b->starts = isc_time(rest);
	else if ((rest = after(line, "ends ")))
		b->ends = isc_time(rest);
	else if ((rest = after(line, "binding state ")))
		b->active = !strcmp(rest, "active;"), b->abandoned = !strcmp(rest, "abandoned;");
	else if ((rest = after(line, "uid ")))
		isc_value(b->uid, rest);
	else if ((rest = after(line, "option agent.circuit-id ")))
		isc_value(b->l.circuit, rest);
	else if ((rest = after(line, "hardware ethernet "))) {
		rest[strcspn(rest, ";")] = '\0';
		import_text(b->l.mac, sizeof(b->l.mac), mac_text(rest, mac));
	}
}

static int isc_end(struct lease_import *x, struct isc *b)
{
	struct lease_line *l = &b->l;

	if (b->starts == TIME_NONE || b->starts == TIME_OPEN || !l->addr.plen)
		return import_skip(x, "the lease before this line has no address, or no `starts`");
	l->from = b->starts;
	l->to = b->ends == TIME_NONE ? TIME_OPEN : b->ends;
	/* `ends` is when that was, or when the address is given again. */
	if (b->abandoned)
		return give_stranger(x, l, b->starts, most(b->starts, least(l->to, x->at)));
	import_text(l->id, sizeof(l->id), *b->uid ? b->uid : l->mac);
	if (!*l->id)
		return 0;
	l->event = b->active ? LEASE_START : LEASE_STOP;
	if (!b->active && l->to == TIME_OPEN)
		return import_skip(x, "the lease before this line is over, and has no `ends`");
	l->time = b->active ? l->from : l->to;
	return import_give(x, l);
}

/* What is to be done at an event has braces of its own: "on expiry {". */
static int isc_line(struct lease_import *x, void *state, char *line, size_t size)
{
	struct isc *b = state;
	char *text = import_trim(line), address[LEASE_ADDR_TEXT];

	if (b->depth) {
		b->depth += *text && text[strlen(text) - 1] == '{';
		b->depth -= *text == '}';
		if (!b->depth)
			return isc_end(x, b);
		if (b->depth == 1)
			isc_statement(b, text);
		return 0;
	}
	if (sscanf(text, "lease %55s {", address) != 1)
		return 0;
	*b = (struct isc){ .depth = 1, .starts = TIME_NONE, .ends = TIME_NONE, .active = true };
	lease_line_init(&b->l, TIME_NONE, LEASE_START);
	lease_addr_parse(address, &b->l.addr);
	return 0;
}

int import_isc_dhcpd(struct lease_import *x, FILE *in)
{
	struct isc b = { 0 };

	return import_lines(x, in, isc_line, &b);
}
