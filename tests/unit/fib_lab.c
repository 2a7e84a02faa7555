/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "fib_lab.h"
#include "host/netlink.h"
#include "routing/monitor.h"

#define PATIENCE_S 5

struct event_base *lab_base;
struct datapath lab_datapath;
static struct netlink *netlink;
static struct monitor *monitor;
struct route_copy *lab_copy;
static unsigned seed = 1;
static uint32_t inside; /* index of in0 */

uint32_t lab_random(uint32_t n)
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
	route_copy_message(lab_copy, h);
}

static void on_return(void *arg)
{
	monitor_catch_up(monitor);
}

static void on_lost(void *arg)
{
	route_copy_lost(lab_copy);
}

void lab_run(const char *command)
{
	cr_assert_eq(system(command), 0, "%s", command);
}

void lab_record(const char *name, uint8_t roles)
{
	struct link link;

	cr_assert_eq(link_by_name(netlink, name, &link), 0);

	struct device *d = &lab_datapath.device[link.ifindex];

	*d = (struct device){ .roles = roles, .flags = DEVICE_REDIRECT, .mtu = link.mtu };
	memcpy(d->mac, link.mac, sizeof(d->mac));
	if (lab_copy)
		route_copy_devices_changed(lab_copy);
}

void lab_set_up(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(netlink_new(&netlink), 0);
	lab_run("ip link set lo up && ip link add in0 type veth peer name in1 && ip link add out0 type veth peer name "
		"out1 "
		"&& "
		"for i in in0 in1 out0 out1; do ip link set $i up; done && "
		"ip addr add 198.51.100.1/24 dev in0 && ip addr add 203.0.113.1/24 dev out0");
	lab_run("for i in 2 3 4 5; do ip neigh replace 198.51.100.$i lladdr 02:00:00:00:01:0$i dev in0 nud permanent; "
		"ip neigh replace 203.0.113.$i lladdr 02:00:00:00:02:0$i dev out0 nud permanent; done");
	for (uint32_t i = 0; i < 8; i++) {
		char text[128];

		snprintf(text, sizeof(text),
			 "ip neigh replace 10.%u.0.%u lladdr 02:00:00:01:00:0%u dev in0 nud permanent", i & 1, i, i);
		lab_run(text);
	}
	lab_datapath.fib = calloc(1, sizeof(*lab_datapath.fib));
	lab_datapath.device = calloc(MAX_IFINDEX, sizeof(*lab_datapath.device));
	lab_datapath.global = calloc(1, sizeof(*lab_datapath.global));
	lab_datapath.hz = 250;
	lab_datapath.clock = lab_datapath.grace = -1;
	lab_datapath.fib_nodes = chunks_map();
	lab_datapath.build = (struct datapath_build *)&lab_datapath; /* programs run, whatever they are */
	inside = if_nametoindex("in0");
	lab_record("in0", DEVICE_INSIDE);
	lab_record("out0", DEVICE_OUTSIDE);
	lab_base = event_base_new();
	cr_assert_eq(monitor_new(lab_base, &lab_datapath,
				 &(struct monitor_handlers){ .message = on_message, .lost = on_lost }, &monitor),
		     0);
	cr_assert_eq(route_copy_new(lab_base, &lab_datapath, &lab_copy), 0);
	route_copy_on_return(lab_copy, on_return, NULL);
	route_copy_hold(lab_copy, ROUTE_COPY_SYNC, false);
}

void lab_hear_ipv6(void)
{
	cr_assert_eq(monitor_hear_ipv6(monitor), 0);
}

void lab_tear_down(void)
{
	if (!lab_base)
		return;
	route_copy_free(lab_copy);
	cr_expect_not(lab_vouched());
	monitor_free(monitor);
	netlink_free(netlink);
	event_base_free(lab_base);
	free(lab_datapath.fib);
	free(lab_datapath.device);
	free(lab_datapath.global);
}

static void visit_answer(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_GATEWAY + 1];
	struct lab_answer *a = arg;
	size_t size;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	a->type = rt->rtm_type;
	a->ifindex = netlink_u32(attr[RTA_OIF]);
	size = attr[RTA_GATEWAY] ? mnl_attr_get_payload_len(attr[RTA_GATEWAY]) : 0;
	if (size && size <= sizeof(a->gateway))
		memcpy(a->gateway, mnl_attr_get_payload(attr[RTA_GATEWAY]), size);
}

struct lab_answer lab_ask_kernel(uint8_t family, const void *addr)
{
	struct nlmsghdr *h = netlink_request(netlink, RTM_GETROUTE, 0, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct lab_answer a = { .ifindex = 0 };
	size_t size = family == AF_INET ? 4 : 16;

	rt->rtm_family = family;
	rt->rtm_dst_len = (uint8_t)(size * 8);
	mnl_attr_put(h, RTA_DST, size, addr);
	a.r = netlink_call(netlink, visit_answer, &a);
	return a;
}

const struct fib_hop *lab_look_up(uint32_t addr)
{
	/* As the datapath does; the trie's own nodes are tested elsewhere. */
	return route_copy_hop(lab_copy, addr);
}

/* The last octet of a MAC address tells the neighbour that lab_set_up() gave it to. */
static bool is_mac_of(const struct fib_hop *hop, uint32_t addr)
{
	return hop->dmac[5] == (addr & 0xff) && hop->dmac[4] == (addr >> 24 == 10 ? 0 : addr >> 24 == 198 ? 1 : 2);
}

/* Whether lab_set_up() has resolved a neighbour; ifindex: of the interface that the kernel takes. */
static bool is_resolved(uint32_t addr, uint32_t ifindex)
{
	uint32_t last = addr & 0xff;

	if (addr >> 24 == 10)
		return last < 8 && (addr & 0xffff00) == (last & 1) << 16 && ifindex == inside;
	return last >= 2 && last <= 5;
}

bool lab_agrees(uint32_t addr, enum demand demand, char *text, size_t size)
{
	const struct lab_answer a = lab_ask_kernel(AF_INET, &(uint32_t){ htonl(addr) });
	const struct fib_hop *hop = lab_look_up(addr);
	uint32_t gateway, to;
	bool right = true;

	memcpy(&gateway, a.gateway, sizeof(gateway));
	to = gateway ? ntohl(gateway) : addr;
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
			 addr, a.r, a.type, a.ifindex, ntohl(gateway), hop->flags, hop->ifindex, hop->dmac[4],
			 hop->dmac[5]);
	return right;
}

uint32_t lab_random_address(void)
{
	static const uint32_t bases[] = { 0x0a000000, 0x0a010000, 0x0a008000, 0x0a018000 };

	if (!lab_random(16))
		return lab_random(2) ? 0xc6336400 + lab_random(10) : 0xcb007100 + lab_random(10);
	return bases[lab_random(4)] + lab_random(10) + (lab_random(3) ? 0 : lab_random(4) << 8);
}

void lab_turn(void)
{
	const struct timeval pause = { .tv_usec = 1000 };

	event_base_loopexit(lab_base, &pause);
	event_base_loop(lab_base, 0);
}

bool lab_vouched(void)
{
	return (int32_t)(lab_datapath.global->fib_until - datapath_ticks(&lab_datapath)) >= 0;
}

bool lab_in_force(void)
{
	struct route_copy_summary s;

	route_copy_summary(lab_copy, &s);
	return s.in_force;
}

void lab_wait_until_in_force(void)
{
	uint64_t until = monotonic_us() + PATIENCE_S * 1000000ULL;

	while (!lab_in_force()) {
		cr_assert_lt(monotonic_us(), until, "the copy does not come into force");
		lab_turn();
	}
}

void lab_wait_until_right(const char *what, enum demand demand)
{
	uint64_t until = monotonic_us() + PATIENCE_S * 1000000ULL;
	char text[256] = "";
	bool right = false;

	while (!right) {
		unsigned start = seed;

		cr_assert_lt(monotonic_us(), until, "%s: %s", what, text);
		lab_turn();
		right = lab_in_force();
		for (int i = 0; right && i < 300; i++)
			right = lab_agrees(lab_random_address(), demand, text, sizeof(text));
		if (!right)
			seed = start;
	}
}

void lab_wait_for(bool (*met)(void), const char *what)
{
	uint64_t until = monotonic_us() + PATIENCE_S * 1000000ULL;

	while (!met()) {
		cr_assert_lt(monotonic_us(), until, "%s", what);
		lab_turn();
	}
}

void lab_pass(void)
{
	uint64_t until = monotonic_us() + PATIENCE_S * 1000000ULL;
	static uint32_t marker = 0x0a630000;
	char text[64];

	snprintf(text, sizeof(text), "ip route add blackhole 10.99.0.%u", ++marker & 255);
	lab_run(text);
	while (!(lab_look_up(marker)->flags & FIB_DISCARD)) {
		cr_assert_lt(monotonic_us(), until, "a route is not noticed");
		lab_turn();
	}
}
