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

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "base/clock.h"
#include "datapath/datapath_private.h"
#include "property.h"
#include "staged.h"
#include "told_routes.h"
#include "../unit/rounds.h"

TestSuite(property, .init = set_up_with_room, .fini = tear_down);

#define PACKETS 40000 /* where no time is set */

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
		uint32_t out_addr = s->out_addr;

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
				   .flags = random_flags(r) };
	struct outcome o = { 0 };

	p.src = hook == XDP_INSIDE ? LOOSE : random_external(r);
	p.dst = hook == XDP_INSIDE ? random_external(r) : model_out_addr(m, LOOSE);
	p.sport = hook == XDP_INSIDE ? random_port(r) : random_ext_port(r);
	p.dport = hook == XDP_INSIDE ? random_ext_port(r) : model_first_choice(m, LOOSE, random_port(r));
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
		/* BPF_PROG_TEST_RUN takes no frame for tc that ends before its IPv6 header does. */
		p.octet[13] = redirect_tc_wanted() && p.size < 14 + 40 ? 0xde : 0xdd;
		break;
	default:
		for (int i = 34; i < 14 + (p.octet[14] & 15) * 4; i++)
			p.octet[i] = (uint8_t)random_below(r, 256);
	}
	t->packets++;
	property_run_alone(t, hook, &p, &o);
	property_judge_any(t, hook, &p, &o);
	if (p.octet[12] == 0x86 && (o.verdict != PASS_XDP || o.size != p.size || memcmp(o.octet, p.octet, p.size)))
		property_fail(t, hook, &p, &o, "what is not IPv4 goes up untouched");
}

static void step(struct property *t)
{
	static const unsigned seconds[] = { 5, 65, 130, 250, 310, 7500 };

	if (t->packets % 400 == 0 && property_scene->excepted)
		property_end_cut(t);
	if (t->packets % 400 == 0)
		property_compare_tables(t);
	if (random_once(&t->r, 150))
		property_skip(t, seconds[random_below(&t->r, ARRAY_SIZE(seconds))]);
	property_skip(t, 0);
	if (property_scene->reachable && random_once(&t->r, 100))
		property_change_portmaps(t);
	if (property_scene->limited && random_once(&t->r, 150))
		property_change_limits(t);
	if (property_scene->renumbered && random_once(&t->r, 150))
		property_change_plan(t);
	if (property_scene->growing && random_once(&t->r, 20))
		property_change_grants(t);
	if (property_scene->excepted && random_once(&t->r, 60))
		property_change_exceptions(t);
	if (random_once(&t->r, 20))
		random_loose(t);
	else if (property_scene->reachable && random_once(&t->r, 10))
		property_random_passage(t);
	else if (random_once(&t->r, 2))
		property_random_inside(t);
	else
		property_random_outside(t);
}

/* The pools of all mappings are destinations that packets from inside are not sent to. */
static void tell_property_routes(void)
{
	struct prefix pool[16];
	size_t n = 0, n_plans;
	const struct model_mapping *plans = property_plans(&n_plans);

	if (property_scene->renumbered)
		pool[n++] = (struct prefix){ POOL, 30 };
	else if (!property_scene->excepted)
		n_plans = 0;
	for (size_t i = 0; i < n_plans; i++)
		pool[n++] = (struct prefix){ plans[i].out_base, (uint8_t)(32 - __builtin_ctz(plans[i].out_count)) };
	for (size_t i = 0; !property_scene->renumbered && i < property_scene->n_mappings; i++) {
		const struct model_mapping *m = &property_scene->mapping[i];

		if (m->out_count)
			pool[n++] = (struct prefix){ m->out_base, (uint8_t)(32 - __builtin_ctz(m->out_count)) };
	}
	tell_routes_and(pool, n);
}

static void run_random_packets(const struct scene *scene, bool told)
{
	static struct property t;
	const char *for_seconds = getenv("DETNAT_PROPERTY_SECONDS"), *with = getenv("DETNAT_PROPERTY_SEED");
	uint64_t seed = with ? strtoull(with, NULL, 0) : 4787;
	uint64_t end = for_seconds ? monotonic_us() + strtoull(for_seconds, NULL, 10) * 1000000 : 0;
	/* Blocks that grow fill up late, so those scenes have all their packets in few rounds, too. */
	uint64_t packets = scene->growing && rounds_of(PACKETS) < PACKETS ? PACKETS : rounds_of(PACKETS);

	property_set_up(&t, scene, seed);
	if (told || staged_wanted())
		tell_property_routes();
	while (end ? monotonic_us() < end : t.packets < packets)
		step(&t);
	fprintf(stderr, "property: seed %llu, %llu packets", (unsigned long long)seed, (unsigned long long)t.packets);
#define X(name, text)                   \
	if (t.by_reason[REASON_##name]) \
		fprintf(stderr, ", %llu " #name, (unsigned long long)t.by_reason[REASON_##name]);
	REASONS(X)
#undef X
	fprintf(stderr, "\n");
	/* What it is about has come to pass. */
	cr_expect_gt(t.by_reason[REASON_in2out_translated], t.packets / 6);
	cr_expect_gt(t.by_reason[REASON_out2in_translated], t.packets / 20);
	cr_expect_gt(t.by_reason[REASON_hairpin_translated], 0);
	cr_expect(t.by_reason[REASON_drop_quota] > 0 || scene->limited);
	cr_expect(t.by_reason[REASON_drop_ports_exhausted] > 0 || scene->renumbered || scene->excepted ||
		  scene->limited);
	cr_expect_gt(t.by_reason[REASON_drop_malformed], 0);
	cr_expect_gt(counted(REASON_sessions_overflowed), 0);
	if (scene->renumbered) {
		fprintf(stderr, "property: %u mappings replaced, %llu packets of their sessions\n", t.replaced,
			(unsigned long long)t.drained);
		cr_expect_gt(t.replaced, rounds_of(5));
		cr_expect_gt(t.drained, t.packets / 100);
	}
	if (scene->excepted) {
		fprintf(stderr, "property: %u exceptions, %llu packets of sessions that were cut off\n", t.excepted,
			(unsigned long long)t.cut);
		cr_expect_gt(t.excepted, rounds_of(20));
		cr_expect_gt(t.cut, t.packets / 100);
	}
	if (scene->growing) {
		fprintf(stderr, "property: %llu sessions on granted ports, %u blocks revoked\n",
			(unsigned long long)t.granted, t.revoked);
		cr_expect_gt(t.granted, scene->limited ? 0 : t.packets / 200);
		cr_expect_gt(t.revoked, scene->limited ? 0 : rounds_of(5));
		cr_expect(t.by_reason[REASON_drop_growth_exhausted] > 0 || scene->limited);
	}
	if (scene->limited) {
		fprintf(stderr, "property: limits changed %u times\n", t.limits_changed);
		cr_expect_gt(t.limits_changed, rounds_of(10));
		cr_expect_gt(t.by_reason[REASON_drop_quota_protocol], 0);
		cr_expect_gt(t.by_reason[REASON_drop_rate], 0);
	}
	if (!scene->reachable || scene->limited)
		return;
	cr_expect_gt(t.by_reason[REASON_drop_inbound_limit], 0);
	cr_expect_gt(counted(REASON_sessions_inbound), t.packets / 500);
	cr_expect_gt(counted(REASON_portmap_in), t.packets / 100);
	cr_expect_gt(counted(REASON_portmap_out), t.packets / 100);
	cr_expect_gt(t.by_reason[REASON_drop_portmap_filter], t.packets / 1000);
}

Test(property, random_packets_against_a_model, .timeout = 0)
{
	run_random_packets(&property_plain, false);
}

Test(property, random_packets_with_the_agents_copy_of_the_routes, .timeout = 0)
{
	run_random_packets(&property_plain, true);
}

Test(property, random_packets_of_subscribers_that_can_be_reached, .timeout = 0)
{
	run_random_packets(&property_reachable, true);
}

Test(property, random_packets_while_mappings_are_replaced_and_drain, .timeout = 0)
{
	run_random_packets(&property_renumbered, false);
}

Test(property, random_packets_while_exceptions_come_and_go, .timeout = 0)
{
	run_random_packets(&property_excepted, false);
}

Test(property, random_packets_of_mappings_with_blocks_of_any_kind, .timeout = 0)
{
	run_random_packets(&property_shared, false);
}

Test(property, random_packets_while_blocks_are_granted_and_taken_back, .timeout = 0)
{
	run_random_packets(&property_growing, true);
}

static void run_limited(struct scene scene, bool told)
{
	scene.limited = true;
	run_random_packets(&scene, told);
}

Test(property, random_packets_of_subscribers_with_limits, .timeout = 0)
{
	run_limited(property_plain, true);
}

Test(property, random_packets_of_subscribers_with_limits_that_can_be_reached, .timeout = 0)
{
	run_limited(property_reachable, true);
}

Test(property, random_packets_with_limits_while_mappings_are_replaced, .timeout = 0)
{
	run_limited(property_renumbered, false);
}

Test(property, random_packets_with_limits_while_exceptions_come_and_go, .timeout = 0)
{
	run_limited(property_excepted, false);
}

Test(property, random_packets_with_limits_while_blocks_are_granted, .timeout = 0)
{
	run_limited(property_growing, true);
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

	static const uint32_t slow[] = { PROG_in2out, PROG_out2in, PROG_open };

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
