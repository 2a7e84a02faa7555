// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the guard at the egress of an outside interface lets out of what other interfaces route: pin stands for one that
 * has no role, behind which 2001:db8:1::/48 lives; 2001:db8::1 is the gateway's own.
 */
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "fixture.h"
#include "late_tc.h"

#define ETHERNET 14
#define ROUTED	 .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER
#define MAPPED	 ROUTED, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 5000, 53, .payload = 24

static uint32_t third_ifindex;

static void set_up_guard(void)
{
	set_up();
	third_ifindex = if_nametoindex("pin");
	cr_assert_eq(system("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding;"
			    "ip addr add 2001:db8::1/64 dev tout nodad; ip addr add 2001:db8:f::1/64 dev pin nodad;"
			    "ip route add 2001:db8:1::/48 via 2001:db8:f::2 dev pin;"
			    "ip route add default via 2001:db8::7 dev tout"),
		     0);
}

TestSuite(guard, .init = set_up_guard, .fini = tear_down);

enum shell {
	BARE,
	MPLS,	     /* labels */
	IPV6,	     /* straight after the header */
	SRV6,	     /* behind a routing header, of so many segments */
	SRV6_FRAME,  /* the same, around an Ethernet frame */
	EXTENSIONS,  /* so many destination options before it */
	HOP_BY_HOP,  /* behind so many headers of such options */
	IPV6_FRAME,  /* as SRV6_FRAME, but the frame says that it holds IPv6 */
	VERSION_5,   /* as BARE, but the packet is not of IPv4 */
	UNKNOWN_IPV6 /* UDP */
};

enum source { GATEWAY_S, THIRD_S, BEYOND_S };

struct guard_row {
	const char *name; /* a sentence */
	struct frame f;
	enum shell shell;
	unsigned count;
	enum source source; /* of the outer header */
	int verdict;
	enum reason reason;
};

#define PASSES	PASS_TC, REASON_passed_untranslated
#define DROPPED DROP_TC, REASON_drop_guard_out

static size_t put_labels(uint8_t *at, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy(at + 4 * i, (const uint8_t[]){ 0, 16, (uint8_t)(i + 1 == n), 63 }, 4);
	return 4 * (size_t)n;
}

/* Headers of IPv6 before size octets of payload. */
static size_t put_ipv6(uint8_t *at, const struct guard_row *r, size_t size)
{
	static const uint8_t from[][16] = {
		[GATEWAY_S] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 },
		[THIRD_S] = { 0x20, 1, 0x0d, 0xb8, 0, 1, [15] = 9 },
		[BEYOND_S] = { 0x20, 1, 0x0d, 0xb8, 0, 0x99, [15] = 9 },
	};
	static const uint8_t to[16] = { 0x20, 1, 0x0d, 0xb8, 0, 0x77, [15] = 5 };
	const bool is_frame = r->shell == SRV6_FRAME || r->shell == IPV6_FRAME;
	const uint8_t options = r->shell == HOP_BY_HOP ? 0 : 60;
	const uint8_t last = is_frame ? 143 : r->shell == UNKNOWN_IPV6 ? UDP : 4;
	uint8_t *extension = at + 40;

	memset(at, 0, 40);
	at[0] = 0x60;
	at[7] = 63;
	memcpy(at + 8, from[r->source], 16);
	memcpy(at + 24, to, 16);
	if (r->shell == SRV6 || is_frame) {
		const uint8_t segments = (uint8_t)(r->count ? r->count : 1);

		at[6] = 43;
		memset(extension, 0, 8 + 16U * segments);
		memcpy(extension, (const uint8_t[]){ last, (uint8_t)(2 * segments), 4, 0, (uint8_t)(segments - 1) }, 5);
		extension += 8 + 16 * segments;
	} else if (r->shell == EXTENSIONS || r->shell == HOP_BY_HOP) {
		at[6] = options;
		for (unsigned i = 0; i < r->count; i++, extension += 8)
			memcpy(extension, (const uint8_t[]){ i + 1 == r->count ? last : options, 0, 1, 4, 0, 0, 0, 0 },
			       8);
	} else {
		at[6] = last;
	}
	size += (size_t)(extension - (at + 40));
	at[4] = (uint8_t)(size >> 8);
	at[5] = (uint8_t)size;
	return (size_t)(extension - at);
}

/* The row's frame. *ret_head: octets up to the end of the IPv4 header. */
static size_t build(const struct guard_row *r, uint8_t *frame, size_t *ret_head)
{
	uint8_t inner[FRAME_MAX];
	size_t size = frame_build(&r->f, inner), at = ETHERNET;
	const size_t from = r->shell == SRV6_FRAME || r->shell == IPV6_FRAME ? 0 : ETHERNET;

	memcpy(frame, inner, ETHERNET);
	if (r->shell == IPV6_FRAME)
		memcpy(inner + 12, (const uint8_t[]){ 0x86, 0xdd }, 2);
	if (r->shell == VERSION_5)
		inner[ETHERNET] = 0x55;
	if (r->shell == MPLS) {
		memcpy(frame + 12, (const uint8_t[]){ 0x88, 0x47 }, 2);
		at += put_labels(frame + at, r->count);
	} else if (r->shell != BARE && r->shell != VERSION_5) {
		memcpy(frame + 12, (const uint8_t[]){ 0x86, 0xdd }, 2);
		at += put_ipv6(frame + at, r, size - from);
	}
	memcpy(frame + at, inner + from, size - from);
	*ret_head = at + (ETHERNET - from) + 20 + r->f.ip_options;
	return at + size - from;
}

/* Runs a frame at the egress of the outside interface. ingress: where it came from; 0: the gateway has made it. */
static int run_from(uint32_t ingress, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	struct __sk_buff skb = { .ifindex = outside_ifindex, .ingress_ifindex = ingress };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = (uint32_t)size, .data_out = out,
		    .data_size_out = FRAME_MAX, .repeat = 1, .ctx_in = &skb, .ctx_size_in = sizeof(skb));

	cr_assert_eq(bpf_prog_test_run_opts(tc_program(), &opts), 0, "BPF_PROG_TEST_RUN: %s", strerror(errno));
	*ret_size = opts.data_size_out;
	return (int)opts.retval;
}

static struct counters read_counters(void)
{
	struct counters c;

	cr_assert_eq(datapath_counters(&datapath, &c), 0);
	return c;
}

/* The frame is left as it is, judged so, and counted once, for this reason alone. */
static void expect_judged(const char *name, uint32_t ingress, const uint8_t *in, size_t size, int verdict,
			  enum reason reason)
{
	uint8_t out[FRAME_MAX];
	struct counters before = read_counters(), after;
	size_t out_size;
	int got = run_from(ingress, in, size, out, &out_size);

	after = read_counters();
	for (unsigned i = 0; i < sizeof(after) / sizeof(uint64_t); i++) {
		uint64_t change = ((uint64_t *)&after)[i] - ((uint64_t *)&before)[i];

		cr_expect_eq(change, i == reason, "%s: counter %u rose by %lu", name, i, change);
	}
	cr_expect_eq(got, verdict, "%s: verdict %d, not %d", name, got, verdict);
	cr_expect(frame_equal(name, out, out_size, in, size), "%s: another packet", name);
}

static void judge_rows(uint32_t ingress, const struct guard_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t in[FRAME_MAX];
		size_t head, size = build(&rows[i], in, &head);

		expect_judged(rows[i].name, ingress, in, size, rows[i].verdict, rows[i].reason);
	}
}

#define JUDGE(ingress, rows) judge_rows(ingress, rows, sizeof(rows) / sizeof(*(rows)))

static void set_bypass(uint32_t first, uint32_t last)
{
	for (uint32_t i = 0; i < MAX_BYPASS; i++)
		settings.bypass[i] =
			i ? (struct address_range){ .first = UINT32_MAX } : (struct address_range){ first, last };
	settings.n_bypass = 1;
	reload_settings();
}

#define OF(source, dest) ROUTED, .src = source, .dst = dest, UDP, 5000, 53, .payload = 24

static const struct guard_row routed[] = {
	{ "a mapped source", { MAPPED }, .verdict = DROPPED },
	{ "the first address of the mapping", { OF(ADDR(10, 0, 0, 0), EXTERNAL) }, .verdict = DROPPED },
	{ "the last address of the mapping", { OF(ADDR(10, 0, 0, 255), EXTERNAL) }, .verdict = DROPPED },
	{ "the address after the last", { OF(ADDR(10, 0, 1, 0), EXTERNAL) }, .verdict = PASSES },
	{ "the address before the first", { OF(ADDR(9, 255, 255, 255), EXTERNAL) }, .verdict = PASSES },
	{ "TCP of a mapped source", { ROUTED, .src = SUBSCRIBER, .dst = EXTERNAL, TCP, 1, 2 }, .verdict = DROPPED },
	{ "ICMP of a mapped source", { ROUTED, .src = SUBSCRIBER, .dst = EXTERNAL, ICMP, 1 }, .verdict = DROPPED },
	{ "a later fragment", { MAPPED, .options = LATER_FRAGMENT }, .verdict = DROPPED },
	{ "behind IP options", { MAPPED, .ip_options = 40 }, .verdict = DROPPED },
	{ "from a pool address", { OF(POOL, EXTERNAL) }, .verdict = PASSES },
	{ "to another mapped address", { OF(SUBSCRIBER, OTHER) }, .verdict = DROPPED },
	{ "that says it is of another version", { MAPPED }, VERSION_5, .verdict = PASSES },
	{ "to a mapped address, from none", { OF(UNMAPPED, SUBSCRIBER) }, .verdict = PASSES },
};

Test(guard, a_packet_from_an_interface_without_a_role_is_routed_out)
{
	JUDGE(third_ifindex, routed);
}

static const struct guard_row wrapped[] = {
	{ "behind a label", { MAPPED }, MPLS, 1, .verdict = DROPPED },
	{ "behind two labels", { MAPPED }, MPLS, 2, .verdict = DROPPED },
	{ "behind the 30 labels that a route may have", { MAPPED }, MPLS, 30, .verdict = DROPPED },
	{ "behind 32 labels", { MAPPED }, MPLS, 32, .verdict = DROPPED },
	{ "an unmapped source behind 32 labels", { OF(UNMAPPED, EXTERNAL) }, MPLS, 32, .verdict = PASSES },
	{ "behind more labels than are looked at", { MAPPED }, MPLS, 33, .verdict = DROPPED },
	{ "any source behind more labels than are looked at",
	  { OF(UNMAPPED, EXTERNAL) },
	  MPLS,
	  40,
	  .verdict = DROPPED },
	{ "an unmapped source behind a label", { OF(UNMAPPED, EXTERNAL) }, MPLS, 1, .verdict = PASSES },
	{ "in the gateway's IPv6", { MAPPED }, IPV6, .verdict = DROPPED },
	{ "in the gateway's SRv6, of one segment", { MAPPED }, SRV6, 1, .verdict = DROPPED },
	{ "in the gateway's SRv6, of nine segments", { MAPPED }, SRV6, 9, .verdict = DROPPED },
	{ "in a frame of the gateway's SRv6", { MAPPED }, SRV6_FRAME, 1, .verdict = DROPPED },
	{ "behind five extension headers", { MAPPED }, EXTENSIONS, 5, .verdict = DROPPED },
	{ "behind six extension headers", { MAPPED }, EXTENSIONS, 6, .verdict = DROPPED },
	{ "behind more extension headers than are looked at", { MAPPED }, EXTENSIONS, 7, .verdict = DROPPED },
	{ "behind hop-by-hop options", { MAPPED }, HOP_BY_HOP, 1, .verdict = DROPPED },
	{ "behind two of them", { MAPPED }, HOP_BY_HOP, 2, .verdict = DROPPED },
	{ "in a frame of SRv6 that is not of IPv4", { MAPPED }, IPV6_FRAME, 1, .verdict = PASSES },
	{ "a customer's, behind as many", { MAPPED }, EXTENSIONS, 7, THIRD_S, PASSES },
	{ "an unmapped source in SRv6", { OF(UNMAPPED, EXTERNAL) }, SRV6, 2, .verdict = PASSES },
	{ "an unmapped source in a frame of SRv6", { OF(UNMAPPED, EXTERNAL) }, SRV6_FRAME, 2, .verdict = PASSES },
	{ "UDP in IPv6", { MAPPED }, UNKNOWN_IPV6, .verdict = PASSES },
	{ "a source that no route gives the gateway", { MAPPED }, IPV6, 0, BEYOND_S, DROPPED },
	{ "a customer's tunnel", { MAPPED }, IPV6, 0, THIRD_S, PASSES },
	{ "a customer's tunnel with extension headers", { MAPPED }, EXTENSIONS, 2, THIRD_S, PASSES },
	{ "a customer's SRv6", { MAPPED }, SRV6, 2, THIRD_S, PASSES },
};

Test(guard, a_packet_that_a_route_encapsulates_is_checked)
{
	JUDGE(third_ifindex, wrapped);
	/* The route of a subscriber's packet may encapsulate as well, past translation. */
	JUDGE(inside_ifindex, wrapped);
}

Test(guard, frames_that_end_within_their_headers_are_none)
{
	static const struct guard_row rows[] = {
		{ "labels", { MAPPED }, MPLS, 2 },
		{ "SRv6", { MAPPED }, SRV6, 2 },
		{ "frame in SRv6", { MAPPED }, SRV6_FRAME, 2 },
		{ "extension headers", { MAPPED }, EXTENSIONS, 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t in[FRAME_MAX];
		size_t head;

		build(&rows[i], in, &head);
		/* The kernel runs no program on less than the header that the frame's type names. */
		for (size_t size = rows[i].shell == MPLS ? ETHERNET + 1 : ETHERNET + 40; size < head; size++)
			expect_judged(rows[i].name, third_ifindex, in, size, PASSES);
		expect_judged(rows[i].name, third_ifindex, in, head, DROPPED);
	}
}

Test(guard, the_gateway_s_own_packets_leave)
{
	static const struct guard_row rows[] = {
		{ "plain", { MAPPED }, .verdict = PASSES },
		{ "in IPv6", { MAPPED }, IPV6, .verdict = PASSES },
		{ "behind a label", { MAPPED }, MPLS, 1, .verdict = PASSES },
	};

	JUDGE(0, rows);
}

Test(guard, towards_a_bypassed_destination_all_leave)
{
	static const struct guard_row rows[] = {
		{ "the first address", { OF(SUBSCRIBER, ADDR(198, 51, 100, 4)) }, .verdict = PASSES },
		{ "the last address", { OF(SUBSCRIBER, ADDR(198, 51, 100, 7)) }, .verdict = PASSES },
		{ "behind a label", { MAPPED }, MPLS, 1, .verdict = PASSES },
		{ "in SRv6", { MAPPED }, SRV6, 1, .verdict = PASSES },
		{ "the address before", { OF(SUBSCRIBER, ADDR(198, 51, 100, 3)) }, .verdict = DROPPED },
		{ "the address after", { OF(SUBSCRIBER, ADDR(198, 51, 100, 8)) }, .verdict = DROPPED },
	};

	set_bypass(ADDR(198, 51, 100, 4), ADDR(198, 51, 100, 7));
	JUDGE(third_ifindex, rows);
}

Test(guard, with_guard_false_all_leave)
{
	static const struct guard_row rows[] = {
		{ "plain", { MAPPED }, .verdict = PASSES },
		{ "in SRv6", { MAPPED }, SRV6, 2, .verdict = PASSES },
	};

	settings.guard = 0;
	reload_settings();
	JUDGE(third_ifindex, rows);
}

/* NAT on a stick: the outside interface also leads to subscribers. */
Test(guard, between_mapped_addresses_on_a_stick)
{
	static const struct guard_row rows[] = {
		{ "to another subscriber", { OF(SUBSCRIBER, OTHER) }, .verdict = PASSES },
		{ "to outside", { MAPPED }, .verdict = DROPPED },
		{ "to another subscriber, behind a label", { OF(SUBSCRIBER, OTHER) }, MPLS, 1, .verdict = DROPPED },
	};

	datapath.device[outside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	JUDGE(third_ifindex, rows);
}

/* A VLAN interface with reorder_hdr off: its tag is in the frame, and is taken off before the frame is judged. */
Test(guard, a_tag_in_the_frame_hides_nothing)
{
	static const struct {
		const char *name;
		uint8_t tag[4];
		int verdict;
		enum reason reason;
	} rows[] = {
		{ "the interface's own tag", { 0x81, 0, 0, 100 }, DROPPED },
		{ "its own, with a priority", { 0x81, 0, 0xe0, 100 }, DROPPED },
		{ "that of an interface above, where it is judged", { 0x81, 0, 0, 101 }, PASSES },
	};
	const struct guard_row row = { "", { MAPPED } };

	datapath.device[outside_ifindex].tag_tpid = 0x8100;
	datapath.device[outside_ifindex].tag_id = 100;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t head, size = build(&row, in, &head), out_size;
		uint64_t before = counted(rows[i].reason);

		memmove(in + 16, in + 12, size - 12);
		memcpy(in + 12, rows[i].tag, 4);
		cr_expect_eq(run_from(third_ifindex, in, size + 4, out, &out_size), rows[i].verdict, "%s",
			     rows[i].name);
		cr_expect_eq(counted(rows[i].reason), before + 1, "%s", rows[i].name);
	}
}
