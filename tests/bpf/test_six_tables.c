// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tables of RFC 7915: each type and code of ICMP errors (sections 4.2 and 5.2), each octet that a pointer may be at
 * (figures 3 and 6), and the MTUs that are told. Whole packets are compared.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "frame.h"
#include "six_fixture.h"

TestSuite(six_tables, .init = six_set_up, .fini = six_tear_down);

#define REMOTE 0xcb007109U /* 203.0.113.9, to which the host has a session */
#define ROUTER 0xc0000263U /* 192.0.2.99, on the way to it */
#define CLASS  0xb8
#define HOPS   63 /* of the error */
#define QUOTED 55 /* of the packet that it quotes */
#define DATA   16
#define UPPER  (8 + DATA)

struct packet {
	uint8_t at[SIX_PACKET_MAX];
	size_t size;
};

static void put(uint8_t *at, uint32_t value, unsigned octets)
{
	while (octets--) {
		at[octets] = (uint8_t)value;
		value >>= 8;
	}
}

static void put_embedded(uint8_t *at, uint32_t addr)
{
	static const uint8_t prefix[12] = { 0x00, 0x64, 0xff, 0x9b };

	memcpy(at, prefix, sizeof(prefix));
	put(at + sizeof(prefix), addr, 4);
}

static void put_sum(uint8_t *upper, size_t size, size_t check, uint32_t pseudo)
{
	put(upper + check, 0, 2);
	put(upper + check, sum_finish(sum_octets(upper, size, pseudo)), 2);
}

/* Headers of both families; the addresses of IPv6 are the caller's. */
static void put_ipv6(uint8_t *ip, uint8_t proto, uint8_t hops, size_t payload)
{
	put(ip, 6U << 28 | CLASS << 20, 4);
	put(ip + 4, (uint32_t)payload, 2);
	ip[6] = proto;
	ip[7] = hops;
}

static void put_ipv4(uint8_t *ip, uint8_t proto, uint8_t ttl, size_t payload, uint32_t src, uint32_t dst)
{
	put(ip, 0x45U << 24 | CLASS << 16 | (uint32_t)(20 + payload), 4);
	put(ip + 4, 0, 4);
	ip[8] = ttl;
	ip[9] = proto;
	put(ip + 12, src, 4);
	put(ip + 16, dst, 4);
	put_sum(ip, 20, 10, 0);
}

/* A datagram behind a header with addresses, whose octets are so many before it. */
static void put_udp(uint8_t *upper, uint16_t sport, uint16_t dport, size_t addresses)
{
	put(upper, (uint32_t)sport << 16 | dport, 4);
	put(upper + 4, UPPER, 2);
	for (uint8_t i = 0; i < DATA; i++)
		upper[8 + i] = (uint8_t)(i * 5 + 3);
	put_sum(upper, UPPER, 6, sum_octets(upper - addresses, addresses, UDP + UPPER));
}

/* The host's datagram to REMOTE, or the answer, as it is inside. */
static void put_inside(const struct six_scene *s, uint8_t *ip, bool out)
{
	put_ipv6(ip, UDP, QUOTED, UPPER);
	memcpy(ip + (out ? 8 : 24), s->host, 16);
	put_embedded(ip + (out ? 24 : 8), REMOTE);
	put_udp(ip + 40, out ? 40000 : 443, out ? 443 : 40000, 32);
}

/* The same as the slow path has it, with the virtual address. */
static void put_outside(const struct six_scene *s, uint8_t *ip, bool out)
{
	put_ipv4(ip, UDP, QUOTED, UPPER, out ? s->virt : REMOTE, out ? REMOTE : s->virt);
	put_udp(ip + 20, out ? 40000 : 443, out ? 443 : 40000, 8);
}

/* An error inside about a datagram of the host (out) or to it. The host has sent the latter. */
static struct packet inside_error(const struct six_scene *s, bool out, uint8_t type, uint8_t code, uint32_t field)
{
	struct packet p = { .size = 40 + 8 + 40 + UPPER };
	const size_t size = p.size - 40;

	put_ipv6(p.at, 58, HOPS, size);
	memcpy(p.at + (out ? 24 : 8), s->host, 16);
	put_embedded(p.at + (out ? 8 : 24), out ? ROUTER : REMOTE);
	p.at[40] = type;
	p.at[41] = code;
	put(p.at + 44, field, 4);
	put_inside(s, p.at + 48, out);
	put_sum(p.at + 40, size, 2, sum_octets(p.at + 8, 32, 58 + (uint32_t)size));
	return p;
}

static struct packet outside_error(const struct six_scene *s, bool out, uint8_t type, uint8_t code, uint32_t field)
{
	struct packet p = { .size = 20 + 8 + 20 + UPPER };

	put_ipv4(p.at, ICMP, HOPS, p.size - 20, out ? ROUTER : s->virt, out ? s->virt : REMOTE);
	p.at[20] = type;
	p.at[21] = code;
	put(p.at + 24, field, 4);
	put_outside(s, p.at + 28, out);
	put_sum(p.at + 20, p.size - 20, 2, 0);
	return p;
}

/* Gives the expected packet the identification that was chosen: nobody can guess it. */
static void same_identification(struct packet *want, const struct packet *got)
{
	memcpy(want->at + 4, got->at + 4, 2);
	put_sum(want->at, 20, 10, 0);
}

static void expect_same(const char *what, unsigned type, unsigned code, uint32_t field, const struct packet *got,
			const struct packet *want)
{
	cr_expect(frame_equal(what, got->at, got->size, want->at, want->size), "%s: type %u, code %u, %u", what, type,
		  code, field);
}

/* What an error of one family becomes; to.type GONE: it is dropped. field: the four octets behind the checksum. */
struct error {
	uint8_t type, code;
	uint32_t field;
};
#define GONE 255

static void inwards(const struct six_scene *s, struct error from, struct error to)
{
	struct packet in = outside_error(s, true, from.type, from.code, from.field), out;
	struct packet want = inside_error(s, true, to.type, to.code, to.field);
	int result = six_run(SIX_LEAVE, s, in.at, in.size, out.at, &out.size).result;

	cr_expect_eq(result, to.type == GONE ? REASON_drop_no_session : 0, "type %u, code %u, %08x: %d", from.type,
		     from.code, from.field, result);
	if (to.type != GONE && !result)
		expect_same("inwards", from.type, from.code, from.field, &out, &want);
}

static void outwards(const struct six_scene *s, struct error from, struct error to)
{
	struct packet in = inside_error(s, false, from.type, from.code, from.field), out;
	struct packet want = outside_error(s, false, to.type, to.code, to.field);
	int result = six_run(SIX_ENTER, s, in.at, in.size, out.at, &out.size).result;

	cr_expect_eq(result, to.type == GONE ? REASON_drop_no_session : 0, "type %u, code %u, %08x: %d", from.type,
		     from.code, from.field, result);
	if (to.type == GONE || result)
		return;
	same_identification(&want, &out);
	expect_same("outwards", from.type, from.code, from.field, &out, &want);
}

Test(six_tables, each_icmp_error_becomes_what_section_4_2_says)
{
	static const struct {
		struct error from, to;
	} rows[] = {
		{ { 3, 0, 0 }, { 1, 0, 0 } },  { { 3, 1, 0 }, { 1, 0, 0 } },	   { { 3, 2, 0 }, { 4, 1, 6 } },
		{ { 3, 3, 0 }, { 1, 4, 0 } },  { { 3, 4, 1300 }, { 2, 0, 1320 } }, { { 3, 5, 0 }, { 1, 0, 0 } },
		{ { 3, 6, 0 }, { 1, 0, 0 } },  { { 3, 7, 0 }, { 1, 0, 0 } },	   { { 3, 8, 0 }, { 1, 0, 0 } },
		{ { 3, 9, 0 }, { 1, 1, 0 } },  { { 3, 10, 0 }, { 1, 1, 0 } },	   { { 3, 11, 0 }, { 1, 0, 0 } },
		{ { 3, 12, 0 }, { 1, 0, 0 } }, { { 3, 13, 0 }, { 1, 1, 0 } },	   { { 3, 14, 0 }, { GONE } },
		{ { 3, 15, 0 }, { 1, 1, 0 } }, { { 3, 16, 0 }, { GONE } },	   { { 11, 0, 0 }, { 3, 0, 0 } },
		{ { 11, 1, 0 }, { 3, 1, 0 } }, { { 12, 1, 0 }, { GONE } },	   { { 12, 3, 0 }, { GONE } },
	};
	struct six_scene s = six_scene_make();

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		inwards(&s, rows[i].from, rows[i].to);
}

/* Source quench, redirects, router discovery, timestamps, information, address masks, and what nobody knows. */
Test(six_tables, icmp_of_other_types_is_dropped)
{
	static const uint8_t types[] = { 1, 2, 4, 5, 6, 7, 9, 10, 13, 14, 15, 16, 17, 18, 30, 40, 41, 253, 255 };
	struct six_scene s = six_scene_make();

	for (size_t i = 0; i < sizeof(types); i++)
		inwards(&s, (struct error){ types[i], 0, 0 }, (struct error){ GONE });
}

Test(six_tables, each_octet_of_ipv4_is_pointed_at_in_ipv6)
{
	struct six_scene s = six_scene_make();

	for (uint32_t at = 0; at < 24; at++) {
		static const int octets[20] = { 0, 1, 4, 4, -1, -1, -1, -1, 7, 6, -1, -1, 8, 8, 8, 8, 24, 24, 24, 24 };
		const int to = at < 20 ? octets[at] : -1;
		const struct error want = { to < 0 ? GONE : 4, 0, (uint32_t)to };

		inwards(&s, (struct error){ 12, 0, at << 24 }, want);
		inwards(&s, (struct error){ 12, 2, at << 24 }, want);
	}
}

Test(six_tables, each_icmpv6_error_becomes_what_section_5_2_says)
{
	static const struct {
		struct error from, to;
	} rows[] = {
		{ { 1, 0, 0 }, { 3, 1, 0 } },  { { 1, 1, 0 }, { 3, 10, 0 } },	   { { 1, 2, 0 }, { 3, 1, 0 } },
		{ { 1, 3, 0 }, { 3, 1, 0 } },  { { 1, 4, 0 }, { 3, 3, 0 } },	   { { 1, 5, 0 }, { GONE } },
		{ { 1, 6, 0 }, { GONE } },     { { 2, 0, 1400 }, { 3, 4, 1380 } }, { { 2, 7, 1400 }, { 3, 4, 1380 } },
		{ { 3, 0, 0 }, { 11, 0, 0 } }, { { 3, 1, 0 }, { 11, 1, 0 } },	   { { 4, 1, 6 }, { 3, 2, 0 } },
		{ { 4, 2, 40 }, { GONE } },    { { 4, 3, 0 }, { GONE } },	   { { 5, 0, 0 }, { GONE } },
		{ { 100, 0, 0 }, { GONE } },   { { 127, 0, 0 }, { GONE } },	   { { 130, 0, 0 }, { GONE } },
		{ { 131, 0, 0 }, { GONE } },   { { 132, 0, 0 }, { GONE } },	   { { 133, 0, 0 }, { GONE } },
		{ { 134, 0, 0 }, { GONE } },   { { 135, 0, 0 }, { GONE } },	   { { 136, 0, 0 }, { GONE } },
		{ { 137, 0, 0 }, { GONE } },   { { 143, 0, 0 }, { GONE } },	   { { 200, 0, 0 }, { GONE } },
	};
	struct six_scene s = six_scene_make();

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		outwards(&s, rows[i].from, rows[i].to);
}

Test(six_tables, each_octet_of_ipv6_is_pointed_at_in_ipv4)
{
	static const uint32_t beyond[] = { 40, 41, 0x100, 0x10000, 0xffffffff };
	struct six_scene s = six_scene_make();

	for (uint32_t at = 0; at < 40; at++) {
		static const int octets[8] = { 0, 1, -1, -1, 2, 2, 9, 8 };
		const int to = at < 8 ? octets[at] : at < 24 ? 12 : 16;
		const struct error want = { to < 0 ? GONE : 12, 0, (uint32_t)to << 24 };

		outwards(&s, (struct error){ 4, 0, at }, want);
	}
	for (size_t i = 0; i < sizeof(beyond) / sizeof(*beyond); i++)
		outwards(&s, (struct error){ 4, 0, beyond[i] }, (struct error){ GONE });
}

/* max(68, min(told - 20, that of the way out, that of the link inside - 20)), and no more than the field has. */
Test(six_tables, the_mtu_told_outside_is_that_of_ipv4)
{
	static const struct {
		uint32_t told, mtu4, mtu6, want;
	} rows[] = {
		{ 1400, 0, 0, 1380 },	     { 1280, 1500, 1500, 1260 }, { 1400, 1300, 1500, 1300 },
		{ 1400, 1500, 1380, 1360 },  { 1400, 1380, 1400, 1380 }, { 1400, 1379, 1400, 1379 },
		{ 0xffffffff, 0, 0, 65535 }, { 65556, 0, 0, 65535 },	 { 65555, 0, 0, 65535 },
		{ 65554, 0, 0, 65534 },	     { 0, 1500, 1500, 68 },	 { 88, 1500, 1500, 68 },
		{ 89, 1500, 1500, 69 },	     { 1400, 60, 1500, 68 },	 { 0xffffffff, 1500, 1500, 1480 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct six_scene s = six_scene_make();

		s.mtu4 = rows[i].mtu4;
		s.mtu6 = rows[i].mtu6;
		outwards(&s, (struct error){ 2, 0, rows[i].told }, (struct error){ 3, 4, rows[i].want });
	}
}

/* An error to, or about a packet from, another prefix than the mapping's, or an address that is nobody's. */
Test(six_tables, errors_of_other_prefixes_and_of_nobody_are_dropped)
{
	struct six_scene s = six_scene_make();
	struct packet in = inside_error(&s, false, 1, 4, 0), out;

	in.at[27] ^= 1;
	put_sum(in.at + 40, in.size - 40, 2, sum_octets(in.at + 8, 32, 58 + (uint32_t)in.size - 40));
	cr_expect_eq(six_run(SIX_ENTER, &s, in.at, in.size, out.at, &out.size).result, REASON_drop_martian);
	in = inside_error(&s, false, 1, 4, 0);
	in.at[48 + 11] ^= 1;
	put_sum(in.at + 40, in.size - 40, 2, sum_octets(in.at + 8, 32, 58 + (uint32_t)in.size - 40));
	cr_expect_eq(six_run(SIX_ENTER, &s, in.at, in.size, out.at, &out.size).result, REASON_drop_no_session);
	in = inside_error(&s, false, 1, 4, 0);
	put(in.at + 36, 0x0a000001, 4);
	put_sum(in.at + 40, in.size - 40, 2, sum_octets(in.at + 8, 32, 58 + (uint32_t)in.size - 40));
	cr_expect_eq(six_run(SIX_ENTER, &s, in.at, in.size, out.at, &out.size).result, REASON_drop_martian);
	/* A wrong checksum would be made into another one. */
	in = inside_error(&s, false, 1, 4, 0);
	in.at[42]++;
	cr_expect_eq(six_run(SIX_ENTER, &s, in.at, in.size, out.at, &out.size).result, REASON_drop_malformed);
}
