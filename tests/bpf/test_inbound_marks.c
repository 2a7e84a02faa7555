// SPDX-License-Identifier: BSD-2-Clause
/* Notes beside sessions with endpoint-independent filtering: which side opened each, and that it was displaced. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include <detnat/slots.h>

#include "binding_fixture.h"
#include "told_routes.h"

static void set_up_filtering(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP,
					    .filtering = BINDING_UDP | BINDING_TCP,
					    .inbound = 25 };
	set_up();
}

TestSuite(inbound_marks, .init = set_up_filtering, .fini = tear_down);

#define IN_PORT 6304
#define OUT	OUT_PORT(IN_PORT, 2)
#define ITS_OWN 3000 /* external ports from this one on: the subscriber has opened the session */
#define SUB	(SUBSCRIBER - ADDR(10, 0, 0, 0))
#define SYN	2

static unsigned slots(void)
{
	return BUCKET_SLOTS << mappings_get(mappings, 0)->bucket_shift;
}

static struct slot *slot_at(unsigned at)
{
	return &mappings_buckets(mappings, 0, SUB)[at / BUCKET_SLOTS].slot[at % BUCKET_SLOTS];
}

/* Of the outside's there are more than buckets, so that some find their first bucket taken. */
Test(inbound_marks, tell_who_has_opened_each)
{
	unsigned outside = 0, own = 0;

	for (unsigned i = 0; i < 200; i++) {
		cr_assert_geq(open_flow(UDP, IN_PORT, (uint16_t)(ITS_OWN + i), 0), 0);
		cr_assert_eq(stranger(EXTERNAL, (uint16_t)(1001 + i), OUT), REDIRECT_XDP);
	}
	for (unsigned i = 0; i < slots(); i++) {
		const struct slot *s = slot_at(i);
		bool inbound = key_ext_port(s->key) < ITS_OWN;

		if (!word_is_live(s->truth)) {
			cr_expect(!mappings_slot_inbound(mappings, 0, SUB, i), "slot %u is free", i);
			continue;
		}
		cr_expect_eq(mappings_slot_inbound(mappings, 0, SUB, i), inbound, "slot %u", i);
		outside += inbound;
		own += !inbound;
	}
	cr_expect_eq(outside, 200);
	cr_expect_eq(own, 200);
}

static unsigned only_slot(void)
{
	for (unsigned i = 0; i < slots(); i++)
		if (word_is_live(slot_at(i)->truth))
			return i;
	cr_assert_fail("there is none");
	return 0;
}

Test(inbound_marks, a_connection_that_the_subscriber_opens_again_is_its_own)
{
	static const struct row rows[] = {
		{ "a stranger",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, TCP, 54, OUT, .flags = SYN },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    TCP,
		    54,
		    IN_PORT,
		    .flags = SYN },
		  REASON_out2in_translated },
	};
	struct slot *s;
	unsigned at;

	*entry_of(TCP, OUT) = binding_entry(IN_PORT, BINDING_BOUND, datapath_ticks(&datapath));
	RUN_ROWS(rows);
	at = only_slot();
	s = slot_at(at);
	cr_assert(mappings_slot_inbound(mappings, 0, SUB, at));
	s->truth = word_with(s->truth, SESSION_TIME_WAIT, word_seen(s->truth));
	mappings_subscriber(mappings, 0, SUB)->sessions--;
	cr_expect_eq(open_flow(TCP, IN_PORT, 54, SYN), OUT);
	cr_expect_eq(word_state(s->truth), SESSION_SYN_SENT);
	cr_expect(!mappings_slot_inbound(mappings, 0, SUB, at));
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

static struct bucket_pair buckets_of(uint16_t ext_port)
{
	return session_buckets(EXTERNAL, ext_port, UDP, IN_PORT % PORTS, mappings_get(mappings, 0)->bucket_shift);
}

/* Returns whether the only session noted since the last call is that of an external port. */
static bool is_displaced(uint16_t ext_port)
{
	struct subscriber *s = mappings_subscriber(mappings, 0, SUB);
	uint32_t noted = s->displaced;

	s->displaced = 0;
	return noted == home_bit(buckets_of(ext_port).first);
}

/* On another port than the first choice, or beside its slot. */
Test(inbound_marks, a_session_that_is_not_at_its_first_choice_is_noted)
{
	uint16_t same = 57;

	while (buckets_of(same).first != buckets_of(56).first)
		cr_assert(++same);
	cr_assert_eq(open_flow(UDP, IN_PORT, 53, 0), OUT);
	cr_assert_eq(open_flow(UDP, IN_PORT + PORTS, 53, 0), OUT + 1);
	cr_expect(is_displaced(53));
	cr_assert_eq(open_flow(UDP, IN_PORT + PORTS, 54, 0), OUT + 1);
	cr_expect(is_displaced(54), "on another port");
	cr_assert_eq(stranger(EXTERNAL, 55, OUT + 1), REDIRECT_XDP);
	cr_expect(is_displaced(55), "opened from outside on another port");
	cr_assert_eq(stranger(EXTERNAL, 56, OUT), REDIRECT_XDP);
	cr_expect(!is_displaced(56));
	cr_assert_eq(stranger(EXTERNAL, same, OUT), REDIRECT_XDP);
	cr_expect(is_displaced(same), "opened from outside beside its slot");
}

/* As it has had it since before there were bindings. */
Test(inbound_marks, a_bound_port_that_another_has_towards_a_peer_is_not_used_towards_it)
{
	uint64_t refused = counted(REASON_drop_ports_exhausted);

	cr_assert_eq(open_flow(UDP, IN_PORT, 53, 0), OUT);
	set_protocols(BINDING_TCP, BINDING_TCP);
	cr_assert_eq(open_flow(UDP, IN_PORT + PORTS, 54, 0), OUT);
	set_protocols(BINDING_UDP | BINDING_TCP, BINDING_UDP | BINDING_TCP);
	*entry_of(UDP, OUT) = binding_entry(IN_PORT, BINDING_BOUND, datapath_ticks(&datapath));
	cr_expect_eq(open_flow(UDP, IN_PORT, 54, 0), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), refused + 1);
	cr_expect_eq(open_flow(UDP, IN_PORT, 55, 0), OUT);
}

/* Opens a flow that, from before there were bindings, has the port after the one that its inside port is bound to. */
static void open_beside(uint32_t ext_addr, uint16_t ext_port)
{
	const struct endpoint ext = { ext_addr, ext_port }, first = { SUBSCRIBER, IN_PORT + PORTS };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t out_size;

	for (unsigned i = 2; i--;) {
		const struct frame f = { .from = HOST,
					 .to = GATEWAY_IN,
					 .src = SUBSCRIBER,
					 .dst = ext_addr,
					 UDP,
					 (uint16_t)(IN_PORT + i * PORTS),
					 ext_port };

		run_frame(XDP_INSIDE, in, frame_build(&f, in), out, &out_size);
	}
	cr_assert_eq(sessions_close_in(mappings, 0, first, ext, UDP), 1);
}

/* Nor does what the other side sends to the bound port go round in a circle. */
Test(inbound_marks, a_flow_that_has_another_port_is_not_opened_again_on_the_bound_one)
{
	const uint16_t peer = OUT_PORT(7000, 3);
	const struct row rows[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 54, OUT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "a hairpin",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 7000, OUT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	set_protocols(BINDING_TCP, BINDING_TCP);
	open_beside(EXTERNAL, 54);
	open_beside(POOL, peer);
	cr_assert_eq(open_flow(UDP, IN_PORT, 54, 0), OUT + 1);
	set_protocols(BINDING_UDP | BINDING_TCP, BINDING_UDP | BINDING_TCP);
	cr_assert_eq(open_flow_of(OTHER, UDP, 7000, 53, 0), peer);
	*entry_of(UDP, OUT + 1) = 0;
	*entry_of(UDP, OUT) = binding_entry(IN_PORT, BINDING_BOUND, datapath_ticks(&datapath));
	refresh_followed_routes();
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

/* As a search for a port does: see search_limit.h. */
Test(inbound_marks, a_look_at_all_of_them_is_work_that_counts)
{
	const struct subscriber *s = mappings_subscriber(mappings, 0, SUB);
	uint64_t limited = counted(REASON_drop_inbound_limit);

	set_quota(40);
	cr_assert_geq(open_flow(UDP, IN_PORT, 53, 0), 0);
	for (unsigned i = 0; i < 10; i++)
		cr_assert_eq(stranger(EXTERNAL, (uint16_t)(1001 + i), OUT), REDIRECT_XDP);
	cr_expect_eq(s->searched, 0);
	cr_expect_eq(stranger(EXTERNAL, 1011, OUT), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_limit), limited + 1);
	cr_expect_gt(s->searched, 0);
}

static void set_up_bypass(void)
{
	for (unsigned i = 1; i < MAX_BYPASS; i++)
		settings.bypass[i].first = UINT32_MAX;
	settings.n_bypass = 1;
	settings.bypass[0] = (struct address_range){ EXTERNAL + 9, EXTERNAL + 9 };
	set_up_filtering();
}

/* What is sent back to it leaves untranslated. */
Test(inbound_marks, one_that_is_reached_untranslated_opens_nothing, .init = set_up_bypass)
{
	uint64_t dropped = counted(REASON_drop_no_session);

	cr_assert_geq(open_flow(UDP, IN_PORT, 53, 0), 0);
	cr_expect_eq(stranger(EXTERNAL + 8, 54, OUT), REDIRECT_XDP);
	cr_expect_eq(stranger(EXTERNAL + 9, 54, OUT), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_no_session), dropped + 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

static void set_up_staged(void)
{
	setenv("STAGES", "2", 1);
	set_up_filtering();
	set_quota(40);
}

/* Long enough for stage 1 to mark the frames. */
Test(inbound_marks, a_packet_beyond_the_limit_is_dropped_as_that_in_two_stages_too, .init = set_up_staged)
{
	struct row row = {
		"within",
		XDP_OUTSIDE,
		{ .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, .dport = OUT, .payload = 30 },
		REDIRECT_XDP,
		{ .ttl = 63,
		  .from = GATEWAY_IN,
		  .to = HOST,
		  .src = EXTERNAL,
		  .dst = SUBSCRIBER,
		  UDP,
		  .dport = IN_PORT,
		  .payload = 30 },
		REASON_out2in_translated
	};
	static const struct row beyond[] = {
		{ "beyond",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 1011, OUT, .payload = 30 },
		  DROP_XDP,
		  {},
		  REASON_drop_inbound_limit },
	};

	cr_assert_geq(open_flow(UDP, IN_PORT, 53, 0), 0);
	for (uint16_t port = 1001; port <= 1010; port++) {
		row.in.sport = row.out.sport = port;
		run_rows(&row, 1);
	}
	RUN_ROWS(beyond);
}

static void set_up_another_mapping(void)
{
	set_up();
	/* The fixture's mapping has neither; some other one does. */
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 25 };
	reload_settings();
	bindings = (struct binding_layout){ 0 };
}

TestSuite(inbound_beside, .init = set_up_another_mapping, .fini = tear_down);

/* Which would be noted at the beginning of all buckets, those of the first subscribers. */
Test(inbound_beside, sessions_of_mappings_without_filtering_are_not_noted_anywhere)
{
	for (unsigned sub = 0; sub < SUB; sub++)
		for (unsigned i = 0; i < slots(); i++)
			mappings_buckets(mappings, 0, sub)[i / BUCKET_SLOTS].slot[i % BUCKET_SLOTS].key = UINT64_MAX;
	for (unsigned i = 0; i < 60; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(IN_PORT + i % 4 * 4032), (uint16_t)(1000 + i / 4), 0), 0);
	for (unsigned sub = 0; sub < SUB; sub++)
		for (unsigned i = 0; i < slots(); i++)
			cr_expect_eq(mappings_buckets(mappings, 0, sub)[i / BUCKET_SLOTS].slot[i % BUCKET_SLOTS].key,
				     UINT64_MAX, "subscriber %u, slot %u", sub, i);
}
