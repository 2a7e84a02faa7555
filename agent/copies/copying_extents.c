/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions in extents, <detnat/extents.h>, as the sender announces them: by their endpoints, as those in the overflow.
 * A place says nothing to a peer, as each gateway lets extents grow for itself.
 */
#include <detnat/extents.h>

#include "base/clock.h"
#include "copies/session_beyond.h"
#include "copies/ownership.h"

/* Slots read, or subscribers without an extent passed, between two looks at the clock. */
#define LOOK_INTERVAL 4096U

uint64_t extents_used(const struct datapath *d)
{
	return d->pool ? __atomic_load_n(&d->pool->used, __ATOMIC_RELAXED) : 0;
}

/* The sessions of a subscriber. Those that move to another extent meanwhile are not seen, but are looked for later. */
static int visit_extent(struct copying *c, const struct copied_mapping *cm, struct copying_cursor *at,
			struct slot *slots, uint32_t n, extent_visit visit, void *arg)
{
	const uint32_t *timeout_ticks = mappings_get(c->m, cm->number)->timeout_ticks;
	uint32_t now = datapath_ticks(mappings_datapath(c->m));

	for (; at->slot < n; at->slot++) {
		struct slot *s = &slots[at->slot];
		uint64_t word = load_word(s), key;
		struct overflow_id id;
		int r;

		if (!word_is_open(word) || word_expired(word, now, timeout_ticks) || !read_slot(s, word, &key))
			continue;
		id = slot_session_id(cm, at->subscriber, key, word);
		r = visit(c, &id, s, word, arg);
		if (r)
			return r;
	}
	at->slot = 0;
	return 0;
}

/* Those of a mapping, from the cursor on. */
static int visit_mapping(struct copying *c, const struct copied_mapping *cm, struct copying_cursor *at,
			 uint64_t deadline_us, extent_visit visit, void *arg)
{
	const struct datapath *d = mappings_datapath(c->m);
	uint32_t cost = 0;

	for (; at->subscriber < cm->tables.n_subscribers; at->subscriber++) {
		const struct subscriber *s = mappings_subscriber(c->m, cm->number, at->subscriber);
		uint32_t n, extent = subscriber_extent(s);
		struct slot *slots = extent ? datapath_extent(d, extent, &n) : NULL;

		if (cost >= LOOK_INTERVAL) {
			cost = 0;
			if (monotonic_us() >= deadline_us)
				return 1;
		}
		cost += 1 + (slots ? n : 0);
		if (slots) {
			int r = visit_extent(c, cm, at, slots, n, visit, arg);

			if (r)
				return r;
		}
	}
	return 0;
}

int copied_extents_visit(struct copying *c, struct copying_cursor *at, uint64_t deadline_us, extent_visit visit,
			 void *arg)
{
	struct copied_mapping *cm;

	if (!extents_used(mappings_datapath(c->m)))
		return 0;
	while ((cm = copied_mapping_from(c, at->number))) {
		int r;

		if (cm->number != at->number)
			*at = (struct copying_cursor){ .number = cm->number };
		r = visit_mapping(c, cm, at, deadline_us, visit, arg);
		if (r)
			return r;
		*at = (struct copying_cursor){ .number = cm->number + 1 };
	}
	return 0;
}
