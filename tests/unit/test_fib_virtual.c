/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes of IPv6 in the copy of the kernel's routes: what it says of a subscriber's virtual address against what the
 * kernel says of addresses in the subscriber's prefix.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "fib_lab.h"

#define ROUNDS 40

static const struct virtual_range ranges[] = {
	{ .first = 0x20010db840000000, .virt = 0xe1000010, .plen = 52, .subscriber_plen = 56 },
	{ .first = 0x20010db850000000, .virt = 0xe2000000, .plen = 60, .subscriber_plen = 64 },
};
#define SUBSCRIBERS 16U

static uint32_t inside, outside;

static void set_up(void)
{
	lab_set_up();
	inside = if_nametoindex("in0");
	outside = if_nametoindex("out0");
	for (unsigned i = 2; i < 6; i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "ip -6 neigh replace fe80::%u lladdr 02:00:00:06:01:0%u dev in0 nud permanent; "
			 "ip -6 neigh replace fe80::%u lladdr 02:00:00:06:02:0%u dev out0 nud permanent",
			 i, i, i, i);
		lab_run(text);
	}
	/* The route that the kernel makes of its own accord leads nowhere here. */
	lab_run("ip -6 route add default via fe80::5 dev out0");
	lab_hear_ipv6();
	cr_assert_eq(route_copy_set_virtual(lab_copy, ranges, ARRAY_SIZE(ranges)), 0);
	lab_wait_until_in_force();
}

TestSuite(fib_virtual, .init = set_up, .fini = lab_tear_down, .timeout = 300);

static const struct fib_hop *hop_of(const struct virtual_range *r, uint32_t subscriber)
{
	return lab_look_up(r->virt + subscriber);
}

/* The MAC address of the gateway, which set_up() gave it. */
static bool leads_to(const struct fib_hop *hop, uint32_t ifindex, uint8_t gateway)
{
	const uint8_t mac[6] = { 2, 0, 0, 6, ifindex == inside ? 1 : 2, gateway };

	return hop->flags & FIB_RESOLVED && hop->ifindex == ifindex && !memcmp(hop->dmac, mac, sizeof(mac));
}

/* Whether the copy is right about an address of a subscriber, and says all that it can. */
static bool agrees(const struct virtual_range *r, uint32_t subscriber, uint64_t rest, char *text, size_t size)
{
	struct address6 addr = {
		.hi = r->first + ((uint64_t)subscriber << (64 - r->subscriber_plen)) +
		      (rest & ~mask64(r->subscriber_plen)),
		.lo = rest * 0x9e3779b97f4a7c15,
	};
	const struct address6 octets = { be64_number(addr.hi), be64_number(addr.lo) };
	const struct lab_answer a = lab_ask_kernel(AF_INET6, &octets);
	const struct fib_hop *hop = hop_of(r, subscriber);
	bool right = true;

	if (hop->flags & FIB_DISCARD)
		right = a.r == -EINVAL || a.r == -EHOSTUNREACH || a.r == -EACCES;
	else if (hop->flags & FIB_RESOLVED)
		right = !a.r && a.type == RTN_UNICAST && leads_to(hop, a.ifindex, a.gateway[15]);
	else if (hop->flags & FIB_ROUTED)
		right = !a.r && a.type == RTN_UNICAST && a.ifindex == hop->ifindex;
	if (!right)
		snprintf(text, size,
			 "%016llx, subscriber %u: kernel %d, type %u, interface %u, fe80::%x; copy: flags %02x, "
			 "interface %u, %02x:%02x",
			 (unsigned long long)addr.hi, subscriber, a.r, a.type, a.ifindex, a.gateway[15], hop->flags,
			 hop->ifindex, hop->dmac[4], hop->dmac[5]);
	return right;
}

static bool all_agree(char *text, size_t size)
{
	for (size_t k = 0; k < ARRAY_SIZE(ranges); k++)
		for (uint32_t i = 0; i < SUBSCRIBERS; i++)
			for (unsigned n = 0; n < 3; n++)
				if (!agrees(&ranges[k], i, lab_random(1U << 31), text, size))
					return false;
	return true;
}

static void wait_until_right(const char *what)
{
	uint64_t until = monotonic_us() + 5000000;
	char text[256] = "not in force";

	do {
		cr_assert_lt(monotonic_us(), until, "%s: %s", what, text);
		lab_turn();
	} while (!lab_in_force() || !all_agree(text, sizeof(text)));
}

static void route(const char *command)
{
	char text[256];

	snprintf(text, sizeof(text), "ip -6 route %s", command);
	lab_run(text);
	lab_pass();
}

Test(fib_virtual, the_longest_prefix_that_covers_the_range_decides)
{
	cr_expect(leads_to(hop_of(&ranges[0], 0), outside, 5), "the default route of IPv6");
	route("add 2001:db8::/32 via fe80::2 dev in0");
	cr_expect(leads_to(hop_of(&ranges[0], 7), inside, 2));
	/* Also where its metric is a higher one. */
	route("add 2001:db8:4000::/40 via fe80::3 dev in0 metric 4096");
	cr_expect(leads_to(hop_of(&ranges[0], 7), inside, 3));
	cr_expect(leads_to(hop_of(&ranges[1], 7), inside, 2), "not the other range");
	/* Be it the highest that there is. */
	route("add 2001:db8:4000::/44 via fe80::4 dev in0 metric 4294967295");
	cr_expect(leads_to(hop_of(&ranges[0], 7), inside, 4));
	route("del 2001:db8:4000::/44 via fe80::4 dev in0");
	route("add 2001:db8:4000::/52 via fe80::4 dev in0");
	cr_expect(leads_to(hop_of(&ranges[0], 7), inside, 4));
	route("del 2001:db8:4000::/52 via fe80::4 dev in0");
	cr_expect(leads_to(hop_of(&ranges[0], 7), inside, 3));
}

Test(fib_virtual, of_routes_of_one_prefix_that_of_the_lowest_metric_decides)
{
	route("add 2001:db8:4000::/52 via fe80::4 dev in0 metric 300");
	route("add 2001:db8:4000::/52 via fe80::3 dev in0 metric 200");
	cr_expect(leads_to(hop_of(&ranges[0], 7), inside, 3));
}

Test(fib_virtual, a_part_of_the_range_and_a_subscriber_have_routes_of_their_own)
{
	route("add 2001:db8:4000::/52 via fe80::2 dev in0");
	route("add 2001:db8:4000:800::/53 via fe80::3 dev in0");
	route("add 2001:db8:4000:900::/56 via fe80::4 dev in0");
	cr_expect(leads_to(hop_of(&ranges[0], 7), inside, 2));
	cr_expect(leads_to(hop_of(&ranges[0], 8), inside, 3));
	cr_expect(leads_to(hop_of(&ranges[0], 9), inside, 4));
	cr_expect(leads_to(hop_of(&ranges[0], 10), inside, 3));
	route("add unreachable 2001:db8:4000:a00::/56");
	cr_expect(hop_of(&ranges[0], 10)->flags & FIB_DISCARD);
}

Test(fib_virtual, within_a_subscriber_the_kernel_decides)
{
	/* Whatever the metrics are. */
	route("add 2001:db8:4000:900::/56 via fe80::4 dev in0 metric 5");
	route("add 2001:db8:4000:9ff::/64 via fe80::3 dev in0");
	cr_expect_eq(hop_of(&ranges[0], 9)->flags, 0);
	route("add 2001:db8:4000:900::5/128 via fe80::3 dev in0");
	route("del 2001:db8:4000:9ff::/64 via fe80::3 dev in0");
	cr_expect_eq(hop_of(&ranges[0], 9)->flags, 0, "another is left");
	route("del 2001:db8:4000:900::5/128 via fe80::3 dev in0");
	cr_expect(leads_to(hop_of(&ranges[0], 9), inside, 4));
}

Test(fib_virtual, an_address_of_the_gateway_s_own_leaves_its_subscriber_to_the_kernel)
{
	route("add 2001:db8:4000::/52 via fe80::4 dev in0");
	lab_run("ip -6 addr add 2001:db8:4000:300::1/128 dev lo nodad");
	lab_pass();
	cr_expect_eq(hop_of(&ranges[0], 3)->flags, 0);
	cr_expect(leads_to(hop_of(&ranges[0], 4), inside, 4));
}

static void expect_ipv4(uint32_t base, unsigned plen, void *arg)
{
	cr_expect_lt(base, VIRTUAL_BASE, "%08x/%u is none of the gateway's own addresses", base, plen);
	++*(unsigned *)arg;
}

Test(fib_virtual, a_local_prefix_is_none_of_virtual_addresses)
{
	unsigned n = 0;

	route("add local 2001:db8:4000::/53 dev lo");
	cr_expect_eq(hop_of(&ranges[0], 3)->flags, 0);
	cr_expect(leads_to(hop_of(&ranges[0], 8), outside, 5));
	cr_expect(route_copy_own(lab_copy, expect_ipv4, &n));
	cr_expect_gt(n, 0);
}

Test(fib_virtual, without_any_route_the_kernel_decides)
{
	lab_run("ip route add default via 203.0.113.2");
	route("del default via fe80::5 dev out0");
	cr_expect_eq(hop_of(&ranges[0], 0)->flags, 0, "the default route is of IPv4");
	cr_expect_eq(lab_look_up(0xe1000020)->flags, 0, "multicast behind the range");
	cr_expect_eq(lab_look_up(0xe100000f)->flags, 0, "and before it");
	cr_expect(lab_look_up(0x08080808)->flags & FIB_RESOLVED, "of IPv4 it is");
}

Test(fib_virtual, without_ranges_there_are_no_routes_of_ipv6)
{
	struct route_copy_summary before, after;

	route("add 2001:db8:4000::/52 via fe80::4 dev in0");
	route_copy_summary(lab_copy, &before);
	cr_assert_eq(route_copy_set_virtual(lab_copy, NULL, 0), 0);
	lab_wait_until_in_force();
	cr_expect_eq(hop_of(&ranges[0], 0)->flags, 0);
	route_copy_summary(lab_copy, &after);
	cr_expect_eq(before.routes - after.routes, 2 /* default, in both ranges */ + 1 + 2 /* none */);
}

static uint32_t mtu_wanted;

static bool has_mtu(void)
{
	const struct fib_hop *hop = hop_of(&ranges[0], 0);

	return hop->flags & FIB_RESOLVED && hop->mtu == mtu_wanted;
}

/* A next hop whose record changes has no flags until no program can be reading it. */
static void wait_for_mtu(uint32_t mtu)
{
	mtu_wanted = mtu;
	char what[64];
	snprintf(what, sizeof(what), "the MTU does not become %u", mtu);
	lab_wait_for(has_mtu, what);
}

Test(fib_virtual, packets_grow_on_their_way)
{
	route("add 2001:db8:4000::/52 via fe80::4 dev in0");
	cr_expect_eq(hop_of(&ranges[0], 0)->mtu, 1480);
	route("replace 2001:db8:4000::/52 via fe80::4 dev in0 mtu 1400");
	cr_expect_eq(hop_of(&ranges[0], 0)->mtu, 1380);
	route("replace 2001:db8:4000::/52 via fe80::4 dev in0");
	cr_expect_eq(hop_of(&ranges[0], 0)->mtu, 1480);
	lab_run("ip link set in0 mtu 1300");
	lab_record("in0", DEVICE_INSIDE);
	lab_pass();
	wait_for_mtu(1280);
	/* Of IPv6 alone. */
	lab_run("ip link set in0 mtu 1500 && echo 1290 > /proc/sys/net/ipv6/conf/in0/mtu");
	lab_record("in0", DEVICE_INSIDE);
	wait_for_mtu(1480);
	route_copy_lost(lab_copy);
	wait_for_mtu(1270);
}

Test(fib_virtual, packets_grow_by_way_of_a_nexthop_object)
{
	lab_run("ip nexthop add id 9 via fe80::4 dev in0");
	route("add 2001:db8:4000::/52 nhid 9");
	cr_expect(leads_to(hop_of(&ranges[0], 0), inside, 4));
	cr_expect_eq(hop_of(&ranges[0], 0)->mtu, 1480);
	lab_run("ip nexthop replace id 9 via fe80::3 dev in0");
	lab_pass();
	wait_for_mtu(1480);
	cr_expect(leads_to(hop_of(&ranges[0], 0), inside, 3));
}

static void random_prefix(char text[static 64])
{
	static const uint8_t lengths[] = { 0, 32, 48, 52, 53, 54, 55, 56, 56, 56, 57, 64, 60, 61, 62, 63, 128 };
	const struct virtual_range *r = &ranges[lab_random(ARRAY_SIZE(ranges))];
	unsigned plen = lengths[lab_random(ARRAY_SIZE(lengths))];
	uint64_t hi = r->first + ((uint64_t)lab_random(SUBSCRIBERS) << (64 - r->subscriber_plen));
	char addr[INET6_ADDRSTRLEN];
	struct address6 octets = { be64_number(hi & mask64(plen < 64 ? plen : 64)), 0 };

	inet_ntop(AF_INET6, &octets, addr, sizeof(addr));
	snprintf(text, 64, "%s/%u", addr, plen);
}

static void change_at_random(unsigned n)
{
	static const char *const verbs[] = { "add", "replace", "change", "del", "del", "add" };
	FILE *f = popen("ip -6 -force -batch - >/dev/null 2>&1", "w");
	char prefix[64];

	while (n--) {
		const char *verb = verbs[lab_random(ARRAY_SIZE(verbs))];

		random_prefix(prefix);
		if (!lab_random(8))
			fprintf(f, "route %s unreachable %s metric %u\n", verb, prefix, 100 + lab_random(3));
		else
			fprintf(f, "route %s %s via fe80::%u dev %s metric %u\n", verb, prefix, 2 + lab_random(4),
				lab_random(2) ? "in0" : "out0", 100 + lab_random(3));
	}
	pclose(f);
}

Test(fib_virtual, follows_random_changes)
{
	for (int i = 0; i < ROUNDS; i++) {
		char what[32];

		snprintf(what, sizeof(what), "round %d", i);
		change_at_random(1 + lab_random(40));
		lab_pass();
		wait_until_right(what);
		if (!lab_random(8))
			route_copy_lost(lab_copy);
	}
}
