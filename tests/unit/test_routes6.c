/* SPDX-License-Identifier: BSD-2-Clause */
/* Blackhole routes of NAT64 prefixes, and the way to a host of IPv6, in a network namespace of the test's own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/virtual6.h"
#include "routing/route_lookup.h"
#include "routing/routes6.h"

static struct netlink *netlink;

static void set_up(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(netlink_new(&netlink), 0);
	cr_assert_eq(system("ip link add in0 mtu 1500 type veth peer name peer0 && ip link set lo up && "
			    "ip link set in0 up && ip link set peer0 up && ip addr add 2001:db8::1/64 dev in0 nodad && "
			    "ip route add 2001:db8:4000::/48 via fe80::c dev in0"),
		     0);
}

static void tear_down(void)
{
	if (netlink)
		netlink_free(netlink);
}

TestSuite(routes6, .init = set_up, .fini = tear_down);

static struct prefix6 prefix(const char *text)
{
	struct prefix6 p;
	unsigned plen;

	cr_assert_eq(prefix6_parse(text, &p.addr, &plen), 0, "%s", text);
	p.plen = (uint8_t)plen;
	return p;
}

/* The prefixes of detnat's routes, each followed by a blank, in the order of the kernel. */
static const char *listed(void)
{
	static char text[1024];
	FILE *f = popen("ip -6 route show proto 215 | awk '$1 == \"blackhole\" { printf \"%s \", $2 }'", "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	pclose(f);
	text[n] = '\0';
	return text;
}

static void apply(const struct prefix6 *prefixes, size_t count)
{
	struct error err;

	cr_assert_eq(routes6_apply(netlink, prefixes, count, &err), 0, "%s", err.text);
}

Test(routes6, the_set_becomes_what_is_asked_for)
{
	const struct prefix6 first[] = { prefix("64:ff9b::/96"), prefix("2001:db8:6400::/40") };
	const struct prefix6 second[] = { prefix("64:ff9b::/96"), prefix("2001:db8:65::/64") };

	apply(first, 2);
	cr_expect_str_eq(listed(), "64:ff9b::/96 2001:db8:6400::/40 ");
	apply(first, 2);
	cr_expect_str_eq(listed(), "64:ff9b::/96 2001:db8:6400::/40 ");
	apply(second, 2);
	cr_expect_str_eq(listed(), "64:ff9b::/96 2001:db8:65::/64 ");
	apply(NULL, 0);
	cr_expect_str_eq(listed(), "");
}

/* A prefix of another length is another one. */
Test(routes6, a_prefix_gives_way_to_a_longer_one)
{
	const struct prefix6 first = prefix("2001:db8:64::/48"), second = prefix("2001:db8:64::/64");

	apply(&first, 1);
	apply(&second, 1);
	cr_expect_str_eq(listed(), "2001:db8:64::/64 ");
}

/* What leads elsewhere, though it bears detnat's protocol, is no blackhole. */
Test(routes6, a_route_of_another_type_is_not_taken_for_one)
{
	const struct prefix6 wanted = prefix("64:ff9b::/96");

	cr_assert_eq(system("ip -6 route add 64:ff9b::/96 dev in0 proto 215"), 0);
	apply(&wanted, 1);
	cr_expect_str_eq(listed(), "64:ff9b::/96 ");
}

/* Routes of the administrator's stay, and those of other types that bear detnat's protocol. */
Test(routes6, others_are_left_alone)
{
	const struct prefix6 wanted = prefix("64:ff9b::/96");

	cr_assert_eq(system("ip -6 route add blackhole 2001:db8:1::/48 && "
			    "ip -6 route add 2001:db8:2::/48 dev in0 proto 215"),
		     0);
	apply(&wanted, 1);
	apply(NULL, 0);
	cr_expect_eq(system("ip -6 route show | grep -q 'blackhole 2001:db8:1::/48'"), 0);
	cr_expect_eq(system("ip -6 route show | grep -q '2001:db8:2::/48 dev in0'"), 0);
}

static struct kernel_way way_to(const char *text)
{
	struct address6 addr;
	struct kernel_way way;

	cr_assert_eq(address6_parse(text, &addr), 0);
	cr_assert_eq(kernel_way_read6(&addr, &way), 0);
	return way;
}

Test(routes6, the_way_to_a_host_is_the_kernels)
{
	struct kernel_way way = way_to("2001:db8:4000:300::1");
	char text[INSIDE_TEXT];

	cr_expect(kernel_way_is_ipv6(&way) && kernel_way_is_read(&way));
	cr_expect_eq(way.error, 0);
	cr_expect_str_eq(way.name, "in0");
	cr_expect_str_eq(kernel_way_addr(&way, text), "2001:db8:4000:300::1");
	cr_expect_str_eq(kernel_way_next_hop(&way, text), "fe80::c");
	cr_expect_eq(way.mtu, 1500);
	cr_expect_eq(way.neighbour, NEIGHBOUR_NONE);
	cr_assert_eq(system("ip neigh add fe80::c lladdr 02:00:00:00:01:0c dev in0"), 0);
	way = way_to("2001:db8:4000:300::1");
	cr_expect_eq(way.neighbour, NEIGHBOUR_RESOLVED);
	cr_expect_eq(way.mac[5], 0x0c);
	/* On the link a host is its own next hop. */
	way = way_to("2001:db8::9");
	cr_expect_str_eq(kernel_way_next_hop(&way, text), "2001:db8::9");
	cr_expect(!way.local && way.up);
	cr_expect(way_to("2001:db8::1").local);
	cr_expect_eq(way_to("2001:db8:9::1").error, -ENETUNREACH);
	cr_assert_eq(system("ip -6 route add unreachable 2001:db8:4000:300::/56"), 0);
	cr_expect_eq(way_to("2001:db8:4000:300::1").error, -EHOSTUNREACH);
	/* A route's own MTU counts where it is the smaller one. */
	cr_assert_eq(system("ip route replace 2001:db8:4000:400::/56 via fe80::c dev in0 mtu 1300"), 0);
	cr_expect_eq(way_to("2001:db8:4000:400::1").mtu, 1300);
}
