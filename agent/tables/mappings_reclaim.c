/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Retires deleted mappings: a grace period, then their overflow sessions, then their memory.
 *
 * Their overflow sessions must be deleted before the addresses are reused: otherwise packets of a later mapping would
 * be translated to ports of the former one.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "tables/mapping_bindings.h"

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

/* The grace period that unlinked tables wait for has ended. */
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

/* The tables on their way out whose sessions have this outside address, or an inside address without one; or NULL. */
static struct mapping_job *owner_of(const struct mappings *m, uint32_t in_addr, const uint32_t *out_addr)
{
	struct mapping_job *found = NULL;

	for (struct mapping_job *t = m->leaving; t; t = t->next) {
		const struct geometry *g = &t->record.geo;

		if (t->stage == TABLE_IN_SCAN && g->out_plen != PLEN_NONE &&
		    prefix_contains(g->in_base, g->in_plen, in_addr) &&
		    (!out_addr || prefix_contains(g->out_base, g->out_plen, *out_addr)) &&
		    (!found || g->in_plen > found->record.geo.in_plen))
			found = t;
	}
	return found;
}

static void purge_session(struct mappings *m, struct mapping_job *of, const struct overflow_key *in2out, uint64_t word)
{
	/* Both of its entries lead here. */
	if (overflow_delete_entry(m->d, in2out) && m->ending && of)
		m->ending->report_overflow(of, in2out, word);
}

/* Whether a session is one of the mapping that has its inside address now, or of one from which that drains. */
static bool is_present(const struct mappings *m, const struct overflow_key *in2out, uint64_t word)
{
	int number = mappings_of_overflow(m, in2out, word);

	return number >= 0 && overflow_has_pair(m->d, in2out, word, &m->d->mapping[number].geo);
}

/*
 * An OUT2IN entry of a mapping that no longer has the inside address, because it was deleted, or because that has
 * become an exception, or is no longer one. The inside endpoint may be in use by a session of the other mapping by now.
 */
static void purge_pair(struct mappings *m, const struct overflow_key *out2in, const struct overflow_session *session)
{
	struct overflow_key in2out = *out2in;
	uint64_t word;

	in2out.addr = session->in_addr;
	in2out.port = session->in_port;
	in2out.direction = OVERFLOW_IN2OUT;
	if (!overflow_word(m->d, &in2out, &word) && word_out_port(word) == out2in->port &&
	    !is_present(m, &in2out, word))
		purge_session(m, owner_of(m, in2out.addr, &out2in->addr), &in2out, word);
	overflow_delete_entry(m->d, out2in);
}

/* Deletes the entries of a batch that belong to no mapping, or not to the one that has the inside address. */
static void purge_batch(struct mappings *m, struct overflow_scan *scan)
{
	for (uint32_t i = 0; i < scan->n; i++) {
		const struct overflow_key *key = &scan->keys[i];
		int outside;

		if (key->direction == OVERFLOW_IN2OUT) {
			/* Its OUT2IN entry is found in this pass as well. */
			if (mappings_find_inside(m, key->addr) < 0 && !is_present(m, key, scan->sessions[i].truth))
				purge_session(m, owner_of(m, key->addr, NULL), key, scan->sessions[i].truth);
			continue;
		}
		outside = mappings_find_outside(m, key->addr);
		if (outside < 0 || (mappings_find_inside(m, scan->sessions[i].in_addr) != outside &&
				    !mappings_drains_of(m, (struct prefix){ scan->sessions[i].in_addr, 32 }, outside)))
			purge_pair(m, key, &scan->sessions[i]);
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
	return prefix_overlaps(a->in_base, a->in_plen, b->in_base, b->in_plen) ||
	       (a->out_plen != PLEN_NONE && b->out_plen != PLEN_NONE &&
		prefix_overlaps(a->out_base, a->out_plen, b->out_base, b->out_plen));
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
	waits |= chunks_busy(&m->buckets) | chunks_busy(&m->subscribers);
	return waits || m->leaving ? RECLAIM_WAITS : RECLAIM_DONE;
}

void mappings_on_leave(struct mappings *m, void (*left)(void *arg), void *arg)
{
	m->on_leave = left;
	m->on_leave_arg = arg;
}
