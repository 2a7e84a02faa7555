// SPDX-License-Identifier: BSD-2-Clause
#include "planner/demand.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/hash.h"

enum { BY_SESSION, BY_EXTERNAL, BY_INSIDE, N_BY };

struct demand_entry {
	uint64_t key;
	uint32_t more; /* of the key; 0: the entry is free */
	uint32_t count;
	int64_t until_ms;	   /* of a session */
	uint32_t external, inside; /* of a session: the other two entries */
};

struct demand_due {
	int64_t at_ms;
	uint32_t session;
};

void demand_work_free(struct demand_work *w)
{
	for (unsigned i = 0; i < N_BY; i++)
		free(w->table[i]);
	free(w->heap);
	*w = (struct demand_work){ 0 };
}

static int prepare(struct demand_work *w, size_t n, size_t *ret_room)
{
	size_t room = 64;

	while (room < 2 * n)
		room *= 2;
	if (room > w->room) {
		demand_work_free(w);
		for (unsigned i = 0; i < N_BY; i++) {
			w->table[i] = calloc(room, sizeof(*w->table[i]));
			if (!w->table[i])
				return -ENOMEM;
		}
		w->heap = calloc(room, sizeof(*w->heap));
		if (!w->heap)
			return -ENOMEM;
		w->room = room;
	} else {
		for (unsigned i = 0; i < N_BY; i++)
			memset(w->table[i], 0, room * sizeof(*w->table[i]));
	}
	*ret_room = room;
	return 0;
}

/* The entry of a key, made if there is none. more is not 0. */
static uint32_t entry_of(struct demand_entry *table, size_t room, uint64_t key, uint32_t more)
{
	uint64_t at = HASH_OF(key, more) & (room - 1);

	while (table[at].more && (table[at].key != key || table[at].more != more))
		at = (at + 1) & (room - 1);
	table[at].key = key;
	table[at].more = more;
	return (uint32_t)at;
}

static void push(struct demand_due *heap, size_t *n, struct demand_due due)
{
	size_t at = (*n)++;

	for (; at && heap[(at - 1) / 2].at_ms > due.at_ms; at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = due;
}

static struct demand_due pop(struct demand_due *heap, size_t *n)
{
	struct demand_due first = heap[0], last = heap[--*n];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= *n)
			break;
		if (child + 1 < *n && heap[child + 1].at_ms < heap[child].at_ms)
			child++;
		if (heap[child].at_ms >= last.at_ms)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return first;
}

static int64_t until(const struct collection *c, const struct plan_flow *f)
{
	if (f->exact || f->state == SESSION_TIME_WAIT)
		return f->last_ms;
	return f->last_ms + (int64_t)collection_timeout(c, f->state) * 1000;
}

struct count {
	struct demand_work *w;
	size_t heap;
	uint32_t sessions, endpoints;
};

/* Ends the sessions that are over by a time. */
static void expire(struct count *k, int64_t now_ms)
{
	struct demand_work *w = k->w;

	while (k->heap && w->heap[0].at_ms < now_ms) {
		struct demand_due due = pop(w->heap, &k->heap);
		struct demand_entry *s = &w->table[BY_SESSION][due.session];

		if (s->until_ms > due.at_ms) {
			push(w->heap, &k->heap, (struct demand_due){ s->until_ms, due.session });
			continue;
		}
		s->count = 0;
		k->sessions--;
		w->table[BY_EXTERNAL][s->external].count--;
		k->endpoints -= !--w->table[BY_INSIDE][s->inside].count;
	}
}

int demand_of(struct demand_work *w, const struct collection *c, const struct plan_flow *flow, size_t n,
	      struct demand *ret)
{
	struct count k = { .w = w };
	struct demand d = { 0 };
	size_t room;
	int r = prepare(w, n, &room);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct plan_flow *f = &flow[i];
		uint32_t at =
			entry_of(w->table[BY_SESSION], room, slot_key(f->ext_addr, f->ext_port, f->in_port), f->proto);
		struct demand_entry *s = &w->table[BY_SESSION][at], *external;

		expire(&k, f->first_ms);
		if (s->count) {
			s->until_ms = until(c, f) > s->until_ms ? until(c, f) : s->until_ms;
			continue;
		}
		/* In a table, one in time-wait has ended already. */
		if (f->state == SESSION_TIME_WAIT && f->timer)
			continue;
		d.opened++;
		s->count = 1;
		s->until_ms = until(c, f);
		s->external =
			entry_of(w->table[BY_EXTERNAL], room, (uint64_t)f->ext_addr << 16 | f->ext_port, f->proto);
		s->inside = entry_of(w->table[BY_INSIDE], room, f->in_port, f->proto);
		push(w->heap, &k.heap, (struct demand_due){ s->until_ms, at });
		external = &w->table[BY_EXTERNAL][s->external];
		k.endpoints += !w->table[BY_INSIDE][s->inside].count++;
		k.sessions++;
		external->count++;
		d.sessions = k.sessions > d.sessions ? k.sessions : d.sessions;
		d.busiest = external->count > d.busiest ? external->count : d.busiest;
		d.endpoints = k.endpoints > d.endpoints ? k.endpoints : d.endpoints;
	}
	*ret = d;
	return 0;
}
