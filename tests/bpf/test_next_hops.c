// SPDX-License-Identifier: BSD-2-Clause
/* Next hops that the kernel was asked for: what the agent is told of their neighbours, and for how long they hold. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/events.h>
#include <detnat/next_hops.h>

#include "fixture.h"
#include "links/interfaces.h"
#include "staged.h"
#include "told_routes.h"

TestSuite(next_hops, .init = set_up, .fini = tear_down);

#define FAR	     ADDR(192, 0, 2, 9)
#define BEYOND_IPV6  ADDR(192, 0, 2, 130)
#define TO(addr)     .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = (addr), UDP, 5000, 53, .payload = 20
#define SENT_TO(mac) .ttl = 63, .from = GATEWAY_OUT, .to = (mac), .src = POOL

#define ANSWER(n) \
	.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(5000, 2), .payload = (n)-28
#define DELIVERED(n) .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000, .payload = (n)-28

static void run(const char *commands)
{
	cr_assert_eq(system(commands), 0, "%s", commands);
}

static void send_to(uint32_t dst)
{
	const struct row row = { "sent",
				 XDP_INSIDE,
				 { TO(dst) },
				 REDIRECT_XDP,
				 { SENT_TO(ROUTER), .dst = dst, UDP, OUT_PORT(5000, 2), 53, .payload = 20 },
				 REASON_in2out_translated };

	datapath_raise_epoch(&datapath);
	run_rows(&row, 1);
}

static uint32_t begun; /* tick */

/* The datapath has asked for a neighbour. */
static void expect_used(uint32_t ifindex, int family, const char *text, uint32_t router, const char *when)
{
	struct next_hop_address at = { .ifindex = ifindex, .family = (uint32_t)family };
	struct next_hop_use use = { .tick = ~0U, .router = ~0U };

	cr_assert_eq(inet_pton(family, text, at.addr), 1);
	cr_expect_eq(bpf_map_lookup_elem(datapath.next_hops_used, &at, &use), 0, "%s: %s", when, text);
	cr_expect_eq(use.router, router, "%s: %s: %u", when, text, use.router);
	cr_expect_geq((int32_t)(use.tick - begun), 0, "%s: %s: %u", when, text, use.tick);
	use.tick = begun - 1;
	cr_assert_eq(bpf_map_update_elem(datapath.next_hops_used, &at, &use, BPF_EXIST), 0);
}

Test(next_hops, which_neighbours_are_used_is_told)
{
	stay_on_one_core();
	tell_no_routes();
	begun = datapath_ticks(&datapath);
	run("ip -6 addr add fe80::1/64 dev tout nodad; ip neigh replace fe80::4 lladdr 02:00:00:00:00:04 dev tout;"
	    "ip route add 192.0.2.128/25 via inet6 fe80::4 dev tout");
	send_to(EXTERNAL);
	expect_used(outside_ifindex, AF_INET, "198.51.100.7", 0, "for itself");
	expect_used(inside_ifindex, AF_INET, "10.0.0.2", 0, "back to the subscriber");
	send_to(FAR);
	expect_used(outside_ifindex, AF_INET, "198.51.100.7", 1, "for what is behind it");
	send_to(EXTERNAL);
	expect_used(outside_ifindex, AF_INET, "198.51.100.7", 1, "for itself again");
	send_to(BEYOND_IPV6);
	expect_used(outside_ifindex, AF_INET6, "fe80::4", 1, "by IPv6");
}

/* Where a packet to FAR goes by the neighbour: the router, one that took its place, and none. */
static const struct row ways[] = {
	{ "by the router",
	  XDP_INSIDE,
	  { TO(FAR) },
	  REDIRECT_XDP,
	  { SENT_TO(ROUTER), .dst = FAR, UDP, OUT_PORT(5000, 2), 53, .payload = 20 },
	  REASON_in2out_translated },
	{ "by another station",
	  XDP_INSIDE,
	  { TO(FAR) },
	  REDIRECT_XDP,
	  { SENT_TO(NOBODY), .dst = FAR, UDP, OUT_PORT(5000, 2), 53, .payload = 20 },
	  REASON_in2out_translated },
	{ "by the kernel, which resolves it", XDP_INSIDE, { TO(FAR) }, PASS_XDP, {}, REASON_passed_untranslated },
};

static void set_up_short_second(void)
{
	settings.hz = 64;
	set_up();
}

/* A second is a tick here. A neighbour that has changed, without a word to the datapath, is found after that. */
Test(next_hops, hold_for_a_second, .init = set_up_short_second)
{
	stay_on_one_core();
	run_rows(ways, 1);
	run("ip neigh replace 198.51.100.7 lladdr 02:00:00:00:00:09 dev tout");
	next_tick();
	next_tick();
	run_rows(ways + 1, 1);
}

/* From the first answer on the way to the subscriber is known; what is one octet too long is cut up by the kernel. */
Test(next_hops, are_for_packets_that_fit)
{
	static const struct row rows[] = {
#define ROW(name, n)                                                   \
	{ name,                                                        \
	  XDP_OUTSIDE,                                                 \
	  { ANSWER(n) },                                               \
	  REDIRECT_XDP,                                                \
	  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, DELIVERED(n) }, \
	  REASON_out2in_translated }
		ROW("is asked for", 60),
		ROW("is known", 60),
		ROW("as long as can be", 1500),
		{ "one octet too long",
		  XDP_OUTSIDE,
		  { ANSWER(1501) },
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, DELIVERED(1501) },
		  REASON_out2in_translated },
		{ "behind IP options, out by what is known",
		  XDP_INSIDE,
		  { TO(EXTERNAL), .ip_options = 4 },
		  REDIRECT_XDP,
		  { SENT_TO(ROUTER), .dst = EXTERNAL, UDP, OUT_PORT(5000, 2), 53, .payload = 20, .ip_options = 4 },
		  REASON_in2out_translated },
		{ "with TTL 1: the kernel answers",
		  XDP_INSIDE,
		  { TO(EXTERNAL), .ttl = 1 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	stay_on_one_core();
	send_to(EXTERNAL);
	RUN_ROWS(rows);
}

/* The same at once, where the agent has seen that it changed. */
Test(next_hops, hold_for_an_epoch)
{
	stay_on_one_core();
	run_rows(ways, 1);
	run("ip neigh replace 198.51.100.7 lladdr 02:00:00:00:00:09 dev tout");
	datapath_raise_epoch(&datapath);
	run_rows(ways + 1, 1);
	run("ip neigh del 198.51.100.7 dev tout");
	datapath_raise_epoch(&datapath);
	run_rows(ways + 2, 1);
}

static void set_device(uint32_t ifindex, uint8_t roles, uint8_t flags)
{
	struct device record = datapath.device[ifindex];

	record.roles = roles;
	record.flags = flags;
	device_store(&datapath, ifindex, &record);
}

Test(next_hops, are_for_interfaces_with_a_role)
{
	static const struct row rows[] = {
		{ "from none", XDP_INSIDE_SLOW, { TO(FAR) }, PASS_XDP, {}, REASON_passed_untranslated },
	};

	set_device(inside_ifindex, 0, DEVICE_REDIRECT | DEVICE_NATIVE);
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}

/* The way to the subscriber was learned before. With each change of an interface the agent raises the epoch. */
Test(next_hops, are_used_while_their_interface_is_what_it_was)
{
	static const struct row sent = { "known",
					 XDP_OUTSIDE,
					 { ANSWER(60) },
					 REDIRECT_XDP,
					 { .ttl = 63, .from = GATEWAY_IN, .to = HOST, DELIVERED(60) },
					 REASON_out2in_translated };
	static const struct row passed = { "left to the kernel",
					   XDP_OUTSIDE,
					   { ANSWER(60) },
					   PASS_XDP,
					   { .from = ROUTER, .to = GATEWAY_OUT, DELIVERED(60) },
					   REASON_out2in_translated };
	static const struct row turned = { "it would lead out again", XDP_OUTSIDE, { ANSWER(60) }, DROP_XDP, {},
					   REASON_drop_unreachable };
	send_to(EXTERNAL);
	run_rows(&sent, 1);
	run_rows(&sent, 1);
	set_device(inside_ifindex, DEVICE_INSIDE, DEVICE_NATIVE);
	datapath_raise_epoch(&datapath);
	run_rows(&passed, 1);
	set_device(inside_ifindex, 0, DEVICE_REDIRECT | DEVICE_NATIVE);
	datapath_raise_epoch(&datapath);
	run_rows(&passed, 1);
	set_device(inside_ifindex, DEVICE_OUTSIDE, DEVICE_REDIRECT | DEVICE_NATIVE);
	datapath_raise_epoch(&datapath);
	mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0))->icmp_next =
		(datapath_ticks(&datapath) << TICK_SHIFT) + datapath.hz;
	run_rows(&turned, 1);
}

/* What the agent is asked to resolve. */
struct asked {
	unsigned n;
	struct nat_event last;
};

static int keep_asked(void *arg, void *data, size_t size)
{
	const struct nat_event *e = data;
	struct asked *a = arg;

	cr_assert_geq(size, sizeof(*e));
	if (e->type == EVENT_RESOLVE || e->type == EVENT_RESOLVE_IPV6)
		*a = (struct asked){ a->n + 1, *e };
	return 0;
}

static struct ring_buffer *ring;
static struct asked asked;

static void listen_for_questions(void)
{
	ring = ring_buffer__new(datapath.events, keep_asked, &asked, NULL);
	cr_assert(ring);
}

/* Runs a packet whose next hop is not resolved: it goes to the kernel, whose firewall may drop it. */
static void expect_asked(const struct row *row, uint32_t ifindex, uint32_t hop, uint32_t router)
{
	asked = (struct asked){ 0 };
	datapath_raise_epoch(&datapath);
	next_tick();
	run_rows(row, 1);
	cr_assert_geq(ring_buffer__consume(ring), 0);
	cr_expect_eq(asked.n, 1, "%s: %u", row->name, asked.n);
	cr_expect_eq(asked.last.ifindex, ifindex, "%s", row->name);
	cr_expect_eq(asked.last.in_addr, hop, "%s: %x", row->name, asked.last.in_addr);
	cr_expect_eq(asked.last.limit, router, "%s", row->name);
}

Test(next_hops, not_resolved_are_asked_for_on_either_way)
{
#define KERNEL_RESOLVES PASS_XDP, {}, REASON_passed_untranslated
	static const struct row out = { "out, behind a router", XDP_INSIDE, { TO(FAR) }, KERNEL_RESOLVES };
	static const struct row opens = { "out, to a neighbour", XDP_INSIDE, { TO(EXTERNAL) }, KERNEL_RESOLVES };
	static const struct row in = { "in",
				       XDP_OUTSIDE,
				       { ANSWER(60) },
				       PASS_XDP,
				       { .from = ROUTER, .to = GATEWAY_OUT, DELIVERED(60) },
				       REASON_out2in_translated };
	static const struct row ping = { "out, an echo request",
					 XDP_INSIDE,
					 { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = FAR, ICMP, 5000 },
					 KERNEL_RESOLVES };

	stay_on_one_core();
	listen_for_questions();
	send_to(EXTERNAL);
	run("ip neigh del 198.51.100.7 dev tout");
	expect_asked(&out, outside_ifindex, EXTERNAL, 1);
	expect_asked(&opens, outside_ifindex, EXTERNAL, 0);
	expect_asked(&ping, outside_ifindex, EXTERNAL, 1);
	run("ip neigh del 10.0.0.2 dev tin");
	expect_asked(&in, inside_ifindex, SUBSCRIBER, 0);
	ring_buffer__free(ring);
}

/* A scan of the outside's own network. */
Test(next_hops, are_asked_for_now_and_then)
{
	uint32_t begin = datapath_ticks(&datapath);

	listen_for_questions();
	for (unsigned i = 0; i < 500; i++) {
		const struct row scan = {
			"scan", XDP_INSIDE, { TO(ADDR(198, 51, 100, 20 + i % 200)) }, KERNEL_RESOLVES
		};

		run_rows(&scan, 1);
	}
	cr_assert_geq(ring_buffer__consume(ring), 0);
	cr_expect_geq(asked.n, 1);
	cr_expect_leq(asked.n, datapath_ticks(&datapath) - begin + 1, "%u", asked.n);
	ring_buffer__free(ring);
}
