/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sender's pass. A subscriber whose word with count and lock is unchanged has opened and ended nothing since its
 * slots were last read, so it costs one load. Changes that leave the word as it is (states of TCP) are found because
 * each subscriber with sessions is read once in IDLE_TURNS passes.
 */
#include <errno.h>

#include "base/clock.h"
#include "copies/ownership.h"

/* A power of two. */
#define IDLE_TURNS 16U

/* Slots read, or subscribers skipped, between two looks at the clock. */
#define LOOK_INTERVAL 4096U

/* A subscriber being read. */
struct reading {
	struct copying *c;
	struct copied_mapping *cm;
	const uint32_t *timeout_ticks;
	uint32_t now;
	unsigned phase;
	unsigned min_phases; /* in which a session has been seen before it is announced */
	uint32_t subscriber;
	const struct slot *slots;
	uint16_t *notes;
	uint16_t *marks; /* NULL: no slot of the subscriber has one */
	uint8_t flags;	 /* for the next pass */
	struct wire_sessions *group;
};

/* Passes that count as one phase, such that the minimum age takes fewer than NOTE_PHASES. */
static unsigned passes_per_phase(const struct copying_limits *l, unsigned *ret_min_phases)
{
	unsigned passes = passes_of_age(l);
	unsigned per_phase = passes < NOTE_PHASES ? 1 : (passes + NOTE_PHASES - 3) / (NOTE_PHASES - 2);

	/* A session may first be seen at the end of a phase. */
	*ret_min_phases = per_phase == 1 ? passes : (passes + per_phase - 1) / per_phase + 1;
	return per_phase;
}

static void write_record(struct reading *rd, uint32_t slot, const struct wire_session *record)
{
	struct draft *o = &rd->c->out;

	if (!rd->group) {
		o->type = WIRE_CHANGES;
		rd->group = draft_take(o, sizeof(*rd->group));
		*rd->group = (struct wire_sessions){ .mapping = htobe16((uint16_t)rd->cm->number),
						     .subscriber = htobe32(rd->subscriber) };
	}
	rd->group->count = htobe16((uint16_t)(be16toh(rd->group->count) + 1));
	*(struct wire_session *)draft_take(o, sizeof(*record)) = *record;
}

static void tell_end(struct reading *rd, uint32_t slot)
{
	const struct wire_session record = { .slot = htobe16((uint16_t)slot) };

	rd->c->told--;
	write_record(rd, slot, &record);
}

/* Whether a slot has a session that another gateway has: it is told on its behalf. */
static bool is_theirs(const struct reading *rd, uint32_t slot)
{
	return rd->marks && mark_peer(rd->marks[slot]);
}

static void tell(struct reading *rd, uint32_t slot, uint64_t key, uint64_t word)
{
	struct wire_session record;

	/* Sessions that exist at a start go with whole copies. */
	if (!rd->c->primed)
		return;
	wire_session_fill(&record, rd->c, rd->cm, rd->subscriber, slot, key, word, rd->now, is_theirs(rd, slot));
	write_record(rd, slot, &record);
}

/* Notes that a slot has nothing to announce. */
static void note_nothing(struct reading *rd, uint32_t slot)
{
	if (note_tag(rd->notes[slot]) == NOTE_TOLD)
		tell_end(rd, slot);
	rd->notes[slot] = 0;
}

/* TCP on its way to a connection changes its state soon, which the word does not show. */
static bool is_opening(uint64_t word)
{
	uint8_t state = word_state(word) & (uint8_t)~SESSION_RESET;

	return (state >= SESSION_SYN_SENT && state < SESSION_ESTABLISHED) || state >= SESSION_SYN_RECEIVED;
}

/*
 * Whether a session announced for the first time need not reach the minimum age, as others have it already: one that
 * was taken over, or that has ended and begins again.
 */
static bool is_known(struct reading *rd, uint32_t slot, uint64_t key, uint64_t word)
{
	const struct session_tuple id = slot_session_id(rd->cm, rd->subscriber, key, word);
	uint16_t number = session_id(key, word), *mark;
	uint8_t turn;

	if (is_theirs(rd, slot))
		return true;
	if (!begins_again(rd->c, &id, &turn))
		return rd->marks && mark_is_taken(rd->marks[slot]);
	if (copied_marks_make(rd->c, rd->cm, rd->subscriber))
		return false;
	rd->marks = copy_marks_of(&rd->cm->marks, rd->subscriber);
	mark = &rd->marks[slot];
	/* A peer may have told a later end of it, which has raised its turn already. */
	if (turn_after(slot_turn(rd->cm, rd->subscriber, slot, *mark, number), turn))
		return true;
	mark_clear(rd->c, rd->cm, rd->subscriber, slot, mark);
	*mark = mark_of_taken(number);
	set_turn(rd->cm, rd->subscriber, slot, turn);
	return true;
}

/* Notes a session that can be announced: one of this gateway's own, or one on whose gateway's behalf it tells. */
static void note_session(struct reading *rd, uint32_t slot, uint64_t key, uint64_t word)
{
	uint16_t id = session_id(key, word), told = note_told(id, word_state(word)), *note = &rd->notes[slot];

	if (is_opening(word))
		rd->flags |= SUBSCRIBER_UNSURE;
	if (*note == told)
		return;
	if (!rd->c->primed || note_is_of(*note, id)) {
		/* It may have ended at the start of this agent, and gets the next turn. */
		if (!rd->c->primed)
			(void)is_known(rd, slot, key, word);
		rd->c->told += note_tag(*note) != NOTE_TOLD;
		tell(rd, slot, key, word);
		*note = told;
		return;
	}
	/* Another session than the one announced or seen before. */
	if (note_tag(*note) == NOTE_TOLD)
		tell_end(rd, slot);
	if (!note_tag(*note) || note_tag(*note) == NOTE_TOLD || (*note & ID_MASK) != id)
		*note = note_seen(id, rd->phase);
	if (is_known(rd, slot, key, word) || note_age(*note, rd->phase) >= rd->min_phases) {
		rd->c->told++;
		tell(rd, slot, key, word);
		*note = told;
	} else {
		rd->flags |= SUBSCRIBER_YOUNG;
	}
}

/* Whether a slot holds a copy, which its own gateway announces unless it is silent. */
static bool is_copy(struct reading *rd, uint32_t slot)
{
	uint16_t *mark = rd->marks ? &rd->marks[slot] : NULL;

	return mark && *mark && mark_settle(rd->c, rd->cm, rd->subscriber, slot, mark, NULL, rd->now) &&
	       !(rd->c->speaks >> mark_peer(*mark) & 1);
}

static void read_one(struct reading *rd, uint32_t slot)
{
	bool copy = is_copy(rd, slot);
	uint64_t word = load_word(&rd->slots[slot]), key;

	if (!word_is_live(word) || word_state(word) == SESSION_TIME_WAIT ||
	    word_expired(word, rd->now, rd->timeout_ticks)) {
		if (rd->notes[slot])
			note_nothing(rd, slot);
		return;
	}
	if (!read_slot(&rd->slots[slot], word, &key))
		rd->flags |= SUBSCRIBER_UNSURE;
	else if (copy)
		note_nothing(rd, slot);
	else
		note_session(rd, slot, key, word);
}

/* Reads all slots, or with `young_alone` those of sessions that are not announced yet. */
static void read_subscriber(struct reading *rd, bool young_alone)
{
	uint32_t n = rd->cm->tables.n_slots;

	rd->flags = 0;
	rd->group = NULL;
	for (uint32_t i = 0; i < n; i++) {
		unsigned tag = note_tag(rd->notes[i]);

		if (!young_alone || (tag && tag != NOTE_TOLD))
			read_one(rd, i);
	}
}

/* The treatment of a subscriber, from its present word. */
enum look { LOOK_NOTHING, LOOK_YOUNG, LOOK_ALL };

static enum look look_at(const struct copying *c, const struct copied_mapping *cm, uint32_t subscriber,
			 union opener now)
{
	uint8_t flags = cm->flags[subscriber];

	if (now.word != cm->words[subscriber] || flags & SUBSCRIBER_UNSURE ||
	    (now.sessions && !((subscriber ^ c->pass) & (IDLE_TURNS - 1))))
		return LOOK_ALL;
	return flags & SUBSCRIBER_YOUNG ? LOOK_YOUNG : LOOK_NOTHING;
}

/* Reads subscribers of a run, from the cursor on. 0: all of them; 1: the time is up; or the error of `emit`. */
static int read_run(struct reading *rd, uint32_t n, uint32_t *cost, uint64_t deadline_us, copying_emit emit, void *arg)
{
	struct copied_mapping *cm = rd->cm;
	struct copying *c = rd->c;
	const struct subscriber *s = mappings_subscriber(c->m, cm->number, c->at.subscriber);
	const struct slot *slots = (const struct slot *)mappings_buckets(c->m, cm->number, c->at.subscriber);
	size_t most = sizeof(struct wire_sessions) + cm->tables.n_slots * sizeof(struct wire_session);

	for (uint32_t i = 0; i < n; i++, c->at.subscriber++) {
		uint32_t at = c->at.subscriber;
		union opener now = { .word = __atomic_load_n(&s[i].opener.word, __ATOMIC_ACQUIRE) };
		enum look look = look_at(c, cm, at, now);

		if (look != LOOK_NOTHING) {
			int r = draft_room(&c->out) < most ? draft_flush(&c->out, emit, arg) : 0;

			if (r)
				return r;
			rd->subscriber = at;
			rd->slots = slots + (size_t)i * cm->tables.n_slots;
			rd->notes = cm->notes + (size_t)at * cm->tables.n_slots;
			rd->marks = copy_marks_of(&cm->marks, at);
			read_subscriber(rd, look == LOOK_YOUNG);
			cm->words[at] = now.word;
			/* The lock is held: the next pass finds the session that is being opened. */
			cm->flags[at] = rd->flags | (now.lock & 1 ? SUBSCRIBER_UNSURE : 0);
			*cost += cm->tables.n_slots;
		}
		if (++*cost < LOOK_INTERVAL)
			continue;
		*cost = 0;
		if (monotonic_us() >= deadline_us) {
			c->at.subscriber++;
			return 1;
		}
	}
	return 0;
}

static int read_mappings(struct copying *c, uint64_t deadline_us, copying_emit emit, void *arg)
{
	struct reading rd = { .c = c, .now = datapath_ticks(mappings_datapath(c->m)) };
	unsigned per_phase = passes_per_phase(&c->limits, &rd.min_phases);
	struct copied_mapping *cm;
	uint32_t cost = 0;

	rd.phase = c->pass / per_phase;
	while ((cm = copied_mapping_from(c, c->at.number))) {
		if (cm->number != c->at.number)
			c->at = (struct copying_cursor){ .number = cm->number };
		if (!copied_mapping_owned(c, cm)) {
			c->at.number++;
			continue;
		}
		rd.cm = cm;
		rd.timeout_ticks = mappings_get(c->m, cm->number)->timeout_ticks;
		while (c->at.subscriber < cm->tables.n_subscribers) {
			uint32_t n = mappings_run(c->m, cm->number, c->at.subscriber);
			uint32_t left = cm->tables.n_subscribers - c->at.subscriber;
			int r = read_run(&rd, n < left ? n : left, &cost, deadline_us, emit, arg);

			if (r)
				return r;
		}
		c->at = (struct copying_cursor){ .number = cm->number + 1 };
	}
	return 0;
}

/* Sends all rules once they have changed. */
static int tell_rules(struct copying *c, copying_emit emit, void *arg)
{
	struct rules_cursor at = { 0 };
	int r;

	copied_rules_sync(c);
	if (c->told_rules == c->rules_generation)
		return 0;
	r = draft_flush(&c->out, emit, arg);
	/* Rules that exist at a start go with whole copies. */
	if (!r && c->primed)
		r = copied_rules_tell(c, &at, &c->out, emit, arg);
	if (!r)
		c->told_rules = c->rules_generation;
	return r;
}

int copying_pass(struct copying *c, unsigned budget_us, copying_emit emit, void *arg)
{
	uint64_t deadline_us = monotonic_us() + budget_us;
	uint32_t table = 0;
	int r;

	copied_mappings_look(c);
	if (c->told_generation != c->generation) {
		/* The waiting payload has the earlier numbers. */
		r = draft_flush(&c->out, emit, arg);
		if (!r)
			r = copied_tables_tell(c, &table, emit, arg);
		if (r)
			return r;
		c->told_generation = c->generation;
		hash_index_free(&c->gone);
	}
	r = tell_rules(c, emit, arg);
	/* Before sessions on granted ports. */
	if (!r)
		r = copied_grants_tell(c, emit, arg);
	if (r)
		return r;
	r = read_mappings(c, deadline_us, emit, arg);
	if (!r)
		r = copied_beyond_tell(c, deadline_us, emit, arg);
	if (!r)
		r = copied_ended_tell(c, emit, arg);
	if (!r)
		r = copied_leases_tell(c, emit, arg);
	if (r)
		return r;
	r = draft_flush(&c->out, emit, arg);
	if (r)
		return r;
	c->at = (struct copying_cursor){ 0 };
	c->beyond_pass.step = BEYOND_BEGINS;
	c->pass++;
	c->primed = true;
	return 0;
}

void copying_speak(struct copying *c, uint8_t peers)
{
	uint8_t changed = c->speaks ^ peers;

	c->speaks = peers;
	if (peers)
		c->spoke = c->pass;
	for (struct copied_mapping *cm = changed ? copied_mapping_from(c, 0) : NULL; cm;
	     cm = copied_mapping_from(c, cm->number + 1))
		for (uint32_t i = 0; i < cm->tables.n_subscribers; i++)
			if (cm->holders[i] & changed)
				cm->flags[i] |= SUBSCRIBER_UNSURE;
}

bool copying_speaks(const struct copying *c)
{
	/* By then each subscriber has been read again. */
	return c->speaks || (c->spoke && c->pass - c->spoke < 2 * IDLE_TURNS);
}
