/* SPDX-License-Identifier: BSD-2-Clause */
#include "stacking_fixture.h"

#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct link links[N_LINKS] = {
	{ .ifindex = ETH0, .name = "eth0", .kind = "veth", .lower = 77 },
	{ .ifindex = ETH1, .name = "eth1", .kind = "veth", .lower = 78 },
	{ .ifindex = BOND, .name = "bond0", .kind = "bond" },
	{ .ifindex = BRIDGE, .name = "br0", .kind = "bridge" },
	{ .ifindex = VLAN,
	  .name = "eth0.100",
	  .kind = "vlan",
	  .lower = ETH0,
	  .vlan_tpid = ETH_P_8021Q,
	  .vlan_id = 100 },
	{ .ifindex = SERVICE,
	  .name = "eth0.7",
	  .kind = "vlan",
	  .lower = ETH0,
	  .vlan_tpid = ETH_P_8021AD,
	  .vlan_id = 7 },
	{ .ifindex = INNER,
	  .name = "eth0.7.8",
	  .kind = "vlan",
	  .lower = SERVICE,
	  .vlan_tpid = ETH_P_8021Q,
	  .vlan_id = 8 },
	{ .ifindex = DEEPER,
	  .name = "eth0.7.8.9",
	  .kind = "vlan",
	  .lower = INNER,
	  .vlan_tpid = ETH_P_8021Q,
	  .vlan_id = 9 },
	{ .ifindex = ELSEWHERE, .name = "far.5", .kind = "vlan", .lower = 0, .vlan_tpid = ETH_P_8021Q, .vlan_id = 5 },
	{ .ifindex = MACVLAN, .name = "mv0", .kind = "macvlan", .lower = ETH0 },
	{ .ifindex = ON_BOND,
	  .name = "bond0.3",
	  .kind = "vlan",
	  .lower = BOND,
	  .vlan_tpid = ETH_P_8021Q,
	  .vlan_id = 3 },
	{ .ifindex = ON_BRIDGE,
	  .name = "br0.4",
	  .kind = "vlan",
	  .lower = BRIDGE,
	  .vlan_tpid = ETH_P_8021Q,
	  .vlan_id = 4 },
	{ .ifindex = PLAIN, .name = "plain", .kind = "" },
};

/* A copy that a test may change; eth1 is a port of the bond and eth0 one of the bridge where it says so. */
struct link some[N_LINKS];
struct link_list all = { some, ARRAY_SIZE(some) };

struct link *of(uint32_t ifindex)
{
	return (struct link *)link_find(&all, ifindex);
}

void offload(const char *name, const char *which, bool on)
{
	char command[128];

	snprintf(command, sizeof(command), "ethtool -K %s %s %s", name, which, on ? "on" : "off");
	cr_assert_eq(system(command), 0, "%s", command);
}

void restore_links(void)
{
	memcpy(some, links, sizeof(some));
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		some[i].type = ARPHRD_ETHER;
}

void stacking_set_up(void)
{
	restore_links();
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(system("ip link add eth0 type veth peer name far0 && ip link add eth1 type veth peer name far1"),
		     0);
	for (int i = 0; i < 2; i++) {
		offload(i ? "eth1" : "eth0", "gro", false);
		offload(i ? "eth1" : "eth0", "rx-vlan-hw-parse", false);
		offload(i ? "eth1" : "eth0", "rx-vlan-stag-hw-parse", false);
	}
}
