// SPDX-License-Identifier: BSD-2-Clause
/*
 * What tc's programs that send by themselves do otherwise than those of XDP, for which they stand in with REDIRECT_TC:
 * frames are as the kernel has them, and it resolves neighbours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/pkt_sched.h>

#include "datapath/datapath_private.h"

#include "fixture.h"
#include "fixture_namespace.h"
#include "late_tc.h"
#include "told_routes.h"

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
/* The kernel writes the addresses of the frame. */
#define TO_NEIGHBOUR .ttl = 63, .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = EXTERNAL
#define UP	     PASS_XDP, {}, REASON_passed_untranslated

#define PORT OUT_PORT(5001, 2)

static void set_up_redirect(void)
{
	setenv("REDIRECT_TC", "1", 1);
	unsetenv("STAGES");
	set_up();
}

TestSuite(redirect, .init = set_up_redirect, .fini = tear_down);

static void run(const char *commands)
{
	cr_assert_eq(system(commands), 0, "%s", commands);
	datapath_raise_epoch(&datapath);
}

/* Frames of 1840 octets, twice: by the slow path, which opens the session, and by the fast path. */
static void run_segments(uint16_t segment, const struct row *rows, size_t n)
{
	follow_routes();
	refresh_followed_routes();
	gso_size = segment;
	run_rows(rows, n);
	refresh_followed_routes();
	run_rows(rows, n);
	gso_size = 0;
}

Test(redirect, segments_that_fit_are_sent_in_one_frame)
{
	static const struct row rows[] = {
		{ "TCP out",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 5001, 80, .flags = 0x18, .payload = 1800, .options = DONT_FRAGMENT },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, PORT, 80, .flags = 0x18, .payload = 1800, .options = DONT_FRAGMENT },
		  REASON_in2out_translated },
		{ "TCP in",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 80, PORT, .flags = 0x18, .payload = 1800, .options = DONT_FRAGMENT },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 80, 5001, .flags = 0x18, .payload = 1800, .options = DONT_FRAGMENT },
		  REASON_out2in_translated },
		{ "UDP out",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 80, .payload = 1800 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, PORT, 80, .payload = 1800 },
		  REASON_in2out_translated },
		{ "UDP in",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 80, PORT, .payload = 1800 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 80, 5001, .payload = 1800 },
		  REASON_out2in_translated },
	};

	run_segments(1460, rows, sizeof(rows) / sizeof(*rows));
}

/* By one octet: the kernel answers, or sends it in fragments. */
Test(redirect, segments_that_are_too_long_are_the_kernels)
{
	static const struct row opened[] = {
		{ "a session",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 5001, 80, .flags = 2 },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, PORT, 80, .flags = 2 },
		  REASON_in2out_translated },
	};
	static const struct row rows[] = {
		{ "TCP out",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 5001, 80, .flags = 0x18, .payload = 1800, .options = DONT_FRAGMENT },
		  UP },
		{ "UDP out, 12 octets less of headers",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 80, .payload = 1800 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, PORT, 80, .payload = 1800 },
		  REASON_in2out_translated },
		{ "TCP in, which may be cut",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 80, PORT, .flags = 0x18, .payload = 1800 },
		  PASS_XDP,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    TCP,
		    80,
		    5001,
		    .flags = 0x18,
		    .payload = 1800 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(opened);
	run_segments(1461, rows, sizeof(rows) / sizeof(*rows));
}

/* TCP's headers are 12 octets longer than UDP's: each fits to the octet, and is too long by one. */
Test(redirect, datagrams_of_a_frame_fit_to_the_octet)
{
	static const struct row fitting[] = {
		{ "out",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 80, .payload = 1800, .options = DONT_FRAGMENT },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, PORT, 80, .payload = 1800, .options = DONT_FRAGMENT },
		  REASON_in2out_translated },
		{ "in",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 80, PORT, .payload = 1800, .options = DONT_FRAGMENT },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 80, 5001, .payload = 1800, .options = DONT_FRAGMENT },
		  REASON_out2in_translated },
	};
	static const struct row longer[] = {
		{ "out, whole",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 80, .payload = 1800, .options = DONT_FRAGMENT },
		  UP },
		{ "out, which may be cut", XDP_INSIDE, { FROM_HOST, UDP, 5001, 80, .payload = 1800 }, UP },
		{ "in, which may be cut",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 80, PORT, .payload = 1800 },
		  PASS_XDP,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    80,
		    5001,
		    .payload = 1800 },
		  REASON_out2in_translated },
	};

	run_segments(1472, fitting, sizeof(fitting) / sizeof(*fitting));
	run_segments(1473, longer, sizeof(longer) / sizeof(*longer));
}

/* The sender of segments that must not be cut is told the MTU: by the datapath, but for what GRO may have merged. */
static void expect_too_big(const char *name, uint8_t proto, uint16_t segment, bool merged)
{
	const struct frame f = {
		FROM_ROUTER, proto, 80, PORT, .flags = 0x18, .payload = 1800, .options = DONT_FRAGMENT
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	gso_size = segment;
	run_frame_counted(name, XDP_OUTSIDE, in, size, out, &out_size, merged ? PASS_XDP : REDIRECT_XDP,
			  merged ? REASON_out2in_translated : REASON_drop_too_big);
	gso_size = 0;
	if (merged)
		return;
	cr_expect_eq(out[34], 3, "%s: type", name);
	cr_expect_eq(out[35], 4, "%s: code", name);
	cr_expect_eq(out[40] << 8 | out[41], 1500, "%s: MTU", name);
	/* The quote is the packet that was sent first: of a segment, not of the frame. */
	cr_expect_eq(out[44] << 8 | out[45], segment + (proto == TCP ? 40 : 28), "%s: length of the quote", name);
}

Test(redirect, segments_inwards_that_must_not_be_cut_are_answered)
{
	cr_assert_eq(open_flow(UDP, 5001, 80, 0), PORT);
	cr_assert_eq(open_flow(TCP, 5001, 80, 2), PORT);
	refresh_followed_routes();
	expect_too_big("TCP", TCP, 1461, false);
	age_sessions(SUBSCRIBER, 1);
	datapath.device[outside_ifindex].flags |= DEVICE_MERGED;
	datapath_raise_epoch(&datapath);
	expect_too_big("TCP that may have been merged", TCP, 1461, true);
	expect_too_big("UDP that may have been merged", UDP, 1473, true);
}

/* In the frame they are of a VLAN that is not here; the kernel takes off what belongs to an interface. */
Test(redirect, frames_with_a_tag_are_left_as_they_are)
{
	static const struct row rows[] = {
		{ "out", XDP_INSIDE, { FROM_HOST, UDP, 5001, 53, .options = VLAN }, UP },
		{ "in", XDP_OUTSIDE, { FROM_ROUTER, UDP, 53, PORT, .options = VLAN }, UP },
	};

	RUN_ROWS(rows);
}

/* Without an Ethernet header there is nobody to ask for. The kernel takes off what stands before the packet. */
Test(redirect, interfaces_without_an_ethernet_header_are_sent_to_without_asking)
{
	static const struct frame f = { FROM_HOST, UDP, 5001, 53 }, left = { TO_ROUTER, UDP, PORT, 53 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size, want_size = frame_build(&left, want);

	run("ip route add 198.51.100.7/32 via 198.51.100.77");
	datapath.device[outside_ifindex].flags |= DEVICE_BARE;
	datapath_raise_epoch(&datapath);
	memset(want, 0, 12);
	run_frame_counted("out", XDP_INSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_in2out_translated);
	cr_expect(frame_equal("out", out, out_size, want, want_size));
	cr_expect_eq(counted(REASON_redirect_unresolved), 0);
}

Test(redirect, the_kernel_resolves_the_next_hop)
{
	static const struct row rows[] = {
		{ "out",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { TO_NEIGHBOUR, UDP, PORT, 53 },
		  REASON_in2out_translated },
		{ "as long as the route takes",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 53, .payload = 972 },
		  REDIRECT_XDP,
		  { TO_NEIGHBOUR, UDP, PORT, 53, .payload = 972 },
		  REASON_in2out_translated },
		{ "longer by an octet", XDP_INSIDE, { FROM_HOST, UDP, 5001, 53, .payload = 973 }, UP },
	};

	run("ip route add 198.51.100.7/32 via 198.51.100.77 mtu lock 1000");
	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_redirect_unresolved), 2);
}

/* A program's way out, and what that of the egress of an interface makes of the frame, whose control block is kept. */
static struct __sk_buff sent(const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	struct __sk_buff skb = { .ifindex = inside_ifindex, .priority = TC_PRIO_BULK }, after = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .ctx_in = &skb, .ctx_size_in = sizeof(skb), .ctx_out = &after,
		    .ctx_size_out = sizeof(after), .repeat = 1);
	_cleanup_close_ int fd = hook_program(XDP_INSIDE);

	cr_assert_eq(bpf_prog_test_run_opts(fd, &opts), 0, "%s", strerror(errno));
	cr_expect_eq((int)opts.retval, REDIRECT_TC);
	*ret_size = opts.data_size_out;
	return after;
}

static int at_egress(const struct __sk_buff *of, uint32_t ifindex, const uint8_t *in, size_t size, uint8_t *out)
{
	struct __sk_buff skb = { .ifindex = ifindex, .ingress_ifindex = inside_ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .ctx_in = &skb, .ctx_size_in = sizeof(skb), .repeat = 1);

	memcpy(skb.cb, of->cb, sizeof(skb.cb));
	cr_assert_eq(bpf_prog_test_run_opts(tc_program(), &opts), 0, "%s", strerror(errno));
	return (int)opts.retval;
}

Test(redirect, what_it_sends_passes_the_egress_of_its_way_out_alone)
{
	static const struct frame f = { FROM_HOST, UDP, 5001, 53 };
	static const struct __sk_buff unmarked;
	uint8_t in[FRAME_MAX], out[FRAME_MAX], left[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;
	struct __sk_buff after = sent(in, size, out, &out_size);
	uint64_t passed = counted(REASON_passed_untranslated);

	cr_expect_eq(at_egress(&after, outside_ifindex, out, out_size, left), PASS_TC);
	cr_expect_eq(counted(REASON_passed_untranslated), passed);
	cr_expect(!memcmp(left, out, out_size));
	cr_expect_eq(at_egress(&unmarked, outside_ifindex, out, out_size, left), DROP_TC);
	/* The mark is of one interface. */
	after.cb[4] ^= 1;
	cr_expect_eq(at_egress(&after, outside_ifindex, out, out_size, left), DROP_TC);
}

/* As ip_forward() does it, by the type of service. */
Test(redirect, the_priority_is_that_of_a_forwarded_packet)
{
	static const struct {
		uint8_t tos;
		uint32_t priority;
	} all[] = { { 0, TC_PRIO_BESTEFFORT },	       { 0x03, TC_PRIO_BESTEFFORT },	   { 0x08, TC_PRIO_BULK },
		    { 0x10, TC_PRIO_INTERACTIVE },     { 0x18, TC_PRIO_INTERACTIVE_BULK }, { 0xe2, TC_PRIO_BESTEFFORT },
		    { 0xb8, TC_PRIO_INTERACTIVE_BULK } };
	static const struct frame f = { FROM_HOST, UDP, 5001, 53 };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t size = frame_build(&f, in), out_size;
		uint16_t sum;

		in[15] = all[i].tos;
		in[24] = in[25] = 0;
		sum = sum_finish(sum_octets(in + 14, 20, 0));
		in[24] = (uint8_t)(sum >> 8);
		in[25] = (uint8_t)sum;
		cr_expect_eq(sent(in, size, out, &out_size).priority, all[i].priority, "%#x", all[i].tos);
	}
}
