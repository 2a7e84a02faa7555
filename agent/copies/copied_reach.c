/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside addresses of each mapping. A mapping takes no copies for addresses that it does not have. If it loses
 * addresses, its copies for them end; once it regains them, everything known about those copies is forgotten.
 */
#include <string.h>

#include "copies/found_session.h"

/* Whether the mapping of a run had all of its addresses at the last look. */
static bool had(const struct copying *c, const struct inside_run *run)
{
	size_t i = inside_run_at(c->reach, c->n_reach, run->first);
	const struct inside_run *before = c->reach + i;

	return i < c->n_reach && before->number == run->number && before->first <= run->first &&
	       before->last >= run->last;
}

/* Clears the marks of a subscriber's slots that have lost their copy. */
static void forget_slots(struct copying *c, struct copied_mapping *cm, uint32_t subscriber)
{
	const struct slot *slots = (const struct slot *)mappings_buckets(c->m, cm->number, subscriber);
	uint16_t *marks = copy_marks_of(&cm->marks, subscriber);

	for (uint32_t slot = 0; marks && slot < cm->tables.n_slots; slot++) {
		uint64_t word = load_word(&slots[slot]), key;

		if (!mark_peer(marks[slot]))
			continue;
		if (!word_is_live(word) || !read_slot(&slots[slot], word, &key) ||
		    !mark_is_of(marks[slot], session_id(key, word)))
			mark_clear(c, cm, subscriber, slot, &marks[slot]);
	}
}

/* Forgets lost copies beyond the slots of subscribers from first to last. */
static void forget_beyond(struct copying *c, const struct copied_mapping *cm, uint32_t first, uint32_t last)
{
	uint32_t at = 0;

	for (struct beyond_note *n; (n = hash_walk(&beyond_notes, &c->beyond, &at));) {
		struct found_session s;

		if (!word_owner(n->word) || n->id.mapping != cm->number || n->id.subscriber < first ||
		    n->id.subscriber > last || (found_beyond(c, &n->id, &s) && s.id.out_port == n->id.out_port))
			continue;
		c->told -= n->state != 0;
		hash_del(&beyond_notes, &c->beyond, n);
	}
}

/* Forgets the copies of these addresses that ended while the mapping did not have them. */
static void forget_ended(struct copying *c, struct copied_mapping *cm, uint32_t first, uint32_t last)
{
	first -= cm->in.base;
	last -= cm->in.base;
	for (uint32_t i = first; i <= last; i++)
		if (cm->holders[i])
			forget_slots(c, cm, i);
	forget_beyond(c, cm, first, last);
}

/* The same for the addresses of a run that belonged to another mapping at the last look, or to none. */
static void forget_gained(struct copying *c, struct copied_mapping *cm, const struct inside_run *run)
{
	uint64_t at = run->first;

	while (at <= run->last) {
		size_t i = inside_run_at(c->reach, c->n_reach, at);
		const struct inside_run *before = c->reach + i;
		bool within = i < c->n_reach && before->first <= at;
		uint64_t last = run->last;

		if (within && before->last < last)
			last = before->last;
		else if (!within && i < c->n_reach && before->first <= last)
			last = before->first - 1;
		if (!within || before->number != run->number)
			forget_ended(c, cm, inside_addr(at), inside_addr(last));
		at = last + 1;
	}
}

/* Reads the current addresses of each mapping; returns the number of runs. */
static size_t read_reach(const struct mappings *m, struct inside_run *ret)
{
	size_t n = 0;

	for (uint64_t at = 0; at < INSIDE_END; at = ret[n++].last + 1) {
		int number = mappings_next_inside(m, at, &ret[n].first, &ret[n].last);

		if (number < 0)
			break;
		ret[n].number = (uint16_t)number;
	}
	return n;
}

bool copied_reach_grows(struct copying *c)
{
	struct inside_run now[INSIDE_RUNS(MAX_MAPPINGS) + 1];
	size_t n = read_reach(c->m, now);
	bool grows = false;

	for (size_t i = 0; i < n; i++) {
		struct copied_mapping *cm = copied_mapping(c, now[i].number);

		if (!cm || had(c, &now[i]))
			continue;
		/* A mapping noted only now has an earlier agent's marks. Its endings are announced. */
		if (cm->begun != c->generation + 1)
			forget_gained(c, cm, &now[i]);
		cm->begun = c->generation + 1;
		grows = true;
	}
	memcpy(c->reach, now, n * sizeof(*now));
	c->n_reach = n;
	c->reach_stale = false;
	return grows;
}
