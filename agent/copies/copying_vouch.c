/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies are refreshed in rounds, each within a quarter of the shortest timeout, while the peer that announced them is
 * heard; and once more when it falls silent, so that each has its whole timeout from then on.
 */
#include <stdbool.h>

#include "base/clock.h"
#include "copies/copying_private.h"
#include "copies/ownership.h"
#include "growth/block_growth.h"

/* Marks read between two looks at the clock. */
#define LOOK_INTERVAL 8192U

/* Peers whose copies are due. */
static uint8_t due(struct copying *c, uint32_t now)
{
	uint32_t ticks = vouching_ticks(c);
	uint8_t peers = c->last_time;

	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		if (c->up >> p & 1 && now - c->peer[p].vouched_tick >= ticks)
			peers |= (uint8_t)(1U << p);
	return peers;
}

static bool any_marked(const uint16_t *marks, uint32_t n)
{
	const uint64_t *four = (const uint64_t *)marks;
	uint64_t any = 0;

	for (uint32_t i = 0; i < n / 4; i++)
		any |= four[i];
	return any;
}

/* 0: all; 1: the time is up. */
static int refresh_mapping(struct copying *c, struct copied_mapping *cm, uint64_t deadline_us)
{
	const struct copy_marks *k = &cm->marks;
	uint32_t now = datapath_ticks(mappings_datapath(c->m)), cost = 0;

	while (c->vouch_at.subscriber < cm->tables.n_subscribers) {
		uint32_t at = c->vouch_at.subscriber;
		const uint16_t *marks = copy_marks_of(k, at);

		if (!marks) {
			c->vouch_at.subscriber += k->per_segment - at % k->per_segment;
			continue;
		}
		if (any_marked(marks, cm->tables.n_slots)) {
			refresh_copies(c, cm, at, c->vouch_for, now);
			cost += 4 * cm->tables.n_slots;
		}
		cost += cm->tables.n_slots / 4;
		c->vouch_at.subscriber++;
		if (cost < LOOK_INTERVAL)
			continue;
		cost = 0;
		now = datapath_ticks(mappings_datapath(c->m));
		if (monotonic_us() >= deadline_us)
			return 1;
	}
	return 0;
}

static int go_round(struct copying *c, uint64_t deadline_us)
{
	struct copied_mapping *cm;

	while ((cm = copied_mapping_from(c, c->vouch_at.number))) {
		if (cm->number != c->vouch_at.number)
			c->vouch_at = (struct copying_cursor){ .number = cm->number };
		if (refresh_mapping(c, cm, deadline_us))
			return 1;
		c->vouch_at = (struct copying_cursor){ .number = cm->number + 1 };
	}
	return 0;
}

int copying_vouch(struct copying *c, uint8_t peers_up, unsigned budget_us)
{
	uint64_t deadline_us = monotonic_us() + budget_us;
	uint32_t now = datapath_ticks(mappings_datapath(c->m));

	copied_mappings_look(c);
	c->last_time |= c->up & (uint8_t)~peers_up;
	c->last_time &= (uint8_t)~peers_up;
	c->up = peers_up;
	if (c->grants.growth)
		growth_set_peers(c->grants.growth, peers_up);
	if (!c->vouching) {
		c->vouch_for = due(c, now);
		copied_leases_expire(c);
		if (!c->vouch_for)
			return 0;
		c->vouching = true;
		c->round_tick = now;
		c->vouch_at = c->vouch_extents = (struct copying_cursor){ 0 };
		c->last_time &= (uint8_t)~c->vouch_for;
	}
	if (go_round(c, deadline_us) || copied_beyond_vouch(c, deadline_us))
		return 1;
	c->vouching = false;
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		if (c->vouch_for >> p & 1)
			c->peer[p].vouched_tick = c->round_tick;
	return c->last_time != 0;
}

/* Slots that hold copies: kept fresh. */

/* Refreshes one copy, or ends it. */
static void refresh(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark,
		    struct slot *s, uint64_t word, uint32_t now)
{
	const struct copying_peer *p = &c->peer[mark_peer(*mark)];
	__u64 from = word;

	if (p->has_shown && !p->exchanged[cm->number]) {
		if (end_copy(c, cm, subscriber, slot, word))
			mark_clear(c, cm, subscriber, slot, mark);
		return;
	}
	/* If a packet has changed it meanwhile, it is no longer a copy, as the next look finds. */
	__atomic_compare_exchange_n(&s->truth, &from, word_with(word, word_state(word), now), false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}

void refresh_copies(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint8_t peers, uint32_t now)
{
	uint16_t *marks = copy_marks_of(&cm->marks, subscriber);
	struct vouched before[COPYING_PEERS + 1];
	struct slot *slots;

	if (!marks)
		return;
	for (unsigned p = 1; p <= COPYING_PEERS; p++) {
		struct vouched *v = copy_vouched(&cm->marks, subscriber, p);

		before[p] = *v;
		/* Both are noted first: a kill leaves copies with either. */
		if (peers >> p & 1 && v->now != (uint16_t)now)
			*v = (struct vouched){ .now = (uint16_t)now, .before = v->now };
	}
	slots = (struct slot *)mappings_buckets(c->m, cm->number, subscriber);
	for (uint32_t i = 0; i < cm->tables.n_slots; i++) {
		uint64_t word = load_word(&slots[i]);
		unsigned peer = mark_peer(marks[i]);

		if (peer && mark_settle(c, cm, subscriber, i, &marks[i], &before[peer], now) && peers >> peer & 1)
			refresh(c, cm, subscriber, i, &marks[i], &slots[i], word, now);
	}
}

/* Copies of a peer that has lost its tables. */

/* Takes over the copies of a peer; the next pass announces them. */
static void adopt(struct copying *c, struct copied_mapping *cm, unsigned peer)
{
	for (uint32_t i = 0; i < cm->tables.n_subscribers; i++) {
		uint16_t *marks = copy_marks_of(&cm->marks, i);

		if (!marks) {
			i += cm->marks.per_segment - i % cm->marks.per_segment - 1;
			continue;
		}
		for (uint32_t slot = 0; slot < cm->tables.n_slots; slot++) {
			if (mark_peer(marks[slot]) != peer)
				continue;
			take_over(c, cm, i, slot, &marks[slot]);
		}
	}
}

void copying_peer_tables(struct copying *c, unsigned peer, uint64_t tables)
{
	struct copying_peer *p = &c->peer[peer];
	bool lost = p->tables && p->tables != tables;

	p->tables = tables;
	if (!lost)
		return;
	copied_mappings_look(c);
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		if (c->mapping[i].used)
			adopt(c, &c->mapping[i], peer);
	copied_beyond_adopt(c, peer);
	if (c->grants.growth)
		growth_adopt(c->grants.growth, peer);
}
