/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two gateways at random: routes move between them, sessions in slots and in extents are opened, used and ended at
 * either, what they tell is lost, they fall silent and restart. A model knows what must have ended, and what must live:
 * whenever both have told all, each has what the other has, one of the two has it of its own, what ended has ended on
 * both, and what lives is there. The tables are sound throughout.
 */
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beyond_fixture.h"
#include "rounds.h"

#define SUBSCRIBERS 12U
#define FIRST	    20U /* of these */
#define FLOWS	    96U /* of these, the last ones beyond the slots */
#define BEYOND	    24U
#define FIRST_PORT  20000U
#define WRAP	    65536U /* ticks */

static struct gateway gateway[2];
static char state_file[2][64];

/* What is known of a flow. A round is what happens between two times at which both know all. */
static struct flow {
	uint32_t subscriber;
	uint16_t in_port;
	uint8_t proto;
	bool beyond;
	bool live;	/* when the round began, or by what happened since */
	bool certain;	/* that it is so */
	uint8_t used;	/* sides at which packets of the round came, a bit each */
	uint8_t closed; /* sides at which it was closed in this round */
} flow[FLOWS];

static unsigned serves[SUBSCRIBERS]; /* where the routes lead */

/* The clock of both gateways. What they do happens at even ticks, packets come at odd ones. */
static uint32_t tick;

static void set_clocks(void)
{
	clock_set(&gateway[0], tick);
	clock_set(&gateway[1], tick);
}

static void begin(uint32_t at)
{
	static char directory[] = "/tmp/copying.XXXXXX";

	tick = at;
	clocks_begin_at(tick);
	cr_assert_not_null(mkdtemp(directory));
	/* Room for all, so that nothing is refused for want of it. */
	copying_spec = copying_default_spec();
	copying_spec.session_slots = 512;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(state_file[i], sizeof(state_file[i]), "%s/copies%u", directory, i);
		gateway_make(&gateway[i], state_file[i]);
	}
	for (unsigned i = 0; i < FLOWS; i++) {
		bool beyond = i >= FLOWS - BEYOND;

		flow[i] = (struct flow){
			.subscriber = beyond ? HOST : FIRST + i % SUBSCRIBERS,
			.in_port = (uint16_t)(beyond ? FIRST_PORT + i : 5000 + i),
			.proto = beyond || i % 3 ? IPPROTO_TCP : IPPROTO_UDP,
			.beyond = beyond,
			.certain = true,
		};
	}
}

static void tear_down(void)
{
	for (unsigned i = 0; i < 2; i++) {
		gateway_free(&gateway[i]);
		copying_forget(state_file[i]);
	}
	*strrchr(state_file[0], '/') = '\0';
	rmdir(state_file[0]);
}

TestSuite(copying_churn, .fini = tear_down, .timeout = 300);

static uint32_t some(uint32_t n)
{
	return (uint32_t)random() % n;
}

static uint64_t key_of(const struct flow *f)
{
	return slot_key(0xc6336407, 443, f->in_port);
}

/* The slot of a flow; -1: none. */
static int slot_of(struct gateway *g, const struct flow *f)
{
	for (uint32_t i = 0; i < copying_spec.session_slots; i++) {
		const struct slot *s = slot_at(g, f->subscriber, i);

		if (s->key == key_of(f) && word_is_live(s->truth) && word_proto(s->truth) == f->proto &&
		    word_state(s->truth) != SESSION_TIME_WAIT &&
		    !word_expired(s->truth, datapath_ticks(&g->d), mappings_get(g->m, g->number)->timeout_ticks))
			return (int)i;
	}
	return -1;
}

static bool has(struct gateway *g, const struct flow *f)
{
	const struct slot *s;

	if (!f->beyond)
		return slot_of(g, f) >= 0;
	s = beyond_slot(g, f->in_port);
	return s && !word_expired(s->truth, datapath_ticks(&g->d), mappings_get(g->m, g->number)->timeout_ticks);
}

static bool is_copy(struct gateway *g, const struct flow *f)
{
	const struct copy_marks *k = &g->c->mapping[g->number].marks;
	const uint16_t *marks = copy_marks_of(k, f->subscriber);
	const struct slot *s;
	int slot;

	if (f->beyond)
		return word_owner(beyond_slot(g, f->in_port)->truth);
	slot = slot_of(g, f);
	s = slot_at(g, f->subscriber, (uint32_t)slot);
	return marks && mark_peer(marks[slot]) &&
	       mark_holds(marks[slot], s->key, s->truth, copy_vouched(k, f->subscriber, mark_peer(marks[slot])),
			  datapath_ticks(&g->d), mappings_get(g->m, g->number)->timeout_ticks);
}

static void open_at(unsigned side, struct flow *f)
{
	struct gateway *g = &gateway[side];

	if (f->beyond)
		beyond_open(g, f->in_port, (uint16_t)(f->in_port - FIRST_PORT));
	else
		cr_assert_eq(open_own(g, f->subscriber, key_of(f), first_port(g, f->subscriber, f->in_port), f->proto,
				      f->proto == IPPROTO_UDP ? SESSION_UDP : SESSION_SYN_SENT,
				      (uint16_t)first_slot(g, key_of(f), f->proto)),
			     COPY_PLACED);
}

/* A packet from inside, which may change the state. */
static void use(unsigned side, struct flow *f)
{
	static const uint8_t states[] = {
		SESSION_SYN_ANSWERED, SESSION_ESTABLISHED, SESSION_FIN_WAIT,
		SESSION_CLOSE_WAIT,   SESSION_LAST_ACK_IN, SESSION_ESTABLISHED | SESSION_RESET
	};
	struct gateway *g = &gateway[side];
	struct slot *s;

	if (f->beyond) {
		beyond_touch(g, f->in_port, tick - 1);
		s = beyond_slot(g, f->in_port);
		s->truth = word_with(s->truth, some(2) ? states[some(4)] : word_state(s->truth), tick - 1);
		return;
	}
	s = slot_at(g, f->subscriber, (uint32_t)slot_of(g, f));
	s->truth = word_with(
		s->truth, f->proto == IPPROTO_TCP && some(2) ? states[some(ARRAY_SIZE(states))] : word_state(s->truth),
		tick - 1);
}

/* In the ordinary way, with or without a trace in the table, or by an operator. */
static void close_at(unsigned side, const struct flow *f)
{
	struct gateway *g = &gateway[side];
	uint32_t slot;

	if (f->beyond) {
		beyond_end(g, f->in_port);
		return;
	}
	slot = (uint32_t)slot_of(g, f);
	if (f->proto == IPPROTO_TCP && some(2)) {
		struct slot *s = slot_at(g, f->subscriber, slot);

		s->truth = word_with(s->truth, SESSION_TIME_WAIT, word_seen(s->truth));
		mappings_subscriber(g->m, g->number, f->subscriber)->sessions--;
	} else {
		end_session(g, f->subscriber, slot);
	}
}

/* What happens to a flow, where the routes lead; an operator may close it at the other gateway, too. */
static void happen(struct flow *f)
{
	unsigned side = some(8) ? serves[f->subscriber % SUBSCRIBERS] : some(2);

	if (has(&gateway[side], f) && !some(3)) {
		close_at(side, f);
		f->closed |= (uint8_t)(1U << side);
		f->live = false;
		/*
		 * Where packets came by the other side as well, either may be the later one. An agent that has just
		 * begun takes no notice of what ends before its first pass.
		 */
		f->certain &= !(f->used & ~(1U << side)) && gateway[side].c->primed;
		return;
	}
	if (has(&gateway[side], f))
		use(side, f);
	else
		open_at(side, f);
	f->live = true;
	f->used |= (uint8_t)(1U << side);
	/* An end at the other side may be the later one. */
	f->certain &= !(f->closed & ~(1U << side));
}

/*
 * What has ended at a gateway that forgets what it was about to tell may live at the other; so may what it forgets to
 * have taken over, beyond the slots.
 */
static void restart(unsigned side)
{
	const struct copying_limits limits = { 2, 1000 };
	struct gateway *g = &gateway[side];

	copying_free(g->c);
	cr_assert_eq(copying_new(g->m, &limits, state_file[side], &g->c), 0);
	set_orders(&gateway[0], &gateway[1]);
	for (unsigned i = 0; i < FLOWS; i++)
		flow[i].certain &= !((flow[i].closed | (flow[i].beyond ? flow[i].used : 0)) >> side & 1);
}

/* Time passes; rounds of vouching begin every 1000 ticks. */
static void pass_time(void)
{
	tick += some(4) ? 0 : 2 * some(60);
	set_clocks();
}

/* A packet for each flow where its session is no copy, so that none expires in a round. */
static void keep_alive(void)
{
	for (unsigned side = 0; side < 2; side++)
		for (struct flow *f = flow; f < flow + FLOWS; f++) {
			struct gateway *g = &gateway[side];

			if (!has(g, f) || is_copy(g, f))
				continue;
			if (f->beyond)
				beyond_touch(g, f->in_port, tick - 1);
			else
				touch(g, f->subscriber, (uint32_t)slot_of(g, f), tick - 1);
		}
}

/* What a gateway tells, unless it is lost. */
static void pass_on(unsigned side, bool lost)
{
	struct told t = { 0 };

	pass(&gateway[side], &t);
	if (lost)
		told_free(&t);
	else
		hear(&gateway[!side], 1, &t);
}

static void round_of(unsigned n, bool lost)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned side = some(2);

		pass_time();
		happen(&flow[some(FLOWS)]);
		if (!some(10))
			serves[some(SUBSCRIBERS)] = some(2);
		if (!some(4))
			pass_on(side, lost);
		if (lost && !some(30))
			restart(side);
		while (!some(3) && copying_vouch(gateway[side].c, lost ? 0 : 2, some(2) ? UINT_MAX : 0))
			;
	}
}

static void settle(bool lost)
{
	if (lost)
		connect_gateways(&gateway[0], &gateway[1]);
	for (unsigned i = 0; i < 6; i++) {
		exchange(&gateway[0], &gateway[1]);
		acknowledge(&gateway[0], &gateway[1]);
	}
	for (unsigned i = 0; i < 2; i++)
		vouch(&gateway[i], 2);
}

static void judge(struct flow *f, unsigned round, bool lost)
{
	bool here = has(&gateway[0], f), there = has(&gateway[1], f);
	const char *what = f->beyond ? "beyond the slots" : f->proto == IPPROTO_TCP ? "tcp" : "udp";

	/* Of what is closed without a packet while the other is away, UDP is not told later. */
	if (lost && f->proto == IPPROTO_UDP)
		f->certain &= !f->closed;
	cr_assert_eq(here, there, "round %u, flow %td, %s: at %s alone; used at %x, closed at %x", round, f - flow,
		     what, here ? "the first" : "the second", f->used, f->closed);
	cr_assert(!f->certain || here == f->live, "round %u, flow %td, %s: it %s; used at %x, closed at %x", round,
		  f - flow, what, here ? "has ended, and is back" : "lives, and is gone", f->used, f->closed);
	if (here)
		cr_assert(is_copy(&gateway[0], f) != is_copy(&gateway[1], f), "round %u, flow %td, %s: %s has it",
			  round, f - flow, what, is_copy(&gateway[0], f) ? "neither" : "each");
	f->live = here;
	f->certain = true;
	f->used = f->closed = 0;
}

static void churn(uint32_t from)
{
	const char *seed = getenv("DETNAT_CHURN_SEED"), *rounds = getenv("DETNAT_CHURN_ROUNDS");
	unsigned n = rounds ? (unsigned)atoi(rounds) : rounds_of(12) + 2;

	begin(from);
	srandom(seed ? (unsigned)atoi(seed) : 4711);
	connect_gateways(&gateway[0], &gateway[1]);
	for (unsigned round = 0; round < n; round++) {
		bool lost = !some(4);

		keep_alive();
		round_of(20 + some(100), lost);
		settle(lost);
		cr_assert_eq(gateway[0].counts.refused + gateway[1].counts.refused, 0);
		for (unsigned i = 0; i < FLOWS; i++)
			judge(&flow[i], round, lost);
		assert_sound(&gateway[0]);
		assert_sound(&gateway[1]);
	}
	cr_log_info("placed %lu, existing %lu, ended %lu", gateway[1].counts.placed, gateway[1].counts.existing,
		    gateway[1].counts.ended);
}

Test(copying_churn, each_has_what_the_other_has_and_what_ended_stays_ended)
{
	churn(5 * WRAP + 30000);
}

Test(copying_churn, and_while_the_low_half_of_the_clock_wraps)
{
	churn(6 * WRAP - 3000);
}

Test(copying_churn, and_when_it_has_just_wrapped)
{
	churn(6 * WRAP);
}

Test(copying_churn, and_within_the_timeout_after_that)
{
	churn(6 * WRAP + 2300);
}

Test(copying_churn, and_while_the_whole_clock_wraps)
{
	churn(0U - 3000);
}

Test(copying_churn, and_when_it_has_just_wrapped_whole)
{
	churn(2);
}
