// SPDX-License-Identifier: BSD-2-Clause
/*
 * The same flows through the datapath and through the replay of `detnatctl plan`: each is translated by both, to the
 * same port, or refused by both.
 */
#include <criterion/criterion.h>

#include <detnat/tcp_state.h>

#include "base/base.h"
#include "fixture.h"
#include "planner/replay.h"

TestSuite(plan_replay, .init = set_up, .fini = tear_down);

#define FLOWS	3000U
#define REFUSED (-1)

struct heard {
	int port[FLOWS]; /* outside, or REFUSED */
	size_t n;
};

static void hear(void *arg, const struct plan_flow *flow, enum replay_fate fate, uint32_t out_offset)
{
	struct heard *h = arg;

	h->port[h->n++] = fate == FATE_NO_PORT || fate == FATE_QUOTA ? REFUSED : (int)(PORT_LO + out_offset);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Flows of SUBSCRIBER within one tick of the replay, towards so many ports of EXTERNAL. */
static void draw(struct plan_flow *flow, size_t n, uint32_t seed, uint32_t external_ports)
{
	for (size_t i = 0; i < n; i++)
		flow[i] = (struct plan_flow){
			.first_ms = 1700000000000LL,
			.last_ms = 1700000000000LL,
			.in_addr = SUBSCRIBER,
			.ext_addr = EXTERNAL,
			.in_port = (uint16_t)(1024 + next(&seed) % 60000),
			.ext_port = (uint16_t)(1 + next(&seed) % external_ports),
			.proto = UDP,
			.state = SESSION_UDP,
		};
}

static void replay(const struct plan_flow *flow, size_t n, uint32_t quota, struct heard *ret,
		   struct replay_result *result)
{
	const struct replay_plan plan = {
		.ports = PORTS,
		.slots = 1024,
		.quota = quota,
		.timeout_s = { [TIMEOUT_UDP] = 300,
			       [TIMEOUT_TCP_ESTABLISHED] = 7440,
			       [TIMEOUT_TCP_TRANSITORY] = 240,
			       [TIMEOUT_ICMP] = 60 },
		.bindings = bindings.mapping,
	};
	struct replay *r = replay_new(&plan);

	cr_assert(r);
	ret->n = 0;
	cr_assert_eq(replay_subscriber(r, flow, n, NULL, 0, result, hear, NULL, ret), 0);
	replay_free(r);
}

/* Sends the flows and compares each with the replay's. */
static void compare(uint32_t seed, size_t n, uint32_t external_ports, struct replay_result *result)
{
	static struct plan_flow flow[FLOWS];
	static struct heard heard;
	unsigned others = 0, first = 0;

	draw(flow, n, seed, external_ports);
	replay(flow, n, 1000, &heard, result);
	for (size_t i = 0; i < n; i++) {
		int port = open_flow(UDP, flow[i].in_port, flow[i].ext_port, 0);

		/* A tick's share of searches is limited: the datapath drops, and the host sends again. */
		for (unsigned again = 0; port < 0 && heard.port[i] != REFUSED && again < 3; again++) {
			next_tick();
			port = open_flow(UDP, flow[i].in_port, flow[i].ext_port, 0);
		}
		if (port != heard.port[i] && !others++)
			first = (unsigned)i;
	}
	cr_expect_eq(others, 0, "%u of %zu flows differ, the first is number %u: the replay says %d", others, n, first,
		     heard.port[first]);
	cr_expect_eq(counted(REASON_sessions_overflowed), result->overflowed);
	cr_expect_eq(sessions_of(SUBSCRIBER), result->sessions - result->refused_ports - result->refused_quota);
}

Test(plan_replay, flows_to_many_endpoints_get_the_ports_that_the_plan_says)
{
	struct replay_result result = { 0 };

	compare(1, 900, 60000, &result);
	cr_expect_eq(result.refused_ports + result.refused_quota, 0);
}

Test(plan_replay, flows_to_few_endpoints_meet_full_groups_as_the_plan_says)
{
	struct replay_result result = { 0 };

	compare(2, 990, 2, &result);
	cr_expect_gt(result.overflowed, 0);
}

Test(plan_replay, flows_above_the_quota_are_refused_as_the_plan_says)
{
	struct replay_result result = { 0 };

	compare(3, 1500, 60000, &result);
	cr_expect_eq(result.refused_quota, 500);
}
