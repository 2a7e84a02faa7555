// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random packets, valid and not, against a small independent model: what is translated, to what, and that nothing else
 * of the packet changes; checksums as right or as wrong as before; each packet in exactly one counter; the fast path
 * and the slow path alike.
 *
 * DETNAT_PROPERTY_SECONDS sets how long, DETNAT_PROPERTY_SEED which packets; both are printed.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "property.h"
#include "staged.h"
#include "told_routes.h"

TestSuite(property, .init = set_up, .fini = tear_down);

#define PACKETS 40000 /* where no time is set */

static const uint32_t external[] = { EXTERNAL, ADDR(192, 0, 2, 1), ADDR(203, 0, 112, 255), ADDR(9, 9, 9, 9) };
static const uint16_t ports[] = { 5000, 5015, 5030, 6008, 6304, 6305, 1023, 0, 65535, 7, 15, 40000 };
static const uint16_t ext_ports[] = { 53, 443, 80 };
static const uint8_t tcp_flags[] = { 0x02, 0x12, 0x10, 0x18, 0x11, 0x01, 0x04, 0x14, 0x10, 0x02, 0x00, 0x29 };

#define PICK(r, array) ((array)[random_below(r, sizeof(array) / sizeof(*(array)))])

static uint8_t random_proto(struct random *r)
{
	static const uint8_t protos[] = { TCP, TCP, UDP, UDP, UDP, ICMP };

	return PICK(r, protos);
}

static uint8_t random_ttl(struct random *r)
{
	return (uint8_t)(random_once(r, 25) ? random_below(r, 3) : 2 + random_below(r, 254));
}

static enum flaw random_flaw(struct random *r)
{
	return random_once(r, 12) ? (enum flaw)(1 + random_below(r, N_FLAWS - 1)) : FLAW_NONE;
}

/* A source that has no business there. */
static uint32_t unmapped(struct random *r)
{
	static const uint32_t strays[] = { UNMAPPED + 0x10000,	ADDR(192, 168, 1, 1), ADDR(100, 64, 0, 1),
					   ADDR(192, 0, 2, 77), ADDR(127, 0, 0, 1),   ADDR(0, 0, 0, 9),
					   ADDR(240, 0, 0, 1),	ADDR(224, 0, 0, 5),   POOL + 1,
					   ADDR(203, 0, 114, 0) };

	return PICK(r, strays);
}

/* Towards where another subscriber is seen from outside. */
static void aim_at_subscriber(struct property *t, struct random_packet *p)
{
	uint32_t other = PICK(&t->r, property_subscriber);
	const struct model_mapping *m = model_inside(&t->model, other);

	if (p->proto == ICMP)
		p->proto = UDP;
	p->dst = model_out_addr(m, other);
	p->dport = model_first_choice(m, other, ports[random_below(&t->r, 3)]);
	p->sport = ports[random_below(&t->r, 3)];
}

static void random_inside(struct property *t)
{
	struct random *r = &t->r;
	struct random_packet p = { .from = HOST,
				   .to = random_once(r, 60) ? NOBODY : GATEWAY_IN,
				   .src = random_once(r, 30) ? unmapped(r) : PICK(r, property_subscriber),
				   .dst = PICK(r, external),
				   .sport = PICK(r, ports),
				   .dport = PICK(r, ext_ports),
				   .proto = random_proto(r),
				   .flags = PICK(r, tcp_flags),
				   .ttl = random_ttl(r),
				   .flaw = random_flaw(r) };
	enum hook hook = random_once(r, 4) ? TC_OUTSIDE : XDP_INSIDE;
	struct outcome o = { 0 };

	/* Often again what it has sent before. */
	if (t->model.n && random_once(r, 2)) {
		const struct model_session *s = &t->model.session[random_below(r, (uint32_t)t->model.n)];

		p.src = s->in_addr;
		p.dst = s->ext_addr;
		p.sport = s->in_port;
		p.dport = s->ext_port;
		p.proto = s->proto;
	} else if (random_once(r, 4)) {
		/* More inside ports to one peer than a block has. */
		p.src = property_subscriber[2 + random_below(r, 3)];
		p.dst = EXTERNAL;
		p.sport = (uint16_t)random_below(r, 40);
		p.dport = 53;
		p.proto = UDP;
	} else if (random_once(r, 6) && model_inside(&t->model, p.src)) {
		aim_at_subscriber(t, &p);
	}
	p.echo_reply = p.proto == ICMP && random_once(r, 10);
	if (p.echo_reply) {
		p.dport = p.sport;
		p.sport = 0;
	} else if (p.proto == ICMP) {
		p.dport = 0;
	}
	if (property_is_pool(p.dst))
		hook = XDP_INSIDE;
	/* What the kernel routes has a sound header and a TTL left. */
	if (hook == TC_OUTSIDE && FLAW_IS_OF_IP(p.flaw))
		p.flaw = FLAW_NONE;
	if (hook == TC_OUTSIDE && !p.ttl)
		p.ttl = 1;
	random_packet_build(r, &p);
	property_run(t, hook, &p, &o);
	property_judge_inside(t, hook, &p, &o);
}

static void random_outside(struct property *t)
{
	struct random *r = &t->r;
	struct random_packet p = { .from = ROUTER,
				   .to = random_once(r, 60) ? NOBODY : GATEWAY_OUT,
				   .src = random_once(r, 30) ? unmapped(r) : PICK(r, external),
				   .dst = POOL + random_below(r, 5),
				   .sport = PICK(r, ext_ports),
				   .dport = (uint16_t)random_below(r, 65536),
				   .proto = random_proto(r),
				   .flags = PICK(r, tcp_flags),
				   .ttl = random_ttl(r),
				   .flaw = random_flaw(r) };
	struct outcome o = { 0 };

	p.echo_reply = !random_once(r, 4);
	/* Mostly a reply to a session's packet; some of them nearly. */
	if (t->model.n && !random_once(r, 5)) {
		const struct model_session *s = &t->model.session[random_below(r, (uint32_t)t->model.n)];

		p.src = s->ext_addr;
		p.dst = model_out_addr(model_inside(&t->model, s->in_addr), s->in_addr);
		p.sport = s->ext_port;
		p.dport = s->out_port;
		p.proto = s->proto;
		switch (random_below(r, 16)) {
		case 0:
			p.dport++;
			break;
		case 1:
			p.sport++;
			break;
		case 2:
			p.src = PICK(r, external);
			break;
		case 3:
			p.dst = s->in_addr;
			break;
		case 4:
			p.proto = random_proto(r);
			break;
		case 5:
			p.dst = PICK(r, external);
			break;
		default:
			break;
		}
	}
	p.echo_reply = p.echo_reply && p.proto == ICMP;
	if (p.proto == ICMP && p.echo_reply)
		p.sport = 0;
	if (p.proto == ICMP && !p.echo_reply) {
		p.sport = p.dport;
		p.dport = 0;
	}
	random_packet_build(r, &p);
	property_run(t, XDP_OUTSIDE, &p, &o);
	property_judge_outside(t, &p, &o);
}

/* An ICMP error about a session: whatever becomes of it, the session stays as it is. */
static void quote_session(struct property *t, struct random_packet *p)
{
	const struct model_session *s;
	uint8_t *icmp = p->octet + 34, *quote = icmp + 8;

	if (!t->model.n || p->proto != ICMP || p->size < 34 + 8 + 28 || p->octet[14] != 0x45)
		return;
	s = &t->model.session[random_below(&t->r, (uint32_t)t->model.n)];
	memcpy(quote, p->octet + 14, 20);
	quote[9] = s->proto;
	for (int i = 0; i < 4; i++) {
		uint32_t out_addr = model_out_addr(model_inside(&t->model, s->in_addr), s->in_addr);

		quote[12 + i] = (uint8_t)(out_addr >> (24 - 8 * i));
		quote[16 + i] = (uint8_t)(s->ext_addr >> (24 - 8 * i));
	}
	quote[20] = (uint8_t)(s->out_port >> 8);
	quote[21] = (uint8_t)s->out_port;
	quote[22] = (uint8_t)(s->ext_port >> 8);
	quote[23] = (uint8_t)s->ext_port;
	icmp[2] = icmp[3] = 0;

	uint16_t sum = sum_finish(sum_octets(icmp, p->size - 34, 0));

	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
}

/* Fragments, other protocols, ICMP errors, other EtherTypes, any IP options: of and to a subscriber of its own. */
static void random_loose(struct property *t)
{
	struct random *r = &t->r;
	enum hook hook = random_once(r, 2) ? XDP_INSIDE : XDP_OUTSIDE;
	const struct model_mapping *m = model_inside(&t->model, LOOSE);
	struct random_packet p = { .from = hook == XDP_INSIDE ? HOST : ROUTER,
				   .to = hook == XDP_INSIDE ? GATEWAY_IN : GATEWAY_OUT,
				   .proto = random_proto(r),
				   .ttl = 64,
				   .flags = PICK(r, tcp_flags) };
	struct outcome o = { 0 };

	p.src = hook == XDP_INSIDE ? LOOSE : PICK(r, external);
	p.dst = hook == XDP_INSIDE ? PICK(r, external) : model_out_addr(m, LOOSE);
	p.sport = hook == XDP_INSIDE ? PICK(r, ports) : PICK(r, ext_ports);
	p.dport = hook == XDP_INSIDE ? PICK(r, ext_ports) : model_first_choice(m, LOOSE, PICK(r, ports));
	random_packet_build(r, &p);
	switch (random_below(r, 5)) {
	case 0: /* fragments, tiny and overlapping ones among them */
		p.octet[20] = (uint8_t)((random_once(r, 2) ? 0x20 : 0) | random_below(r, 2));
		p.octet[21] = (uint8_t)(p.octet[20] ? random_below(r, 256) : 1 + random_below(r, 255));
		break;
	case 1:
		p.octet[23] = (uint8_t)(2 + random_below(r, 4));
		p.proto = p.octet[23];
		break;
	case 2:
		if (p.proto == ICMP)
			p.octet[34] = (uint8_t)(3 + random_below(r, 11));
		if (hook == XDP_OUTSIDE)
			quote_session(t, &p);
		break;
	case 3:
		p.octet[12] = 0x86;
		p.octet[13] = 0xdd;
		break;
	default:
		for (int i = 34; i < 14 + (p.octet[14] & 15) * 4; i++)
			p.octet[i] = (uint8_t)random_below(r, 256);
	}
	t->packets++;
	property_run_once(t, hook, &p, &o);
	property_judge_any(t, hook, &p, &o);
	if (p.octet[12] == 0x86 && (o.verdict != PASS_XDP || o.size != p.size || memcmp(o.octet, p.octet, p.size)))
		property_fail(t, hook, &p, &o, "what is not IPv4 goes up untouched");
}

static void step(struct property *t)
{
	static const unsigned seconds[] = { 5, 65, 130, 250, 310, 7500 };

	if (t->packets % 400 == 0)
		property_compare_tables(t);
	if (random_once(&t->r, 150))
		property_skip(t, PICK(&t->r, seconds));
	property_skip(t, 0);
	if (random_once(&t->r, 20))
		random_loose(t);
	else if (random_once(&t->r, 2))
		random_inside(t);
	else
		random_outside(t);
}

/* The pools of all mappings are destinations that packets from inside are not sent to. */
static void tell_property_routes(void)
{
	struct prefix pool[3];

	for (size_t i = 0; i < 3; i++)
		pool[i] = (struct prefix){ property_mapping[i].out_base,
					   (uint8_t)(32 - __builtin_ctz(property_mapping[i].out_count)) };
	tell_routes_and(pool, 3);
}

static void run_random_packets(bool told)
{
	static struct property t;
	const char *for_seconds = getenv("DETNAT_PROPERTY_SECONDS"), *with = getenv("DETNAT_PROPERTY_SEED");
	uint64_t seed = with ? strtoull(with, NULL, 0) : 4787;
	time_t end = for_seconds ? time(NULL) + atoi(for_seconds) : 0;

	property_set_up(&t, seed);
	if (told || staged_wanted())
		tell_property_routes();
	while (end ? time(NULL) < end : t.packets < PACKETS)
		step(&t);
	fprintf(stderr, "property: seed %llu, %llu packets", (unsigned long long)seed, (unsigned long long)t.packets);
#define X(name, text)                   \
	if (t.by_reason[REASON_##name]) \
		fprintf(stderr, ", %llu " #name, (unsigned long long)t.by_reason[REASON_##name]);
	REASONS(X)
#undef X
	fprintf(stderr, "\n");
	/* What it is about has come to pass. */
	cr_expect_gt(t.by_reason[REASON_in2out_translated], t.packets / 5);
	cr_expect_gt(t.by_reason[REASON_out2in_translated], t.packets / 20);
	cr_expect_gt(t.by_reason[REASON_hairpin_translated], 0);
	cr_expect_gt(t.by_reason[REASON_drop_quota], 0);
	cr_expect_gt(t.by_reason[REASON_drop_ports_exhausted], 0);
	cr_expect_gt(t.by_reason[REASON_drop_malformed], 0);
	cr_expect_gt(counted(REASON_sessions_overflowed), 0);
}

Test(property, random_packets_against_a_model, .timeout = 0)
{
	run_random_packets(false);
}

Test(property, random_packets_with_the_agents_copy_of_the_routes, .timeout = 0)
{
	run_random_packets(true);
}

/* The comparison above is one of two programs: without its slow path the main one takes ordinary packets all the same.
 */
Test(property, ordinary_packets_take_the_fast_path)
{
	static const struct row first[] = {
		{ "opens",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, TCP, 5000, 80, .flags = 2 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    TCP,
		    OUT_PORT(5000, 2),
		    80,
		    .flags = 2,
		    .ttl = 63 },
		  REASON_in2out_translated },
		{ "is answered",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = POOL,
		    TCP,
		    80,
		    OUT_PORT(5000, 2),
		    .flags = 0x12 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    TCP,
		    80,
		    5000,
		    .flags = 0x12,
		    .ttl = 63 },
		  REASON_out2in_translated },
	};

	static const uint32_t slow[] = { PROG_in2out, PROG_out2in };

	/*
	 * The first time next hops are looked up; then they are known, for what the programs take for a second. On a
	 * busy machine each deletion takes a good part of a real one.
	 */
	stay_on_one_core();
	settings.hz = 60 * datapath.hz;
	reload_settings();
	RUN_ROWS(first);
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &slow[i]);
	RUN_ROWS(first);
}
