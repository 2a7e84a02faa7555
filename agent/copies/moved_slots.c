/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/moved_slots.h"

#include <errno.h>

struct moved {
	struct hash_entry entry;
	uint32_t subscriber;
	uint16_t mapping; /* number, here */
	uint16_t theirs;  /* slots */
	uint16_t ours;
	uint8_t peer;
};

static uint64_t hash_by_ours(const void *entry)
{
	const struct moved *e = entry;

	return HASH_OF((uint64_t)e->mapping << 32 | e->subscriber, e->ours);
}

static bool same_by_ours(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;

	return x->mapping == y->mapping && x->subscriber == y->subscriber && x->ours == y->ours;
}

static const struct hash_type by_ours = { sizeof(struct moved), MOVED_MAX, hash_by_ours, same_by_ours };

static uint64_t hash_by_theirs(const struct moved *e)
{
	return HASH_OF((uint64_t)e->mapping << 32 | e->subscriber, (uint64_t)e->peer << 16 | e->theirs);
}

static struct moved *find_by_theirs(const struct moved_slots *t, const struct moved *like)
{
	uint64_t hash = t->by_theirs.n ? hash_by_theirs(like) : 0;
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&t->by_theirs, hash, &step, &number);) {
		struct moved *e = hash_at(&by_ours, &t->by_ours, number);

		if (e->mapping == like->mapping && e->subscriber == like->subscriber && e->peer == like->peer &&
		    e->theirs == like->theirs)
			return e;
	}
	return NULL;
}

void moved_free(struct moved_slots *t)
{
	hash_free(&t->by_ours);
	hash_index_free(&t->by_theirs);
}

size_t moved_memory(const struct moved_slots *t)
{
	return hash_memory(&by_ours, &t->by_ours) + hash_index_memory(&t->by_theirs);
}

int moved_ours(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs)
{
	const struct moved *e = find_by_theirs(t, &(struct moved){
							  .subscriber = subscriber,
							  .mapping = mapping,
							  .theirs = theirs,
							  .peer = (uint8_t)peer,
						  });

	return e ? e->ours : -1;
}

static struct moved *find_by_ours(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours)
{
	const struct moved like = { .subscriber = subscriber, .mapping = mapping, .ours = ours };

	return hash_find(&by_ours, &t->by_ours, &like);
}

int moved_theirs(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours)
{
	const struct moved *e = find_by_ours(t, mapping, subscriber, ours);

	return e ? e->theirs : -1;
}

static void take_out(struct moved_slots *t, struct moved *e)
{
	if (!e)
		return;
	hash_index_del(&t->by_theirs, hash_by_theirs(e), e->entry.number);
	hash_del(&by_ours, &t->by_ours, e);
}

int moved_add(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs,
	      uint16_t ours)
{
	const struct moved like = {
		.subscriber = subscriber,
		.mapping = mapping,
		.theirs = theirs,
		.ours = ours,
		.peer = (uint8_t)peer,
	};
	struct moved *e;

	take_out(t, find_by_theirs(t, &like));
	take_out(t, find_by_ours(t, mapping, subscriber, ours));
	e = hash_add(&by_ours, &t->by_ours, &like);
	if (!e)
		return t->by_ours.n == MOVED_MAX ? -ENOSPC : -ENOMEM;
	if (hash_index_add(&t->by_theirs, hash_by_theirs(e), e->entry.number)) {
		hash_del(&by_ours, &t->by_ours, e);
		return -ENOMEM;
	}
	return 0;
}

void moved_del(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours)
{
	take_out(t, find_by_ours(t, mapping, subscriber, ours));
}

void moved_del_mapping(struct moved_slots *t, uint16_t mapping)
{
	uint32_t at = 0;

	for (struct moved *e; (e = hash_walk(&by_ours, &t->by_ours, &at));)
		if (e->mapping == mapping)
			take_out(t, e);
}
