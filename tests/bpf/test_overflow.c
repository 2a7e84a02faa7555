// SPDX-License-Identifier: BSD-2-Clause
/* Sessions beyond the slots that the agent ends: by the datapath's own program, told once, and gone on both sides. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "fixture.h"
#include "told_routes.h"
#include "tables/overflow_map.h"

TestSuite(overflow, .init = set_up, .fini = tear_down);

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
	cr_assert_eq(datapath.global->overflow, 1);
}

static void expect_only_slots(void)
{
	struct overflow_key key;

	cr_expect_eq(datapath.global->overflow, 0);
	cr_expect_eq(mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0))->overflow, 0);
	cr_expect_neq(bpf_map_get_next_key(datapath.overflow, NULL, &key), 0, "an entry is left");
	cr_expect_eq(sessions_of(SUBSCRIBER), FLOWS - 1);
}

/* By the agent's copy of the routes, which needs the address of the subscriber. */
Test(overflow, a_packet_from_outside_of_a_session_beyond_the_slots_goes_to_its_subscriber)
{
	uint16_t port = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		port = (uint16_t)open_flow(UDP, in_port(i), 53, 0);
	cr_assert_eq(datapath.global->overflow, 1);
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

Test(overflow, a_session_that_the_agent_closes_is_counted_once)
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

Test(overflow, a_session_that_has_expired_is_swept_and_told_once)
{
	struct told t = { .n = 0 };

	open_flows();
	age_overflow(ticks_of_seconds(400, datapath.hz));
	/* Not each sweep looks beyond the slots. */
	for (unsigned i = 0; i < 100 && datapath.global->overflow; i++) {
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
Test(overflow, a_port_in_time_wait_is_taken_where_its_group_has_no_other)
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
	cr_expect_eq(datapath.global->overflow, 0);
	cr_expect_eq(s->sessions, FLOWS - 1);
}

/* Flows whose first choice is the port that a session beyond the slots has. */
Test(overflow, a_port_held_beyond_the_slots_is_free_again_once_that_session_has_expired)
{
	struct overflow_key key;
	uint16_t port, flow;

	for (unsigned i = 0; i < FLOWS; i++)
		port = (uint16_t)open_flow(UDP, in_port(i), 53, 0);
	cr_assert_eq(datapath.global->overflow, 1);
	flow = (uint16_t)(port - PORT_LO + 5 * PORTS);
	cr_assert_eq(OUT_PORT(flow, 2), port);
	cr_expect_eq(open_flow(UDP, flow, 53, 0), port ^ 1, "it is held");
	cr_expect_eq(datapath.global->overflow, 1);
	age_overflow(ticks_of_seconds(400, datapath.hz));
	cr_expect_eq(open_flow(UDP, flow + PORTS, 53, 0), port, "its session has expired");
	cr_expect_eq(datapath.global->overflow, 0);
	cr_expect_neq(bpf_map_get_next_key(datapath.overflow, NULL, &key), 0, "an entry is left");
	cr_expect_eq(sessions_of(SUBSCRIBER), FLOWS + 1);
}

/* What is left where the kernel has failed to delete an entry from outside. */
Test(overflow, half_a_session_is_removed_unless_its_port_is_a_sessions)
{
	const struct overflow_key in =
		overflow_key_in(&mappings_get(mappings, 0)->geo, SUBSCRIBER, in_port(FLOWS - 1), EXTERNAL, 53, UDP);
	struct overflow_key out, another = in;
	struct overflow_session s, half = { .in_port = in_port(FLOWS - 1) };

	open_flows();
	cr_assert_eq(bpf_map_lookup_elem(datapath.overflow, &in, &s), 0);
	out = overflow_key_reverse(&in, word_out_port(s.truth));
	cr_expect_not(overflow_delete_orphan(&datapath, &out, &in), "the session is whole");
	/* The same flow has had another port. */
	out.port++;
	cr_assert_eq(bpf_map_update_elem(datapath.overflow, &out, &half, BPF_NOEXIST), 0);
	another.port++;
	cr_expect_not(overflow_delete_orphan(&datapath, &out, &another), "another inside port's by now");
	cr_expect(overflow_delete_orphan(&datapath, &out, &in));
	cr_expect_neq(bpf_map_lookup_elem(datapath.overflow, &out, &half), 0, "it is gone");
	cr_expect_not(overflow_delete_orphan(&datapath, &out, &in), "there is nothing to remove");
	cr_expect_eq(open_flow(UDP, in.port, 53, 0), word_out_port(s.truth));
	cr_expect_eq(datapath.global->overflow, 1);
}

/*
 * Half of an entry, which the kernel has failed to delete, is no session: it holds no port, even where the subscriber
 * has no session beyond its slots.
 */
Test(overflow, half_an_entry_holds_no_port)
{
	const struct geometry *g = &mappings_get(mappings, 0)->geo;
	const struct overflow_session session = { .in_port = 999 };
	uint16_t port = OUT_PORT(6304, 2) + 8;
	struct overflow_key out = overflow_key_out(g, SUBSCRIBER, port, EXTERNAL, 53, UDP);

	for (unsigned i = 0; i < FLOWS - 1; i++)
		cr_assert_geq(open_flow(UDP, in_port(i), 53, 0), 0);
	cr_assert_eq(bpf_map_update_elem(datapath.overflow, &out, &session, BPF_NOEXIST), 0);
	cr_expect_eq(open_flow(UDP, in_port(FLOWS - 1), 53, 0), port);
	cr_expect_eq(counted(REASON_no_program), 0);
	cr_expect_eq(counted(REASON_sessions_overflowed), 1);
	cr_expect_eq(datapath.global->overflow, 1);
	cr_expect_eq(mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0))->overflow, 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), FLOWS);
}
