// SPDX-License-Identifier: BSD-2-Clause
/* Fragments of IPv6 subscribers' datagrams, piece by piece: outwards, inwards to the right host, and early ones. */
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/fragments.h>

#include "prefix_fixture.h"

TestSuite(six_fragments, .init = set_up_six, .fini = tear_down);

static void set_up_beyond(void);

/* The same of sessions in extents. */
TestSuite(six_fragments_beyond, .init = set_up_beyond, .fini = tear_down);

#define IP	   14
#define N	   0x12
#define PORT	   7000
#define HOST_ONE   HOST_OF(N, 3, 0x1234)
#define HOST_OTHER HOST_OF(N, 3, 0x9999)

static void set_up_beyond(void)
{
	set_up_six_crowded();
	crowd_6(N);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* Octets start..end of the payload of a frame of IPv6, in a frame of its own. */
static size_t fragment6(const uint8_t *whole, uint32_t id, unsigned start, unsigned end, bool more, uint8_t *ret)
{
	memset(ret, 0, FRAME_MAX);
	memcpy(ret, whole, IP + 40);
	put16(ret + IP + 4, 8 + end - start);
	ret[IP + 6] = 44;
	ret[IP + 40] = whole[IP + 6];
	put16(ret + IP + 42, start | more);
	put16(ret + IP + 44, id >> 16);
	put16(ret + IP + 46, id);
	memcpy(ret + IP + 48, whole + IP + 40 + start, end - start);
	return IP + 48 + end - start;
}

static void run_piece(const char *name, enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size,
		      enum reason reason)
{
	uint64_t before = counted(reason);
	int passes = reason == REASON_in2out_translated || reason == REASON_out2in_translated;
	int verdict = run_frame(hook, in, size, out, ret_size);

	cr_expect_eq(verdict, passes ? REDIRECT_XDP : DROP_XDP, "%s: verdict %d", name, verdict);
	cr_expect_eq(counted(reason), before + 1, "%s: counted otherwise", name);
	for (int i = 0; counted(reason) != before + 1 && i < N_REASONS; i++)
		if (counted(i))
			cr_log_warn("reason %d: %lu", i, counted(i));
}

static struct frame6 datagram(struct address6 host, uint16_t payload)
{
	struct frame6 f = six_out(host, UDP, PORT, 53, 0);

	f.payload = payload;
	return f;
}

/* A piece from inside comes out as the piece of the translated datagram, with the lower half of its identification. */
static void piece_out(const char *name, uint32_t id, unsigned start, unsigned end, bool more, enum reason reason)
{
	struct frame6 whole = datagram(HOST_ONE, 1200);
	struct frame translated = six_out_translated(&whole, OUT_PORT6(PORT, N));
	uint8_t octets[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t got, want_size, size;

	frame6_build(&whole, octets);
	size = fragment6(octets, id, start, end, more, in);
	run_piece(name, XDP_INSIDE, in, size, out, &got, reason);
	if (reason != REASON_in2out_translated)
		return;
	frame_build(&translated, octets);
	want_size = frame_fragment(octets, (uint16_t)id, start, end, more, want);
	/* frame_build() knows no traffic class. */
	want[IP + 1] = out[IP + 1];
	put16(want + IP + 10, 0);
	put16(want + IP + 10, sum_finish(sum_octets(want + IP, 20, 0)));
	cr_expect(frame_equal(name, out, got, want, want_size), "%s: another packet", name);
}

static void outwards(void)
{
	piece_out("first", 0x12345678, 0, 408, true, REASON_in2out_translated);
	piece_out("last", 0x12345678, 808, 1208, false, REASON_in2out_translated);
	piece_out("the last again", 0x12345678, 808, 1208, false, REASON_drop_fragment_overlap);
	piece_out("middle", 0x12345678, 408, 808, true, REASON_in2out_translated);
	piece_out("after all", 0x12345678, 408, 808, true, REASON_drop_fragment);
}

Test(six_fragments, outwards_the_first_one_leads)
{
	outwards();
}

Test(six_fragments_beyond, outwards_the_first_one_leads)
{
	outwards();
	cr_expect_eq(counted(REASON_sessions_overflowed), 1);
}

struct taken {
	struct early_fragment last;
	unsigned n;
};

static int take(void *arg, void *data, size_t size)
{
	struct taken *t = arg;

	memcpy(&t->last, data, size < sizeof(t->last) ? size : sizeof(t->last));
	t->n++;
	return 0;
}

/* An early one goes to the agent as it came, and passes once it comes again behind its first one. */
Test(six_fragments, an_early_one_is_kept_as_it_came)
{
	struct taken t = { .n = 0 };
	struct ring_buffer *ring = ring_buffer__new(datapath.early_fragments, take, &t, NULL);
	struct frame6 whole = datagram(HOST_ONE, 1200);
	uint8_t octets[FRAME_MAX], in[FRAME_MAX];
	size_t size;

	cr_assert_not_null(ring);
	datapath.global->fragments_until = datapath_ticks(&datapath) + 1000;
	piece_out("early", 0x12345678, 808, 1208, false, REASON_fragments_parked);
	cr_assert_eq(ring_buffer__poll(ring, 0), 1);
	frame6_build(&whole, octets);
	size = fragment6(octets, 0x12345678, 808, 1208, false, in);
	cr_expect_eq(t.last.length, size);
	cr_expect_arr_eq(t.last.frame, in, size);
	cr_expect_eq(t.last.key.src, VIRTUAL + N);
	cr_expect_eq(t.last.key.id, 0x5678);
	piece_out("first", 0x12345678, 0, 808, true, REASON_in2out_translated);
	piece_out("again", 0x12345678, 808, 1208, false, REASON_in2out_translated);
	ring_buffer__free(ring);
}

/* The answer to a host's datagram, in pieces of IPv4. */
static void piece_in(const char *name, struct address6 host, int out_port, unsigned options, uint16_t id,
		     unsigned start, unsigned end, bool more, enum reason reason)
{
	struct frame6 sent = datagram(host, 1200), arrives;
	struct frame out = six_out_translated(&sent, (uint16_t)out_port), back = six_answer(&out);
	uint8_t octets[FRAME_MAX], in[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t got_size, want_size, size;

	arrives = six_answer_translated(&back, &sent);
	back.options = options;
	frame_build(&back, octets);
	size = frame_fragment(octets, id, start, end, more, in);
	run_piece(name, XDP_OUTSIDE, in, size, got, &got_size, reason);
	if (reason != REASON_out2in_translated)
		return;
	frame6_build(&arrives, octets);
	want_size = fragment6(octets, id, start, end, more, want);
	/* The traffic class is that of the answer, the flow label 0. */
	memcpy(want + IP, got + IP, 2);
	cr_expect_eq(get16(got + IP + 2), 0);
	cr_expect(frame_equal(name, got, got_size, want, want_size), "%s: another packet", name);
}

static void inwards(void)
{
	int one = open_6(HOST_ONE, UDP, PORT, 53, 0), other = open_6(HOST_OTHER, UDP, PORT, 53, 0);

	cr_assert(one >= 0 && other >= 0);
	piece_in("one's first", HOST_ONE, one, 0, 7, 0, 408, true, REASON_out2in_translated);
	piece_in("the other's first", HOST_OTHER, other, 0, 8, 0, 408, true, REASON_out2in_translated);
	piece_in("one's last", HOST_ONE, one, 0, 7, 408, 1208, false, REASON_out2in_translated);
	piece_in("the other's last", HOST_OTHER, other, 0, 8, 408, 1208, false, REASON_out2in_translated);
	piece_in("of neither", HOST_ONE, one, 0, 9, 408, 1208, false, REASON_drop_fragment);
}

Test(six_fragments, inwards_all_go_to_the_host_of_the_first)
{
	inwards();
}

Test(six_fragments_beyond, inwards_all_go_to_the_host_of_the_first)
{
	inwards();
	cr_expect_eq(counted(REASON_sessions_overflowed), 2);
}

Test(six_fragments, of_udp_without_a_checksum_are_dropped)
{
	int one = open_6(HOST_ONE, UDP, PORT, 53, 0);

	cr_assert_geq(one, 0);
	piece_in("first", HOST_ONE, one, NO_UDP_CHECKSUM, 7, 0, 408, true, REASON_drop_fragment_sum);
	piece_in("last", HOST_ONE, one, NO_UDP_CHECKSUM, 7, 408, 1208, false, REASON_drop_fragment);
}

/* Fragmented ICMP is not translated (RFC 7915 section 1.2), so nothing is kept for what follows. */
Test(six_fragments, of_an_echo_reply_are_dropped)
{
	struct frame6 sent = six_out(HOST_ONE, ICMP6, PORT, 0, 0);
	int port = open_6(HOST_ONE, ICMP6, PORT, 0, 0);
	struct frame out = six_out_translated(&sent, (uint16_t)port), back = six_answer(&out);
	uint8_t octets[FRAME_MAX], in[FRAME_MAX], got[FRAME_MAX];
	const struct subscriber *s = mappings_subscriber(mappings, mappings_find_any(mappings, VIRTUAL + N), N);
	size_t size, got_size;

	cr_assert_geq(port, 0);
	frame_build(&back, octets);
	size = frame_fragment(octets, 7, 0, 24, true, in);
	run_piece("first", XDP_OUTSIDE, in, size, got, &got_size, REASON_drop_fragment);
	cr_expect_eq(s->datagrams, 0);
	size = frame_fragment(octets, 7, 24, 38, false, in);
	run_piece("last", XDP_OUTSIDE, in, size, got, &got_size, REASON_drop_fragment);
}

/* What is too long for IPv6 without DF is sent by the agent, in fragments with the identification of IPv4. */
Test(six_fragments, of_a_long_packet_without_df_the_agent_makes_more)
{
	struct frame6 sent = datagram(HOST_ONE, 1300);
	int one = open_6(HOST_ONE, UDP, PORT, 53, 0);
	struct frame out = six_out_translated(&sent, (uint16_t)one), back = six_answer(&out);
	uint8_t in[FRAME_MAX], got[FRAME_MAX];
	size_t size = frame_build(&back, in), got_size;
	const uint8_t *packet;
	struct transmission t;

	cr_assert_geq(one, 0);
	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, got, &got_size), DROP_XDP);
	cr_assert_eq(transmitted(&t), 1);
	cr_expect_eq(t.mtu, LOWEST_IPV6_MTU);
	cr_expect_eq(t.ifindex, inside_ifindex);
	/* tc hands over the packet alone, for which the kernel finds the neighbour. */
	cr_expect_eq(t.kind, redirect_tc_wanted() ? TRANSMISSION_PACKET : TRANSMISSION_FRAME);
	packet = t.frame + (redirect_tc_wanted() ? 0 : IP);
	cr_expect_eq(t.length, size + 28 - (redirect_tc_wanted() ? IP : 0));
	if (!redirect_tc_wanted()) {
		cr_expect_eq(t.frame[5], HOST);
		cr_expect_eq(t.frame[12] << 8 | t.frame[13], 0x86dd);
	}
	cr_expect_eq(packet[6], 44);
	cr_expect_eq(get16(packet + 42), 0);
	cr_expect_eq(get16(packet + 46), get16(in + IP + 4));
	cr_expect_eq(counted(REASON_out2in_translated), 1);
}

Test(six_fragments, a_datagram_counts_until_it_is_complete)
{
	const struct subscriber *s;

	piece_out("first", 0x12345678, 0, 408, true, REASON_in2out_translated);
	s = mappings_subscriber(mappings, mappings_find_any(mappings, VIRTUAL + N), N);
	cr_expect_eq(s->datagrams, 1);
	piece_out("last", 0x12345678, 408, 1208, false, REASON_in2out_translated);
	cr_expect_eq(s->datagrams, 0);
}

/* Runs an answer of so many octets without DF to the host; what it is counted as. */
static void long_answer(uint16_t payload, int verdict, enum reason reason)
{
	struct frame6 sent = datagram(HOST_ONE, payload);
	struct frame out = six_out_translated(&sent, OUT_PORT6(PORT, N)), back = six_answer(&out);
	uint8_t in[FRAME_MAX], got[FRAME_MAX];
	size_t size = frame_build(&back, in), got_size;
	uint64_t before = counted(reason);

	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, got, &got_size), verdict);
	cr_expect_eq(counted(reason), before + 1);
	for (int i = 0; counted(reason) != before + 1 && i < N_REASONS; i++)
		if (counted(i))
			cr_log_warn("reason %d: %lu", i, counted(i));
}

/* Fragments are as long as the mapping says, but fit the link. */
Test(six_fragments, that_the_agent_makes_fit_the_link)
{
	const struct mapping *m = mappings_get(mappings, mappings_find_any(mappings, VIRTUAL + N));
	struct transmission t;

	cr_assert_geq(open_6(HOST_ONE, UDP, PORT, 53, 0), 0);
	datapath.record6[m->record6].lowest_mtu = 1450;
	long_answer(1440, DROP_XDP, REASON_out2in_translated);
	cr_assert_eq(transmitted(&t), 1);
	cr_expect_eq(t.mtu, 1450);
	datapath.device[inside_ifindex].mtu = 1400;
	long_answer(1440, DROP_XDP, REASON_out2in_translated);
	cr_assert_eq(transmitted(&t), 1);
	cr_expect_eq(t.mtu, 1400);
}

Test(six_fragments, for_a_neighbour_that_is_not_known_are_lost)
{
	struct transmission t;

	cr_assert_eq(system("ip route replace 2001:db8:4000::/48 via fe80::99 dev tin"), 0);
	cr_assert_geq(open_6(HOST_ONE, UDP, PORT, 53, 0), 0);
	long_answer(1400, DROP_XDP, REASON_drop_unresolved);
	cr_expect_eq(transmitted(&t), 0);
}
