// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ties items together, scope by scope from the innermost out. What is complete in a scope stays there; what is not
 * looks for the rest in the scope around, where only what no other address has is left.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "complaints/complaint_private.h"

/* Addresses of a scope that are compared with each other; of more, none is tied by its neighbour. */
#define MAX_COMPARED 64U

static bool full(const struct stamp *s)
{
	return s->date && s->clock;
}

static void add_port(struct reading *x, struct scope *s, uint32_t i)
{
	for (unsigned k = 0; k < s->n_ports; k++)
		if (x->items[s->ports[k]].port == x->items[i].port)
			return;
	if (s->n_ports < SCOPE_ITEMS)
		s->ports[s->n_ports++] = i;
}

/* Keeps a time, or the one of two that say the same which says more; and of the lowest rank only. */
static void add_time(struct reading *x, struct scope *s, uint32_t i)
{
	const struct item *new = &x->items[i];
	const struct stamp *b = &x->stamps[new->stamp];

	if (new->rank >= RANK_END)
		return;
	for (unsigned k = 0; k < s->n_times; k++) {
		struct item *old = &x->items[s->times[k]];
		const struct stamp *a = &x->stamps[old->stamp];

		if (!stamp_agree(a, b))
			continue;
		if (b->exact || (!a->exact && (claim_given(&b->zone) && !claim_given(&a->zone))))
			s->times[k] = i;
		if (new->rank < x->items[s->times[k]].rank)
			x->items[s->times[k]].rank = new->rank;
		return;
	}
	if (s->n_times < SCOPE_ITEMS) {
		s->times[s->n_times++] = i;
		return;
	}
	/* Of too many, halves of times go first. Two that are whole are an ambiguity, and need no third. */
	for (unsigned k = 0; k < s->n_times; k++)
		if (full(b) && !full(&x->stamps[x->items[s->times[k]].stamp])) {
			s->times[k] = i;
			return;
		}
}

static void add_zone(struct reading *x, struct scope *s, uint32_t i)
{
	for (unsigned k = 0; k < s->n_zones; k++)
		if (claim_equal(&x->stamps[x->items[s->zones[k]].stamp].zone, &x->stamps[x->items[i].stamp].zone))
			return;
	if (s->n_zones < SCOPE_ITEMS)
		s->zones[s->n_zones++] = i;
}

static void add_address(struct reading *x, struct scope *s, uint32_t i)
{
	if (s->last == NONE)
		s->first = i;
	else
		x->items[s->last].next = i;
	s->last = i;
	x->items[i].next = NONE;
}

static void distribute(struct reading *x)
{
	for (uint32_t i = 0; i < x->n_items; i++) {
		struct item *item = &x->items[i];
		struct scope *s;

		if (item->scope == NONE)
			continue;
		s = &x->scopes[item->scope];
		if (item->kind == ITEM_ADDR && !item->done && item->role != WORD_TARGET)
			add_address(x, s, i);
		else if (item->kind == ITEM_PORT && item->role != WORD_TARGET)
			add_port(x, s, i);
		else if (item->kind == ITEM_TIME)
			add_time(x, s, i);
		else if (item->kind == ITEM_ZONE)
			add_zone(x, s, i);
		else if (item->kind == ITEM_PROTO) {
			s->protos |= item->proto == IPPROTO_TCP ? 1 : 2;
			s->proto = i;
		}
	}
}

static bool port_less(const struct item *a)
{
	return a->port_item == NONE;
}

/* A scope's ports to its address that has none, if that is one. */
static void tie_ports(struct reading *x, struct scope *s)
{
	uint32_t only = NONE, sources = 0, source = NONE;

	for (uint32_t i = s->first; i != NONE; i = x->items[i].next) {
		if (!port_less(&x->items[i]))
			continue;
		if (only != NONE && x->items[only].addr != x->items[i].addr)
			return;
		only = only == NONE ? i : only;
	}
	if (only == NONE || !s->n_ports)
		return;
	for (unsigned k = 0; k < s->n_ports; k++)
		if (x->items[s->ports[k]].role == WORD_SOURCE) {
			sources++;
			source = s->ports[k];
		}
	if (!sources && s->n_ports == 1)
		source = s->ports[0];
	for (uint32_t i = s->first; i != NONE; i = x->items[i].next) {
		struct item *a = &x->items[i];

		if (!port_less(a))
			continue;
		if (sources > 1 || (!sources && s->n_ports > 1)) {
			a->fault = FAULT_SEVERAL_PORTS;
			a->port_item = s->ports[0];
			a->other = s->ports[1];
		} else {
			a->port_item = source;
		}
	}
	s->n_ports = 0;
}

/* The times of the lowest rank, first in the list. Returns how many. */
static unsigned best_times(struct reading *x, struct scope *s)
{
	unsigned n = 0;
	uint8_t rank = RANK_OTHER;
	bool complete = false;

	for (unsigned k = 0; k < s->n_times; k++)
		complete |= full(&x->stamps[x->items[s->times[k]].stamp]);
	for (unsigned k = 0; k < s->n_times; k++)
		if (x->items[s->times[k]].rank < rank && (!complete || full(&x->stamps[x->items[s->times[k]].stamp])))
			rank = x->items[s->times[k]].rank;
	for (unsigned k = 0; k < s->n_times; k++) {
		uint32_t i = s->times[k];

		if (x->items[i].rank != rank || (complete && !full(&x->stamps[x->items[i].stamp])))
			continue;
		s->times[k] = s->times[n];
		s->times[n++] = i;
	}
	return n;
}

/* A day and an hour that stand apart are one time. */
static void join_halves(struct reading *x, struct scope *s)
{
	uint32_t day = NONE, hour = NONE, n = 0, days = 0, hours = 0;

	for (unsigned k = 0; k < s->n_times; k++) {
		const struct stamp *t = &x->stamps[x->items[s->times[k]].stamp];

		n += full(t);
		if (t->date && !t->clock && ++days)
			day = s->times[k];
		if (t->clock && !t->date && ++hours)
			hour = s->times[k];
	}
	if (n || days != 1 || hours != 1)
		return;
	struct stamp joined = x->stamps[x->items[day].stamp], *clock = &x->stamps[x->items[hour].stamp];

	joined.clock = true;
	joined.hour = clock->hour;
	joined.minute = clock->minute;
	joined.second = clock->second;
	joined.seconds = clock->seconds;
	claim_add(&joined.zone, &clock->zone);
	x->stamps[x->items[hour].stamp] = joined;
	s->times[0] = hour;
	s->n_times = 1;
}

static void tie_times(struct reading *x, struct scope *s, bool outermost)
{
	unsigned n;
	bool halves = false;

	join_halves(x, s);
	n = best_times(x, s);
	for (unsigned k = 0; k < n; k++)
		halves |= !full(&x->stamps[x->items[s->times[k]].stamp]);
	for (uint32_t i = s->first; i != NONE && n; i = x->items[i].next) {
		struct item *a = &x->items[i];

		if (a->time_item != NONE && (x->items[a->time_item].rank != RANK_LATE || x->items[s->times[0]].rank != RANK_EVENT))
			continue;
		/* A day alone, and an hour alone, look for their other half around, but for a log's. */
		if (halves && !outermost && !x->items[s->times[0]].stamped)
			return;
		a->time_item = s->times[0];
		if (n > 1 && !a->fault) {
			a->fault = FAULT_SEVERAL_TIMES;
			a->other = s->times[1];
		}
	}
}

/* One address in two places, here with its port and there with its time. */
static void tie_same(struct reading *x, const struct scope *s)
{
	unsigned n = 0;

	for (uint32_t i = s->first; i != NONE; i = x->items[i].next)
		if (++n > MAX_COMPARED)
			return;
	for (uint32_t i = s->first; i != NONE; i = x->items[i].next) {
		struct item *a = &x->items[i];

		if (port_less(a) || a->time_item != NONE)
			continue;
		for (uint32_t k = s->first; k != NONE; k = x->items[k].next) {
			struct item *b = &x->items[k];

			if (b->addr != a->addr || !port_less(b) || b->time_item == NONE || b->fault)
				continue;
			if (a->time_item != NONE && a->time_item != b->time_item &&
			    !stamp_agree(&x->stamps[x->items[a->time_item].stamp], &x->stamps[x->items[b->time_item].stamp])) {
				a->fault = FAULT_SEVERAL_TIMES;
				a->other = b->time_item;
			} else if (a->time_item == NONE || claim_given(&x->stamps[x->items[b->time_item].stamp].zone)) {
				a->time_item = b->time_item;
			}
		}
	}
}

/* What is left goes to the scope around. */
static void pass(struct reading *x, uint32_t number)
{
	struct scope *s = &x->scopes[number], *p;
	bool addresses = s->first != NONE;

	if (s->parent == NONE)
		return;
	p = &x->scopes[s->parent];
	for (uint32_t i = s->first, next; i != NONE; i = next) {
		struct item *a = &x->items[i];

		next = a->next;
		if (a->proto_item == NONE && (s->protos == 1 || s->protos == 2))
			a->proto_item = s->proto;
		/* Of a discovery, the time of what was discovered may be around. */
		a->done = !port_less(a) && ((a->time_item != NONE && x->items[a->time_item].rank != RANK_LATE) || a->fault || s->closed);
		if (!a->done)
			add_address(x, p, i);
	}
	for (unsigned k = 0; k < s->n_ports && !s->closed; k++)
		add_port(x, p, s->ports[k]);
	/* "All times are UTC" is for all that is around; a zone in a record is for the record alone. */
	for (unsigned k = 0; k < s->n_zones && !s->closed; k++)
		if (!addresses || !x->items[s->zones[k]].keyed)
			add_zone(x, p, s->zones[k]);
	for (unsigned k = 0; k < s->n_times && !addresses && !s->closed; k++)
		add_time(x, p, s->times[k]);
	if (!addresses) {
		p->protos |= s->protos;
		p->proto = s->proto != NONE ? s->proto : p->proto;
	}
}

void complaint_tie(struct reading *x)
{
	distribute(x);
	for (size_t i = x->n_scopes; i-- > 0;) {
		struct scope *s = &x->scopes[i];

		if (s->first != NONE) {
			tie_ports(x, s);
			tie_times(x, s, !i || x->scopes[i].closed || x->scopes[i].parent == 0);
			tie_same(x, s);
		}
		pass(x, (uint32_t)i);
	}
	/* The outermost is nobody's part. */
	for (uint32_t i = x->n_scopes ? x->scopes[0].first : NONE; i != NONE; i = x->items[i].next)
		if (x->items[i].proto_item == NONE && (x->scopes[0].protos == 1 || x->scopes[0].protos == 2))
			x->items[i].proto_item = x->scopes[0].proto;
}
