// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sources of packets from inside, the egress towards subscribers, and addresses that are never forwarded: what the
 * kernel would refuse XDP does not forward, and what it cannot decide it hands up. Whole packets are compared.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "fixture.h"
#include "told_routes.h"

TestSuite(sources, .init = set_up, .fini = tear_down);

#define OWN	   ADDR(10, 0, 0, 1)
#define LINK_LOCAL ADDR(169, 254, 7, 7)
#define STRANGER   ADDR(192, 0, 2, 9) /* in no mapping, routed outside */
#define ROUTED	   ADDR(192, 0, 3, 9) /* in no mapping, routed inside */

#define FROM(addr)    .from = HOST, .to = GATEWAY_IN, .src = (addr), .dst = EXTERNAL
#define FROM_TC(addr) .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = (addr), .dst = EXTERNAL
#define LEFT(port, n)                  \
	REDIRECT_XDP,                  \
		{ .ttl = 63,           \
		  .from = GATEWAY_OUT, \
		  .to = ROUTER,        \
		  .src = POOL,         \
		  .dst = EXTERNAL,     \
		  UDP,                 \
		  OUT_PORT(port, n),   \
		  53 },                \
		REASON_in2out_translated
#define MARTIAN	   DROP_XDP, {}, REASON_drop_martian
#define MARTIAN_TC DROP_TC, {}, REASON_drop_martian
#define UP	   PASS_XDP, {}, REASON_passed_untranslated

static void run(const char *commands)
{
	cr_assert_eq(system(commands), 0, "%s", commands);
	datapath_raise_epoch(&datapath);
}

/* An agent vouches for all addresses but one. */
static void vouch(uint32_t own)
{
	uint32_t bit = own_source_bit(own);

	memset(datapath.global->own_sources, 0, sizeof(datapath.global->own_sources));
	datapath.global->own_sources[bit >> 6] = 1ULL << (bit & 63);
	datapath.global->sources_until = datapath_ticks(&datapath) + 1000;
}

static struct subscriber *record(uint32_t in_addr)
{
	int number = mappings_find_any(mappings, in_addr);

	return mappings_subscriber(mappings, number, in_addr - mappings_get(mappings, number)->geo.in_base);
}

/* A second inside interface, behind which OTHER is. */
static uint32_t second_inside(void)
{
	uint32_t ifindex;

	run("ip link add tin2 type veth peer name pin2; ip link set tin2 address 02:00:00:00:00:01;"
	    "ip link set tin2 up; ip link set pin2 up; ip route add 10.0.0.3/32 dev tin2;"
	    "ip neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev tin2");
	ifindex = if_nametoindex("tin2");
	datapath.device[ifindex] = datapath.device[inside_ifindex];
	return ifindex;
}

static void filter(uint8_t rp_filter, uint8_t source_check)
{
	datapath.device[inside_ifindex].rp_filter = rp_filter;
	settings.source_check = source_check;
	reload_settings();
	datapath_raise_epoch(&datapath);
	/* Sources of sessions are checked once a tick. */
	next_tick();
}

Test(sources, own_addresses_open_no_session)
{
	static const struct row rows[] = {
		{ "UDP", XDP_INSIDE, { FROM(OWN), UDP, 5000, 53 }, MARTIAN },
		{ "again", XDP_INSIDE, { FROM(OWN), UDP, 5000, 53 }, MARTIAN },
		{ "TCP", XDP_INSIDE, { FROM(OWN), TCP, 5000, 80, .flags = 2 }, MARTIAN },
		{ "echo", XDP_INSIDE, { FROM(OWN), ICMP, 5000 }, MARTIAN },
		{ "to a pool address",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OWN, .dst = POOL, UDP, 5000, PORT_LO },
		  MARTIAN },
		{ "through the kernel", TC_OUTSIDE, { FROM_TC(OWN), UDP, 5000, 53 }, MARTIAN_TC },
		{ "a neighbour's", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5000, 53 }, LEFT(5000, 2) },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(OWN), 0);
	vouch(OWN);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(OWN), 0);
}

Test(sources, an_address_that_becomes_the_gateways_loses_its_sessions)
{
	static const struct row open[] = {
		{ "open", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5000, 53 }, LEFT(5000, 2) },
	};
	static const struct row rows[] = {
		{ "out", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5000, 53 }, MARTIAN },
		{ "out, the slow path", XDP_INSIDE_SLOW, { FROM(SUBSCRIBER), UDP, 5000, 53 }, MARTIAN },
	};
	struct frame answer = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(5000, 2)
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&answer, in), out_size;

	for (int vouched = 0; vouched < 2; vouched++) {
		RUN_ROWS(open);
		run("ip addr add 10.0.0.2/32 dev lo");
		if (vouched)
			vouch(SUBSCRIBER);
		record(SUBSCRIBER)->icmp_next = 0;
		run_frame_counted("in", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_drop_unreachable);
		cr_expect_eq(counted(REASON_sent_icmp_unreachable), vouched + 1U);
		age_sessions(SUBSCRIBER, 1);
		RUN_ROWS(rows);
		run("ip addr del 10.0.0.2/32 dev lo");
		datapath.global->sources_until = 0;
	}
}

Test(sources, are_compared_with_the_route_back_as_the_reverse_path_filter_says)
{
	static const struct row off[] = {
		{ "routed by another interface", XDP_INSIDE, { FROM(OTHER), UDP, 5000, 53 }, LEFT(5000, 3) },
	};
	static const struct row loose[] = {
		{ "loose: routed by another interface", XDP_INSIDE, { FROM(OTHER), UDP, 5001, 53 }, LEFT(5001, 3) },
		{ "loose: a blackhole", XDP_INSIDE, { FROM(ADDR(10, 0, 0, 9)), UDP, 5001, 53 }, UP },
		{ "loose: behind a tunnel", XDP_INSIDE, { FROM(ADDR(10, 0, 0, 8)), UDP, 5001, 53 }, LEFT(5001, 8) },
	};
	static const struct row strict[] = {
		{ "strict: another interface's session", XDP_INSIDE, { FROM(OTHER), UDP, 5000, 53 }, UP },
		{ "strict: again", XDP_INSIDE, { FROM(OTHER), UDP, 5000, 53 }, UP },
		{ "strict: a new one", XDP_INSIDE, { FROM(OTHER), UDP, 5002, 53 }, UP },
		{ "strict: behind a tunnel", XDP_INSIDE, { FROM(ADDR(10, 0, 0, 8)), UDP, 5001, 53 }, UP },
		{ "strict: its own interface", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5002, 53 }, LEFT(5002, 2) },
		{ "strict: its own interface, again", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5002, 53 }, LEFT(5002, 2) },
	};
	static const struct row home[] = {
		{ "strict: where it belongs", XDP_INSIDE, { FROM(OTHER), UDP, 5000, 53 }, LEFT(5000, 3) },
	};
	static const struct row blackhole[] = {
		{ "off: a blackhole", XDP_INSIDE, { FROM(ADDR(10, 0, 0, 9)), UDP, 5001, 53 }, LEFT(5001, 9) },
	};
	uint32_t first = inside_ifindex, second = second_inside();

	run("ip route add blackhole 10.0.0.9/32;"
	    "ip route add 10.0.0.8/32 encap ip id 1 dst 10.0.0.3 dev tin");
	RUN_ROWS(off);
	RUN_ROWS(blackhole);
	filter(2, SOURCES_ROUTED);
	RUN_ROWS(loose);
	filter(1, SOURCES_STRICT_EACH);
	RUN_ROWS(strict);
	inside_ifindex = second;
	RUN_ROWS(home);
	inside_ifindex = first;
	RUN_ROWS(strict);
}

Test(sources, sources_of_a_session_are_looked_at_when_it_is_refreshed)
{
	static const struct row open[] = {
		{ "open", XDP_INSIDE, { FROM(OTHER), UDP, 5000, 53 }, LEFT(5000, 3) },
	};
	static const struct row moved[] = {
		{ "its route is by another interface now", XDP_INSIDE, { FROM(OTHER), UDP, 5000, 53 }, UP },
	};

	filter(1, SOURCES_STRICT);
	RUN_ROWS(open);
	second_inside();
	age_sessions(OTHER, 1);
	RUN_ROWS(moved);
}

/* A second is a tick. */
static void set_up_short_second(void)
{
	settings.hz = 64;
	set_up();
}

Test(sources, without_an_agent_a_known_source_is_asked_for_again_after_a_second, .init = set_up_short_second)
{
	static const struct row open[] = {
		{ "open", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5000, 53 }, LEFT(5000, 2) },
	};
	static const struct row within[] = {
		{ "within the second", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5001, 53 }, LEFT(5001, 2) },
	};
	static const struct row later[] = {
		{ "later", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5002, 53 }, MARTIAN },
	};

	tell_no_routes();
	datapath.global->fib_until = datapath_ticks(&datapath) - 1;
	next_tick();
	RUN_ROWS(open);
	RUN_ROWS(within);
	/* Nobody raises the epoch. */
	cr_assert_eq(system("ip addr add 10.0.0.2/32 dev lo"), 0);
	next_tick();
	next_tick();
	RUN_ROWS(later);
}

Test(sources, in_no_mapping_are_routed_or_dropped_as_unmatched_says)
{
	static const struct row route[] = {
		{ "route: forged", XDP_INSIDE, { FROM(STRANGER), UDP, 1, 2 }, UP },
		{ "route: private", XDP_INSIDE, { FROM(ADDR(192, 168, 0, 1)), UDP, 1, 2 }, UP },
	};
	static const struct row strict[] = {
		{ "strict: forged", XDP_INSIDE, { FROM(STRANGER), UDP, 1, 2 }, DROP_XDP, {}, REASON_drop_spoofed },
		{ "strict: the server's own",
		  XDP_INSIDE,
		  { FROM(EXTERNAL), UDP, 1, 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_spoofed },
		{ "strict: the gateway's",
		  XDP_INSIDE,
		  { FROM(ADDR(198, 51, 100, 1)), UDP, 1, 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_spoofed },
		{ "strict: a blackhole",
		  XDP_INSIDE,
		  { FROM(ADDR(192, 0, 4, 1)), UDP, 1, 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_spoofed },
		{ "strict: routed back", XDP_INSIDE, { FROM(ROUTED), UDP, 1, 2 }, UP },
		{ "strict: routed back, by a router that is not resolved",
		  XDP_INSIDE,
		  { FROM(ADDR(192, 0, 5, 9)), UDP, 1, 2 },
		  UP },
		{ "strict: private",
		  XDP_INSIDE,
		  { FROM(ADDR(192, 168, 0, 1)), UDP, 1, 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "strict: to the gateway itself",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = STRANGER, .dst = OWN, UDP, 1, 2 },
		  UP },
		{ "strict, through the kernel: forged",
		  TC_OUTSIDE,
		  { FROM_TC(STRANGER), UDP, 1, 2 },
		  DROP_TC,
		  {},
		  REASON_drop_spoofed },
		{ "strict, through the kernel: routed back",
		  TC_OUTSIDE,
		  { FROM_TC(ROUTED), UDP, 1, 2 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "strict: in a mapping", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5000, 53 }, LEFT(5000, 2) },
	};

	run("ip route add 192.0.3.0/24 via 10.0.0.2; ip route add blackhole 192.0.4.0/24;"
	    "ip route add 192.0.5.0/24 via 10.0.0.77");
	settings.unmatched = UNMATCHED_ROUTE;
	reload_settings();
	RUN_ROWS(route);
	settings.unmatched = UNMATCHED_STRICT;
	reload_settings();
	RUN_ROWS(strict);
	/* The same by the agent's copy of the routes. */
	follow_routes();
	RUN_ROWS(strict);
}

/* Not where a mapping has them and an agent vouches for others of its addresses, either. */
Test(sources, that_are_link_local_are_not_forwarded_for_a_mapping)
{
	static const struct row rows[] = {
		{ "the way is known",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5000, 53, .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    UDP,
		    OUT_PORT(5000, 2),
		    53,
		    .payload = 30 },
		  REASON_in2out_translated },
		{ "link-local", XDP_INSIDE, { FROM(LINK_LOCAL), UDP, 5000, 53, .payload = 30 }, MARTIAN },
		{ "through the kernel", TC_OUTSIDE, { FROM_TC(LINK_LOCAL), UDP, 5000, 53 }, MARTIAN_TC },
	};
	struct mapping_spec spec = { .in = { ADDR(169, 254, 7, 0), 24 },
				     .out = { ADDR(203, 0, 113, 64), 26 },
				     .sessions_per_user = 100,
				     .session_slots = 64 };

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	make_mapping(&spec, NULL);
	stay_on_one_core();
	vouch(OWN);
	RUN_ROWS(rows);
}

Test(sources, sources_of_this_network_are_never_forwarded)
{
#define THIS_NETWORK ADDR(0, 1, 2, 3)
	static const struct row rows[] = {
		{ "out", XDP_INSIDE, { FROM(THIS_NETWORK), UDP, 5000, 53 }, MARTIAN },
		{ "in",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = THIS_NETWORK, .dst = POOL, UDP, 53, PORT_LO },
		  MARTIAN },
		{ "to another",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = THIS_NETWORK, UDP, 5000, 53 },
		  UP },
	};

	settings.unmatched = UNMATCHED_ROUTE;
	reload_settings();
	RUN_ROWS(rows);
}

/* RFC 3927 section 7, even where routes would take them. */
Test(sources, and_destinations_that_are_link_local_are_never_forwarded)
{
	static const struct row rows[] = {
		{ "source, out", XDP_INSIDE, { FROM(LINK_LOCAL), UDP, 5000, 53 }, MARTIAN },
		{ "source, to a pool address",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = LINK_LOCAL, .dst = POOL, UDP, 5000, PORT_LO },
		  MARTIAN },
		{ "source, out, ICMP error",
		  XDP_INSIDE,
		  { FROM(LINK_LOCAL), ICMP, 1, .icmp_type = 11, .payload = 40 },
		  MARTIAN },
		{ "source, through the kernel", TC_OUTSIDE, { FROM_TC(LINK_LOCAL), UDP, 5000, 53 }, MARTIAN_TC },
		{ "destination, out",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = LINK_LOCAL, UDP, 5000, 53 },
		  MARTIAN },
		{ "destination, through the kernel",
		  TC_OUTSIDE,
		  { .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = SUBSCRIBER, .dst = LINK_LOCAL, UDP, 5000, 53 },
		  MARTIAN_TC },
		{ "source, in",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = LINK_LOCAL, .dst = POOL, UDP, 53, PORT_LO },
		  MARTIAN },
		{ "source, in, to an inside address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = LINK_LOCAL, .dst = SUBSCRIBER, UDP, 53, 5000 },
		  MARTIAN },
		{ "source, in, to an address of no mapping",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = LINK_LOCAL, .dst = UNMAPPED, UDP, 53, 5000 },
		  MARTIAN },
		{ "destination, in",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = LINK_LOCAL, UDP, 53, 5000 },
		  MARTIAN },
		/* Which are not forwarded. */
		{ "source, to a group",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = LINK_LOCAL, .dst = ADDR(224, 0, 0, 251), UDP, 5353, 5353 },
		  UP },
		{ "source, to the gateway itself",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = LINK_LOCAL, .dst = OWN, UDP, 5000, 53 },
		  UP },
		{ "source, to the gateway itself, outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = LINK_LOCAL, .dst = ADDR(198, 51, 100, 1), UDP, 5000, 53 },
		  UP },
		{ "destination, the gateway itself",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(169, 254, 1, 1), UDP, 5000, 53 },
		  UP },
		{ "its neighbours are forwarded",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(169, 253, 255, 255), UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = ADDR(169, 253, 255, 255),
		    UDP,
		    OUT_PORT(5000, 2),
		    53 },
		  REASON_in2out_translated },
	};

	run("ip addr add 169.254.1.1/32 dev lo");
	settings.unmatched = UNMATCHED_ROUTE;
	reload_settings();
	RUN_ROWS(rows);
	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(((struct row[]){
		{ "kernel: source, out", XDP_INSIDE, { FROM(LINK_LOCAL), UDP, 5000, 53 }, MARTIAN },
		{ "kernel: destination, out",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = LINK_LOCAL, UDP, 5000, 53 },
		  MARTIAN },
		{ "kernel: source, to the gateway itself",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = LINK_LOCAL, .dst = OWN, UDP, 5000, 53 },
		  UP },
	}));
}
