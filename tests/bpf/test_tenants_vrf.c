// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets to subscribers are routed by the VRF of their tenant, whichever interface they came in by. Kernels without
 * VRF run this, too: a rule about the interface `tvrf` takes the place of the VRF, and its table 50 of the VRF's; the
 * main table has no route to the subscribers.
 */
#include <errno.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "links/interfaces.h"
#include "tenants_fixture.h"

#define VRF 8 /* the station */

static uint32_t vrf;

static void set_up_vrf(void)
{
	const struct device record = { .mac = { 2, 0, 0, 0, 0, VRF }, .flags = DEVICE_VRF, .roles = DEVICE_INSIDE };

	settings.policy_routing = POLICY_INTERFACES;
	settings.vrf = 1;
	set_up_shared();
	stay_on_one_core();
	cr_assert_eq(system("ip link add tvrf type veth peer name pvrf; ip link set tvrf address 02:00:00:00:00:08;"
			    "for i in all tin tout tvrf; do echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter; done;"
			    "ip link set tvrf up; ip link set pvrf up;"
			    "ip route add 10.0.0.0/24 dev tin table 50;"
			    "ip route add default via 198.51.100.7 dev tout table 50;"
			    "ip rule add iif tvrf lookup 50; ip rule add iif tin lookup 50;"
			    "ip route del 10.0.0.0/24 dev tin"),
		     0);
	vrf = if_nametoindex("tvrf");
	device_store(&datapath, vrf, &record);
	datapath.way[FIRST] = vrf;
}

TestSuite(tenants_vrf, .init = set_up_vrf, .fini = portmap_tear_down);

/* Routes and records of interfaces have changed. */
static void changed(void)
{
	datapath_raise_epoch(&datapath);
}

#define FROM(pool_, port_)                                                                           \
	{                                                                                            \
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = (pool_), UDP, 53, (port_) \
	}
#define TO_SUBSCRIBER(ttl_, from_, to_)                                                                         \
	{                                                                                                       \
		.ttl = (ttl_), .from = (from_), .to = (to_), .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000, \
	}
#define ANSWERED(hook_)                                                                                               \
	{                                                                                                             \
		"an answer", hook_, FROM(POOL, OUT_PORT(5000, 2)), REDIRECT_XDP, TO_SUBSCRIBER(63, GATEWAY_IN, HOST), \
			REASON_out2in_translated                                                                      \
	}

static void open_one(void)
{
	be(FIRST);
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
}

Test(tenants_vrf, answers_are_routed_by_the_vrf_of_the_tenant)
{
	static const struct row rows[] = {
		ANSWERED(XDP_OUTSIDE), /* asks the kernel */
		ANSWERED(XDP_OUTSIDE), /* by the cache */
		ANSWERED(XDP_OUTSIDE_SLOW),
	};

	open_one();
	RUN_ROWS(rows);
}

Test(tenants_vrf, the_fast_path_uses_what_was_cached_for_the_vrf)
{
	static const struct row rows[] = { ANSWERED(XDP_OUTSIDE) };

	open_one();
	RUN_ROWS(rows);
	/* Were the kernel asked again, it would know no route. */
	cr_assert_eq(system("ip rule del iif tvrf lookup 50"), 0);
	RUN_ROWS(rows);
}

static void expect_unreachable(const char *name)
{
	static const enum hook hooks[] = { XDP_OUTSIDE, XDP_OUTSIDE_SLOW };
	const struct frame in = FROM(POOL, OUT_PORT(5000, 2));
	uint64_t translated = counted(REASON_out2in_translated), dropped = counted(REASON_drop_unreachable);
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&in, frame), out_size;

	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
		run_frame(hooks[i], frame, size, out, &out_size);
	cr_expect_eq(counted(REASON_out2in_translated), translated, "%s", name);
	cr_expect_eq(counted(REASON_drop_unreachable), dropped + 2, "%s", name);
}

Test(tenants_vrf, nothing_is_sent_while_the_vrf_does_not_exist)
{
	static const struct row rows[] = { ANSWERED(XDP_OUTSIDE) };

	open_one();
	datapath.way[FIRST] = WAY_NONE;
	changed();
	expect_unreachable("no route in the main table");
	cr_assert_eq(system("ip route add 10.0.0.0/24 dev tin"), 0);
	changed();
	expect_unreachable("nor by the main table's");
	datapath.way[FIRST] = vrf;
	changed();
	RUN_ROWS(rows);
}

Test(tenants_vrf, a_tenant_without_a_vrf_is_routed_by_the_main_table)
{
	static const struct row rows[] = { ANSWERED(XDP_OUTSIDE), ANSWERED(XDP_OUTSIDE) };

	open_one();
	datapath.way[FIRST] = WAY_MAIN;
	changed();
	cr_assert_eq(system("ip route del default; ip route add 10.0.0.0/24 dev tin; ip route flush table 50"), 0);
	changed();
	RUN_ROWS(rows);
}

/* What the kernel has to route: the frame is as it was, but for the VRF's address as its destination. */
static void expect_passed_into_vrf(enum hook hook)
{
	const struct frame in = FROM(POOL, OUT_PORT(5000, 2)), wanted = TO_SUBSCRIBER(64, ROUTER, (enum station)VRF);
	const struct vrf_note note = { VRF_NOTE, vrf };
	const size_t before = hook == INGRESS_OUTSIDE ? 0 : sizeof(note);
	uint8_t frame[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = frame_build(&in, frame), want_size = frame_build(&wanted, want), out_size;

	run_frame_counted("into the VRF", hook, frame, size, out, &out_size, before ? PASS_XDP : REDIRECT_TC,
			  REASON_out2in_translated);
	cr_assert_geq(out_size, before);
	cr_expect(!before || !memcmp(out, &note, before), "the note for tc");
	cr_expect(frame_equal("into the VRF", out + before, out_size - before, want, want_size), "another packet");
}

Test(tenants_vrf, what_the_kernel_forwards_enters_the_vrf)
{
	open_one();
	settings.redirect = 0;
	reload_settings();
	expect_passed_into_vrf(XDP_OUTSIDE);
	expect_passed_into_vrf(XDP_OUTSIDE_SLOW);
	expect_passed_into_vrf(INGRESS_OUTSIDE);
}

Test(tenants_vrf, what_xdp_cannot_send_enters_the_vrf)
{
	open_one();
	cr_assert_eq(system("ip neigh del 10.0.0.2 lladdr 02:00:00:00:00:03 dev tin"), 0);
	changed();
	expect_passed_into_vrf(XDP_OUTSIDE);
	expect_passed_into_vrf(XDP_OUTSIDE_SLOW);
}

Test(tenants_vrf, nothing_enters_a_vrf_without_a_record)
{
	static const struct device none;
	const struct frame in = FROM(POOL, OUT_PORT(5000, 2));
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&in, frame), out_size;

	open_one();
	settings.redirect = 0;
	reload_settings();
	device_store(&datapath, vrf, &none);
	cr_expect_eq(run_frame(XDP_OUTSIDE, frame, size, out, &out_size), DROP_XDP);
	cr_expect_eq(run_frame(INGRESS_OUTSIDE, frame, size, out, &out_size), DROP_TC);
	cr_expect_eq(counted(REASON_redirect_errors), 2);
}

static int open_on(const char *interface)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_IP),
					.sll_ifindex = (int)if_nametoindex(interface) };
	const struct timeval patience = { .tv_sec = 20 };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IP));

	cr_assert_geq(fd, 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void attach_outside(bool into_vrf)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)outside_ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 2, .priority = 215, .prog_fd = datapath.tc_into_vrf);

	cr_assert_eq(bpf_xdp_attach((int)outside_ifindex, datapath.xdp_outside, XDP_FLAGS_DRV_MODE, NULL), 0);
	if (!into_vrf)
		return;
	cr_assert_eq(bpf_tc_hook_create(&hook), 0);
	cr_assert_eq(bpf_tc_attach(&hook, &opts), 0);
}

/* Through the kernel: from the outside interface's peer to that of the inside interface. */
Test(tenants_vrf, the_kernel_routes_what_enters_the_vrf_by_its_table)
{
	const struct frame in = FROM(POOL, OUT_PORT(5000, 2)), wanted = TO_SUBSCRIBER(63, GATEWAY_IN, HOST);
	uint8_t frame[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = frame_build(&in, frame), want_size = frame_build(&wanted, want);
	_cleanup_close_ int from = open_on("pout"), to = open_on("pin");

	open_one();
	settings.redirect = 0;
	reload_settings();
	attach_outside(true);
	cr_assert_eq(send(from, frame, size, 0), (ssize_t)size);
	cr_expect(frame_equal("through the kernel", out, (size_t)recv(to, out, sizeof(out), 0), want, want_size),
		  "another packet");
}

/* Nor are they routed by the main table, as those of the second tenant are, which has no VRF. */
Test(tenants_vrf, without_the_program_for_vrfs_the_kernel_drops_them)
{
	struct frame first = FROM(POOL, OUT_PORT(5000, 2)), last = FROM(POOL_B, OUT_PORT(5000, 2)),
		     wanted = TO_SUBSCRIBER(63, GATEWAY_IN, HOST);
	uint8_t frame[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	_cleanup_close_ int from = open_on("pout"), to = open_on("pin");
	size_t size, want_size;

	open_one();
	be(SECOND);
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_assert_eq(system("ip route add 10.0.0.0/24 dev tin"), 0);
	settings.redirect = 0;
	reload_settings();
	attach_outside(false);
	size = frame_build(&first, frame);
	cr_assert_eq(send(from, frame, size, 0), (ssize_t)size);
	last.payload = wanted.payload = 40;
	size = frame_build(&last, frame);
	cr_assert_eq(send(from, frame, size, 0), (ssize_t)size);
	want_size = frame_build(&wanted, want);
	cr_expect(frame_equal("the second tenant's", out, (size_t)recv(to, out, sizeof(out), 0), want, want_size),
		  "another packet");
}

/* tc at the egress of the inside interface: what the kernel has routed there from the outside interface. */
static int forwarded(uint32_t ifindex, uint32_t src)
{
	const struct frame in = {
		.ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = src, .dst = SUBSCRIBER, UDP, 53, 5000
	};
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&in, frame);
	struct __sk_buff skb = { .ifindex = inside_ifindex, .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);
	_cleanup_close_ int fd = hook_program(TC_OUTSIDE);

	cr_assert_eq(bpf_prog_test_run_opts(fd, &opts), 0, "%s", strerror(errno));
	return (int)opts.retval;
}

static int forwarded_from(uint32_t ifindex)
{
	return forwarded(ifindex, EXTERNAL);
}

Test(tenants_vrf, an_address_of_several_tenants_is_the_one_s_that_routed_the_packet)
{
	struct device record = datapath.device[vrf];

	record.tenant = FIRST;
	device_store(&datapath, vrf, &record);
	cr_expect_eq(forwarded_from(vrf), PASS_TC, "from the VRF of its tenant");
	cr_expect_eq(forwarded_from(outside_ifindex), DROP_TC,
		     "by a route that leads from the main table into the VRF");
	be(SECOND);
	cr_expect_eq(forwarded_from(vrf), DROP_TC, "from the VRF of another tenant");
	cr_expect_eq(forwarded_from(outside_ifindex), PASS_TC, "the second tenant is routed by the main table");
}

Test(tenants_vrf, a_hairpin_to_an_address_of_several_tenants_is_for_the_one_to_whose_interface_it_was_redirected)
{
	struct device record = datapath.device[vrf];

	record.tenant = SECOND;
	device_store(&datapath, vrf, &record);
	be(FIRST);
	cr_expect_eq(forwarded(vrf, POOL_B), PASS_TC, "from a pool address of the other tenant");
	cr_expect_eq(forwarded(vrf, EXTERNAL), DROP_TC, "no hairpin");
	be(THIRD);
	cr_expect_eq(forwarded(vrf, POOL_B), DROP_TC, "to a tenant that has no such subscriber");
}
