// SPDX-License-Identifier: BSD-2-Clause
/*
 * What test_six_model.c cannot see of the way from IPv6 to IPv4: the reasons, where a parameter problem points, the
 * identifications that are chosen, and that a packet becomes again what it was.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include <detnat/fragments.h>
#include <detnat/tables.h>

#include "frame.h"
#include "six_fixture.h"

TestSuite(six_enter, .init = six_set_up, .fini = six_tear_down);

#define REMOTE "64:ff9b::203.0.113.9"
#define HOST6  "2001:db8:4000:1200::1"

/* Extension headers in front of a UDP datagram: octets, and the protocol number of the first. */
struct chain {
	const uint8_t *octets;
	size_t size;
	uint8_t first;
};

struct packet {
	uint8_t octets[SIX_PACKET_MAX];
	size_t size;
};

/* A UDP datagram of so many octets of data, from one address to another, with a right checksum. */
static struct packet udp6(const char *src, const char *dst, struct chain chain, size_t data)
{
	struct packet p = { .size = 40 + chain.size + 8 + data };
	struct ip6_hdr ip = { .ip6_plen = htons((uint16_t)(chain.size + 8 + data)),
			      .ip6_nxt = chain.first,
			      .ip6_hlim = 64 };
	uint8_t *udp = p.octets + 40 + chain.size;
	uint32_t sum;

	ip.ip6_flow = htonl(0x6b8abcde);
	cr_assert_eq(inet_pton(AF_INET6, src, &ip.ip6_src), 1, "%s", src);
	cr_assert_eq(inet_pton(AF_INET6, dst, &ip.ip6_dst), 1, "%s", dst);
	memcpy(p.octets, &ip, sizeof(ip));
	if (chain.size)
		memcpy(p.octets + 40, chain.octets, chain.size);
	memcpy(udp, (const uint8_t[]){ 0x9c, 0x40, 0x01, 0xbb, (uint8_t)((8 + data) >> 8), (uint8_t)(8 + data), 0, 0 },
	       8);
	for (size_t i = 0; i < data; i++)
		udp[8 + i] = (uint8_t)(i * 5 + 3);
	sum = sum_octets(p.octets + 8, 32, 17 + 8 + (uint32_t)data);
	sum = sum_finish(sum_octets(udp, 8 + data, sum));
	udp[6] = (uint8_t)(sum >> 8);
	udp[7] = (uint8_t)sum;
	return p;
}

static const struct chain none = { .first = IPPROTO_UDP };

static struct six_outcome enter(const struct six_scene *scene, const struct packet *in, struct packet *out)
{
	return six_run(SIX_ENTER, scene, in->octets, in->size, out->octets, &out->size);
}

static uint16_t word_at(const struct packet *p, size_t at)
{
	return (uint16_t)(p->octets[at] << 8 | p->octets[at + 1]);
}

Test(six_enter, addresses_that_are_nobodys_are_martian)
{
	static const struct {
		const char *dst;
		int result;
	} rows[] = {
		{ "64:ff9b::0.1.2.3", REASON_drop_martian },
		{ "64:ff9b::127.0.0.1", REASON_drop_martian },
		{ "64:ff9b::224.0.0.5", REASON_drop_martian },
		{ "64:ff9b::224.0.1.7", REASON_drop_martian }, /* the sender's virtual address */
		{ "64:ff9b::240.0.0.1", REASON_drop_martian },
		{ "64:ff9b::255.255.255.255", REASON_drop_martian },
		{ "64:ff9b::169.254.1.1", REASON_drop_martian },
		{ "64:ff9b::10.0.0.1", REASON_drop_martian },
		{ "64:ff9b::172.31.0.1", REASON_drop_martian },
		{ "64:ff9b::192.168.9.9", REASON_drop_martian },
		{ "64:ff9b::100.64.0.1", REASON_drop_martian },
		{ "64:ff9b::192.0.2.1", 0 },
		{ "64:ff9b::198.51.100.1", 0 },
		{ "64:ff9b:1::203.0.113.9", REASON_drop_martian },
		{ "64:ff9b::1:203.0.113.9", REASON_drop_martian },
	};
	struct six_scene scene = six_scene_make();
	struct packet out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct packet in = udp6(HOST6, rows[i].dst, none, 20);

		cr_expect_eq(enter(&scene, &in, &out).result, rows[i].result, "%s", rows[i].dst);
	}
}

Test(six_enter, private_destinations_pass_in_a_prefix_of_the_operators)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, "2001:db8:64::10.0.0.1", none, 20), out;

	six_scene_prefix(&scene, "2001:db8:64::", 96);
	cr_expect_eq(enter(&scene, &in, &out).result, 0);
}

/* Hop-by-hop, destination options, routing without segments left; in the second, one is left. */
static const uint8_t three_headers[] = { 60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0 };
static const uint8_t segments_left[] = { 60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 0 };

Test(six_enter, extension_headers_are_skipped)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, (struct chain){ three_headers, sizeof(three_headers), 0 }, 20), out;

	cr_expect_eq(enter(&scene, &in, &out).result, 0);
	cr_expect_eq(out.size, 48);
	cr_expect_eq(out.octets[9], IPPROTO_UDP);
}

Test(six_enter, a_parameter_problem_points_at_the_segments_left)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, (struct chain){ segments_left, sizeof(segments_left), 0 }, 20), out;
	struct six_outcome o = enter(&scene, &in, &out);

	cr_expect_eq(o.result, REASON_drop_source_route);
	cr_expect_eq(o.pointer, 40 + 16 + 3);
	/* Not of the packet before, nor if nothing of this one can be read. */
	in = udp6(HOST6, REMOTE, none, 20);
	cr_expect_eq(enter(&scene, &in, &out).pointer, 0);
	enter(&scene, &(struct packet){ .size = 0 }, &out);
	in = udp6(HOST6, REMOTE, (struct chain){ segments_left, sizeof(segments_left), 0 }, 20);
	cr_expect_neq(enter(&scene, &in, &out).pointer, 0);
	cr_expect_eq(enter(&scene, &(struct packet){ .size = 1 }, &out).pointer, 0);
}

/* Chains of so many destination options of 8 octets each, or of one of so many octets. */
Test(six_enter, eight_headers_and_256_octets_are_the_most)
{
	struct six_scene scene = six_scene_make();
	uint8_t octets[512] = { 0 };
	struct packet in, out;

	for (size_t n = 1; n <= 10; n++) {
		for (size_t i = 0; i < n; i++)
			memcpy(octets + 8 * i, (const uint8_t[]){ i + 1 < n ? 60 : 17, 0, 1, 4, 0, 0, 0, 0 }, 8);
		in = udp6(HOST6, REMOTE, (struct chain){ octets, 8 * n, 60 }, 20);
		cr_expect_eq(enter(&scene, &in, &out).result, n <= 8 ? 0 : REASON_drop_malformed, "%zu headers", n);
	}
	for (size_t size = 248; size <= 264; size += 8) {
		memset(octets, 0, sizeof(octets));
		octets[0] = 17;
		octets[1] = (uint8_t)(size / 8 - 1);
		in = udp6(HOST6, REMOTE, (struct chain){ octets, size, 60 }, 20);
		cr_expect_eq(enter(&scene, &in, &out).result, size <= 256 ? 0 : REASON_drop_malformed, "%zu octets",
			     size);
	}
}

Test(six_enter, a_jumbogram_is_malformed)
{
	static const uint8_t jumbo[] = { 17, 0, 0xc2, 4, 0, 1, 0, 0 };
	static const uint8_t padded[] = { 17, 1, 0, 0xc2, 4, 0, 1, 0, 0, 1, 5, 0, 0, 0, 0, 0 };
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, (struct chain){ jumbo, sizeof(jumbo), 0 }, 20), out;

	cr_expect_eq(enter(&scene, &in, &out).result, REASON_drop_malformed);
	memset(in.octets + 4, 0, 2); /* payload length 0 */
	cr_expect_eq(enter(&scene, &in, &out).result, REASON_drop_malformed);
	in = udp6(HOST6, REMOTE, (struct chain){ padded, sizeof(padded), 0 }, 20);
	cr_expect_eq(enter(&scene, &in, &out).result, REASON_drop_malformed, "behind padding of one octet");
}

Test(six_enter, a_packet_longer_than_its_frame_is_malformed)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, none, 20), out;

	in.octets[5]++;
	cr_expect_eq(enter(&scene, &in, &out).result, REASON_drop_malformed);
}

/* The sum is made up for by the data: it would come out as 0, which says that there is none. */
Test(six_enter, a_udp_checksum_of_0_is_sent_as_ffff)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, none, 20), out;
	uint32_t sum;

	cr_assert_eq(enter(&scene, &in, &out).result, 0);
	sum = word_at(&in, 48) + (uint32_t)word_at(&out, 26);
	sum = (sum & 0xffff) + (sum >> 16);
	in.octets[48] = (uint8_t)(sum >> 8);
	in.octets[49] = (uint8_t)sum;
	sum = word_at(&in, 46) + (uint32_t)(uint16_t)~word_at(&out, 26);
	sum = (sum & 0xffff) + (sum >> 16);
	in.octets[46] = (uint8_t)(sum >> 8);
	in.octets[47] = (uint8_t)sum;
	cr_assert_eq(enter(&scene, &in, &out).result, 0);
	cr_expect_eq(word_at(&out, 26), 0xffff);
}

Test(six_enter, anything_but_tcp_udp_and_icmpv6_behind_a_fragment_header_is_dropped)
{
	static const uint8_t behind[] = { 60, 0, 0, 1, 0, 0, 0, 7, 17, 0, 1, 4, 0, 0, 0, 0 };
	static const uint8_t sctp[] = { 132, 0, 0, 1, 0, 0, 0, 7 };
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, (struct chain){ behind, sizeof(behind), 44 }, 24), out;

	cr_expect_eq(enter(&scene, &in, &out).result, REASON_drop_protocol);
	in = udp6(HOST6, REMOTE, (struct chain){ sctp, sizeof(sctp), 44 }, 24);
	cr_expect_eq(enter(&scene, &in, &out).result, REASON_drop_protocol);
}

Test(six_enter, df_is_set_above_1260_octets_and_identifications_below_differ)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, none, 1260 - 28), out;
	unsigned same = 0;
	uint16_t before;

	cr_expect_eq(enter(&scene, &in, &out).result, 0);
	cr_expect_eq(word_at(&out, 2), 1260);
	cr_expect_eq(word_at(&out, 6), 0);
	before = word_at(&out, 4);
	for (unsigned i = 0; i < 16; i++) {
		enter(&scene, &in, &out);
		same += word_at(&out, 4) == before;
	}
	cr_expect_lt(same, 4);
	in = udp6(HOST6, REMOTE, none, 1260 - 28 + 1);
	cr_expect_eq(enter(&scene, &in, &out).result, 0);
	cr_expect_eq(word_at(&out, 6), 0x4000);
}

/* A fragment, the first or not, whose identification has so many in its upper half and 0x1234 in the lower. */
static struct packet fragment_of(const char *src, unsigned upper, bool first)
{
	uint8_t header[] = { 17, 0, 0, first ? 1 : 32, 0, (uint8_t)upper, 0x12, 0x34 };

	return udp6(src, REMOTE, (struct chain){ header, sizeof(header), 44 }, 24);
}

static uint16_t identification_of(const struct six_scene *scene, const char *src, unsigned upper, bool first)
{
	struct packet in = fragment_of(src, upper, first), out;

	cr_assert_eq(enter(scene, &in, &out).result, 0);
	cr_expect_eq(word_at(&out, 6), first ? 0x2000 : 4);
	return word_at(&out, 4);
}

Test(six_enter, two_datagrams_at_once_do_not_share_an_identification)
{
	struct six_scene scene = six_scene_make(), elsewhere = six_scene_make();
	uint16_t one = identification_of(&scene, HOST6, 1, true), other = identification_of(&scene, HOST6, 2, false);

	cr_expect_eq(one, 0x1234);
	cr_expect_neq(other, one);
	/* Each keeps its own, in any order, and a third gets another. */
	cr_expect_eq(identification_of(&scene, HOST6, 1, false), one);
	cr_expect_eq(identification_of(&scene, HOST6, 2, true), other);
	cr_expect_neq(identification_of(&scene, "2001:db8:4000:1300::9", 1, true), one);
	/* From another outside address they are not mixed up. */
	elsewhere.out_addr++;
	cr_expect_eq(identification_of(&elsewhere, HOST6, 2, true), 0x1234);
}

/* A number is another's again once its datagram cannot be put together any more. */
Test(six_enter, a_number_is_free_again_when_its_datagram_is_too_old)
{
	const uint32_t lifetime = FRAGMENT_LIFETIME * SIX_HZ >> TICK_SHIFT;
	struct six_scene scene = six_scene_make();

	cr_expect_eq(identification_of(&scene, HOST6, 1, true), 0x1234);
	six_age_identifications(lifetime / 2);
	cr_expect_neq(identification_of(&scene, HOST6, 2, true), 0x1234);
	six_age_identifications(lifetime - lifetime / 2 + 2);
	cr_expect_eq(identification_of(&scene, HOST6, 3, true), 0x1234);
	cr_expect_neq(identification_of(&scene, HOST6, 1, false), 0x1234, "it is another's by now");
}

Test(six_enter, many_datagrams_with_the_same_half_get_a_number_each)
{
	struct six_scene scene = six_scene_make();
	static bool taken[65536];

	for (unsigned upper = 0; upper < 64; upper++) {
		uint16_t number = identification_of(&scene, HOST6, upper, true);

		cr_expect(!taken[number], "%u", number);
		taken[number] = true;
	}
}

Test(six_enter, an_atomic_fragment_is_a_packet)
{
	static const uint8_t atomic[] = { 17, 0, 0, 0, 0xab, 0xcd, 0x12, 0x34 };
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, (struct chain){ atomic, sizeof(atomic), 44 }, 24), out;

	identification_of(&scene, HOST6, 1, true);
	cr_expect_eq(enter(&scene, &in, &out).result, 0);
	cr_expect_eq(word_at(&out, 4), 0x1234);
	cr_expect_eq(word_at(&out, 6), 0);
}

Test(six_enter, udp_without_a_checksum_is_malformed)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, none, 20), out;

	memset(in.octets + 46, 0, 2);
	cr_expect_eq(enter(&scene, &in, &out).result, REASON_drop_malformed);
}

Test(six_enter, a_refused_packet_is_restored_to_the_octet_with_its_extension_headers)
{
	struct six_scene scene = six_scene_make();
	struct packet in = udp6(HOST6, REMOTE, (struct chain){ three_headers, sizeof(three_headers), 0 }, 700), out;

	cr_expect_eq(six_run(SIX_UNDO, &scene, in.octets, in.size, out.octets, &out.size).result, 0);
	cr_expect_eq(out.size, in.size);
	cr_expect_arr_eq(out.octets, in.octets, in.size);
}
