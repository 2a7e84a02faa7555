// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

uint32_t sum_octets(const uint8_t *data, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += (uint32_t)data[i] << (i & 1 ? 0 : 8);
	return sum;
}

uint16_t sum_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)(value >> 16));
	put16(at + 2, (uint16_t)value);
}

static void put_mac(uint8_t *at, enum station station)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)station };

	memcpy(at, mac, 6);
}

static size_t header_size(uint8_t proto)
{
	return proto == TCP ? 20 : 8;
}

/* The transport header with its payload, which counts upwards. */
static void build_transport(const struct frame *f, uint8_t *l4, size_t size)
{
	size_t check = f->proto == TCP ? 16 : f->proto == UDP ? 6 : 2;
	uint8_t pseudo[12] = { 0 };
	uint32_t sum;
	uint16_t checksum;

	for (size_t i = header_size(f->proto); i < size; i++)
		l4[i] = (uint8_t)(i * 7 + 1);
	if (f->proto == ICMP) {
		l4[0] = f->icmp_type == ECHO_REPLY_TYPE ? 0 : f->icmp_type ? f->icmp_type : 8;
		put16(l4 + 4, f->icmp_type == ECHO_REPLY_TYPE ? f->dport : f->sport);
		put16(l4 + 6, 77);
	} else {
		put16(l4, f->sport);
		put16(l4 + 2, f->dport);
	}
	if (f->proto == TCP) {
		put32(l4 + 4, 0x01020304);
		l4[12] = 5 << 4;
		l4[13] = f->flags;
		put16(l4 + 14, 1000);
	} else if (f->proto == UDP) {
		put16(l4 + 4, (uint16_t)size);
	}
	put32(pseudo, f->src);
	put32(pseudo + 4, f->dst);
	pseudo[9] = f->proto;
	put16(pseudo + 10, (uint16_t)size);
	sum = f->proto == ICMP ? 0 : sum_octets(pseudo, sizeof(pseudo), 0);
	checksum = sum_finish(sum_octets(l4, size, sum));
	if (f->options & WRONG_CHECKSUM)
		checksum++;
	if (f->proto == UDP && !checksum)
		checksum = 0xffff;
	if (f->proto == UDP && f->options & NO_UDP_CHECKSUM)
		checksum = 0;
	if (f->proto == TCP || f->proto == UDP || f->proto == ICMP)
		put16(l4 + check, checksum);
}

size_t frame_build(const struct frame *f, uint8_t *buffer)
{
	size_t l3 = f->options & VLAN ? 18 : 14, ip_size = 20 + f->ip_options;
	size_t l4_size = header_size(f->proto) + f->payload, size = l3 + ip_size + l4_size;
	uint8_t *ip = buffer + l3;

	memset(buffer, 0, FRAME_MAX);
	put_mac(buffer, f->to);
	put_mac(buffer + 6, f->from);
	if (f->options & VLAN) {
		put16(buffer + 12, 0x8100);
		put16(buffer + 14, 100);
	}
	put16(ip - 2, 0x0800);
	ip[0] = (uint8_t)(0x40 | ip_size / 4);
	ip[1] = 0x2e; /* DSCP and ECN must survive */
	put16(ip + 2, (uint16_t)(ip_size + l4_size));
	put16(ip + 4, 0xbeef);
	put16(ip + 6, (uint16_t)((f->options & DONT_FRAGMENT ? 0x4000 : 0) |
				 (f->options & MORE_FRAGMENTS ? 0x2000 : 0) | (f->options & LATER_FRAGMENT ? 100 : 0)));
	ip[8] = f->ttl ? f->ttl : 64;
	ip[9] = f->proto;
	put32(ip + 12, f->src);
	put32(ip + 16, f->dst);
	for (size_t i = 20; i < ip_size; i++)
		ip[i] = 1; /* no operation */
	put16(ip + 10, sum_finish(sum_octets(ip, ip_size, 0)));
	build_transport(f, ip + ip_size, l4_size);
	/* The suite runs a second time with every frame as Ethernet would carry it. */
	if ((f->options & PADDED || getenv("PADDED")) && !(f->options & CUT_SHORT) && size < 60) {
		memset(buffer + size, 0, 60 - size);
		size = 60;
	}
	return f->options & CUT_SHORT ? size - 1 : size;
}

void frame_source_route(uint8_t *frame)
{
	static const uint8_t option[] = { 131, 7, 4, 10, 0, 0, 9, 0 };
	uint8_t *ip = frame + 14;

	memcpy(ip + 20, option, sizeof(option));
	put16(ip + 10, 0);
	put16(ip + 10, sum_finish(sum_octets(ip, (ip[0] & 15) * 4U, 0)));
}

int frame_equal(const char *name, const uint8_t *got, size_t got_size, const uint8_t *want, size_t want_size)
{
	int equal = got_size == want_size && !memcmp(got, want, want_size);

	if (equal)
		return 1;
	fprintf(stderr, "%s: %zu octets, expected %zu\n", name, got_size, want_size);
	for (size_t i = 0; i < got_size || i < want_size; i++)
		if (i >= got_size || i >= want_size || got[i] != want[i])
			fprintf(stderr, "  octet %zu: %02x, expected %02x\n", i, i < got_size ? got[i] : 0,
				i < want_size ? want[i] : 0);
	return 0;
}

size_t frame_fragment(const uint8_t *whole, uint16_t id, unsigned start, unsigned end, bool more, uint8_t *ret)
{
	unsigned header = (whole[14] & 15) * 4, length = header + end - start;
	uint16_t field = (uint16_t)(start / 8 | (more ? 0x2000 : 0) | (whole[14 + 6] & 0x40 ? 0x4000 : 0)), check;

	memcpy(ret, whole, 14 + header);
	memcpy(ret + 14 + header, whole + 14 + header + start, end - start);
	ret[14 + 2] = (uint8_t)(length >> 8);
	ret[14 + 3] = (uint8_t)length;
	ret[14 + 4] = (uint8_t)(id >> 8);
	ret[14 + 5] = (uint8_t)id;
	ret[14 + 6] = (uint8_t)(field >> 8);
	ret[14 + 7] = (uint8_t)field;
	ret[14 + 10] = ret[14 + 11] = 0;
	check = sum_finish(sum_octets(ret + 14, header, 0));
	ret[14 + 10] = (uint8_t)(check >> 8);
	ret[14 + 11] = (uint8_t)check;
	return 14 + length;
}
