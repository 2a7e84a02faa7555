// SPDX-License-Identifier: BSD-2-Clause
/* What the gateway itself says to IPv6 subscribers: ICMPv6 errors that quote the packet as its sender sent it. */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "prefix_fixture.h"

static const struct address6 gateway = { 0x20010db800000000ULL, 1 };

static void set_up_refusals(void)
{
	struct address6_octets *a;

	set_up_six();
	a = &datapath.address6[inside_ifindex];
	for (int i = 0; i < 8; i++) {
		a->octet[i] = (uint8_t)(gateway.hi >> (56 - 8 * i));
		a->octet[8 + i] = (uint8_t)(gateway.lo >> (56 - 8 * i));
	}
}

TestSuite(six_refusals, .init = set_up_refusals, .fini = tear_down);

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The error about a packet, from the gateway to its sender. field: MTU or pointer. */
static size_t error_about(const struct frame6 *in, uint8_t type, uint8_t code, uint32_t field, uint8_t *ret)
{
	uint8_t quoted[FRAME_MAX], pseudo[40] = { 0 };
	size_t quote = frame6_build(in, quoted) - 14, size;

	if (quote > 1280 - 48)
		quote = 1280 - 48;
	size = 8 + quote;
	memset(ret, 0, FRAME_MAX);
	memcpy(ret, quoted + 6, 6);
	memcpy(ret + 6, quoted, 6);
	put16(ret + 12, 0x86dd);
	ret[14] = 0x60;
	put16(ret + 18, (uint32_t)size);
	ret[20] = ICMP6;
	ret[21] = 64;
	memcpy(ret + 22, datapath.address6[inside_ifindex].octet, 16);
	memcpy(ret + 38, quoted + 22, 16);
	ret[54] = type;
	ret[55] = code;
	put16(ret + 58, field >> 16);
	put16(ret + 60, field);
	memcpy(ret + 62, quoted + 14, quote);
	memcpy(pseudo, ret + 22, 32);
	put16(pseudo + 34, (uint32_t)size);
	pseudo[39] = ICMP6;
	put16(ret + 56, sum_finish(sum_octets(ret + 54, size, sum_octets(pseudo, sizeof(pseudo), 0))));
	return 54 + size;
}

static void expect_error(const char *name, const struct frame6 *in, uint8_t type, uint8_t code, uint32_t field,
			 enum reason reason)
{
	uint8_t want[FRAME_MAX], got[FRAME_MAX];
	size_t want_size = error_about(in, type, code, field, want), size;
	uint64_t before = counted(reason);
	int verdict = run_6(XDP_INSIDE, in, got, &size);

	cr_expect_eq(verdict, REDIRECT_XDP, "%s: verdict %d", name, verdict);
	cr_expect_eq(counted(reason), before + 1, "%s: not counted", name);
	cr_expect(frame_equal(name, got, size, want, want_size), "%s: another packet", name);
}

Test(six_refusals, hop_limit)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);

	f.hops = 1;
	expect_error("hop limit 1", &f, 3, 0, 0, REASON_drop_ttl);
	cr_expect_eq(counted(REASON_sent_icmp_ttl), 1);
	cr_expect_eq(counted(REASON_sessions_opened), 0);
}

Test(six_refusals, too_long)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);

	f.payload = 1480;
	expect_error("longer than the way out", &f, 2, 0, 1520, REASON_drop_too_big);
}

Test(six_refusals, no_host_line)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 0x99), UDP, 4000, 53, 0);

	for (uint64_t i = 0; i < HOSTS6; i++)
		cr_assert_geq(open_6(HOST_OF(3, 0, 1 + i), UDP, 4000, 53, 0), 0);
	expect_error("no line", &f, 1, 3, 0, REASON_drop_hosts);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 1);
}

Test(six_refusals, no_route)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);

	f.dst = NAT64(ADDR(10, 0, 0, 9));
	expect_error("private destinations", &f, 1, 1, 0, REASON_drop_martian);
	f.dst = NAT64(ADDR(198, 51, 100, 1));
	next_tick();
	next_tick();
	expect_error("the gateway's own address", &f, 1, 1, 0, REASON_drop_martian);
}

Test(six_refusals, an_unreachable_route_is_told_as_no_route)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);

	cr_assert_eq(system("ip route add unreachable 198.18.9.0/24"), 0);
	f.dst = NAT64(ADDR(198, 18, 9, 9));
	expect_error("an unreachable route", &f, 1, 0, 0, REASON_drop_unreachable);
}

/* The subnet-router anycast address sends nothing (RFC 4291 section 2.6.1). */
Test(six_refusals, the_anycast_address_is_nobodys)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 0), UDP, 4000, 53, 0);

	expect_dropped_6("anycast", XDP_INSIDE, &f, REASON_drop_martian);
}

/* Limited, as those to IPv4 subscribers are. */
Test(six_refusals, errors_are_limited)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);

	f.hops = 1;
	expect_error("the first", &f, 3, 0, 0, REASON_drop_ttl);
	expect_dropped_6("another at once", XDP_INSIDE, &f, REASON_drop_ttl);
}
