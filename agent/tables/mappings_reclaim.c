/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Retires deleted mappings: a grace period, then their overflow sessions, then their memory.
 *
 * Overflow sessions of a former mapping are never mistaken for those of a later one, unless that has the same blocks.
 * They must still be deleted before the same addresses are mapped again: the records of that mapping do not count them.
 */
#include <errno.h>
#include <string.h>

#include <detnat/extents.h>

#include "base/log.h"
#include "tables/extent_reuse.h"
#include "tables/mapping_bindings.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_limits.h"

/* Moves all tables from one stage to another. */
static void advance(struct mappings *m, enum table_stage from, enum table_stage to)
{
	for (struct mapping_job *t = m->leaving; t; t = t->next)
		if (t->stage == from)
			mapping_job_set_stage(t, to);
}

static bool any_at(const struct mappings *m, enum table_stage stage)
{
	for (const struct mapping_job *t = m->leaving; t; t = t->next)
		if (t->stage == stage)
			return true;
	return false;
}

static void wait_for_packets(void *arg)
{
	datapath_grace_period(arg);
}

/* Ends the grace period that unlinked tables wait for. */
static void end_grace(struct mappings *m)
{
	m->grace_runs = false;
	/* If others were unlinked since it began, all index nodes wait for the next grace period. */
	if (!any_at(m, TABLE_UNLINKED)) {
		prefix_index_settle(&m->in);
		prefix_index_settle(&m->out);
	}
	for (struct mapping_job *t = m->leaving; t; t = t->next) {
		if (t->stage != TABLE_IN_GRACE)
			continue;
		t->stage = TABLE_AWAITS_SCAN;
		if (t->part_of)
			continue;
		m->table[t->number] = NULL;
		t->number = -1;
	}
}

/* Whether tables wait for a grace period. */
static bool grace_step(struct mappings *m)
{
	if (m->grace_runs && !background_busy(&m->grace))
		end_grace(m);
	if (!m->grace_runs && any_at(m, TABLE_UNLINKED)) {
		advance(m, TABLE_UNLINKED, TABLE_IN_GRACE);
		m->grace_runs = true;
		background_start(&m->grace, wait_for_packets, m->d);
	}
	return m->grace_runs;
}

void mappings_settle(struct mappings *m)
{
	while (grace_step(m))
		background_wait(&m->grace);
}

void mappings_settle_index(struct mappings *m)
{
	mappings_settle(m);
	if (!prefix_index_unsettled(&m->in))
		return;
	datapath_grace_period(m->d);
	prefix_index_settle(&m->in);
}

/* The tables on their way out to which an overflow session belongs, or NULL. */
static struct mapping_job *owner_of(const struct mappings *m, const struct overflow_key *in2out)
{
	for (struct mapping_job *t = m->leaving; t; t = t->next)
		if (t->stage == TABLE_IN_SCAN && overflow_key_is_of(&t->record.geo, in2out) &&
		    (!t->part_of || in2out->in_addr - t->record.geo.in_base - t->part_first < t->n_subscribers))
			return t;
	return NULL;
}

/* A subscriber whose mapping is in use, but does not have its address; `s` NULL: there is none. */
struct parted {
	struct subscriber *s;
	struct limit_line *line;
};

static struct parted parted_subscriber(const struct mappings *m, const struct overflow_key *key)
{
	uint32_t subscriber;
	int number = mappings_find_outside(m, key->out_addr);

	if (number < 0 || !m->table[number] || !mapping_has_slots(&m->table[number]->record) ||
	    !overflow_key_is_of(&m->table[number]->record.geo, key))
		return (struct parted){ 0 };
	subscriber = mapping_subscriber(&m->table[number]->record.geo, key->in_addr);
	return (struct parted){ mappings_subscriber(m, number, subscriber),
				mappings_limit_line(m, number, subscriber) };
}

/* Tries to delete a session that packets from outside may still change. */
#define PURGE_TRIES 100U

static bool purge_parted(struct mappings *m, const struct parted *p, const struct overflow_key *in2out, uint64_t *word)
{
	for (unsigned tries = 0; tries < PURGE_TRIES; tries++) {
		if (overflow_delete(m->d, in2out, *word, p->s, p->line))
			return true;
		if (overflow_word(m->d, in2out, word))
			return false;
	}
	return false;
}

/* Deletes a session, given by its IN2OUT entry, of which no mapping has the inside address. */
static void purge_session(struct mappings *m, const struct overflow_key *in2out, uint64_t word)
{
	struct mapping_job *of = owner_of(m, in2out);
	struct parted p = parted_subscriber(m, in2out);
	bool deleted = p.s ? purge_parted(m, &p, in2out, &word) : overflow_delete_entry(m->d, in2out);

	if (deleted && m->ending && of)
		m->ending->report_overflow(of, in2out, word);
}

/* Deletes the entries of a batch whose inside address no mapping has. */
static void purge_batch(struct mappings *m, struct overflow_scan *scan)
{
	for (uint32_t i = 0; i < scan->n; i++) {
		const struct overflow_key *key = &scan->keys[i];

		if (mappings_of_overflow(m, key) >= 0)
			continue;
		if (key->direction == OVERFLOW_IN2OUT)
			purge_session(m, key, scan->sessions[i].truth);
		else
			overflow_delete_entry(m->d, key);
	}
}

/* 1: more to do; 0: the pass is complete. */
static int purge_step(struct mappings *m)
{
	int r = overflow_scan_step(&m->scan, m->d);

	if (r == -EAGAIN) {
		overflow_scan_end(&m->scan);
		r = overflow_scan_step(&m->scan, m->d);
	}
	if (r >= 0)
		purge_batch(m, &m->scan);
	else
		log_warning("cannot read the overflow sessions: %s", strerror(-r));
	if (r <= 0)
		overflow_scan_end(&m->scan);
	return r > 0;
}

void mappings_purge_overflow(struct mappings *m)
{
	while (purge_step(m))
		;
}

/* A step of the pass through the overflow that tables wait for; false if none is needed. */
static bool scan_step(struct mappings *m)
{
	if (!m->scanning) {
		if (!any_at(m, TABLE_AWAITS_SCAN))
			return false;
		advance(m, TABLE_AWAITS_SCAN, TABLE_IN_SCAN);
		m->scanning = true;
	}
	if (purge_step(m))
		return true;
	m->scanning = false;
	advance(m, TABLE_IN_SCAN, TABLE_TELLING);
	return true;
}

static bool overlaps(const struct geometry *a, const struct geometry *b)
{
	return prefixes_overlap(geometry_in(a), geometry_in(b)) || prefixes_overlap(geometry_out(a), geometry_out(b));
}

bool mappings_left_of_overlaps(const struct mappings *m, const struct geometry *g)
{
	for (const struct mapping_job *t = m->leaving; t; t = t->next)
		if (!t->part_of && t->stage <= TABLE_IN_SCAN && overlaps(&t->record.geo, g))
			return true;
	return false;
}

void mappings_settle_overlaps(struct mappings *m, const struct geometry *g)
{
	while (mappings_left_of_overlaps(m, g)) {
		mappings_settle(m);
		scan_step(m);
	}
}

/* Subscribers whose records are looked at in one step. */
#define EXTENTS_STEP 16384U

/* Frees extents of the tables' subscribers. True if there is more to do. */
static bool free_extents(struct mapping_job *t)
{
	struct mappings *m = t->m;
	uint64_t end =
		t->extents_done + EXTENTS_STEP < t->n_subscribers ? t->extents_done + EXTENTS_STEP : t->n_subscribers;

	if (!m->d->pool || !m->d->pool->next)
		return false;
	for (; t->extents_done < end; t->extents_done++) {
		const struct subscriber *s =
			chunks_at(&m->subscribers, t->record.first_subscriber + (uint32_t)t->extents_done);

		if (subscriber_extent(s))
			extent_free(m->d, subscriber_extent(s));
	}
	return end < t->n_subscribers;
}

/* Returns memory of the tables, as much as one step may. */
static enum chunks_release release(struct mapping_job *t)
{
	struct mappings *m = t->m;
	enum chunks_release r = CHUNKS_RELEASED;

	if (t->part_of)
		return r;
	if (free_extents(t))
		return CHUNKS_MORE;
	if (t->buckets_done < t->n_buckets)
		r = chunks_release_step(&m->buckets, t->record.first_bucket, t->n_buckets, &t->buckets_done);
	if (r == CHUNKS_RELEASED)
		r = mapping_bindings_release_step(t);
	if (r == CHUNKS_RELEASED)
		r = mapping_limits_release_step(t);
	if (r == CHUNKS_RELEASED && t->n_subscribers)
		r = chunks_release_step(&m->subscribers, t->record.first_subscriber, t->n_subscribers,
					&t->subscribers_done);
	return r;
}

/* Reports some ended sessions of the first tables at that stage, or ends those of a part; false if there are none. */
static bool tell_step(struct mappings *m)
{
	for (struct mapping_job *t = m->leaving; t; t = t->next) {
		if (t->stage != TABLE_TELLING)
			continue;
		if (t->part_of ? mapping_part_step(t) : !m->ending || !t->n_buckets || m->ending->report_slots(t))
			mapping_job_set_stage(t, TABLE_CLEARING);
		return true;
	}
	return false;
}

/* Clears a little; true if there is more to do right now. */
static bool clear_step(struct mappings *m)
{
	for (struct mapping_job **at = &m->leaving, *t; (t = *at); at = &t->next) {
		enum chunks_release r;

		if (t->stage != TABLE_CLEARING)
			continue;
		r = release(t);
		if (r == CHUNKS_RELEASED) {
			*at = t->next;
			mapping_job_free(t);
		}
		return r != CHUNKS_WAITS;
	}
	return false;
}

enum reclaim mappings_reclaim_step(struct mappings *m)
{
	bool waits = grace_step(m);

	if (scan_step(m) || tell_step(m) || clear_step(m))
		return RECLAIM_MORE;
	waits |= chunks_busy(&m->buckets);
	waits |= chunks_busy(&m->subscribers);
	return waits || m->leaving ? RECLAIM_WAITS : RECLAIM_DONE;
}

void mappings_on_leave(struct mappings *m, void (*left)(void *arg), void *arg)
{
	m->on_leave = left;
	m->on_leave_arg = arg;
}
