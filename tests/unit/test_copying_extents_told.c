/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies in extents: what peers, honest or not, and operators may make of them. */
#include <errno.h>
#include <netinet/in.h>

#include "extents_pair_fixture.h"
#include "sessions/sessions.h"
#include "sessions/survey.h"

TestSuite(copying_extents_told, .init = extents_pair_make, .fini = pair_free, .timeout = 300);

static struct subscriber *record(struct gateway *g)
{
	return mappings_subscriber(g->m, g->number, HOST);
}

static struct wire_beyond told_of(uint16_t in_port)
{
	return (struct wire_beyond){
		.key = htobe64(extents_key(in_port)),
		.subscriber = htobe32(HOST),
		.mapping = htobe16((uint16_t)a.number),
		.out_port = htobe16(first_port(&b, HOST, in_port)),
		.proto = IPPROTO_TCP,
		.state = SESSION_ESTABLISHED,
	};
}

static int tell(const struct wire_beyond *w, size_t n)
{
	return copying_apply(b.c, 1, WIRE_BEYOND, w, n * sizeof(*w), &b.counts);
}

/* As an operator does; the number of those that counted. */
static int close_at(struct gateway *g, uint16_t in_port)
{
	return sessions_close_in(g->m, 0, (struct endpoint){ 0x0a000000 + HOST, in_port },
				 (struct endpoint){ 0xc6336407, 443 }, 0);
}

/* No counter of b says that there is a session. */
static void expect_nothing(void)
{
	struct told t = { 0 };
	uint32_t n;
	const struct slot *slots = datapath_extent(&b.d, subscriber_extent(record(&b)), &n);

	for (uint32_t i = 0; i < n; i++)
		cr_expect(word_is_free(slots[i].truth) || word_is_signpost(slots[i].truth), "slot %u", i);
	passes(&b, &t);
	told_free(&t);
	cr_expect_eq(record(&b)->sessions, 0);
	cr_expect_eq(copying_held(b.c, 1), 0);
	pair_sound();
}

/* Whose a session is, and its turn, are what the gateway says that hears of it. */
Test(copying_extents_told, the_owner_is_the_peer_that_tells_it_and_no_turn_is_higher_than_the_word_has)
{
	struct wire_beyond w = told_of(5000);

	connect_gateways(&a, &b);
	w.flags = wire_flags(0, WORD_TURN_MAX + 2, 0);
	cr_assert_eq(tell(&w, 1), 0);
	cr_expect_eq(b.counts.placed, 1);
	cr_expect_eq(extents_place(&b, EXTENT, 5000)->truth,
		     word_owned(state_word(first_port(&b, HOST, 5000), IPPROTO_TCP, SESSION_ESTABLISHED,
					   word_seen(extents_place(&b, EXTENT, 5000)->truth)),
				1, WORD_TURN_MAX));
	/* Bits of owners and turns in the octets of protocol and state. */
	for (unsigned bits = 0; bits < 256; bits++) {
		w = told_of(5001);
		w.proto ^= (uint8_t)(bits & ~WORD_PROTO);
		w.state ^= (uint8_t)(bits & ~(unsigned)WORD_STATE & ~WIRE_ON_BEHALF);
		if (w.proto == IPPROTO_TCP && w.state == SESSION_ESTABLISHED)
			continue;
		cr_assert_eq(tell(&w, 1), 0);
		cr_expect(word_is_free(extents_place(&b, EXTENT, 5001)->truth), "%#x", bits);
	}
	cr_expect_eq(record(&b)->sessions, 1);
	w = told_of(5000);
	w.state = 0;
	cr_assert_eq(tell(&w, 1), 0);
	expect_nothing();
}

Test(copying_extents_told, ports_and_subscribers_that_cannot_be_have_no_place)
{
	const uint16_t lo = mapping_port_lo(&mappings_get(b.m, b.number)->geo, HOST);
	const uint16_t ports[] = { 0, 1, 1023, (uint16_t)(lo - 1), (uint16_t)(lo + 4032), 65535 };
	struct wire_beyond w = told_of(5000);

	connect_gateways(&a, &b);
	w.subscriber = htobe32(256);
	cr_expect_eq(tell(&w, 1), -EPROTO);
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		w = told_of(5000);
		w.out_port = htobe16(ports[i]);
		cr_expect_eq(tell(&w, 1), 0);
	}
	cr_expect_eq(b.counts.refused, ARRAY_SIZE(ports));
	cr_expect_eq(b.counts.placed, 0);
	expect_nothing();
}

Test(copying_extents_told, a_flow_that_is_told_on_two_ports_is_one_session)
{
	struct wire_beyond w[3] = { told_of(5000), told_of(5000), told_of(5000) };

	connect_gateways(&a, &b);
	w[1].out_port = htobe16(first_port(&b, HOST, 5001));
	w[2].out_port = htobe16((uint16_t)(first_port(&b, HOST, 5000) + 8));
	cr_assert_eq(tell(w, 2), 0);
	cr_expect_eq(record(&b)->sessions, 1);
	/* On a port of another group it has a signpost. */
	cr_assert_eq(tell(w, 3), 0);
	cr_expect_eq(record(&b)->sessions, 1);
	w[2].state = 0;
	cr_assert_eq(tell(&w[2], 1), 0);
	expect_nothing();
}

/* Records at random of a few flows and ports; then all end. */
Test(copying_extents_told, whatever_is_told_no_count_drifts)
{
	static const uint8_t states[] = { 0, SESSION_ESTABLISHED, SESSION_FIN_WAIT, SESSION_TIME_WAIT, SESSION_UDP };
	const uint16_t lo = mapping_port_lo(&mappings_get(b.m, b.number)->geo, HOST);

	connect_gateways(&a, &b);
	srandom(4711);
	for (unsigned round = 0; round < 1000; round++) {
		struct wire_beyond w[8];
		struct told t = { 0 };

		for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
			w[i] = told_of((uint16_t)(5000 + random() % 16));
			if (random() % 2)
				w[i].out_port = htobe16((uint16_t)(lo + random() % 4096));
			w[i].state = states[random() % (long)ARRAY_SIZE(states)];
			w[i].proto = random() % 8 ? IPPROTO_TCP : (uint8_t)random();
			w[i].flags = (uint16_t)random();
		}
		cr_assert_eq(tell(w, ARRAY_SIZE(w)), 0);
		/* A packet takes one over now and then. */
		if (round % 7 == 0 && word_is_live(extents_place(&b, EXTENT, 5003)->truth) &&
		    extents_place(&b, EXTENT, 5003)->key == extents_key(5003))
			extents_touch(&b, 5003, datapath_ticks(&b.d));
		if (round % 16 == 0) {
			passes(&b, &t);
			told_free(&t);
		}
	}
	cr_expect_gt(b.counts.placed, 100);
	cr_expect_gt(b.counts.refused, 100);
	cr_expect_leq(record(&b)->sessions, 16);
	pair_sound();
	for (uint16_t port = 5000; port < 5016; port++)
		close_at(&b, port);
	expect_nothing();
}

Test(copying_extents_told, one_that_has_expired_here_gives_way_whoever_had_it)
{
	struct told t = { 0 };
	struct slot *slot;

	connect_gateways(&a, &b);
	for (unsigned owner = 0; owner < 3; owner++) {
		slot = extents_open(&b, 5000);
		slot->truth =
			word_owned(word_with(slot->truth, SESSION_ESTABLISHED, datapath_ticks(&b.d) - 5000), owner, 3);
		extents_open(&a, 5000);
		passes(&a, &t);
		hear(&b, 1, &t);
		cr_expect_eq(b.counts.placed, owner + 1);
		cr_expect_eq(b.counts.existing, 0);
		cr_expect_eq(word_owner(slot->truth), 1);
		cr_expect_eq(word_turn(slot->truth), 0);
		cr_expect_eq(record(&b)->sessions, 1);
		extents_end(&a, 5000);
		exchange(&a, &b);
		expect_nothing();
	}
}

Test(copying_extents_told, a_whole_copy_ends_what_it_lacks_of_its_gateway_s_alone)
{
	struct slot *of_another, *own;

	connect_gateways(&a, &b);
	extents_open(&a, 5000);
	exchange(&a, &b);
	own = extents_open(&b, 5001);
	of_another = extents_open(&b, 5002);
	of_another->truth = word_owned(of_another->truth, 2, 1);
	exchange(&a, &b);
	extents_end(&a, 5000);
	/* What it would have told is lost. */
	{
		struct told lost = { 0 };

		passes(&a, &lost);
		told_free(&lost);
	}
	cr_assert_eq(word_owner(extents_place(&b, EXTENT, 5000)->truth), 1);
	connect_gateways(&a, &b);
	exchange(&a, &b);
	cr_expect(word_is_free(extents_place(&b, EXTENT, 5000)->truth));
	cr_expect(word_is_live(own->truth) && !word_owner(own->truth));
	cr_expect(word_is_live(of_another->truth) && word_owner(of_another->truth) == 2);
	cr_expect_eq(record(&b)->sessions, 2);
	cr_expect_eq(copying_held(b.c, 1), 0);
	cr_expect_eq(copying_held(b.c, 2), 1);
	pair_sound();
}

Test(copying_extents_told, what_an_operator_closes_at_either_gateway_ends_at_both)
{
	struct gateway *const both[] = { &a, &b };

	connect_gateways(&a, &b);
	for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
		extents_open(&a, 5000);
		exchange(&a, &b);
		cr_assert_eq(word_owner(extents_place(&b, EXTENT, 5000)->truth), 1);
		cr_expect_eq(close_at(both[i], 5000), 1);
		extents_settle();
		cr_expect(word_is_free(extents_place(&a, EXTENT, 5000)->truth));
		cr_expect_eq(record(&a)->sessions, 0);
		cr_expect_eq(copying_told(a.c), 0);
		expect_nothing();
	}
}

Test(copying_extents_told, explain_counts_a_subscriber_s_own_and_the_copies_of_each_peer)
{
	struct copying_subscriber s;

	connect_gateways(&a, &b);
	extents_open(&a, 5000);
	extents_open(&a, 5001);
	extents_open(&b, 5002);
	exchange(&a, &b);
	cr_assert_eq(copying_subscriber(b.c, 0, 0x0a000000 + HOST, &s), 0);
	cr_expect_eq(s.own, 1);
	cr_expect_eq(s.copies[1], 2);
	extents_touch(&b, 5001, datapath_ticks(&b.d));
	cr_assert_eq(copying_subscriber(b.c, 0, 0x0a000000 + HOST, &s), 0);
	cr_expect_eq(s.own, 2);
	cr_expect_eq(s.copies[1], 1);
}

static unsigned surveyed;

static void note_surveyed(void *arg, const struct surveyed *s)
{
	(void)arg;
	surveyed = s->n[SURVEY_HALF_OPEN];
}

static unsigned half_open(struct gateway *g)
{
	const struct survey_rules rules = { .least = { 1, SURVEY_NEVER, SURVEY_NEVER, SURVEY_NEVER },
					    .report = note_surveyed };
	struct survey *s;

	surveyed = 0;
	cr_assert_eq(survey_new(g->m, &rules, &s), 0);
	while (survey_step(s, 1000) > 0)
		;
	survey_free(s);
	return surveyed;
}

Test(copying_extents_told, a_survey_of_infected_hosts_counts_them_where_they_are_no_copies)
{
	connect_gateways(&a, &b);
	for (uint16_t port = 5000; port < 5004; port++) {
		struct slot *s = extents_open(&a, port);

		s->truth = word_with(s->truth, SESSION_SYN_SENT, word_seen(s->truth));
	}
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 4);
	cr_expect_eq(half_open(&a), 4);
	cr_expect_eq(half_open(&b), 0);
	extents_touch(&b, 5001, datapath_ticks(&b.d));
	cr_expect_eq(half_open(&b), 1);
	exchange(&a, &b);
	cr_expect_eq(half_open(&a), 3);
	pair_sound();
}
