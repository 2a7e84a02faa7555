// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

size_t icmp_error_build(const struct icmp_error *e, uint8_t *buffer)
{
	struct frame outer = { .from = e->from,
			       .to = e->to,
			       .src = e->src,
			       .dst = e->dst,
			       .proto = ICMP,
			       .ttl = e->ttl,
			       .ip_options = e->ip_options,
			       .options = e->options & DONT_FRAGMENT };
	uint8_t quote[FRAME_MAX], *icmp = buffer + 34 + e->ip_options;
	size_t quoted;

	frame_build(&e->quote, quote);
	quoted = e->quote_length ? e->quote_length : ip_length(quote);
	if (e->rfc4884) {
		memset(quote + 14 + quoted, 0, sizeof(quote) - 14 - quoted);
		quoted = e->rfc4884 * 4U;
		memcpy(quote + 14 + quoted, "\x20\x00\x12\x34\x00\x08\x01\x01\xab\xcd\xef\x01", 12);
		quoted += 12;
	}
	outer.payload = (uint16_t)quoted;

	size_t size = frame_build(&outer, buffer);

	memset(icmp, 0, 8);
	icmp[0] = e->type;
	icmp[1] = e->code;
	icmp[5] = e->rfc4884;
	put16(icmp + 6, e->mtu);
	memcpy(icmp + 8, quote + 14, quoted);
	put16(icmp + 2, (uint16_t)(sum_finish(sum_octets(icmp, 8 + quoted, 0)) + !!(e->options & WRONG_CHECKSUM)));
	return size;
}

void icmp_error_quote_option(uint8_t *frame, uint8_t kind)
{
	uint8_t *icmp = frame + 34, *quote = icmp + 8, *option = quote + 20;

	memcpy(option, (uint8_t[]){ kind, 7, 4, 0, 0, 0, 0, 0 }, 8);
	memset(quote + 10, 0, 2);
	put16(quote + 10, sum_finish(sum_octets(quote, 28, 0)));
	memset(icmp + 2, 0, 2);
	put16(icmp + 2, sum_finish(sum_octets(icmp, ip_length(frame) - 20, 0)));
}

void run_icmp_rows(const struct icmp_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct icmp_row *row = &rows[i];
		uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
		size_t size = icmp_error_build(&row->in, in), out_size;
		size_t want_size = icmp_error_build(row->out.type ? &row->out : &row->in, want);

		run_frame_counted(row->name, row->hook, in, size, out, &out_size, row->verdict, row->reason);
		cr_expect(frame_equal(row->name, out, out_size, want, want_size), "%s: another packet", row->name);
	}
}

int run_answered(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size)
{
	static struct transmission t;
	int verdict = run_frame(hook, in, size, out, ret_size);

	if (hook != TC_OUTSIDE && hook < INGRESS_INSIDE)
		return verdict == REDIRECT_XDP;
	cr_expect_eq(verdict, DROP_TC);
	if (!transmitted(&t))
		return 0;
	cr_expect_eq(t.kind, TRANSMISSION_PACKET);
	cr_expect_eq(t.ifindex, inside_ifindex);
	cr_expect_eq(t.mtu, 0);
	memcpy(out, in + 6, 6);
	memcpy(out + 6, in, 6);
	memcpy(out + 12, "\x08\x00", 2);
	memcpy(out + 14, t.frame, t.length);
	*ret_size = 14U + t.length;
	return 1;
}

size_t ip_length(const uint8_t *frame)
{
	return (size_t)frame[16] << 8 | frame[17];
}

void expect_error(const char *name, const uint8_t *out, size_t size, const uint8_t *in, size_t quote, uint32_t to,
		  uint32_t from, uint8_t type, uint8_t code, uint16_t mtu)
{
	const uint8_t *ip = out + 14, *icmp = out + 34;

	cr_assert_eq(size, 14 + 28 + quote, "%s: %zu octets", name, size);
	cr_expect_arr_eq(out, in + 6, 6, "%s: to the station that sent it", name);
	cr_expect_arr_eq(out + 6, in, 6, "%s: from the station it was sent to", name);
	cr_expect_eq(out[12] << 8 | out[13], 0x0800, "%s: EtherType", name);
	cr_expect_eq(ip[0], 0x45);
	cr_expect_eq(ip[1], 0xc0, "%s: internetwork control", name);
	cr_expect_eq(ip[6] << 8 | ip[7], 0x4000, "%s: DF", name);
	cr_expect_eq(ip[2] << 8 | ip[3], (int)(28 + quote), "%s: total length", name);
	cr_expect_eq(ip[9], 1);
	cr_expect_eq(ip[8], 64);
	cr_expect_eq((uint32_t)ip[12] << 24 | ip[13] << 16 | ip[14] << 8 | ip[15], from, "%s: source", name);
	cr_expect_eq((uint32_t)ip[16] << 24 | ip[17] << 16 | ip[18] << 8 | ip[19], to, "%s: destination", name);
	cr_expect_eq(sum_finish(sum_octets(ip, 20, 0)), 0, "%s: header checksum", name);
	cr_expect_eq(icmp[0], type, "%s: type", name);
	cr_expect_eq(icmp[1], code, "%s: code", name);
	cr_expect_eq(icmp[4] | icmp[5], 0);
	cr_expect_eq(icmp[6] << 8 | icmp[7], mtu, "%s: MTU", name);
	cr_expect_eq(sum_finish(sum_octets(icmp, 8 + quote, 0)), 0, "%s: ICMP checksum", name);
	cr_expect_arr_eq(icmp + 8, in + 14, quote, "%s: quote", name);
}
