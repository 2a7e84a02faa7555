/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiver's part: applies a peer's announcements, ends and changes copies, and has new ones placed. It trusts
 * nothing it reads: a peer can at most announce sessions that a subscriber could have had.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "copies/copying_apply.h"

/* Microseconds for ending the copies that a range lacks. */
#define APPLY_US 1000U

static int apply_record(const struct applying *a, const struct group *g, uint16_t *marks, const struct told_session *t)
{
	struct held h;

	if (!copy_state_fits(t->key, t->proto, t->state)) {
		a->c->counts->refused++;
		return 0;
	}
	if (copy_find(a, g, marks, t->slot, &h)) {
		if (copy_is(&h, t)) {
			copy_update(a, g, &h, t);
			return 0;
		}
		copy_end(a, g, &h);
	}
	return copy_place(a, g, t);
}

static void forget_waiting(const struct applying *a, const struct group *g, uint16_t slot)
{
	const struct waiting_copy w = {
		.peer = (uint8_t)a->peer, .mapping = (uint16_t)g->cm->number, .subscriber = g->subscriber, .slot = slot
	};

	waiting_del(&a->c->waiting, &w);
}

/* Endings first: another record may need the port, or the flow, of an ended session. */
static int apply_changes(const struct applying *a, const struct group *g)
{
	uint16_t *marks = copy_marks_of(&g->cm->marks, g->subscriber);
	struct held h;
	int r = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		uint16_t slot = be16toh(g->record[i].slot);

		if (g->record[i].state)
			continue;
		forget_waiting(a, g, slot);
		if (copy_find(a, g, marks, slot, &h))
			copy_end(a, g, &h);
	}
	for (uint32_t i = 0; i < g->n && !r; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (t.state)
			r = apply_record(a, g, marks, &t);
	}
	return r;
}

static int apply_group(struct applying *a, const struct group *g)
{
	int r = group_begin(a, g);

	if (r)
		return r < 0 ? r : 0;
	return apply_changes(a, g);
}

static int apply_groups(struct applying *a, struct reader *r)
{
	struct group g;
	int n, e;

	while ((n = group_next(a, r, &g)) > 0) {
		if (!g.cm) {
			a->c->counts->skipped += g.n;
			continue;
		}
		e = apply_group(a, &g);
		if (e)
			return e;
	}
	return n;
}

static struct applying applying(struct copying *c, unsigned peer)
{
	uint32_t now = datapath_ticks(mappings_datapath(c->m));

	return (struct applying){ .c = c,
				  .peer = peer,
				  .now = now,
				  .told = now,
				  .fresh_ticks = vouching_ticks(c) / 2,
				  .deadline_us = monotonic_us() + APPLY_US };
}

int copied_again(struct copying *c, struct copied_mapping *cm, const struct waiting_copy *w)
{
	const struct told_session t = {
		.key = w->key,
		.out_port = w->out_port,
		.slot = w->slot,
		.proto = w->proto,
		.state = w->state,
		.inbound = w->inbound,
		.behalf = w->behalf,
		.beyond = w->beyond,
		.turn = w->turn,
		.age_s = w->age_s,
	};
	const struct group g = { .cm = cm, .subscriber = w->subscriber, .n = 1 };
	struct applying a = applying(c, w->peer);
	int r;

	a.told = w->told;
	if (w->beyond)
		return apply_beyond(&a, cm, w->subscriber, &t, w->round);
	r = group_begin(&a, &g);
	if (r)
		return r < 0 ? r : 0;
	return apply_record(&a, &g, copy_marks_of(&cm->marks, w->subscriber), &t);
}

int copying_apply(struct copying *c, unsigned peer, unsigned type, const void *payload, size_t length,
		  struct copying_counts *add)
{
	struct reader r = { .at = payload, .end = (const uint8_t *)payload + length };
	struct applying a;
	int e, f;

	copied_mappings_look(c);
	if (type == WIRE_WHOLE_END && length)
		return -EPROTO;
	if (type == WIRE_WHOLE_END) {
		copied_beyond_whole_ended(c, peer);
		copied_grants_whole_ended(c, peer);
		return 0;
	}
	if (type == WIRE_LEASES)
		return copied_leases_apply(c, peer, payload, length, add);
	if (type == WIRE_GRANTS)
		return copied_grants_apply(c, peer, payload, length, add);
	if (type == WIRE_RULES || type == WIRE_PORTMAPS)
		return copied_rules_apply(c, peer, type, payload, length);
	if (type != WIRE_CHANGES && type != WIRE_WHOLE && type != WIRE_BEYOND && type != WIRE_ENDED)
		return -EPROTO;
	e = copy_program_load(&c->program, mappings_datapath(c->m));
	if (e)
		return e;
	if (type == WIRE_ENDED)
		return copied_ended_apply(c, peer, payload, length, add);
	a = applying(c, peer);
	c->counts = add;
	if (type == WIRE_BEYOND)
		e = copied_beyond_apply(&a, payload, length);
	else
		e = type == WIRE_WHOLE ? apply_range(&a, &r) : apply_groups(&a, &r);
	f = placing_flush(c);
	return e ? e : f;
}
