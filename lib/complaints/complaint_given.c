// SPDX-License-Identifier: BSD-2-Clause
#include "complaints/complaint_given.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_SLOTS 64U

/* The slot of something in the table, or the free one where it would be. */
static struct given *slot_of(const struct given_set *s, const struct given *is)
{
	uint64_t hash =
		((uint64_t)is->addr << 16 | is->port) * 0x9e3779b97f4a7c15U + (uint64_t)is->t * 0xc2b2ae3d27d4eb4fU;
	size_t slot = (hash ^ hash >> 32) & (s->slots - 1);

	while (s->known[slot].t != FREE &&
	       (s->known[slot].addr != is->addr || s->known[slot].port != is->port || s->known[slot].t != is->t))
		slot = (slot + 1) & (s->slots - 1);
	return &s->known[slot];
}

/* Makes a table of `slots` with what the one before has. 0 or -ENOMEM. */
static int make_table(struct given_set *s, size_t slots)
{
	struct given *before = s->known, *larger = reallocarray(NULL, slots, sizeof(*larger));
	size_t n = s->slots;

	if (!larger)
		return -ENOMEM;
	for (size_t i = 0; i < slots; i++)
		larger[i].t = FREE;
	s->known = larger;
	s->slots = slots;
	for (size_t i = 0; i < n; i++)
		if (before[i].t != FREE)
			*slot_of(s, &before[i]) = before[i];
	free(before);
	return 0;
}

int given_begin(struct given_set *s)
{
	return make_table(s, FIRST_SLOTS);
}

void given_free(struct given_set *s)
{
	free(s->known);
}

bool given_has(struct given_set *s, const struct given *is, bool add)
{
	struct given *slot = slot_of(s, is);

	if (slot->t != FREE)
		return true;
	if (!add)
		return false;
	*slot = *is;
	if (++s->n > s->slots / 2)
		s->failed |= make_table(s, s->slots * 2) != 0;
	return false;
}
