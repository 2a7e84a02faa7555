// SPDX-License-Identifier: BSD-2-Clause
/* Numbers that are ports by the words before them, and the addresses that they are of. */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_scan.h"
#include "complaints/complaint_sentence.h"

/* A smaller number may be a year, or count something. */
#define LEAST_NOTED 2100U

/* Of so many items before an address one may be another that is meant. */
#define MOST_BEFORE 16U

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
		if (c->x->items[i].kind == ITEM_ADDR && c->x->items[i].role != WORD_TARGET &&
		    c->x->items[i].port_item != NONE)
			return true;
	return false;
}

/* Whether the address before is one of several of which a port behind them is said: "A and B, source port 5100". */
static bool is_one_of_two(const struct scan *c)
{
	const struct reading *x = c->x;
	const struct item *b = &x->items[c->addr], *a = c->addr > c->first ? b - 1 : NULL;
	const char *between, *behind = x->text + b->at;
	struct label l;

	if (!a || a->kind != ITEM_ADDR || a->done || a->addr == b->addr || a->scope != b->scope || a->port_item != NONE)
		return false;
	between = x->text + a->at + a->size;
	l = label_read(between, behind);
	return behind - between < 12 && !l.strange && (l.words || !memchr(between, '\n', (size_t)(behind - between))) &&
	       !(l.any & ~WORD_LINK);
}

/*
 * Whether a sentence ends between the address before and a port, and another address is in the text before: "A attacked
 * us. We knew B already. The source port was 5100."
 */
static bool is_of_any(const struct scan *c, const char *at)
{
	const struct reading *x = c->x;
	const struct item *b = &x->items[c->addr];
	const char *end = x->text + x->size, *p = x->text + b->at + b->size;
	bool other = false;

	for (size_t i = c->addr; i-- > c->first && c->addr - i < MOST_BEFORE;)
		other |= x->items[i].kind == ITEM_ADDR && !x->items[i].done && x->items[i].role != WORD_TARGET &&
			 x->items[i].port_item == NONE && x->items[i].addr != b->addr;
	if (!other || c->s->cells)
		return false;
	for (; p < at; p++)
		if (sentence_ends(x->text, p, end))
			return true;
	return false;
}

/* What the last word of the line above says of a port that begins a line: "its source", "port 5100". */
static unsigned role_above(const struct scan *c, const struct label *l)
{
	const char *text = c->x->text, *p = c->s->begin, *end;
	struct label above;

	if (c->s->keyed || !c->s->all_end || c->after != c->s->begin || l->words > 1 || p == text)
		return 0;
	for (p--; p > text && p[-1] == ' ';)
		p--;
	end = p;
	while (p > text && word_octet(p[-1]) && end - p < LABEL_TEXT)
		p--;
	above = label_read(p, end);
	return above.role ? above.role : above.any & WORD_FROM ? WORD_SOURCE : 0;
}

/* Whether a port is one of services that are attacked, of those that a subscriber may have as well. */
static bool is_attacked(unsigned number)
{
	static const uint16_t ports[] = { 1433, 1521, 1723, 1900, 2222, 2323,  3128,  3306,  3389,  5038, 5060,
					  5061, 5432, 5555, 5900, 5901, 6379,  7547,  8000,  8080,  8081, 8088,
					  8291, 8443, 8728, 8888, 9200, 10000, 11211, 27017, 37215, 52869 };

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		if (ports[i] == number)
			return true;
	return false;
}

/* Whether a line begins with the port of the address that the line above ends with: "from 203.0.113.5,", "port 5100".
 */
static bool is_wrapped(const struct scan *c, const char *at)
{
	const struct reading *x = c->x;
	const struct item *a = x->addr == NONE || x->addr + 1 != x->n_items ? NULL : &x->items[x->addr];
	const char *end = a ? x->text + a->at + a->size : NULL;
	struct label l;

	if (!a || c->s->keyed || !c->s->all_end || c->after != c->s->begin || a->done || a->port_item != NONE ||
	    at - end > 40 || at < end)
		return false;
	l = label_read(end, at);
	return l.any & WORD_PORT && !l.strange && !l.loose && !l.negated;
}

/*
 * Whether a port is in the parentheses of an address that is not meant, with no other: "our proxy (192.0.2.5, source
 * port 5100) connected to 203.0.113.5".
 */
static bool is_of_parentheses(const struct scan *c, const char *at)
{
	const struct reading *x = c->x;
	const struct item *a = x->addr == NONE ? NULL : &x->items[x->addr];
	const char *begin = a ? x->text + a->at : NULL, *open = begin;

	if (!a || c->s->cells || at - begin > LABEL_TEXT || !(a->done || a->role == WORD_TARGET) ||
	    memchr(begin, ')', (size_t)(at - begin)))
		return false;
	while (open > x->text && begin - open < LABEL_TEXT && !octet_is_of(*open, "()"))
		open--;
	if (*open != '(')
		return false;
	for (size_t i = x->addr; i-- > 0 && x->text + x->items[i].at > open;)
		if (x->items[i].kind == ITEM_ADDR)
			return false;
	return true;
}

/* Whether the name of a member or a column says what else a port is of: "EdgePort", "nat_port". */
static bool is_of_name(const struct scan *c)
{
	const char *key = c->s->key, *end = c->s->key_end, *name;
	char folded[WORD_TEXT];

	if (!c->s->cells || !key)
		return false;
	name = memrchr(key, KEY_PART, (size_t)(end - key));
	for (key = name ? name : key; word_next(&key, end, folded);)
		if (folded[1] && !word_meaning(folded))
			return true;
	return false;
}

/* Whether a word of a list is in the name of a member or a column, or in a key, of a number. */
static bool names_by(const struct scan *c, const char *words, const char *at)
{
	const char *key = c->s->key, *name;

	if (!c->s->cells || !key)
		return c->s->keyed && words_in_list(words, scan_label_begin(c, at), at);
	name = memrchr(key, KEY_PART, (size_t)(c->s->key_end - key));
	return words_in_list(words, name ? name : key, c->s->key_end);
}

/* Whether a number is of a port that a NAT made, of one of several, or counts ports. */
static bool names_other_port(const struct scan *c, const char *at)
{
	return names_by(c,
			"nat snat dnat natted postnat xlate xlated translated distinct unique uniq common commonest "
			"frequent top count total max maximum min minimum first erste* premier* primer* prim* eerste* "
			"anzahl zahl nombre aantal liczba cantidad "
			"количество last latest letzte* dernier* ultim* laatste ostatni* последн*",
			at) ||
	       (names_by(c, "number", at) && names_by(c, "of", at));
}

/* Whether a port is the lowest of several: "51000 to 51063", "51000+". */
static bool begins_range(const char *end, const char *stop, unsigned number)
{
	const char *at = scan_signs(end, stop, " \t");
	char folded[WORD_TEXT];
	unsigned last;

	if (end < stop && *end == '+')
		return true;
	if (at >= stop || !word_octet(*at) || digit_octet(*at))
		return false;
	at = scan_signs(word_fold(at, stop, folded), stop, " \t");
	return word_in_list("to through thru bis a ate al hasta tot do до till until", folded) &&
	       scan_port(at, stop, &last) && last > number;
}

/* Whether the value before is a source that is not meant: "Source: 192.0.2.5", "Source port: 5100". */
static bool is_of_key_above(const struct scan *c, uint32_t port)
{
	const struct reading *x = c->x;
	const struct item *a = x->addr == NONE || x->addr + 1 != port ? NULL : &x->items[x->addr];

	return a && c->s->keyed && a->done && a->role == WORD_SOURCE && a->port_item == NONE;
}

/*
 * A number that a word for a port stands before. With a word for the source it is the source's. Else it is of the
 * address before it in its record, if nothing but words for a port are between, in a line or behind a key. The port
 * "on" which something came, a service's, and one of which other words say something, are not the subscriber's.
 */
static void place_port(struct scan *c, const struct label *l, const char *at, const char *end, unsigned number)
{
	struct reading *x = c->x;
	unsigned role = l->role ? l->role : scan_role_behind(c, end), above = role ? 0 : role_above(c, l);
	bool wrapped = is_wrapped(c, at), here = wrapped || (c->addr != NONE && !c->s->cells);
	bool tight = wrapped || (here && c->addr == c->last && !c->number && !l->strange);
	uint32_t addr = here && !wrapped ? c->addr : wrapped || c->s->keyed ? x->addr : NONE, i;
	unsigned of = addr != NONE ? x->items[addr].role : 0;
	bool free = addr != NONE && of != WORD_TARGET && x->items[addr].port_item == NONE;

	/* "to port 443, from port 5100" */
	if (!role && l->before_port & WORD_FROM)
		role = WORD_SOURCE;
	role = role ? role : above;
	/* "Attacked from 203.0.113.5, port 3389": theirs, or ours. */
	if (!role && !c->s->cells && !x->broken && is_attacked(number))
		role = WORD_TARGET;
	bool unsaid = !role && !x->served && !(l->before_port & WORD_TO) && number >= FIRST_FREE_PORT;

	if (!role && (x->served || is_of_name(c) || (!c->s->cells && (l->strange || !(tight || c->s->keyed)))))
		role = WORD_TARGET;
	if (!role && ((l->before_port & WORD_TO && !(tight && c->s->keyed)) || of == WORD_TARGET))
		role = WORD_TARGET;
	/* "A -> port 443", and what no subscriber has unless it is said to be his */
	if (!role && ((here && tight && scan_arrow(c->after, at) > 0) ||
		      (!c->s->cells && !x->broken && number < FIRST_FREE_PORT)))
		role = WORD_TARGET;
	if (names_other_port(c, at) || begins_range(end, c->s->end, number))
		role = WORD_TARGET;
	/* "server=A sport=P" behind "client=B cport=Q" */
	if (role == WORD_SOURCE && here && of == WORD_TARGET && source_has_port(c))
		role = WORD_TARGET;
	i = item_add(x, ITEM_PORT, NONE, at, end);
	if (i == NONE)
		return;
	x->items[i].port = (uint16_t)number;
	x->items[i].role = (uint8_t)role;
	x->items[i].assumed = unsaid && role == WORD_TARGET;
	x->items[i].cut =
		(x->broken && scan_signs(end, x->broken, " \t\n") == x->broken) || scan_lacks_digits(c, at, end);
	c->last = i;
	if (role == WORD_TARGET)
		return;
	if (role == WORD_SOURCE && (is_of_parentheses(c, at) || is_of_key_above(c, i))) {
		x->items[i].role = WORD_TARGET;
		x->items[i].assumed = true;
		return;
	}
	if (here && free && !wrapped && (is_one_of_two(c) || (!tight && is_of_any(c, at))))
		x->items[i].scope = c->s->scope;
	else if (here && (free || ((tight || role == WORD_SOURCE) && of != WORD_TARGET)))
		port_to(x, addr, i);
	else
		x->items[i].scope = c->s->scope;
}

/* Whether a number is another port of a list: "5100 and 5200", "5100, 5200", "5100/5200". */
static bool is_another_port(const struct scan *c, const struct label *l, const char *at, const char *end)
{
	const char *before = scan_signs(c->after, at, " \t,/"), *behind = scan_signs(end, c->s->end, " \t");

	if (c->last == NONE || c->x->items[c->last].kind != ITEM_PORT || c->number || at - c->after > 12)
		return false;
	if (before == at)
		return memchr(c->after, '/', (size_t)(at - c->after)) ||
		       (memchr(c->after, ',', (size_t)(at - c->after)) &&
			(behind >= c->s->end || !word_octet(*behind)));
	return l->words == 1 && l->any & WORD_LINK;
}

/* It is of what the one before is of, which has several then. */
static void place_another(struct scan *c, const char *at, const char *end, unsigned number)
{
	struct reading *x = c->x;
	uint32_t before = c->last, i = item_add(x, ITEM_PORT, NONE, at, end);

	if (i == NONE)
		return;
	x->items[i].port = (uint16_t)number;
	x->items[i].role = x->items[before].role;
	x->items[i].scope = x->items[before].scope;
	c->last = i;
	if (c->addr != NONE && x->items[c->addr].port_item == before)
		port_to(x, c->addr, i);
}

/* "5100 and port 5200": of one time no more than one can be meant. */
static bool is_one_more_port(const struct scan *c, const struct label *l, unsigned number)
{
	const struct item *before = c->last == NONE ? NULL : &c->x->items[c->last];

	return before && before->kind == ITEM_PORT && before->role != WORD_TARGET && !c->number && l->words == 2 &&
	       l->any == (WORD_LINK | WORD_PORT) && number >= FIRST_FREE_PORT;
}

/*
 * Whether the number that a line begins with is the port of the address that the line above ends with, and with "port".
 * One that no word calls the source's is none if it may be a service's.
 */
static bool is_port_of_above(const struct scan *c, const char *at, unsigned number)
{
	const struct reading *x = c->x;
	const struct item *a = x->addr == NONE || x->addr + 1 != x->n_items ? NULL : &x->items[x->addr];
	const char *end = a ? x->text + a->at + a->size : NULL;
	struct label l;

	if (!a || !c->s->all_end || c->after != c->s->begin || a->done || a->role == WORD_TARGET ||
	    a->port_item != NONE || at - end > 40)
		return false;
	l = label_read(end, at);
	if (l.role != WORD_SOURCE && (x->served || number < FIRST_FREE_PORT))
		return false;
	return l.any & WORD_PORT && !(l.any & (WORD_TARGET | WORD_TO)) && !l.strange && !l.loose && !l.negated;
}

static void place_below(struct scan *c, const char *at, const char *end, unsigned number)
{
	uint32_t addr = c->x->addr, i = item_add(c->x, ITEM_PORT, NONE, at, end);

	if (i == NONE)
		return;
	c->x->items[i].port = (uint16_t)number;
	port_to(c->x, addr, i);
	c->last = i;
}

/*
 * A number of which a sentence about a port speaks in more words: "the port should read 5100". It is tied to nothing,
 * but a mail that says so above what it quotes may speak of another port than that.
 */
static void note_port(struct scan *c, const struct label *l, const char *at, const char *end, unsigned number)
{
	uint32_t i;

	if (!(l->any & WORD_PORT) || l->role == WORD_TARGET || number < LEAST_NOTED)
		return;
	i = item_add(c->x, ITEM_PORT, NONE, at, end);
	if (i == NONE)
		return;
	c->x->items[i].port = (uint16_t)number;
	c->x->items[i].role = WORD_TARGET;
	c->x->items[i].assumed = true;
}

bool scan_take_port(struct scan *c, const struct label *l, const char *at, const char *end)
{
	bool another = is_another_port(c, l, at, end), named = l->any & WORD_PORT;
	unsigned number;

	if (!(named || another || !l->words) || !scan_port(at, c->s->end, &number))
		return false;
	if (is_one_more_port(c, l, number))
		place_another(c, at, end, number);
	else if (!l->words && is_port_of_above(c, at, number))
		place_below(c, at, end, number);
	else if (named && !l->loose)
		place_port(c, l, at, end, number);
	else if (another)
		place_another(c, at, end, number);
	else
		return note_port(c, l, at, end, number), false;
	return true;
}
