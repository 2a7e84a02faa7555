// SPDX-License-Identifier: BSD-2-Clause
/*
 * What test_six_model.c cannot see of the way from IPv4 to IPv6: the reasons, packets with others' octets behind them,
 * MTUs that are not known, and where the fragments begin.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "base/ip_checksum.h"
#include "frame.h"
#include "six_fixture.h"

TestSuite(six_leave, .init = six_set_up, .fini = six_tear_down);

#define IN_FRAGMENTS (-1)

/* A packet of IPv4 to the virtual address. What is 0 has a default: a UDP datagram from 203.0.113.9. */
struct packet4 {
	uint32_t src;
	uint8_t proto;
	uint16_t field;	 /* flags and fragment offset */
	size_t data;	 /* octets behind the 8 of the upper-layer header */
	int without_sum; /* UDP without a checksum */
	int wrong_sum;	 /* of the header */
	size_t behind;	 /* octets that are not the packet's */
	uint8_t icmp_type;
};

struct packet {
	uint8_t octets[SIX_PACKET_MAX];
	size_t size;
};

static struct packet build(const struct packet4 *p)
{
	struct six_scene scene = six_scene_make();
	struct packet ret = { .size = 28 + p->data + p->behind };
	struct iphdr ip = { .version = 4,
			    .ihl = 5,
			    .tos = 0xb8,
			    .tot_len = htons((uint16_t)(28 + p->data)),
			    .id = htons(0xbeef),
			    .frag_off = htons(p->field),
			    .ttl = 63,
			    .protocol = p->proto ? p->proto : IPPROTO_UDP,
			    .saddr = htonl(p->src ? p->src : 0xcb007109),
			    .daddr = htonl(scene.virt) };
	uint8_t *upper = ret.octets + 20;
	uint16_t length = (uint16_t)(8 + p->data);
	uint32_t sum;

	ip.check = ip_checksum((const uint8_t *)&ip, sizeof(ip));
	ip.check ^= p->wrong_sum ? 1 : 0;
	memcpy(ret.octets, &ip, sizeof(ip));
	memset(ret.octets + 28 + p->data, 0xa5, p->behind);
	for (size_t i = 0; i < p->data; i++)
		upper[8 + i] = (uint8_t)(i * 5 + 3);
	if (ip.protocol == IPPROTO_ICMP) {
		upper[0] = p->icmp_type;
		sum = sum_finish(sum_octets(upper, length, 0));
		upper[2] = (uint8_t)(sum >> 8);
		upper[3] = (uint8_t)sum;
		return ret;
	}
	memcpy(upper, (const uint8_t[]){ 0x01, 0xbb, 0x9c, 0x40, (uint8_t)(length >> 8), (uint8_t)length, 0, 0 }, 8);
	if (p->without_sum)
		return ret;
	sum = sum_finish(sum_octets(upper, length, sum_octets(ret.octets + 12, 8, 17U + length)));
	upper[6] = (uint8_t)(sum >> 8);
	upper[7] = (uint8_t)sum;
	return ret;
}

static struct six_outcome leave(const struct six_scene *scene, const struct packet4 *p, struct packet *out)
{
	struct packet in = build(p);

	return six_run(SIX_LEAVE, scene, in.octets, in.size, out->octets, &out->size);
}

/* Whether the checksum of the upper layer of a packet of IPv6 without extension headers is right. */
static bool sum_holds(const struct packet *p)
{
	uint32_t length = (uint32_t)(p->size - 40);

	return sum_finish(sum_octets(p->octets + 40, length, sum_octets(p->octets + 8, 32, p->octets[6] + length))) ==
	       0;
}

static const struct {
	const char *name;
	struct packet4 in;
	int result;
} rows[] = {
	{ "a datagram", { .data = 20 }, 0 },
	{ "the header's checksum is wrong", { .data = 20, .wrong_sum = 1 }, REASON_drop_malformed },
	{ "from this network", { .src = 0x00010203 }, REASON_drop_martian },
	{ "from loopback", { .src = 0x7f000001 }, REASON_drop_martian },
	{ "from multicast", { .src = 0xe0000005 }, REASON_drop_martian },
	{ "from class E", { .src = 0xf0000001 }, REASON_drop_martian },
	{ "from link-local", { .src = 0xa9fe0101 }, REASON_drop_martian },
	{ "from a private address, in 64:ff9b::/96", { .src = 0x0a000001 }, REASON_drop_martian },
	{ "from a shared address, in 64:ff9b::/96", { .src = 0x64400001 }, REASON_drop_martian },
	{ "from a documentation address", { .src = 0xc0000201 }, 0 },
	{ "the error of a router with a private address quotes nothing",
	  { .src = 0x0a000001, .proto = IPPROTO_ICMP, .icmp_type = 11 },
	  REASON_drop_malformed },
	{ "IGMP", { .proto = 2, .without_sum = 1 }, REASON_drop_protocol },
	{ "what would be ICMPv6", { .proto = 58, .without_sum = 1 }, REASON_drop_protocol },
	{ "what would be hop-by-hop options", { .proto = 44, .without_sum = 1 }, REASON_drop_protocol },
	{ "AH", { .proto = 51, .without_sum = 1 }, REASON_drop_protocol },
	{ "GRE", { .proto = 47, .without_sum = 1 }, 0 },
	{ "an echo request", { .proto = IPPROTO_ICMP, .icmp_type = 8 }, 0 },
	{ "a timestamp request", { .proto = IPPROTO_ICMP, .icmp_type = 13 }, REASON_drop_no_session },
	{ "a fragment of an echo request",
	  { .proto = IPPROTO_ICMP, .icmp_type = 8, .field = 0x2000, .data = 16 },
	  REASON_drop_fragment },
	{ "a UDP datagram without a checksum", { .data = 21, .without_sum = 1 }, 0 },
	{ "the first fragment of one", { .data = 16, .without_sum = 1, .field = 0x2000 }, REASON_drop_fragment_sum },
	{ "the first fragment of one with a checksum", { .data = 16, .field = 0x2000 }, 0 },
	{ "as long as a packet of IPv6 may be unfragmented", { .data = 1280 - 48 }, 0 },
	{ "longer by an octet", { .data = 1280 - 48 + 1 }, IN_FRAGMENTS },
	{ "longer by an octet with DF", { .data = 1280 - 48 + 1, .field = 0x4000 }, 0 },
	{ "a fragment as long as one of IPv6 may be", { .data = 1280 - 56, .field = 0x2000 }, 0 },
	{ "a fragment that is longer", { .data = 1280 - 48, .field = 0x2000 }, IN_FRAGMENTS },
};

Test(six_leave, each_reason)
{
	struct six_scene scene = six_scene_make();
	struct packet out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(leave(&scene, &rows[i].in, &out).result, rows[i].result, "%s", rows[i].name);
}

Test(six_leave, private_sources_pass_in_a_prefix_of_the_operators)
{
	struct six_scene scene = six_scene_make();
	struct packet out;

	six_scene_prefix(&scene, "2001:db8:64::", 96);
	cr_expect_eq(leave(&scene, &(struct packet4){ .src = 0x0a000001 }, &out).result, 0);
}

/* No octets of the padding are summed or counted. */
Test(six_leave, octets_behind_the_packet_belong_to_nothing)
{
	struct six_scene scene = six_scene_make();
	struct packet out;

	for (size_t behind = 0; behind < 20; behind++) {
		cr_expect_eq(
			leave(&scene, &(struct packet4){ .data = 5, .without_sum = 1, .behind = behind }, &out).result,
			0);
		cr_expect_eq(out.size, 40 + 8 + 5);
		cr_expect(sum_holds(&out), "%zu octets", behind);
	}
}

/* The data make up for what the checksum was, so that it comes out as 0. */
Test(six_leave, a_computed_checksum_of_0_is_sent_as_ffff)
{
	struct six_scene scene = six_scene_make();
	struct packet4 of = { .data = 2, .without_sum = 1 };
	struct packet in = build(&of), out;

	leave(&scene, &of, &out);
	memset(in.octets + 28, 0, 2);
	six_run(SIX_LEAVE, &scene, in.octets, in.size, out.octets, &out.size);
	memcpy(in.octets + 28, out.octets + 46, 2);
	cr_expect_eq(six_run(SIX_LEAVE, &scene, in.octets, in.size, out.octets, &out.size).result, 0);
	cr_expect_eq(out.octets[46], 0xff);
	cr_expect_eq(out.octets[47], 0xff);
	cr_expect(sum_holds(&out));
}

Test(six_leave, with_df_the_link_decides_and_without_it_fragments_fit_it)
{
	struct six_scene scene = six_scene_make();
	struct packet out;

	scene.mtu6 = 1500;
	scene.record.lowest_mtu = 2000;
	cr_expect_eq(leave(&scene, &(struct packet4){ .data = 1500 - 48, .field = 0x4000 }, &out).result, 0);
	cr_expect_eq(leave(&scene, &(struct packet4){ .data = 1500 - 47, .field = 0x4000 }, &out).result,
		     REASON_drop_too_big);
	cr_expect_eq(leave(&scene, &(struct packet4){ .data = 1500 - 47 }, &out).result, IN_FRAGMENTS);
	cr_expect_eq(out.octets[6], 44, "a fragment header");
	cr_expect_arr_eq(out.octets + 40, ((const uint8_t[]){ 17, 0, 0, 0, 0, 0, 0xbe, 0xef }), 8,
			 "with the identification of IPv4");
}

/* An error about a datagram to 203.0.113.9, with what a router tells. */
static uint32_t mtu_told(const struct six_scene *scene, uint16_t told, uint16_t quoted)
{
	struct packet p = build(&(struct packet4){ .proto = IPPROTO_ICMP, .icmp_type = 3, .data = 28 }), out;
	struct iphdr about = { .version = 4,
			       .ihl = 5,
			       .tot_len = htons(quoted),
			       .ttl = 50,
			       .protocol = IPPROTO_UDP,
			       .saddr = htonl(scene->virt),
			       .daddr = htonl(0xcb007109) };

	p.octets[21] = 4;
	p.octets[26] = (uint8_t)(told >> 8);
	p.octets[27] = (uint8_t)told;
	memcpy(p.octets + 28, &about, sizeof(about));
	cr_assert_eq(six_run(SIX_LEAVE, scene, p.octets, p.size, out.octets, &out.size).result, 0);
	cr_expect_eq(out.octets[40], ICMP6_PACKET_TOO_BIG);
	cr_expect(sum_holds(&out));
	return (uint32_t)out.octets[44] << 24 | out.octets[45] << 16 | out.octets[46] << 8 | out.octets[47];
}

Test(six_leave, the_mtu_that_a_router_tells_is_that_of_ipv6)
{
	static const struct {
		uint16_t told, quoted;
		uint32_t mtu4, mtu6, want;
	} mtus[] = {
		{ 1400, 1500, 0, 0, 1420 },	{ 1400, 1500, 1500, 1410, 1410 }, { 1400, 1500, 1380, 1500, 1400 },
		{ 68, 1500, 1500, 1500, 1280 }, { 65535, 1500, 0, 0, 65555 },	  { 0, 1500, 1500, 1500, 1500 },
		{ 0, 1500, 0, 0, 1492 + 20 },	{ 0, 1492, 0, 0, 1280 },	  { 0, 40000, 0, 0, 32020 },
		{ 0, 9000, 9000, 9000, 8186 },	{ 1370, 1500, 1380, 1500, 1390 },
	};

	for (size_t i = 0; i < sizeof(mtus) / sizeof(*mtus); i++) {
		struct six_scene scene = six_scene_make();

		scene.mtu4 = mtus[i].mtu4;
		scene.mtu6 = mtus[i].mtu6;
		cr_expect_eq(mtu_told(&scene, mtus[i].told, mtus[i].quoted), mtus[i].want, "row %zu", i);
	}
}
