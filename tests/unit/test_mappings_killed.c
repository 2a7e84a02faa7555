/* SPDX-License-Identifier: BSD-2-Clause */
/* An agent that is killed at any moment leaves tables that the next one takes over. */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tables/mapping_changes.h"
#include "tables/ranges.h"
#include "rounds.h"
#include "tables_fixture.h"

static struct datapath d;
static struct mappings *m;

static void open_again(void)
{
	struct error err = { 0 };

	mappings_close(m);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
}

static void setup(void)
{
	tables_make(&d);
	open_again();
}

TestSuite(killed_agents, .init = setup, .timeout = 300);

/* How many changes the present child has made. */
static unsigned *changes;

/* Prefixes of every shape, 11 of them, over and over until killed, by the end of the test at the latest. */
static void change_until_killed(unsigned seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom(seed);
	for (;;) {
		unsigned i = (unsigned)random() % 11;
		struct mapping_spec spec = tables_spec("20.0.0.0/32", "30.0.0.0/32");

		spec.in.plen = (uint8_t)(32 - i);
		spec.in.base += i << (i < 6 ? 8 : 16);
		spec.out.plen = i > 6 ? (uint8_t)(38 - i) : 32;
		spec.out.base += i << 4;
		spec.session_slots = 8U << (i & 3);
		if (mappings_find(m, spec.in, spec.out) < 0) {
			int number = tables_add(m, &spec);
			uint32_t last = (uint32_t)prefix_size(spec.in.plen) - 1;

			cr_assert_geq(number, 0);
			if (!tables_zero(mappings_subscriber(m, number, last), sizeof(struct subscriber)) ||
			    !tables_zero(mappings_buckets(m, number, last), sizeof(struct bucket)))
				_exit(3);
			memset(mappings_subscriber(m, number, last), 0xff, sizeof(struct subscriber));
			memset(mappings_buckets(m, number, last), 0xff, sizeof(struct bucket));
		} else {
			mappings_del_of(m, 0, spec.in, spec.out);
			for (long n = random() % 4; n; n--)
				mappings_reclaim_step(m);
		}
		__atomic_fetch_add(changes, 1, __ATOMIC_RELAXED);
	}
}

/* Assertions that hold take long, too. */
#define expect(condition)                           \
	do {                                        \
		if (!(condition))                   \
			cr_assert_fail(#condition); \
	} while (0)

/* All of every mapping is there, found by both ways, and no two share a table. */
static void check_consistent(void)
{
	struct ranges subscribers, buckets;

	ranges_init(&subscribers, 1ULL << 32);
	ranges_init(&buckets, 1ULL << 32);
	for (int number = mappings_next(m, 0); number >= 0; number = mappings_next(m, number + 1)) {
		const struct mapping *map = mappings_get(m, number);
		uint64_t n = prefix_size(map->geo.in_plen);

		cr_assert_eq(ranges_take(&subscribers, map->first_subscriber, n), 0);
		cr_assert_eq(ranges_take(&buckets, map->first_bucket, n << map->bucket_shift), 0);
		for (uint32_t i = 0; i < n; i++)
			expect(mappings_find_any(m, map->geo.in_base + i) == number);
		for (uint32_t i = 0; i < prefix_size(map->geo.out_plen); i++)
			expect(mappings_find_outside(m, map->geo.out_base + i) == number);
	}
	for (uint32_t addr = tables_addr("20.0.0.0"); addr < tables_addr("20.11.0.0"); addr++) {
		int number = mappings_find_any(m, addr);

		expect(number < 0 ||
		       (mappings_get(m, number) && prefix_contains(mappings_get(m, number)->geo.in_base,
								   mappings_get(m, number)->geo.in_plen, addr)));
	}
	ranges_free_all(&subscribers);
	ranges_free_all(&buckets);
}

Test(killed_agents, leave_whole_mappings_or_none)
{
	unsigned seen = 0;

	changes = mmap(NULL, sizeof(*changes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(changes, MAP_FAILED);
	/* More rounds, and later kills, where the machine has so much else to do that few children get as far. */
	for (unsigned round = 0; round < rounds_of(60) || (seen <= rounds_of(10) && round < 600); round++) {
		int status;
		pid_t child;

		*changes = 0;
		child = fork();

		if (!child)
			change_until_killed(round);
		cr_assert_gt(child, 0);
		/* However busy the machine is: in the middle of some change. */
		while (__atomic_load_n(changes, __ATOMIC_RELAXED) < round % 30 && !waitpid(child, &status, WNOHANG))
			usleep(200);
		usleep(round * 7919 % 60 * 100);
		kill(child, SIGKILL);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSIGNALED(status), "the child found a table that was not clean, or failed");
		open_again();
		check_consistent();
		seen += mappings_next(m, 0) >= 0;
	}
	cr_assert_gt(seen, rounds_of(10));
	/* What no mapping has is clean: fill the rest of the chunks there are. */
	for (unsigned i = 0; i < 64; i++) {
		struct mapping_spec spec = tables_spec("40.0.0.0/24", "50.0.0.0/32");

		spec.in.base += i << 8;
		spec.out.base += i;
		cr_assert(tables_clean(m, tables_add(m, &spec), true));
	}
}
