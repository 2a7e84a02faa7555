// SPDX-License-Identifier: BSD-2-Clause
/*
 * TCP from outside that is of no session, where `unsolicited_tcp` is "answer": resets, whole frames compared; what is
 * handed to the agent; what is answered by nothing.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#include "told_routes.h"
#include "unsolicited_fixture.h"

static void set_up_answers(void)
{
	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	set_up();
}

TestSuite(unsolicited, .init = set_up_answers, .fini = tear_down);
TestSuite(unsolicited_drop, .init = set_up, .fini = tear_down);

/* RFC 9293 section 3.10.7.1. */
Test(unsolicited, segments_are_answered_with_resets)
{
	static const struct reset_row rows[] = {
		{ "ACK",
		  { TO_POOL, TCP, 80, 3333, .flags = A },
		  .ack = 0xfffffff0,
		  .flags = R,
		  .reset_seq = 0xfffffff0 },
		{ "ACK with text",
		  { TO_POOL, TCP, 80, 3333, .flags = A | P, .payload = 1000 },
		  .ack = 0x11223344,
		  .flags = R,
		  .reset_seq = 0x11223344 },
		{ "ACK of 0", { TO_POOL, TCP, 80, 3333, .flags = A }, .flags = R },
		{ "SYN and ACK",
		  { TO_POOL, TCP, 80, 3333, .flags = S | A, .payload = 20 },
		  .ack = 7,
		  .tcp_options = 20,
		  .flags = R,
		  .reset_seq = 7 },
		{ "FIN and ACK", { TO_POOL, TCP, 80, 3333, .flags = F | A }, .ack = 9, .flags = R, .reset_seq = 9 },
		{ "FIN", { TO_POOL, TCP, 80, 3333, .flags = F }, .ack = 9, .flags = R | A, .reset_ack = SEQ + 1 },
		{ "text without ACK",
		  { TO_POOL, TCP, 80, 3333, .flags = P, .payload = 100 },
		  .flags = R | A,
		  .reset_ack = SEQ + 100 },
		{ "text and FIN",
		  { TO_POOL, TCP, 80, 3333, .flags = F, .payload = 101 },
		  .flags = R | A,
		  .reset_ack = SEQ + 102 },
		{ "text, FIN and TCP options",
		  { TO_POOL, TCP, 80, 3333, .flags = F, .payload = 52 },
		  .tcp_options = 40,
		  .flags = R | A,
		  .reset_ack = SEQ + 13 },
		{ "at the end of the numbers",
		  { TO_POOL, TCP, 80, 3333, .flags = F, .payload = 10 },
		  .seq = 0xfffffffc,
		  .flags = R | A,
		  .reset_ack = 7 },
		{ "no flag at all", { TO_POOL, TCP, 80, 3333 }, .flags = R | A, .reset_ack = SEQ },
		{ "IP options",
		  { TO_POOL, TCP, 80, 3333, .flags = F, .payload = 30, .ip_options = 40 },
		  .tcp_options = 12,
		  .flags = R | A,
		  .reset_ack = SEQ + 19 },
		{ "a TTL of 1",
		  { TO_POOL, TCP, 80, 3333, .flags = A, .ttl = 1 },
		  .ack = 9,
		  .flags = R,
		  .reset_seq = 9 },
		{ "a port of no subscriber",
		  { TO_POOL, TCP, 80, 22, .flags = A },
		  .ack = 0x01000000,
		  .flags = R,
		  .reset_seq = 0x01000000 },
		{ "the highest ports",
		  { TO_POOL, TCP, 65535, 65535, .flags = A },
		  .ack = 0xffffffff,
		  .flags = R,
		  .reset_seq = 0xffffffff },
	};

	RUN_RESETS(rows);
}

Test(unsolicited, some_segments_get_no_reset)
{
	static const struct reset_row rows[] = {
		{ "RST", { TO_POOL, TCP, 80, 3333, .flags = R } },
		{ "RST and ACK", { TO_POOL, TCP, 80, 3333, .flags = R | A } },
		{ "RST and SYN", { TO_POOL, TCP, 80, 3333, .flags = R | S } },
		{ "from nobody",
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(0, 0, 0, 0),
		    .dst = POOL,
		    TCP,
		    80,
		    22,
		    .flags = A } },
		{ "from the loopback",
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(127, 0, 0, 1),
		    .dst = POOL,
		    TCP,
		    80,
		    22,
		    .flags = A } },
		{ "from many",
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(224, 0, 0, 1),
		    .dst = POOL,
		    TCP,
		    80,
		    22,
		    .flags = A } },
		{ "from the pool",
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL + 1, .dst = POOL, TCP, 80, 22, .flags = A } },
		{ "from a subscriber's address",
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = POOL, TCP, 80, 22, .flags = A } },
	};
	static const struct row others[] = {
		{ "from the loopback, to a subscriber's port",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(127, 0, 0, 1),
		    .dst = POOL,
		    TCP,
		    80,
		    3333,
		    .flags = A },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "from the pool, to a subscriber's port",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL + 1, .dst = POOL, TCP, 80, 3333, .flags = A },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "from a subscriber's address, to a subscriber's port",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = POOL, TCP, 80, 3333, .flags = A },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "a first fragment",
		  XDP_OUTSIDE,
		  { TO_POOL, TCP, 80, 3333, .flags = A, .payload = 20, .options = MORE_FRAGMENTS },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "a first fragment to a port of no subscriber",
		  XDP_OUTSIDE,
		  { TO_POOL, TCP, 80, 22, .flags = A, .payload = 20, .options = MORE_FRAGMENTS },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "a later fragment",
		  XDP_OUTSIDE,
		  { TO_POOL, TCP, 80, 3333, .flags = A, .payload = 20, .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_fragment },
		{ "UDP", XDP_OUTSIDE, { TO_POOL, UDP, 80, 3333 }, DROP_XDP, {}, REASON_drop_no_session },
		{ "an echo request", XDP_OUTSIDE, { TO_POOL, ICMP, 80 }, DROP_XDP, {}, REASON_drop_no_session },
		{ "to the gateway itself",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = ADDR(198, 51, 100, 1),
		    TCP,
		    80,
		    3333,
		    .flags = A },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	RUN_RESETS(rows);
	RUN_ROWS(others);
	cr_expect_eq(counted(REASON_sent_tcp_reset), 0);
}

/* Nor frames of a station that is none, or to all. */
Test(unsolicited, frames_to_many_get_no_reset)
{
	const struct reset_row row = { "ACK", { TO_POOL, TCP, 80, 3333, .flags = A } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = segment_build(&row, in), out_size;

	in[6] |= 1;
	run_frame_counted("from a group", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_no_session);
	segment_build(&row, in);
	memset(in, 0xff, 6);
	run_frame_counted("to all", XDP_OUTSIDE, in, size, out, &out_size, PASS_XDP, REASON_passed_untranslated);
	cr_expect_eq(counted(REASON_sent_tcp_reset), 0);
}

/* The table says when the next may be sent; of ICMP errors it says so apart. */
Test(unsolicited, resets_have_a_limit_of_their_own)
{
	struct reset_row row = { "over the limit", { TO_POOL, TCP, 80, 3333, .flags = A }, .ack = 5 };
	struct shared_limits *limits = &datapath.table->limits;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	limits->reset_due_ns = (uint64_t)(now.tv_sec + 1000) * 1000000000;
	run_reset(&row, XDP_OUTSIDE);
	cr_expect_eq(counted(REASON_icmp_withheld), 1);
	limits->reset_due_ns = 0;
	limits->icmp_due_ns = (uint64_t)(now.tv_sec + 1000) * 1000000000;
	row.name = "within it";
	row.flags = R;
	row.reset_seq = 5;
	run_reset(&row, XDP_OUTSIDE);
	cr_expect_neq(limits->reset_due_ns, 0, "it is booked");
}

/* Back by a VLAN interface: with its tag, from the interface below. */
Test(unsolicited, resets_carry_the_vlan_tag)
{
	const struct reset_row row = {
		"tagged", { TO_POOL, TCP, 80, 3333, .flags = A, .payload = 30 }, .ack = 77, .flags = R, .reset_seq = 77
	};
	const uint32_t below = if_nametoindex("pout"), entry = ENTRY_OUTSIDE;
	const struct vlan_key key = { .lower = below, .tpid = 0x8100, .id = 100 };
	struct device *d = &datapath.device[outside_ifindex];
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	uint32_t id, size = (uint32_t)segment_build(&row, in);
	size_t want_size = reset_build(&row, size, want);
	struct xdp_md xdp = { .data_end = size + 4, .ingress_ifindex = below };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = in, .data_size_in = size + 4, .data_out = out,
		    .data_size_out = FRAME_MAX, .ctx_in = &xdp, .ctx_size_in = sizeof(xdp), .repeat = 1);
	static const uint8_t tag[] = { 0x81, 0x00, 0x00, 100 };

	cr_assert_eq(bpf_map_update_elem(datapath.vlans, &key, &outside_ifindex, BPF_ANY), 0);
	cr_assert_eq(datapath_add_port(&datapath, below), 0);
	d->lower = below;
	d->tag_tpid = key.tpid;
	d->tag_id = key.id;
	d->flags = DEVICE_TAGGED;
	memmove(in + 16, in + 12, size - 12);
	memcpy(in + 12, tag, sizeof(tag));
	memmove(want + 16, want + 12, want_size - 12);
	memcpy(want + 12, tag, sizeof(tag));
	cr_assert_eq(bpf_map_lookup_elem(datapath.entries, &entry, &id), 0);

	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	cr_assert_eq(bpf_prog_test_run_opts(fd, &run), 0);
	cr_expect_eq(run.retval, REDIRECT_XDP);
	cr_expect_eq(counted(REASON_sent_tcp_reset), 1);
	cr_expect(frame_equal(row.name, out, run.data_size_out, want, want_size + 4));
}

/* What has a session is translated as ever, and a reset of one session is not taken for another's. */
Test(unsolicited, sessions_are_let_alone)
{
	static const struct row rows[] = {
		{ "a SYN from inside",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, TCP, 5000, 80, .flags = S },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    TCP,
		    OUT_PORT(5000, 2),
		    80,
		    .flags = S },
		  REASON_in2out_translated },
		{ "its answer",
		  XDP_OUTSIDE,
		  { TO_POOL, TCP, 80, OUT_PORT(5000, 2), .flags = S | A },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    TCP,
		    80,
		    5000,
		    .flags = S | A },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sent_tcp_reset), 0);
}

Test(unsolicited_drop, nothing_is_answered)
{
	static const struct reset_row rows[] = {
		{ "SYN", { TO_POOL, TCP, 80, 3333, .flags = S } },
		{ "ACK", { TO_POOL, TCP, 80, 3333, .flags = A } },
		{ "FIN", { TO_POOL, TCP, 80, 3333, .flags = F } },
		{ "to a port of no subscriber", { TO_POOL, TCP, 80, 22, .flags = A } },
	};
	struct taken t;

	RUN_RESETS(rows);
	cr_expect_eq(handed_over(&t), 0);
	cr_expect_eq(counted(REASON_icmp_withheld), 0);
}

Test(unsolicited_drop, a_reload_turns_it_on_and_off)
{
	struct reset_row row = {
		"answered", { TO_POOL, TCP, 80, 3333, .flags = A }, .ack = 5, .flags = R, .reset_seq = 5
	};

	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	reload_settings();
	run_reset(&row, XDP_OUTSIDE);
	settings.unsolicited_tcp = UNSOLICITED_DROP;
	reload_settings();
	row.name = "not any more";
	row.flags = 0;
	run_reset(&row, XDP_OUTSIDE);
}
