/* SPDX-License-Identifier: BSD-2-Clause */
/* Which neighbours the kernel is told to probe, of those that XDP sends to. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <event2/event.h>
#include <linux/neighbour.h>
#include <sched.h>
#include <string.h>

#include "routing/neighbours.h"

#define HZ	 100U
#define LONG_AGO (0U - 30U * HZ / 64U) /* ticks; the clock says 0 */

static struct datapath datapath = { .clock = -1, .hz = HZ };
static struct netlink *netlink;
static struct event_base *base;
static struct prober *prober;
static uint32_t ifindex;

static void set_up(void)
{
	struct link l;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(
		system("ip link add in0 type veth peer name peer0 && ip link set in0 up && ip link set peer0 up && "
		       "ip addr add 10.0.0.1/16 dev in0"),
		0);
	datapath.next_hops_used = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "used", sizeof(struct next_hop_address),
						 sizeof(struct next_hop_use), NEXT_HOPS_USED, NULL);
	cr_assert_geq(datapath.next_hops_used, 0);
	base = event_base_new();
	cr_assert_eq(netlink_new(&netlink), 0);
	cr_assert_eq(link_by_name(netlink, "in0", &l), 0);
	ifindex = l.ifindex;
	cr_assert_eq(prober_new(base, &datapath, NULL, netlink, &prober), 0);
}

static void tear_down(void)
{
	if (!prober)
		return;
	prober_free(prober);
	netlink_free(netlink);
	event_base_free(base);
	close(datapath.next_hops_used);
}

TestSuite(neighbours_probe, .init = set_up, .fini = tear_down);

static struct next_hop_address address(uint32_t addr)
{
	return (struct next_hop_address){ .ifindex = ifindex, .family = AF_INET, .addr = { htonl(addr) } };
}

static void use(struct next_hop_address at, uint32_t tick, bool router)
{
	const struct next_hop_use use = { .tick = tick, .router = router };

	cr_assert_eq(bpf_map_update_elem(datapath.next_hops_used, &at, &use, BPF_ANY), 0);
}

static void visit(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type == RTM_NEWNEIGH)
		*(struct ndmsg *)arg = *nd;
}

/* The state of a neighbour in the kernel's table, 0 where there is none. */
static uint16_t kernel_state(struct next_hop_address at)
{
	struct nlmsghdr *h = netlink_request(netlink, RTM_GETNEIGH, 0, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h), found = { 0 };

	nd->ndm_family = (uint8_t)at.family;
	nd->ndm_ifindex = (int)at.ifindex;
	mnl_attr_put(h, NDA_DST, at.family == AF_INET6 ? 16 : 4, at.addr);
	netlink_call(netlink, visit, &found);
	return found.ndm_state;
}

/* A packet to a stale neighbour: the kernel probes it some seconds later by itself. */
static void send_to_stale(struct next_hop_address at)
{
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = at.addr[0], .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(sendto(fd, "", 1, 0, (const void *)&to, sizeof(to)), 1);
	close(fd);
	cr_assert_eq(kernel_state(at), NUD_DELAY);
}

static void run_a_second(void)
{
	const struct timeval span = { .tv_sec = 1, .tv_usec = 100000 };

	event_base_loopexit(base, &span);
	event_base_dispatch(base);
}

Test(neighbours_probe, routers_in_use_are_probed_and_of_others_the_stale_ones)
{
	static const struct {
		const char *nud;
		bool router;
		uint32_t tick;
		uint16_t state; /* a moment after the probe began */
		bool sent_to;
	} rows[] = {
		{ "reachable", true, 0, NUD_PROBE },
		{ "stale", true, 0, NUD_PROBE },
		{ "stale", true, 0, NUD_PROBE, .sent_to = true },
		{ "permanent", true, 0, NUD_PERMANENT },
		{ "reachable extern_learn", true, 0, NUD_REACHABLE },
		{ "stale", true, LONG_AGO, NUD_STALE },
		{ "reachable", false, 0, NUD_REACHABLE },
		{ "stale", false, 0, NUD_PROBE },
		{ "stale", false, LONG_AGO, NUD_STALE },
		{ "permanent", false, 0, NUD_PERMANENT },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char command[128];

		snprintf(command, sizeof(command), "ip neigh add 10.0.1.%u lladdr 02:00:00:00:00:06 dev in0 nud %s", i,
			 rows[i].nud);
		cr_assert_eq(system(command), 0, "%s", command);
		use(address(0x0a000100 + i), rows[i].tick, rows[i].router);
		if (rows[i].sent_to)
			send_to_stale(address(0x0a000100 + i));
	}
	run_a_second();
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(kernel_state(address(0x0a000100 + i)), rows[i].state, "row %u: %x", i,
			     kernel_state(address(0x0a000100 + i)));
}

Test(neighbours_probe, next_hops_of_ipv6_are_probed_too)
{
	struct next_hop_address at = { .ifindex = ifindex, .family = AF_INET6 };

	inet_pton(AF_INET6, "fe80::7", at.addr);
	cr_assert_eq(system("ip neigh add fe80::7 lladdr 02:00:00:00:00:07 dev in0 nud stale"), 0);
	use(at, 0, true);
	run_a_second();
	cr_expect_eq(kernel_state(at), NUD_PROBE);
}

/* Makes stale neighbours, 10.1.0.0 and following. */
static void make_neighbours(uint32_t n)
{
	FILE *ip = popen("ip -batch -", "w");

	cr_assert_not_null(ip);
	for (uint32_t i = 0; i < n; i++) {
		fprintf(ip, "neigh add 10.1.%u.%u lladdr 02:00:00:00:00:06 dev in0 nud stale\n", i >> 8, i & 255);
		use(address(0x0a010000 + i), 0, false);
	}
	cr_assert_eq(pclose(ip), 0);
}

Test(neighbours_probe, thousands_of_subscribers_take_turns_behind_the_routers)
{
	enum { N = 900 };
	uint32_t probed = 0;

	make_neighbours(N);
	cr_assert_eq(system("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev in0 nud reachable"), 0);
	use(address(0x0a000009), 0, true);
	run_a_second();
	cr_expect_eq(kernel_state(address(0x0a000009)), NUD_PROBE, "the router comes first");
	for (uint32_t i = 0; i < N; i++)
		probed += kernel_state(address(0x0a010000 + i)) == NUD_PROBE;
	cr_expect_gt(probed, 0);
	cr_expect_leq(probed, PROBE_HOSTS_S, "%u", probed);
	/* Five turns; a busy machine may be late with each of them. */
	for (int i = 0; i < 15 && probed < N; i++) {
		run_a_second();
		probed = 0;
		for (uint32_t k = 0; k < N; k++)
			probed += kernel_state(address(0x0a010000 + k)) != NUD_STALE;
	}
	cr_expect_eq(probed, N, "each had its turn: %u", probed);
}

Test(neighbours_probe, one_that_failed_in_use_is_resolved_anew)
{
	const struct next_hop_address in_use = address(0x0a000005), once = address(0x0a000006),
				      never = address(0x0a000007);

	use(in_use, 0, true);
	use(once, LONG_AGO, true);
	prober_failed(prober, &in_use);
	prober_failed(prober, &once);
	prober_failed(prober, &never);
	cr_expect_eq(kernel_state(in_use), NUD_INCOMPLETE);
	cr_expect_eq(kernel_state(once), 0);
	cr_expect_eq(kernel_state(never), 0);
}
