// SPDX-License-Identifier: BSD-2-Clause
/*
 * Endpoint-independent mapping with blocks that grow: 16 ports for each of 128 subscribers, and blocks of 8 from port
 * 3072 on. TCP has sessions of the usual kind.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/binding.h>

#include "binding_fixture.h"
#include "grant_fixture.h"
#include "icmp_frame.h"

#define FEW   16
#define BLOCK 8
#define LO    (1024 + 128 * FEW + 4 * BLOCK)

static void set_up_bound(void)
{
	set_up_plan(&(struct grant_plan){
		.ports = FEW,
		.block = BLOCK,
		.max_blocks = 2,
		.quota = 200,
		.slots = 256,
		.bindings = { .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 10 } });
}

TestSuite(grant_bindings, .init = set_up_bound, .fini = tear_down);

static int open_udp(uint16_t in_port, uint16_t ext_port)
{
	return open_of(UDP, in_port, ext_port, 0);
}

/* All ports of the block are bound, and the agent has granted one. */
static void bind_block(void)
{
	for (uint16_t i = 0; i < FEW; i++)
		cr_assert_geq(open_udp((uint16_t)(2000 + i), 53), 0, "endpoint %u", i);
}

static bool is_granted(int port, unsigned number)
{
	return port >= (int)(LO + number * BLOCK) && port < (int)(LO + (number + 1) * BLOCK);
}

static int change(enum grant_binding_request request, int out_port, uint16_t in_port, uint32_t seen)
{
	struct grant_binding_change c = { .out_addr = OUT,
					  .seen = seen,
					  .out_port = (uint16_t)out_port,
					  .in_port = in_port,
					  .proto = UDP,
					  .request = (uint8_t)request };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &c, .ctx_size_in = sizeof(c));

	cr_assert_eq(bpf_prog_test_run_opts(datapath.grant_binding_change, &run), 0);
	return (int)run.retval;
}

/* Entries of the map: two for each binding, and one for each subscriber that has any. */
static unsigned entries(void)
{
	struct grant_binding_key key, *at = NULL;
	unsigned n = 0;

	while (!bpf_map_get_next_key(datapath.grant_bindings, at, &key)) {
		at = &key;
		n++;
	}
	return n;
}

static void age_granted(uint16_t in_port, uint32_t seconds)
{
	const struct grant_binding_key key = {
		.in_addr = IN, .out_addr = OUT, .port = in_port, .proto = UDP, .direction = GRANT_BOUND_INSIDE
	};
	struct grant_binding b;

	cr_assert_eq(bpf_map_lookup_elem(datapath.grant_bindings, &key, &b), 0);
	b.seen -= ticks_of_seconds(seconds, datapath.hz);
	cr_assert_eq(bpf_map_update_elem(datapath.grant_bindings, &key, &b, BPF_EXIST), 0);
}

Test(grant_bindings, an_endpoint_without_a_port_of_the_block_is_refused_in_silence_and_the_agent_is_asked)
{
	bind_block();
	asked();
	cr_expect_eq(open_udp(9000, 53), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 0);
	cr_expect_eq(asked(), 1);
	wait_for_next_request();
	cr_expect_eq(open_udp(9000, 53), -1);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 1);
}

Test(grant_bindings, an_endpoint_has_one_granted_port_towards_everybody_and_no_other_has_it)
{
	int port[BLOCK];

	bind_block();
	cr_assert_eq(open_udp(9000, 53), -1);
	grant(IN, 0, LO);
	for (unsigned i = 0; i < BLOCK; i++) {
		port[i] = open_udp((uint16_t)(9000 + i), 53);
		cr_assert(is_granted(port[i], 0), "endpoint %u: %d", i, port[i]);
		for (unsigned k = 0; k < i; k++)
			cr_assert_neq(port[k], port[i], "endpoints %u and %u", i, k);
	}
	for (unsigned i = 0; i < BLOCK; i++)
		for (uint16_t ext = 54; ext < 57; ext++)
			cr_expect_eq(open_udp((uint16_t)(9000 + i), ext), port[i], "endpoint %u towards %u", i, ext);
	cr_expect_eq(entries(), 2 * BLOCK + 1);
	/* There is no ninth port, not even towards another destination. */
	cr_expect_eq(open_udp(9100, 99), -1);
	grant(IN, 1, LO + BLOCK);
	cr_expect(is_granted(open_udp(9100, 99), 1));
	cr_expect_eq(open_udp(9100, 100), open_udp(9100, 99));
}

Test(grant_bindings, beyond_max_blocks_the_reason_is_its_own)
{
	bind_block();
	grant(IN, 0, LO);
	grant(IN, 1, LO + BLOCK);
	for (uint16_t i = 0; i < 2 * BLOCK; i++)
		cr_assert_geq(open_udp((uint16_t)(9000 + i), 53), LO, "endpoint %u", i);
	cr_expect_eq(open_udp(9100, 53), -1);
	cr_expect_eq(counted(REASON_drop_growth_exhausted), 1);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 1);
}

Test(grant_bindings, an_endpoint_keeps_its_granted_port_when_one_of_the_block_becomes_free)
{
	const uint32_t port_lo = 1024 + 2 * FEW;
	int port;

	bind_block();
	grant(IN, 0, LO);
	port = open_udp(9000, 53);
	cr_assert(is_granted(port, 0));
	/* Its sessions have ended, its binding has not. */
	age_sessions(IN, 200);
	for (uint32_t k = 0; k < FEW; k++)
		*mappings_binding(mappings, 1, 2, UDP, k) =
			binding_entry(0, binding_flags(*mappings_binding(mappings, 1, 2, UDP, k)) & BINDING_OF_LINE, 0);
	cr_expect_eq(open_udp(9000, 54), port);
	cr_expect_eq(open_udp(2000, 54), (int)(port_lo + 2000 % FEW), "another endpoint binds in the block");
}

Test(grant_bindings, other_protocols_have_sessions_of_the_usual_kind_on_the_same_block)
{
	int port;

	bind_block();
	grant(IN, 0, LO);
	for (uint16_t i = 0; i < FEW; i++)
		cr_assert_geq(open_of(TCP, (uint16_t)(2000 + i), 80, 2), 0, "flow %u", i);
	port = open_of(TCP, 9000, 80, 2);
	cr_expect(is_granted(port, 0), "%d", port);
	cr_expect_eq(entries(), 0);
}

Test(grant_bindings, a_port_is_bound_anew_once_its_binding_has_long_expired)
{
	int port;

	bind_block();
	grant(IN, 0, LO);
	for (uint16_t i = 0; i < BLOCK; i++)
		cr_assert(is_granted(open_udp((uint16_t)(9000 + i), 53), 0), "endpoint %u", i);
	port = open_udp(9003, 53);
	age_beyond(ticks_of_seconds(460, datapath.hz));
	age_granted(9003, 310);
	cr_expect_eq(open_udp(9100, 60), -1, "not at once");
	age_granted(9003, 150);
	next_tick();
	cr_expect_eq(open_udp(9100, 60), port);
	cr_expect_eq(open_udp(9100, 61), port);
	cr_expect_eq(open_udp(9003, 60), -1, "it is another's now");
}

Test(grant_bindings, the_agent_keeps_expires_and_ends_a_binding)
{
	const uint32_t now = datapath_ticks(&datapath);
	int port;

	bind_block();
	grant(IN, 0, LO);
	port = open_udp(9000, 53);
	cr_assert(is_granted(port, 0));
	cr_expect_eq(change(GRANT_BINDING_KEEP, port, 9001, now + 100), GRANT_BINDING_NOT, "of another endpoint");
	cr_expect_eq(change(GRANT_BINDING_KEEP, port + 1, 9000, now + 100), GRANT_BINDING_NOT, "of another port");
	cr_expect_eq(change(GRANT_BINDING_KEEP, port, 9000, now + 100), GRANT_BINDING_DONE);
	cr_expect_eq(change(GRANT_BINDING_EXPIRE, port, 0, now + 99), GRANT_BINDING_NOT, "used since");
	cr_expect_eq(change(GRANT_BINDING_EXPIRE, port, 0, now + 100), GRANT_BINDING_DONE);
	cr_expect_eq(change(GRANT_BINDING_END, port, 0, 0), GRANT_BINDING_NOT, "gone");
	cr_expect_eq(entries(), 0);
	cr_assert(is_granted(open_udp(9000, 54), 0));
	cr_expect_eq(change(GRANT_BINDING_END, port, 0, 0), GRANT_BINDING_DONE);
	cr_expect_eq(entries(), 0);
}

Test(grant_bindings, a_block_that_is_closed_for_openings_gives_its_endpoints_another_port)
{
	int port, other;

	bind_block();
	grant(IN, 0, LO);
	port = open_udp(9000, 53);
	cr_assert(is_granted(port, 0));
	grant(IN, 1, LO + BLOCK);
	grant_close(IN, 0);
	cr_expect_eq(open_udp(9000, 53), port, "its session goes on");
	other = open_udp(9000, 54);
	cr_expect(is_granted(other, 1), "%d", other);
	cr_expect_eq(open_udp(9000, 55), other);
	cr_expect_eq(entries(), 3);
}

Test(grant_bindings, a_binding_of_a_block_that_is_another_subscribers_by_now_leads_nowhere)
{
	int port;

	bind_block();
	grant(IN, 0, LO);
	port = open_udp(9000, 53);
	cr_assert(is_granted(port, 0));
	grant_close(IN, 0);
	grant_take_back(LO);
	grant(THIRD, 0, LO);
	cr_expect_eq(open_udp(9000, 54), -1);
	cr_expect_eq(entries(), 0);
}

#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .dst = OUT, .proto = UDP
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .dst = IN, .proto = UDP, .dport = 9000

Test(grant_bindings, a_stranger_reaches_a_bound_port_and_is_answered_from_it)
{
	uint16_t port;

	bind_block();
	grant(IN, 0, LO);
	port = (uint16_t)open_udp(9000, 53);
	cr_assert(is_granted(port, 0));

	const struct row rows[] = {
		{ "a port that is not bound",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .src = EXTERNAL, .sport = 7, .dport = port == LO ? LO + 1 : LO },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another protocol",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OUT, TCP, 7, port, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "a stranger",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .src = EXTERNAL, .sport = 7, .dport = port, .payload = 11 },
		  REDIRECT_XDP,
		  { TO_HOST, .src = EXTERNAL, .sport = 7, .payload = 11 },
		  REASON_out2in_translated },
		{ "again",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .src = EXTERNAL, .sport = 7, .dport = port, .payload = 12 },
		  REDIRECT_XDP,
		  { TO_HOST, .src = EXTERNAL, .sport = 7, .payload = 12 },
		  REASON_out2in_translated },
		{ "the answer",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = EXTERNAL, UDP, 9000, 7 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OUT,
		    .dst = EXTERNAL,
		    UDP,
		    .sport = port,
		    .dport = 7 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sessions_inbound), 1);
}

static int call(uint16_t port, uint16_t sport)
{
	return stranger_to(OUT, EXTERNAL + 9, sport, port);
}

Test(grant_bindings, strangers_open_no_more_than_their_part_of_the_quota_in_slots_and_beyond_together)
{
	uint16_t port;

	bind_block();
	grant(IN, 0, LO);
	port = (uint16_t)open_udp(9000, 53);
	for (uint16_t i = 0; i < 10; i++)
		cr_expect_eq(call((uint16_t)(1024 + 2 * FEW), (uint16_t)(100 + i)), REDIRECT_XDP, "slot %u", i);
	for (uint16_t i = 0; i < 10; i++)
		cr_expect_eq(call(port, (uint16_t)(200 + i)), REDIRECT_XDP, "beyond, %u", i);
	cr_expect_eq(call(port, 300), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_limit), 1);
	cr_expect_eq(counted(REASON_sessions_inbound), 20);
	/* Once they have ended, there is room: the next tick counts again. */
	age_beyond(ticks_of_seconds(310, datapath.hz));
	age_sessions(IN, 0);
	next_tick();
	next_tick();
	cr_expect_eq(call(port, 300), REDIRECT_XDP);
}

Test(grant_bindings, strangers_sessions_give_way_to_the_subscribers_own)
{
	uint32_t own;
	uint16_t port;

	bind_block();
	grant(IN, 0, LO);
	port = (uint16_t)open_udp(9000, 53);
	for (uint16_t i = 0; i < 20; i++)
		cr_assert_eq(call(port, (uint16_t)(200 + i)), REDIRECT_XDP, "stranger %u", i);
	own = sessions_of(IN);
	for (uint16_t i = 0; own + i < 200 + 20; i++)
		cr_assert_geq(open_of(TCP, (uint16_t)(2000 + i % FEW), (uint16_t)(100 + i / FEW), 2), 0, "own %u", i);
	cr_expect_eq(sessions_of(IN), 200);
	cr_expect_eq(open_of(TCP, 2000, 99, 2), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
	cr_expect_eq(open_udp(9000, 53), port, "the session that is its own is there");
}

Test(grant_bindings, a_stranger_does_not_prolong_a_binding)
{
	uint16_t port;

	bind_block();
	grant(IN, 0, LO);
	port = (uint16_t)open_udp(9000, 53);
	age_granted(9000, 290);
	cr_expect_eq(call(port, 200), REDIRECT_XDP);
	age_granted(9000, 15);
	age_beyond(ticks_of_seconds(15, datapath.hz));
	cr_expect_eq(call(port, 201), DROP_XDP);
	cr_expect_eq(call(port, 200), DROP_XDP);
}

Test(grant_bindings, strangers_get_no_farther_once_the_block_is_closed_for_openings)
{
	uint16_t port;

	bind_block();
	grant(IN, 0, LO);
	port = (uint16_t)open_udp(9000, 53);
	cr_assert_eq(call(port, 200), REDIRECT_XDP);
	grant_close(IN, 0);
	cr_expect_eq(call(port, 200), REDIRECT_XDP, "its session goes on");
	cr_expect_eq(call(port, 201), DROP_XDP);
}

Test(grant_bindings, a_hairpin_opens_the_receivers_session_on_a_bound_port)
{
	const int third = 1024 + 3 * FEW + 8000 % FEW;
	uint16_t port;

	bind_block();
	grant(IN, 0, LO);
	port = (uint16_t)open_udp(9000, 53);

	const struct row rows[] = {
		{ "another subscriber calls",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = THIRD, .dst = OUT, UDP, 8000, port },
		  REDIRECT_XDP,
		  { TO_HOST, .src = OUT, .sport = (uint16_t)third },
		  REASON_hairpin_translated },
		{ "and is answered from it",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = OUT, UDP, 9000, (uint16_t)third },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = OUT, .dst = THIRD, UDP, port, 8000 },
		  REASON_hairpin_translated },
	};

	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sessions_inbound), 1);
}

Test(grant_bindings, the_sweep_keeps_a_binding_as_long_as_its_session_is_refreshed_from_outside)
{
	settings.udp_inbound_refresh = 1;
	reload_settings();
	bind_block();
	grant(IN, 0, LO);
	cr_assert(is_granted(open_udp(9000, 53), 0));
	age_granted(9000, 440);
	sweep_sessions();
	cr_expect_eq(entries(), 3);
	age_beyond(ticks_of_seconds(460, datapath.hz));
	age_granted(9000, 460);
	sweep_sessions();
	cr_expect_eq(entries(), 0, "it has ended with its session");
}
