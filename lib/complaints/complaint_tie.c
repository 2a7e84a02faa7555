// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ties ports and times to addresses, scope by scope from the innermost out.
 *
 * Ports. An address that has none gets the port of its scope which a word says is the source's, or the only one of
 * which nothing is said. Two such ports are an ambiguity, and so are two addresses without one, which get none. Times.
 * An address gets the time of the innermost scope that has one: of the lowest rank, and whole rather than a day or an
 * hour alone. Two are an ambiguity. A day alone or an hour alone is completed by the only other half around, or by a
 * whole time that says the same, and by nothing else: a record that has an incomplete time borrows none.
 * What a scope has and no address of it needs is for the scope around, unless it is closed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "complaints/complaint_private.h"

/*
 * What a scope has while it is tied: its own items, and what the scopes within it have left. As the innermost come
 * first, only those around the one at hand have a bag at a time.
 */
struct bag {
	uint32_t first, last;		   /* of the addresses that are open, a list */
	uint8_t n_ports, n_times, n_zones; /* distinct ones; SCOPE_ITEMS may mean more */
	uint8_t protos;			   /* 1: TCP, 2: UDP */
	uint8_t proto;			   /* the last */
	uint32_t ports[SCOPE_ITEMS], times[SCOPE_ITEMS], zones[SCOPE_ITEMS];
	uint32_t next; /* that is free */
};

struct tying {
	struct reading *x;
	struct bag *bags;
	size_t n, room;
	uint32_t free; /* a list of bags, or NONE */
};

/* Addresses of a scope that are compared with each other; of more, none is tied by its neighbour. */
#define MAX_COMPARED 64U

static const struct stamp *stamp_of(const struct reading *x, uint32_t item)
{
	return &x->stamps[x->items[item].stamp];
}

/* What breaks off counts as whole: nothing completes it. */
static bool whole(const struct stamp *s)
{
	return s->date == s->clock;
}

static void add_port(struct reading *x, struct bag *s, uint32_t i)
{
	for (unsigned k = 0; k < s->n_ports; k++)
		if (x->items[s->ports[k]].port == x->items[i].port || !x->items[i].port)
			return;
	/* Port 0 is nobody's: what translated nothing writes it. */
	if (s->n_ports == 1 && !x->items[s->ports[0]].port)
		s->n_ports = 0;
	if (s->n_ports < SCOPE_ITEMS)
		s->ports[s->n_ports++] = i;
}

/* Keeps a time, or the one of two that say the same which says more. */
static void add_time(struct reading *x, struct bag *s, uint32_t i)
{
	const struct stamp *b = stamp_of(x, i);

	if (x->items[i].rank >= RANK_END)
		return;
	for (unsigned k = 0; k < s->n_times; k++) {
		uint32_t old = s->times[k];
		const struct stamp *a = stamp_of(x, old);

		if (!stamp_agree(a, b))
			continue;
		if (b->exact || (!a->exact && claim_given(&b->zone) && !claim_given(&a->zone)))
			s->times[k] = i;
		if (x->items[i].rank < x->items[old].rank)
			x->items[old].rank = x->items[i].rank;
		x->items[i].rank = x->items[old].rank;
		return;
	}
	if (s->n_times < SCOPE_ITEMS) {
		s->times[s->n_times++] = i;
		return;
	}
	/* Of too many, halves of times go first. Two that are whole are an ambiguity, and need no third. */
	for (unsigned k = 0; k < s->n_times; k++)
		if (whole(b) && !whole(stamp_of(x, s->times[k]))) {
			s->times[k] = i;
			return;
		}
}

static void add_zone(struct reading *x, struct bag *s, uint32_t i)
{
	for (unsigned k = 0; k < s->n_zones; k++)
		if (claim_equal(&stamp_of(x, s->zones[k])->zone, &stamp_of(x, i)->zone))
			return;
	if (s->n_zones < SCOPE_ITEMS)
		s->zones[s->n_zones++] = i;
}

static void add_address(struct reading *x, struct bag *s, uint32_t i)
{
	if (s->last == NONE)
		s->first = i;
	else
		x->items[s->last].next = i;
	s->last = i;
	x->items[i].next = NONE;
}

static void add_proto(struct reading *x, struct bag *s, uint32_t i)
{
	s->protos |= x->items[i].proto == IPPROTO_TCP ? 1 : 2;
	s->proto = x->items[i].proto;
}

/* Makes lists of the items of each scope. */
static void distribute(struct reading *x)
{
	for (uint32_t i = 0; i < x->n_items; i++) {
		struct item *a = &x->items[i];
		struct scope *s = a->scope == NONE || a->role == WORD_TARGET || a->done ? NULL : &x->scopes[a->scope];

		if (!s)
			continue;
		if (s->last == NONE)
			s->first = i;
		else
			x->items[s->last].next = i;
		s->last = i;
		a->next = NONE;
	}
}

/* A bag that is free. Its number, or NONE. */
static uint32_t take_bag(struct tying *t)
{
	uint32_t i = t->free;

	if (i != NONE) {
		t->free = t->bags[i].next;
	} else if (array_grow(&t->bags, t->n, &t->room, sizeof(*t->bags))) {
		t->x->error = -ENOMEM;
		return NONE;
	} else {
		i = (uint32_t)t->n++;
	}
	t->bags[i] = (struct bag){ .first = NONE, .last = NONE };
	return i;
}

/* The bag of a scope, with its own items. NULL: out of memory. */
static struct bag *open_bag(struct tying *t, struct scope *s)
{
	static void (*const add[])(struct reading *, struct bag *, uint32_t) = {
		[ITEM_ADDR] = add_address, [ITEM_PORT] = add_port,   [ITEM_TIME] = add_time,
		[ITEM_ZONE] = add_zone,	   [ITEM_PROTO] = add_proto,
	};

	if (s->bag != NONE)
		return &t->bags[s->bag];
	s->bag = take_bag(t);
	for (uint32_t i = s->first, next; s->bag != NONE && i != NONE; i = next) {
		next = t->x->items[i].next;
		add[t->x->items[i].kind](t->x, &t->bags[s->bag], i);
	}
	s->first = NONE;
	return s->bag == NONE ? NULL : &t->bags[s->bag];
}

/* Gives it back, but for the zones, which the times of a scope are read by. */
static void close_bag(struct tying *t, struct scope *s)
{
	struct reading *x = t->x;
	struct bag *b = &t->bags[s->bag];

	if (b->n_zones && array_grow(&x->zones, x->n_zones, &x->room_zones, sizeof(*x->zones))) {
		x->error = -ENOMEM;
	} else if (b->n_zones) {
		s->zones = (uint32_t)x->n_zones++;
		x->zones[s->zones].n = b->n_zones;
		memcpy(x->zones[s->zones].items, b->zones, sizeof(b->zones));
	}
	b->next = t->free;
	t->free = s->bag;
	s->bag = NONE;
}

static bool port_less(const struct item *a)
{
	return a->port_item == NONE;
}

static void doubt(struct item *a, enum complaint_fault fault, uint32_t other)
{
	if (a->fault)
		return;
	a->fault = fault;
	a->other = other;
}

/* Moves the ports that a word says are the source's to the front, and returns how many could be meant. */
static unsigned best_ports(struct reading *x, struct bag *s)
{
	unsigned n = 0;

	for (unsigned k = 0; k < s->n_ports; k++) {
		uint32_t i = s->ports[k];

		if (x->items[i].role != WORD_SOURCE)
			continue;
		s->ports[k] = s->ports[n];
		s->ports[n++] = i;
	}
	return n ? n : s->n_ports;
}

/*
 * "Attacked from 203.0.113.5, port 8000. It came from port 5100": a port that a word says is the source's beside one of
 * which nothing is said.
 */
static void doubt_unsaid(struct reading *x, struct bag *s)
{
	struct item *a = s->first == NONE ? NULL : &x->items[s->first];
	const struct item *port = !a || port_less(a) ? NULL : &x->items[a->port_item];

	if (!port || a->next != NONE || port->role || port->at <= a->at + a->size + 1 || !best_ports(x, s))
		return;
	if (x->items[s->ports[0]].role == WORD_SOURCE && x->items[s->ports[0]].port != port->port)
		doubt(a, FAULT_SEVERAL_PORTS, s->ports[0]);
}

/* A scope's port to its address that has none, if that is one. */
static void tie_ports(struct reading *x, struct bag *s)
{
	uint32_t only = NONE;
	unsigned n;

	doubt_unsaid(x, s);
	for (uint32_t i = s->first; i != NONE; i = x->items[i].next) {
		if (!port_less(&x->items[i]))
			continue;
		if (only != NONE && x->items[only].addr != x->items[i].addr)
			return;
		only = only == NONE ? i : only;
	}
	if (only == NONE || !s->n_ports)
		return;
	n = best_ports(x, s);
	for (uint32_t i = s->first; i != NONE; i = x->items[i].next) {
		if (!port_less(&x->items[i]))
			continue;
		x->items[i].port_item = s->ports[0];
		if (n > 1)
			doubt(&x->items[i], FAULT_SEVERAL_PORTS, s->ports[1]);
	}
	s->n_ports = 0;
}

/* Moves the times that could be meant to the front: whole ones if there are any, of the lowest rank. Returns how many.
 */
static unsigned best_times(struct reading *x, struct bag *s)
{
	unsigned n = 0;
	uint8_t rank = RANK_OTHER;
	bool any = false;

	for (unsigned k = 0; k < s->n_times; k++)
		any |= whole(stamp_of(x, s->times[k]));
	for (unsigned k = 0; k < s->n_times; k++)
		if (x->items[s->times[k]].rank < rank && (!any || whole(stamp_of(x, s->times[k]))))
			rank = x->items[s->times[k]].rank;
	for (unsigned k = 0; k < s->n_times; k++) {
		uint32_t i = s->times[k];

		if (x->items[i].rank != rank || (any && !whole(stamp_of(x, i))))
			continue;
		s->times[k] = s->times[n];
		s->times[n++] = i;
	}
	return n;
}

/* A time of a day and an hour that stand apart; its place is that of the hour. */
static uint32_t join(struct reading *x, uint32_t one, uint32_t two)
{
	uint32_t day = stamp_of(x, one)->date ? one : two, hour = day == one ? two : one;
	struct stamp joined = *stamp_of(x, day);
	const char *at = x->text + x->items[hour].at;
	uint32_t i;

	stamp_add_clock(&joined, stamp_of(x, hour));
	i = item_time(x, x->items[hour].scope, at, at + x->items[hour].size, &joined);
	if (i == NONE)
		return i;
	x->items[i].rank = x->items[one].rank < x->items[two].rank ? x->items[one].rank : x->items[two].rank;
	x->items[i].joined = true;
	return i;
}

/* Whether two are halves that could be one time. */
static bool halves(const struct stamp *a, const struct stamp *b)
{
	return !whole(a) && !whole(b) && a->date != b->date;
}

/* Whether an address of a scope has the half of a time, which the other half is for. */
static bool waits(const struct reading *x, const struct bag *s)
{
	for (uint32_t i = s->first; i != NONE; i = x->items[i].next)
		if (x->items[i].time_item != NONE && !whole(stamp_of(x, x->items[i].time_item)))
			return true;
	return false;
}

/* A scope in which one day and one hour stand apart has their time. */
static void join_halves(struct reading *x, struct bag *s)
{
	uint32_t day = NONE, hour = NONE, joined;

	if (waits(x, s))
		return;
	for (unsigned k = 0; k < s->n_times; k++) {
		const struct stamp *t = stamp_of(x, s->times[k]);
		uint32_t *half = t->date ? &day : &hour;

		if (whole(t) || *half != NONE)
			return;
		*half = s->times[k];
	}
	if (day == NONE || hour == NONE)
		return;
	joined = join(x, day, hour);
	if (joined == NONE)
		return;
	s->times[0] = joined;
	s->n_times = 1;
}

/* Completes the half of a time that an address has. */
static void complete(struct reading *x, const struct bag *s, uint32_t addr)
{
	uint32_t mine = x->items[addr].time_item, found = NONE;

	for (unsigned k = 0; k < s->n_times; k++) {
		const struct stamp *half = stamp_of(x, mine), *t = stamp_of(x, s->times[k]);
		bool same = whole(t) && !t->exact && stamp_half_agrees(half, t);

		if (!same && !halves(half, t))
			continue;
		if (found != NONE)
			return doubt(&x->items[addr], FAULT_SEVERAL_TIMES, s->times[k]);
		found = same ? s->times[k] : join(x, mine, s->times[k]);
		if (found == NONE)
			return;
		x->items[addr].time_item = found;
	}
}

static void tie_times(struct reading *x, struct bag *s)
{
	unsigned n;

	join_halves(x, s);
	n = best_times(x, s);
	for (uint32_t i = s->first; i != NONE && n; i = x->items[i].next) {
		uint32_t mine = x->items[i].time_item;

		if (mine != NONE && !whole(stamp_of(x, mine))) {
			complete(x, s, i);
			continue;
		}
		if (mine != NONE && (x->items[mine].rank != RANK_LATE || x->items[s->times[0]].rank > RANK_EVENT))
			continue;
		x->items[i].time_item = s->times[0];
		if (n > 1)
			doubt(&x->items[i], FAULT_SEVERAL_TIMES, s->times[1]);
	}
}

/* One address in two places, here with its port and there with its time. */
static void tie_same(struct reading *x, const struct bag *s)
{
	unsigned n = 0;

	for (uint32_t i = s->first; i != NONE; i = x->items[i].next)
		if (++n > MAX_COMPARED)
			return;
	for (uint32_t i = s->first; i != NONE; i = x->items[i].next) {
		struct item *a = &x->items[i];

		if (port_less(a) || (a->time_item != NONE && whole(stamp_of(x, a->time_item))))
			continue;
		for (uint32_t k = s->first; k != NONE; k = x->items[k].next) {
			const struct item *b = &x->items[k];

			if (b->addr != a->addr || !port_less(b) || b->time_item == NONE || b->fault)
				continue;
			if (a->time_item != NONE && !whole(stamp_of(x, a->time_item))) {
				if (stamp_half_agrees(stamp_of(x, a->time_item), stamp_of(x, b->time_item)))
					a->time_item = b->time_item;
				continue;
			}
			if (a->time_item != NONE && a->time_item != b->time_item &&
			    !stamp_agree(stamp_of(x, a->time_item), stamp_of(x, b->time_item)))
				doubt(a, FAULT_SEVERAL_TIMES, b->time_item);
			else if (a->time_item == NONE || claim_given(&stamp_of(x, b->time_item)->zone))
				a->time_item = b->time_item;
		}
	}
}

/* Whether nothing around could say more about an address. Of a discovery, what was discovered may have another time. */
static bool complete_in(const struct reading *x, const struct scope *s, const struct item *a)
{
	if (port_less(a))
		return false;
	if (a->fault || s->closed)
		return true;
	return a->time_item != NONE && x->items[a->time_item].rank != RANK_LATE &&
	       (whole(stamp_of(x, a->time_item)) || (s->block && x->items[a->time_item].stamped));
}

/* Whether something of a scope is for the one around. */
static bool leaves(const struct bag *b, const struct scope *s)
{
	return b->first != NONE || b->protos || (!s->closed && (b->n_ports || b->n_times || b->n_zones));
}

/* What is left goes to the bag of the scope around, if there is one. */
static void pass(struct reading *x, const struct scope *s, struct bag *b, struct bag *p)
{
	bool addresses = b->first != NONE;

	for (uint32_t i = b->first, next; i != NONE; i = next) {
		struct item *a = &x->items[i];

		next = a->next;
		if (!a->proto && (b->protos == 1 || b->protos == 2))
			a->proto = b->proto;
		a->done = !p || complete_in(x, s, a);
		if (!a->done)
			add_address(x, p, i);
	}
	for (unsigned k = 0; k < b->n_ports && p && !s->closed; k++)
		add_port(x, p, b->ports[k]);
	for (unsigned k = 0; k < b->n_times && p && !addresses && !s->closed; k++)
		add_time(x, p, b->times[k]);
	/* "All times are UTC" is for all that is around; a zone in a record is for the record alone. */
	for (unsigned k = 0; k < b->n_zones && p && !s->closed; k++)
		if (!addresses || !x->items[b->zones[k]].keyed)
			add_zone(x, p, b->zones[k]);
	if (p && !addresses) {
		p->protos |= b->protos;
		p->proto = b->proto ? b->proto : p->proto;
	}
}

/* Ties what a scope has. */
static void tie_scope(struct tying *t, struct scope *s)
{
	struct bag *b = open_bag(t, s), *p = NULL;

	if (!b)
		return;
	if (b->first != NONE) {
		tie_ports(t->x, b);
		tie_times(t->x, b);
		tie_same(t->x, b);
	}
	if (s->parent != NONE && leaves(b, s))
		p = open_bag(t, &t->x->scopes[s->parent]);
	pass(t->x, s, &t->bags[s->bag], p);
	close_bag(t, s);
}

void complaint_tie(struct reading *x)
{
	struct tying t = { .x = x, .free = NONE };

	distribute(x);
	for (size_t i = x->n_scopes; i-- > 0 && !x->error;)
		if (x->scopes[i].first != NONE || x->scopes[i].bag != NONE)
			tie_scope(&t, &x->scopes[i]);
	free(t.bags);
}
