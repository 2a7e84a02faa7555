// SPDX-License-Identifier: BSD-2-Clause
/* Sessions beyond the slots that the agent ends: by the datapath's own program, told once, and gone on both sides. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "fixture.h"

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

Test(overflow, what_the_agent_closes_is_counted_once)
{
	const struct endpoint in = { SUBSCRIBER, in_port(FLOWS - 1) }, ext = { EXTERNAL, 53 };

	open_flows();
	cr_expect_eq(sessions_close_in(mappings, in, ext, UDP), 1);
	expect_only_slots();
	cr_expect_eq(sessions_close_in(mappings, in, ext, UDP), 0);
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

Test(overflow, what_has_expired_is_swept_and_told_once)
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
