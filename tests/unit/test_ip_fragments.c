// SPDX-License-Identifier: BSD-2-Clause
/* Fragmentation: every packet is put together again, octet by octet, from what it was cut into. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "base/ip_checksum.h"
#include "punt/sender.h"

#define SIZE 2000

/* A packet of so many octets of payload, with options, that begins at so many octets of its datagram. */
static size_t build(uint8_t *packet, const uint8_t *options, size_t n_options, size_t payload, unsigned offset,
		    int more)
{
	struct iphdr ip = { .version = 4,
			    .ihl = (5 + n_options / 4) & 15,
			    .tos = 0x28,
			    .tot_len = htons((uint16_t)(20 + n_options + payload)),
			    .id = htons(0xbeef),
			    .frag_off = htons((uint16_t)(offset / 8 | (more ? IP_MF : 0))),
			    .ttl = 63,
			    .protocol = IPPROTO_UDP,
			    .saddr = htonl(0xcb007100),
			    .daddr = htonl(0x0a000003) };

	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), options, n_options);
	for (size_t i = 0; i < payload; i++)
		packet[20 + n_options + i] = (uint8_t)(i * 7 + 1);
	ip.check = ip_checksum(packet, 20 + n_options);
	memcpy(packet, &ip, sizeof(ip));
	return 20 + n_options + payload;
}

struct row {
	const char *name; /* a sentence */
	size_t payload, mtu;
	unsigned offset; /* the packet is itself a fragment */
	int more;
	uint8_t options[8]; /* of the packet: 8 octets, or none where the first is 0 */
	uint8_t later[8];   /* of the fragments behind the first */
	unsigned fragments; /* 0: it cannot be done */
};

static const struct row rows[] = {
	{ "one octet too long", 1481, 1500, .fragments = 2 },
	{ "an MTU that is no multiple of 8", 1480, 1403, .fragments = 2 },
	{ "the last fragment fills the MTU to the octet", 1376 + 1381, 1401, .fragments = 2 },
	{ "many fragments", 1800, 68, .fragments = 38 },
	{ "8 octets a time", 20, 28, .fragments = 3 },
	{ "it fits", 100, 1500, .fragments = 1 },
	{ "a fragment in the middle is cut again", 1480, 1400, 2960, 1, .fragments = 2 },
	{ "the last fragment is cut again", 1479, 1400, 2960, 0, .fragments = 2 },
	{ "an option that is copied", 200, 128, .options = { 148, 4, 0, 0, 1, 1, 1, 0 },
	  .later = { 148, 4, 0, 0, 1, 1, 1, 0 }, .fragments = 3 },
	{ "an option that is not copied, behind one that is", 200, 128, .options = { 148, 4, 0, 0, 82, 3, 9, 0 },
	  .later = { 148, 4, 0, 0, 1, 1, 1, 0 }, .fragments = 3 },
	{ "options that are malformed stay as they are", 200, 128, .options = { 1, 82, 9, 0, 0, 0, 0, 0 },
	  .later = { 1, 82, 9, 0, 0, 0, 0, 0 }, .fragments = 3 },
	{ "no room for 8 octets", 100, 27 },
	{ "no payload", 0, 1500 },
};

Test(ip_fragments, put_together_again_they_are_the_packet)
{
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		const struct row *r = &rows[k];
		size_t options = r->options[0] ? 8 : 0, at = 0, done = 0, length, size;
		uint8_t packet[3000], fragment[SIZE];
		unsigned n = 0;

		size = build(packet, r->options, options, r->payload, r->offset, r->more);
		while ((length = ip_fragment_next(packet, size, r->mtu, &at, fragment))) {
			size_t header = 20 + options;
			struct iphdr ip;

			memcpy(&ip, fragment, sizeof(ip));
			cr_expect_leq(length, r->mtu, "%s", r->name);
			cr_expect_eq(ntohs(ip.tot_len), length, "%s", r->name);
			cr_expect_eq(ip_checksum(fragment, header), 0, "%s: checksum", r->name);
			cr_expect_eq((ntohs(ip.frag_off) & IP_OFFMASK) * 8U, r->offset + done, "%s: offset", r->name);
			cr_expect_arr_eq(fragment + header, packet + header + done, length - header, "%s", r->name);
			cr_expect_arr_eq(fragment + 20, n ? r->later : r->options, options, "%s: options", r->name);
			done += length - header;
			cr_expect_eq(!!(ntohs(ip.frag_off) & IP_MF), done < r->payload || r->more, "%s: more", r->name);
			cr_expect(done == r->payload || !((length - header) & 7), "%s: units of 8 octets", r->name);
			/* The rest of the header is the packet's. */
			ip.tot_len = htons((uint16_t)size);
			ip.frag_off = ((struct iphdr *)packet)->frag_off;
			ip.check = ((struct iphdr *)packet)->check;
			cr_expect_arr_eq(&ip, packet, sizeof(ip), "%s: header", r->name);
			n++;
		}
		cr_expect_eq(n, r->fragments, "%s: %u fragments", r->name, n);
		cr_expect_eq(done, r->fragments ? r->payload : 0, "%s", r->name);
	}
}

#define HEADERS6 48U /* with the fragment header */

/* The same of IPv6. */
static size_t build6(uint8_t *packet, size_t payload, unsigned offset, int more)
{
	struct ip6_hdr ip = { .ip6_plen = htons((uint16_t)(8 + payload)), .ip6_nxt = IPPROTO_FRAGMENT, .ip6_hlim = 63 };
	struct ip6_frag f = { .ip6f_nxt = IPPROTO_UDP,
			      .ip6f_offlg = htons((uint16_t)(offset | (more ? 1U : 0))),
			      .ip6f_ident = htonl(0xbeef) };

	ip.ip6_flow = htonl(0x62800000);
	memset(&ip.ip6_src, 0x20, sizeof(ip.ip6_src));
	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), &f, sizeof(f));
	for (size_t i = 0; i < payload; i++)
		packet[HEADERS6 + i] = (uint8_t)(i * 7 + 1);
	return HEADERS6 + payload;
}

static const struct row rows6[] = {
	{ "one octet too long", 1233, 1280, .fragments = 2 },
	{ "an MTU that is no multiple of 8", 2470, 1283, .fragments = 3 },
	{ "the last fragment fills the MTU to the octet", 1232 + 1232, 1280, .fragments = 2 },
	{ "it fits", 100, 1280, .fragments = 1 },
	{ "a fragment in the middle is cut again", 1480, 1280, 2960, 1, .fragments = 2 },
	{ "no room for 8 octets", 100, 55, .fragments = 0 },
};

Test(ip_fragments, of_ipv6_put_together_again_they_are_the_packet)
{
	for (size_t k = 0; k < sizeof(rows6) / sizeof(*rows6); k++) {
		const struct row *r = &rows6[k];
		uint8_t packet[3000], fragment[SIZE];
		size_t at = 0, done = 0, length, size = build6(packet, r->payload, r->offset, r->more);
		unsigned n = 0;

		while ((length = ip_fragment_next(packet, size, r->mtu, &at, fragment))) {
			struct ip6_hdr ip;
			struct ip6_frag f;

			memcpy(&ip, fragment, sizeof(ip));
			memcpy(&f, fragment + sizeof(ip), sizeof(f));
			cr_expect_leq(length, r->mtu, "%s", r->name);
			cr_expect_eq(ntohs(ip.ip6_plen), length - sizeof(ip), "%s", r->name);
			cr_expect_eq(ntohs(f.ip6f_offlg) & 0xfff8, r->offset + done, "%s: offset", r->name);
			cr_expect_arr_eq(fragment + HEADERS6, packet + HEADERS6 + done, length - HEADERS6, "%s",
					 r->name);
			done += length - HEADERS6;
			cr_expect_eq(ntohs(f.ip6f_offlg) & 1, done < r->payload || r->more, "%s: more", r->name);
			cr_expect(done == r->payload || !((length - HEADERS6) & 7), "%s: units of 8 octets", r->name);
			/* The rest of the headers is the packet's. */
			ip.ip6_plen = htons((uint16_t)(size - sizeof(ip)));
			f.ip6f_offlg = ((struct ip6_frag *)(packet + sizeof(ip)))->ip6f_offlg;
			cr_expect_arr_eq(&ip, packet, sizeof(ip), "%s: header", r->name);
			cr_expect_arr_eq(&f, packet + sizeof(ip), sizeof(f), "%s: fragment header", r->name);
			n++;
		}
		cr_expect_eq(n, r->fragments, "%s: %u fragments", r->name, n);
		cr_expect_eq(done, r->fragments ? r->payload : 0, "%s", r->name);
	}
}

/* Without a fragment header, an IPv6 packet is not cut. */
Test(ip_fragments, what_has_no_fragment_header_is_not_cut)
{
	uint8_t packet[SIZE], fragment[SIZE];
	size_t at = 0, size = build6(packet, 1400, 0, 0);

	packet[6] = IPPROTO_UDP;
	cr_expect_eq(ip_fragment_next(packet, size, 1280, &at, fragment), 0);
	packet[6] = IPPROTO_FRAGMENT;
	for (size_t cut = 0; cut < size; cut++) {
		at = 0;
		cr_expect_eq(ip_fragment_next(packet, cut, 1280, &at, fragment), 0, "%zu octets", cut);
	}
}

/* What the ring buffer hands over is believed in nothing. */
Test(ip_fragments, a_malformed_packet_has_no_fragments)
{
	uint8_t packet[SIZE] = { 0 }, fragment[SIZE];
	size_t at, size = build(packet, NULL, 0, 100, 0, 0);

	for (size_t cut = 0; cut < size; cut++) {
		at = 0;
		cr_expect_eq(ip_fragment_next(packet, cut, 68, &at, fragment), 0, "%zu octets", cut);
	}
	packet[0] = 0x44;
	at = 0;
	cr_expect_eq(ip_fragment_next(packet, size, 68, &at, fragment), 0, "a header too short");
	packet[0] = 0x4f;
	packet[2] = 0;
	packet[3] = 60;
	cr_expect_eq(ip_fragment_next(packet, size, 68, &at, fragment), 0, "a header alone");
}
