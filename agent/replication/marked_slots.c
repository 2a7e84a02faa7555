/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots that hold copies: marked, kept fresh, ended. */
#include "replication/copying_private.h"

void mark_clear(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark)
{
	if (!*mark)
		return;
	c->peer[mark_peer(*mark)].held--;
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

bool end_copy(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint64_t word)
{
	struct slot *s = (struct slot *)mappings_buckets(c->m, cm->number, subscriber) + slot;
	__u64 from = word;

	if (!__atomic_compare_exchange_n(&s->truth, &from, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	/* The winner adjusts the count; no copy is in time-wait. */
	count_down(&mappings_subscriber(c->m, cm->number, subscriber)->sessions);
	return true;
}

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
	/* If a packet has changed it meanwhile it is a copy no more, as the next look finds. */
	__atomic_compare_exchange_n(&s->truth, &from, word_with(word, word_state(word), now), false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}

void refresh_copies(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint8_t peers, uint32_t now)
{
	const struct mapping *record = mappings_get(c->m, cm->number);
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
		uint64_t word, key;
		unsigned peer;

		if (!marks[i])
			continue;
		word = load_word(&slots[i]);
		if (!read_slot(&slots[i], word, &key))
			continue;
		peer = mark_peer(marks[i]);
		if (!mark_holds(marks[i], key, word, &before[peer], now, record->timeout_ticks))
			mark_clear(c, cm, subscriber, i, &marks[i]);
		else if (peers >> peer & 1)
			refresh(c, cm, subscriber, i, &marks[i], &slots[i], word, now);
	}
}
