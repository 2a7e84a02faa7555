// SPDX-License-Identifier: BSD-2-Clause
/* Finding, opening and expiring in slots, alone and with threads racing: <detnat/slots.h>. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "rounds.h"
#include "slots_fixture.h"

static const __u32 timeouts[N_TIMEOUTS] = { 300, 7440, 240, 60 };

#define EXT	0xc6336407U
#define PORT_LO 1024U
#define UDP	17

static struct opening sought(__u16 in_port, __u32 port_offset)
{
	return (struct opening){
		.key = slot_key(EXT, 443, in_port), .port_offset = port_offset, .port_lo = PORT_LO, .proto = UDP
	};
}

static void put(struct slot *s, __u16 in_port, __u32 port_offset, __u8 state, __u32 seen)
{
	s->key = slot_key(EXT, 443, in_port);
	s->truth = state_word((__u16)(PORT_LO + port_offset), state == SESSION_UDP ? UDP : 6, state, seen);
}

static int find_in(const struct bucket *b, __u16 in_port, __u8 proto, __u32 now)
{
	__u64 key = slot_key(EXT, 443, in_port);
	int at = bucket_find_in(b, key, proto);

	return at >= 0 && slot_match_in(&b->slot[at], key, proto, now, timeouts) ? at : -1;
}

static int find_out(const struct bucket *b, __u16 ext_port, __u32 port_offset, __u8 proto, __u32 now)
{
	__u64 key = slot_key(EXT, ext_port, 0), found;
	__u16 port = (__u16)(PORT_LO + port_offset);
	int at = bucket_find_out(b, key, port, proto);

	return at >= 0 && slot_match_out(&b->slot[at], key, port, proto, now, timeouts, &found) ? at : -1;
}

Test(slots, finds_by_either_endpoint)
{
	struct bucket b = { 0 };

	put(&b.slot[5], 5000, 3, SESSION_UDP, 100);
	cr_expect_eq(find_in(&b, 5000, UDP, 100), 5);
	cr_expect_eq(find_in(&b, 5000, UDP, 400), 5, "to its last tick");
	cr_expect_eq(find_in(&b, 5001, UDP, 100), -1);
	cr_expect_eq(find_in(&b, 5000, 6, 100), -1, "another protocol");
	cr_expect_eq(find_in(&b, 5000, UDP, 401), -1, "expired");

	cr_expect_eq(find_out(&b, 443, 3, UDP, 100), 5);
	cr_expect_eq(find_out(&b, 443, 3, UDP, 400), 5, "to its last tick");
	cr_expect_eq(find_out(&b, 444, 3, UDP, 100), -1, "another external port");
	cr_expect_eq(find_out(&b, 443, 4, UDP, 100), -1);
	cr_expect_eq(find_out(&b, 443, 3, 6, 100), -1, "another protocol");
	cr_expect_eq(find_out(&b, 443, 3, UDP, 401), -1, "expired");
	b.slot[5].truth = state_word(PORT_LO + 3, UDP, SESSION_OPENING, 100);
	cr_expect_eq(find_in(&b, 5000, UDP, 100), -1, "still opening");
	cr_expect_eq(find_out(&b, 443, 3, UDP, 100), -1, "still opening");
}

Test(slots, a_scan_sees_room_ports_and_time_wait)
{
	struct bucket first = { 0 }, second = { 0 };
	struct bucket_choice b = { &first, &second };
	struct opening o = sought(7000, 9); /* group 1: offsets 8..15 */

	put(&first.slot[0], 7001, 9, SESSION_UDP, 100);
	put(&first.slot[1], 7002, 17, SESSION_UDP, 100); /* another group */
	put(&first.slot[2], 7003, 12, SESSION_UDP, 100);
	first.slot[2].key = slot_key(EXT, 80, 7003); /* another endpoint */
	put(&second.slot[7], 7004, 15, SESSION_UDP, 100);
	put(&second.slot[6], 7005, 8, SESSION_TIME_WAIT, 100); /* TCP: no clash with UDP */
	scan(&o, &b, 100, timeouts);
	cr_expect_eq(o.ports_used, 1U << 1 | 1U << 7);
	cr_expect_eq(o.room, 0x3ff8, "%#x", o.room);
	cr_expect_eq(o.time_wait, 0x4000);
	cr_expect_eq(o.time_wait_port, 0);
	cr_expect_eq(o.existing, 0);
	cr_expect_eq(o.freed, 0);
	cr_expect_eq(opening_room(o.room, 9, 0), 0x3f00U & ~0x3d00U, "its slot is taken; the second bucket is emptier");
	cr_expect_eq(opening_room(o.room, 14, 0), 0x40U, "its preferred slot");
	cr_expect_eq(opening_room(o.room, 14, 1), 0x3f00U, "but for a crowded subscriber the emptier bucket");
}

Test(slots, an_expired_session_in_the_way_is_freed_others_are_room)
{
	struct bucket first = { 0 };
	struct bucket_choice b = { &first, &first };
	struct opening o = sought(7000, 9);

	put(&first.slot[0], 7001, 9, SESSION_UDP, 100);
	put(&first.slot[1], 7002, 12, SESSION_UDP, 100);
	first.slot[1].key = slot_key(EXT, 80, 7003);
	scan(&o, &b, 401, timeouts);
	cr_expect_eq(o.freed, 1);
	cr_expect_eq(o.ports_used, 0);
	cr_expect_eq(o.room, 0xff);
	cr_expect_eq(o.gone, 1, "for whoever tells of it");
	cr_expect_eq(o.gone_slot[0].key, slot_key(EXT, 443, 7001));
	cr_expect_eq(word_out_port(o.gone_slot[0].truth), PORT_LO + 9);
	cr_expect_eq(first.slot[0].truth, 0, "a late refresh cannot revive it");
	cr_expect_neq(first.slot[1].truth, 0, "taken over only by a claim");
}

Test(slots, every_mask_bit_leads_to_its_slot)
{
	struct bucket first, second;
	struct bucket_choice b = { &first, &second };

	for (unsigned i = 0; i < 16; i++) {
		struct slot *s = opening_slot(&b, 0xffffU << i & 0xffff);

		cr_expect_eq(s, i < 8 ? &first.slot[i] : &second.slot[i - 8], "bit %u", i);
	}
}

Test(slots, candidates_are_the_group_and_nothing_else)
{
	for (__u32 ports = 1; ports < 70; ports++)
		for (__u32 first = 0; first < ports; first++) {
			__u32 size = group_size(first, ports);
			__u64 seen = 0;

			cr_assert_eq(group_candidate(first, size, 0), first);
			for (__u32 k = 0; k < size; k++) {
				__u32 offset = group_candidate(first, size, k);

				cr_assert_lt(offset, ports);
				cr_assert_eq(offset >> 3, first >> 3);
				cr_assert_eq(seen >> (offset & 7) & 1, 0);
				seen |= 1ULL << (offset & 7);
			}
		}
}

Test(slots, both_directions_know_the_same_buckets)
{
	srand(1);
	for (int i = 0; i < 100000; i++) {
		__u32 ext = (__u32)rand() * 2654435761U, shift = (__u32)rand() % 9;
		__u16 port = (__u16)rand();
		__u32 offset = (__u32)rand() % 504;
		struct bucket_pair a = session_buckets(ext, port, 6, offset, shift);
		struct bucket_pair c = session_buckets(ext, port, 6, offset ^ 5, shift);

		cr_assert_lt(a.first, 1U << shift);
		cr_assert_lt(a.second, 1U << shift);
		cr_assert(shift == 0 || a.first != a.second);
		cr_assert(a.first == c.first && a.second == c.second, "one group, one pair of buckets");
	}
}

/* Threads. */

/* Two openers with a lock, as the datapath has; two refreshers and a sweeper without one. */
struct arena {
	struct bucket bucket[2];
	__u32 lock;
	__u32 sessions;
	__u32 now;
	int stop;
	__u64 opened, hits, torn;
};

#define INSIDE_PORTS 32
#define BLOCK	     16

static __u32 offset_of(__u16 in_port)
{
	return in_port % BLOCK;
}

static struct bucket_choice choice(struct arena *a)
{
	return (struct bucket_choice){ &a->bucket[0], &a->bucket[1] };
}

static void open_one(struct arena *a, __u16 in_port)
{
	__u32 now = LOAD(a->now);
	struct bucket_choice b = choice(a);
	struct opening o = sought(in_port, offset_of(in_port));

	if (__sync_val_compare_and_swap(&a->lock, 0, 1))
		return;
	scan(&o, &b, now, timeouts);
	__sync_fetch_and_add(&a->sessions, -o.freed);
	for (__u32 k = 0; !o.existing && o.room && k < 8; k++) {
		__u32 offset = group_candidate(o.port_offset, 8, k);
		struct slot *s = opening_slot(&b, opening_room(o.room, o.port_offset, k & 1));
		__u64 from = LOAD(s->truth);

		if (o.ports_used & 1U << (offset & 7))
			continue;
		if (word_is_live(from) && !word_expired(from, now, timeouts))
			break;
		if (!word_is_live(from))
			__sync_fetch_and_add(&a->sessions, 1);
		if (slot_claim(s, from, o.key, state_word((__u16)(PORT_LO + offset), UDP, SESSION_UDP, now)))
			__sync_fetch_and_add(&a->opened, 1);
		else if (!word_is_live(from))
			__sync_fetch_and_add(&a->sessions, -1U);
		break;
	}
	__sync_val_compare_and_swap(&a->lock, 1, 0);
}

static void *datapath(void *arg)
{
	struct arena *a = arg;
	unsigned seed = (unsigned)(__UINTPTR_TYPE__)&seed;

	while (!LOAD(a->stop)) {
		__u16 in_port = (__u16)(rand_r(&seed) % INSIDE_PORTS);
		struct bucket_choice b = choice(a);
		__u64 truth, key = slot_key(EXT, 443, in_port);
		__u32 now = LOAD(a->now);
		int first = bucket_find_in(b.first, key, UDP);
		int at = first < 0 ? bucket_find_in(b.second, key, UDP) : first;
		struct slot *s = &(first < 0 ? b.second : b.first)->slot[at & 7];

		truth = at < 0 ? 0 : slot_match_in(s, key, UDP, now, timeouts);
		if (!truth) {
			open_one(a, in_port);
			continue;
		}
		__sync_fetch_and_add(&a->hits, 1);
		if ((word_out_port(truth) - PORT_LO) >> 3 != offset_of(in_port) >> 3)
			__sync_fetch_and_add(&a->torn, 1);
		if (rand_r(&seed) % 8 == 0)
			word_refresh(&s->truth, now);
	}
	return NULL;
}

static void *sweeper(void *arg)
{
	struct arena *a = arg;

	while (!LOAD(a->stop)) {
		__sync_fetch_and_add(&a->now, 7);
		for (int i = 0; i < 16; i++) {
			struct slot *s = &a->bucket[i >> 3].slot[i & 7];
			__u64 truth = LOAD(s->truth);

			if (word_is_live(truth) && word_expired(truth, LOAD(a->now), timeouts) &&
			    slot_change(s, truth, 0))
				__sync_fetch_and_add(&a->sessions, -1U);
		}
	}
	return NULL;
}

/* Under ThreadSanitizer, which sees a race without its being lost, fewer do. */
#ifdef __SANITIZE_THREAD__
#define RACES 2
#else
#define RACES 20
#endif

Test(slots, racing_openers_refreshers_and_sweeper_keep_it_right)
{
	static struct arena a;
	pthread_t threads[4];

	for (int round = 0; round < (int)rounds_of(RACES); round++) {
		a.stop = 0;
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, i < 3 ? datapath : sweeper, &a);

		/* Until enough has happened, not for a time. */
		__u64 goal = LOAD(a.opened) + 2000;

		while (LOAD(a.opened) < goal)
			sched_yield();
		__atomic_store_n(&a.stop, 1, __ATOMIC_RELAXED);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);

		__u32 live = 0;

		for (int i = 0; i < 16; i++) {
			struct slot *s = &a.bucket[i >> 3].slot[i & 7];

			live += word_is_live(s->truth);
			cr_assert(word_is_live(s->truth) || word_is_free(s->truth),
				  "no slot stays as it was while opening");
			for (int j = 0; j < i; j++) {
				struct slot *t = &a.bucket[j >> 3].slot[j & 7];

				if (!word_is_live(s->truth) || !word_is_live(t->truth) ||
				    word_expired(s->truth, a.now, timeouts) || word_expired(t->truth, a.now, timeouts))
					continue;
				cr_assert_neq(s->key, t->key, "a flow is open twice");
				cr_assert_neq(word_out_port(s->truth), word_out_port(t->truth),
					      "an outside endpoint serves two flows");
			}
		}
		cr_assert_eq(live, a.sessions, "the count is exact");
	}
	cr_assert_gt(a.hits, 0);
	cr_assert_eq(a.torn, 0, "no reader pairs a key with another session's port");
}

struct storm {
	struct slot slot;
	int stop;
};

static void *refresher(void *arg)
{
	struct storm *st = arg;

	for (__u32 now = 1; !LOAD(st->stop); now++)
		word_refresh(&st->slot.truth, now);
	return NULL;
}

Test(slots, late_refreshes_leave_no_slot_opening)
{
	static struct storm st;
	pthread_t thread;
	unsigned claimed = 0;

	pthread_create(&thread, NULL, refresher, &st);
	while (claimed < 20000) {
		__u64 from = LOAD(st.slot.truth);

		if (!slot_claim(&st.slot, from, claimed, state_word(1024, UDP, SESSION_UDP, 7)))
			continue;
		claimed++;
		cr_assert(word_is_live(LOAD(st.slot.truth)), "claim %u", claimed);
		/* Now and then it is free before the next claim. */
		if (claimed & 1)
			slot_change(&st.slot, LOAD(st.slot.truth), 0);
	}
	__atomic_store_n(&st.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

/* Rendezvous: two threads at the same instant, in one fresh arena after the other. */

#define ARENAS 20000

enum meeting { SAME_FLOW, SAME_FIRST_CHOICE, TAKE_OVER_AND_SWEEP, MEETINGS };

struct meet {
	struct arena *arena;
	__u32 *arrived;
	int second;
};

/* What one of the two does in an arena. */
static void act(struct arena *a, enum meeting meeting, int second)
{
	if (second && meeting == TAKE_OVER_AND_SWEEP) {
		for (int i = 0; i < 16; i++) {
			struct slot *s = &a->bucket[i >> 3].slot[i & 7];
			__u64 truth = LOAD(s->truth);

			if (word_is_live(truth) && word_expired(truth, a->now, timeouts) && slot_change(s, truth, 0))
				__sync_fetch_and_add(&a->sessions, -1U);
		}
		return;
	}
	open_one(a, second && meeting == SAME_FIRST_CHOICE ? 3 + BLOCK : 3);
}

static void *meet(void *arg)
{
	struct meet *m = arg;

	for (int r = 0; r < ARENAS; r++) {
		__sync_fetch_and_add(&m->arrived[r], 1);
		/* For the other, but not for ever: it may not be running. */
		for (int spins = 0; LOAD(m->arrived[r]) < 2 && spins < 20000; spins++)
			;
		act(&m->arena[r], r % MEETINGS, m->second);
	}
	return NULL;
}

Test(slots, two_at_the_same_instant)
{
	struct arena *arenas = calloc(ARENAS, sizeof(*arenas));
	__u32 *arrived = calloc(ARENAS, sizeof(*arrived));
	struct meet a = { arenas, arrived, 0 }, b = { arenas, arrived, 1 };
	pthread_t thread;

	for (int r = 0; r < ARENAS; r++) {
		arenas[r].now = 1000;
		if (r % MEETINGS != TAKE_OVER_AND_SWEEP)
			continue;
		/* Both buckets are full of expired sessions towards others: only a take-over finds room. */
		for (int i = 0; i < 16; i++) {
			put(&arenas[r].bucket[i >> 3].slot[i & 7], (__u16)(9000 + i), (__u32)i, SESSION_UDP, 100);
			arenas[r].bucket[i >> 3].slot[i & 7].key = slot_key(EXT, 80, (__u16)(9000 + i));
		}
		arenas[r].sessions = 16;
	}
	pthread_create(&thread, NULL, meet, &b);
	meet(&a);
	pthread_join(thread, NULL);

	for (int r = 0; r < ARENAS; r++) {
		__u32 live = 0, ports = 0, flows = 0;

		for (int i = 0; i < 16; i++) {
			const struct slot *s = &arenas[r].bucket[i >> 3].slot[i & 7];

			cr_assert_neq(word_state(s->truth), SESSION_OPENING);
			live += word_is_live(s->truth);
			if (!word_is_live(s->truth) || word_expired(s->truth, 1000, timeouts))
				continue;
			cr_assert_eq(ports >> word_out_port(s->truth) % BLOCK & 1, 0,
				     "an outside endpoint given twice");
			ports |= 1U << word_out_port(s->truth) % BLOCK;
			cr_assert_eq(flows >> key_in_port(s->key) % 32 & 1, 0, "a flow opened twice");
			flows |= 1U << key_in_port(s->key) % 32;
		}
		cr_assert_eq(live, arenas[r].sessions, "arena %d: %u live, %u counted", r, live, arenas[r].sessions);
	}
	free(arenas);
	free(arrived);
}
