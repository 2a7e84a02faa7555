/* SPDX-License-Identifier: BSD-2-Clause */
/* Which notifications about neighbours make cached next hops wrong, and what is asked of the kernel. */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <linux/neighbour.h>
#include <sched.h>
#include <string.h>

#include "routing/neighbours.h"

#define OURS   7
#define OTHERS 8

static struct datapath datapath;
static struct netlink *netlink;
static struct event_base *base;
static struct neighbours *neighbours;

static void set_up(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	datapath.device = calloc(MAX_IFINDEX, sizeof(*datapath.device));
	datapath.device[OURS].roles = DEVICE_INSIDE;
	base = event_base_new();
	cr_assert_eq(netlink_new(&netlink), 0);
	cr_assert_eq(neighbours_new(base, &datapath, NULL, netlink, &neighbours), 0);
}

static void tear_down(void)
{
	if (!neighbours)
		return;
	neighbours_free(neighbours);
	netlink_free(netlink);
	event_base_free(base);
	free(datapath.device);
}

/* Whether the notification changes anything. mac 0: without an address. */
static bool tell(uint16_t type, int ifindex, uint32_t addr, uint16_t state, uint8_t mac)
{
	_Alignas(struct nlmsghdr) char buffer[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct ndmsg *nd;
	const uint8_t lladdr[6] = { 2, 0, 0, 0, 0, mac };

	h->nlmsg_type = type;
	nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));
	*nd = (struct ndmsg){ .ndm_family = AF_INET, .ndm_ifindex = ifindex, .ndm_state = state };
	mnl_attr_put_u32(h, NDA_DST, htonl(addr));
	if (mac)
		mnl_attr_put(h, NDA_LLADDR, sizeof(lladdr), lladdr);
	return neighbours_changed(neighbours, h);
}

TestSuite(neighbours, .init = set_up, .fini = tear_down);

Test(neighbours, only_a_change_of_the_mac_address_counts)
{
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_REACHABLE, 5), "new");
	cr_expect_not(tell(RTM_NEWNEIGH, OURS, 1, NUD_STALE, 5), "only older");
	cr_expect_not(tell(RTM_NEWNEIGH, OURS, 1, NUD_DELAY, 5), "only used");
	cr_expect_not(tell(RTM_NEWNEIGH, OURS, 1, NUD_PROBE, 5), "only asked for");
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_REACHABLE, 6), "another MAC address");
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_FAILED, 0), "gone");
	cr_expect_not(tell(RTM_NEWNEIGH, OURS, 1, NUD_INCOMPLETE, 0), "still gone");
	cr_expect_not(tell(RTM_DELNEIGH, OURS, 1, NUD_FAILED, 0), "forgotten");
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_REACHABLE, 6), "back");
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_INCOMPLETE, 0), "to be resolved anew");
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_PERMANENT, 6), "made permanent");
	cr_expect(tell(RTM_DELNEIGH, OURS, 1, NUD_PERMANENT, 6), "deleted while in use");
}

Test(neighbours, interfaces_of_others_do_not_count)
{
	cr_expect_not(tell(RTM_NEWNEIGH, OTHERS, 1, NUD_REACHABLE, 5));
	cr_expect_not(tell(RTM_NEWNEIGH, -1, 1, NUD_REACHABLE, 5));
	cr_expect_not(tell(RTM_NEWNEIGH, MAX_IFINDEX + OURS, 1, NUD_REACHABLE, 5));
}

Test(neighbours, a_neighbour_that_was_forgotten_counts_again)
{
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_REACHABLE, 5));
	cr_expect_not(tell(RTM_NEWNEIGH, OURS, 1, NUD_REACHABLE, 5));
	neighbours_forget(neighbours);
	cr_expect(tell(RTM_NEWNEIGH, OURS, 1, NUD_REACHABLE, 5));
}

Test(neighbours, a_scan_for_addresses_that_nobody_has_changes_nothing)
{
	unsigned changes = 0;

	for (uint32_t addr = 1; addr <= 1000; addr++)
		cr_assert(tell(RTM_NEWNEIGH, OURS, addr, NUD_REACHABLE, 5) || addr > 1);
	for (uint32_t addr = 100000; addr < 200000; addr++)
		changes += tell(RTM_NEWNEIGH, OURS, addr, NUD_INCOMPLETE, 0);
	cr_expect_eq(changes, 0, "%u of the scan", changes);
	for (uint32_t addr = 1; addr <= 1000; addr++)
		changes += tell(RTM_NEWNEIGH, OURS, addr, NUD_STALE, 5);
	/* Those that share a place with one another. */
	cr_expect_lt(changes, 100, "%u of those known before", changes);
}

static void visit_state(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type == RTM_NEWNEIGH)
		*(uint16_t *)arg = nd->ndm_state;
}

/* The state of a neighbour in the kernel's table, 0 where there is none. */
static uint16_t kernel_state_of(uint32_t ifindex, uint8_t family, const void *addr, size_t size)
{
	struct nlmsghdr *h = netlink_request(netlink, RTM_GETNEIGH, 0, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	uint16_t state = 0;

	nd->ndm_family = family;
	nd->ndm_ifindex = (int)ifindex;
	mnl_attr_put(h, NDA_DST, size, addr);
	netlink_call(netlink, visit_state, &state);
	return state;
}

static uint16_t kernel_state(uint32_t ifindex, uint32_t addr)
{
	uint32_t addr_be = htonl(addr);

	return kernel_state_of(ifindex, AF_INET, &addr_be, sizeof(addr_be));
}

static void resolve(uint32_t addr, uint32_t ifindex)
{
	uint32_t addr_be = htonl(addr);

	neighbours_resolve(neighbours, AF_INET, &addr_be, ifindex, false);
}

/* Makes a veth and returns the index of its end `in0`. */
static uint32_t make_veth(void)
{
	struct link l;

	cr_assert_eq(
		system("ip link add in0 type veth peer name peer0 && ip link set in0 up && ip link set peer0 up && "
		       "ip addr add 10.0.0.1/24 dev in0"),
		0);
	cr_assert_eq(link_by_name(netlink, "in0", &l), 0);
	datapath.device[l.ifindex].roles = DEVICE_INSIDE;
	return l.ifindex;
}

Test(neighbours, an_unknown_one_is_resolved_by_the_kernel)
{
	uint32_t ifindex = make_veth();

	resolve(0x0a000005, ifindex);
	cr_expect_eq(kernel_state(ifindex, 0x0a000005), NUD_INCOMPLETE);
}

Test(neighbours, one_of_ipv6_is_resolved_as_such)
{
	const uint8_t addr[16] = { 0xfe, 0x80, [15] = 5 };
	uint32_t ifindex = make_veth();

	neighbours_resolve(neighbours, AF_INET6, addr, ifindex, true);
	cr_expect(kernel_state_of(ifindex, AF_INET6, addr, sizeof(addr)) & (NUD_INCOMPLETE | NUD_FAILED));
	cr_expect_eq(kernel_state(ifindex, 0xfe800000), 0, "it is no address of IPv4");
}

Test(neighbours, one_that_was_made_permanent_stays_so)
{
	uint32_t ifindex = make_veth();

	cr_assert_eq(system("ip neigh add 10.0.0.6 lladdr 02:00:00:00:00:06 dev in0 nud permanent"), 0);
	resolve(0x0a000006, ifindex);
	cr_expect_eq(kernel_state(ifindex, 0x0a000006), NUD_PERMANENT);
}

Test(neighbours, nothing_is_resolved_on_interfaces_of_others)
{
	uint32_t ifindex = make_veth();

	datapath.device[ifindex].roles = 0;
	resolve(0x0a000005, ifindex);
	resolve(0x0a000005, 0);
	resolve(0x0a000005, UINT32_MAX);
	cr_expect_eq(kernel_state(ifindex, 0x0a000005), 0);
}

Test(neighbours, a_flood_of_requests_is_bounded)
{
	uint32_t ifindex = make_veth(), found = 0;

	for (uint32_t i = 1; i < 4096; i++)
		resolve(0x0a010000 + i, ifindex);
	for (uint32_t i = 1; i < 4096; i++)
		found += kernel_state(ifindex, 0x0a010000 + i) != 0;
	/* The loop may run across the end of a second, or two. */
	cr_expect_geq(found, NEIGHBOURS_RESOLVES_S);
	cr_expect_leq(found, 3 * NEIGHBOURS_RESOLVES_S, "%u", found);
}

Test(neighbours, a_router_is_resolved_in_the_midst_of_a_scan)
{
	uint32_t ifindex = make_veth(), router = htonl(0x0a0000fe);

	for (uint32_t i = 1; i < 2 * NEIGHBOURS_RESOLVES_S; i++)
		resolve(0x0a010000 + i, ifindex);
	neighbours_resolve(neighbours, AF_INET, &router, ifindex, true);
	cr_expect_eq(kernel_state(ifindex, 0x0a0000fe), NUD_INCOMPLETE);
}
