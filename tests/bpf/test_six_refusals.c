// SPDX-License-Identifier: BSD-2-Clause
/* What the gateway itself says to IPv6 subscribers: ICMPv6 errors that quote the packet as its sender sent it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "six_error_frame.h"

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

/* The error about a frame, from the gateway to its sender. field: MTU or pointer. */
static size_t error_about(const uint8_t *quoted, size_t quoted_size, uint8_t type, uint8_t code, uint32_t field,
			  uint8_t *ret)
{
	size_t quote = quoted_size - 14, size;
	uint8_t pseudo[40] = { 0 };

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

static void expect_error_about(const char *name, const uint8_t *in, size_t in_size, uint8_t type, uint8_t code,
			       uint32_t field, enum reason reason)
{
	uint8_t want[FRAME_MAX], got[FRAME_MAX];
	size_t want_size = error_about(in, in_size, type, code, field, want), size;
	uint64_t before = counted(reason);
	int verdict = run_frame(XDP_INSIDE, in, in_size, got, &size);

	cr_expect_eq(verdict, REDIRECT_XDP, "%s: verdict %d", name, verdict);
	cr_expect_eq(counted(reason), before + 1, "%s: not counted", name);
	cr_expect(frame_equal(name, got, size, want, want_size), "%s: another packet", name);
}

static void expect_error(const char *name, const struct frame6 *in, uint8_t type, uint8_t code, uint32_t field,
			 enum reason reason)
{
	uint8_t frame[FRAME_MAX];
	size_t size = frame6_build(in, frame);

	expect_error_about(name, frame, size, type, code, field, reason);
}

/* The frame is dropped for a reason, and nobody is told. */
static void expect_silence(const char *name, const uint8_t *in, size_t size, enum reason reason)
{
	uint64_t before = counted(reason);
	uint8_t got[FRAME_MAX];
	int verdict = run_frame(XDP_INSIDE, in, size, got, &size);

	cr_expect_eq(verdict, DROP_XDP, "%s: verdict %d", name, verdict);
	cr_expect_eq(counted(reason), before + 1, "%s: not counted", name);
}

/* Puts an extension header of 8 octets in front of the upper layer of a frame. Returns its length then. */
static size_t put_header(uint8_t *frame, size_t size, uint8_t number, const uint8_t header[static 8])
{
	uint8_t *ip = frame + 14;

	memmove(ip + 48, ip + 40, size - 54);
	memcpy(ip + 40, header, 8);
	ip[40] = ip[6];
	ip[6] = number;
	put16(ip + 4, (uint32_t)(size - 54 + 8));
	return size + 8;
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

/* It points at the octet that says how many segments are left. */
Test(six_refusals, segments_left)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);
	uint8_t frame[FRAME_MAX];
	size_t size = put_header(frame, frame6_build(&f, frame), 43, (const uint8_t[8]){ 0, 0, 0, 1 });

	expect_error_about("one is left", frame, size, 4, 0, 43, REASON_drop_source_route);
	cr_expect_eq(counted(REASON_sent_icmp_parameter), 1);
	frame[54 + 3] = 0;
	cr_expect_eq(run_frame(XDP_INSIDE, frame, size, frame, &size), REDIRECT_XDP, "none is");
}

/* The MTU that is told is never less than what every link of IPv6 has (RFC 7915 section 7). */
Test(six_refusals, no_mtu_below_1280_is_told)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);

	cr_assert_eq(system("ip link set dev tout mtu 1000"), 0);
	datapath.device[outside_ifindex].mtu = 1000;
	f.payload = 1200;
	expect_error("longer than the way out", &f, 2, 0, 1280, REASON_drop_too_big);
}

/* RFC 4443 section 2.4 (e): nothing about an error, a frame of a group, or a later fragment. Each is another's, as the
 * number of answers to one subscriber is limited, too. */
Test(six_refusals, what_nobody_is_told_about)
{
	const struct message e = { .from = HOST_OF(3, 0, 1), .type = 1, .code = 4 };
	struct frame6 f = six_out(HOST_OF(4, 0, 1), UDP, 4000, 53, 0), quote = f;
	const uint8_t later[8] = { 0, 0, 0x01, 0x00, 0, 0, 0, 7 }, first[8] = { 0, 0, 0, 1, 0, 0, 0, 7 };
	uint8_t frame[FRAME_MAX];
	size_t size;

	/* An error to a private address, about a packet from there. */
	quote.src = NAT64(ADDR(10, 0, 0, 9));
	quote.dst = e.from;
	size = error_6(&e, &quote, frame);
	expect_silence("an error", frame, size, REASON_drop_martian);
	f.dst = NAT64(ADDR(10, 0, 0, 9));
	size = put_header(frame, frame6_build(&f, frame), 44, later);
	expect_silence("a later fragment", frame, size, REASON_drop_martian);
	f.src = HOST_OF(5, 0, 1);
	size = frame6_build(&f, frame);
	frame[6] |= 1;
	expect_silence("a frame from a group", frame, size, REASON_drop_martian);
	f.src = HOST_OF(6, 0, 1);
	size = put_header(frame, frame6_build(&f, frame), 44, first);
	expect_error_about("a first fragment", frame, size, 1, 1, 0, REASON_drop_martian);
}

/* All errors together have a limit, as those to IPv4 subscribers: it is one. */
Test(six_refusals, errors_of_both_families_have_one_limit)
{
	struct frame6 f = six_out(HOST_OF(3, 0, 1), UDP, 4000, 53, 0);
	struct timespec now;

	f.hops = 1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	datapath.table->limits.icmp_due_ns = (uint64_t)(now.tv_sec + 1000) * 1000000000;
	expect_dropped_6("at the limit", XDP_INSIDE, &f, REASON_drop_ttl);
	cr_expect_eq(counted(REASON_icmp_withheld), 1);
	cr_expect_eq(counted(REASON_sent_icmp_ttl), 0);
}
