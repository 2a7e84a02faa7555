// SPDX-License-Identifier: BSD-2-Clause
/* Hairpins, ARP and NAT on a stick. */
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/events.h>

#include "fixture.h"

TestSuite(hairpin, .init = set_up, .fini = tear_down);

#define A_PORT OUT_PORT(7000, 2)
#define B_PORT OUT_PORT(8000, 3)

/* A and B open towards each other's outside endpoint; from then on packets pass both ways. */
Test(hairpin, two_subscribers_by_outside_addresses)
{
	static const struct row rows[] = {
		{ "A calls B, who has no session",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "B calls A, who has one by now",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT, .payload = 9 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    UDP,
		    B_PORT,
		    7000,
		    .payload = 9,
		    .ttl = 63 },
		  REASON_hairpin_translated },
		{ "A answers",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = OTHER,
		    UDP,
		    A_PORT,
		    8000,
		    .payload = 5,
		    .ttl = 63 },
		  REASON_hairpin_translated },
		{ "from outside, as if from A",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL, .dst = POOL, UDP, A_PORT, B_PORT, .payload = 5 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "and once more, by the fast path if any",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL, .dst = POOL, UDP, A_PORT, B_PORT, .payload = 20 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1, "the sender's session stayed when it was dropped");
	cr_expect_eq(sessions_of(OTHER), 1);
}

Test(hairpin, also_where_the_kernel_forwards)
{
	static const struct row rows[] = {
		{ "A calls",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, TCP, 7000, B_PORT, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "B calls",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, TCP, 8000, A_PORT, .flags = 2 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    TCP,
		    B_PORT,
		    7000,
		    .flags = 2,
		    .ttl = 63 },
		  REASON_hairpin_translated },
	};

	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(rows);
}

Test(hairpin, a_subscriber_to_itself)
{
	static const struct row rows[] = {
		{ "first call",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, OUT_PORT(7001, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "the other way",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7001, OUT_PORT(7000, 2) },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    UDP,
		    OUT_PORT(7001, 2),
		    7000,
		    .ttl = 63 },
		  REASON_hairpin_translated },
	};

	RUN_ROWS(rows);
}

static int count_resolves(void *arg, void *data, size_t size)
{
	const struct nat_event *e = data;

	cr_assert_geq(size, sizeof(*e));
	*(unsigned *)arg += e->type == EVENT_RESOLVE && e->in_addr == OTHER;
	return 0;
}

/* The ring buffer is for other events, too, so a flood must not fill it. */
Test(hairpin, the_agent_is_asked_to_resolve_now_and_then)
{
	if (redirect_tc_wanted())
		cr_skip_test("at tc the kernel resolves next hops");

	static const struct row rows[] = {
		{ "B calls",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};
	static const struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;
	unsigned resolves = 0;
	struct ring_buffer *ring = ring_buffer__new(datapath.events, count_resolves, &resolves, NULL);

	RUN_ROWS(rows);
	cr_assert_eq(system("ip neigh del 10.0.0.3 dev tin"), 0);
	datapath_raise_epoch(&datapath);
	for (unsigned i = 0; i < 100; i++)
		run_frame_counted("A answers", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_unresolved);
	cr_assert_geq(ring_buffer__consume(ring), 0);
	cr_expect_geq(resolves, 1);
	cr_expect_leq(resolves, 20);
	ring_buffer__free(ring);
}

/* A pool address may be the gateway's own as well: what is for itself is not touched. */
Test(hairpin, to_the_gateways_own_pool_address)
{
#define TO_GATEWAY .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL
#define UNTOUCHED  PASS_XDP, {}, REASON_passed_untranslated
	static const struct row rows[] = {
		{ "UDP", XDP_INSIDE, { TO_GATEWAY, UDP, 7000, B_PORT }, UNTOUCHED },
		{ "an echo request", XDP_INSIDE, { TO_GATEWAY, ICMP, 7000 }, UNTOUCHED },
		{ "the answer to its own",
		  XDP_INSIDE,
		  { TO_GATEWAY, ICMP, .dport = 7000, .icmp_type = ECHO_REPLY_TYPE },
		  UNTOUCHED },
	};

	cr_assert_eq(system("ip addr add 203.0.113.0/32 dev tout"), 0);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(rows);
}

Test(hairpin, whose_ttl_ends_here_opens_nothing)
{
	struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT, .ttl = 1
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	run_frame_counted("TTL", XDP_INSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_drop_ttl);
	cr_expect_eq(counted(REASON_sent_icmp_ttl), 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

/* It counts again, as any other would. */
Test(hairpin, a_connection_in_time_wait_is_opened_again)
{
	static const struct row rows[] = {
		{ "B has no session",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, TCP, 7000, B_PORT, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};
	struct subscriber *s = mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	struct bucket *b = mappings_buckets(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));

	RUN_ROWS(rows);
	cr_assert_eq(s->sessions, 1);
	while (!word_is_live(b->slot[7000 % PORTS % BUCKET_SLOTS].truth))
		b++;

	__u64 *word = &b->slot[7000 % PORTS % BUCKET_SLOTS].truth;

	*word = word_with(*word, SESSION_TIME_WAIT, word_seen(*word));
	s->sessions = 0;
	RUN_ROWS(rows);
	cr_expect_eq(word_state(*word), SESSION_SYN_SENT);
	cr_expect_eq(s->sessions, 1);
}

Test(hairpin, off_by_configuration)
{
	static const struct row rows[] = {
		{ "dropped",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	settings.hairpin = 0;
	reload_settings();
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

static size_t arp_frame(uint8_t *f, uint8_t operation, uint32_t sender, uint32_t target, enum station from)
{
	static const uint8_t head[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0 };

	memset(f, 0, FRAME_MAX);
	memset(f, operation == 1 ? 0xff : 2, 6);
	f[6] = 2;
	f[11] = (uint8_t)from;
	memcpy(f + 12, head, sizeof(head));
	f[21] = operation;
	memcpy(f + 22, f + 6, 6);
	for (int i = 0; i < 4; i++) {
		f[28 + i] = (uint8_t)(sender >> (24 - 8 * i));
		f[38 + i] = (uint8_t)(target >> (24 - 8 * i));
	}
	return 42;
}

Test(hairpin, arp_for_pool_addresses)
{
	static const struct {
		const char *name;
		uint8_t operation;
		uint32_t sender, target;
		int answered;
	} cases[] = {
		{ "first of the pool", 1, EXTERNAL, POOL, 1 },
		{ "last of the pool", 1, EXTERNAL, POOL + 3, 1 },
		{ "behind the pool", 1, EXTERNAL, POOL + 4, 0 },
		{ "the gateway's own", 1, EXTERNAL, ADDR(198, 51, 100, 1), 0 },
		{ "a reply", 2, EXTERNAL, POOL, 0 },
		{ "an announcement", 1, POOL, POOL, 0 },
		{ "a probe", 1, 0, POOL, 1 },
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t size = arp_frame(in, cases[i].operation, cases[i].sender, cases[i].target, ROUTER), out_size;
		uint64_t before = counted(REASON_arp_answered);
		int verdict = run_frame(XDP_OUTSIDE, in, size, out, &out_size);

		cr_expect_eq(verdict, cases[i].answered ? REDIRECT_XDP : PASS_XDP, "%s", cases[i].name);
		cr_expect_eq(counted(REASON_arp_answered), before + (uint64_t)cases[i].answered, "%s", cases[i].name);
		if (!cases[i].answered) {
			cr_expect_arr_eq(in, out, size, "%s: untouched", cases[i].name);
			continue;
		}

		uint8_t want[FRAME_MAX];

		arp_frame(want, 2, cases[i].target, cases[i].sender, GATEWAY_OUT);
		memcpy(want, in + 6, 6);
		memcpy(want + 32, in + 22, 6);
		cr_expect(frame_equal(cases[i].name, out, out_size, want, 42));
	}
}

Test(hairpin, one_interface_for_both_sides)
{
	static const struct row rows[] = {
		{ "out",
		  XDP_BOTH,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL, UDP, A_PORT, 53, .ttl = 63 },
		  REASON_in2out_translated },
		{ "in",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = POOL, UDP, 53, A_PORT },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 7000, .ttl = 63 },
		  REASON_out2in_translated },
		{ "between inside addresses",
		  XDP_BOTH,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = OTHER, UDP, 7000, 53 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "straight to an inside address",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = OTHER, UDP, 7000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "an unsolicited packet",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = POOL, UDP, 54, A_PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "to the gateway",
		  XDP_BOTH,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(10, 0, 0, 1), UDP, 7000, 53 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "private source in no mapping",
		  XDP_BOTH,
		  { .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = EXTERNAL, UDP, 7000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
	};

	datapath.device[inside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	RUN_ROWS(rows);
}

#define A_CALLS	 .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT
#define TO_B	 .from = GATEWAY_IN, .to = HOST, .src = POOL, .dst = OTHER, UDP, A_PORT, 8000, .ttl = 63
#define B_CALLED .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT

static const struct row b_opens[] = {
	{ "B opens", XDP_INSIDE, { B_CALLED }, DROP_XDP, {}, REASON_drop_no_session },
};

struct resolve {
	unsigned n;
	struct nat_event last;
};

static int keep_resolve(void *arg, void *data, size_t size)
{
	struct resolve *r = arg;
	const struct nat_event *e = data;

	cr_assert_geq(size, sizeof(*e));
	if (e->type != EVENT_RESOLVE && e->type != EVENT_RESOLVE_IPV6)
		return 0;
	r->n++;
	r->last = *e;
	return 0;
}

/* The next hop of a route of IPv4 may be of IPv6 (RFC 8950): it is asked for as such, and used once it is resolved. */
Test(hairpin, a_next_hop_of_ipv6_is_resolved_as_such)
{
	if (redirect_tc_wanted())
		cr_skip_test("at tc the kernel resolves next hops");

	static const uint8_t gateway[16] = { 0xfe, 0x80, [15] = 5 };
	static const struct row unresolved[] = {
		{ "A calls", XDP_INSIDE, { A_CALLS }, DROP_XDP, {}, REASON_drop_unresolved },
	};
	static const struct row resolved[] = {
		{ "A calls again", XDP_INSIDE, { A_CALLS }, REDIRECT_XDP, { TO_B }, REASON_hairpin_translated },
	};
	struct resolve r = { 0 };
	struct ring_buffer *ring = ring_buffer__new(datapath.events, keep_resolve, &r, NULL);

	RUN_ROWS(b_opens);
	cr_assert_eq(system("ip route add 10.0.0.3/32 via inet6 fe80::5 dev tin"), 0);
	datapath_raise_epoch(&datapath);
	RUN_ROWS(unresolved);
	cr_assert_geq(ring_buffer__consume(ring), 0);
	cr_expect_eq(r.n, 1);
	cr_expect_eq(r.last.type, EVENT_RESOLVE_IPV6);
	cr_expect_eq(r.last.ifindex, inside_ifindex);
	cr_expect_arr_eq(r.last.gateway, gateway, sizeof(gateway));
	cr_assert_eq(system("ip -6 neigh add fe80::5 lladdr 02:00:00:00:00:03 dev tin"), 0);
	datapath_raise_epoch(&datapath);
	RUN_ROWS(resolved);
	ring_buffer__free(ring);
}

/* Runs a hairpin that the agent has to send in fragments; the frame that it gets is compared. */
static void expect_left_to_the_agent(const char *name, const struct frame *f, const struct frame *translated)
{
	static struct transmission t;
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = frame_build(f, in), want_size = frame_build(translated, want), out_size;

	run_frame_counted(name, XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_hairpin_translated);
	cr_assert(transmitted(&t), "%s", name);
	cr_expect_eq(t.kind, TRANSMISSION_FRAME);
	cr_expect_eq(t.ifindex, inside_ifindex);
	cr_expect_eq(t.mtu, 1000);
	cr_expect(frame_equal(name, t.frame, t.length, want, want_size), "%s", name);
}

/* Nothing stands behind a hairpin that would do it (RFC 791 section 3.2, RFC 4787 REQ-13). */
Test(hairpin, packets_longer_than_the_mtu_are_fragmented_or_answered)
{
	if (redirect_tc_wanted())
		cr_skip_test("at tc the agent gets packets, not frames: egress_tc");

	static const struct row fits[] = {
		{ "as long as the MTU",
		  XDP_INSIDE,
		  { A_CALLS, .payload = 972 },
		  REDIRECT_XDP,
		  { TO_B, .payload = 972 },
		  REASON_hairpin_translated },
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	RUN_ROWS(b_opens);
	datapath.device[inside_ifindex].mtu = 1000;
	RUN_ROWS(fits);
	expect_left_to_the_agent("one octet more", &(struct frame){ A_CALLS, .payload = 973 },
				 &(struct frame){ TO_B, .payload = 973 });
	expect_left_to_the_agent("a first fragment",
				 &(struct frame){ A_CALLS, .payload = 1400, .options = MORE_FRAGMENTS },
				 &(struct frame){ TO_B, .payload = 1400, .options = MORE_FRAGMENTS });
	size = frame_build(&(struct frame){ A_CALLS, .payload = 973, .options = DONT_FRAGMENT }, in);
	run_frame_counted("with DF", XDP_INSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_drop_too_big);
	cr_expect_eq(counted(REASON_sent_icmp_too_big), 1);
	cr_expect_eq(out[34] << 8 | out[35], 3 << 8 | 4);
	cr_expect_eq(out[40] << 8 | out[41], 1000, "the MTU of the way");
}
