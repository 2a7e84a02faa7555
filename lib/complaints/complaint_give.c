// SPDX-License-Identifier: BSD-2-Clause
/* Questions from what was tied: the year, the zone and the order of day and month that the text says elsewhere. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_private.h"

/* Questions given, to know them again. */
struct given {
	uint32_t addr;
	uint16_t port;
	int64_t t;
};

struct giving {
	struct reading *x;
	struct given *known; /* a table of `slots`, a power of 2; port 0 with t -1: free */
	size_t slots;
	unsigned questions;
};

static struct complaint_place place(struct giving *g, uint32_t item)
{
	const struct item *i = item == NONE ? NULL : &g->x->items[item];

	return i ? complaint_place(g->x, i->at, i->size) : (struct complaint_place){ 0 };
}

static const struct stamp *stamp_of(const struct reading *x, uint32_t item)
{
	return &x->stamps[x->items[item].stamp];
}

/* Whether the text says in words which comes first in its dates: 1 the day, 2 the month, 0 nothing. */
static int order_in_words(const struct reading *x)
{
	static const char *const day[] = { "dd/mm", "tt/mm", "jj/mm", "gg/mm", "day/month", "day first", "dd-mm", "dd.mm" };
	static const char *const month[] = { "mm/dd", "month/day", "month first", "mm-dd" };
	int order = 0;

	for (size_t i = 0; i < ARRAY_SIZE(day); i++)
		if (strcasestr(x->text, day[i]))
			order |= 1;
	for (size_t i = 0; i < ARRAY_SIZE(month); i++) {
		const char *at = strcasestr(x->text, month[i]);

		/* "yyyy-mm-dd" says nothing about others. */
		if (at && (at < x->text + 3 || (at[-1] != '-' && at[-1] != '/')))
			order |= 2;
	}
	return order == 3 ? 0 : order;
}

/* Whether a day is named in the text in a form that has one meaning. */
static bool named(const struct reading *x, int year, int month, int day)
{
	for (size_t i = 0; i < x->n_stamps; i++)
		if (x->stamps[i].date && !x->stamps[i].either && (!x->stamps[i].year || x->stamps[i].year == year) &&
		    x->stamps[i].month == month && x->stamps[i].day == day)
			return true;
	return false;
}

static int day_of(int year, int month, int day)
{
	return (year * 12 + month) * 31 + day;
}

/* Settles a date whose day and month could be exchanged: false if nothing does. */
static bool settle(const struct reading *x, struct stamp *s)
{
	bool as_read = named(x, s->year, s->month, s->day), exchanged = named(x, s->year, s->day, s->month);
	int order = 0, words = order_in_words(x);
	struct stamp sent = x->sent;

	for (size_t i = 0; i < x->n_items; i++) {
		const struct stamp *t = x->items[i].kind == ITEM_TIME ? stamp_of(x, (uint32_t)i) : NULL;
		const char *at = x->text + x->items[i].at;
		int first;

		if (!t || !t->date || t->exact || t->either || !memchr(at, '/', x->items[i].size < 6 ? x->items[i].size : 6) ||
		    strspn(at, "0123456789") > 2)
			continue;
		first = atoi(at);
		if (first == t->month && first == t->day)
			continue;
		order |= first == t->day ? 1 : 2;
	}
	order = order == 3 ? 0 : order;
	order = order ? order : words;
	if (!order && as_read != exchanged)
		order = as_read ? 1 : 2;
	/* What comes after the complaint has not happened. */
	if (!order && sent.date) {
		int then = day_of(sent.year, sent.month, sent.day) + 1;
		bool can = day_of(s->year, s->month, s->day) <= then, other = day_of(s->year, s->day, s->month) <= then;

		order = can && !other ? 1 : other && !can ? 2 : 0;
	}
	if (!order)
		return false;
	if (order == 2) {
		int8_t day = s->day;

		s->day = s->month;
		s->month = day;
	}
	s->either = false;
	return true;
}

/* The year of a day without one: that of the same day elsewhere in the text, if it is one year. */
static int year_of(const struct reading *x, const struct stamp *s)
{
	int year = 0;

	for (size_t i = 0; i < x->n_stamps; i++) {
		const struct stamp *t = &x->stamps[i];

		if (!t->date || !t->year || t->exact || t->either || t->month != s->month || t->day != s->day)
			continue;
		if (year && year != t->year)
			return 0;
		year = t->year;
	}
	return year;
}

/* The zone of a time without one: of the same time elsewhere, of the scopes around, or the one that is asked for. */
static struct claim zone_of(const struct reading *x, const struct stamp *s, uint32_t scope)
{
	struct claim found = { 0 };

	for (size_t i = 0; i < x->n_stamps; i++) {
		const struct stamp *t = &x->stamps[i];

		if (t->date && t->clock && !t->exact && claim_given(&t->zone) && t->year == s->year && t->month == s->month &&
		    t->day == s->day && t->hour == s->hour && t->minute == s->minute && t->second == s->second)
			claim_add(&found, &t->zone);
	}
	for (; !claim_given(&found) && scope != NONE; scope = x->scopes[scope].parent)
		for (unsigned k = 0; k < x->scopes[scope].n_zones; k++)
			claim_add(&found, &stamp_of(x, x->scopes[scope].zones[k])->zone);
	return found;
}

static struct claim claim_of(const struct zone *zone)
{
	struct claim c = { 0 };

	if (!zone->given)
		return c;
	if (zone->named) {
		snprintf(c.name, sizeof(c.name), "%.39s", zone->name);
	} else {
		c.n = 1;
		c.minutes[0] = (int16_t)(zone->offset / 60);
	}
	return c;
}

static enum complaint_fault time_fault(const struct reading *x, const struct item *a, int64_t *ret, struct error *why)
{
	struct stamp s;
	struct claim zone = { 0 };

	if (a->time_item == NONE)
		return error_set(why, FAULT_NO_TIME, "the text ties no time to it");
	s = *stamp_of(x, a->time_item);
	if (s.exact)
		return *ret = s.t, FAULT_NONE;
	if (!s.date)
		return error_set(why, FAULT_NO_TIME, "its time has no date (tcpdump -tttt prints dates)");
	if (!s.clock)
		return error_set(why, FAULT_NO_TIME, "the day alone is given, and no time of it");
	if (!s.year)
		s.year = (int16_t)year_of(x, &s);
	if (!s.year)
		return error_set(why, FAULT_NO_YEAR, "its time has no year, and nothing in the text says it");
	if (s.either && !settle(x, &s))
		return error_set(why, FAULT_AMBIGUOUS_DATE, "%02d/%02d/%04d: the day or the month may be first; write YYYY-MM-DD",
				 s.day, s.month, s.year);
	if (!claim_given(&s.zone))
		zone = zone_of(x, &s, x->items[a->time_item].scope);
	if (!claim_given(&s.zone) && !claim_given(&zone))
		zone = claim_of(x->reader->zone);
	if (!claim_given(&s.zone) && !claim_given(&zone))
		return error_set(why, FAULT_NO_ZONE, "the time has no zone; --zone names it");
	return stamp_second(&s, &zone, ret, why) ? FAULT_TIME : FAULT_NONE;
}

static void text_of(const struct reading *x, uint32_t item, char ret[static 60])
{
	snprintf(ret, 60, "%.*s", (int)(x->items[item].size < 59 ? x->items[item].size : 59), x->text + x->items[item].at);
	for (char *p = ret; *p; p++)
		if (*p == '\n')
			*p = ' ';
}

static void several(struct giving *g, const struct item *a, struct complaint *q)
{
	uint32_t one = a->fault == FAULT_SEVERAL_PORTS ? a->port_item : a->time_item;
	char first[60], second[60];

	text_of(g->x, one, first);
	text_of(g->x, a->other, second);
	error_set(&q->why, 0, "%s (line %u) or %s (line %u): the text does not say which", first, place(g, one).line, second,
		  place(g, a->other).line);
	q->fault = a->fault;
}

static bool known(struct giving *g, const struct complaint *q)
{
	size_t slot = (q->out.addr * 2654435761U ^ q->out.port * 40503U ^ (uint64_t)q->t * 0x9e3779b97f4a7c15U >> 20) & (g->slots - 1);

	for (; g->known[slot].t != INT64_MIN; slot = (slot + 1) & (g->slots - 1))
		if (g->known[slot].addr == q->out.addr && g->known[slot].port == q->out.port && g->known[slot].t == q->t)
			return true;
	g->known[slot] = (struct given){ q->out.addr, q->out.port, q->t };
	return false;
}

static bool asked(const struct giving *g, uint32_t addr, uint32_t before)
{
	size_t seen = 0;

	for (size_t i = 0; i < g->x->n_items && seen < 4096; i++) {
		const struct item *a = &g->x->items[i];

		if (a->kind != ITEM_ADDR || a->addr != addr || a->role == WORD_TARGET)
			continue;
		seen++;
		if (a->port_item != NONE || i < before)
			return true;
	}
	return false;
}

static int give_one(struct giving *g, uint32_t number)
{
	struct reading *x = g->x;
	const struct item *a = &x->items[number];
	struct complaint q = { .addr = place(g, number) };

	q.line = q.addr.line;
	q.out.addr = a->addr;
	if (a->port_item == NONE) {
		/* Named with its port elsewhere, or already. */
		if (asked(g, a->addr, number))
			return 0;
		if (!x->reader->ours && a->role != WORD_SOURCE && g->questions)
			return 0;
		q.fault = FAULT_NO_PORT;
		error_set(&q.why, 0, "there is no source port; without it every subscriber of the address is possible");
		g->questions++;
		return x->reader->take(x->reader->arg, &q);
	}
	q.out.port = x->items[a->port_item].port;
	q.port = place(g, a->port_item);
	q.time = place(g, a->time_item);
	if (a->proto_item != NONE)
		q.proto = x->items[a->proto_item].proto;
	if (x->items[a->port_item].cut) {
		q.fault = FAULT_CUT_OFF;
		error_set(&q.why, 0, "the record ends behind its source port, which may be cut off");
	} else if (a->fault && a->other != NONE) {
		several(g, a, &q);
	} else if (!q.out.port) {
		q.fault = FAULT_NO_PORT;
		error_set(&q.why, 0, "port 0 is nobody's");
	} else {
		q.fault = time_fault(x, a, &q.t, &q.why);
	}
	q.good = !q.fault;
	if (q.good && known(g, &q))
		return 0;
	g->questions++;
	return x->reader->take(x->reader->arg, &q);
}

static bool is_candidate(const struct reading *x, const struct item *a)
{
	if (a->kind != ITEM_ADDR || a->role == WORD_TARGET)
		return false;
	return !x->reader->ours ? a->port_item != NONE || a->role == WORD_SOURCE || true : x->reader->ours(x->reader->arg, a->addr);
}

int complaint_give(struct reading *x)
{
	struct giving g = { .x = x, .slots = 64 };
	int r = 0;

	while (g.slots < x->n_items * 2)
		g.slots *= 2;
	g.known = calloc(g.slots, sizeof(*g.known));
	if (!g.known)
		return -ENOMEM;
	for (size_t i = 0; i < g.slots; i++)
		g.known[i].t = INT64_MIN;
	/* Those with a port first decide whether one without is a question. */
	for (uint32_t i = 0; i < x->n_items && !r; i++)
		if (is_candidate(x, &x->items[i]))
			r = give_one(&g, i);
	if (!r && !g.questions && x->foreign) {
		struct complaint q = { .fault = FAULT_NOT_OURS };

		error_set(&q.why, 0, "no address in it is, or was, of this gateway");
		r = x->reader->take(x->reader->arg, &q);
	}
	free(g.known);
	return r;
}
