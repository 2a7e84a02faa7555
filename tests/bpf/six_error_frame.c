// SPDX-License-Identifier: BSD-2-Clause
#include "six_error_frame.h"

#include <string.h>

#define IP 14

void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

void put_address(uint8_t *at, struct address6 a)
{
	put32(at, (uint32_t)(a.hi >> 32));
	put32(at + 4, (uint32_t)a.hi);
	put32(at + 8, (uint32_t)(a.lo >> 32));
	put32(at + 12, (uint32_t)a.lo);
}

uint16_t sum_6(const uint8_t *ip, size_t size)
{
	return sum_finish(sum_octets(ip + 40, size, sum_octets(ip + 8, 32, ip[6] + (uint32_t)size)));
}

size_t error_6(const struct message *e, const struct frame6 *quote, uint8_t *frame)
{
	uint8_t about[FRAME_MAX];
	size_t size = frame6_build(quote, about) - IP;

	memset(frame, 0, FRAME_MAX);
	memcpy(frame, (const uint8_t[]){ 2, 0, 0, 0, 0, GATEWAY_IN, 2, 0, 0, 0, 0, HOST, 0x86, 0xdd, 0x60 }, 15);
	put16(frame + IP + 4, (uint32_t)(8 + size));
	frame[IP + 6] = ICMP6;
	frame[IP + 7] = 64;
	put_address(frame + IP + 8, e->from);
	put_address(frame + IP + 24, quote->src);
	frame[IP + 40] = e->type;
	frame[IP + 41] = e->code;
	put32(frame + IP + 44, e->field);
	memcpy(frame + IP + 48, about + IP, size);
	put16(frame + IP + 42, sum_6(frame + IP, 8 + size));
	return IP + 48 + size;
}

size_t error_4(const struct message *e, const struct frame *quote, uint8_t *frame)
{
	uint8_t about[FRAME_MAX];
	size_t size = frame_build(quote, about) - IP;

	memset(frame, 0, FRAME_MAX);
	memcpy(frame, (const uint8_t[]){ 2, 0, 0, 0, 0, GATEWAY_OUT, 2, 0, 0, 0, 0, ROUTER, 0x08, 0x00, 0x45 }, 15);
	put16(frame + IP + 2, (uint32_t)(28 + size));
	frame[IP + 8] = 64;
	frame[IP + 9] = ICMP;
	put32(frame + IP + 12, e->router);
	put32(frame + IP + 16, quote->src);
	put16(frame + IP + 10, sum_finish(sum_octets(frame + IP, 20, 0)));
	frame[IP + 20] = e->type;
	frame[IP + 21] = e->code;
	put32(frame + IP + 24, e->field);
	memcpy(frame + IP + 28, about + IP, size);
	put16(frame + IP + 22, sum_finish(sum_octets(frame + IP + 20, 8 + size, 0)));
	return IP + 28 + size;
}
