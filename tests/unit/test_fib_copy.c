/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy of the kernel's routes against the kernel's own answers, in a network namespace of the test's: random
 * changes of routes, neighbours, nexthop objects and interfaces, each followed by a look at many addresses.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/base.h"
#include "fib/route_copy.h"
#include "host/netlink.h"
#include "links/monitor.h"

#define ROUNDS	   60
#define PATIENCE_S 5

static struct event_base *base;
static struct datapath datapath;
static struct netlink *netlink;
static struct monitor *monitor;
static struct route_copy *copy;
static unsigned seed = 1;
static uint32_t inside; /* index of in0 */

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)rand_r(&seed) % n;
}

static int chunks_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, inner, .map_flags = BPF_F_MMAPABLE);
	LIBBPF_OPTS(bpf_map_create_opts, outer);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fib_chunk", 4, sizeof(struct fib_node), FIB_CHUNK, &inner);

	outer.inner_map_fd = (uint32_t)fd;
	return bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "fib_nodes", 4, 4, MAX_FIB_CHUNKS, &outer);
}

static void on_message(const struct nlmsghdr *h, void *arg)
{
	route_copy_message(copy, h);
}

static void on_lost(void *arg)
{
	route_copy_lost(copy);
}

static void run(const char *command)
{
	cr_assert_eq(system(command), 0, "%s", command);
}

/* A device record as the agent would make it. */
static void record(const char *name, uint8_t roles)
{
	struct link link;

	cr_assert_eq(link_by_name(netlink, name, &link), 0);

	struct device *d = &datapath.device[link.ifindex];

	*d = (struct device){ .roles = roles, .flags = DEVICE_REDIRECT, .mtu = link.mtu };
	memcpy(d->mac, link.mac, sizeof(d->mac));
	if (copy)
		route_copy_devices_changed(copy);
}

static void set_up(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(netlink_new(&netlink), 0);
	run("ip link set lo up && ip link add in0 type veth peer name in1 && ip link add out0 type veth peer name out1 "
	    "&& "
	    "for i in in0 in1 out0 out1; do ip link set $i up; done && "
	    "ip addr add 198.51.100.1/24 dev in0 && ip addr add 203.0.113.1/24 dev out0");
	run("for i in 2 3 4 5; do ip neigh replace 198.51.100.$i lladdr 02:00:00:00:01:0$i dev in0 nud permanent; "
	    "ip neigh replace 203.0.113.$i lladdr 02:00:00:00:02:0$i dev out0 nud permanent; done");
	for (uint32_t i = 0; i < 8; i++) {
		char text[128];

		snprintf(text, sizeof(text),
			 "ip neigh replace 10.%u.0.%u lladdr 02:00:00:01:00:0%u dev in0 nud permanent", i & 1, i, i);
		run(text);
	}
	datapath.fib = calloc(1, sizeof(*datapath.fib));
	datapath.device = calloc(MAX_IFINDEX, sizeof(*datapath.device));
	datapath.global = calloc(1, sizeof(*datapath.global));
	datapath.hz = 250;
	datapath.clock = datapath.grace = -1;
	datapath.fib_nodes = chunks_map();
	datapath.build = (struct datapath_build *)&datapath; /* programs run, whatever they are */
	inside = if_nametoindex("in0");
	record("in0", DEVICE_INSIDE);
	record("out0", DEVICE_OUTSIDE);
	base = event_base_new();
	cr_assert_eq(monitor_new(base, &datapath, &(struct monitor_handlers){ .message = on_message, .lost = on_lost },
				 &monitor),
		     0);
	cr_assert_eq(route_copy_new(base, &datapath, &copy), 0);
	route_copy_hold(copy, ROUTE_COPY_SYNC, false);
}

static void tear_down(void)
{
	if (!base)
		return;
	route_copy_free(copy);
	cr_expect_eq(datapath.global->fib_until, 0);
	monitor_free(monitor);
	netlink_free(netlink);
	event_base_free(base);
	free(datapath.fib);
	free(datapath.device);
	free(datapath.global);
}

TestSuite(fib_copy, .init = set_up, .fini = tear_down, .timeout = 120);

struct answer {
	uint32_t ifindex;
	uint32_t gateway;
	uint8_t type;
	int r;
};

static void visit_answer(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_GATEWAY + 1];
	struct answer *a = arg;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	a->type = rt->rtm_type;
	a->ifindex = netlink_u32(attr[RTA_OIF]);
	a->gateway = ntohl(netlink_u32(attr[RTA_GATEWAY]));
}

static struct answer ask_kernel(uint32_t addr)
{
	struct nlmsghdr *h = netlink_request(netlink, RTM_GETROUTE, 0, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct answer a = { .gateway = 0 };

	rt->rtm_family = AF_INET;
	rt->rtm_dst_len = 32;
	mnl_attr_put_u32(h, RTA_DST, htonl(addr));
	a.r = netlink_call(netlink, visit_answer, &a);
	return a;
}

static const struct fib_hop *look_up(uint32_t addr)
{
	/* As the datapath does; the trie's own nodes are tested elsewhere. */
	return route_copy_hop(copy, addr);
}

/* The last octet of a MAC address tells the neighbour that set_up() gave it to. */
static bool is_mac_of(const struct fib_hop *hop, uint32_t addr)
{
	return hop->dmac[5] == (addr & 0xff) && hop->dmac[4] == (addr >> 24 == 10 ? 0 : addr >> 24 == 198 ? 1 : 2);
}

/* Whether set_up() has resolved a neighbour; ifindex: of the interface that the kernel takes. */
static bool is_resolved(uint32_t addr, uint32_t ifindex)
{
	uint32_t last = addr & 0xff;

	if (addr >> 24 == 10)
		return last < 8 && (addr & 0xffff00) == (last & 1) << 16 && ifindex == inside;
	return last >= 2 && last <= 5;
}

/* How much the copy must say: in a table of simple routes, all that there is to say. */
enum demand { NOTHING_WRONG, NOTHING_MISSING };

/* Whether what the copy says is right; text says what is not. */
static bool agrees(uint32_t addr, enum demand demand, char *text, size_t size)
{
	const struct answer a = ask_kernel(addr);
	const struct fib_hop *hop = look_up(addr);
	uint32_t to = a.gateway ? a.gateway : addr;
	bool right = true;

	if (hop->flags & FIB_LOCAL)
		right = !a.r && a.type == RTN_LOCAL;
	else if (hop->flags & FIB_DISCARD)
		right = a.r == -EINVAL || a.r == -EHOSTUNREACH || a.r == -EACCES;
	else if (hop->flags & FIB_ROUTED)
		right = !a.r && a.type == RTN_UNICAST && a.ifindex == hop->ifindex;
	else if (demand == NOTHING_MISSING)
		right = a.r == -ENETUNREACH || (!a.r && a.type == RTN_BROADCAST);
	if (right && hop->flags & FIB_RESOLVED)
		right = is_mac_of(hop, to);
	else if (right && hop->flags & FIB_ROUTED && demand == NOTHING_MISSING)
		right = !is_resolved(to, a.ifindex);
	if (!right)
		snprintf(text, size,
			 "%08x: kernel %d, type %u, interface %u, via %08x; copy: flags %02x, interface %u, %02x:%02x",
			 addr, a.r, a.type, a.ifindex, a.gateway, hop->flags, hop->ifindex, hop->dmac[4], hop->dmac[5]);
	return right;
}

static uint32_t random_address(void)
{
	static const uint32_t bases[] = { 0x0a000000, 0x0a010000, 0x0a008000, 0x0a018000 };

	if (!random_below(16))
		return random_below(2) ? 0xc6336400 + random_below(10) : 0xcb007100 + random_below(10);
	return bases[random_below(4)] + random_below(10) + (random_below(3) ? 0 : random_below(4) << 8);
}

static void turn(void)
{
	const struct timeval pause = { .tv_usec = 1000 };

	event_base_loopexit(base, &pause);
	event_base_loop(base, 0);
}

static bool is_done(void)
{
	struct route_copy_summary s;

	route_copy_summary(copy, &s);
	return s.in_force;
}

static void wait_until_in_force(void)
{
	uint64_t until = monotonic_us() + PATIENCE_S * 1000000ULL;

	while (!is_done()) {
		cr_assert_lt(monotonic_us(), until, "the copy does not come into force");
		turn();
	}
}

/* Waits until the copy agrees with the kernel about many addresses. */
static void wait_until_right(const char *what, enum demand demand)
{
	uint64_t until = monotonic_us() + PATIENCE_S * 1000000ULL;
	char text[256] = "";
	bool right = false;

	while (!right) {
		unsigned start = seed;

		cr_assert_lt(monotonic_us(), until, "%s: %s", what, text);
		turn();
		right = is_done();
		for (int i = 0; right && i < 300; i++)
			right = agrees(random_address(), demand, text, sizeof(text));
		if (!right)
			seed = start;
	}
}

static const char *random_prefix(char text[static 32])
{
	static const uint8_t lengths[] = { 8, 16, 17, 24, 25, 30, 31, 32, 32, 13 };
	unsigned plen = lengths[random_below(ARRAY_SIZE(lengths))];
	uint32_t addr = (0x0a000000 | (random_address() & 0xffffff)) & fib_mask(plen);

	snprintf(text, 32, "%u.%u.%u.%u/%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255, plen);
	return text;
}

static const char *random_way(enum demand demand, char text[static 128])
{
	unsigned last = 2 + random_below(6); /* not all are resolved */

	switch (random_below(demand == NOTHING_MISSING ? 5 : 9)) {
	case 0:
		return "dev in0";
	case 1:
		return "dev out0";
	case 2:
	case 3:
		snprintf(text, 128, "via 203.0.113.%u dev out0", last);
		return text;
	case 4:
		snprintf(text, 128, "via 198.51.100.%u dev in0", last);
		return text;
	case 5:
		snprintf(text, 128, "via 203.0.113.%u mtu %s%u", last, random_below(4) ? "" : "lock ",
			 1000 + random_below(2));
		return text;
	case 6:
		snprintf(text, 128, "nexthop via 203.0.113.2 nexthop via 198.51.100.%u", last);
		return text;
	default:
		snprintf(text, 128, "nhid %u", 1 + random_below(4));
		return text;
	}
}

static void random_object(FILE *f)
{
	unsigned id = 1 + random_below(3);

	if (random_below(4))
		fprintf(f, "nexthop replace id %u via 203.0.113.%u dev out0\n", id, 2 + random_below(4));
	else if (random_below(2))
		fprintf(f, "nexthop del id %u\n", id);
	else
		fprintf(f, "nexthop replace id 4 blackhole\n");
}

/* Simple routes have metrics of their own, as the kernel's order of others of one metric is not followed. */
static void random_change(FILE *f, enum demand demand)
{
	static const char *const verbs[] = { "add", "replace", "change", "del", "del", "add", "append", "prepend" };
	static const char *const types[] = { "blackhole", "unreachable", "prohibit", "throw" };
	bool simple = demand == NOTHING_MISSING;
	const char *verb = verbs[random_below(simple ? 5 : 8)];
	char prefix[32], way[128];
	unsigned metric = random_below(3);

	if (!random_below(40) && !simple)
		random_object(f);
	if (!random_below(40))
		fprintf(f, "addr %s 10.0.%u.%u/32 dev lo\n", random_below(2) ? "add" : "del", random_below(2),
			random_below(10));
	if (!random_below(10))
		fprintf(f, "route %s %s %s metric %u\n", verb, types[random_below(simple ? 3 : 4)],
			random_prefix(prefix), metric);
	else if (!random_below(20))
		fprintf(f, "route %s default %s metric %u\n", verb, random_way(demand, way), metric);
	else
		fprintf(f, "route %s %s %s metric %u\n", verb, random_prefix(prefix), random_way(demand, way), metric);
}

/* What is refused (a route that is there already, or is not) is refused. */
static void change_at_random(unsigned n, enum demand demand)
{
	FILE *f = popen("ip -force -batch - >/dev/null 2>&1", "w");

	while (n--)
		random_change(f, demand);
	pclose(f);
}

static void follow_random_changes(enum demand demand)
{
	wait_until_in_force();
	for (int i = 0; i < ROUNDS; i++) {
		char what[32];

		snprintf(what, sizeof(what), "round %d", i);
		change_at_random(1 + random_below(60), demand);
		wait_until_right(what, demand);
	}
}

Test(fib_copy, follows_random_changes_of_simple_routes)
{
	follow_random_changes(NOTHING_MISSING);
}

Test(fib_copy, follows_random_changes_of_all_kinds)
{
	run("ip nexthop add id 1 via 203.0.113.2 dev out0 && ip nexthop add id 2 via 198.51.100.3 dev in0");
	follow_random_changes(NOTHING_WRONG);
}

Test(fib_copy, reads_what_was_there_before)
{
	struct route_copy_summary s;

	wait_until_in_force();
	route_copy_free(copy);
	copy = NULL;
	change_at_random(400, NOTHING_MISSING);
	memset(datapath.fib, 0, sizeof(*datapath.fib));
	cr_assert_eq(route_copy_new(base, &datapath, &copy), 0);
	route_copy_hold(copy, ROUTE_COPY_SYNC, false);
	wait_until_right("start", NOTHING_MISSING);
	route_copy_lost(copy);
	route_copy_summary(copy, &s);
	cr_expect_not(s.in_force);
	cr_expect_eq(datapath.global->fib_until, 0);
	change_at_random(200, NOTHING_MISSING);
	wait_until_right("lost notifications", NOTHING_MISSING);
}

static void wait_for(bool (*met)(void), const char *what)
{
	uint64_t until = monotonic_us() + PATIENCE_S * 1000000ULL;

	while (!met()) {
		cr_assert_lt(monotonic_us(), until, "%s", what);
		turn();
	}
}

#define ADDRESS 0x0a050505U

static bool is_out(void)
{
	return look_up(ADDRESS)->flags & FIB_FAST_OUT;
}

static bool is_in(void)
{
	return look_up(ADDRESS)->flags & FIB_FAST_IN;
}

static bool is_the_kernels(void)
{
	return !look_up(ADDRESS)->flags;
}

static size_t n_routes(void)
{
	struct route_copy_summary s;

	route_copy_summary(copy, &s);
	return s.routes;
}

static bool is_small(void)
{
	return n_routes() < 1000;
}

static void add_many(const char *way)
{
	FILE *f = popen("ip -batch -", "w");

	for (unsigned i = 0; i < 20000; i++)
		fprintf(f, "route add 20.%u.%u.0/24 %s\n", i >> 8, i & 255, way);
	cr_assert_eq(pclose(f), 0);
}

/* The kernel does not tell of routes that go with an interface. */
Test(fib_copy, routes_vanish_with_their_interface)
{
	wait_until_in_force();
	add_many("via 203.0.113.2");
	run("ip route add 10.5.0.0/16 via 198.51.100.2 && ip route add 10.5.5.0/24 via 203.0.113.2 && "
	    "ip route add default via 203.0.113.3");
	wait_for(is_out, "the route is used");
	run("ip link set out0 down");
	wait_for(is_in, "the shorter prefix is used");
	wait_for(is_small, "the other routes are forgotten");
	wait_until_right("interface down", NOTHING_WRONG);
	run("ip link set out0 up && ip neigh replace 203.0.113.4 lladdr 02:00:00:00:02:04 dev out0 nud permanent && "
	    "ip route add 10.5.5.0/24 via 203.0.113.4");
	wait_for(is_out, "the new route is used");
	wait_until_right("interface up again", NOTHING_WRONG);
	run("ip link del out0");
	wait_for(is_in, "the shorter prefix is used");
	wait_until_right("interface deleted", NOTHING_WRONG);
}

Test(fib_copy, nexthop_objects_vanish_with_the_carrier)
{
	wait_until_in_force();
	run("ip route add 10.5.0.0/16 via 198.51.100.2 && ip nexthop add id 9 via 203.0.113.2 dev out0 && "
	    "ip route add 10.5.5.0/24 nhid 9");
	wait_for(is_out, "the nexthop object is used");
	run("ip nexthop replace id 9 via 198.51.100.3 dev in0");
	wait_for(is_in, "the changed object is used");
	run("ip nexthop replace id 9 via 203.0.113.2 dev out0");
	wait_for(is_out, "the object is used again");
	run("ip link set out1 down");
	wait_for(is_in, "the shorter prefix is used");
	wait_until_right("no carrier", NOTHING_WRONG);
	run("ip link set out1 up");
	wait_until_right("carrier again", NOTHING_WRONG);
	run("ip nexthop add id 9 via 203.0.113.2 dev out0 && ip route add 10.5.5.0/24 nhid 9");
	wait_for(is_out, "the new object is used");
	run("ip nexthop del id 9");
	wait_for(is_in, "the shorter prefix is used");
}

/* Nor of those that go with the address that is their preferred source. */
Test(fib_copy, routes_vanish_with_their_preferred_source)
{
	wait_until_in_force();
	run("ip addr add 192.0.2.7/32 dev lo && ip route add 10.5.0.0/16 via 198.51.100.2 && "
	    "ip route add 10.5.5.0/24 via 203.0.113.2 src 192.0.2.7");
	wait_for(is_out, "the route is used");
	run("ip addr del 192.0.2.7/32 dev lo");
	wait_for(is_in, "the shorter prefix is used");
	wait_until_right("address deleted", NOTHING_WRONG);
}

Test(fib_copy, neighbours_and_records_decide_about_flags)
{
	wait_until_in_force();
	run("ip route add 10.5.0.0/16 via 203.0.113.9");
	wait_until_right("unresolved", NOTHING_WRONG);
	cr_expect_eq(look_up(ADDRESS)->flags, FIB_ROUTED);
	run("ip neigh add 203.0.113.9 lladdr 02:00:00:00:02:09 dev out0 nud stale");
	wait_for(is_out, "the neighbour is resolved");
	run("ip neigh replace 203.0.113.9 lladdr 02:00:00:00:02:19 dev out0 nud reachable");
	cr_expect_eq(look_up(ADDRESS)->dmac[5], 9);
	turn();
	wait_for(is_out, "the new address is used");
	cr_expect_eq(look_up(ADDRESS)->dmac[5], 0x19);
	record("out0", DEVICE_OUTSIDE | DEVICE_INSIDE);
	wait_for(is_in, "the interface is an inside one, too");
	run("ip neigh change 203.0.113.9 dev out0 nud failed");
	while (look_up(ADDRESS)->flags != FIB_ROUTED)
		turn();
	run("ip link set out1 down");
	wait_for(is_the_kernels, "the interface has no carrier");
}

/* Of every table, and of routes that are left to the kernel. */
Test(fib_copy, gateways_are_known)
{
	static const struct prefix pools[] = { { 0xcb007103, 32 }, { 0xcb007104, 31 }, { 0xcb007106, 31 } };

	run("ip route add 10.5.0.0/16 nexthop via 203.0.113.2 nexthop via 203.0.113.3");
	cr_expect(route_copy_may_lead_to(copy, pools[0]) && route_copy_may_lead_to(copy, pools[2]), "not read yet");
	wait_until_in_force();
	cr_expect(route_copy_may_lead_to(copy, pools[0]));
	cr_expect_not(route_copy_may_lead_to(copy, pools[1]));
	run("ip route add 10.6.0.0/16 via 203.0.113.5 table 7 && ip route add 10.7.0.0/16 via 203.0.113.4 && "
	    "ip route del 10.7.0.0/16");
	while (!route_copy_may_lead_to(copy, pools[1]))
		turn();
	cr_expect_not(route_copy_may_lead_to(copy, pools[2]));
	/* Those of routes that are gone are forgotten with the next reading. */
	route_copy_lost(copy);
	wait_until_in_force();
	cr_expect(route_copy_may_lead_to(copy, (struct prefix){ 0xcb007105, 32 }));
	cr_expect_not(route_copy_may_lead_to(copy, (struct prefix){ 0xcb007104, 32 }));
}

Test(fib_copy, special_ranges_are_the_kernels)
{
	const struct prefix special[] = { { 0x0a050000, 16 } };
	struct route_copy_summary s;

	wait_until_in_force();
	run("ip route add 10.0.0.0/8 via 203.0.113.2");
	wait_for(is_out, "the route is used");
	cr_expect(look_up(0xa9fe0001)->flags == 0 && look_up(0xe0000001)->flags == 0 &&
		  look_up(0x7f000005)->flags == 0);
	cr_assert_eq(route_copy_set_special(copy, special, 1), 0);
	route_copy_summary(copy, &s);
	cr_expect_not(s.in_force);
	wait_until_in_force();
	cr_expect(is_the_kernels());
	cr_expect(look_up(0x0a060000)->flags & FIB_FAST_OUT);
	cr_assert_eq(route_copy_set_special(copy, NULL, 0), 0);
	wait_until_in_force();
	cr_expect(is_out());
	/* A range of the gateway's own addresses. */
	run("ip route add local 10.5.0.0/16 dev lo");
	wait_for(is_the_kernels, "the range is the gateway's own");
	wait_until_in_force();
	run("ip route del local 10.5.0.0/16 dev lo");
	wait_for(is_out, "the range is the gateway's own no longer");
}
