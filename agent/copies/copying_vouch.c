/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies are refreshed in rounds, each within a quarter of the shortest timeout, as long as the peer that told them is
 * heard; and once more when it falls silent, so that each has its whole timeout from then on.
 */
#include <stdbool.h>

#include "base/clock.h"
#include "copies/copying_private.h"

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

	copied_mappings_sync(c);
	c->last_time |= c->up & (uint8_t)~peers_up;
	c->last_time &= (uint8_t)~peers_up;
	c->up = peers_up;
	if (!c->vouching) {
		c->vouch_for = due(c, now);
		copied_leases_expire(c);
		if (!c->vouch_for)
			return 0;
		c->vouching = true;
		c->round_tick = now;
		c->vouch_at = (struct copying_cursor){ 0 };
		c->last_time &= (uint8_t)~c->vouch_for;
	}
	if (go_round(c, deadline_us) || copied_overflow_vouch(c, deadline_us))
		return 1;
	c->vouching = false;
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		if (c->vouch_for >> p & 1)
			c->peer[p].vouched_tick = c->round_tick;
	return c->last_time != 0;
}
