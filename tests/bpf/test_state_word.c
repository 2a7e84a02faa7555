// SPDX-License-Identifier: BSD-2-Clause
/* Sessions with all bits of their state word set that are neither state nor time: packets find, age and close them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "datapath/copy_program.h"
#include "portmap_fixture.h"

TestSuite(state_word, .init = set_up, .fini = tear_down);

static void set_up_two_stages(void)
{
	setenv("STAGES", "2", 1);
	set_up();
}

TestSuite(state_word_staged, .init = set_up_two_stages, .fini = tear_down);

#define IN_PORT 5000
#define SYN	0x02
#define FIN	0x01
#define ACK	0x10

/* Stage 1 marks no shorter frames. */
#define LONG .payload = 30

static uint64_t all_bits(uint64_t word)
{
	return word_owned(word, 7, 7) | WORD_INBOUND;
}

static bool has_all_bits(uint64_t word)
{
	return word_owner(word) == 7 && word_turn(word) == 7 && word_is_inbound(word);
}

/* The only live slot of SUBSCRIBER. */
static struct slot *slot_of_session(void)
{
	const struct mapping *m = mappings_get(mappings, 0);
	struct slot *s = (struct slot *)mappings_buckets(mappings, 0, SUBSCRIBER - m->geo.in_base), *found = NULL;

	for (uint32_t i = 0; i < BUCKET_SLOTS << m->bucket_shift; i++) {
		if (!word_is_live(s[i].truth))
			continue;
		cr_assert_null(found);
		found = &s[i];
	}
	cr_assert_not_null(found);
	return found;
}

static struct slot *open_marked(uint8_t proto, uint8_t flags)
{
	struct slot *s;

	cr_assert_eq(open_flow(proto, IN_PORT, 53, flags), OUT_PORT(IN_PORT, 2));
	s = slot_of_session();
	cr_assert_eq(word_owner(s->truth) + word_turn(s->truth) + (unsigned)word_is_inbound(s->truth), 0);
	s->truth = all_bits(s->truth);
	return s;
}

#define ROW_OUT(proto, flags_)                                                                             \
	{                                                                                                  \
		"out", XDP_INSIDE, { FROM_HOST, proto, IN_PORT, 53, .flags = flags_, LONG }, REDIRECT_XDP, \
			{ TO_ROUTER, proto, OUT_PORT(IN_PORT, 2), 53, .flags = flags_, LONG },             \
			REASON_in2out_translated                                                           \
	}
#define ROW_IN(proto, flags_)                                                                                          \
	{                                                                                                              \
		"in", XDP_OUTSIDE, { FROM_ROUTER, proto, 53, OUT_PORT(IN_PORT, 2), .flags = flags_, LONG },            \
			REDIRECT_XDP, { TO_HOST, proto, 53, IN_PORT, .flags = flags_, LONG }, REASON_out2in_translated \
	}

/* Datagrams in a tick and after it, in both directions. */
static void datagrams_go_on(void)
{
	static const struct row rows[] = { ROW_OUT(UDP, 0), ROW_IN(UDP, 0), ROW_OUT(UDP, 0) };
	struct slot *s = open_marked(UDP, 0);
	uint64_t opened = counted(REASON_sessions_opened), before;

	RUN_ROWS(rows);
	age_sessions(SUBSCRIBER, 200);
	before = s->truth;
	RUN_ROWS(rows);
	cr_expect(has_all_bits(s->truth));
	cr_expect(word_same(s->truth, before));
	cr_expect_gt((int32_t)(word_seen(s->truth) - word_seen(before)), 0, "refreshed");
	age_sessions(SUBSCRIBER, 200);
	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sessions_opened), opened);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

/* The first one from inside takes it over. The last of them begins a new connection in the same slot. */
static void connections_change_state(void)
{
	static const struct row rows[] = {
		ROW_IN(TCP, SYN | ACK),	 ROW_OUT(TCP, ACK),	 ROW_IN(TCP, ACK),  ROW_OUT(TCP, ACK),
		ROW_OUT(TCP, FIN | ACK), ROW_IN(TCP, FIN | ACK), ROW_OUT(TCP, ACK),
	};
	static const uint8_t states[] = {
		SESSION_SYN_ANSWERED, SESSION_ESTABLISHED, SESSION_ESTABLISHED, SESSION_ESTABLISHED,
		SESSION_FIN_WAIT,     SESSION_LAST_ACK_IN, SESSION_TIME_WAIT,
	};
	struct slot *s = open_marked(TCP, SYN);

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		run_rows(&rows[i], 1);
		cr_expect_eq(word_state(s->truth), states[i], "%u", i);
		cr_expect_eq(word_owner(s->truth), i ? 0 : 7, "%u", i);
		cr_expect_eq(word_turn(s->truth), 7, "%u", i);
		cr_expect(word_is_inbound(s->truth), "%u", i);
		cr_expect_eq(sessions_of(SUBSCRIBER), states[i] != SESSION_TIME_WAIT, "%u", i);
	}
	cr_expect_eq(open_flow(TCP, IN_PORT, 53, SYN), OUT_PORT(IN_PORT, 2));
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

/* The slot that it had is another session's then, without its bits. */
static void what_has_expired_makes_way(void)
{
	struct slot *s = open_marked(UDP, 0);

	age_sessions(SUBSCRIBER, 400);
	cr_expect_eq(open_flow(UDP, IN_PORT + PORTS, 53, 0), OUT_PORT(IN_PORT, 2));
	cr_expect_eq(slot_of_session(), s);
	cr_expect_eq(s->truth, state_word(OUT_PORT(IN_PORT, 2), UDP, SESSION_UDP, word_seen(s->truth)));
}

Test(state_word, datagrams_go_on)
{
	datagrams_go_on();
}

Test(state_word_staged, datagrams_go_on)
{
	datagrams_go_on();
}

Test(state_word, connections_change_state)
{
	connections_change_state();
}

Test(state_word_staged, connections_change_state)
{
	connections_change_state();
}

Test(state_word, what_has_expired_makes_way)
{
	what_has_expired_makes_way();
}

Test(state_word_staged, what_has_expired_makes_way)
{
	what_has_expired_makes_way();
}

/* The session, its flow on another port, and its port for another flow are refused as those of any other. */
Test(state_word, a_flow_and_a_port_are_taken_by_a_session_with_all_bits)
{
	open_marked(UDP, 0);
	cr_expect_eq(open_flow(UDP, IN_PORT + PORTS, 53, 0), OUT_PORT(IN_PORT, 2) + 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

Test(state_word, a_copy_has_the_bits_that_it_was_told_and_is_not_placed_twice)
{
	const struct mapping *m = mappings_get(mappings, 0);
	uint32_t first = mapping_first_choice(&m->geo, IN_PORT);
	struct bucket_pair pair = session_buckets(EXTERNAL, 53, UDP, first, m->bucket_shift);
	struct copy_program program = { 0 };
	struct session_copy *c;
	uint64_t word = state_word(OUT_PORT(IN_PORT, 2), UDP, SESSION_UDP, datapath_ticks(&datapath));

	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	c = &program.requests->copy[0];
	program.requests->n = 1;
	*c = (struct session_copy){
		.key = slot_key(EXTERNAL, 53, IN_PORT),
		.word = all_bits(word),
		.subscriber = SUBSCRIBER - m->geo.in_base,
		.slot = (uint16_t)(pair.first * BUCKET_SLOTS + first % BUCKET_SLOTS),
	};
	cr_assert_eq(copy_program_run(&program), 0);
	cr_expect_eq(c->result, COPY_PLACED);
	cr_expect_eq(slot_of_session()->truth, all_bits(word));
	c->word = word;
	cr_assert_eq(copy_program_run(&program), 0);
	cr_expect_eq(c->result, COPY_EXISTS);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
	cr_expect_eq(open_flow(UDP, IN_PORT, 53, 0), OUT_PORT(IN_PORT, 2));
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
	copy_program_unload(&program);
}
