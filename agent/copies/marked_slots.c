/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots that hold copies: marked, and ended. */
#include <string.h>

#include "copies/copying_private.h"
#include "tables/mappings.h"

void mark_clear(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark)
{
	if (!*mark)
		return;
	c->peer[mark_peer(*mark)].held -= mark_peer(*mark) != 0;
	*mark = 0;
	moved_del(&c->moved, (uint16_t)cm->number, subscriber, (uint16_t)slot);
}

void mark_set(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark,
	      unsigned peer, uint16_t id)
{
	mark_clear(c, cm, subscriber, slot, mark);
	*mark = mark_of(peer, id);
	c->peer[peer].held++;
	cm->holders[subscriber] |= (uint8_t)(1U << peer);
}

bool end_session_at(const struct copying *c, const struct copied_mapping *cm, uint32_t subscriber, struct slot *s,
		    uint64_t word)
{
	__u64 from = word;

	if (!__atomic_compare_exchange_n(&s->truth, &from, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	session_uncount(mappings_subscriber(c->m, cm->number, subscriber),
			mappings_limit_line(c->m, cm->number, subscriber), word);
	return true;
}

bool end_copy(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint64_t word)
{
	return end_session_at(c, cm, subscriber, (struct slot *)mappings_buckets(c->m, cm->number, subscriber) + slot,
			      word);
}

uint32_t next_holder(const struct copied_mapping *cm, unsigned peer, uint32_t at, uint32_t end_before)
{
	const uint8_t bit = (uint8_t)(1U << peer);
	const uint64_t bits = 0x0101010101010101ULL * bit;

	for (; at < end_before; at++) {
		uint64_t eight;

		while (end_before - at >= sizeof(eight)) {
			memcpy(&eight, cm->holders + at, sizeof(eight));
			if (eight & bits)
				break;
			at += sizeof(eight);
		}
		if (at < end_before && cm->holders[at] & bit)
			return at;
	}
	return end_before;
}

bool holds_copies(const struct copied_mapping *cm, unsigned peer, uint32_t subscriber)
{
	const uint16_t *marks = copy_marks_of(&cm->marks, subscriber);

	for (uint32_t slot = 0; marks && slot < cm->tables.n_slots; slot++)
		if (mark_peer(marks[slot]) == peer)
			return true;
	return false;
}
