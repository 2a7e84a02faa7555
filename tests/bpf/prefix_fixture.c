// SPDX-License-Identifier: BSD-2-Clause
#include "prefix_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "told_routes.h"

static void configure_six(void)
{
	FILE *ip = popen("exec ip -batch -", "we"), *f;

	cr_assert_not_null(ip, "%s", strerror(errno));
	fputs("addr add 2001:db8::1/64 dev tin nodad\n"
	      "neigh add fe80::3 lladdr 02:00:00:00:00:03 dev tin\n"
	      "route add 2001:db8:4000::/48 via fe80::3 dev tin\n",
	      ip);
	cr_assert_eq(pclose(ip), 0, "the commands of ip(8) failed");
	f = fopen("/proc/sys/net/ipv6/conf/all/forwarding", "we");
	cr_assert(f && fputs("1", f) >= 0 && !fclose(f), "forwarding: %s", strerror(errno));
}

struct mapping_spec six_spec(struct prefix out)
{
	struct mapping_spec spec = { .in = { VIRTUAL, 24 },
				     .out = out,
				     .sessions_per_user = 1000,
				     .session_slots = 1024,
				     .six = { .in_hi = 0x20010db840000000ULL,
					      .subscriber_plen = 56,
					      .hosts = HOSTS6,
					      .lowest_mtu = LOWEST_IPV6_MTU } };
	const struct address6 prefix = NAT64(0);
	const uint32_t seconds[N_TIMEOUTS] = {
#define X(constant, name, value) value,
		TIMEOUTS(X)
#undef X
	};

	record6_set_prefix(&spec.six, &prefix, 96);
	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(seconds[i], datapath.hz);
	return spec;
}

void set_up_six(void)
{
	set_up_six_slots(1024);
}

void set_up_six_slots(uint32_t slots)
{
	struct mapping_spec spec;

	set_up();
	configure_six();
	spec = six_spec((struct prefix){ POOL6, 30 });
	spec.session_slots = slots;
	make_mapping(&spec, NULL);
	settings.six = 1;
	reload_settings();
	datapath.index6->inside = inside_ifindex;
	stay_on_one_core();
}

void enter_prefix6(struct address6 prefix, uint32_t plen)
{
	struct prefix6_key key = { .plen = plen };
	const uint64_t half[2] = { be64_number(prefix.hi), be64_number(prefix.lo) };
	const uint32_t one = 1;

	memcpy(key.addr, half, sizeof(key.addr));
	cr_assert_eq(bpf_map_update_elem(datapath.prefixes6, &key, &one, BPF_ANY), 0, "%s", strerror(errno));
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static void put64(uint8_t *at, uint64_t value)
{
	put32(at, (uint32_t)(value >> 32));
	put32(at + 4, (uint32_t)value);
}

/* The transport header of IPv4, of which that of IPv6 differs in what the checksum covers, and in ICMP's numbers. */
static void transport_6(const struct frame6 *f, uint8_t *l4, size_t size)
{
	size_t check = f->proto == TCP ? 16 : f->proto == UDP ? 6 : 2;
	uint8_t pseudo[40] = { 0 };
	uint16_t sum;

	put64(pseudo, f->src.hi);
	put64(pseudo + 8, f->src.lo);
	put64(pseudo + 16, f->dst.hi);
	put64(pseudo + 24, f->dst.lo);
	put32(pseudo + 32, (uint32_t)size);
	pseudo[39] = f->proto;
	if (f->proto == ICMP6)
		l4[0] = f->icmp_type ? f->icmp_type : ICMP6_ECHO;
	put16(l4 + check, 0);
	sum = sum_finish(sum_octets(l4, size, sum_octets(pseudo, sizeof(pseudo), 0)));
	if (f->options & WRONG_CHECKSUM)
		sum++;
	if (f->proto == UDP && !sum)
		sum = 0xffff;
	put16(l4 + check, f->options & NO_UDP_CHECKSUM ? 0 : sum);
}

size_t frame6_build(const struct frame6 *f, uint8_t *buffer)
{
	struct frame like = { .from = f->from,
			      .to = f->to,
			      .proto = f->proto == ICMP6 ? ICMP : f->proto,
			      .sport = f->sport,
			      .dport = f->dport,
			      .flags = f->flags,
			      .payload = f->payload };
	uint8_t frame[FRAME_MAX];
	size_t size;

	if (f->proto == ICMP6 && f->icmp_type == ICMP6_ECHO + 1)
		like.icmp_type = ECHO_REPLY_TYPE;
	unsetenv("PADDED");
	size = frame_build(&like, frame) - 34;
	memset(buffer, 0, FRAME_MAX);
	memcpy(buffer, frame, 12);
	put16(buffer + 12, 0x86dd);
	put32(buffer + 14, 6U << 28 | 0x2eU << 20 | f->flow_label);
	put16(buffer + 18, (uint32_t)size);
	buffer[20] = f->proto;
	buffer[21] = f->hops ? f->hops : 64;
	put64(buffer + 22, f->src.hi);
	put64(buffer + 30, f->src.lo);
	put64(buffer + 38, f->dst.hi);
	put64(buffer + 46, f->dst.lo);
	memcpy(buffer + 54, frame + 34, size);
	transport_6(f, buffer + 54, size);
	return 54 + size;
}

struct frame6 six_out(struct address6 host, uint8_t proto, uint16_t sport, uint16_t dport, uint8_t flags)
{
	return (struct frame6){ .from = HOST,
				.to = GATEWAY_IN,
				.src = host,
				.dst = NAT64(EXTERNAL),
				.proto = proto,
				.sport = sport,
				.dport = dport,
				.flags = flags,
				.flow_label = 0x12345,
				.payload = 30 };
}

struct frame six_out_translated(const struct frame6 *f, uint16_t out_port)
{
	uint32_t n = (uint32_t)(f->src.hi >> 8) & 0xff;

	return (struct frame){ .from = GATEWAY_OUT,
			       .to = ROUTER,
			       .src = POOL6 + n / 64,
			       .dst = (uint32_t)f->dst.lo,
			       .proto = f->proto == ICMP6 ? ICMP : f->proto,
			       .sport = out_port,
			       .dport = f->dport,
			       .flags = f->flags,
			       .ttl = (uint8_t)((f->hops ? f->hops : 64) - 1),
			       .payload = f->payload };
}

struct frame six_answer(const struct frame *translated)
{
	struct frame back = *translated;

	back.from = ROUTER;
	back.to = GATEWAY_OUT;
	back.src = translated->dst;
	back.dst = translated->src;
	back.sport = translated->dport;
	back.dport = translated->sport;
	back.ttl = 0;
	back.flags = translated->flags == 2 ? 0x12 : translated->flags;
	if (back.proto == ICMP)
		back.icmp_type = ECHO_REPLY_TYPE;
	return back;
}

struct frame6 six_answer_translated(const struct frame *answer, const struct frame6 *sent)
{
	struct frame6 f = { .from = GATEWAY_IN,
			    .to = HOST,
			    .src = NAT64(answer->src),
			    .dst = sent->src,
			    .proto = sent->proto,
			    .sport = answer->sport,
			    .dport = sent->sport,
			    .flags = answer->flags,
			    .hops = (uint8_t)((answer->ttl ? answer->ttl : 64) - 1),
			    .payload = answer->payload };

	if (f.proto == ICMP6)
		f.icmp_type = ICMP6_ECHO + 1;
	return f;
}

int run_6(enum hook hook, const struct frame6 *in, uint8_t *out, size_t *ret_size)
{
	uint8_t frame[FRAME_MAX];
	size_t size = frame6_build(in, frame);

	return run_frame(hook, frame, size, out, ret_size);
}

void made_of_six(uint8_t *frame, const uint8_t *got)
{
	uint8_t *ip = frame + 14;
	unsigned length = (unsigned)(ip[2] << 8 | ip[3]);

	memset(ip + 4, 0, 4);
	if (length > 1260)
		ip[6] = 0x40;
	else
		memcpy(ip + 4, got + 18, 2);
	put16(ip + 10, 0);
	put16(ip + 10, sum_finish(sum_octets(ip, 20, 0)));
}

void expect_4(const char *name, const struct frame6 *in, const struct frame *out)
{
	uint8_t want[FRAME_MAX], got[FRAME_MAX] = { 0 };
	size_t size, want_size = frame_build(out, want);
	uint64_t before = counted(REASON_in2out_translated);
	int verdict = run_6(XDP_INSIDE, in, got, &size);

	cr_expect_eq(verdict, REDIRECT_XDP, "%s: verdict %d", name, verdict);
	cr_expect_eq(counted(REASON_in2out_translated), before + 1, "%s: not counted", name);
	made_of_six(want, got);
	cr_expect(frame_equal(name, got, size, want, want_size), "%s: another packet", name);
}

void expect_6(const char *name, const struct frame *in, const struct frame6 *out)
{
	uint8_t frame[FRAME_MAX], want[FRAME_MAX], got[FRAME_MAX] = { 0 };
	size_t size = frame_build(in, frame), want_size = frame6_build(out, want), got_size;
	uint64_t before = counted(REASON_out2in_translated);
	int verdict = run_frame(XDP_OUTSIDE, frame, size, got, &got_size);

	cr_expect_eq(verdict, REDIRECT_XDP, "%s: verdict %d", name, verdict);
	for (int i = 0; verdict != REDIRECT_XDP && i < N_REASONS; i++)
		if (counted(i))
			fprintf(stderr, "reason %d: %lu\n", i, counted(i));
	cr_expect_eq(counted(REASON_out2in_translated), before + 1, "%s: not counted", name);
	cr_expect(frame_equal(name, got, got_size, want, want_size), "%s: another packet", name);
}

void expect_dropped_6(const char *name, enum hook hook, const struct frame6 *in, enum reason reason)
{
	uint8_t got[FRAME_MAX];
	size_t size;
	uint64_t before = counted(reason);
	int verdict = run_6(hook, in, got, &size);

	cr_expect_eq(verdict, DROP_XDP, "%s: verdict %d", name, verdict);
	cr_expect_eq(counted(reason), before + 1, "%s: not counted", name);
}

int open_6(struct address6 host, uint8_t proto, uint16_t sport, uint16_t dport, uint8_t flags)
{
	struct frame6 f = six_out(host, proto, sport, dport, flags);
	uint8_t got[FRAME_MAX];
	size_t size;

	if (run_6(XDP_INSIDE, &f, got, &size) != REDIRECT_XDP || got[12] != 8)
		return -1;
	return proto == ICMP6 ? got[38] << 8 | got[39] : got[34] << 8 | got[35];
}

void set_up_six_crowded(void)
{
	settings.extent_buckets = 4096;
	set_up_six_slots(BUCKET_SLOTS);
}

void crowd_6(uint32_t n)
{
	for (uint16_t i = 0; i < BUCKET_SLOTS; i++)
		cr_assert_geq(open_6(HOST_OF(n, 9, 9), UDP, (uint16_t)(20000 + i), 5353, 0), 0, "session %u", i);
	cr_assert_eq(counted(REASON_sessions_overflowed), 0);
}

/* The i-th slot of subscriber n, of his own and then of his extent; NULL: there are fewer. */
static struct slot *slot_6(uint32_t n, uint32_t i)
{
	int number = mappings_find_any(mappings, VIRTUAL + n);
	uint32_t own = BUCKET_SLOTS << mappings_get(mappings, number)->bucket_shift, slots;
	struct slot *beyond = slots_beyond(number, VIRTUAL + n, &slots);

	if (i < own)
		return &mappings_buckets(mappings, number, n)->slot[i];
	return beyond && i - own < slots ? &beyond[i - own] : NULL;
}

void age_port_6(uint32_t n, int out_port, uint32_t seconds)
{
	uint32_t ticks = ticks_of_seconds(seconds, datapath.hz);
	struct slot *slot;

	for (uint32_t i = 0; (slot = slot_6(n, i)); i++)
		if (word_is_live(slot->truth) && (out_port < 0 || word_out_port(slot->truth) == out_port))
			slot->truth = word_refreshed_of(slot->truth, (uint32_t)slot->truth - ticks, HOST_BITS);
}

void age_6(uint32_t n, uint32_t seconds)
{
	age_port_6(n, -1, seconds);
}

uint32_t sessions_6(uint32_t n)
{
	return mappings_subscriber(mappings, mappings_find_any(mappings, VIRTUAL + n), n)->sessions;
}

/* The copy of the routes holds, without two programs. */
static void hold_routes_without(uint32_t one, uint32_t other)
{
	const uint32_t without[] = { one, other };
	const uint32_t number = FIB_HOPS - 1;
	const enum prog_array array = redirect_tc_wanted() ? SIX_TC_PROGS : SIX_PROGS;
	struct fib_hop *hop = &datapath.fib->hop[number];

	tell_routes();
	*hop = (struct fib_hop){ .dmac = { 2, 0, 0, 0, 0, HOST },
				 .smac = { 2, 0, 0, 0, 0, GATEWAY_IN },
				 .ifindex = inside_ifindex,
				 .mtu = 1480,
				 .flags = FIB_ROUTED | FIB_RESOLVED | FIB_FAST_IN | FIB_TC_IN };
	datapath.fib->first.entry[VIRTUAL >> 24] = number;
	/* The agent vouches for sources. */
	datapath.global->sources_until = datapath_ticks(&datapath) + 0x10000000;
	for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++)
		cr_assert_eq(bpf_map_delete_elem(datapath.build->arrays[array], &without[i]), 0);
}

void fast_path_alone(void)
{
	hold_routes_without(PROG_six_out_slow, PROG_six_in_slow);
}

void fast_path_and_beyond(void)
{
	hold_routes_without(PROG_in2out, PROG_six_leave);
}

void expect_left_beyond_6(const char *name, const struct frame6 *in)
{
	uint64_t missing = counted(REASON_no_program), translated = counted(REASON_in2out_translated);
	uint8_t got[FRAME_MAX];
	size_t size;

	run_6(XDP_INSIDE, in, got, &size);
	cr_expect_eq(counted(REASON_no_program), missing + 1, "%s", name);
	cr_expect_eq(counted(REASON_in2out_translated), translated, "%s", name);
}

static void expect_left(const char *name, enum hook hook, const uint8_t *frame, size_t size)
{
	uint8_t got[FRAME_MAX];
	size_t got_size;
	uint64_t before = counted(REASON_no_program);
	int verdict = run_frame(hook, frame, size, got, &got_size);

	cr_expect_eq(verdict, PASS_XDP, "%s: verdict %d", name, verdict);
	cr_expect_eq(counted(REASON_no_program), before + 1, "%s: not left", name);
	cr_expect(frame_equal(name, got, got_size, frame, size), "%s: changed", name);
}

void expect_left_6(const char *name, const struct frame6 *in)
{
	uint8_t frame[FRAME_MAX];
	size_t size = frame6_build(in, frame);

	expect_left(name, XDP_INSIDE, frame, size);
}

void expect_left_4(const char *name, const struct frame *in)
{
	uint8_t frame[FRAME_MAX];
	size_t size = frame_build(in, frame);

	expect_left(name, XDP_OUTSIDE, frame, size);
}

int age_of_6(uint32_t n, uint16_t out_port)
{
	const struct slot *slot;

	for (uint32_t i = 0; (slot = slot_6(n, i)); i++)
		if (word_is_live(slot->truth) && word_out_port(slot->truth) == out_port)
			return word_host_age(slot->truth, datapath_ticks(&datapath));
	cr_assert_fail("no session on port %u", out_port);
	return -1;
}

struct host6 host_line(uint32_t n, uint32_t host)
{
	int number = mappings_find_any(mappings, VIRTUAL + n);
	const struct mapping *m = mappings_get(mappings, number);
	uint32_t line = host6_number(&datapath.record6[m->record6], m->host_shift, n, host);
	uint32_t chunk = line >> HOST6_CHUNK_SHIFT, within = line & (HOST6_CHUNK - 1), id;
	_cleanup_close_ int fd = -1;
	struct host6 ret;

	cr_assert_eq(bpf_map_lookup_elem(datapath.hosts6, &chunk, &id), 0);
	fd = bpf_map_get_fd_by_id(id);
	cr_assert(fd >= 0 && !bpf_map_lookup_elem(fd, &within, &ret), "%s", strerror(errno));
	return ret;
}
