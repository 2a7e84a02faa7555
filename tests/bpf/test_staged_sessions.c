// SPDX-License-Identifier: BSD-2-Clause
/* Sessions and portmaps as stage 2 finds them: it tells apart what one stage tells apart. Whole packets are compared.
 */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "portmap_fixture.h"
#include "staged.h"

static void set_up_staged(void)
{
	setenv("STAGES", "2", 1);
	settings.udp_inbound_refresh = 1;
	portmap_set_up();
}

TestSuite(staged_sessions, .init = set_up_staged, .fini = portmap_tear_down);

/* Stage 1 marks no shorter frames. */
#define LONG .payload = 30

#define ANSWER(ext_port_)                                                                                         \
	{                                                                                                         \
		"an answer", XDP_OUTSIDE, { FROM_ROUTER, UDP, ext_port_, OUT_PORT(5000, 2), LONG }, REDIRECT_XDP, \
			{ TO_HOST, UDP, ext_port_, 5000, LONG }, REASON_out2in_translated                         \
	}

static uint32_t bucket_of(uint16_t ext_port)
{
	return session_buckets(EXTERNAL, ext_port, UDP, 5000 % PORTS, mappings_get(mappings, 0)->bucket_shift).first;
}

/* One that would be in the same slot. */
Test(staged_sessions, another_external_port_s_session_is_another)
{
	uint16_t other = 54;

	while (bucket_of(other) != bucket_of(53))
		cr_assert(++other);

	const struct row rows[] = {
		ANSWER(53),
		{ "from another port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, other, OUT_PORT(5000, 2), LONG },
		  DROPPED(drop_no_session) },
	};

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	RUN_ROWS(rows);
}

/* The timeout is 300 seconds. */
Test(staged_sessions, sessions_of_udp_go_on_while_the_outside_sends)
{
	const struct row rows[] = { ANSWER(53) };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	for (unsigned i = 0; i < 3; i++) {
		age_sessions(SUBSCRIBER, 200);
		RUN_ROWS(rows);
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

#define OWN ADDR(198, 51, 100, 1)

/* Ports within a block: for those outside all blocks stage 1 marks nothing. */
Test(staged_sessions, a_portmap_takes_what_its_filters_let_in)
{
	const struct row rows[] = {
		{ "a friend",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 5060, CAM, .flags = 2, LONG },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 5060, 8443, .flags = 2, LONG },
		  REASON_out2in_translated },
		{ "a stranger",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 5061, CAM, .flags = 2, LONG },
		  DROPPED(drop_portmap_filter) },
		{ "the gateway's own address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OWN, .dst = POOL, TCP, 5060, CAM, .flags = 2, LONG },
		  DROPPED(drop_martian) },
	};
	struct portmap_traffic traffic;

	map_port(TCP, SUBSCRIBER, 8443, CAM);
	filter_port(TCP, CAM, EXTERNAL, 32, 5060);
	filter_port(TCP, CAM, OWN, 32, 5060);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
	cr_expect_eq(counted(REASON_portmap_in), 1);
	portmaps_traffic(portmaps, portmaps_by_out(portmaps, TCP, (struct endpoint){ POOL, CAM }), &traffic);
	cr_expect_eq(traffic.packets_in, 1);
}

/* The slot of the session to external port 53, which is the first choice of inside port 5000. */
static struct slot *slot_of_5000(void)
{
	struct bucket *b = mappings_buckets(mappings, 0, SUBSCRIBER - mappings_get(mappings, 0)->geo.in_base);

	return &b[bucket_of(53)].slot[5000 % PORTS % BUCKET_SLOTS];
}

#define OUT_AND_ON(name_)                                                                         \
	{                                                                                         \
		name_, XDP_INSIDE, { FROM_HOST, UDP, 5000, 53, LONG }, REDIRECT_XDP,              \
			{ TO_ROUTER, UDP, OUT_PORT(5000, 2), 53, LONG }, REASON_in2out_translated \
	}

Test(staged_sessions, packets_from_inside_keep_their_session_and_change_nothing_else_in_it)
{
	const struct row rows[] = { OUT_AND_ON("kept") };
	struct slot before;

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	before = *slot_of_5000();
	cr_assert_eq(word_out_port(before.truth), OUT_PORT(5000, 2));
	for (unsigned i = 0; i < 3; i++) {
		age_sessions(SUBSCRIBER, 200);
		RUN_ROWS(rows);
		cr_expect_eq(slot_of_5000()->key, before.key);
		cr_expect(word_same(slot_of_5000()->truth, before.truth));
		cr_expect_geq(word_seen(slot_of_5000()->truth), word_seen(before.truth));
	}
	cr_expect_eq(counted(REASON_sessions_opened), 1);
}

/* The timeout is 300 seconds. */
Test(staged_sessions, one_that_has_expired_is_none_to_either_side)
{
	const struct row late[] = {
		{ "late", XDP_OUTSIDE, { FROM_ROUTER, UDP, 53, OUT_PORT(5000, 2), LONG }, DROPPED(drop_no_session) }
	};
	const struct row anew[] = { OUT_AND_ON("anew") };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	age_sessions(SUBSCRIBER, 302);
	RUN_ROWS(late);
	RUN_ROWS(anew);
	cr_expect_eq(counted(REASON_sessions_opened), 2);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}
