/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notifications during a reading of everything: what is read may be older than what was notified since the reading
 * began. Here the notifications are made up, so the kernel always says what was before.
 */
#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "fib_lab.h"

TestSuite(fib_notified, .init = lab_set_up, .fini = lab_tear_down, .timeout = 300);

static _Alignas(struct nlmsghdr) char buffer[512];

static struct nlmsghdr *message(uint16_t type, size_t header_size)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(h, header_size);
	return h;
}

/* mac: its last octet. */
static void notify_neighbour(uint16_t type, uint32_t addr, uint8_t mac)
{
	struct nlmsghdr *h = message(type, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	nd->ndm_family = AF_INET;
	nd->ndm_ifindex = (int)if_nametoindex("out0");
	nd->ndm_state = NUD_REACHABLE;
	mnl_attr_put_u32(h, NDA_DST, htonl(addr));
	mnl_attr_put(h, NDA_LLADDR, 6, (uint8_t[]){ 2, 0, 0, 0, 2, mac });
	route_copy_message(lab_copy, h);
}

static void notify_object(uint32_t id, const char *interface, uint32_t gateway)
{
	struct nlmsghdr *h = message(RTM_NEWNEXTHOP, sizeof(struct nhmsg));

	((struct nhmsg *)mnl_nlmsg_get_payload(h))->nh_family = AF_INET;
	mnl_attr_put_u32(h, NHA_ID, id);
	mnl_attr_put_u32(h, NHA_OIF, if_nametoindex(interface));
	mnl_attr_put_u32(h, NHA_GATEWAY, htonl(gateway));
	route_copy_message(lab_copy, h);
}

static void notify_address_gone(const char *interface, uint32_t addr, uint8_t plen)
{
	struct nlmsghdr *h = message(RTM_DELADDR, sizeof(struct ifaddrmsg));
	struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);

	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = plen;
	ifa->ifa_index = if_nametoindex(interface);
	mnl_attr_put_u32(h, IFA_ADDRESS, htonl(addr));
	mnl_attr_put_u32(h, IFA_LOCAL, htonl(addr));
	route_copy_message(lab_copy, h);
}

static void notify_down(const char *interface)
{
	struct nlmsghdr *h = message(RTM_NEWLINK, sizeof(struct ifinfomsg));

	((struct ifinfomsg *)mnl_nlmsg_get_payload(h))->ifi_index = (int)if_nametoindex(interface);
	route_copy_message(lab_copy, h);
}

#define ADDRESS 0x0a050505U
#define R2	0xcb007102U
#define R3	0xcb007103U
#define R9	0xcb007109U

static void read_while(void (*notify)(void))
{
	route_copy_lost(lab_copy);
	notify();
	lab_wait_until_in_force();
}

static void change_neighbours(void)
{
	notify_neighbour(RTM_NEWNEIGH, R2, 0x22);
	notify_neighbour(RTM_DELNEIGH, R3, 3);
	notify_neighbour(RTM_NEWNEIGH, R9, 9);
	notify_neighbour(RTM_DELNEIGH, R9, 9);
}

static bool r2_is_resolved(void)
{
	return lab_look_up(R2)->flags & FIB_RESOLVED;
}

static void again(void)
{
}

Test(fib_notified, neighbours_are_not_read)
{
	lab_wait_until_in_force();
	cr_expect(lab_look_up(R3)->flags & FIB_RESOLVED);
	lab_run("ip neigh add 203.0.113.9 lladdr 02:00:00:00:02:09 dev out0 nud permanent");
	lab_pass();
	read_while(change_neighbours);
	lab_wait_for(r2_is_resolved, "its new address is written");
	cr_expect_eq(lab_look_up(R2)->dmac[5], 0x22);
	cr_expect_eq(lab_look_up(R3)->flags, FIB_ROUTED);
	/* Deleted before it was known. */
	cr_expect_eq(lab_look_up(R9)->flags, FIB_ROUTED);
	/* The next reading begins after these. */
	read_while(again);
	lab_wait_for(r2_is_resolved, "its former address is written");
	cr_expect_eq(lab_look_up(R2)->dmac[5], 2);
	cr_expect(lab_look_up(R3)->flags & FIB_RESOLVED);
	cr_expect(lab_look_up(R9)->flags & FIB_RESOLVED);
}

static bool is_out(void)
{
	return lab_look_up(ADDRESS)->flags & FIB_FAST_OUT;
}

static bool is_in(void)
{
	return lab_look_up(ADDRESS)->flags & FIB_FAST_IN;
}

static void change_object(void)
{
	notify_object(9, "in0", 0xc6336403);
}

Test(fib_notified, nexthop_objects_are_not_read)
{
	lab_wait_until_in_force();
	lab_run("ip nexthop add id 9 via 203.0.113.2 dev out0 && ip route add 10.5.5.0/24 nhid 9");
	lab_wait_for(is_out, "the object is used");
	read_while(change_object);
	lab_wait_for(is_in, "the change is followed");
	read_while(again);
	lab_wait_for(is_out, "the next reading begins after it");
}

static void out0_down(void)
{
	notify_down("out0");
}

Test(fib_notified, links_are_not_read)
{
	lab_wait_until_in_force();
	cr_expect(lab_look_up(R2)->flags & FIB_FAST_OUT);
	read_while(out0_down);
	cr_expect_eq(lab_look_up(R2)->flags, 0);
	read_while(again);
	cr_expect(lab_look_up(R2)->flags & FIB_FAST_OUT);
}

static void first_address_gone(void)
{
	notify_address_gone("out0", 0xcb007101, 24);
}

Test(fib_notified, addresses_are_not_read)
{
	lab_wait_until_in_force();
	lab_run("ip addr add 203.0.113.8/32 dev out0 && ip route add 10.5.5.0/24 via 203.0.113.2");
	lab_wait_for(is_out, "the route is used");
	read_while(first_address_gone);
	cr_expect(is_out());
	notify_address_gone("out0", 0xcb007108, 32);
	cr_expect_eq(lab_look_up(ADDRESS)->flags, 0, "that was the last one");
}

/* More than there are segments in the store. */
#define MANY 1000U

Test(fib_notified, a_route_that_a_reading_does_not_see_is_forgotten)
{
	lab_wait_until_in_force();
	for (uint32_t i = 0; i < MANY; i++) {
		struct nlmsghdr *h = message(RTM_NEWROUTE, sizeof(struct rtmsg));
		struct rtmsg *rt = mnl_nlmsg_get_payload(h);

		rt->rtm_family = AF_INET;
		rt->rtm_dst_len = 32;
		rt->rtm_table = RT_TABLE_MAIN;
		rt->rtm_type = RTN_BLACKHOLE;
		mnl_attr_put_u32(h, RTA_DST, htonl(ADDRESS + i));
		route_copy_message(lab_copy, h);
		cr_assert(lab_look_up(ADDRESS + i)->flags & FIB_DISCARD);
	}
	read_while(again);
	for (uint32_t i = 0; i < MANY; i++)
		cr_assert_eq(lab_look_up(ADDRESS + i)->flags, 0, "%u", i);
}

/* As many readings begin, and none ends, as there are generations. */
Test(fib_notified, a_route_seen_long_ago_counts_as_not_seen)
{
	for (unsigned readings = 254; readings <= 256; readings++) {
		lab_wait_until_in_force();
		notify_neighbour(RTM_NEWNEIGH, R9, 9);
		cr_expect(lab_look_up(R9)->flags & FIB_RESOLVED);
		for (unsigned i = 0; i < readings; i++)
			route_copy_lost(lab_copy);
		lab_wait_until_in_force();
		cr_expect_eq(lab_look_up(R9)->flags, FIB_ROUTED, "after %u readings", readings);
	}
}

/* Of an agent that was stopped: the lease has run out, and more notifications wait than are read in a row. */
Test(fib_notified, everything_that_waits_comes_before_the_lease)
{
	FILE *f;

	lab_wait_until_in_force();
	lab_run("ip route add 10.5.0.0/16 via 203.0.113.2");
	lab_wait_for(is_out, "the route is used");
	f = popen("ip -batch -", "w");
	for (unsigned i = 0; i < 1000; i++)
		fprintf(f, "route add 20.0.%u.%u via 203.0.113.2\n", i >> 8, i & 255);
	fprintf(f, "route replace 10.5.0.0/16 via 198.51.100.2\n");
	cr_assert_eq(pclose(f), 0);
	/* The timer that renews the lease is due, too. */
	usleep(300000);
	lab_datapath.global->fib_until = datapath_ticks(&lab_datapath) - 1;
	while ((int32_t)(lab_datapath.global->fib_until - datapath_ticks(&lab_datapath)) < 0)
		event_base_loop(lab_base, EVLOOP_ONCE);
	cr_expect(is_in());
}
