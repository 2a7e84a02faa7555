/* SPDX-License-Identifier: BSD-2-Clause */
/* Cores that keep the way in to one subscriber at once, one of them what it learned before a change. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <detnat/cached_hop.h>

/* Under ThreadSanitizer, which sees a race without its being lost, fewer do. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS 5000U
#else
#define ROUNDS 200000U
#endif

enum { OLD_WAY = 1, NEW_WAY = 2, OLD_EPOCH = 7, NEW_EPOCH = 8 };

static struct subscriber record;
static atomic_uint arrived, left;

/* Waits for the other thread; both go on at the same time. */
static void meet(atomic_uint *count, unsigned round)
{
	atomic_fetch_add(count, 1);
	for (unsigned i = 1; atomic_load(count) < 2 * round; i++)
		if (i % 1024 == 0)
			sched_yield();
}

static void *keep_old(void *arg)
{
	for (unsigned round = 1; round <= ROUNDS; round++) {
		meet(&arrived, round);
		subscriber_hop_keep(&record, OLD_WAY, OLD_EPOCH, 0);
		meet(&left, round);
	}
	return arg;
}

Test(way, a_way_learned_before_a_change_never_stands_beside_the_epoch_after_it, .timeout = 300)
{
	unsigned wrong = 0, kept = 0, lost_bits = 0;
	pthread_t other;

	cr_assert_eq(pthread_create(&other, NULL, keep_old, NULL), 0);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		record.way = 0;
		record.way_epoch = round & 1 ? SUBSCRIBER_HAIRPINS : 0;
		meet(&arrived, round);
		subscriber_hop_keep(&record, NEW_WAY, NEW_EPOCH, 0);
		while (atomic_load(&left) < 2 * round - 1)
			;
		wrong += (record.way_epoch & HOP_EPOCH) == NEW_EPOCH && record.way != NEW_WAY;
		kept += (record.way_epoch & HOP_EPOCH) == NEW_EPOCH;
		lost_bits += !(record.way_epoch & SUBSCRIBER_HAIRPINS) != !(round & 1);
		meet(&left, round);
	}
	pthread_join(other, NULL);
	cr_expect_eq(wrong, 0, "%u of %u", wrong, ROUNDS);
	cr_expect_eq(lost_bits, 0, "%u", lost_bits);
	cr_expect_gt(kept, 0);
}

Test(way, is_kept_with_its_tick_and_epoch_alone)
{
	struct subscriber s = { .way_epoch = SUBSCRIBER_HAIRPINS | 3 };

	subscriber_hop_keep(&s, NEW_WAY, 0xffffffff, 77);
	cr_expect_eq(s.way, NEW_WAY);
	cr_expect_eq(s.way_tick, 77);
	cr_expect_eq(s.way_epoch, SUBSCRIBER_HAIRPINS | 0x7fffffff);
	s.way_epoch = 3;
	subscriber_hop_keep(&s, NEW_WAY, 0x80000005, 77);
	cr_expect_eq(s.way_epoch, 5, "the flag is not the epoch's");
}
