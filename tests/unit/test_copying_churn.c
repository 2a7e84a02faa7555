/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two gateways at random: both open, use and end sessions, in slots and in the overflow, lose what they tell, fall
 * silent, restart. Whenever both have told all, each has what the other has, and no more; the tables are sound
 * throughout.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overflow_fixture.h"

#define SUBSCRIBERS 12U
#define FLOWS	    6U /* external endpoints of each side */
#define BEYOND	    8U /* sessions in the overflow that each side opens */
#define FIRST_PORT  20000U

static struct gateway gateway[2];
static char state_file[2][64];

static void set_up(void)
{
	static char directory[] = "/tmp/copying.XXXXXX";

	cr_assert_not_null(mkdtemp(directory));
	/* Room for all, so that nothing is refused for want of it. */
	copying_spec = copying_default_spec();
	copying_spec.session_slots = 512;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(state_file[i], sizeof(state_file[i]), "%s/copies%u", directory, i);
		gateway_make(&gateway[i], state_file[i]);
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

TestSuite(copying_churn, .init = set_up, .fini = tear_down, .timeout = 300);

static uint32_t some(uint32_t n)
{
	return (uint32_t)random() % n;
}

/* Endpoints of its own, so that no port is another's. */
static void open_some(unsigned side)
{
	struct gateway *g = &gateway[side];
	uint16_t in_port = (uint16_t)(1024 + some(60000));
	uint64_t key = slot_key(0xc6336400U + side * 100 + some(FLOWS), 443, in_port);
	uint32_t subscriber = some(SUBSCRIBERS);
	uint8_t proto = some(2) ? IPPROTO_TCP : IPPROTO_UDP;

	open_own(g, subscriber, key, first_port(g, subscriber, in_port), proto,
		 proto == IPPROTO_UDP ? SESSION_UDP : SESSION_SYN_SENT, (uint16_t)first_slot(g, key, proto));
}

static bool is_copy(struct gateway *g, uint32_t subscriber, uint32_t slot)
{
	const struct copy_marks *k = &g->c->mapping[g->number].marks;
	const uint16_t *marks = copy_marks_of(k, subscriber);
	const struct slot *s = slot_at(g, subscriber, slot);

	return marks && marks[slot] &&
	       mark_holds(marks[slot], s->key, s->truth, copy_vouched(k, subscriber, mark_peer(marks[slot])),
			  datapath_ticks(&g->d), mappings_get(g->m, g->number)->timeout_ticks);
}

static bool has_session(struct gateway *g, uint32_t subscriber, uint32_t slot)
{
	uint64_t word = slot_at(g, subscriber, slot)->truth;

	return word_is_live(word) && word_state(word) != SESSION_TIME_WAIT &&
	       !word_expired(word, datapath_ticks(&g->d), mappings_get(g->m, g->number)->timeout_ticks);
}

/*
 * Whether it may end here: the gateway has opened it, or has told the other that it is its own by now. One that is
 * taken over and ends before that is over, but not for the other.
 */
static bool has_of_its_own(unsigned side, uint32_t subscriber, uint32_t slot)
{
	struct gateway *g = &gateway[side];
	uint16_t note = g->c->mapping[g->number].notes[(size_t)subscriber * copying_spec.session_slots + slot];
	bool opened = (key_ext_addr(slot_at(g, subscriber, slot)->key) - 0xc6336400U) / 100 == side;

	return !is_copy(g, subscriber, slot) && (opened || note_tag(note) == NOTE_TOLD);
}

/* What packets, the sweep and the operator do to a session. */
static void change_some(unsigned side)
{
	static const uint8_t states[] = {
		SESSION_SYN_ANSWERED, SESSION_ESTABLISHED, SESSION_FIN_WAIT,
		SESSION_CLOSE_WAIT,   SESSION_LAST_ACK_IN, SESSION_ESTABLISHED | SESSION_RESET
	};
	struct gateway *g = &gateway[side];
	uint32_t subscriber = some(SUBSCRIBERS), slot = some(copying_spec.session_slots);

	for (unsigned tries = 0; tries < 100 && !word_is_live(slot_at(g, subscriber, slot)->truth); tries++)
		slot = some(copying_spec.session_slots);

	struct slot *s = slot_at(g, subscriber, slot);
	uint64_t word = s->truth;
	bool own = has_of_its_own(side, subscriber, slot);

	if (!word_is_live(word))
		return;
	if (word_state(word) == SESSION_TIME_WAIT || (!some(3) && own)) {
		s->truth = 0;
		if (word_state(word) != SESSION_TIME_WAIT)
			mappings_subscriber(g->m, g->number, subscriber)->sessions--;
	} else if (word_proto(word) == IPPROTO_TCP && own && !some(4)) {
		s->truth = word_with(word, SESSION_TIME_WAIT, word_seen(word));
		mappings_subscriber(g->m, g->number, subscriber)->sessions--;
	} else if (word_proto(word) == IPPROTO_TCP && some(2)) {
		s->truth = word_with(word, states[some(ARRAY_SIZE(states))], word_seen(word));
	} else if (!some(4)) {
		/* A packet from inside, at no tick of vouching. */
		touch(g, subscriber, slot, datapath_ticks(&g->d) - 1000 - some(1000));
	}
}

/* Those in the overflow are told apart by their inside ports, each with a port of its own. */
static uint16_t beyond_port(unsigned opener, unsigned n)
{
	return (uint16_t)(FIRST_PORT + opener * BEYOND + n);
}

static bool is_told_beyond(struct gateway *g, uint16_t in_port, uint64_t word)
{
	const struct overflow_id id = {
		.key = slot_key(0xc6336407, 443, in_port),
		.subscriber = HOST,
		.mapping = (uint16_t)g->number,
		.out_port = word_out_port(word),
		.proto = IPPROTO_TCP,
	};
	const struct overflow_told *t = overflow_tolds_find(&g->c->overflow_told, &id);

	return t && t->state;
}

/* As change_some(), of the overflow; and opens what is not there. */
static void change_beyond(unsigned side)
{
	static const uint8_t states[] = { SESSION_ESTABLISHED, SESSION_FIN_WAIT, SESSION_CLOSE_WAIT };
	struct gateway *g = &gateway[side];
	unsigned opener = some(2);
	uint16_t in_port = beyond_port(opener, some(BEYOND));
	struct overflow_session s;
	bool own;

	if (!beyond_entry(g, in_port, &s)) {
		if (opener == side)
			beyond_open(g, in_port, (uint16_t)(in_port - FIRST_PORT));
		return;
	}
	own = !overflow_mark_holds(s.mark, s.truth) && (opener == side || is_told_beyond(g, in_port, s.truth));
	if (own && !some(3)) {
		beyond_end(g, in_port);
	} else if (some(2)) {
		s.truth = word_with(s.truth, states[some(ARRAY_SIZE(states))], word_seen(s.truth));
		beyond_store(g, in_port, &s);
	} else if (!some(4)) {
		beyond_touch(g, in_port, datapath_ticks(&g->d) - 1000 - some(1000));
	}
}

static void restart(unsigned side)
{
	const struct copying_limits limits = { 2, 1000 };
	struct gateway *g = &gateway[side];

	copying_free(g->c);
	cr_assert_eq(copying_new(g->m, &limits, state_file[side], &g->c), 0);
}

/* Another session here stands for one there, by all but its slot. */
static bool has_like(struct gateway *g, uint32_t subscriber, const struct slot *like)
{
	for (uint32_t i = 0; i < copying_spec.session_slots; i++) {
		const struct slot *s = slot_at(g, subscriber, i);

		if (has_session(g, subscriber, i) && s->key == like->key && s->truth >> 40 == like->truth >> 40)
			return true;
	}
	return false;
}

static bool has_beyond(struct gateway *g, uint16_t in_port)
{
	struct overflow_session s;

	return beyond_entry(g, in_port, &s) &&
	       !word_expired(s.truth, datapath_ticks(&g->d), mappings_get(g->m, g->number)->timeout_ticks);
}

/* Sessions in the overflow that one of the two has. */
static unsigned missing_beyond(void)
{
	unsigned n = 0;

	for (uint16_t port = FIRST_PORT; port < FIRST_PORT + 2 * BEYOND; port++)
		n += has_beyond(&gateway[0], port) != has_beyond(&gateway[1], port);
	return n;
}

/* Sessions of one that the other has not. */
static unsigned missing(unsigned side)
{
	struct gateway *g = &gateway[side];
	unsigned n = 0;

	for (uint32_t i = 0; i < SUBSCRIBERS; i++)
		for (uint32_t k = 0; k < copying_spec.session_slots; k++)
			n += has_session(g, i, k) && !has_like(&gateway[!side], i, slot_at(g, i, k));
	return n;
}

Test(copying_churn, each_has_what_the_other_has)
{
	const char *seed = getenv("DETNAT_CHURN_SEED"), *rounds = getenv("DETNAT_CHURN_ROUNDS");
	unsigned n = rounds ? (unsigned)atoi(rounds) : 30, late = 0;

	srandom(seed ? (unsigned)atoi(seed) : 4711);
	connect_gateways(&gateway[0], &gateway[1]);
	for (unsigned round = 0; round < n; round++) {
		unsigned lost = some(8);

		for (unsigned i = 0; i < 40; i++) {
			unsigned side = some(2);
			struct told t = { 0 };

			if (!some(4))
				change_beyond(side);
			else if (some(3))
				change_some(side);
			else
				open_some(side);
			if (!some(4)) {
				pass(&gateway[side], &t);
				if (lost == 7)
					told_free(&t);
				else
					hear(&gateway[!side], 1, &t);
			}
			if (!some(30)) {
				restart(side);
				lost = 7;
			}
			while (!some(3) && copying_vouch(gateway[side].c, lost == 7 ? 0 : 2, 50))
				;
		}
		if (lost == 7)
			connect_gateways(&gateway[0], &gateway[1]);
		for (unsigned i = 0; i < 5; i++)
			exchange(&gateway[0], &gateway[1]);
		cr_assert_eq(gateway[0].counts.refused + gateway[1].counts.refused, 0);
		cr_assert_eq(missing_beyond(), 0, "round %u", round);
		/* That a session both had has ended in another slot there is found by the next whole copy. */
		if (missing(0) + missing(1)) {
			late++;
			connect_gateways(&gateway[0], &gateway[1]);
		}
		cr_assert_eq(missing(0), 0, "round %u", round);
		cr_assert_eq(missing(1), 0, "round %u", round);
		assert_sound(&gateway[0]);
		assert_sound(&gateway[1]);
	}
	cr_assert_leq(late, n / 10);
	cr_log_info("placed %lu, existing %lu, ended %lu", gateway[1].counts.placed, gateway[1].counts.existing,
		    gateway[1].counts.ended);
}
