/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the extents that were lost as an agent was killed between two lists, or between a list and a record, see
 * <detnat/extents.h>. Packets pass meanwhile: they take extents from the lists of free ones, and retire others.
 *
 * What is in a list of free ones is marked first. What programs had taken by then is in a record after a grace period,
 * and so is marked with the records; or it has been retired since, and is marked with the retired ones, after another
 * grace period, as a program enters it there only after the record has the next one. Those are freed in the end. Nobody
 * else puts extents into lists or takes any from those of retired ones, and those beyond pool.next at the beginning
 * were not lost.
 */
#include <stdlib.h>

#include <detnat/extents.h>

#include "base/base.h"
#include "base/log.h"
#include "tables/extent_reuse.h"
#include "tables/mapping_tables.h"

struct recovery {
	const struct datapath *d;
	uint8_t *marked; /* an octet for each bucket */
	uint64_t n;	 /* buckets that were ever part of an extent, as it began */
	uint64_t used;	 /* buckets that records and lists of retired ones have */
};

/* How often a list is walked that packets change meanwhile. */
#define WALKS 1000

/* Marks an extent. Returns how many of its buckets were not marked before. */
static uint64_t mark(struct recovery *r, uint32_t extent)
{
	uint64_t first = extent_first(extent), end = first + extent_buckets(extent), added = 0;

	for (uint64_t i = first; i < end && i < r->n; i++) {
		added += !r->marked[i];
		r->marked[i] = 1;
	}
	return added;
}

/* Marks the extents in a list. False: it has changed. */
static bool mark_list(struct recovery *r, const __u64 *list, unsigned shift)
{
	const uint64_t all = datapath_extent_buckets(r->d);
	__u64 word = __atomic_load_n(list, __ATOMIC_ACQUIRE);
	uint64_t at = (uint32_t)word, steps = 0;

	while (at && at <= all && steps++ <= all) {
		uint64_t next = (uint32_t)__atomic_load_n(&r->d->extent[at - 1].slot[0].key, __ATOMIC_ACQUIRE);

		/* Taken by now, it may have sessions. */
		if (__atomic_load_n(list, __ATOMIC_ACQUIRE) != word)
			return false;
		mark(r, extent_of((uint32_t)at - 1, shift));
		at = next;
	}
	return true;
}

/* Marks those in the lists of free ones. False: these keep changing. */
static bool mark_free(struct recovery *r)
{
	for (unsigned i = 0; i < EXTENT_SIZES; i++) {
		bool marked = false;

		for (unsigned k = 0; k < WALKS && !marked; k++)
			marked = mark_list(r, &r->d->pool->free[i], i * EXTENT_GROWS_BY);
		if (!marked)
			return false;
	}
	return true;
}

static void mark_retired(const struct datapath *d, uint32_t extent, void *arg)
{
	struct recovery *r = arg;

	(void)d;
	r->used += mark(r, extent);
}

static void mark_records(struct recovery *r, const struct mappings *m)
{
	for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
		const struct mapping_job *t = m->table[i];

		for (uint64_t k = 0; t && k < t->n_subscribers; k++) {
			const struct subscriber *s =
				chunks_at(&m->subscribers, t->record.first_subscriber + (uint32_t)k);
			uint32_t extent = subscriber_extent(s);

			if (extent)
				r->used += mark(r, extent);
		}
	}
}

/* Lists what is not marked, in pieces as large as can be. Returns its buckets. */
static uint64_t list_lost(struct recovery *r)
{
	uint64_t lost = 0;

	for (uint64_t at = 0, end; at < r->n; at = end) {
		for (end = at; end < r->n && r->marked[end] == r->marked[at]; end++)
			;
		for (uint64_t left = r->marked[at] ? 0 : end - at; left;) {
			unsigned shift = EXTENT_MAX_SHIFT;

			while (1ULL << shift > left)
				shift -= EXTENT_GROWS_BY;
			extent_list(r->d, extent_of((uint32_t)(end - left), shift));
			left -= 1ULL << shift;
			lost += 1ULL << shift;
		}
	}
	return lost;
}

static uint64_t recover(struct recovery *r, const struct mappings *m)
{
	struct extent_pool *pool = r->d->pool;
	struct retired retired;
	uint64_t lost;
	__u64 used;

	if (!mark_free(r))
		return 0;
	datapath_grace_period(r->d);
	used = __atomic_load_n(&pool->used, __ATOMIC_ACQUIRE);
	mark_records(r, m);
	datapath_grace_period(r->d);
	if (retired_take(r->d, &retired))
		retired_visit(r->d, &retired, mark_retired, r);
	lost = list_lost(r);
	/* Unless packets have taken some meanwhile. */
	if (__atomic_load_n(&pool->next, __ATOMIC_ACQUIRE) == r->n)
		__atomic_compare_exchange_n(&pool->used, &used, r->used, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	retired_free(r->d, &retired);
	return lost;
}

uint64_t extents_recover(const struct mappings *m)
{
	struct recovery r = { .d = m->d };
	uint64_t all = datapath_extent_buckets(r.d), lost;

	if (!r.d->pool || !r.d->extent)
		return 0;
	r.n = __atomic_load_n(&r.d->pool->next, __ATOMIC_ACQUIRE);
	if (r.n > all)
		r.n = all;
	r.marked = r.n ? calloc(r.n, 1) : NULL;
	if (!r.marked)
		return 0;
	lost = recover(&r, m);
	if (lost)
		log_info("%llu buckets of extents were lost by an earlier agent: they are free again",
			 (unsigned long long)lost);
	free(r.marked);
	return lost;
}
