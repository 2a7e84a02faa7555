// SPDX-License-Identifier: BSD-2-Clause
/* Sessions beyond the slots that the agent ends: told once, and gone on both sides. */
#include <criterion/criterion.h>

#include "fixture.h"
#include "told_routes.h"

TestSuite(beyond, .init = set_up, .fini = tear_down);

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
#define FLOWS 9

static uint16_t in_port(unsigned flow)
{
	return (uint16_t)(6304 + flow * PORTS);
}

static void open_flows(void)
{
	for (unsigned i = 0; i < FLOWS; i++)
		cr_assert_geq(open_flow(UDP, in_port(i), 53, 0), 0);
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);
	cr_assert_eq(sessions_overflowed(), 1);
}

static void expect_only_slots(void)
{
	cr_expect_eq(sessions_overflowed(), 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), FLOWS - 1);
}

/* By the agent's copy of the routes, which needs the address of the subscriber. */
Test(beyond, a_packet_from_outside_of_a_session_beyond_the_slots_goes_to_its_subscriber)
{
	uint16_t port = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		port = (uint16_t)open_flow(UDP, in_port(i), 53, 0);
	cr_assert_eq(sessions_overflowed(), 1);
	tell_routes();

	const struct row rows[] = {
		{ "an answer",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, port, .payload = 20 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    in_port(FLOWS - 1),
		    .payload = 20 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
	tell_no_routes();
}

Test(beyond, a_session_that_the_agent_closes_is_counted_once)
{
	const struct endpoint in = { SUBSCRIBER, in_port(FLOWS - 1) }, ext = { EXTERNAL, 53 };

	open_flows();
	cr_expect_eq(sessions_close_in(mappings, 0, in, ext, UDP), 1);
	expect_only_slots();
	cr_expect_eq(sessions_close_in(mappings, 0, in, ext, UDP), 0);
}

struct told {
	unsigned n;
	struct session last;
};

static int keep(const struct session *s, void *arg)
{
	struct told *t = arg;

	t->last = *s;
	t->n++;
	return 0;
}

Test(beyond, a_session_that_has_expired_is_swept_and_told_once)
{
	struct told t = { .n = 0 };

	open_flows();
	age_beyond(ticks_of_seconds(400, datapath.hz));
	/* Not each sweep looks beyond the slots. */
	for (unsigned i = 0; i < 100 && sessions_overflowed(); i++) {
		struct session_sweep *s;

		cr_assert_eq(session_sweep_new(mappings, &s), 0);
		while (session_sweep_step(s, 1000, keep, &t) > 0)
			;
		session_sweep_free(s);
	}
	cr_assert_eq(t.n, 1);
	cr_expect_eq(t.last.in_addr, SUBSCRIBER);
	cr_expect_eq(t.last.in_port, in_port(FLOWS - 1));
	cr_expect_eq(t.last.ext_port, 53);
	expect_only_slots();
}

/* Before another group's port, beyond the slots. */
Test(beyond, a_port_in_time_wait_is_taken_where_its_group_has_no_other)
{
	const struct mapping *m = mappings_get(mappings, 0);
	struct bucket *b = mappings_buckets(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	struct subscriber *s = mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	uint16_t port = 0;

	for (unsigned i = 0; i < FLOWS - 1; i++)
		port = (uint16_t)open_flow(TCP, in_port(i), 443, 2);
	for (unsigned i = 0; i < BUCKET_SLOTS << m->bucket_shift; i++) {
		__u64 *truth = &b[i / BUCKET_SLOTS].slot[i % BUCKET_SLOTS].truth;

		if (word_out_port(*truth) == port)
			*truth = word_with(*truth, SESSION_TIME_WAIT, word_seen(*truth));
	}
	s->sessions--;
	cr_expect_eq(open_flow(TCP, in_port(FLOWS - 1), 443, 2), port);
	cr_expect_eq(sessions_overflowed(), 0);
	cr_expect_eq(s->sessions, FLOWS - 1);
}

/* Flows whose first choice is the port that a session beyond the slots has. */
Test(beyond, a_port_held_beyond_the_slots_is_free_again_once_that_session_has_expired)
{
	uint16_t port, flow;

	for (unsigned i = 0; i < FLOWS; i++)
		port = (uint16_t)open_flow(UDP, in_port(i), 53, 0);
	cr_assert_eq(sessions_overflowed(), 1);
	flow = (uint16_t)(port - PORT_LO + 5 * PORTS);
	cr_assert_eq(OUT_PORT(flow, 2), port);
	cr_expect_eq(open_flow(UDP, flow, 53, 0), port ^ 1, "it is held");
	cr_expect_eq(sessions_overflowed(), 1);
	age_beyond(ticks_of_seconds(400, datapath.hz));
	cr_expect_eq(open_flow(UDP, flow + PORTS, 53, 0), port, "its session has expired");
	cr_expect_eq(sessions_overflowed(), 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), FLOWS + 1);
}
