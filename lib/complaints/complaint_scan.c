// SPDX-License-Identifier: BSD-2-Clause
/* Addresses, ports, times, zones and protocols in a stretch of text, and what the words around say about each. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_private.h"

/* As much of the text before a value is its label. */
#define LABEL_TEXT 160

/* A scan under way. */
struct scan {
	struct reading *x;
	const struct stretch *s;
	const char *after; /* where the item or number before ends */
	uint32_t addr;	   /* the address before in this stretch, or NONE */
	uint32_t last;	   /* the item before, of any kind */
	bool number;	   /* a number that is no item came after it */
	size_t first;	   /* item of this stretch */
	const char *line;  /* begin of the line of `looked` */
	const char *looked;
};

const char *addr_at(const char *at, const char *end, uint32_t *ret)
{
	uint32_t addr = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = 0, value = 0;

		for (; at < end && isdigit((unsigned char)*at) && n < 4; at++, n++)
			value = value * 10 + (unsigned)(*at - '0');
		if (!n || n > 3 || value > 255 || (i < 3 && (at >= end || *at++ != '.')))
			return NULL;
		addr = addr << 8 | value;
	}
	*ret = addr;
	return at;
}

static const char *port_at(const char *at, const char *end, unsigned *ret)
{
	unsigned n = 0;

	*ret = 0;
	for (; at + n < end && isdigit((unsigned char)at[n]); n++)
		if (n == 5)
			return NULL;
		else
			*ret = *ret * 10 + (unsigned)(at[n] - '0');
	return n && *ret <= UINT16_MAX ? at + n : NULL;
}

/* Skips blanks and signs that do not separate. */
static const char *signs(const char *at, const char *end, const char *any)
{
	while (at < end && *at && strchr(any, *at))
		at++;
	return at;
}

/* The begin of the line of a place. Places are asked for in their order. */
static const char *line_begin(struct scan *c, const char *at)
{
	for (const char *p; at > c->looked && (p = memchr(c->looked, '\n', (size_t)(at - c->looked))); c->looked = p + 1)
		c->line = p + 1;
	c->looked = at;
	return c->line;
}

/* The text before a place that is its label: from the item before, in this line, or in the one before at its begin. */
static const char *label_begin(const struct scan *c, const char *at)
{
	const char *begin = c->after, *p = at;
	bool letters = false;

	if (at - begin > LABEL_TEXT)
		begin = at - LABEL_TEXT;
	while (p > begin && (p[-1] != '\n' || !letters)) {
		letters |= word_octet(p[-1]);
		p--;
		if (p > begin + 1 && p[-1] == '\n' && p[-2] == '\n')
			break;
	}
	return p;
}

static struct label label_of(const struct scan *c, const char *at)
{
	struct label l = label_read(label_begin(c, at), at), key;

	if (!c->s->key || l.words)
		return l;
	key = label_read(c->s->key, c->s->key_end);
	return key;
}

/* "(client)", "(ours)" behind a value. */
static unsigned role_behind(const struct scan *c, const char *at)
{
	const char *open = signs(at, c->s->end, " \t*_"), *close;

	if (open >= c->s->end || *open != '(')
		return 0;
	close = memchr(open, ')', c->s->end - open < 40 ? (size_t)(c->s->end - open) : 40);
	return close ? label_read(open, close).role : 0;
}

/* What is between an item and the next one if nothing but an arrow: 1 to the right, -1 to the left. */
static int arrow(const char *at, const char *end)
{
	static const struct {
		const char *text;
		int way;
	} arrows[] = { { "-->", 1 }, { "->", 1 }, { "=>", 1 }, { "\342\206\222", 1 }, { "\342\207\222", 1 }, { ">", 1 },
		       { "<--", -1 }, { "<-", -1 }, { "<=", -1 }, { "\342\206\220", -1 }, { "<", -1 } };

	for (const char *p = at; p < end; p++) {
		if (*p == '\n')
			return 0;
		for (size_t i = 0; i < ARRAY_SIZE(arrows); i++) {
			size_t n = strlen(arrows[i].text);

			if ((size_t)(end - p) < n || memcmp(p, arrows[i].text, n) != 0)
				continue;
			/* A sign alone stands between blanks, or it is a tag. */
			if (n == 1 && ((p > at && p[-1] != ' ') || p + 1 >= end || p[1] != ' '))
				continue;
			return arrows[i].way;
		}
	}
	return 0;
}

/* The role of an address by what is before and behind it. */
static unsigned addr_role(struct scan *c, const char *at, const char *end)
{
	struct label l = label_of(c, at);
	const char *between = c->last != NONE ? c->x->text + c->x->items[c->last].at + c->x->items[c->last].size : NULL;
	bool follows = c->addr != NONE && between && at - between < 60 && !memchr(between, '\n', (size_t)(at - between));
	int way = follows || (c->addr != NONE && between && at - between < 60) ? arrow(between, at) : 0;
	struct item *before = c->addr != NONE ? &c->x->items[c->addr] : NULL;

	if (way) {
		if (!before->role)
			before->role = way > 0 ? WORD_SOURCE : WORD_TARGET;
		return way > 0 ? WORD_TARGET : WORD_SOURCE;
	}
	/* Behind an arrow that nothing is known before. */
	if (!before && (way = arrow(at - line_begin(c, at) < 6 ? c->line : at - 6, at)))
		return way > 0 ? WORD_TARGET : WORD_SOURCE;
	if (follows && signs(between, at, " (") == at && memchr(between, '(', (size_t)(at - between)))
		return before->role;
	if (l.last & WORD_FROM)
		return WORD_SOURCE;
	if (before && before->scope == c->s->scope && l.any & WORD_TO && at - between < 40 && !(l.role & WORD_SOURCE) &&
	    l.last & (WORD_TO | WORD_TARGET | WORD_ADDR))
		return WORD_TARGET;
	return l.role ? l.role : role_behind(c, end);
}

/* Whether "a.b.c.d.port" is meant, as tcpdump has it, and no version of something. */
static bool dotted_port(struct scan *c, const char *at, const char *after)
{
	const char *line = memchr(after, '\n', (size_t)(c->s->end - after < LABEL_TEXT ? c->s->end - after : LABEL_TEXT));

	line = line && line - after < LABEL_TEXT ? line : after + (c->s->end - after < LABEL_TEXT ? c->s->end - after : LABEL_TEXT);
	return (after == line || strchr(" :,)\t", *after)) && arrow(at - (at - c->line < LABEL_TEXT ? at - c->line : LABEL_TEXT), line);
}

/* The port that is joined to an address: "a:p", "a/p", "a#p", "a(p)", "[a]:p", "a.p", "a p ->". Its begin, or NULL. */
static const char *joined(struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end)
{
	const char *p = end + (end < c->s->end && *end == ']'), *after;
	const char *stop = c->s->end;

	if (p + 1 >= stop)
		return NULL;
	if (strchr(":/#(", *p) && isdigit((unsigned char)p[1])) {
		after = port_at(p + 1, stop, ret);
		if (!after || (after < stop && isalpha((unsigned char)*after)) ||
		    (after + 1 < stop && *after == ':' && isdigit((unsigned char)after[1])) ||
		    (after + 1 < stop && *after == '.' && isdigit((unsigned char)after[1])))
			return NULL;
		if ((*p == '(' && (after >= stop || *after != ')')) || (*p == '/' && *ret <= 32))
			return NULL;
		*ret_end = after + (*p == '(');
		return p + 1;
	}
	if (*p == '.' && isdigit((unsigned char)p[1])) {
		after = port_at(p + 1, stop, ret);
		*ret_end = after;
		return after && dotted_port(c, at, after) ? p + 1 : NULL;
	}
	if (*p != ' ')
		return NULL;
	p = signs(p, stop, " ");
	after = port_at(p, stop, ret);
	if (!after)
		return NULL;
	*ret_end = after;
	if (c->last != NONE && c->addr == c->last && c->x->items[c->last].port_item != NONE &&
	    (after == stop || strchr(" \n,;)", *after)) && c->x->items[c->addr].role == WORD_SOURCE)
		return p;
	return signs(after, stop, " ") < stop && arrow(signs(after, stop, " "), signs(after, stop, " ") + 4 < stop ? signs(after, stop, " ") + 4 : stop)
		       ? p
		       : NULL;
}

bool addr_nobodys(uint32_t a)
{
	return a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 ||
	       a >> 16 == 0xa9fe || a >> 28 >= 0xe;
}

static bool candidate(struct reading *x, uint32_t addr, unsigned role)
{
	if (x->reader->ours && x->reader->ours(x->reader->arg, addr))
		return true;
	if (addr_nobodys(addr))
		return false;
	x->foreign |= x->reader->ours && role != WORD_TARGET;
	return !x->reader->ours;
}

static void set_after(struct scan *c, const char *after)
{
	c->after = after;
	c->number = false;
}

/* An address at a place. Returns its end, or NULL. */
static const char *take_address(struct scan *c, const char *at)
{
	struct reading *x = c->x;
	const char *stop = c->s->end, *end, *port, *port_end = NULL;
	unsigned number, role;
	uint32_t addr, i;

	end = addr_at(at, stop, &addr);
	if (!end || (at > c->s->begin && strchr(".-_", at[-1])) ||
	    (end < stop && (isalpha((unsigned char)*end) || (*end == '-' && end + 1 < stop && isalnum((unsigned char)end[1])))))
		return NULL;
	port = joined(c, at, end, &number, &port_end);
	if (!port && end + 1 < stop && *end == '.' && isdigit((unsigned char)end[1]))
		return NULL;
	/* A network is nobody's address, but for one of one address. */
	if (!port && end + 1 < stop && *end == '/' && isdigit((unsigned char)end[1]) && strncmp(end, "/32", 3) != 0)
		return signs(end + 1, stop, "0123456789.");
	x->seen = true;
	role = addr_role(c, at, end);
	i = item_add(x, ITEM_ADDR, c->s->scope, at, end);
	if (i == NONE)
		return end;
	x->items[i].addr = addr;
	x->items[i].role = (uint16_t)role;
	x->items[i].done = !candidate(x, addr, role);
	if (port) {
		uint32_t p = item_add(x, ITEM_PORT, NONE, port, signs(port, stop, "0123456789"));

		if (p != NONE) {
			x->items[p].port = (uint16_t)number;
			x->items[i].port_item = p;
		}
	}
	c->addr = c->last = x->addr = i;
	set_after(c, port ? port_end : end);
	return c->after;
}

/* Gives a port that follows an address to it. */
static void port_to(struct reading *x, uint32_t addr, uint32_t port)
{
	struct item *a = &x->items[addr];

	if (a->port_item == NONE) {
		a->port_item = port;
	} else if (x->items[a->port_item].port != x->items[port].port) {
		a->other = port;
		a->fault = FAULT_SEVERAL_PORTS;
	}
}

/* Whether the address that is meant has its port already in this stretch. */
static bool source_has_port(const struct scan *c)
{
	for (size_t i = c->first; i < c->x->n_items; i++)
		if (c->x->items[i].kind == ITEM_ADDR && c->x->items[i].role != WORD_TARGET && c->x->items[i].port_item != NONE)
			return true;
	return false;
}

/*
 * A number that a word for a port stands before. With a word for the source it is the source's. Else it is of the
 * address before it in its record, if nothing but words for a port are between, in a line or behind a key. The port "on"
 * which something came, a service's, and one of which other words say something, are not the subscriber's.
 */
static void place_port(struct scan *c, const struct label *l, const char *at, const char *end, unsigned number)
{
	struct reading *x = c->x;
	unsigned role = l->role ? l->role : role_behind(c, end);
	bool here = c->addr != NONE && !c->s->cells, tight = here && c->addr == c->last && !c->number && !l->strange;
	uint32_t addr = here ? c->addr : c->s->keyed ? x->addr : NONE, i;
	unsigned of = addr != NONE ? x->items[addr].role : 0;
	bool free = addr != NONE && of != WORD_TARGET && x->items[addr].port_item == NONE;

	if (!role && !c->s->cells && (l->strange || x->served || !(tight || c->s->keyed)))
		role = WORD_TARGET;
	if (!role && ((l->before_port & WORD_TO && !(tight && c->s->keyed)) || of == WORD_TARGET))
		role = WORD_TARGET;
	/* "server=A sport=P" behind "client=B cport=Q" */
	if (role == WORD_SOURCE && here && of == WORD_TARGET && source_has_port(c))
		role = WORD_TARGET;
	i = item_add(x, ITEM_PORT, NONE, at, end);
	if (i == NONE)
		return;
	x->items[i].port = (uint16_t)number;
	x->items[i].role = (uint16_t)role;
	x->items[i].cut = x->broken && signs(end, x->broken, " \t\n") == x->broken;
	c->last = i;
	if (role == WORD_TARGET)
		return;
	if (here && (free || (tight && of != WORD_TARGET)))
		port_to(x, addr, i);
	else
		x->items[i].scope = c->s->scope;
}

static void take_proto(struct scan *c, const char *at, const char *end, uint8_t proto)
{
	uint32_t i = item_add(c->x, ITEM_PROTO, c->s->scope, at, end);

	if (i != NONE)
		c->x->items[i].proto = proto;
}

static uint8_t rank_of(struct scan *c, const char *at)
{
	struct label l = label_of(c, at);

	if (c->s->key) {
		const char *name = memrchr(c->s->key, KEY_PART, (size_t)(c->s->key_end - c->s->key));
		struct label key = label_read(name ? name : c->s->key, c->s->key_end);

		/* What Windows calls so is the time of the event. */
		if (c->s->key_end - c->s->key >= 11 && !memcmp(c->s->key, "TimeCreated", 11))
			key.any = WORD_EVENT;
		if (c->x->xarf && c->s->key_end - c->s->key >= 9 && !memcmp(c->s->key_end - 9, "timestamp", 9))
			return RANK_SCHEMA;
		if (!(key.any & (WORD_TIME | WORD_EVENT | WORD_OTHER | WORD_END | WORD_LATE)))
			return RANK_STRAY;
		if (name && !(key.any & (WORD_OTHER | WORD_END | WORD_LATE)))
			key.any |= label_read(c->s->key, name).any & WORD_EVENT;
		if (c->s->cells)
			l = key;
	} else if (at - line_begin(c, at) > 12 && !memcmp(c->line, "TimeCreated:", 12)) {
		return RANK_EVENT;
	}
	/* "The attack that was reported began at" */
	if (!c->s->key && (l.when & (WORD_EVENT | WORD_TIME)) == (WORD_EVENT | WORD_TIME))
		return RANK_EVENT;
	return l.any & WORD_OTHER ? RANK_OTHER
	       : l.any & WORD_END ? RANK_END
	       : l.any & WORD_LATE  ? RANK_LATE
	       : l.any & WORD_EVENT ? RANK_EVENT
				    : RANK_NEUTRAL;
}

/* A number that is no time and no address. */
static const char *take_number(struct scan *c, const char *at)
{
	const char *stop = c->s->end, *end = signs(at, stop, "0123456789");
	size_t size = (size_t)(end - at);
	struct label l = label_of(c, at);
	struct stamp t;
	unsigned port;

	bool odd = at > c->s->begin && strchr("-.", at[-1]);

	/* "-1", "5x", "5.1" */
	if (odd || (end < stop && (isalpha((unsigned char)*end) ||
				   (*end == '.' && end + 1 < stop && isdigit((unsigned char)end[1]) && !(l.any & WORD_TIME))))) {
		c->number = true;
	} else if (l.any & (WORD_TIME | WORD_EVENT) && size >= 10 && stamp_epoch(at, end, &t)) {
		uint32_t i = item_time(c->x, c->s->scope, at, end, &t);

		if (i != NONE)
			c->x->items[i].rank = rank_of(c, at);
	} else if (l.any & WORD_PROTO && ((size == 1 && *at == '6') || (size == 2 && !memcmp(at, "17", 2)))) {
		take_proto(c, at, end, *at == '6' ? IPPROTO_TCP : IPPROTO_UDP);
	} else if (l.any & WORD_PORT && !l.loose && port_at(at, stop, &port)) {
		place_port(c, &l, at, end, port);
	} else {
		c->number = true;
	}
	c->after = end;
	return end;
}

static void zones_in(const char *begin, const char *end, struct stamp *t)
{
	struct claim one;

	for (const char *p = begin; p < end; p++) {
		const char *after = p > begin && word_octet(p[-1]) ? NULL : claim_read(p, end, false, &one);

		if (!after)
			continue;
		claim_add(&t->zone, &one);
		p = after - 1;
	}
}

/* A zone that is named before a time: "Time (UTC): ". */
static void zone_before(const struct scan *c, const char *at, struct stamp *t)
{
	const char *p = label_begin(c, at), *line = at;

	while (line > p && line[-1] != '\n')
		line--;
	zones_in(line > p ? line : p, at, t);
	if (c->s->key && !claim_given(&t->zone))
		zones_in(c->s->key, c->s->key_end, t);
}

/* A time, which may go on in the line below if it is prose: "on 3 May", "2026 at 10:00". */
static const char *read_time(const struct scan *c, const char *at, struct stamp *ret)
{
	const char *end = stamp_read(at, c->s->end, ret), *further;
	struct stamp more;

	if (!end || !ret->date || ret->clock || !c->s->beyond || c->s->end - end > 12)
		return end;
	further = stamp_read(at, c->s->beyond, &more);
	if (further <= c->s->end || !more.date || (more.year == ret->year && !more.clock))
		return end;
	*ret = more;
	return further;
}

/* Makes a day and an hour that follow each other, with nothing but words between, one time. */
static bool join_day(struct scan *c, const char *at, const char *end, const struct stamp *hour)
{
	struct reading *x = c->x;
	struct item *day = x->n_items > x->first_item ? &x->items[x->n_items - 1] : NULL;
	struct stamp *t = day && day->kind == ITEM_TIME ? &x->stamps[day->stamp] : NULL;

	if (!t || !t->date || t->clock || day->rank == RANK_OTHER || at - (x->text + day->at) > LABEL_TEXT)
		return false;
	stamp_add_clock(t, hour);
	day->size = (uint32_t)(end - (x->text + day->at));
	if (!c->s->key && rank_of(c, at) < day->rank)
		day->rank = rank_of(c, at);
	return true;
}

/* A time at a place. Returns its end, or NULL. */
static const char *take_time(struct scan *c, const char *at)
{
	struct stamp t;
	const char *end = read_time(c, at, &t), *line;
	uint32_t i;

	if (!end)
		return NULL;
	line = signs(line_begin(c, at), at, " \t[(");
	/* A day that breaks off is none, and is no other number either. */
	if (!t.date && !t.clock)
		return set_after(c, end), end;
	/* An hour alone is of a day that is named elsewhere, if a word says what it is, or of a line of a log. */
	if (!t.date && line != at && !c->s->cells && !(label_of(c, at).any & WORD_TIME))
		return set_after(c, end), end;
	if (!claim_given(&t.zone))
		zone_before(c, at, &t);
	if (!t.date && (line != at || c->s->key) && join_day(c, at, end, &t))
		return set_after(c, end), end;
	i = item_time(c->x, c->s->scope, at, end, &t);
	if (i != NONE) {
		c->x->items[i].rank = rank_of(c, at);
		c->x->items[i].stamped = line == at && !c->s->key;
		c->last = i;
	}
	set_after(c, end);
	return end;
}

static void take_zone(struct scan *c, const char *at, const char *end, const struct claim *zone)
{
	const char *before = at;
	uint32_t i;

	while (before > c->s->begin && at - before < 24 && !strchr(",;.(", before[-1]))
		before--;

	/* "five hours less than UTC", "not UTC" */
	if (label_read(before, at).any & WORD_UNLESS)
		return;
	i = item_zone(c->x, c->s->scope, at, end, zone);
	if (i != NONE)
		c->x->items[i].keyed = c->s->cells || c->s->keyed;
}

static bool proto_beside(const struct scan *c, const char *at, const char *end)
{
	char folded[WORD_TEXT];

	if (end < c->s->end && *end == '/')
		word_fold(end + 1, c->s->end, folded);
	else if (at - c->s->begin > 3 && at[-1] == '/')
		word_fold(at - 4, at, folded);
	else
		return false;
	return !strcmp(folded, "tcp") || !strcmp(folded, "udp");
}

/* A word: a protocol, a zone that the text names, or nothing. */
static const char *take_word(struct scan *c, const char *at)
{
	const char *stop = c->s->end, *end;
	char folded[WORD_TEXT];
	struct claim zone;

	end = claim_read(at, stop, false, &zone);
	if (end) {
		take_zone(c, at, end, &zone);
		return end;
	}
	end = word_fold(at, stop, folded);
	/* "TCP/UDP" is a choice. */
	if ((!strcmp(folded, "tcp") || !strcmp(folded, "udp")) && !proto_beside(c, at, end)) {
		take_proto(c, at, end, *folded == 't' ? IPPROTO_TCP : IPPROTO_UDP);
	}
	return end > at ? end : at + 1;
}

static const char *take_any(struct scan *c, const char *at)
{
	const char *end;
	struct claim zone;
	bool inside = at > c->s->begin && word_octet(at[-1]) && (unsigned char)at[-1] < 0x80;

	if (isdigit((unsigned char)*at)) {
		end = inside ? NULL : take_address(c, at);
		end = end || inside ? end : take_time(c, at);
		return end ? end : inside ? signs(at, c->s->end, "0123456789") : take_number(c, at);
	}
	if ((*at == '+' || *at == '-') && !inside && (end = claim_read(at, c->s->end, false, &zone))) {
		struct label l = label_of(c, at);

		if (at[3] == ':' || l.any & WORD_TIME)
			take_zone(c, at, end, &zone);
		return end;
	}
	if (!word_octet(*at))
		return at + 1;
	end = inside ? NULL : take_time(c, at);
	return end ? end : take_word(c, at);
}

const char *complaint_scan(struct reading *x, const struct stretch *s)
{
	struct scan c = { x, s, s->begin, NONE, NONE, false, x->n_items, s->begin, s->begin };
	const char *at = s->begin;

	while (at < s->end && !x->error)
		at = take_any(&c, at);
	return at;
}

void complaint_value(struct reading *x, uint32_t scope, const char *key, const char *key_end, const char *at, const char *end)
{
	struct stretch s = { .scope = scope, .begin = at, .end = end, .key = key, .key_end = key_end, .cells = true };
	uint32_t any;

	for (const char *p = at; p < end && s.cells && memchr(at, ' ', (size_t)(end - at)); p++)
		s.cells = !isdigit((unsigned char)*p) || !addr_at(p, end, &any);
	if (!s.cells)
		s.scope = scope_add(x, scope);
	complaint_scan(x, &s);
}
