// SPDX-License-Identifier: BSD-2-Clause
/* The way to a subscriber: by routes, rules and MTUs. Whole packets are compared. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/cached_hop.h>

#include "fixture.h"
#include "told_routes.h"

TestSuite(egress_in, .init = set_up, .fini = tear_down);

#define FROM(addr) .from = HOST, .to = GATEWAY_IN, .src = (addr), .dst = EXTERNAL
#define UP	   PASS_XDP, {}, REASON_passed_untranslated

static void run(const char *commands)
{
	cr_assert_eq(system(commands), 0, "%s", commands);
	datapath_raise_epoch(&datapath);
}

static struct subscriber *record(uint32_t in_addr)
{
	int number = mappings_find_any(mappings, in_addr);

	return mappings_subscriber(mappings, number, in_addr - mappings_get(mappings, number)->geo.in_base);
}

#define ANSWER(addr)	.from = ROUTER, .to = GATEWAY_OUT, .src = (addr), .dst = POOL, UDP, 53, OUT_PORT(5000, 2)
#define DELIVERED(addr) .ttl = 63, .from = GATEWAY_IN, .src = (addr), .dst = SUBSCRIBER, UDP, 53, 5000
#define SECOND		ADDR(198, 51, 100, 8)

static void open_towards(uint32_t first, uint32_t second)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	const uint32_t dst[] = { first, second };
	size_t size;

	for (int i = 0; i < 2; i++) {
		struct frame f = { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = dst[i], UDP, 5000, 53 };

		run_frame_counted("open", XDP_INSIDE, in, frame_build(&f, in), out, &size, REDIRECT_XDP,
				  REASON_in2out_translated);
	}
}

Test(egress_in, depends_on_the_sender_where_rules_say_so)
{
	static const struct row rows[] = {
		{ "main table",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL) },
		  REDIRECT_XDP,
		  { .to = HOST, DELIVERED(EXTERNAL) },
		  REASON_out2in_translated },
		{ "by rule, by another router",
		  XDP_OUTSIDE,
		  { ANSWER(SECOND) },
		  REDIRECT_XDP,
		  { .to = NOBODY, DELIVERED(SECOND) },
		  REASON_out2in_translated },
		{ "main table again",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL) },
		  REDIRECT_XDP,
		  { .to = HOST, DELIVERED(EXTERNAL) },
		  REASON_out2in_translated },
	};
	/* Translated, for the kernel to refuse: it says why to the sender. */
	static const struct row refused[] = {
		{ "a blackhole by source, with the other's way known",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL) },
		  REDIRECT_XDP,
		  { .to = HOST, DELIVERED(EXTERNAL) },
		  REASON_out2in_translated },
		{ "a blackhole by source",
		  XDP_OUTSIDE,
		  { ANSWER(SECOND) },
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = SECOND, .dst = SUBSCRIBER, UDP, 53, 5000 },
		  REASON_out2in_translated },
	};

	run("ip neigh add 198.51.100.8 lladdr 02:00:00:00:00:08 dev tout; ip neigh replace 10.0.0.50 lladdr "
	    "02:00:00:00:00:09 dev tin; ip route add 10.0.0.2/32 via 10.0.0.50 dev tin table 100;"
	    "ip route add prohibit 10.0.0.2/32 table 101; ip rule add from 198.51.100.8 lookup 100");
	settings.policy_routing = 1;
	reload_settings();
	open_towards(EXTERNAL, SECOND);
	RUN_ROWS(rows);
	RUN_ROWS(rows);
	run("ip rule del from 198.51.100.8; ip rule add from 198.51.100.8 lookup 101");
	RUN_ROWS(refused);
	RUN_ROWS(refused);
}

Test(egress_in, is_by_an_inside_interface_or_none)
{
	struct frame answer = { ANSWER(EXTERNAL) };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&answer, in), out_size;
	const struct row turned[] = {
		{ "what the kernel would send back out",
		  TC_OUTSIDE,
		  { .from = GATEWAY_OUT, .to = ROUTER, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000, .ttl = 63 },
		  DROP_TC,
		  {},
		  REASON_drop_unreachable },
		{ "what is for another station passes",
		  TC_OUTSIDE,
		  { .from = GATEWAY_OUT, .to = ROUTER, .src = EXTERNAL, .dst = UNMAPPED, UDP, 53, 5000, .ttl = 63 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
	};

	open_towards(EXTERNAL, EXTERNAL);
	for (int direct = 1; direct >= 0; direct--) {
		settings.redirect = (uint8_t)direct;
		reload_settings();
		run("ip route del 10.0.0.0/24 dev tin");
		record(SUBSCRIBER)->icmp_next = 0;
		run_frame_counted("by the default route", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP,
				  REASON_drop_unreachable);
		run("ip route del default");
		record(SUBSCRIBER)->icmp_next = 0;
		run_frame_counted("no route", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP,
				  REASON_drop_unreachable);
		run("ip route add default via 198.51.100.7; ip route add 10.0.0.0/24 dev tin");
	}
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 4);
	/* From outside to outside. */
	inside_ifindex = outside_ifindex;
	RUN_ROWS(turned);
}

#define LONG(n) .payload = (n)-28, .options = DONT_FRAGMENT
#define FAR	ADDR(198, 51, 100, 9)

/* bpf_fib_lookup() tells of the MTU of a route only where it is locked. */
Test(egress_in, and_out_leave_what_is_longer_than_a_routes_mtu_to_the_kernel)
{
	static const struct row rows[] = {
		{ "in, as long as it may be",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL), LONG(1400) },
		  REDIRECT_XDP,
		  { .to = HOST, DELIVERED(EXTERNAL), LONG(1400) },
		  REASON_out2in_translated },
		{ "in, longer",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL), LONG(1401) },
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000, LONG(1401) },
		  REASON_out2in_translated },
		{ "in, longer than the interface's, too",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL), LONG(1501) },
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000, LONG(1501) },
		  REASON_out2in_translated },
		{ "out, as long as it may be",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = FAR, UDP, 5000, 53, LONG(1400) },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = FAR,
		    UDP,
		    OUT_PORT(5000, 2),
		    53,
		    LONG(1400) },
		  REASON_in2out_translated },
		{ "out, longer",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = FAR, UDP, 5000, 53, LONG(1401) },
		  UP },
		{ "out, by a route without a limit",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5000, 53, LONG(1500) },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    UDP,
		    OUT_PORT(5000, 2),
		    53,
		    LONG(1500) },
		  REASON_in2out_translated },
	};
	/* Above the interface's MTU, that holds. */
	static const struct row longest[] = {
		{ "out, longer than the interface takes",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5000, 53, LONG(1501) },
		  UP },
	};
	const struct prefix_key keys[] = { { 24, htonl(ADDR(198, 51, 100, 0)) },
					   { 32, htonl(FAR) },
					   { 32, htonl(EXTERNAL) },
					   { 32, htonl(SUBSCRIBER) } };
	const uint32_t mtus[] = { 9000, 1400, 9000, 1400 };

	open_towards(EXTERNAL, EXTERNAL);
	settings.route_mtus = 1;
	reload_settings();
	run("ip route add 198.51.100.9/32 via 198.51.100.7 mtu 1400; ip route add 10.0.0.2/32 dev tin mtu 1400");
	for (int i = 0; i < 4; i++)
		cr_assert_eq(bpf_map_update_elem(datapath.route_mtus, &keys[i], &mtus[i], BPF_ANY), 0);
	RUN_ROWS(rows);
	RUN_ROWS(rows);
	RUN_ROWS(longest);
	/* A lock the kernel tells of by itself. */
	for (int i = 0; i < 4; i++)
		cr_assert_eq(bpf_map_delete_elem(datapath.route_mtus, &keys[i]), 0);
	run("ip route replace 198.51.100.9/32 via 198.51.100.7 mtu lock 1400; ip route replace 10.0.0.2/32 dev tin mtu "
	    "lock 1400");
	RUN_ROWS(rows);
}

/* A map that a program uses, by name; -1: none. */
static int map_of(int program, const char *name)
{
	uint32_t ids[64], size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (uintptr_t)ids };

	cr_assert_eq(bpf_obj_get_info_by_fd(program, &info, &size), 0);
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		struct bpf_map_info map = { 0 };
		int fd = bpf_map_get_fd_by_id(ids[i]);

		size = sizeof(map);
		cr_assert_eq(bpf_obj_get_info_by_fd(fd, &map, &size), 0);
		if (!strcmp(map.name, name))
			return fd;
		close_fd(&fd);
	}
	return -1;
}

static int program_in(int map, uint32_t at)
{
	uint32_t id;
	int fd;

	cr_assert_eq(bpf_map_lookup_elem(map, &at, &id), 0);
	fd = bpf_prog_get_fd_by_id(id);
	cr_assert_geq(fd, 0);
	return fd;
}

/* The cache of the kernel's answers, which is no pin's. */
static int open_cache(void)
{
	_cleanup_close_ int main = program_in(datapath.entries, ENTRY_OUTSIDE);
	_cleanup_close_ int programs = map_of(main, "xdp_leaves");
	_cleanup_close_ int cached = program_in(programs, PROG_out2in_cached);
	int cache = map_of(cached, "cached_hops");

	cr_assert_geq(cache, 0);
	return cache;
}

/* Place of the answer about packets to an address. */
static uint32_t cached_at(int cache, uint32_t dst, struct cached_hop *ret)
{
	for (uint32_t at = 0; !bpf_map_lookup_elem(cache, &at, ret); at++)
		if (ret->question.dst == dst)
			return at;
	cr_assert_fail("it is not cached");
	return 0;
}

/* Spoils the address of the answer about the subscriber, which is as if given at another time. */
static void spoil(int cache, uint32_t at, uint32_t ticks)
{
	struct cached_hop c;

	cr_assert_eq(bpf_map_lookup_elem(cache, &at, &c), 0);
	c.hop.dmac[0] ^= 0xff;
	c.until -= ticks;
	cr_assert_eq(bpf_map_update_elem(cache, &at, &c, BPF_EXIST), 0);
}

/* The clock of a way was of 16 bits once. */
Test(egress_in, a_way_of_long_ago_is_never_fresh_again)
{
	if (redirect_tc_wanted())
		cr_skip_test("only the map of XDP is looked into");

	static const struct row rows[] = {
		{ "in",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL) },
		  REDIRECT_XDP,
		  { .to = HOST, DELIVERED(EXTERNAL) },
		  REASON_out2in_translated },
	};
	struct cached_hop c;
	uint32_t at;
	int cache;

	tell_no_routes();
	open_towards(EXTERNAL, EXTERNAL);
	cache = open_cache();
	RUN_ROWS(rows);
	at = cached_at(cache, SUBSCRIBER, &c);
	for (unsigned shift = 16; shift < 32; shift++) {
		spoil(cache, at, 1U << shift);
		RUN_ROWS(rows);
	}
	/* Nor is that of an epoch whose lower bits are the same. */
	spoil(cache, at, 0);
	datapath.global->epoch += 1U << 16;
	RUN_ROWS(rows);
	close_fd(&cache);
}

#define UNRESOLVED ADDR(10, 0, 0, 100)
#define STICK_IN                                                                                           \
	{                                                                                                  \
		.from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(5000, 2) \
	}

/* On a stick: the interface inside is outside, too. */
Test(egress_in, on_a_stick_is_no_way_out)
{
	if (redirect_tc_wanted())
		cr_skip_test("tc sends to next hops that are not resolved");

	const uint16_t port = 1024 + PORTS * (100 % 64) + 5000 % PORTS;
	const struct row rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = UNRESOLVED, .dst = EXTERNAL, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL + 1, .dst = EXTERNAL, UDP, port, 53 },
		  REASON_in2out_translated },
		{ "the kernel resolves the subscriber",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL + 1, UDP, 53, port },
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = UNRESOLVED, UDP, 53, 5000 },
		  REASON_out2in_translated },
	};

	datapath.device[inside_ifindex].roles |= DEVICE_OUTSIDE;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}

/* Its filter is about what comes from inside. */
Test(egress_in, on_a_stick_asks_for_no_way_back_to_the_sender)
{
	static const struct row rows[] = {
		{ "from a source behind another interface",
		  XDP_BOTH,
		  STICK_IN,
		  REDIRECT_XDP,
		  { .to = HOST, DELIVERED(EXTERNAL) },
		  REASON_out2in_translated },
	};

	settings.outside_strict = 1;
	reload_settings();
	open_towards(EXTERNAL, EXTERNAL);
	datapath.device[inside_ifindex].roles |= DEVICE_OUTSIDE;
	datapath.device[inside_ifindex].rp_filter = 1;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}
