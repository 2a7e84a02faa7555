/* SPDX-License-Identifier: BSD-2-Clause */
/* The store of routes: against a list, and at the size of the internet's table. */
#include <criterion/criterion.h>
#include <detnat/fib.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "fib/store.h"
#include "fib/trie.h"

#define KEYS 600U

static struct fib_store store;
static unsigned seed = 1;

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)rand_r(&seed) % n;
}

/* CPU time of the thread: others may be running. */
static uint64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void tear_down(void)
{
	fib_store_free(&store);
}

TestSuite(fib_store, .fini = tear_down);

static struct fib_route draw(void)
{
	struct fib_route r = { .plen = (uint8_t)random_below(33),
			       .metric = random_below(3),
			       .tag = (uint16_t)random_below(2) };

	r.dst = (random_below(8) << 28 | random_below(4)) & fib_mask(r.plen);
	r.hop = (uint16_t)(4 + random_below(3));
	r.flags = random_below(4) ? 0 : FIB_ROUTE_LOCAL;
	return r;
}

static bool same(const struct fib_route *a, const struct fib_route *b)
{
	return a->dst == b->dst && a->plen == b->plen && a->metric == b->metric && a->hop == b->hop &&
	       a->tag == b->tag && !((a->flags ^ b->flags) & FIB_ROUTE_LOCAL);
}

static struct fib_route list[KEYS];
static size_t n_list;

static bool list_best(uint32_t dst, unsigned plen, uint8_t flags, uint32_t *ret_hop)
{
	const struct fib_route *best = NULL;
	bool tied = false;

	for (size_t i = 0; i < n_list; i++) {
		const struct fib_route *r = &list[i];

		if (r->dst != dst || r->plen != plen || (r->flags ^ flags) & FIB_ROUTE_LOCAL)
			continue;
		if (!best || r->metric < best->metric) {
			best = r;
			tied = false;
		} else if (r->metric == best->metric) {
			tied |= r->hop != best->hop;
		}
	}
	if (best)
		*ret_hop = tied ? FIB_HOP_KERNEL : best->hop;
	return best != NULL;
}

static unsigned list_cover(uint32_t dst, unsigned plen, uint32_t *ret_hop)
{
	while (plen-- > 1)
		if (list_best(dst & fib_mask(plen), plen, 0, ret_hop))
			return plen;
	return 0;
}

Test(fib_store, agrees_with_a_list)
{
	for (int i = 0; i < 20000; i++) {
		struct fib_route r = draw();
		uint32_t hop = 0, listed = 0;
		size_t at = 0;
		bool is_new;

		while (at < n_list && !same(&list[at], &r))
			at++;
		if (n_list == KEYS || (at < n_list && random_below(2))) {
			if (at == n_list)
				at = random_below((uint32_t)n_list);
			fib_store_remove(&store, fib_store_find(&store, &list[at]));
			cr_assert_null(fib_store_find(&store, &list[at]));
			list[at] = list[--n_list];
		} else {
			cr_assert_not_null(fib_store_add(&store, &r, &is_new));
			cr_assert_eq(is_new, at == n_list);
			if (is_new)
				list[n_list++] = r;
		}
		cr_assert_eq(store.count, n_list);
		cr_assert_eq(fib_store_best(&store, r.dst, r.plen, r.flags, &hop),
			     list_best(r.dst, r.plen, r.flags, &listed));
		cr_assert_eq(hop, listed);
		cr_assert_eq(fib_store_cover(&store, r.dst, r.plen, &hop), list_cover(r.dst, r.plen, &listed));
		cr_assert_eq(hop, listed);
	}
}

Test(fib_store, a_route_that_is_gone_or_unsure_does_not_count_as_known)
{
	struct fib_route a = { .dst = 0x0a000000, .plen = 8, .metric = 1, .hop = 5, .kept = FIB_KEPT_TYPE };
	struct fib_route b = { .dst = 0x0a000000, .plen = 8, .metric = 2, .hop = 6 };
	uint32_t hop;

	fib_store_add(&store, &a, NULL);
	fib_store_add(&store, &b, NULL);
	cr_expect_eq(store.kept[FIB_KEPT_TYPE], 1);
	fib_store_flag(&store, fib_store_find(&store, &a), FIB_ROUTE_GONE);
	cr_expect_eq(store.count, 1);
	cr_expect_eq(store.kept[FIB_KEPT_TYPE], 0);
	cr_assert(fib_store_best(&store, 0x0a000000, 8, 0, &hop));
	cr_expect_eq(hop, 6);
	fib_store_flag(&store, fib_store_find(&store, &b), FIB_ROUTE_UNSURE);
	cr_assert(fib_store_best(&store, 0x0a000000, 8, 0, &hop));
	cr_expect_eq(hop, FIB_HOP_KERNEL);
	fib_store_flag(&store, fib_store_find(&store, &b), FIB_ROUTE_GONE);
	cr_expect_not(fib_store_best(&store, 0x0a000000, 8, 0, &hop));
	fib_store_remove(&store, fib_store_find(&store, &a));
	fib_store_remove(&store, fib_store_find(&store, &b));
	cr_expect_eq(store.count, 0);
	cr_expect_eq(store.of_length[8], 0);
}

/* A table of the size and the mix of lengths of the internet's: more than half /24, hardly any beyond. */
static uint8_t length_of_table(void)
{
	static const struct {
		uint8_t plen;
		uint8_t percent;
	} mix[] = { { 24, 60 }, { 23, 10 }, { 22, 11 }, { 21, 5 }, { 20, 5 },
		    { 19, 3 },	{ 16, 2 },  { 18, 2 },	{ 17, 1 }, { 32, 1 } };
	uint32_t n = random_below(100);
	size_t i = 0;

	while (n >= mix[i].percent)
		n -= mix[i++].percent;
	return mix[i].plen;
}

static struct fib_node *add_chunk(uint32_t number, void *arg)
{
	return calloc(FIB_CHUNK, sizeof(struct fib_node));
}

Test(fib_store, holds_a_million_routes)
{
	const struct fib_trie_calls calls = { .add_chunk = add_chunk };
	struct fib *fib = calloc(1, sizeof(*fib));
	struct fib_trie trie;
	uint64_t longest = 0, begin = cpu_us();
	double seconds;

	fib_trie_init(&trie, fib, MAX_FIB_CHUNKS, &calls);
	while (store.count < 1000000) {
		struct fib_route r = { .plen = length_of_table(), .hop = (uint16_t)(4 + random_below(64)) };
		uint64_t before = cpu_us();

		r.dst = ((1U << 24) + (random_below(1U << 20) << 12) % (222U << 24) + random_below(1U << 12)) &
			fib_mask(r.plen);
		cr_assert_not_null(fib_store_add(&store, &r, NULL));
		fib_trie_set(&trie, r.dst, r.plen, r.plen, r.hop);
		if (cpu_us() - before > longest)
			longest = cpu_us() - before;
	}
	seconds = (double)(cpu_us() - begin) / 1e6;
	/* Criterion would take a warning for a failure. */
	fprintf(stderr, "a million routes: %.2f s, longest step %.2f ms, store %.1f MB, %zu nodes (%.1f MB)\n", seconds,
		(double)longest / 1000, (double)fib_store_memory(&store) / 1e6, fib_trie_nodes(&trie),
		(double)fib_trie_nodes(&trie) * sizeof(struct fib_node) / 1e6);
	cr_expect_leq(fib_store_memory(&store), 40000000);
	cr_expect_eq(trie.full, 0);
	for (int i = 0; i < 100000; i++) {
		uint32_t addr = (uint32_t)rand_r(&seed) << 16 ^ (uint32_t)rand_r(&seed), hop = 0;
		unsigned plen =
			fib_store_best(&store, addr, 32, 0, &hop) ? 32 : fib_store_cover(&store, addr, 32, &hop);
		uint32_t entry = fib_trie_entry(&trie, addr);

		if (FIB_HOP(entry) == hop)
			continue;
		/* Added twice, to different next hops: the store is not certain, the trie has the last one. */
		cr_assert_eq(hop, FIB_HOP_KERNEL);
		cr_assert_eq(FIB_RANK(entry), plen);
	}
	for (uint32_t i = 0; i < trie.n_chunks; i++)
		free(trie.chunk[i]);
	fib_trie_done(&trie);
	free(fib);
}
