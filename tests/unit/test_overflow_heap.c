/* SPDX-License-Identifier: BSD-2-Clause */
/* The bounded heap behind listings of overflow sessions. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "tables/overflow_map.h"

static uint32_t random_addr(uint32_t of)
{
	return (uint32_t)random() % of;
}

/* Takes all keys out again, in windows as a walk does, and counts them by address. */
static void take_all(const uint32_t *count, uint32_t n_addrs, unsigned *ret_windows)
{
	struct overflow_heap h = { 0 };
	uint32_t *seen = calloc(n_addrs, sizeof(*seen)), from = 0;

	for (*ret_windows = 1;; ++*ret_windows) {
		const struct overflow_key *top;
		uint32_t last = from;

		for (uint32_t i = 0; i < n_addrs; i++) {
			uint32_t addr = (uint32_t)((uint64_t)i * 7919 % n_addrs);

			for (uint32_t k = 0; addr >= from && k < count[addr]; k++)
				cr_assert_eq(overflow_heap_push(&h, &(struct overflow_key){ .in_addr = addr }), 0);
			cr_assert_leq(h.heap.n, overflow_heap_max);
		}
		for (; (top = overflow_heap_top(&h)); overflow_heap_pop(&h)) {
			cr_assert_geq(top->in_addr, last);
			cr_assert(!h.cut || top->in_addr < h.end);
			last = top->in_addr;
			seen[last]++;
		}
		if (!h.cut)
			break;
		cr_assert_gt(h.end, from, "no way forward");
		from = h.end;
		h.cut = false;
	}
	for (uint32_t addr = 0; addr < n_addrs; addr++)
		cr_assert_eq(seen[addr], count[addr], "address %u", addr);
	overflow_heap_free(&h);
	free(seen);
}

Test(overflow_heap, gives_every_key_once_in_order)
{
	static const struct {
		const char *name;
		size_t max;
		uint32_t n_addrs; /* no multiple of 7919 */
		uint32_t most;	  /* keys of one address; 0: as many for each */
		unsigned windows; /* at least */
	} rows[] = {
		{ "none", 8, 0, 1, 1 },
		{ "fits", 1000, 100, 9, 1 },
		{ "many windows", 16, 500, 3, 30 },
		{ "addresses of half the heap", 16, 100, 8, 25 },
		{ "one key each", 64, 1000, 0, 10 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t count[1000];
		unsigned windows;

		overflow_heap_max = rows[i].max;
		for (unsigned round = 0; round < 20; round++) {
			for (uint32_t addr = 0; addr < rows[i].n_addrs; addr++)
				count[addr] = rows[i].most ? random_addr(rows[i].most) : 1;
			take_all(count, rows[i].n_addrs, &windows);
			cr_assert_geq(windows, rows[i].windows, "%s: %u windows", rows[i].name, windows);
		}
	}
}
