/* SPDX-License-Identifier: BSD-2-Clause */
/* What the doctor says of mappings of IPv6 subscribers: made-up settings, and routes of a namespace of the test's own.
 */
#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>

#include "base/virtual6.h"
#include "doctor_fixture.h"
#include "host/netlink.h"

static struct config_interface interfaces[] = { { .name = "in0", .roles = DEVICE_INSIDE },
						{ .name = "out0", .roles = DEVICE_OUTSIDE } };
static struct config_mapping mapping;
static struct config config = {
	.interfaces = interfaces, .n_interfaces = ARRAY_SIZE(interfaces), .mappings = &mapping, .n_mappings = 1
};
static struct netlink *netlink;

static void put_settings(const char *forwarding, const char *accept_ra)
{
	doctor_put("/proc/sys/net/ipv6/conf/all/forwarding", forwarding);
	for (size_t i = 0; i < ARRAY_SIZE(interfaces); i++) {
		char path[256];

		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", interfaces[i].name);
		doctor_put(path, accept_ra);
		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/forwarding", interfaces[i].name);
		doctor_put(path, forwarding);
	}
}

static void set_up(void)
{
	const struct prefixes6 subscribers = prefixes6_of(0x20010db840000000ULL, 48, 56);

	if (geteuid() != 0)
		cr_skip_test("needs root");
	doctor_tree_begin();
	put_settings("1", "0");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(netlink_new(&netlink), 0);
	cr_assert_eq(system("ip link add in0 mtu 1600 type veth peer name peer0 && ip link add out0 type veth peer "
			    "name peer1"
			    " && ip link set in0 up && ip link set peer0 up && ip link set out0 up && ip link set "
			    "peer1 up &&"
			    " ip route add 2001:db8:4000::/48 via fe80::c dev in0"),
		     0);
	mapping.six.subscriber_plen = 56;
	mapping.six.nat64_plen = 96;
	cr_assert_eq(virtual6_place(&subscribers, &mapping.in), 0);
}

static void tear_down(void)
{
	if (!netlink)
		return;
	netlink_free(netlink);
	doctor_tree_end();
}

TestSuite(doctor_six, .init = set_up, .fini = tear_down);

/* Runs the check: the worst level of what it says. */
static enum doctor_level examine(void)
{
	struct link *links;
	size_t n;

	cr_assert_eq(links_read(netlink, &links, &n), 0);

	struct doctor d = { .config = &config,
			    .root = doctor_root,
			    .netlink = netlink,
			    .links = { links, n },
			    .report = doctor_collect };

	doctor_said[0] = '\0';
	doctor_nat64(&d);
	free(links);
	return doctor_worst(&d);
}

Test(doctor_six, nothing_is_wrong)
{
	cr_expect_eq(examine(), DOCTOR_OK);
	cr_expect(strstr(doctor_said, "routed to the inside"), "%s", doctor_said);
	/* Without such mappings nothing is said. */
	config.n_mappings = 0;
	examine();
	cr_expect_str_empty(doctor_said);
}

Test(doctor_six, settings_of_the_kernel)
{
	put_settings("0", "1");
	cr_expect_eq(examine(), DOCTOR_WARNING);
	cr_expect(strstr(doctor_said, "net.ipv6.conf.all.forwarding=1"), "%s", doctor_said);
	cr_expect(!strstr(doctor_said, "accept_ra"), "without forwarding, advertisements are heard: %s", doctor_said);
	put_settings("1", "1");
	cr_expect_eq(examine(), DOCTOR_WARNING);
	cr_expect(strstr(doctor_said, "in0: accept_ra is 1") && strstr(doctor_said, "out0: accept_ra is 1"), "%s",
		  doctor_said);
	put_settings("1", "2");
	cr_expect_eq(examine(), DOCTOR_OK);
}

Test(doctor_six, length_of_packets_inside)
{
	cr_assert_eq(system("ip link set in0 mtu 1519"), 0);
	cr_expect_eq(examine(), DOCTOR_WARNING);
	cr_expect(strstr(doctor_said, "in0: its MTU is 1519"), "%s", doctor_said);
	config.tcp_mss_clamp = 1400;
	cr_expect_eq(examine(), DOCTOR_OK, "%s", doctor_said);
	config.tcp_mss_clamp = 0;
	cr_assert_eq(system("ip link set in0 mtu 1520 && ip link set out0 mtu 1400"), 0);
	cr_expect_eq(examine(), DOCTOR_OK, "%s", doctor_said);
}

Test(doctor_six, routes_to_the_prefixes)
{
	cr_assert_eq(system("ip route del 2001:db8:4000::/48"), 0);
	cr_expect_eq(examine(), DOCTOR_WARNING);
	cr_expect(strstr(doctor_said, "no route to the inside prefix 2001:db8:4000::/48"), "%s", doctor_said);
	cr_assert_eq(system("ip route add 2001:db8:4000::/48 via fe80::d dev out0"), 0);
	cr_expect_eq(examine(), DOCTOR_WARNING);
	cr_expect(strstr(doctor_said, "routed through out0, which is not an inside interface"), "%s", doctor_said);
	/* A route that leads nowhere, and an address of the gateway's own. */
	cr_assert_eq(system("ip link set lo up && ip -6 route replace 2001:db8:4000::/48 dev lo"), 0);
	cr_expect_eq(examine(), DOCTOR_WARNING);
	cr_expect(strstr(doctor_said, "no route to the inside prefix 2001:db8:4000::/48"), "%s", doctor_said);
	cr_assert_eq(system("ip addr add 2001:db8:4000::1/128 dev lo nodad"), 0);
	cr_expect_eq(examine(), DOCTOR_OK, "%s", doctor_said);
}

/* The first few are named, the others counted. */
Test(doctor_six, many_without_routes)
{
	struct config_mapping many[6];

	for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
		const struct prefixes6 p = prefixes6_of(0x20010db900000000ULL + ((uint64_t)i << 16), 48, 56);

		many[i] = mapping;
		cr_assert_eq(virtual6_place(&p, &many[i].in), 0);
	}
	config.mappings = many;
	config.n_mappings = ARRAY_SIZE(many);
	cr_expect_eq(examine(), DOCTOR_WARNING);
	cr_expect(strstr(doctor_said, "2001:db9:2::/48") && !strstr(doctor_said, "2001:db9:3::/48"), "%s", doctor_said);
	cr_expect(strstr(doctor_said, "the same applies to 3 more mappings"), "%s", doctor_said);
}
