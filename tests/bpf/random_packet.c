// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "random_packet.h"

#define L3 14

uint32_t random_below(struct random *r, uint32_t n)
{
	/* xorshift64* */
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)((r->state * 0x2545f4914f6cdd1dULL) >> 32) % n;
}

bool random_once(struct random *r, uint32_t n)
{
	return !random_below(r, n);
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static void put_mac(uint8_t *at, enum station station)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)station };

	memcpy(at, mac, 6);
}

static size_t ip_size(const uint8_t *frame)
{
	return (frame[L3] & 15) * 4U;
}

static size_t check_at(uint8_t proto)
{
	return proto == TCP ? 16 : proto == UDP ? 6 : 2;
}

/* The sum that a receiver computes over the header, its checksum included: 0xffff where it is right. */
static unsigned ip_residue(const uint8_t *frame)
{
	return (uint16_t)~sum_finish(sum_octets(frame + L3, ip_size(frame), 0));
}

/* The length of the transport, by itself. */
static size_t transport_size(const uint8_t *frame, uint8_t proto)
{
	return proto == UDP ? get16(frame + L3 + ip_size(frame) + 4) : get16(frame + L3 + 2) - ip_size(frame);
}

static uint64_t pseudo_sum(const uint8_t *frame, uint8_t proto)
{
	uint8_t pseudo[12] = { 0 };

	memcpy(pseudo, frame + L3 + 12, 8);
	pseudo[9] = proto;
	put16(pseudo + 10, (unsigned)transport_size(frame, proto));
	return proto == ICMP ? 0 : sum_octets(pseudo, 12, 0);
}

static unsigned transport_residue(const uint8_t *frame, uint8_t proto)
{
	return (uint16_t)~sum_finish(
		sum_octets(frame + L3 + ip_size(frame), transport_size(frame, proto), pseudo_sum(frame, proto)));
}

/* Whether the checksum is the sum of the pseudo-header alone, as if a card had yet to finish it. */
static bool is_unfinished(const uint8_t *frame, uint8_t proto)
{
	return proto != ICMP &&
	       get16(frame + L3 + ip_size(frame) + check_at(proto)) == (uint16_t)~sum_finish(pseudo_sum(frame, proto));
}

/* 0 and 0xffff are the same number. */
static bool same_residue(unsigned a, unsigned b)
{
	return a % 0xffff == b % 0xffff;
}

static size_t transport_header(struct random *r, const struct random_packet *p)
{
	return p->proto == TCP ? 20 + 4 * (random_once(r, 2) ? random_below(r, 11) : 0) : 8;
}

static void build_transport(struct random *r, const struct random_packet *p, uint8_t *l4, size_t header, size_t size)
{
	for (size_t i = 0; i < size; i++)
		l4[i] = (uint8_t)random_below(r, 256);
	if (p->proto == ICMP) {
		l4[0] = p->echo_reply ? 0 : 8;
		l4[1] = p->flaw == FLAW_TRANSPORT_LENGTH_SMALL ? 1 : 0;
		put16(l4 + 4, p->echo_reply ? p->dport : p->sport);
		return;
	}
	put16(l4, p->sport);
	put16(l4 + 2, p->dport);
	if (p->proto == TCP) {
		l4[12] = (uint8_t)(header / 4 << 4 | (l4[12] & 15));
		l4[13] = p->flags;
		return;
	}
	/* Shorter than the IP packet, now and then: what follows is no part of the datagram. */
	put16(l4 + 4, (unsigned)(size > 8 && random_once(r, 8) ? 8 + random_below(r, (uint32_t)size - 8) : size));
}

static void spoil_transport(struct random *r, const struct random_packet *p, uint8_t *l4, size_t size)
{
	if (p->flaw == FLAW_TRANSPORT_LENGTH_SMALL && p->proto == UDP)
		put16(l4 + 4, random_below(r, 8));
	if (p->flaw == FLAW_TRANSPORT_LENGTH_SMALL && p->proto == TCP)
		l4[12] = (uint8_t)(random_below(r, 5) << 4);
	if (p->flaw == FLAW_TRANSPORT_LENGTH_BIG && p->proto == UDP)
		put16(l4 + 4, (unsigned)size + 1 + random_below(r, 100));
	if (p->flaw == FLAW_TRANSPORT_LENGTH_BIG && p->proto == TCP)
		l4[12] = 0xf0;
}

static void spoil_ip(struct random *r, struct random_packet *p, uint8_t *ip, size_t headers)
{
	switch (p->flaw) {
	case FLAW_VERSION:
		ip[0] = (uint8_t)((ip[0] & 15) | (random_once(r, 2) ? 0x60 : 0x50));
		break;
	case FLAW_HEADER_LENGTH:
		ip[0] = (uint8_t)(0x40 | random_below(r, 5));
		break;
	case FLAW_TOTAL_BELOW_HEADER:
		put16(ip + 2, random_below(r, (uint32_t)headers));
		break;
	case FLAW_TOTAL_BEYOND_FRAME:
		put16(ip + 2, (unsigned)(p->size - L3) + 1 + random_below(r, 500));
		break;
	case FLAW_CUT_IN_HEADER:
		p->size = L3 + random_below(r, 20);
		break;
	case FLAW_TRANSPORT_CUT:
		put16(ip + 2, (unsigned)headers + random_below(r, p->proto == TCP ? 20 : 8));
		break;
	default:
		break;
	}
}

static void build_checksums(struct random *r, struct random_packet *p, uint8_t *ip, uint8_t *l4)
{
	uint8_t *check = l4 + check_at(p->proto);
	unsigned sum;

	put16(check, 0);
	sum = (uint16_t)~transport_residue(p->octet, p->proto);
	if (random_once(r, 10))
		sum = random_below(r, 65536);
	if (p->proto == UDP && !sum)
		sum = 0xffff;
	if (p->proto == UDP && random_once(r, 6))
		sum = 0;
	put16(check, sum);
	put16(ip + 10, 0);
	put16(ip + 10, random_once(r, 20) ? random_below(r, 65536) : (uint16_t)~ip_residue(p->octet));
}

void random_packet_build(struct random *r, struct random_packet *p)
{
	size_t headers = 20 + (random_once(r, 12) ? 4 * random_below(r, 11) : 0);
	size_t header, payload, l4_size;
	uint8_t *ip = p->octet + L3, *l4 = ip + headers;

	/* A data offset beyond the packet is one only of a short packet. */
	if (p->flaw == FLAW_TRANSPORT_LENGTH_BIG && p->proto == ICMP)
		p->flaw = FLAW_TRANSPORT_LENGTH_SMALL;
	header = transport_header(r, p);
	payload = random_once(r, 20) ? random_below(r, (uint32_t)(1500 - headers - header + 1)) : random_below(r, 40);
	if (p->flaw == FLAW_TRANSPORT_LENGTH_BIG && p->proto == TCP) {
		header = 20;
		payload = random_below(r, 40);
	}
	l4_size = header + payload;
	memset(p->octet, 0, sizeof(p->octet));
	put_mac(p->octet, p->to);
	put_mac(p->octet + 6, p->from);
	put16(p->octet + 12, 0x0800);
	ip[0] = (uint8_t)(0x40 | headers / 4);
	ip[1] = (uint8_t)random_below(r, 256);
	put16(ip + 2, (unsigned)(headers + l4_size));
	put16(ip + 4, random_below(r, 65536));
	ip[6] = random_once(r, 2) ? 0x40 : 0;
	ip[8] = p->ttl;
	ip[9] = p->proto;
	put32(ip + 12, p->src);
	put32(ip + 16, p->dst);
	for (size_t i = 20; i < headers; i++)
		ip[i] = 1; /* no operation */
	p->size = L3 + headers + l4_size;
	build_transport(r, p, l4, header, l4_size);
	build_checksums(r, p, ip, l4);
	spoil_transport(r, p, l4, l4_size);
	if (p->size < 60 && random_once(r, 2)) {
		for (; p->size < 60; p->size++)
			p->octet[p->size] = (uint8_t)random_below(r, 256);
	}
	spoil_ip(r, p, ip, headers);
	p->length = (uint16_t)get16(ip + 2);
}

size_t random_packet_port_at(const struct random_packet *p, bool source)
{
	return L3 + ip_size(p->octet) + (p->proto == ICMP ? 4 : source ? 0 : 2);
}

const char *random_packet_compare(const struct random_packet *p, const struct change *c, const uint8_t *out,
				  size_t out_size)
{
	uint8_t want[FRAME_MAX];
	uint8_t *ip = want + L3, *l4 = ip + ip_size(p->octet);
	size_t check = check_at(p->proto);

	if (out_size != p->size)
		return "another length";
	memcpy(want, p->octet, p->size);
	if (c->to)
		put_mac(want, c->to);
	if (c->from)
		put_mac(want + 6, c->from);
	ip[8] = (uint8_t)(ip[8] - c->ttl_lowered);
	put32(ip + 12, c->src);
	put32(ip + 16, c->dst);
	if (p->proto == ICMP) {
		put16(l4 + 4, p->echo_reply ? c->dport : c->sport);
	} else {
		put16(l4, c->sport);
		put16(l4 + 2, c->dport);
	}
	/* The checksums are judged by what they sum up to. */
	memcpy(ip + 10, out + L3 + 10, 2);
	memcpy(l4 + check, out + (l4 - want) + check, 2);
	if (memcmp(want, out, out_size))
		return "something else has changed, or not what should have";
	if (!same_residue(ip_residue(p->octet), ip_residue(out)))
		return "the header checksum";
	if (p->proto == UDP && !get16(p->octet + (l4 - want) + 6))
		return get16(l4 + 6) ? "a UDP checksum from nothing" : NULL;
	if (p->proto == UDP && !get16(l4 + 6))
		return "a UDP checksum became 0";
	return same_residue(transport_residue(p->octet, p->proto), transport_residue(out, p->proto))
		       ? NULL
		       : "the transport checksum";
}

const char *random_packet_compare_error(const struct random_packet *p, uint32_t gateway, uint8_t type, uint8_t code,
					unsigned ttl_lowered, const uint8_t *out, size_t out_size)
{
	size_t quote = p->length < 548 ? p->length : 548;
	uint8_t addresses[8], quoted[FRAME_MAX];

	put32(addresses, gateway);
	put32(addresses + 4, p->src);
	memcpy(quoted, p->octet + L3, quote);
	if (out_size != L3 + 28 + quote || out[L3] != 0x45 || get16(out + L3 + 2) != 28 + quote || out[L3 + 9] != ICMP)
		return "no ICMP error of that length";
	if (ip_residue(out) != 0xffff || transport_residue(out, ICMP) != 0xffff)
		return "a checksum of the error";
	if (out[L3 + 20] != type || out[L3 + 21] != code)
		return "type and code of the error";
	if (memcmp(out + L3 + 12, addresses, 8))
		return "addresses of the error";
	if (ttl_lowered) {
		/* At tc the kernel lowered it before, and the quote is as the sender sent it. */
		quoted[8] = (uint8_t)(quoted[8] + 1);
		memcpy(quoted + 10, out + L3 + 28 + 10, 2);
		/* And its checksum finished, as a card does; seldom one of a random packet looks so. */
		if (is_unfinished(p->octet, p->proto)) {
			size_t check = ip_size(p->octet) + check_at(p->proto);

			memcpy(quoted + check, out + L3 + 28 + check, 2);
		}
	}
	return memcmp(out + L3 + 28, quoted, quote) ? "the quote is not what was sent" : NULL;
}
