// SPDX-License-Identifier: BSD-2-Clause
/* The room that datagrams in fragments share: no subscriber takes another's. */
#include <stdlib.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/fragments.h>

#include "fixture.h"

TestSuite(fragment_shares, .init = set_up_with_room, .fini = tear_down);

#define EXTERNAL_2 ADDR(198, 51, 100, 8)
#define ATTACKERS  48
#define ATTACKER   ADDR(10, 0, 0, 10) /* and those that follow */

/* Octets 0..800, or the rest, of a datagram of a subscriber, or to it. Whether it was translated. */
static bool out(uint32_t in_addr, uint32_t ext_addr, uint16_t id, bool first)
{
	struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = in_addr, .dst = ext_addr, UDP, 7000, 53, .payload = 1600
	};
	uint64_t before = counted(REASON_in2out_translated);
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], octet[FRAME_MAX];
	size_t size;

	frame_build(&f, whole);
	run_frame(XDP_INSIDE, in, frame_fragment(whole, id, first ? 0 : 800, first ? 800 : 1608, first, in), octet,
		  &size);
	return counted(REASON_in2out_translated) > before;
}

/* n: the subscriber's number. */
static bool in_to(uint32_t n, uint32_t ext_addr, uint16_t id, bool first)
{
	struct frame f = { .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = ext_addr,
			   .dst = POOL,
			   UDP,
			   53,
			   OUT_PORT(7000, n),
			   .payload = 1600 };
	uint64_t before = counted(REASON_out2in_translated);
	uint8_t whole[FRAME_MAX], frame[FRAME_MAX], octet[FRAME_MAX];
	size_t size;

	frame_build(&f, whole);
	run_frame(XDP_OUTSIDE, frame, frame_fragment(whole, id, first ? 0 : 800, first ? 800 : 1608, first, frame),
		  octet, &size);
	return counted(REASON_out2in_translated) > before;
}

static bool in(uint32_t ext_addr, uint16_t id, bool first)
{
	return in_to(2, ext_addr, id, first);
}

static struct subscriber *record(uint32_t in_addr)
{
	return mappings_subscriber(mappings, 0, in_addr - ADDR(10, 0, 0, 0));
}

static struct fragment_key key[FRAGMENTED_DATAGRAMS];

/* Number of the map's entries, whose keys are then in key[]. */
static unsigned entries(void)
{
	struct fragment_key *previous = NULL;
	unsigned n = 0;

	for (; n < FRAGMENTED_DATAGRAMS && !bpf_map_get_next_key(datapath.fragments, previous, &key[n]); n++)
		previous = &key[n];
	return n;
}

/* What is counted is what is there. */
static void expect_counts(const char *when)
{
	unsigned n = entries(), sum = 0;

	for (uint32_t i = 0; i < 256; i++)
		sum += (record(ADDR(10, 0, 0, i))->datagrams & 0xffff) + (record(ADDR(10, 0, 0, i))->datagrams >> 16);
	cr_expect_eq(datapath.table->limits.datagrams, n, "%s: %lld counted, %u are there", when,
		     (long long)datapath.table->limits.datagrams, n);
	cr_expect_eq(sum, n, "%s: %u counted by subscriber, %u are there", when, sum, n);
}

static void age(unsigned seconds)
{
	static struct fragment value;

	for (unsigned i = 0, n = entries(); i < n; i++) {
		cr_assert_eq(bpf_map_lookup_elem(datapath.fragments, &key[i], &value), 0);
		value.since -= ticks_of_seconds(seconds, datapath.hz);
		cr_assert_eq(bpf_map_update_elem(datapath.fragments, &key[i], &value, BPF_EXIST), 0);
	}
	datapath.table->limits.fragments_swept_ns = 0;
}

static unsigned flood(uint32_t in_addr, unsigned n)
{
	unsigned begun = 0;

	for (unsigned id = 0; id < n; id++)
		begun += out(in_addr, EXTERNAL, (uint16_t)(1000 + id), true);
	return begun;
}

/* 48 subscribers begin what they can; datagrams of others, begun before or after, come through whole. */
Test(fragment_shares, floods_of_others_tear_no_datagram)
{
	unsigned first, last = 0;

	cr_assert(out(SUBSCRIBER, EXTERNAL, 1, true), "begun before");
	cr_assert(in(EXTERNAL, 1, true), "begun before, from outside");
	first = flood(ATTACKER, 3000);
	for (unsigned i = 1; i < ATTACKERS; i++)
		last = flood(ATTACKER + i, 500);
	expect_counts("behind the flood");
	cr_expect_lt(datapath.table->limits.datagrams, FRAGMENTED_DATAGRAMS);
	cr_expect_leq(first, FRAGMENTED_DATAGRAMS / FRAGMENT_SHARE);
	cr_expect_geq(first, FRAGMENTED_DATAGRAMS / FRAGMENT_SHARE / 2);
	cr_expect_gt(last, 8, "the last of them has a share, too: %u", last);
	cr_expect(out(SUBSCRIBER, EXTERNAL, 1, false), "its rest comes later");
	cr_expect(in(EXTERNAL, 1, false), "from outside, too");
	for (uint16_t id = 2; id < 10; id++) {
		cr_expect(out(SUBSCRIBER, EXTERNAL, id, true), "begun behind the flood");
		cr_expect(in(EXTERNAL, id, true));
	}
	for (uint16_t id = 2; id < 10; id++) {
		cr_expect(out(SUBSCRIBER, EXTERNAL, id, false));
		cr_expect(in(EXTERNAL, id, false));
	}
	expect_counts("and behind it all");
	cr_expect_eq(record(SUBSCRIBER)->datagrams, 0);
}

/* Those that are too old make room before anyone is refused; no agent has to do it. */
Test(fragment_shares, a_share_that_is_too_old_is_reclaimed)
{
	unsigned begun = flood(ATTACKER, 3000);

	cr_expect_lt(begun, 3000);
	age(FRAGMENT_LIFETIME + 1);
	cr_expect(out(ATTACKER, EXTERNAL, 1, true));
	cr_expect_eq(entries(), 1, "the new one alone is there");
	expect_counts("swept");
}

/* A subscriber with too many of its own gives up the older of them, but none of the others'. */
Test(fragment_shares, a_share_that_is_used_up_renews_itself)
{
	cr_assert(out(SUBSCRIBER, EXTERNAL, 1, true));
	flood(ATTACKER, 3000);
	cr_expect(!out(ATTACKER, EXTERNAL, 1, true));
	age(FRAGMENT_ID_REST + 1);
	cr_expect(out(ATTACKER, EXTERNAL, 1, true), "older ones make room");
	cr_expect_leq(record(ATTACKER)->datagrams, FRAGMENTED_DATAGRAMS / FRAGMENT_SHARE / 2 + 1);
	cr_expect(out(SUBSCRIBER, EXTERNAL, 1, false), "those of others stay");
	datapath.table->limits.fragments_swept_ns = 0;
	expect_counts("behind it");
}

/* However small its share has become, a subscriber's few stay for their lifetime. */
Test(fragment_shares, a_subscribers_few_stay_while_those_of_floods_make_room)
{
	unsigned kept = 0;

	for (uint16_t id = 0; id < FRAGMENTS_KEPT; id++)
		cr_assert(out(SUBSCRIBER, EXTERNAL, id, true));
	flood(ATTACKER, 500);
	/* As if others had nearly all the room. */
	datapath.table->limits.datagrams += 15000;
	age(FRAGMENT_ID_REST + 1);
	out(ATTACKER, EXTERNAL, 1, true);
	datapath.table->limits.datagrams -= 15000;
	cr_expect_leq(record(ATTACKER)->datagrams, FRAGMENTS_KEPT, "%u are left of the flood",
		      record(ATTACKER)->datagrams);
	for (uint16_t id = 0; id < FRAGMENTS_KEPT; id++)
		kept += out(SUBSCRIBER, EXTERNAL, id, false);
	cr_expect_eq(kept, FRAGMENTS_KEPT, "%u are left", kept);
	expect_counts("behind it");
}

/* A sweep in a second is enough: refusals cost no more. */
Test(fragment_shares, the_entries_are_swept_once_a_second_at_most)
{
	uint64_t at;

	flood(ATTACKER, 3000);
	at = datapath.table->limits.fragments_swept_ns;
	cr_assert_gt(at, 0);
	for (unsigned i = 0; i < 20; i++)
		cr_expect(!out(ATTACKER, EXTERNAL, 1, true));
	cr_expect(datapath.table->limits.fragments_swept_ns == at ||
			  datapath.table->limits.fragments_swept_ns - at >= 1000000000,
		  "not again so soon");
}

/* From outside: neither the subscriber's own fragments nor those of its other peers pay for one that floods. */
Test(fragment_shares, a_peer_uses_up_its_own)
{
	unsigned begun = 0;

	cr_assert_eq(system("ip neigh add 198.51.100.8 lladdr 02:00:00:00:00:08 dev tout"), 0);
	cr_assert(out(SUBSCRIBER, EXTERNAL, 1, true) && out(SUBSCRIBER, EXTERNAL, 1, false));
	cr_assert(out(SUBSCRIBER, EXTERNAL_2, 1, true) && out(SUBSCRIBER, EXTERNAL_2, 1, false));
	for (unsigned id = 0; id < 1100; id++)
		begun += in(EXTERNAL, (uint16_t)id, true);
	cr_expect_geq(begun, FRAGMENTS_PER_PEER);
	cr_expect_lt(begun, 1100);
	cr_expect_eq(record(SUBSCRIBER)->datagrams >> 16, begun);
	cr_expect_eq(record(SUBSCRIBER)->datagrams & 0xffff, 0);
	cr_expect(out(SUBSCRIBER, EXTERNAL_2, 7, true), "its own");
	cr_expect(out(SUBSCRIBER, EXTERNAL_2, 7, false));
	cr_expect(in(EXTERNAL_2, 7, true), "from another peer");
	cr_expect(in(EXTERNAL_2, 7, false));
	expect_counts("of all");
}

/* Datagrams that a peer begins until one is refused. Those to one pool address share their identifications. */
static unsigned begun_before_refusal(uint32_t n)
{
	unsigned begun = 0;

	while (begun < 1000 && in_to(n, EXTERNAL, (uint16_t)(1000 * n + begun), true))
		begun++;
	return begun;
}

/* More only if a second ends in between, which does not happen three times in a row. */
Test(fragment_shares, a_peer_begins_256_datagrams_a_second_for_each_subscriber)
{
	unsigned least = 1000;

	cr_assert(out(SUBSCRIBER, EXTERNAL, 1, true) && out(SUBSCRIBER, EXTERNAL, 1, false));
	for (uint32_t n = 3; n < 6; n++) {
		uint32_t in_addr = ADDR(10, 0, 0, n);
		unsigned begun;

		cr_assert(out(in_addr, EXTERNAL, 1, true) && out(in_addr, EXTERNAL, 1, false));
		begun = begun_before_refusal(n);
		cr_expect(in(EXTERNAL, (uint16_t)n, true), "to another subscriber");
		cr_expect_geq(begun, FRAGMENTS_PER_PEER);
		least = begun < least ? begun : least;
	}
	cr_expect_eq(least, FRAGMENTS_PER_PEER, "%u", least);
}

Test(fragment_shares, a_peer_may_complete_any_number)
{
	cr_assert(out(SUBSCRIBER, EXTERNAL, 1, true) && out(SUBSCRIBER, EXTERNAL, 1, false));
	for (unsigned id = 0; id < 2 * FRAGMENTS_PER_PEER + 10; id++)
		cr_assert(in(EXTERNAL, (uint16_t)id, true) && in(EXTERNAL, (uint16_t)id, false), "datagram %u", id);
	expect_counts("of none");
}

/* A mapping that is made again begins to count at 0, and no end of an old datagram leads below. */
Test(fragment_shares, counts_do_not_fall_below_nothing)
{
	cr_assert(out(SUBSCRIBER, EXTERNAL, 1, true));
	record(SUBSCRIBER)->datagrams = 0;
	cr_expect(out(SUBSCRIBER, EXTERNAL, 1, false));
	cr_expect_eq(record(SUBSCRIBER)->datagrams, 0);
	cr_expect(out(SUBSCRIBER, EXTERNAL, 2, true));
	cr_expect_eq(record(SUBSCRIBER)->datagrams, 1);
}

/* As if another core had made the entry, and not yet written what it is of. */
Test(fragment_shares, an_entry_that_is_being_written_is_not_taken_for_an_old_one)
{
	static struct fragment value;

	cr_assert(out(SUBSCRIBER, EXTERNAL, 1, true));
	cr_assert_eq(entries(), 1);
	cr_assert_eq(bpf_map_lookup_elem(datapath.fragments, &key[0], &value), 0);
	memset(&value, 0, sizeof(value));
	cr_assert_eq(bpf_map_update_elem(datapath.fragments, &key[0], &value, BPF_EXIST), 0);
	cr_expect(!out(SUBSCRIBER, EXTERNAL, 1, true));
	cr_expect_eq(counted(REASON_drop_fragment_overlap), 1);
	expect_counts("of the one");
}

/* What the block in the mapping around it has counted is not there for ever. */
Test(fragment_shares, the_count_of_a_subscriber_who_moves_begins_anew)
{
	struct mapping_spec spec = { .in = { SUBSCRIBER, 32 },
				     .out = { ADDR(203, 0, 113, 80), 32 },
				     .sessions_per_user = 100,
				     .session_slots = 64 };
	enum reclaim r;

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	cr_assert_eq(flood(SUBSCRIBER, 20), 20);
	cr_assert_eq(record(SUBSCRIBER)->datagrams, 20);
	make_mapping(&spec, NULL);
	while ((r = mappings_reclaim_step(mappings)) != RECLAIM_DONE)
		if (r == RECLAIM_WAITS)
			usleep(1000);
	age(FRAGMENT_LIFETIME + 2);
	flood(ATTACKER, 3000);
	cr_expect_eq(record(SUBSCRIBER)->datagrams, 0);
}
