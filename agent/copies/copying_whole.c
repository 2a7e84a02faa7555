/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole copy for one peer: for each subscriber, the sessions announced to all peers that have not changed since. The
 * pass announces later changes to all.
 */
#include <errno.h>

#include "base/clock.h"
#include "copies/copying_private.h"

#define LOOK_INTERVAL 4096U
_Static_assert(sizeof(struct wire_range) + sizeof(struct wire_sessions) + MAX_SLOTS * sizeof(struct wire_session) <=
		       WIRE_PAYLOAD_MAX,
	       "a payload has room for a subscriber");

struct copying_whole {
	struct copying *c;
	unsigned peer;
	uint64_t ended; /* where endings continue */
	struct copying_cursor at;
	uint32_t generation;	   /* of the mappings announced to this peer */
	uint32_t table;		   /* where their table continues */
	uint32_t table_generation; /* of the mappings in the part that was told */
	struct wire_range *range;  /* at the beginning of the payload; NULL: none */
	uint32_t beyond;	   /* where the sessions in extents continue */
	uint32_t leases;	   /* the same of leases */
	uint32_t grants;	   /* and of grants */
	struct rules_cursor rules;
	uint32_t rules_generation; /* of the rules being sent to this peer */
	struct draft out;
};

int copying_whole_new(struct copying *c, unsigned peer, struct copying_whole **ret)
{
	struct copying_whole *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->c = c;
	w->peer = peer;
	w->ended = 0;
	w->at = (struct copying_cursor){ 0 };
	w->generation = c->generation - 1;
	w->table = 0;
	w->table_generation = w->generation;
	w->range = NULL;
	w->beyond = 0;
	w->leases = 0;
	w->grants = 0;
	w->rules = (struct rules_cursor){ 0 };
	w->rules_generation = 0;
	w->out.length = 0;
	*ret = w;
	return 0;
}

void copying_whole_free(struct copying_whole *w)
{
	free(w);
}

/* Emits the range up to the cursor. */
static int flush(struct copying_whole *w, copying_emit emit, void *arg)
{
	int r;

	if (!w->range)
		return 0;
	w->range->count = htobe32(w->at.subscriber - be32toh(w->range->first));
	r = draft_flush(&w->out, emit, arg);
	if (!r)
		w->range = NULL;
	return r;
}

static void write_subscriber(struct copying_whole *w, const struct copied_mapping *cm, const struct slot *slots,
			     const uint32_t timeout_ticks[N_TIMEOUTS], uint32_t now)
{
	const uint16_t *notes = cm->notes + (size_t)w->at.subscriber * cm->tables.n_slots;
	const uint16_t *marks = copy_marks_of(&cm->marks, w->at.subscriber);
	struct wire_sessions *group = NULL;

	for (uint32_t i = 0; i < cm->tables.n_slots; i++) {
		unsigned of = marks ? mark_peer(marks[i]) : 0;
		uint64_t word, key;

		if (note_tag(notes[i]) != NOTE_TOLD)
			continue;
		word = load_word(&slots[i]);
		if (!word_is_live(word) || !read_slot(&slots[i], word, &key) ||
		    notes[i] != note_told(session_id(key, word), word_state(word)))
			continue;
		/* Its state since the announcement. */
		if (of && !mark_holds(marks[i], key, word, copy_vouched(&cm->marks, w->at.subscriber, of), now,
				      timeout_ticks))
			of = 0;
		/* A peer that is back tells of its sessions itself. */
		if (of && (of == w->peer || !(w->c->speaks >> of & 1)))
			continue;
		if (!group) {
			group = draft_take(&w->out, sizeof(*group));
			*group = (struct wire_sessions){ .mapping = htobe16((uint16_t)cm->number),
							 .subscriber = htobe32(w->at.subscriber) };
		}
		group->count = htobe16((uint16_t)(be16toh(group->count) + 1));
		wire_session_fill(draft_take(&w->out, sizeof(struct wire_session)), w->c, cm, w->at.subscriber, i, key,
				  word, now, of);
	}
}

static void begin_range(struct copying_whole *w, const struct copied_mapping *cm)
{
	w->out.type = WIRE_WHOLE;
	w->out.length = 0;
	w->range = draft_take(&w->out, sizeof(*w->range));
	*w->range = (struct wire_range){ .mapping = htobe16((uint16_t)cm->number), .first = htobe32(w->at.subscriber) };
}

/* Writes subscribers of a run: 0: all; 1: the time is up; or the error of `emit`. */
static int write_run(struct copying_whole *w, const struct copied_mapping *cm, uint32_t n, uint64_t deadline_us,
		     uint32_t *cost, copying_emit emit, void *arg)
{
	const struct slot *slots = (const struct slot *)mappings_buckets(w->c->m, cm->number, w->at.subscriber);
	const uint32_t *timeout_ticks = mappings_get(w->c->m, cm->number)->timeout_ticks;
	size_t most = sizeof(struct wire_sessions) + cm->tables.n_slots * sizeof(struct wire_session);
	uint32_t now = datapath_ticks(mappings_datapath(w->c->m));
	/* Nothing is sent of others, so that a peer ends the sessions announced while they were ours. */
	bool owned = copied_mapping_owned(w->c, cm);

	for (uint32_t i = 0; i < n; i++) {
		int r = w->range && draft_room(&w->out) < most ? flush(w, emit, arg) : 0;

		if (r)
			return r;
		if (!w->range)
			begin_range(w, cm);
		if (owned && cm->words[w->at.subscriber])
			write_subscriber(w, cm, slots + (size_t)i * cm->tables.n_slots, timeout_ticks, now);
		w->at.subscriber++;
		*cost += cm->words[w->at.subscriber - 1] ? cm->tables.n_slots : 1;
		if (*cost < LOOK_INTERVAL)
			continue;
		*cost = 0;
		if (monotonic_us() < deadline_us)
			continue;
		/* The payloads of a pass before the next step must not be older than this one. */
		r = flush(w, emit, arg);
		return r ? r : 1;
	}
	return 0;
}

static int write_mappings(struct copying_whole *w, uint64_t deadline_us, copying_emit emit, void *arg)
{
	const struct copied_mapping *cm;
	uint32_t cost = 0;
	int r;

	while ((cm = copied_mapping_from(w->c, w->at.number))) {
		if (cm->number != w->at.number)
			w->at = (struct copying_cursor){ .number = cm->number };
		while (w->at.subscriber < cm->tables.n_subscribers) {
			uint32_t n = mappings_run(w->c->m, cm->number, w->at.subscriber);
			uint32_t left = cm->tables.n_subscribers - w->at.subscriber;

			r = write_run(w, cm, n < left ? n : left, deadline_us, &cost, emit, arg);
			if (r)
				return r;
		}
		r = flush(w, emit, arg);
		if (r)
			return r;
		w->at = (struct copying_cursor){ .number = cm->number + 1 };
	}
	return 0;
}

/* The table comes first, and again after a change, before a number is used that belonged to another mapping. */
static int tell_mappings(struct copying_whole *w, copying_emit emit, void *arg)
{
	uint32_t generation = w->c->generation;
	int r;

	if (w->generation == generation)
		return 0;
	if (w->table_generation != generation)
		w->table = 0;
	w->table_generation = generation;
	r = copied_tables_tell(w->c, &w->table, emit, arg);
	if (r)
		return r;
	w->generation = generation;
	/* The unsent payload has the earlier numbers: the mapping begins again. */
	w->range = NULL;
	w->at.subscriber = 0;
	w->ended = 0;
	/* The peer compares with the payloads after the table. */
	w->beyond = 0;
	w->leases = 0;
	w->grants = 0;
	return 0;
}

static int tell_rules(struct copying_whole *w, copying_emit emit, void *arg)
{
	/* The pass has sent these, but not the earlier ones. */
	if (w->rules_generation != w->c->rules_generation)
		w->rules = (struct rules_cursor){ 0 };
	w->rules_generation = w->c->rules_generation;
	return w->rules.kind < N_RULE_KINDS ? copied_rules_tell(w->c, &w->rules, &w->out, emit, arg) : 0;
}

/* A pass may have announced changes since the unsent payload was read: reads it again. */
static void rewind_range(struct copying_whole *w)
{
	if (!w->range)
		return;
	w->at.subscriber = be32toh(w->range->first);
	w->range = NULL;
}

int copying_whole_step(struct copying_whole *w, unsigned budget_us, copying_emit emit, void *arg)
{
	uint64_t deadline_us = monotonic_us() + budget_us;
	int r;

	copied_mappings_look(w->c);
	rewind_range(w);
	/* The pass first: its unsent payloads have the numbers that all peers know. */
	if (!w->c->primed || w->c->told_generation != w->c->generation)
		return 1;
	r = tell_mappings(w, emit, arg);
	if (!r && !w->range)
		r = copied_ended_whole(w->c, w->peer, &w->ended, &w->out, emit, arg);
	if (!r)
		r = tell_rules(w, emit, arg);
	if (!r && !w->range)
		r = copied_grants_whole(w->c, &w->grants, &w->out, deadline_us, emit, arg);
	if (!r)
		r = write_mappings(w, deadline_us, emit, arg);
	if (!r)
		r = copied_beyond_whole(w->c, &w->beyond, &w->out, deadline_us, emit, arg);
	if (!r)
		r = copied_leases_whole(w->c, &w->leases, &w->out, deadline_us, emit, arg);
	return r ? r : emit(WIRE_WHOLE_END, NULL, 0, arg);
}
