// SPDX-License-Identifier: BSD-2-Clause
/* Fragments, piece by piece: what comes out must be the pieces of the translated whole. */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/fragments.h>

#include "fixture.h"

TestSuite(fragments, .init = set_up_with_room, .fini = tear_down);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

#define IP 14

/* A datagram on its way through a hook: what goes in, and what it is as a whole behind. */
struct way {
	enum hook hook;
	struct frame in;
	struct frame out;
	int verdict;
	enum reason reason;
};

#define OUT(proto_, payload_)                                                                                         \
	((struct way){                                                                                                \
		XDP_INSIDE,                                                                                           \
		{ FROM_HOST, proto_, 7000, (proto_) == ICMP ? 0 : 53, .flags = 2, .payload = payload_ },              \
		{ TO_ROUTER, proto_, OUT_PORT(7000, 2), (proto_) == ICMP ? 0 : 53, .flags = 2, .payload = payload_ }, \
		REDIRECT_XDP,                                                                                         \
		REASON_in2out_translated })
#define BACK(proto_, payload_)                                                                             \
	((struct way){ XDP_OUTSIDE,                                                                        \
		       { FROM_ROUTER, proto_, (proto_) == ICMP ? 0 : 53, OUT_PORT(7000, 2), .flags = 0x10, \
			 .icmp_type = ECHO_REPLY_TYPE, .payload = payload_ },                              \
		       { TO_HOST, proto_, (proto_) == ICMP ? 0 : 53, 7000, .flags = 0x10,                  \
			 .icmp_type = ECHO_REPLY_TYPE, .payload = payload_ },                              \
		       REDIRECT_XDP,                                                                       \
		       REASON_out2in_translated })

static bool is_drop(enum reason reason)
{
	return reason != REASON_in2out_translated && reason != REASON_out2in_translated &&
	       reason != REASON_hairpin_translated && reason != REASON_passed_untranslated;
}

/* One piece goes in; it comes out translated, or is dropped for the reason. */
static void piece_for(const char *name, const struct way *w, uint16_t id, unsigned start, unsigned end, bool more,
		      enum reason reason)
{
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	uint64_t before = counted(reason);
	size_t size, out_size, want_size;
	int verdict;

	frame_build(&w->in, whole);
	size = frame_fragment(whole, id, start, end, more, in);
	verdict = run_frame(w->hook, in, size, out, &out_size);
	cr_expect_eq(counted(reason), before + 1, "%s: counted otherwise", name);
	if (is_drop(reason)) {
		cr_expect_eq(verdict, w->hook == TC_OUTSIDE ? DROP_TC : DROP_XDP, "%s: verdict %d", name, verdict);
		return;
	}
	frame_build(&w->out, whole);
	want_size = frame_fragment(whole, id, start, end, more, want);
	cr_expect_eq(verdict, w->verdict, "%s: verdict %d", name, verdict);
	cr_expect(frame_equal(name, out, out_size, want, want_size), "%s: another packet", name);
}

static void piece(const char *name, const struct way *w, uint16_t id, unsigned start, unsigned end, bool more)
{
	piece_for(name, w, id, start, end, more, w->reason);
}

static void listen_for_early_ones(void)
{
	datapath.global->fragments_until = datapath_ticks(&datapath) + 1000;
}

Test(fragments, fragments_of_every_protocol_pass_in_both_directions)
{
	static const uint8_t protocols[] = { TCP, UDP, ICMP };

	for (unsigned i = 0; i < 3; i++) {
		const struct way ways[] = { OUT(protocols[i], 1600), BACK(protocols[i], 1600) };
		unsigned length = 1600 + (protocols[i] == TCP ? 20 : 8);

		for (unsigned k = 0; k < 2; k++) {
			piece("first", &ways[k], 1, 0, 800, true);
			cr_expect_eq(datagrams_remembered(), 1);
			piece("last", &ways[k], 1, 1200, length, false);
			piece("middle", &ways[k], 1, 800, 1200, true);
			cr_expect_eq(datagrams_remembered(), 0, "it is complete");
		}
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 3);
}

Test(fragments, fragments_of_two_protocols_may_have_one_identification)
{
	struct way udp = OUT(UDP, 1600), tcp = OUT(TCP, 1600);

	piece("first, UDP", &udp, 1, 0, 800, true);
	piece("first, TCP", &tcp, 1, 0, 800, true);
	piece("last, UDP", &udp, 1, 800, 1608, false);
	piece("last, TCP", &tcp, 1, 800, 1620, false);
	cr_expect_eq(datagrams_remembered(), 0);
}

Test(fragments, keep_the_rest_of_their_headers)
{
	struct way w = OUT(UDP, 1400);

	w.in.options = w.out.options = NO_UDP_CHECKSUM | DONT_FRAGMENT;
	w.in.ip_options = w.out.ip_options = 12;
	piece("first", &w, 0xfedc, 0, 1024, true);
	piece("last", &w, 0xfedc, 1024, 1408, false);
	cr_expect_eq(datagrams_remembered(), 0);
}

Test(fragments, are_translated_at_egress)
{
	struct way w = OUT(UDP, 1600);

	w.hook = TC_OUTSIDE;
	w.verdict = PASS_TC;
	w.out.ttl = 64;
	w.out.from = HOST;
	w.out.to = GATEWAY_IN;
	piece_for("before its first", &w, 5, 800, 1608, false, REASON_drop_fragment);
	piece("first", &w, 5, 0, 800, true);
	piece("last", &w, 5, 800, 1608, false);
	piece_for("comes again", &w, 5, 800, 1608, false, REASON_drop_fragment);
	w.hook = XDP_INSIDE;
	piece_for("tiny", &OUT(TCP, 100), 6, 0, 16, true, REASON_drop_fragment_tiny);
}

/* What one hook has seen of a datagram, the other one knows. */
Test(fragments, may_follow_their_first_at_another_hook)
{
	struct way xdp = OUT(UDP, 1600), tc = xdp;

	tc.hook = TC_OUTSIDE;
	tc.verdict = PASS_TC;
	tc.out.ttl = 64;
	tc.out.from = HOST;
	tc.out.to = GATEWAY_IN;
	piece("first", &xdp, 5, 0, 800, true);
	piece("last", &tc, 5, 800, 1608, false);
	piece("first", &tc, 6, 0, 800, true);
	piece("last", &xdp, 6, 800, 1608, false);
}

Test(fragments, fragments_of_a_hairpin_are_translated_on_both_sides)
{
	static const struct row open[] = {
		{ "the other side opens",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, OUT_PORT(7000, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};
	const struct way w = { XDP_INSIDE,
			       { .from = HOST,
				 .to = GATEWAY_IN,
				 .src = SUBSCRIBER,
				 .dst = POOL,
				 UDP,
				 7000,
				 OUT_PORT(8000, 3),
				 .payload = 1600 },
			       { .from = GATEWAY_IN,
				 .to = HOST,
				 .src = POOL,
				 .dst = OTHER,
				 UDP,
				 OUT_PORT(7000, 2),
				 8000,
				 .payload = 1600,
				 .ttl = 63 },
			       REDIRECT_XDP,
			       REASON_hairpin_translated };
	struct way forged = w;

	RUN_ROWS(open);
	piece_for("before its first", &w, 9, 800, 1608, false, REASON_drop_fragment);
	piece("first", &w, 9, 0, 800, true);
	forged.hook = XDP_OUTSIDE;
	forged.in.from = ROUTER;
	forged.in.to = GATEWAY_OUT;
	piece_for("a forged source, the subscriber's address", &forged, 9, 800, 1608, false, REASON_drop_fragment);
	piece("last", &w, 9, 800, 1608, false);
	cr_expect_eq(datagrams_remembered(), 0);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->datagrams, 0);
}

/* Those behind their first one are neither parked where hairpins are off, nor kept from a gateway that has the address.
 */
Test(fragments, to_a_pool_address_without_a_hairpin)
{
	static const struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL + 1, UDP, 7000, 53, .payload = 1600
	};
	const struct way w = { XDP_INSIDE, f, f, PASS_XDP, REASON_passed_untranslated };

	listen_for_early_ones();
	piece_for("before its first", &w, 9, 800, 1608, false, REASON_fragments_parked);
	settings.hairpin = 0;
	reload_settings();
	piece_for("hairpins are off", &w, 9, 800, 1608, false, REASON_drop_no_session);
	settings.hairpin = 1;
	reload_settings();
	cr_assert_eq(system("ip addr add 203.0.113.1/32 dev lo"), 0);
	datapath_raise_epoch(&datapath);
	piece("the gateway's own", &w, 9, 800, 1608, false);
}

/* Each octet of a datagram passes once. */
Test(fragments, that_overlap_are_dropped)
{
	const struct way w = OUT(TCP, 1600);

	piece("first", &w, 1, 0, 400, true);
	piece_for("first again", &w, 1, 0, 400, true, REASON_drop_fragment_overlap);
	piece_for("another header (RFC 3128)", &w, 1, 8, 400, true, REASON_drop_fragment_overlap);
	piece_for("the end of the first", &w, 1, 392, 800, true, REASON_drop_fragment_overlap);
	piece("behind", &w, 2, 0, 400, true);
	piece("far behind", &w, 2, 800, 1200, true);
	piece_for("within it", &w, 2, 960, 1000, true, REASON_drop_fragment_overlap);
	piece_for("around it", &w, 2, 792, 1208, true, REASON_drop_fragment_overlap);
	piece("the last", &w, 2, 1208, 1304, false);
	piece_for("another last", &w, 2, 1304, 1400, false, REASON_drop_fragment_overlap);
	piece_for("behind the last", &w, 2, 1304, 1400, true, REASON_drop_fragment_overlap);
	piece_for("another last before it", &w, 2, 400, 504, false, REASON_drop_fragment_overlap);
}

Test(fragments, that_cannot_be_part_of_a_packet_are_dropped)
{
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX];
	const struct way tcp = OUT(TCP, 100), udp = OUT(UDP, 1400), back = BACK(UDP, 1400);
	size_t size, out_size;

	piece_for("a part of the TCP header", &tcp, 1, 0, 16, true, REASON_drop_fragment_tiny);
	piece_for("the ports alone", &tcp, 1, 0, 8, true, REASON_drop_fragment_tiny);
	piece("8 octets are all of UDP's", &udp, 2, 0, 8, true);
	piece_for("ends within 8 octets", &udp, 3, 0, 804, true, REASON_drop_malformed);
	piece_for("empty", &udp, 2, 8, 8, false, REASON_drop_malformed);
	for (unsigned k = 0; k < 2; k++) {
		const struct way *w = k ? &back : &udp;

		frame_build(&w->in, whole);
		size = frame_fragment(whole, 4, 800, 1000, true, in);
		/* 8191 units of 8 octets before it: there is room for 7 octets, with an IP header for none. */
		memcpy(in + IP + 6, "\x1f\xff", 2);
		cr_expect_eq(run_frame(w->hook, in, size, out, &out_size), DROP_XDP);
		cr_expect_eq(counted(REASON_drop_fragment_endless), 2 * k + 1);
		/* 8164 units: with a header, 203 octets end at 65535, 204 beyond. */
		for (unsigned octets = 203; octets < 205; octets++) {
			size = frame_fragment(whole, 4, 800, 800 + octets, false, in);
			memcpy(in + IP + 6, "\x1f\xe4", 2);
			cr_expect_eq(run_frame(w->hook, in, size, out, &out_size), DROP_XDP);
			cr_expect_eq(counted(REASON_drop_fragment_endless), 2 * k + 1 + (octets == 204));
		}
	}
}

Test(fragments, from_outside_need_a_session)
{
	const struct way w = BACK(UDP, 1600), out = OUT(UDP, 1600);

	piece_for("first without one", &w, 1, 0, 800, true, REASON_drop_no_session);
	piece_for("its rest", &w, 1, 800, 1608, false, REASON_drop_fragment);
	cr_expect_eq(datagrams_remembered(), 0);
	piece("opens", &out, 1, 0, 800, true);
	piece_for("of the same identification, the other way", &w, 1, 800, 1608, false, REASON_drop_fragment);
}

/* TTL and MTU hold for each; only the first is answered (RFC 1812 section 4.3.2.7). */
Test(fragments, with_a_source_route_are_dropped_also_behind_the_first)
{
	const struct way out = OUT(UDP, 100);
	struct way back = BACK(UDP, 100);
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], got[FRAME_MAX];
	size_t size, got_size;

	piece("opens", &out, 1, 0, 48, true);
	piece("the first", &back, 2, 0, 48, true);
	back.in.ip_options = 8;
	frame_build(&back.in, whole);
	size = frame_fragment(whole, 2, 48, 108, false, in);
	frame_source_route(in);
	run_frame_counted("another", XDP_OUTSIDE, in, size, got, &got_size, DROP_XDP, REASON_drop_source_route);
}

Test(fragments, with_no_ttl_or_too_long_are_dropped_unanswered)
{
	const struct way out = OUT(UDP, 1600);
	struct way w = BACK(UDP, 1600);

	piece("opens", &out, 1, 0, 800, true);
	piece("first", &w, 1, 0, 400, true);
	w.in.ttl = 1;
	piece_for("expired", &w, 1, 400, 800, true, REASON_drop_ttl);
	w.in.ttl = 0;
	w.in.options = DONT_FRAGMENT;
	datapath.device[inside_ifindex].mtu = 700;
	piece_for("too big", &w, 1, 800, 1600, true, REASON_drop_too_big);
	cr_expect_eq(counted(REASON_sent_icmp_ttl) + counted(REASON_sent_icmp_too_big), 0);
	w.in.options = 0;
	w.verdict = PASS_XDP;
	w.out.ttl = 64;
	w.out.from = ROUTER;
	w.out.to = GATEWAY_OUT;
	piece("for the kernel to cut up", &w, 1, 400, 1600, true);
}

/* An identification comes again: when the rest of its datagram has been lost, it is another one's. */
Test(fragments, fragments_of_a_new_datagram_may_reuse_an_identification)
{
	const struct way w = OUT(UDP, 1600);
	struct fragment_key key;
	struct fragment value;

	piece("first", &w, 1, 0, 800, true);
	piece_for("again at once", &w, 1, 0, 800, true, REASON_drop_fragment_overlap);
	cr_assert_eq(bpf_map_get_next_key(datapath.fragments, NULL, &key), 0);
	cr_assert_eq(bpf_map_lookup_elem(datapath.fragments, &key, &value), 0);
	value.since -= ticks_of_seconds(FRAGMENT_ID_REST + 1, datapath.hz);
	cr_assert_eq(bpf_map_update_elem(datapath.fragments, &key, &value, BPF_EXIST), 0);
	piece("another datagram's first", &w, 1, 0, 800, true);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->datagrams, 1, "the other one counts no more");
	cr_assert_eq(bpf_map_lookup_elem(datapath.fragments, &key, &value), 0);
	value.since -= ticks_of_seconds(FRAGMENT_LIFETIME + 1, datapath.hz);
	cr_assert_eq(bpf_map_update_elem(datapath.fragments, &key, &value, BPF_EXIST), 0);
	piece_for("of a datagram of long ago", &w, 1, 800, 1608, false, REASON_drop_fragment);
}

struct taken {
	unsigned n;
	struct early_fragment last;
};

static int take(void *arg, void *data, size_t size)
{
	struct taken *t = arg;

	cr_assert_leq(size, sizeof(t->last));
	memcpy(&t->last, data, size);
	t->n++;
	return 0;
}

Test(fragments, before_their_first_go_to_the_agent)
{
	const struct way out = OUT(UDP, 1600), back = BACK(UDP, 1600);
	struct way egress = out, martian = back;
	uint8_t whole[FRAME_MAX], want[FRAME_MAX];
	struct taken t = { .n = 0 };
	struct ring_buffer *ring = ring_buffer__new(datapath.early_fragments, take, &t, NULL);
	size_t size;

	egress.hook = TC_OUTSIDE;
	martian.in.src = ADDR(127, 0, 0, 1);
	piece_for("there is none", &out, 1, 800, 1608, false, REASON_drop_fragment);
	listen_for_early_ones();
	piece_for("from inside", &out, 1, 800, 1608, false, REASON_fragments_parked);
	ring_buffer__consume(ring);
	frame_build(&out.in, whole);
	size = frame_fragment(whole, 1, 800, 1608, false, want);
	cr_assert_eq(t.n, 1);
	cr_expect_eq(t.last.ifindex, inside_ifindex);
	cr_expect(frame_equal("the frame", t.last.frame, t.last.length, want, size));
	cr_expect_eq(t.last.key.src, SUBSCRIBER);
	cr_expect_eq(t.last.key.dst, EXTERNAL);
	cr_expect_eq(t.last.key.id, 1);
	cr_expect_eq(t.last.key.side, FRAGMENT_FROM_INSIDE);
	cr_expect_eq(t.last.hook, FRAGMENT_AT_XDP);
	piece_for("from a martian", &martian, 1, 800, 1608, false, REASON_drop_martian);
	piece_for("from outside", &back, 1, 800, 1608, false, REASON_fragments_parked);
	ring_buffer__consume(ring);
	cr_assert_eq(t.n, 2);
	cr_expect_eq(t.last.key.side, FRAGMENT_FROM_OUTSIDE);
	cr_expect_eq(t.last.ifindex, outside_ifindex);
	piece_for("at egress", &egress, 1, 800, 1608, false, REASON_fragments_parked);
	ring_buffer__consume(ring);
	cr_assert_eq(t.n, 3);
	cr_expect_eq(t.last.hook, FRAGMENT_AT_TC);
	cr_expect_eq(t.last.ifindex, inside_ifindex);
	cr_expect_eq(counted(REASON_drop_fragment), 1);
	datapath.global->fragments_until = datapath_ticks(&datapath) - 1;
	piece_for("it has died", &out, 1, 800, 1608, false, REASON_drop_fragment);
	ring_buffer__free(ring);
}

/* Fragments of a way that are parked until one is refused; the ring has room for them all. */
static unsigned parked_before_refusal(const struct way *w, struct ring_buffer *ring)
{
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX];
	uint64_t before = counted(REASON_fragments_parked), refused = counted(REASON_drop_fragment_limit);
	size_t size;

	frame_build(&w->in, whole);
	for (unsigned id = 0; counted(REASON_drop_fragment_limit) == refused; id++) {
		run_frame(w->hook, in, frame_fragment(whole, (uint16_t)id, 16, 24, true, in), out, &size);
		if (id % 256 == 0)
			ring_buffer__consume(ring);
	}
	ring_buffer__consume(ring);
	return (unsigned)(counted(REASON_fragments_parked) - before);
}

/* More only if a second ends in between, which does not happen three times in a row. */
Test(fragments, before_their_first_are_limited_by_inside_source_or_outside_address)
{
	struct taken t = { .n = 0 };
	struct ring_buffer *ring = ring_buffer__new(datapath.early_fragments, take, &t, NULL);
	struct way out = OUT(UDP, 40), back = BACK(UDP, 40);
	unsigned least[2] = { ~0U, ~0U };

	listen_for_early_ones();
	for (uint32_t i = 0; i < 3; i++) {
		unsigned n;

		out.in.src = SUBSCRIBER + i;
		n = parked_before_refusal(&out, ring);
		least[0] = n < least[0] ? n : least[0];
		back.in.dst = POOL + i;
		n = parked_before_refusal(&back, ring);
		least[1] = n < least[1] ? n : least[1];
	}
	cr_expect_eq(least[0], FRAGMENTS_PER_SECOND, "%u from inside", least[0]);
	cr_expect_eq(least[1], FRAGMENTS_PER_SECOND, "%u from outside", least[1]);
	ring_buffer__free(ring);
}

/* A subscriber who never completes a datagram is stopped; his whole packets and others' fragments are not. */
Test(fragments, in_floods_are_limited_by_source)
{
	static const struct row whole[] = {
		{ "a whole packet of his",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(7000, 2), 53 },
		  REASON_in2out_translated },
	};
	const struct way w = OUT(UDP, 1600);
	struct way other = OUT(UDP, 1600);
	uint8_t frame[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX];
	size_t out_size;

	frame_build(&w.in, frame);
	for (unsigned id = 0; id < 8 * FRAGMENTS_PER_SECOND && !counted(REASON_drop_fragment_limit); id++)
		run_frame(XDP_INSIDE, in, frame_fragment(frame, (uint16_t)id, 0, 800, true, in), out, &out_size);
	cr_expect_eq(counted(REASON_drop_fragment_limit), 1, "the limit holds");
	cr_expect_geq(counted(REASON_in2out_translated), FRAGMENTS_PER_SECOND);
	RUN_ROWS(whole);
	other.in.src = OTHER;
	other.out.sport = OUT_PORT(7000, 3);
	piece("another subscriber's first", &other, 1, 0, 800, true);
	piece("another subscriber's last", &other, 1, 800, 1608, false);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

/* Complete datagrams count for nothing. */
Test(fragments, fragments_of_complete_datagrams_are_not_limited)
{
	const struct way w = OUT(UDP, 1600);
	uint8_t frame[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX];
	size_t out_size;

	frame_build(&w.in, frame);
	for (unsigned id = 0; id < 3 * FRAGMENTS_PER_SECOND; id++) {
		cr_assert_eq(run_frame(XDP_INSIDE, in, frame_fragment(frame, (uint16_t)id, 0, 800, true, in), out,
				       &out_size),
			     REDIRECT_XDP);
		cr_assert_eq(run_frame(XDP_INSIDE, in, frame_fragment(frame, (uint16_t)id, 800, 1608, false, in), out,
				       &out_size),
			     REDIRECT_XDP);
	}
	cr_expect_eq(datagrams_remembered(), 0);
}
