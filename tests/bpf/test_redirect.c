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
