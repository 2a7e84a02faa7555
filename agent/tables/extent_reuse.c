/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables/extent_reuse.h"

#include <bpf/bpf.h>
#include <string.h>

#include <detnat/extents.h>

static uint64_t list_take(__u64 *list)
{
	__u64 word = __atomic_load_n(list, __ATOMIC_ACQUIRE);

	while ((uint32_t)word && !__atomic_compare_exchange_n(list, &word, extent_list_with(word, 0), false,
							      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return (uint32_t)word;
}

static void list_put(const struct datapath *d, __u64 *list, uint32_t first)
{
	__u64 *link = &d->extent[first].slot[0].key, word = __atomic_load_n(list, __ATOMIC_ACQUIRE);

	do
		__atomic_store_n(link, (uint32_t)word, __ATOMIC_RELEASE);
	while (!__atomic_compare_exchange_n(list, &word, extent_list_with(word, first + 1), false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE));
}

void extent_list(const struct datapath *d, uint32_t extent)
{
	uint32_t n;
	struct slot *slots = datapath_extent(d, extent, &n);

	if (!slots || !d->pool)
		return;
	memset(slots, 0, n * sizeof(*slots));
	list_put(d, &d->pool->free[extent_shift(extent) / EXTENT_GROWS_BY], extent_first(extent));
}

void extent_free(const struct datapath *d, uint32_t extent)
{
	if (!d->pool)
		return;
	extent_list(d, extent);
	__atomic_fetch_sub(&d->pool->used, extent_buckets(extent), __ATOMIC_ACQ_REL);
}

bool retired_take(const struct datapath *d, struct retired *ret)
{
	bool any = false;

	*ret = (struct retired){ { 0 } };
	for (unsigned i = 0; d->pool && i < EXTENT_SIZES; i++) {
		ret->first[i] = list_take(&d->pool->retired[i]);
		any |= ret->first[i] != 0;
	}
	if (any)
		datapath_grace_period(d);
	return any;
}

unsigned retired_visit(const struct datapath *d, const struct retired *r,
		       void (*visit)(const struct datapath *d, uint32_t extent, void *arg), void *arg)
{
	unsigned n = 0;

	for (unsigned i = 0; i < EXTENT_SIZES; i++) {
		for (uint64_t at = r->first[i]; at && at <= datapath_extent_buckets(d); n++) {
			uint32_t first = (uint32_t)at - 1;

			at = (uint32_t)d->extent[first].slot[0].key;
			visit(d, extent_of(first, i * EXTENT_GROWS_BY), arg);
		}
	}
	return n;
}

static void free_retired(const struct datapath *d, uint32_t extent, void *arg)
{
	(void)arg;
	extent_free(d, extent);
}

unsigned retired_free(const struct datapath *d, const struct retired *r)
{
	return retired_visit(d, r, free_retired, NULL);
}

unsigned extents_reclaim(const struct datapath *d)
{
	struct retired r;

	return retired_take(d, &r) ? retired_free(d, &r) : 0;
}

/* Asks for an extent to be released, so many times at most. */
static bool release_extent(const struct datapath *d, const struct extent_release *release, unsigned tries)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = release, .ctx_size_in = sizeof(*release));

	for (; tries && d->extent_release >= 0; tries--) {
		run.retval = 0;
		if (bpf_prog_test_run_opts(d->extent_release, &run))
			return false;
		if (run.retval)
			return true;
	}
	return false;
}

void extent_give_up(const struct datapath *d, int number, uint32_t subscriber, uint32_t extent)
{
	const struct extent_release release = { (uint32_t)number, subscriber, extent, 0 };

	/* In vain if a packet holds the lock, or has opened a session meanwhile: the next sweep tries again. */
	release_extent(d, &release, 1);
}

bool extent_leave(const struct datapath *d, int number, uint32_t subscriber, uint32_t extent)
{
	const struct extent_release release = { (uint32_t)number, subscriber, extent, 1 };

	/* A packet holds the lock at most. */
	return release_extent(d, &release, 100);
}
