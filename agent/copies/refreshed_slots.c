/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots that hold copies: kept fresh. */
#include "copies/ownership.h"

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
