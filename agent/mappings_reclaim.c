/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way out of mappings: a grace period, then their overflow sessions, then their memory.
 *
 * Overflow sessions go before anything else may use their addresses: one that is left would translate packets
 * of a later mapping to ports of the former.
 */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "mappings_private.h"

static void set_stage(struct mapping_job *t, enum table_stage stage)
{
	t->stage = stage;
	if (stage != TABLE_CLEARING)
		return;
	chunks_retire(&t->m->subscribers, t->record.first_subscriber, t->n_subscribers);
	chunks_retire(&t->m->buckets, t->record.first_bucket, t->n_buckets);
}

void mappings_leave(struct mappings *m, struct mapping_job *t, enum table_stage stage)
{
	struct mapping_job **end = &m->leaving;

	while (*end)
		end = &(*end)->next;
	set_stage(t, stage);
	t->next = NULL;
	*end = t;
}

/* Moves all tables at one stage to another. */
static void advance(struct mappings *m, enum table_stage from, enum table_stage to)
{
	for (struct mapping_job *t = m->leaving; t; t = t->next)
		if (t->stage == from)
			set_stage(t, to);
}

static bool any_at(const struct mappings *m, enum table_stage stage)
{
	for (const struct mapping_job *t = m->leaving; t; t = t->next)
		if (t->stage == stage)
			return true;
	return false;
}

void mappings_settle(struct mappings *m)
{
	if (!any_at(m, TABLE_UNLINKED))
		return;
	datapath_grace_period(m->d);
	prefix_index_settle(&m->in);
	prefix_index_settle(&m->out);
	for (struct mapping_job *t = m->leaving; t; t = t->next) {
		if (t->stage == TABLE_UNLINKED) {
			m->table[t->number] = NULL;
			t->number = -1;
			t->stage = TABLE_AWAITS_SCAN;
		}
	}
}

/* Deletes the overflow entries of one batch that are of no mapping. */
static void purge_batch(struct mappings *m, struct overflow_scan *scan)
{
	for (uint32_t i = 0; i < scan->n; i++) {
		const struct overflow_key *key = &scan->keys[i];

		if (key->direction == OVERFLOW_IN2OUT) {
			/* Its OUT2IN entry comes in this pass too, by itself. */
			if (mappings_find_inside(m, key->addr) >= 0)
				continue;
			mappings_tell_overflow(m, key, scan->sessions[i].truth);
			overflow_delete_entry(m->d, key);
		} else if (mappings_find_outside(m, key->addr) < 0) {
			overflow_delete_entry(m->d, key);
		}
	}
}

/* 1 more to do, 0 the pass is over. */
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

/* One step of the pass through the overflow that tables wait for; false: none does. */
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
	return prefix_overlaps(a->in_base, a->in_plen, b->in_base, b->in_plen) ||
	       prefix_overlaps(a->out_base, a->out_plen, b->out_base, b->out_plen);
}

/* Whether overflow sessions may be left of a mapping that shares addresses with this one. */
static bool left_of_overlaps(const struct mappings *m, const struct geometry *g)
{
	for (const struct mapping_job *t = m->leaving; t; t = t->next)
		if (t->stage <= TABLE_IN_SCAN && overlaps(&t->record.geo, g))
			return true;
	return false;
}

void mappings_settle_overlaps(struct mappings *m, const struct geometry *g)
{
	while (left_of_overlaps(m, g)) {
		mappings_settle(m);
		scan_step(m);
	}
}

/* Gives back tables as far as one step may go; whether they are all free. */
static bool release(struct mapping_job *t)
{
	struct mappings *m = t->m;

	if (t->buckets_done < t->n_buckets &&
	    chunks_release_step(&m->buckets, t->record.first_bucket, t->n_buckets, &t->buckets_done))
		return false;
	return !chunks_release_step(&m->subscribers, t->record.first_subscriber, t->n_subscribers,
				    &t->subscribers_done);
}

/* Tells of some sessions of the first tables that have come so far; false: there are none. */
static bool tell_step(struct mappings *m)
{
	for (struct mapping_job *t = m->leaving; t; t = t->next) {
		if (t->stage != TABLE_TELLING)
			continue;
		if (mappings_tell_step(t))
			set_stage(t, TABLE_CLEARING);
		return true;
	}
	return false;
}

/* Chunks of several tables are removed at once, as each removal takes a grace period. */
static void clear_step(struct mappings *m)
{
	struct mapping_job **at = &m->leaving;

	while (*at) {
		struct mapping_job *t = *at;

		if (t->stage != TABLE_CLEARING) {
			at = &t->next;
			continue;
		}
		if (!release(t))
			break;
		*at = t->next;
		mapping_job_free(t);
	}
	chunks_apply(&m->buckets, &m->subscribers);
}

int mappings_reclaim_step(struct mappings *m)
{
	if (any_at(m, TABLE_UNLINKED))
		mappings_settle(m);
	else if (!scan_step(m) && !tell_step(m))
		clear_step(m);
	return m->leaving ? 1 : 0;
}
