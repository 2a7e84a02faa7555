// SPDX-License-Identifier: BSD-2-Clause
/*
 * Questions from what was tied, in the order of the text.
 *
 * A line of a log without a zone, of an endpoint that is asked about, is named and passed over, and so is a line
 * without a port. If it may show the second that is asked about, it is no other event. The same address, port and
 * second in two places is one question. An address without a port is refused, and so is one without a time, unless the
 * address with its port, or both with their time, stand in another place of the text. A record, which has a time of its
 * own, is refused then, too: it is another event.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_elsewhere.h"
#include "complaints/complaint_given.h"

/* Added to a second at which an endpoint is definite somewhere in the text. */
#define DEFINITE (INT64_C(1) << 48)

/* So far the clocks of who saw it and of who sent the mail may be apart, in seconds. */
#define CLOCKS_APART (24 * 3600L)

/* More that are refused are counted alone. */
#define MOST_REFUSED 10000U

struct giving {
	struct reading *x;
	struct elsewhere elsewhere;
	struct given_set given;
	int64_t *seconds; /* of each item that is definite, else FREE */
	uint64_t questions, refused;
	uint64_t unlisted_at; /* the line of the first that is refused, and not listed */
	bool ported;	      /* an address has a port */
	int64_t sent;	      /* when the mail was, or 0 */
	uint8_t proto;	      /* the only one that is named in the text, or 0 */
	int order; /* of days and months that could be exchanged, for candidates: 1 as read, 2 the other; 0: the text
		      says it */
};

static bool known(struct giving *g, uint32_t addr, uint16_t port, int64_t t, bool add)
{
	return given_has(&g->given, &(struct given){ addr, port, t }, add);
}

static struct complaint_place place(const struct giving *g, uint32_t item)
{
	const struct item *i = item == NONE ? NULL : &g->x->items[item];

	return i ? complaint_place(g->x, i->at, i->size) : (struct complaint_place){ 0 };
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

static bool settle(const struct giving *g, struct stamp *s)
{
	if (!g->order)
		return elsewhere_settle(&g->elsewhere, s);
	s->either = false;
	if (g->order == 2)
		stamp_exchange(s);
	return true;
}

/* The second of a time; its fault if it has none. */
static enum complaint_fault second_of(const struct giving *g, uint32_t item, int64_t *ret, struct error *why)
{
	struct stamp s;
	struct claim zone = { 0 };
	int64_t t;

	if (item == NONE)
		return error_set(why, FAULT_NO_TIME, "the text ties no time to it");
	s = g->x->stamps[g->x->items[item].stamp];
	if (s.exact)
		return *ret = s.t, FAULT_NONE;
	if (!s.date && !s.clock)
		return error_set(why, FAULT_CUT_OFF, "its time breaks off");
	if (!s.date)
		return error_set(why, FAULT_NO_TIME, "its time has no date (tcpdump -tttt prints dates)");
	if (!s.clock)
		return error_set(why, FAULT_NO_TIME, "the day alone is given, and no time of it");
	if (!s.year)
		s.year = (int16_t)elsewhere_year(&g->elsewhere, &s);
	if (!s.year)
		return error_set(why, FAULT_NO_YEAR,
				 "its time has no year, and nothing in the text says it: write the date as YYYY-MM-DD");
	if (s.either && !settle(g, &s))
		return error_set(why, FAULT_AMBIGUOUS_DATE,
				 "%02d/%02d/%04d: the day or the month may be first; write YYYY-MM-DD", s.day, s.month,
				 s.year);
	if (claim_given(&s.zone))
		elsewhere_fields(&g->elsewhere, g->x->items[item].scope, &s.zone);
	else
		zone = elsewhere_zone(&g->elsewhere, &s, g->x->items[item].scope);
	/* "All times are UTC unless they are local" */
	if (g->x->items[item].local && zone.n == 1 && !zone.minutes[0] && !*zone.name)
		return error_set(why, FAULT_NO_ZONE,
				 "the time is local, says the text, and not of UTC; ask for its zone");
	if (!claim_given(&s.zone) && !claim_given(&zone))
		zone = claim_of(g->x->reader->zone);
	if (!claim_given(&s.zone) && !claim_given(&zone))
		return error_set(why, FAULT_NO_ZONE, "the time has no zone; --zone names it");
	if (stamp_second(&s, &zone, &t, why))
		return FAULT_TIME;
	if (g->sent && t > g->sent + CLOCKS_APART)
		return error_set(why, FAULT_TIME, "the time had not come when the mail was sent");
	*ret = t;
	return FAULT_NONE;
}

static void candidate(const struct giving *g, const struct item *a, uint32_t port, uint32_t time, struct complaint *q)
{
	struct complaint_candidate *c = &q->candidates[q->n_candidates++];

	*c = (struct complaint_candidate){ .out = { .addr = a->addr, .port = g->x->items[port].port },
					   .addr = place(g, (uint32_t)(a - g->x->items)),
					   .port = place(g, port),
					   .time = place(g, time) };
	c->timed = !second_of(g, time, &c->t, NULL);
}

/* Whether what is refused is still listed. Nobody reads more, which would be longer than the mail. */
static bool is_listed(const struct giving *g)
{
	return g->refused < MOST_REFUSED;
}

/* Of an address of which two ports or two times may be meant, or of two addresses. */
static void several(const struct giving *g, const struct item *a, struct complaint *q)
{
	const struct item *b = a->fault == FAULT_SEVERAL_ADDRESSES ? &g->x->items[a->other] : a;
	uint32_t one = a->fault == FAULT_SEVERAL_PORTS ? a->port_item
		       : b == a			       ? a->time_item
						       : (uint32_t)(a - g->x->items);
	char first[60], second[60];

	q->fault = a->fault;
	if (!is_listed(g))
		return;
	complaint_text_of(g->x, one, first);
	complaint_text_of(g->x, a->other, second);
	error_set(&q->why, 0, "%s (line %u) or %s (line %u): the text does not say which", first, place(g, one).line,
		  second, place(g, a->other).line);
	candidate(g, a, a->port_item, a->time_item, q);
	candidate(g, b, a->fault == FAULT_SEVERAL_PORTS ? a->other : b->port_item,
		  a->fault == FAULT_SEVERAL_TIMES ? a->other : a->time_item, q);
}

/* Of a time that another sentence says of something else. */
static void untied(const struct giving *g, const struct item *a, struct complaint *q)
{
	char time[60];

	q->fault = FAULT_NO_TIME;
	if (!is_listed(g))
		return;
	complaint_text_of(g->x, a->time_item, time);
	error_set(&q->why, 0, "%s (line %u): the text does not say that it is the time of that port", time,
		  place(g, a->time_item).line);
	candidate(g, a, a->port_item, a->time_item, q);
}

/* Of values of which the text itself is not sure. */
static void unsure(const struct giving *g, const struct item *a, struct complaint *q)
{
	static const char *const why[] = {
		[DOUBT_SPAN] = "is the end of a span; ask for the second",
		[DOUBT_ABOUT] = "is approximate, says the text; ask for the second",
		[DOUBT_MAYBE] = "may be another, or its port may, says the text; ask which",
		[DOUBT_ADDRESS] = "is of one of two addresses, says the text; ask which",
		[DOUBT_CLOCK] = "is of a clock that the text says is wrong; ask for the right time",
		[DOUBT_TWELVE] = "is of a clock of twelve hours, and may be of the other half of the day; ask which",
		[DOUBT_CORRECTED] = "does not fit what the text corrects; ask which holds",
		[DOUBT_WEEKDAY] = "is of another day of the week than the text says; ask for the day",
		[DOUBT_MIDNIGHT] =
			"may be of the day before or behind, there is a midnight in the log; ask for the day",
		[DOUBT_WITHDRAWN] = "is of an event that the text takes back; ask whether it holds",
		[DOUBT_EXAMPLE] = "is of an example, says the text; ask whether it was an event",
		[DOUBT_REWRITTEN] = "has an address or a port that was changed, says the text; ask for the one used",
		[DOUBT_BEFORE] = "is of a quoted mail, and it happened again, says the text; ask for that time",
		[DOUBT_RIVAL] = "has another port in the mail's HTML than in its text; ask which",
		[DOUBT_RIVAL_OTHER] = "is in doubt: the mail's HTML has another address, time or zone; ask which",
		[DOUBT_ABOVE] = "is in a row without an address, below one that has it; ask whose it is",
	};
	char time[60];

	q->fault = FAULT_UNSURE;
	if (!is_listed(g))
		return;
	complaint_text_of(g->x, a->time_item, time);
	error_set(&q->why, 0, "%s (line %u) %s", time, place(g, a->time_item).line, why[a->doubt]);
	candidate(g, a, a->port_item, a->time_item, q);
}

/* Both readings of a date whose day and month could be exchanged. */
static void both_dates(struct giving *g, const struct item *a, struct complaint *q)
{
	for (g->order = 1; g->order <= 2; g->order++)
		candidate(g, a, a->port_item, a->time_item, q);
	g->order = 0;
}

static int take(struct giving *g, const struct item *a, struct complaint *q)
{
	q->good = !q->fault;
	g->questions++;
	if (q->good || is_listed(g)) {
		q->addr = place(g, (uint32_t)(a - g->x->items));
		q->port = place(g, a->port_item);
		if (a->port_item != NONE)
			q->time = place(g, a->time_item);
		q->line = q->addr.line;
	} else if (g->refused == MOST_REFUSED) {
		g->unlisted_at = place(g, (uint32_t)(a - g->x->items)).line;
	}
	g->refused += !q->good;
	return q->good || g->refused <= MOST_REFUSED ? g->x->reader->take(g->x->reader->arg, q) : 0;
}

/* Whether an address is of a row or an object, which is another event than what is elsewhere. */
static bool in_record(const struct reading *x, uint32_t scope)
{
	return x->scopes[complaint_record(x, scope)].closed;
}

/* Names a line that is passed over. */
static int pass_over(struct giving *g, const struct item *a, enum complaint_notice_code code, const char *text)
{
	complaint_tell(g->x, g->x->text + a->at, code, "%s", text);
	return 0;
}

static int give_portless(struct giving *g, const struct item *a, struct complaint *q)
{
	const struct reading *x = g->x;
	bool record = a->time_item != NONE && in_record(x, a->scope);

	bool own_time = a->time_item != NONE && x->items[a->time_item].scope == a->scope;

	if (!record && known(g, a->addr, 0, WITH_PORT, false))
		return own_time ? pass_over(g, a, NOTICE_NO_PORT, "a line with a time of its own has no port") : 0;
	if (!record && known(g, a->addr, 0, PORTLESS, true))
		return 0;
	/* Which addresses are meant is not known then: those that are said to be, or all if none has a port. */
	if (!record && !x->reader->ours && a->role != WORD_SOURCE && g->ported)
		return 0;
	q->fault = FAULT_NO_PORT;
	error_set(&q->why, 0, "there is no source port; without it every subscriber of the address is possible");
	return take(g, a, q);
}

/* Whether an endpoint is definite at a second that a clock of some zone shows so. */
static bool is_told(struct giving *g, const struct item *a)
{
	struct stamp s = g->x->stamps[g->x->items[a->time_item].stamp];
	struct claim utc = { .n = 1 };
	int64_t t;

	if (!s.year)
		s.year = (int16_t)elsewhere_year(&g->elsewhere, &s);
	if (!s.year || (s.either && !elsewhere_settle(&g->elsewhere, &s)) || stamp_second(&s, &utc, &t, NULL))
		return false;
	for (int quarter = -14 * 4; quarter <= 14 * 4; quarter++)
		if (known(g, a->addr, g->x->items[a->port_item].port, t + quarter * 900L + DEFINITE, false))
			return true;
	return false;
}

/*
 * A line of a log whose clock says no zone or no year, of an endpoint that is definite elsewhere. One that is a value
 * of a row or an object tells of the same event as these if it is of the same second.
 */
static bool is_of_log(struct giving *g, const struct item *a, const struct complaint *q)
{
	bool value = a->scope != complaint_record(g->x, a->scope);

	return (q->fault == FAULT_NO_ZONE || q->fault == FAULT_NO_YEAR) &&
	       known(g, a->addr, q->out.port, DEFINITE, false) &&
	       (!in_record(g->x, a->scope) || (value && is_told(g, a)));
}

/* Finds what is asked about an address with a port, or its fault. */
static void find_question(struct giving *g, const struct item *a, struct complaint *q)
{
	const struct reading *x = g->x;

	if (x->items[a->port_item].cut)
		q->fault = error_set(&q->why, FAULT_CUT_OFF, "its source port may be cut off, and lack digits");
	else if (a->fault == FAULT_NO_TIME)
		untied(g, a, q);
	else if (a->fault == FAULT_UNSURE)
		unsure(g, a, q);
	else if (a->fault && a->other != NONE)
		several(g, a, q);
	else if (!q->out.port)
		q->fault = error_set(&q->why, FAULT_NO_PORT, "port 0 is nobody's");
	else
		q->fault = second_of(g, a->time_item, &q->t, is_listed(g) ? &q->why : NULL);
	if (q->fault == FAULT_AMBIGUOUS_DATE && is_listed(g))
		both_dates(g, a, q);
}

static int give_one(struct giving *g, uint32_t number)
{
	const struct reading *x = g->x;
	const struct item *a = &x->items[number];
	struct complaint q = { .out.addr = a->addr };

	if (a->port_item == NONE)
		return give_portless(g, a, &q);
	q.out.port = x->items[a->port_item].port;
	q.proto = a->proto ? a->proto : g->proto;
	q.t = g->seconds[number];
	if (q.t == FREE || !q.out.port || x->items[a->port_item].cut)
		find_question(g, a, &q);
	if (a->time_item == NONE && !in_record(x, a->scope) && known(g, a->addr, q.out.port, ANY_TIME, false))
		return 0;
	if (!q.fault && known(g, a->addr, q.out.port, q.t, true))
		return 0;
	if (is_of_log(g, a, &q))
		return is_told(g, a) ? 0
				     : pass_over(g, a, NOTICE_NO_ZONE,
						 "a time of an endpoint that is asked about has no zone or no year");
	return take(g, a, &q);
}

static bool is_asked(const struct reading *x, const struct item *a)
{
	return a->kind == ITEM_ADDR && a->role != WORD_TARGET &&
	       (x->reader->ours ? x->reader->ours(x->reader->arg, a->addr) : !addr_nobodys(a->addr));
}

static uint8_t only_proto(const struct reading *x)
{
	uint8_t proto = 0;

	for (size_t i = 0; i < x->n_items; i++) {
		if (x->items[i].kind != ITEM_PROTO)
			continue;
		if (proto && proto != x->items[i].proto)
			return 0;
		proto = x->items[i].proto;
	}
	return proto;
}

/* That no address is asked about. */
static void say_not_ours(struct giving *g, struct complaint *q)
{
	uint32_t target = complaint_target_of_ours(g->x);
	char addr[60];

	if (target == NONE) {
		error_set(&q->why, 0, "no address in it is, or was, of this gateway");
		return;
	}
	complaint_text_of(g->x, target, addr);
	error_set(&q->why, 0, "%s (line %u) is named as the target, and no other address is, or was, of this gateway",
		  addr, place(g, target).line);
}

/* What is said of no address alone. */
static int give_rest(struct giving *g)
{
	const struct complaint_reader *reader = g->x->reader;
	struct complaint q = { .fault = FAULT_NOT_OURS };

	if (g->refused > MOST_REFUSED) {
		q.fault = FAULT_UNLISTED;
		q.line = g->unlisted_at;
		q.unlisted = g->refused - MOST_REFUSED;
		error_set(&q.why, 0, "%" PRIu64 " more were refused from here on, which are not listed", q.unlisted);
	} else if (!g->questions && g->x->foreign) {
		say_not_ours(g, &q);
	} else {
		return 0;
	}
	return reader->take(reader->arg, &q);
}

/* Finds the seconds of what is definite. Returns whether something is not, which other places of the text may be. */
static bool find_seconds(struct giving *g)
{
	const struct reading *x = g->x;
	bool any = false;

	for (uint32_t i = 0; i < x->n_items; i++) {
		const struct item *a = &x->items[i];
		bool ported = is_asked(x, a) && a->port_item != NONE;

		g->seconds[i] = FREE;
		g->ported |= ported;
		if (ported && !a->fault)
			second_of(g, a->time_item, &g->seconds[i], NULL);
		any |= is_asked(x, a) && g->seconds[i] == FREE;
	}
	return any;
}

/* Notes what is said of each address, where it is not said of all. */
static void note_known(struct giving *g)
{
	const struct reading *x = g->x;

	for (uint32_t i = 0; i < x->n_items && !g->given.failed; i++) {
		const struct item *a = &x->items[i];
		uint16_t port;

		if (!is_asked(x, a) || a->port_item == NONE)
			continue;
		port = x->items[a->port_item].port;
		known(g, a->addr, 0, WITH_PORT, true);
		if (a->time_item != NONE)
			known(g, a->addr, port, ANY_TIME, true);
		if (g->seconds[i] == FREE)
			continue;
		known(g, a->addr, port, DEFINITE, true);
		known(g, a->addr, port, g->seconds[i] + DEFINITE, true);
	}
}

static int give_all(struct giving *g)
{
	const struct reading *x = g->x;
	int r = 0;

	g->proto = only_proto(x);
	if (find_seconds(g))
		note_known(g);
	for (uint32_t i = 0; i < x->n_items && !r && !g->given.failed; i++)
		if (is_asked(x, &x->items[i]))
			r = give_one(g, i);
	if (g->given.failed)
		return -ENOMEM;
	return r ? r : give_rest(g);
}

int complaint_give(struct reading *x)
{
	_cleanup_free_ int64_t *seconds = reallocarray(NULL, x->n_items + 1, sizeof(*seconds));
	struct giving g = { .x = x, .seconds = seconds };
	int r = seconds ? elsewhere_survey(&g.elsewhere, x) : -ENOMEM;

	if (!x->sent.date || stamp_second(&x->sent, &(struct claim){ 0 }, &g.sent, NULL))
		g.sent = 0;
	if (!r)
		r = given_begin(&g.given);
	if (!r)
		r = give_all(&g);
	given_free(&g.given);
	elsewhere_free(&g.elsewhere);
	return r;
}
