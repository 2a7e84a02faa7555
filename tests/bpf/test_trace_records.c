// SPDX-License-Identifier: BSD-2-Clause
/* The tracing build: which packets a filter lets through, and what a record says of the packet itself. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <detnat/trace.h>

#include "datapath/datapath_private.h"

#include "icmp_frame.h"
#include "portmap_fixture.h"
#include "staged.h"

static struct ring_buffer *ring;
static struct trace_record got;

static int keep(void *arg, void *data, size_t size)
{
	cr_assert_eq(size, sizeof(got));
	memcpy(&got, data, sizeof(got));
	return 0;
}

static void set_up_records(void)
{
	setenv("TRACED", "1", 1);
	unsetenv("STAGES");
	portmap_set_up();
	stay_on_one_core();
	ring = ring_buffer__new(datapath.trace_ring, keep, NULL, NULL);
	cr_assert_not_null(ring);
}

static void tear_down_records(void)
{
	ring_buffer__free(ring);
	portmap_tear_down();
}

TestSuite(trace_records, .init = set_up_records, .fini = tear_down_records);

#define FAR	 ADDR(192, 0, 2, 33) /* a router outside */
#define PORT	 OUT_PORT(7000, 2)
#define REPLY(n) ICMP, .dport = (n), .icmp_type = ECHO_REPLY_TYPE

static void set_filter(const struct trace_filter *f)
{
	uint32_t zero = 0;

	cr_assert_eq(bpf_map_update_elem(datapath.trace_filter, &zero, f, BPF_ANY), 0);
}

/* Runs a frame; the number of records of it. The last one is in got. */
static int traced(enum hook hook, const uint8_t *in, size_t size)
{
	uint8_t out[FRAME_MAX];
	size_t out_size;

	run_frame(hook, in, size, out, &out_size);
	return ring_buffer__consume(ring);
}

static int traced_frame(enum hook hook, const struct frame *f)
{
	uint8_t in[FRAME_MAX];

	return traced(hook, in, frame_build(f, in));
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Host byte order. */
struct said {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t quoted_src, quoted_dst;
	uint16_t quoted_sport, quoted_dport;
	uint16_t ether_type, ip_length, fragment, reason;
	uint16_t vlan[2];
	uint8_t n_tags, proto, ttl, tcp_flags, icmp_type, icmp_code;
};

#define EXPECT_SAID(field, value)                                                                         \
	cr_expect_eq(value, s->field, "%s: " #field " %llu, not %llu", name, (unsigned long long)(value), \
		     (unsigned long long)s->field)

static void expect_said(const char *name, enum hook hook, const uint8_t *frame, size_t size, const struct said *s)
{
	const struct trace_filter all = { .left = INT64_MAX, .generation = 77 };
	uint64_t before = now_ns(), after;

	set_filter(&all);
	cr_assert_eq(traced(hook, frame, size), 1, "%s", name);
	after = now_ns();
	cr_expect(got.time_ns >= before && got.time_ns <= after, "%s: time", name);
	cr_expect_eq(got.generation, 77, "%s", name);
	cr_expect_eq(got.cpu, sched_getcpu(), "%s", name);
	cr_expect_eq(got.length, size, "%s", name);
	cr_expect_eq(got.missed, 0, "%s", name);
	cr_expect_eq(got.hook, hook == TC_OUTSIDE ? TRACE_HOOK_TC : TRACE_HOOK_XDP, "%s", name);
	cr_expect_eq(got.ifindex, hook == XDP_INSIDE ? inside_ifindex : outside_ifindex, "%s", name);
	EXPECT_SAID(ether_type, got.ether_type);
	EXPECT_SAID(ip_length, got.ip_length);
	EXPECT_SAID(fragment, got.fragment);
	EXPECT_SAID(reason, got.reason);
	EXPECT_SAID(n_tags, got.n_tags);
	EXPECT_SAID(vlan[0], got.vlan[0]);
	EXPECT_SAID(vlan[1], got.vlan[1]);
	EXPECT_SAID(proto, got.proto);
	EXPECT_SAID(ttl, got.ttl);
	EXPECT_SAID(tcp_flags, got.tcp_flags);
	EXPECT_SAID(icmp_type, got.icmp_type);
	EXPECT_SAID(icmp_code, got.icmp_code);
	cr_expect_eq(got.step[0].kind, TRACE_received, "%s", name);
	EXPECT_SAID(src, got.step[0].src);
	EXPECT_SAID(dst, got.step[0].dst);
	EXPECT_SAID(sport, got.step[0].sport);
	EXPECT_SAID(dport, got.step[0].dport);
	EXPECT_SAID(quoted_src, (uint32_t)(got.step[0].a >> 32));
	EXPECT_SAID(quoted_dst, (uint32_t)got.step[0].a);
	EXPECT_SAID(quoted_sport, (uint16_t)(got.step[0].b >> 16));
	EXPECT_SAID(quoted_dport, (uint16_t)got.step[0].b);
	for (unsigned i = 0; i < got.n_steps; i++)
		cr_expect_leq(got.step[i].elapsed_ns, after - before, "%s: step %u", name, i);
	cr_expect_eq(got.step[got.n_steps - 1].kind, TRACE_end, "%s", name);
	cr_expect_eq(got.step[got.n_steps - 1].b, 0, "%s", name);
}

#define IP   .ether_type = 0x0800, .ttl = 64
#define OUT_ .reason = REASON_in2out_translated, .src = SUBSCRIBER, .dst = EXTERNAL
#define IN_  .src = EXTERNAL, .dst = POOL

Test(trace_records, a_record_describes_a_packet)
{
	static const struct {
		const char *name;
		enum hook hook;
		struct frame f;
		struct said said;
	} rows[] = {
		{ "UDP",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, .ttl = 99, .payload = 2 },
		  { OUT_, 7000, 53, .ether_type = 0x0800, .ttl = 99, .ip_length = 30, .proto = UDP } },
		{ "TCP behind options",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 7000, 80, .flags = 0xc2, .ip_options = 40 },
		  { OUT_, 7000, 80, IP, .ip_length = 80, .proto = TCP, .tcp_flags = 0xc2 } },
		{ "at tc",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 7001, 53, .options = DONT_FRAGMENT },
		  { OUT_, 7001, 53, IP, .ip_length = 28, .fragment = 0x4000, .proto = UDP } },
		{ "an echo request",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, 4321 },
		  { OUT_, 4321, 0, IP, .ip_length = 28, .proto = ICMP, .icmp_type = 8 } },
		{ "the reply",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, REPLY(OUT_PORT(4321, 2)) },
		  { IN_, 0, OUT_PORT(4321, 2), IP, .ip_length = 28, .proto = ICMP,
		    .reason = REASON_out2in_translated } },
		{ "of no session",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7005, 2) },
		  { IN_, 53, OUT_PORT(7005, 2), IP, .ip_length = 28, .proto = UDP, .reason = REASON_drop_no_session } },
		{ "a later fragment, which has no ports",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 80, 90, .flags = 0xff, .options = LATER_FRAGMENT },
		  { IN_, IP, .ip_length = 40, .fragment = 100, .proto = TCP, .reason = REASON_drop_fragment } },
		{ "of a protocol without ports",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, 47, 80, 90, .payload = 20 },
		  { IN_, IP, .ip_length = 48, .proto = 47, .reason = REASON_drop_protocol } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t in[FRAME_MAX];

		expect_said(rows[i].name, rows[i].hook, in, frame_build(&rows[i].f, in), &rows[i].said);
	}
}

Test(trace_records, a_record_describes_a_quote)
{
	static const uint8_t types[] = { 3, 4, 5, 11, 12 };
	struct icmp_error e = { .src = FAR, .from = ROUTER, .to = GATEWAY_OUT, .dst = POOL };
	uint8_t in[FRAME_MAX];

	open_flow(UDP, 7000, 53, 0);
	open_flow(ICMP, 4321, 0, 0);
	ring_buffer__consume(ring);
	for (unsigned i = 0; i < sizeof(types); i++) {
		const struct said s = { FAR,
					POOL,
					.quoted_src = POOL,
					.quoted_dst = EXTERNAL,
					.quoted_sport = PORT,
					.quoted_dport = 53,
					IP,
					.ip_length = 28 + 40,
					.proto = ICMP,
					.icmp_type = types[i],
					.icmp_code = 1,
					.reason =
						types[i] == 5 ? REASON_drop_no_session : REASON_icmp_error_translated };

		e.type = types[i];
		e.code = 1;
		e.quote = (struct frame){ .src = POOL, .dst = EXTERNAL, UDP, PORT, 53, .payload = 0, .ip_options = 12 };
		expect_said("UDP", XDP_OUTSIDE, in, icmp_error_build(&e, in), &s);
	}
	e.type = 11;
	e.code = 0;
	e.quote = (struct frame){ .src = POOL, .dst = EXTERNAL, ICMP, OUT_PORT(4321, 2) };
	expect_said("an echo request", XDP_OUTSIDE, in, icmp_error_build(&e, in),
		    &(struct said){ FAR, POOL, .quoted_src = POOL, .quoted_dst = EXTERNAL,
				    .quoted_sport = OUT_PORT(4321, 2), IP, .ip_length = 56, .proto = ICMP,
				    .icmp_type = 11, .reason = REASON_icmp_error_translated });
	e.quote = (struct frame){ .src = POOL, .dst = EXTERNAL, UDP, PORT, 53, .options = LATER_FRAGMENT };
	expect_said("a later fragment", XDP_OUTSIDE, in, icmp_error_build(&e, in),
		    &(struct said){ FAR, POOL, .quoted_src = POOL, .quoted_dst = EXTERNAL, IP, .ip_length = 56,
				    .proto = ICMP, .icmp_type = 11, .reason = REASON_drop_malformed });
}

Test(trace_records, a_record_describes_other_frames)
{
	static const uint8_t arp[] = { 2,   0,	0,   0, 0, GATEWAY_OUT, 2, 0, 0, 0, 0,	 ROUTER, 8,   6,
				       0,   1,	8,   0, 6, 4,		0, 2, 2, 0, 0,	 0,	 0,   4,
				       198, 51, 100, 7, 2, 0,		0, 0, 0, 2, 203, 0,	 113, 9 };
	static const uint8_t tags[] = { 0x88, 0xa8, 0xeb, 0xb8, 0x81, 0x00, 0x0f, 0xfe };
	static const struct frame f = { FROM_ROUTER, UDP, 53, PORT };
	uint8_t in[FRAME_MAX];
	size_t size;

	expect_said("ARP", XDP_OUTSIDE, arp, sizeof(arp),
		    &(struct said){ EXTERNAL, ADDR(203, 0, 113, 9), .ether_type = 0x0806,
				    .reason = REASON_passed_untranslated });
	size = frame_build(&f, in);
	memmove(in + 12 + sizeof(tags), in + 12, size - 12);
	memcpy(in + 12, tags, sizeof(tags));
	expect_said("with two tags", XDP_OUTSIDE, in, size + sizeof(tags),
		    &(struct said){ IN_, 53, PORT, IP, .ip_length = 28, .proto = UDP, .n_tags = 2,
				    .vlan = { 3000, 4094 }, .reason = REASON_passed_untranslated });
	in[12] = 0x86;
	in[13] = 0xdd;
	expect_said("IPv6", XDP_OUTSIDE, in, 80,
		    &(struct said){ .ether_type = 0x86dd, .reason = REASON_passed_untranslated });
}

Test(trace_records, why_a_packet_ends_is_the_reason_of_its_record)
{
	const struct trace_filter all = { .left = INT64_MAX };
	const struct frame f = { FROM_ROUTER, UDP, 53, PORT, .payload = 20, .options = LATER_FRAGMENT };
	const struct frame gre = { FROM_HOST, 47, .payload = 20 };
	bool withheld = false;

	set_filter(&all);
	datapath.global->fragments_until = datapath_ticks(&datapath) + 1000;
	cr_assert_eq(traced_frame(XDP_OUTSIDE, &f), 1);
	cr_expect_eq(got.reason, REASON_fragments_parked);
	datapath.table->limits.icmp_due_ns = now_ns() + 1000000000000;
	cr_assert_eq(traced_frame(XDP_INSIDE, &gre), 1);
	cr_expect_eq(got.reason, REASON_drop_protocol);
	for (unsigned i = 0; i < got.n_steps; i++)
		withheld |= got.step[i].kind == TRACE_withheld;
	cr_expect(withheld);
	for (uint32_t prog = 0; prog < N_PROGS; prog++)
		cr_assert(!bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &prog) || errno == ENOENT);
	cr_assert_eq(traced_frame(XDP_INSIDE, &gre), 1);
	cr_expect_eq(got.reason, REASON_no_program);
}

Test(trace_records, a_session_beyond_the_slots_is_told_of)
{
	const struct trace_filter all = { .left = INT64_MAX };
	unsigned beyond = 0, sessions = 0;

	for (unsigned i = 0; i < 8; i++)
		open_flow(UDP, (uint16_t)(6304 + i * PORTS), 53, 0);
	ring_buffer__consume(ring);
	set_filter(&all);
	open_flow(UDP, 6304 + 8 * PORTS, 53, 0);
	cr_assert_eq(ring_buffer__consume(ring), 1);
	for (unsigned i = 0; i < got.n_steps; i++) {
		beyond += got.step[i].kind == TRACE_overflowed;
		sessions += got.step[i].kind == TRACE_opened || got.step[i].kind == TRACE_session;
	}
	cr_expect_eq(beyond, 1);
	cr_expect_eq(sessions, 1);
}
