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

#include <detnat/unsolicited.h>

#include "fixture.h"
#include "told_routes.h"

static void set_up_answers(void)
{
	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	set_up();
}

TestSuite(unsolicited, .init = set_up_answers, .fini = tear_down);
TestSuite(unsolicited_drop, .init = set_up, .fini = tear_down);

#define F 0x01
#define S 0x02
#define R 0x04
#define P 0x08
#define A 0x10

#define TO_POOL .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define SEQ	0x01020304U /* of frame_build() */

/* A segment, and what its reset says. */
struct reset_row {
	const char *name;
	struct frame in;
	uint32_t seq, ack;    /* of the segment; a seq of 0 is that of frame_build() */
	unsigned tcp_options; /* octets of the payload that are TCP options, a multiple of 4 */
	uint8_t flags;	      /* of the reset; 0: there is none */
	uint32_t reset_seq, reset_ack;
};

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The checksum of the segment at l4 of so many octets, computed anew. */
static void seal(uint8_t *ip, uint8_t *l4, uint16_t octets)
{
	uint8_t pseudo[12] = { [9] = TCP, [10] = (uint8_t)(octets >> 8), [11] = (uint8_t)octets };
	uint16_t sum;

	memcpy(pseudo, ip + 12, 8);
	l4[16] = l4[17] = 0;
	sum = sum_finish(sum_octets(l4, octets, sum_octets(pseudo, sizeof(pseudo), 0)));
	l4[16] = (uint8_t)(sum >> 8);
	l4[17] = (uint8_t)sum;
}

static size_t segment_build(const struct reset_row *row, uint8_t *in)
{
	size_t size = frame_build(&row->in, in);
	uint8_t *l4 = in + 34 + row->in.ip_options;

	if (row->seq)
		put32(l4 + 4, row->seq);
	put32(l4 + 8, row->ack);
	l4[12] = (uint8_t)((5 + row->tcp_options / 4) << 4);
	seal(in + 14, l4, (uint16_t)(20 + row->in.payload));
	return size;
}

/* The reset from scratch: no options, no TOS, identification 0 with DF. */
static size_t reset_build(const struct reset_row *row, size_t in_size, uint8_t *want)
{
	struct frame f = { .from = row->in.to,
			   .to = row->in.from,
			   .src = row->in.dst,
			   .dst = row->in.src,
			   TCP,
			   row->in.dport,
			   row->in.sport,
			   .flags = row->flags,
			   .options = DONT_FRAGMENT };
	uint16_t sum;

	frame_build(&f, want);
	want[15] = 0;
	want[18] = want[19] = 0;
	want[24] = want[25] = 0;
	sum = sum_finish(sum_octets(want + 14, 20, 0));
	want[24] = (uint8_t)(sum >> 8);
	want[25] = (uint8_t)sum;
	put32(want + 38, row->reset_seq);
	put32(want + 42, row->reset_ack);
	want[48] = want[49] = 0; /* window */
	seal(want + 14, want + 34, 20);
	return in_size < 60 ? in_size : 60;
}

static void run_reset(const struct reset_row *row, enum hook hook)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	uint64_t resets = counted(REASON_sent_tcp_reset);
	size_t size = segment_build(row, in), out_size, want_size;

	run_frame_counted(row->name, hook, in, size, out, &out_size, row->flags ? REDIRECT_XDP : DROP_XDP,
			  REASON_drop_no_session);
	cr_expect_eq(counted(REASON_sent_tcp_reset) - resets, !!row->flags, "%s", row->name);
	if (!row->flags)
		return;
	want_size = reset_build(row, size, want);
	cr_expect(frame_equal(row->name, out, out_size, want, want_size), "%s: another packet", row->name);
}

static void run_resets(const struct reset_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		run_reset(&rows[i], XDP_OUTSIDE);
		run_reset(&rows[i], XDP_OUTSIDE_SLOW);
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

#define RUN_RESETS(rows) run_resets(rows, sizeof(rows) / sizeof(*(rows)))

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

struct taken {
	unsigned n;
	struct unsolicited_syn last;
};

static int take(void *arg, void *data, size_t size)
{
	struct taken *t = arg;

	cr_assert_eq(size, sizeof(t->last));
	memcpy(&t->last, data, size);
	t->n++;
	return 0;
}

static unsigned handed_over(struct taken *t)
{
	struct ring_buffer *ring = ring_buffer__new(datapath.unsolicited_syns, take, t, NULL);

	t->n = 0;
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return t->n;
}

Test(unsolicited, syns_go_to_the_agent)
{
	static const struct reset_row rows[] = {
		{ "SYN", { TO_POOL, TCP, 80, 3333, .flags = S } },
		{ "SYN with ECN", { TO_POOL, TCP, 80, 3333, .flags = S | 0xc0 } },
		{ "SYN with options",
		  { TO_POOL, TCP, 80, 3333, .flags = S, .payload = 40, .ip_options = 40 },
		  .tcp_options = 40 },
		{ "SYN with text", { TO_POOL, TCP, 80, 3333, .flags = S, .payload = 1000 } },
		{ "SYN to a port of no subscriber", { TO_POOL, TCP, 80, 22, .flags = S } },
	};
	struct taken t;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t in[FRAME_MAX];
		size_t quote;

		run_reset(&rows[i], XDP_OUTSIDE);
		cr_assert_eq(handed_over(&t), 1, "%s", rows[i].name);
		segment_build(&rows[i], in);
		quote = 40U + rows[i].in.ip_options + rows[i].in.payload;
		quote = quote < UNSOLICITED_QUOTE_MAX ? quote : UNSOLICITED_QUOTE_MAX;
		cr_expect(frame_equal(rows[i].name, t.last.packet, t.last.length, in + 14, quote));
		cr_expect_eq(t.last.ifindex, outside_ifindex);
		cr_expect_eq(t.last.of.ext_addr, EXTERNAL);
		cr_expect_eq(t.last.of.ext_port, 80);
		cr_expect_eq(t.last.of.out_addr, POOL);
		cr_expect_eq(t.last.of.out_port, rows[i].in.dport);
		cr_expect_eq(t.last.of.proto, TCP);
	}
}

Test(unsolicited, nothing_else_goes_to_the_agent)
{
	static const struct reset_row rows[] = {
		{ "RST and SYN", { TO_POOL, TCP, 80, 3333, .flags = R | S } },
		{ "from the loopback",
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(127, 0, 0, 1),
		    .dst = POOL,
		    TCP,
		    80,
		    22,
		    .flags = S } },
		{ "a fragment", { TO_POOL, TCP, 80, 3333, .flags = S, .payload = 20, .options = MORE_FRAGMENTS } },
	};
	struct taken t;

	RUN_RESETS(rows);
	cr_expect_eq(handed_over(&t), 0);
}

/* Nobody takes them: the ring buffer is full at some time, and the datapath goes on. */
Test(unsolicited, without_an_agent)
{
	const struct reset_row row = { "SYN", { TO_POOL, TCP, 80, 3333, .flags = S } };
	uint64_t dropped = counted(REASON_drop_no_session);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = segment_build(&row, in), out_size;
	struct taken t;
	unsigned n;

	for (unsigned i = 0; i < 3000; i++) {
		if (!(i % 100))
			refresh_followed_routes();
		cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), DROP_XDP);
	}
	cr_expect_eq(counted(REASON_drop_no_session) - dropped, 3000);
	n = handed_over(&t);
	cr_expect(n > 1000 && n < 3000, "%u", n);
}

static unsigned held(uint16_t ext_port, uint16_t out_port, uint8_t proto)
{
	struct session_question q = {
		.ext_addr = EXTERNAL, .out_addr = POOL, .ext_port = ext_port, .out_port = out_port, .proto = proto
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &q, .ctx_size_in = sizeof(q));

	cr_assert_eq(bpf_prog_test_run_opts(datapath.session_held, &run), 0);
	return run.retval;
}

/* Opens a session to port 80; its outside port. */
static uint16_t open_from_inside(uint16_t port)
{
	const struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, TCP, port, 80, .flags = S
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	cr_assert_eq(run_frame(XDP_INSIDE, in, frame_build(&f, in), out, &size), REDIRECT_XDP);
	return (uint16_t)(out[34] << 8 | out[35]);
}

Test(unsolicited, whether_a_session_is_held)
{
	uint16_t out_port = OUT_PORT(5000, 2);

	cr_expect_eq(held(80, out_port, TCP), 0);
	open_from_inside(5000);
	cr_expect_eq(held(80, out_port, TCP), 1);
	cr_expect_eq(held(81, out_port, TCP), 0);
	cr_expect_eq(held(80, out_port + 1, TCP), 0);
	cr_expect_eq(held(80, out_port, UDP), 0);
	cr_expect_eq(held(80, 22, TCP), 0, "a port of no subscriber");
	age_sessions(SUBSCRIBER, 241);
	cr_expect_eq(held(80, out_port, TCP), 0, "it has expired");
}

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
Test(unsolicited, whether_a_session_beyond_the_slots_is_held)
{
	uint16_t out_port = 0;

	for (uint16_t i = 0; i < 9; i++)
		out_port = open_from_inside((uint16_t)(6304 + i * PORTS));
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);
	cr_expect_eq(held(80, out_port, TCP), 1);
	cr_expect_eq(held(81, out_port, TCP), 0);
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
