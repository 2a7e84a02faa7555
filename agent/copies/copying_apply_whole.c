/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer's whole copy: all that it has of a range of subscribers, so copies that it does not announce end. */
#include <errno.h>

#include "base/clock.h"
#include "copies/copying_apply.h"

/* Number of subscribers between two looks at the clock. */
#define LOOK_INTERVAL 16U

/* The record of a copy, by its session; -1: none. */
static int find_record(const struct group *g, const struct held *h, const uint8_t *done)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (!done[i] && copy_is(h, &t))
			return (int)i;
	}
	return -1;
}

/* Applies everything that the peer has of a subscriber: copies without a record end. */
static int apply_whole(const struct applying *a, const struct group *g)
{
	struct copying *c = a->c;
	uint16_t *marks = copy_marks_of(&g->cm->marks, g->subscriber);
	uint8_t done[MAX_SLOTS] = { 0 }, kept[MAX_SLOTS] = { 0 };
	struct held h;
	int r = 0;

	if (g->n > g->cm->tables.n_slots)
		return -EPROTO;
	/* Most have not moved. */
	for (uint32_t i = 0; i < g->n; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (!marks[copy_slot(a, g, t.slot)] || !copy_state_fits(t.key, t.proto, t.state) ||
		    !copy_find(a, g, marks, t.slot, &h) || !copy_is(&h, &t) || kept[h.slot])
			continue;
		copy_update(a, g, &h, &t);
		done[i] = kept[h.slot] = 1;
	}
	for (uint32_t slot = 0; marks && slot < g->cm->tables.n_slots; slot++) {
		int i, theirs;

		if (mark_peer(marks[slot]) != a->peer || kept[slot])
			continue;
		theirs = moved_theirs(&c->moved, (uint16_t)g->cm->number, g->subscriber, (uint16_t)slot);
		if (!copy_find(a, g, marks, theirs >= 0 ? (uint16_t)theirs : (uint16_t)slot, &h))
			continue;
		i = find_record(g, &h, done);
		if (i < 0) {
			copy_end(a, g, &h);
			continue;
		}

		const struct told_session t = session_of_record(&g->record[i]);

		if (!copy_state_fits(t.key, t.proto, t.state) ||
		    moved_add(&c->moved, (uint16_t)g->cm->number, g->subscriber, a->peer, t.slot, (uint16_t)slot)) {
			copy_end(a, g, &h);
			continue;
		}
		copy_update(a, g, &h, &t);
		done[i] = 1;
	}
	for (uint32_t i = 0; i < g->n && !r; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (done[i])
			continue;
		if (copy_state_fits(t.key, t.proto, t.state))
			r = copy_place(a, g, &t);
		else
			c->counts->refused++;
	}
	return r;
}

static int apply_group(struct applying *a, const struct group *g)
{
	int r = group_begin(a, g);

	if (r)
		return r < 0 ? r : 0;
	return apply_whole(a, g);
}

/* Subscribers of a range without a group have no session of the peer. 1: the time is up; the next one is noted. */
static int apply_empty(struct applying *a, struct copied_mapping *cm, uint32_t first, uint32_t end_before)
{
	struct copying_peer *p = &a->c->peer[a->peer];
	uint32_t i = next_holder(cm, a->peer, first, end_before);

	for (uint32_t n = 0; i < end_before; i = next_holder(cm, a->peer, i + 1, end_before)) {
		struct group g = { .cm = cm, .subscriber = i };
		int r = 0;

		if (holds_copies(cm, a->peer, i))
			r = apply_whole(a, &g);
		else
			cm->holders[i] &= (uint8_t) ~(1U << a->peer);
		if (r)
			return r;
		if (++n % LOOK_INTERVAL || monotonic_us() < a->deadline_us)
			continue;
		p->whole_at = i + 1;
		p->whole_generation = a->c->generation;
		return 1;
	}
	return 0;
}

/* Subscribers of whom a peer announces everything. */
struct told_range {
	unsigned peer;
	int number;
	uint32_t first;
	uint32_t count;
};

static bool is_in_range(const struct waiting_copy *e, const void *arg)
{
	const struct told_range *r = arg;

	return e->peer == r->peer && e->mapping == r->number && !e->beyond && e->subscriber - r->first < r->count;
}

/*
 * A whole copy announces all slots of this many subscribers: sessions that wait for one are forgotten, and wait again
 * if announced.
 */
static void range_begins(struct copying *c, unsigned peer, const struct copied_mapping *cm, uint32_t first,
			 uint32_t count)
{
	const struct told_range range = { peer, cm->number, first, count };

	waiting_forget(&c->waiting, is_in_range, &range);
}

int apply_range(struct applying *a, struct reader *r)
{
	const struct wire_range *w = reader_take(r, sizeof(*w));
	struct copying_peer *p = &a->c->peer[a->peer];
	struct copied_mapping *cm;
	uint32_t first, count, at;
	struct group g;
	int n, e;

	if (!w || be16toh(w->mapping) >= MAX_MAPPINGS)
		return -EPROTO;
	cm = copied_mapping(a->c, a->c->peer[a->peer].ours[be16toh(w->mapping)]);
	first = be32toh(w->first);
	count = be32toh(w->count);
	if (cm && (first > cm->tables.n_subscribers || count > cm->tables.n_subscribers - first))
		return -EPROTO;
	/* Where the last call with this payload stopped, if it did. */
	at = p->whole_generation == a->c->generation && p->whole_at > first ? p->whole_at : first;
	p->whole_generation = 0;
	if (cm && at == first)
		range_begins(a->c, a->peer, cm, first, count);
	while ((n = group_next(a, r, &g)) > 0) {
		if (!g.cm) {
			a->c->counts->skipped += g.n;
			continue;
		}
		if (g.cm != cm || g.subscriber < first || g.subscriber - first >= count)
			return -EPROTO;
		count -= g.subscriber + 1 - first;
		first = g.subscriber + 1;
		if (g.subscriber < at)
			continue;
		e = apply_empty(a, cm, at, g.subscriber);
		if (!e)
			e = apply_group(a, &g);
		if (e)
			return e;
		at = first;
	}
	return n || !cm ? n : apply_empty(a, cm, at, first + count);
}
