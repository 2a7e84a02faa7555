/* SPDX-License-Identifier: BSD-2-Clause */
/* What is held of a peer that has lost its tables. */
#include "copies/ownership.h"

/* Has the copies of a peer be sessions of this gateway, which the next pass tells. */
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
	copied_mappings_sync(c);
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		if (c->mapping[i].used)
			adopt(c, &c->mapping[i], peer);
	copied_overflow_adopt(c, peer);
}
