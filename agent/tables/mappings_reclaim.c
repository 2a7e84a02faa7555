/* SPDX-License-Identifier: BSD-2-Clause */
/* Retires deleted mappings: a grace period, then reports of their sessions, then their memory. */
#include <detnat/extents.h>

#include "tables/extent_reuse.h"
#include "tables/mapping_bindings.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_hosts.h"
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
		mapping_job_set_stage(t, TABLE_TELLING);
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
		mappings_index6_publish(m);
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

/* Returns memory of the tables, as much as one step may. */
static enum chunks_release release(struct mapping_job *t)
{
	struct mappings *m = t->m;
	enum chunks_release r = CHUNKS_RELEASED;

	if (t->part_of)
		return r;
	if (t->buckets_done < t->n_buckets)
		r = chunks_release_step(&m->buckets, t->record.first_bucket, t->n_buckets, &t->buckets_done);
	if (r == CHUNKS_RELEASED)
		r = mapping_bindings_release_step(t);
	if (r == CHUNKS_RELEASED)
		r = mapping_limits_release_step(t);
	if (r == CHUNKS_RELEASED)
		r = mapping_hosts_release_step(t);
	if (r == CHUNKS_RELEASED && t->n_subscribers)
		r = chunks_release_step(&m->subscribers, t->record.first_subscriber, t->n_subscribers,
					&t->subscribers_done);
	return r;
}

/* Subscribers whose records are looked at in one step. */
#define EXTENTS_STEP 16384U

/* Frees extents of the tables' subscribers, while their records cannot be removed. True if there is more to do. */
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

/* Reports ended sessions of the tables and frees their extents, or ends those of a part; true once that is done. */
static bool end_sessions(struct mapping_job *t)
{
	const struct mappings_ending *ending = t->m->ending;

	if (t->part_of)
		return mapping_part_step(t);
	return (!ending || !t->n_buckets || ending->report_slots(t)) && !free_extents(t);
}

/* A step of the first tables at that stage; false if there are none. */
static bool tell_step(struct mappings *m)
{
	for (struct mapping_job *t = m->leaving; t; t = t->next) {
		if (t->stage != TABLE_TELLING)
			continue;
		if (end_sessions(t))
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

	if (tell_step(m) || clear_step(m))
		return RECLAIM_MORE;
	waits |= chunks_busy(&m->buckets);
	waits |= chunks_busy(&m->subscribers);
	waits |= m->hosts.base && chunks_busy(&m->hosts);
	return waits || m->leaving ? RECLAIM_WAITS : RECLAIM_DONE;
}

void mappings_on_leave(struct mappings *m, void (*left)(void *arg), void *arg)
{
	m->on_leave = left;
	m->on_leave_arg = arg;
}
