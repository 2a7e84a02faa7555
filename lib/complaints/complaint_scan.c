// SPDX-License-Identifier: BSD-2-Clause
/* Addresses, ports, times, zones and protocols in a stretch of text, and what the words around say about each. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "complaints/complaint_scan.h"

/* Whether a word is "and". */
static bool is_and(const char *folded)
{
	return word_in_list("and und et y e i oraz en och og и", folded);
}

/*
 * Whether nothing but "and" is between an address and the one before: what is said of the one is said of both. A comma
 * is that between two of the pools; else it may be between a source and a target.
 */
static bool is_also(const struct scan *c, const char *at, uint32_t addr)
{
	const struct complaint_reader *reader = c->x->reader;
	const char *word = scan_signs(c->after, at, ", \n");
	char folded[WORD_TEXT];

	if (c->addr == NONE || c->addr != c->last || c->number)
		return false;
	if (word == at)
		return at - c->after > 1 && *c->after == ',' && reader->ours && reader->ours(reader->arg, addr) &&
		       reader->ours(reader->arg, c->x->items[c->addr].addr);
	return scan_signs(word_fold(word, at, folded), at, " \n") == at && is_and(folded);
}

/* The role of an address by what is before and behind it. */
static unsigned addr_role(struct scan *c, const char *at, const char *end)
{
	struct label l = scan_label(c, at);
	const char *between = c->last != NONE ? c->x->text + c->x->items[c->last].at + c->x->items[c->last].size : NULL;
	bool follows =
		c->addr != NONE && between && at - between < 60 && !memchr(between, '\n', (size_t)(at - between));
	int way = follows || (c->addr != NONE && between && at - between < 60) ? scan_arrow(between, at) : 0;
	struct item *before = c->addr != NONE ? &c->x->items[c->addr] : NULL;

	if (l.negated && !way)
		return WORD_TARGET;
	if (way) {
		if (!before->role)
			before->role = way > 0 ? WORD_SOURCE : WORD_TARGET;
		return way > 0 ? WORD_TARGET : WORD_SOURCE;
	}
	/* Behind an arrow that nothing is known before. */
	if (!before && (way = scan_arrow(at - scan_line(c, at) < 6 ? c->line : at - 6, at)))
		return way > 0 ? WORD_TARGET : WORD_SOURCE;
	if (follows && scan_signs(between, at, " (") == at && memchr(between, '(', (size_t)(at - between)))
		return before->role;
	/* "Our server was attacked from the address" */
	if ((l.last | l.last_said) & WORD_FROM)
		return WORD_SOURCE;
	if (before && before->scope == c->s->scope && l.any & WORD_TO && at - between < 40 && !(l.role & WORD_SOURCE) &&
	    l.last & (WORD_TO | WORD_TARGET | WORD_ADDR))
		return WORD_TARGET;
	return l.role ? l.role : scan_role_behind(c, end);
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

/*
 * Whether the octets before an address make it the end of one of IPv6 that does not stand for it: only ::ffff:a.b.c.d
 * (RFC 4291 section 2.5.5.2) and 64:ff9b::a.b.c.d (RFC 6052 section 2.1) do.
 */
static bool ends_ipv6(const struct scan *c, const char *at)
{
	const char *begin = at;
	size_t n;

	while (begin > c->s->begin && at - begin < 30 && (isxdigit((unsigned char)begin[-1]) || begin[-1] == ':'))
		begin--;
	n = (size_t)(at - begin);
	if (!memmem(begin, n, "::", 2))
		return false;
	return !(n == 9 && !strncasecmp(begin, "64:ff9b::", 9)) && !(n >= 7 && !strncasecmp(at - 7, "::ffff:", 7));
}

/* Whether it is of "sip:100@203.0.113.36:5060", which says where a program thinks to be: not from where it sent. */
static bool of_sip(const struct scan *c, const char *at)
{
	const char *begin = at;

	if (at == c->s->begin || at[-1] != '@')
		return false;
	while (begin > c->s->begin && at - begin < 80 && !octet_is_of(begin[-1], " \t\n<>\"'"))
		begin--;
	return !strncasecmp(begin, "sip:", 4) || !strncasecmp(begin, "sips:", 5);
}

/* Whether it is of the query of a URL, "/?ip=203.0.113.36": what was asked for, not who asked. */
static bool of_query(const struct scan *c, const char *at)
{
	const char *begin = at, *query;

	if (at == c->s->begin || at[-1] != '=')
		return false;
	while (begin > c->s->begin && at - begin < LABEL_TEXT && !octet_is_of(begin[-1], " \t\n<>\"'"))
		begin--;
	query = memchr(begin, '?', (size_t)(at - begin));
	return query && memchr(begin, '/', (size_t)(query - begin));
}

/* Whether four numbers are of a version: "firmware 1.1.1.2". */
static bool of_version(const struct scan *c, const char *at)
{
	const char *word = at, *end;
	char folded[WORD_TEXT];

	while (word > c->s->begin && octet_is_of(word[-1], " :=\""))
		word--;
	for (end = word; word > c->s->begin && word_octet(word[-1]) && end - word < (ptrdiff_t)WORD_TEXT;)
		word--;
	if (word == end && c->s->key && at == c->s->begin)
		word = c->s->key, end = c->s->key_end;
	word_fold(word, end, folded);
	return word_in_list("version versione versie wersja firmware release build ver v", folded);
}

/* The end of a range of addresses, as registries print networks: "203.0.113.0 - 203.0.113.255", or NULL. */
static const char *range_end(const char *end, const char *stop, uint32_t first)
{
	const char *p = scan_signs(end, stop, " \t"), *last;
	uint32_t addr;

	if (p >= stop || *p != '-')
		return NULL;
	last = addr_at(scan_signs(p + 1, stop, " \t"), stop, &addr);
	return last && addr > first && addr >> 16 == first >> 16 ? last : NULL;
}

/* An address at a place. Returns its end, or NULL. */
static const char *take_address(struct scan *c, const char *at)
{
	struct reading *x = c->x;
	const char *stop = c->s->end, *end, *port, *port_end = NULL;
	unsigned number, role;
	uint32_t addr, i;
	bool also, query;

	end = addr_at(at, stop, &addr);
	if (!end || (at > c->s->begin && (strchr(".-_", at[-1]) || (at[-1] == ':' && ends_ipv6(c, at)))) ||
	    (end < stop && (isalpha((unsigned char)*end) || (*end == '=' && (end + 1 == stop || end[1] == '\n')) ||
			    (*end == '-' && end + 1 < stop && isalnum((unsigned char)end[1])))))
		return NULL;
	port = end < stop && *end == ',' ? scan_in_four(c, at, end, &number, &port_end)
					 : scan_joined(c, at, end, &number, &port_end);
	port = port || end >= stop || *end != ' ' ? port : scan_in_info(c, at, end, &number, &port_end);
	if (!port && end + 1 < stop && *end == '.' && digit_octet(end[1]))
		return NULL;
	/* A network is nobody's address, but for one of one address. */
	if (!port && end + 1 < stop && *end == '/' && digit_octet(end[1]) && strncmp(end, "/32", 3) != 0)
		return scan_signs(end + 1, stop, "0123456789.");
	if (!port && range_end(end, stop, addr))
		return range_end(end, stop, addr);
	if (of_version(c, at))
		return port ? port_end : end;
	x->seen = true;
	also = is_also(c, at, addr);
	role = also		      ? x->items[c->addr].role
	       : !port || *end != ',' ? addr_role(c, at, end)
	       : port_end == end      ? WORD_SOURCE
				      : WORD_TARGET;
	/* Of a URL, if it is not of a pool: a server that was asked for something. */
	if (at - c->s->begin > 2 && at[-1] == '/' && at[-2] == '/' && !(x->reader->ours && candidate(x, addr, role)))
		role = WORD_TARGET;
	query = of_query(c, at);
	if (of_sip(c, at) || query)
		role = WORD_TARGET;
	i = item_add(x, ITEM_ADDR, c->s->scope, at, end);
	if (i == NONE)
		return end;
	x->items[i].addr = addr;
	x->items[i].role = (uint8_t)role;
	x->items[i].also = also;
	x->items[i].done = query || !candidate(x, addr, role);
	if (port) {
		uint32_t p = item_add(x, ITEM_PORT, NONE, port, scan_signs(port, stop, "0123456789"));

		if (p != NONE) {
			x->items[p].port = (uint16_t)number;
			x->items[p].cut = scan_lacks_digits(c, at, port + x->items[p].size);
			x->items[i].port_item = p;
		}
	}
	c->addr = c->last = x->addr = i;
	scan_after(c, port ? port_end : end);
	return c->after;
}

/* The port behind an address of IPv6: "[2001:db8::1]:5100", "2001:db8::1.5100"; NULL: there is none. */
static const char *ipv6_port(const struct scan *c, const char *end, unsigned *ret)
{
	const char *port = c->s->end - end > 2 && !memcmp(end, "]:", 2) ? end + 2
			   : end < c->s->end && *end == '.'		? end + 1
									: NULL;
	const char *after = port ? scan_port(port, c->s->end, ret) : NULL;

	return after && (after == c->s->end || !octet_is_of(*after, ".:")) ? port : NULL;
}

/*
 * An address of IPv6, of which nothing is asked: a port that is said to be its is no other's. Returns its end, or NULL;
 * one that ends in an address of IPv4 is read as this.
 */
static const char *take_ipv6(struct scan *c, const char *at)
{
	const char *end = addr_ipv6_at(at, c->s->end), *port;
	unsigned number = 0;
	uint32_t i, p;

	if (!end || (at > c->s->begin && octet_is_of(at[-1], ".:-_")))
		return NULL;
	port = ipv6_port(c, end, &number);
	if (!port && end + 1 < c->s->end && *end == '.' && digit_octet(end[1]))
		return NULL;
	i = item_add(c->x, ITEM_ADDR, c->s->scope, at, end);
	if (i == NONE)
		return end;
	c->x->items[i].role = (uint8_t)addr_role(c, at, end);
	c->x->items[i].done = true;
	if (port) {
		p = item_add(c->x, ITEM_PORT, NONE, port, scan_signs(port, c->s->end, "0123456789"));
		if (p != NONE)
			c->x->items[p].port = (uint16_t)number;
		c->x->items[i].port_item = p;
		end = scan_signs(port, c->s->end, "0123456789");
	}
	c->addr = c->last = c->x->addr = i;
	scan_after(c, end);
	return end;
}

static void take_proto(struct scan *c, const char *at, const char *end, uint8_t proto)
{
	uint32_t i = item_add(c->x, ITEM_PROTO, c->s->scope, at, end);

	if (i != NONE)
		c->x->items[i].proto = proto;
}

/* "51,234" and "51 234", in which a sign parts the thousands: its end, or NULL. */
static const char *thousands(const char *at, const char *end)
{
	const char *p = scan_signs(at, end, "0123456789"), *behind;

	if (p - at > 2 || end - p < 4 || !octet_is_of(*p, ", '") || !digit_octet(p[1]))
		return NULL;
	behind = scan_signs(p + 1, end, "0123456789");
	return behind - p == 4 && (behind == end || octet_is_of(*behind, " ,.;)\n\t")) &&
			       !(behind + 1 < end && octet_is_of(*behind, ".,") && digit_octet(behind[1]))
		       ? behind
		       : NULL;
}

/* Seconds since 1970 that begin a line, as some logs have them: of this century, and with something behind. */
static bool is_epoch_of_line(struct scan *c, const char *at, const char *end)
{
	return at - scan_signs(scan_line(c, at), at, " \t[(\"") == 0 && *at == '1' && end < c->s->end &&
	       octet_is_of(*end, ".,;] \t|") && !(c->s->key && end + 1 >= c->s->end);
}

/* Whether words say of a number that it is of seconds: not of "Infringing FileSize", of which an event is said. */
static bool says_epoch(const struct label *l)
{
	return l->any & WORD_TIME || (l->any & WORD_EVENT && l->last & WORD_EVENT);
}

/* A number that is no time and no address. */
static const char *take_number(struct scan *c, const char *at)
{
	const char *stop = c->s->end, *end = scan_signs(at, stop, "0123456789");
	size_t size = (size_t)(end - at);
	struct label l = scan_label(c, at);
	struct stamp t;
	/* "-1", "5100-5200", "5x", "5.1" */
	bool odd = (at > c->s->begin && strchr("-.", at[-1])) || (end + 1 < stop && *end == '-' && digit_octet(end[1]));

	if ((size == 10 || size == 13) && is_epoch_of_line(c, at, end) && stamp_epoch(at, end, &t)) {
		uint32_t i = item_time(c->x, c->s->scope, at, end, &t);

		if (i != NONE)
			c->x->items[i].stamped = true;
		end = *end == '.' ? scan_signs(end + 1, stop, "0123456789") : end;
	} else if (l.any & WORD_PORT && thousands(at, stop)) {
		end = thousands(at, stop);
		c->number = true;
	} else if (odd || l.negated ||
		   (end < stop && (isalpha((unsigned char)*end) ||
				   (*end == '.' && end + 1 < stop && digit_octet(end[1]) && !(l.any & WORD_TIME))))) {
		c->number = true;
	} else if (says_epoch(&l) && size >= 10 && stamp_epoch(at, end, &t)) {
		uint32_t i = item_time(c->x, c->s->scope, at, end, &t);

		if (i != NONE)
			c->x->items[i].rank = scan_rank(c, at);
	} else if (l.any & WORD_PROTO && ((size == 1 && *at == '6') || (size == 2 && !memcmp(at, "17", 2)))) {
		take_proto(c, at, end, *at == '6' ? IPPROTO_TCP : IPPROTO_UDP);
	} else if (!scan_take_port(c, &l, at, end)) {
		c->number = true;
	}
	c->after = end;
	return end;
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
		scan_take_zone(c, at, end, &zone);
		return end;
	}
	if (!octet_is_of(*at, "tTuU")) {
		end = word_skip(at, stop);
		return end > at ? end : at + 1;
	}
	end = word_fold(at, stop, folded);
	/* "TCP/UDP" is a choice. */
	if ((!strcmp(folded, "tcp") || !strcmp(folded, "udp")) && !proto_beside(c, at, end)) {
		take_proto(c, at, end, *folded == 't' ? IPPROTO_TCP : IPPROTO_UDP);
	}
	return end > at ? end : at + 1;
}

/* Whether a word before an offset says that it is one: tz="+0200". */
static bool names_zone(const struct scan *c, const char *at)
{
	const char *begin = scan_label_begin(c, at), *p = at;
	char folded[WORD_TEXT];

	if (c->s->key && at == c->s->begin)
		begin = c->s->key, p = c->s->key_end;
	while (p > begin && octet_is_of(p[-1], " =:\"'"))
		p--;
	at = p;
	while (p > begin && word_octet(p[-1]))
		p--;
	word_fold(p, at, folded);
	return word_in_list("tz zone zona fuso zeitzone tijdzone offset utcoffset timezone*", folded);
}

static const char *take_any(struct scan *c, const char *at)
{
	const char *end;
	struct claim zone;
	bool inside = at > c->s->begin && word_octet(at[-1]) && (unsigned char)at[-1] < 0x80;

	if (!inside && (*at == ':' || isxdigit((unsigned char)*at)) && (end = take_ipv6(c, at)))
		return end;
	if (digit_octet(*at)) {
		end = inside ? NULL : take_address(c, at);
		end = end || inside ? end : scan_take_time(c, at);
		return end ? end : inside ? scan_signs(at, c->s->end, "0123456789") : take_number(c, at);
	}
	if ((*at == '+' || *at == '-') && !inside && (end = claim_read(at, c->s->end, false, &zone))) {
		if (at[3] == ':' || scan_label(c, at).any & WORD_TIME || names_zone(c, at))
			scan_take_zone(c, at, end, &zone);
		else
			c->after = end;
		return end;
	}
	if (!word_octet(*at))
		return at + 1;
	end = inside ? NULL : scan_take_time(c, at);
	return end ? end : take_word(c, at);
}

const char *complaint_scan(struct reading *x, const struct stretch *s)
{
	struct scan c = { .x = x,
			  .s = s,
			  .after = s->begin,
			  .addr = NONE,
			  .last = NONE,
			  .first = x->n_items,
			  .line = s->begin,
			  .looked = s->begin };
	const char *at = s->begin;

	while (at < s->end && !x->error)
		at = take_any(&c, at);
	if (s->all_end)
		complaint_own_times(x, s->scope, c.first);
	return at;
}

void complaint_value(struct reading *x, uint32_t scope, const char *key, const char *key_end, const char *at,
		     const char *end)
{
	struct stretch s = { .scope = scope, .begin = at, .end = end, .key = key, .key_end = key_end, .cells = true };
	uint32_t any;

	for (const char *p = at; p < end && s.cells && memchr(at, ' ', (size_t)(end - at)); p++)
		s.cells = !digit_octet(*p) || !addr_at(p, end, &any);
	if (!s.cells)
		s.scope = scope_add(x, scope);
	complaint_scan(x, &s);
}
