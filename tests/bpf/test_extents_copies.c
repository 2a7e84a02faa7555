// SPDX-License-Identifier: BSD-2-Clause
/* Sessions of other gateways in the extent of a subscriber, and packets of them. */
#include <string.h>

#include <criterion/criterion.h>

#include "datapath/copy_program.h"
#include "datapath/former_hash.h"
#include "datapath/hand_back_private.h"
#include "extents_fixture.h"

static struct copy_program program;

static void set_up_copies(void)
{
	int r;

	set_up_extents();
	r = copy_program_load(&program, &datapath);
	cr_assert_eq(r, 0, "%s", strerror(-r));
}

static void set_up_two_stages(void)
{
	setenv("STAGES", "2", 1);
	set_up_copies();
}

static void tear_down_copies(void)
{
	copy_program_unload(&program);
	tear_down();
}

TestSuite(extents_copies, .init = set_up_copies, .fini = tear_down_copies);
TestSuite(extents_copies_staged, .init = set_up_two_stages, .fini = tear_down_copies);

#define PEER 3U
#define TURN 2U

static uint64_t key_of(unsigned flow)
{
	return slot_key(EXTERNAL, extents_ext(flow), extents_port(flow));
}

/* What a peer tells of a flow, on another port than the first choice's by `after`. */
static struct session_copy told(uint8_t proto, uint8_t state, unsigned flow, unsigned after)
{
	const uint64_t word =
		state_word((uint16_t)(extents_out_port(flow) + after), proto, state, datapath_ticks(&datapath));

	return (struct session_copy){ .key = key_of(flow),
				      .word = word,
				      .subscriber = IN - ADDR(10, 1, 0, 0),
				      .mapping = (uint16_t)extents_number(),
				      .owner = PEER,
				      .turn = TURN,
				      .request = COPY_TO_EXTENT };
}

/* An enum copy_result. */
static int run(const struct session_copy *c)
{
	program.requests->n = 1;
	program.requests->copy[0] = *c;
	cr_assert_eq(copy_program_run(&program), 0);
	return program.requests->copy[0].result;
}

static int place(uint8_t proto, uint8_t state, unsigned flow)
{
	const struct session_copy c = told(proto, state, flow, 0);

	return run(&c);
}

/* The slot of a flow's session in the extent, or NULL. */
static struct slot *beyond(unsigned flow)
{
	uint32_t n, extent = subscriber_extent(extents_record());
	struct slot *slots = extent ? datapath_extent(&datapath, extent, &n) : NULL;

	for (uint32_t i = 0; slots && i < n; i++)
		if (word_is_live(slots[i].truth) && slots[i].key == key_of(flow))
			return &slots[i];
	return NULL;
}

static void expect_owner(unsigned flow, unsigned owner, unsigned turn)
{
	const struct slot *s = beyond(flow);

	cr_assert_not_null(s, "flow %u", flow);
	cr_expect_eq(word_owner(s->truth), owner, "flow %u: of %u", flow, word_owner(s->truth));
	cr_expect_eq(word_turn(s->truth), turn, "flow %u: turn %u", flow, word_turn(s->truth));
}

/* A packet from inside takes a copy over, in the tick in which it was placed as well; an answer does not. */
static void packets_of_copies(uint8_t proto, uint8_t state, enum hook out, enum hook in)
{
	static unsigned flow;

	for (unsigned end = flow + 2; flow < end; flow++) {
		cr_assert_eq(place(proto, state, flow), COPY_PLACED);
		expect_owner(flow, PEER, TURN);
		if (flow % 2)
			age_sessions(IN, 100);
		extents_expect_answer(proto, flow, ACK, in);
		expect_owner(flow, PEER, TURN);
		extents_expect_passes(proto, flow, ACK, out, in);
		expect_owner(flow, 0, TURN + 1);
		extents_expect_passes(proto, flow, ACK, out, in);
		expect_owner(flow, 0, TURN + 1);
	}
	extents_tables_right();
}

static void packets_of_all_copies(void)
{
	packets_of_copies(TCP, SESSION_ESTABLISHED, XDP_INSIDE, XDP_OUTSIDE);
	packets_of_copies(UDP, SESSION_UDP, XDP_INSIDE, XDP_OUTSIDE);
	packets_of_copies(TCP, SESSION_ESTABLISHED, XDP_INSIDE_SLOW, XDP_OUTSIDE_SLOW);
	packets_of_copies(UDP, SESSION_UDP, XDP_INSIDE_SLOW, XDP_OUTSIDE_SLOW);
}

Test(extents_copies, a_packet_from_inside_takes_one_over_and_an_answer_does_not)
{
	packets_of_all_copies();
}

Test(extents_copies_staged, a_packet_from_inside_takes_one_over_and_an_answer_does_not)
{
	packets_of_all_copies();
}

/* As in a session of the gateway's own, an opening is the opener's task, as the quota applies. */
static void a_copy_begins_anew(void)
{
	for (unsigned flow = 0; flow < 2; flow++) {
		struct slot *s;

		cr_assert_eq(place(TCP, SESSION_LAST_ACK_OUT, flow), COPY_PLACED);
		s = beyond(flow);
		extents_expect_answer(TCP, flow, ACK, flow ? XDP_OUTSIDE_SLOW : XDP_OUTSIDE);
		cr_assert_eq(word_state(s->truth), SESSION_TIME_WAIT);
		expect_owner(flow, PEER, TURN);
		cr_expect_eq(extents_record()->sessions, flow);
		cr_expect_eq(extents_open_nth(TCP, flow, SYN), extents_out_port(flow));
		cr_expect_eq(beyond(flow), s);
		cr_expect_eq(word_state(s->truth), SESSION_SYN_SENT);
		expect_owner(flow, 0, TURN + 1);
		cr_expect_eq(extents_record()->sessions, flow + 1);
	}
	extents_tables_right();
}

Test(extents_copies, a_connection_begins_anew_where_one_has_ended)
{
	a_copy_begins_anew();
}

Test(extents_copies_staged, a_connection_begins_anew_where_one_has_ended)
{
	a_copy_begins_anew();
}

Test(extents_copies, the_extent_grows_with_them_and_copies_stay_copies)
{
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(place(UDP, SESSION_UDP, i), COPY_PLACED, "flow %u", i);
	cr_expect_geq(extents_size(), 16);
	for (unsigned i = 0; i < 100; i++)
		expect_owner(i, PEER, TURN);
	cr_expect_eq(extents_record()->sessions, 100);
	extents_tables_right();
}

/* A flow on a port of the group after its first choice's. */
static struct extents_flow stray(uint8_t proto, unsigned flow)
{
	return (struct extents_flow){ proto, ACK, extents_port(flow), extents_ext(flow),
				      (uint16_t)(extents_out_port(flow) + 8) };
}

Test(extents_copies, one_that_has_strayed_has_a_signpost_and_is_taken_over_in_place)
{
	const struct extents_flow f = stray(TCP, 0);
	struct session_copy c = told(TCP, SESSION_ESTABLISHED, 0, 8);

	cr_assert_eq(run(&c), COPY_PLACED);
	expect_owner(0, PEER, TURN);
	extents_tables_right();
	extents_expect_answer_to(&f, XDP_OUTSIDE);
	expect_owner(0, PEER, TURN);
	extents_expect_both_ways(&f, XDP_INSIDE, XDP_OUTSIDE);
	expect_owner(0, 0, TURN + 1);
	cr_expect_eq(sessions_of(IN), 1);
	extents_tables_right();
}

/* On its own port or on another, in a slot or beyond. */
Test(extents_copies, a_session_that_has_strayed_is_found_by_what_a_peer_tells)
{
	struct session_copy c = told(UDP, SESSION_UDP, 0, 8), other = told(UDP, SESSION_UDP, 0, 0);

	cr_assert_eq(run(&c), COPY_PLACED);
	other.owner = PEER + 1;
	cr_expect_eq(run(&other), COPY_BEYOND);
	other.request = COPY_TO_SLOT;
	cr_expect_eq(run(&other), COPY_BEYOND);
	expect_owner(0, PEER, TURN);
	/* Its own gateway has it on the first choice's port by now. */
	other = told(UDP, SESSION_UDP, 0, 0);
	cr_expect_eq(run(&other), COPY_PLACED);
	cr_expect_eq(word_out_port(beyond(0)->truth), extents_out_port(0));
	cr_expect_eq(sessions_of(IN), 1);
	c.request = COPY_END;
	cr_expect_eq(run(&c), COPY_CHANGED, "it has another port");
	other.request = COPY_END;
	cr_expect_eq(run(&other), COPY_PLACED);
	cr_expect_eq(sessions_of(IN), 0);
	extents_tables_right();
}

Test(extents_copies, one_that_has_strayed_ends_by_what_its_peer_tells)
{
	struct session_copy c = told(UDP, SESSION_UDP, 0, 8);

	cr_assert_eq(run(&c), COPY_PLACED);
	c.request = COPY_END;
	cr_expect_eq(run(&c), COPY_PLACED);
	cr_expect_null(beyond(0));
	cr_expect_eq(sessions_of(IN), 0);
	cr_expect_eq(extents_record()->sessions, 0);
}

Test(extents_copies, one_that_the_outside_has_opened_says_so)
{
	struct session_copy c = told(UDP, SESSION_UDP, 1, 0);

	c.inbound = 1;
	cr_assert_eq(run(&c), COPY_PLACED);
	cr_assert_not_null(beyond(1));
	cr_expect(word_is_inbound(beyond(1)->truth));
	expect_owner(1, PEER, TURN);
	extents_tables_right();
}

/* The hash of 1.0.0 has marks for copies, and its state words have neither owners nor turns. */
Test(extents_copies, those_that_are_handed_back_are_copies_there_too)
{
	struct hand_back h = { .datapath = &datapath, .counted = -1 };
	struct former_entries list = { 0 };
	unsigned copies = 0;

	extents_open_those(UDP, 0, 12, 0);
	for (unsigned i = 12; i < 15; i++)
		cr_assert_eq(place(TCP, SESSION_ESTABLISHED, i), COPY_PLACED);
	cr_assert_eq(hand_back_read_extents(&h, &list), 0);
	cr_expect_eq(list.n, 14);
	for (size_t i = 0; i < list.n; i++) {
		const struct former_entry *e = &list.entry[i];

		if (e->key.direction != FORMER_IN2OUT)
			continue;
		cr_expect_eq(e->session.truth, state_word(word_out_port(e->session.truth), e->key.proto,
							  word_state(e->session.truth), word_seen(e->session.truth)));
		cr_expect_eq(former_mark_peer(e->session.mark, e->session.truth), e->key.proto == TCP ? PEER : 0);
		copies += e->key.proto == TCP;
	}
	cr_expect_eq(copies, 3);
	free(list.entry);
	hand_back_free_extents(&h);
	hand_back_uncount(datapath.pin_dir);
	/* Here they are what they were. */
	for (unsigned i = 12; i < 15; i++)
		expect_owner(i, PEER, TURN);
	extents_tables_right();
}

Test(extents_copies, without_an_extent_to_be_had_there_is_none)
{
	unsigned before = (unsigned)sessions_of(IN);

	datapath.pool->used = settings.extent_buckets;
	cr_assert_eq(place(UDP, SESSION_UDP, 0), COPY_NO_SLOT);
	cr_expect_null(beyond(0));
	cr_expect_eq((unsigned)sessions_of(IN), before);
	datapath.pool->used = 0;
	cr_assert_eq(place(UDP, SESSION_UDP, 0), COPY_PLACED);
	extents_tables_right();
}

Test(extents_copies, what_a_peer_tells_again_replaces_its_copy_in_place)
{
	struct session_copy c;
	struct slot *s;

	cr_assert_eq(place(TCP, SESSION_ESTABLISHED, 0), COPY_PLACED);
	s = beyond(0);
	cr_assert_eq(place(TCP, SESSION_FIN_WAIT, 0), COPY_BEYOND);
	cr_expect_eq(beyond(0), s);
	cr_expect_eq(word_state(s->truth), SESSION_FIN_WAIT);
	cr_expect_eq(word_owner(program.requests->copy[0].before), PEER, "which is answered");
	/* On another port of its group. */
	c = told(TCP, SESSION_ESTABLISHED, 0, 1);
	cr_assert_eq(run(&c), COPY_PLACED);
	cr_expect_eq(word_out_port(beyond(0)->truth), extents_out_port(0) + 1);
	cr_expect_eq(extents_record()->sessions, 1);
	extents_tables_right();
}

Test(extents_copies, only_what_it_is_told_to_take_gives_way_and_then_in_place)
{
	struct session_copy c;
	struct slot *s;

	extents_open_those(UDP, 0, 100, 0);
	s = beyond(99);
	cr_assert_not_null(s);
	c = told(UDP, SESSION_UDP, 99, 0);
	cr_expect_eq(run(&c), COPY_BEYOND);
	cr_expect_eq(word_owner(s->truth), 0);
	c.takes = 1;
	cr_expect_eq(run(&c), COPY_BEYOND);
	expect_owner(99, PEER, TURN);
	/* A third gateway. */
	c.owner = 5;
	cr_expect_eq(run(&c), COPY_BEYOND);
	expect_owner(99, PEER, TURN);
	c.takes = 1U << PEER;
	c.turn = WORD_TURN_MAX;
	cr_expect_eq(run(&c), COPY_BEYOND);
	expect_owner(99, 5, WORD_TURN_MAX);
	cr_expect_eq(beyond(99), s);
	/* More turns than the word has room for stay at that. */
	extents_expect_passes(UDP, 99, 0, XDP_INSIDE, XDP_OUTSIDE);
	expect_owner(99, 0, WORD_TURN_MAX);
	cr_expect_eq(extents_record()->sessions, 100);
	extents_tables_right();
}

Test(extents_copies, an_end_ends_that_of_its_peer_alone)
{
	struct session_copy c = told(UDP, SESSION_UDP, 0, 0);

	cr_assert_eq(run(&c), COPY_PLACED);
	c.request = COPY_END;
	c.owner = 5;
	cr_expect_eq(run(&c), COPY_CHANGED);
	expect_owner(0, PEER, TURN);
	c.owner = PEER;
	c.word = state_word((uint16_t)(extents_out_port(0) + 1), UDP, 0, 0);
	cr_expect_eq(run(&c), COPY_CHANGED, "on this port");
	c.word = state_word(extents_out_port(0), UDP, 0, 0);
	cr_expect_eq(run(&c), COPY_PLACED);
	cr_expect_null(beyond(0));
	cr_expect_eq(extents_record()->sessions, 0);
	cr_expect_eq(run(&c), COPY_CHANGED);
	/* The gateway's own session is none of a peer's. */
	extents_open_those(UDP, 0, 40, 0);
	c = told(UDP, SESSION_UDP, 39, 0);
	c.request = COPY_END;
	cr_expect_eq(run(&c), COPY_CHANGED);
	cr_expect_eq(extents_record()->sessions, 40);
	extents_tables_right();
}

/* As an opener does, a copy takes the place of one in time-wait, and of one that has expired. */
Test(extents_copies, a_port_and_a_quota_are_respected)
{
	struct session_copy c = told(UDP, SESSION_UDP, 0, 0);

	cr_assert_eq(run(&c), COPY_PLACED);
	c = told(UDP, SESSION_UDP, 0, 0);
	c.key = slot_key(EXTERNAL, extents_ext(0), extents_port(0) + PORTS);
	cr_expect_eq(run(&c), COPY_PORT);
	extents_record()->sessions += 4000;
	cr_expect_eq(place(UDP, SESSION_UDP, 1), COPY_QUOTA);
	extents_record()->sessions -= 4000;
	age_sessions(IN, 400);
	c = told(UDP, SESSION_UDP, 0, 0);
	c.key = slot_key(EXTERNAL, extents_ext(0), extents_port(0) + PORTS);
	cr_expect_eq(run(&c), COPY_PLACED);
	cr_expect_eq(extents_record()->sessions, 1);
	extents_tables_right();
}
