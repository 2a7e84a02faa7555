// SPDX-License-Identifier: BSD-2-Clause
/*
 * The same flows through the datapath and through the replay of `detnatctl plan`: each is translated by both, to the
 * same port, or refused by both.
 */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/growth.h>
#include <detnat/tcp_state.h>

#include "base/base.h"
#include "fixture.h"
#include "planner/replay.h"
#include "staged.h"
#include "told_routes.h"

TestSuite(plan_replay, .init = set_up, .fini = tear_down);

/* The subscriber: of the usual mapping, or of one that grows. */
static struct {
	uint32_t in;
	uint32_t port_lo, ports, slots;
	uint32_t blocks; /* that he may be granted */
} of = { SUBSCRIBER, PORT_LO, PORTS, 1024, 0 };

/*
 * 10.1.0.0/25 shares one outside address with 448 ports each; of the ports above all blocks its third subscriber has
 * been granted some, 128 each.
 */
#define BLOCK	 128
#define FEW	 448
#define GROWN_IN ADDR(10, 1, 0, 2)
#define OUT	 ADDR(203, 0, 113, 200)
#define GRANTED	 (1024 + 128 * FEW + 5 * BLOCK)

static void grant(uint16_t number)
{
	const uint16_t port_lo = (uint16_t)(GRANTED + number * BLOCK);
	const struct grant_key outside = { .addr = OUT, .at = port_lo, .direction = GRANT_OF_OUTSIDE },
			       inside = { .addr = GROWN_IN, .at = number, .direction = GRANT_OF_INSIDE };
	struct grant_value v = { .addr = GROWN_IN, .port_lo = port_lo, .ports = BLOCK };

	cr_assert_eq(bpf_map_update_elem(datapath.grants, &outside, &v, BPF_ANY), 0);
	v.addr = OUT;
	cr_assert_eq(bpf_map_update_elem(datapath.grants, &inside, &v, BPF_ANY), 0);
}

static void set_up_grown(void)
{
	const struct mapping_parameters p = { .in_base = ADDR(10, 1, 0, 0),
					      .last_subscriber = 127,
					      .out_base = OUT,
					      .ratio = 128,
					      .first_port = 1024,
					      .pitch = FEW,
					      .ports_per_host = FEW };
	struct mapping_spec spec = { .in = { ADDR(10, 1, 0, 0), 25 },
				     .out = { OUT, 32 },
				     .sessions_per_user = 1000,
				     .session_slots = 512,
				     .growth = { BLOCK, 3 } };

	settings.growth = 1;
	set_up_with_room();
	cr_assert_eq(system("ip route add 10.1.0.0/25 dev tin;"
			    "ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:03 dev tin"),
		     0);
	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	datapath_raise_epoch(&datapath);
	if (staged_wanted())
		tell_routes();
	datapath.table->limits.growth_until = datapath_ticks(&datapath) + 100000;
	of.in = GROWN_IN;
	of.port_lo = 1024 + 2 * FEW;
	of.ports = FEW;
	of.slots = 512;
	of.blocks = 3;
	for (uint16_t number = 0; number < of.blocks; number++)
		grant(number);
}

TestSuite(plan_replay_grown, .init = set_up_grown, .fini = tear_down);

#define FLOWS	3000U
#define REFUSED (-1)

struct heard {
	int port[FLOWS]; /* outside, or REFUSED */
	size_t n;
};

static void hear(void *arg, const struct plan_flow *flow, enum replay_fate fate, uint32_t out_offset)
{
	struct heard *h = arg;

	h->port[h->n++] = fate == FATE_NO_PORT || fate == FATE_QUOTA ? REFUSED
			  : out_offset < of.ports		     ? (int)(of.port_lo + out_offset)
								     : (int)(GRANTED + out_offset - of.ports);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Flows of the subscriber within one tick of the replay, towards so many ports of EXTERNAL. */
static void draw(struct plan_flow *flow, size_t n, uint32_t seed, uint32_t external_ports)
{
	for (size_t i = 0; i < n; i++)
		flow[i] = (struct plan_flow){
			.first_ms = 1700000000000LL,
			.last_ms = 1700000000000LL,
			.in_addr = of.in,
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
		.ports = of.ports,
		.slots = of.slots,
		.quota = quota,
		.timeout_s = { [TIMEOUT_UDP] = 300,
			       [TIMEOUT_TCP_ESTABLISHED] = 7440,
			       [TIMEOUT_TCP_TRANSITORY] = 240,
			       [TIMEOUT_ICMP] = 60 },
		.bindings = bindings.mapping,
		.grow_block = BLOCK,
		.grow_blocks = of.blocks,
		.grow_idle_ticks = 1000,
	};
	struct replay *r = replay_new(&plan);

	cr_assert(r);
	ret->n = 0;
	cr_assert_eq(replay_subscriber(r, flow, n, NULL, 0, result, &(struct replay_ears){ .told = hear, .arg = ret }),
		     0);
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
		int port = open_flow_of(of.in, UDP, flow[i].in_port, flow[i].ext_port, 0);

		/* A tick's share of searches is limited: the datapath drops, and the host sends again. */
		for (unsigned again = 0; port < 0 && heard.port[i] != REFUSED && again < 3; again++) {
			next_tick();
			port = open_flow_of(of.in, UDP, flow[i].in_port, flow[i].ext_port, 0);
		}
		if (port != heard.port[i] && !others++)
			first = (unsigned)i;
	}
	cr_expect_eq(others, 0, "%u of %zu flows differ, the first is number %u: the replay says %d", others, n, first,
		     heard.port[first]);
	cr_expect_eq(counted(REASON_sessions_overflowed), result->beyond);
	cr_expect_eq(sessions_of(of.in), result->sessions - result->refused_ports - result->refused_quota);
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
	cr_expect_gt(result.beyond, 0);
}

Test(plan_replay, flows_above_the_quota_are_refused_as_the_plan_says)
{
	struct replay_result result = { 0 };

	compare(3, 1500, 60000, &result);
	cr_expect_eq(result.refused_quota, 500);
}

Test(plan_replay_grown, flows_without_a_port_of_the_block_get_the_granted_ports_that_the_plan_says)
{
	struct replay_result result = { 0 };

	compare(4, 800, 1, &result);
	cr_expect_eq(result.refused_ports, 0);
	cr_expect_gt(result.beyond, 300);
}

Test(plan_replay_grown, flows_beyond_all_granted_blocks_are_refused_as_the_plan_says)
{
	struct replay_result result = { 0 };

	compare(5, 990, 1, &result);
	cr_expect_gt(result.refused_ports, 0);
}
