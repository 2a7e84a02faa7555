// SPDX-License-Identifier: BSD-2-Clause
/*
 * States and timers of IPv6 subscribers' sessions (RFC 6146 sections 3.5.1 to 3.5.3 and 4), packet by packet: those of
 * IPv4 ones, though the words of their sessions have fewer bits for the time.
 */
#include <string.h>

#include <criterion/criterion.h>

#include <detnat/unsolicited.h>

#include "datapath/held.h"
#include "prefix_fixture.h"
#include "unsolicited_fixture.h"

static void set_up_states(void)
{
	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	set_up_six();
}

TestSuite(six_states, .init = set_up_states, .fini = tear_down);

#define N	  5
#define HOST_ONE  HOST_OF(N, 0, 1)
#define HOST_NEXT HOST_OF(N, 0, 2)
#define PORT	  4000
#define SERVER	  443

#define MAX_STEPS 12

/*
 * A step: 'i' a packet from inside and 'o' one from outside that get through, 'x' one from outside that must not, 't'
 * seconds that pass. What is not named afterwards is not looked at.
 */
struct step {
	char kind;
	unsigned value; /* flags, or seconds */
	const char *state;
	unsigned expires;
};

struct story {
	const char *name;
	uint8_t proto; /* IPv6's number */
	struct step step[MAX_STEPS];
};

static void packet(const struct story *story, int number, const struct step *step)
{
	const uint16_t dport = story->proto == ICMP6 ? 0 : SERVER;
	struct frame6 sent = six_out(HOST_ONE, story->proto, PORT, dport, (uint8_t)step->value);
	struct frame back = six_out_translated(&sent, OUT_PORT6(PORT, N));
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	uint64_t strangers = counted(REASON_drop_no_session);
	size_t size, got;
	int verdict;

	back = six_answer(&back);
	back.flags = (uint8_t)step->value;
	size = step->kind == 'i' ? frame6_build(&sent, in) : frame_build(&back, in);
	verdict = run_frame(step->kind == 'i' ? XDP_INSIDE : XDP_OUTSIDE, in, size, out, &got);
	/* A segment of no session may be answered with a reset. */
	if (step->kind == 'x')
		cr_expect_eq(counted(REASON_drop_no_session), strangers + 1, "%s: step %d", story->name, number);
	else
		cr_expect_eq(verdict, REDIRECT_XDP, "%s: step %d: verdict %d", story->name, number, verdict);
}

static void play(const struct story *story)
{
	for (int i = 0; i < MAX_STEPS && story->step[i].kind; i++) {
		const struct step *step = &story->step[i];
		struct session s;

		if (step->kind == 't')
			age_6(N, step->value);
		else
			packet(story, i, step);
		if (!step->state)
			continue;
		s = only_session(VIRTUAL + N);
		cr_expect_str_eq(session_state_name(s.state), step->state, "%s: step %d: %s", story->name, i,
				 session_state_name(s.state));
		cr_expect(s.expires + 2 >= step->expires && s.expires <= step->expires + 1,
			  "%s: step %d: %u seconds left", story->name, i, s.expires);
	}
	/* The next story begins with nothing. */
	sessions_close_in(mappings, 0, (struct endpoint){ .addr = VIRTUAL + N, .port = PORT },
			  (struct endpoint){ .addr = EXTERNAL, .port = story->proto == ICMP6 ? 0 : SERVER },
			  story->proto == ICMP6 ? ICMP : story->proto);
}

static void play_all(const struct story *stories, size_t n)
{
	for (size_t i = 0; i < n; i++)
		play(&stories[i]);
}

#define PLAY_ALL(stories) play_all(stories, sizeof(stories) / sizeof(*(stories)))

#define F 0x01

#define ESTABLISH                                                             \
	{ 'i', S, "tcp-syn-sent", 240 }, { 'o', S | A, "tcp-syn-sent", 240 }, \
	{                                                                     \
		'i', A, "tcp-established", 7440                               \
	}

/* RFC 6146 section 3.5.1: UDP_DEFAULT, 5 minutes; section 3.5.3: ICMP_DEFAULT, 60 s. */
Test(six_states, udp_and_echo_last_as_long_as_they_must)
{
	static const struct story stories[] = {
		{ "UDP: 5 minutes",
		  UDP,
		  { { 'i', 0, "udp-active", 300 }, { 't', 295 }, { 'o' }, { 't', 7 }, { 'x' } } },
		{ "the inside refreshes",
		  UDP,
		  { { 'i' }, { 't', 200, "udp-active", 100 }, { 'i', 0, "udp-active", 300 }, { 't', 295 }, { 'o' } } },
		{ "the outside does not", UDP, { { 'i' }, { 't', 200 }, { 'o', 0, "udp-active", 100 } } },
		{ "echo: 60 seconds",
		  ICMP6,
		  { { 'i', 0, "icmp-active", 60 }, { 't', 55 }, { 'o' }, { 't', 7 }, { 'x' } } },
	};

	PLAY_ALL(stories);
}

/* V6 INIT, V4 INIT of a simultaneous open, ESTABLISHED. */
Test(six_states, tcp_opens_in_every_valid_order)
{
	static const struct story stories[] = {
		{ "three segments", TCP, { ESTABLISH, { 'o', A, "tcp-established", 7440 } } },
		{ "the SYN sent again",
		  TCP,
		  { { 'i', S, "tcp-syn-sent", 240 },
		    { 't', 100, "tcp-syn-sent", 140 },
		    { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S | A },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "both at once",
		  TCP,
		  { { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S, "tcp-syn-sent", 240 },
		    { 'i', S | A, "tcp-established", 7440 },
		    { 'o', S | A, "tcp-established", 7440 } } },
		{ "half open: 4 minutes",
		  TCP,
		  { { 'i', S }, { 't', 235 }, { 'o', S | A }, { 't', 7 }, { 'x', S | A } } },
	};

	PLAY_ALL(stories);
}

Test(six_states, established_lasts_2_hours_4_minutes)
{
	static const struct story stories[] = {
		{ "without a word",
		  TCP,
		  { ESTABLISH, { 't', 7430 }, { 'o', A, "tcp-established", 10 }, { 't', 12 }, { 'x', A } } },
		{ "the inside refreshes",
		  TCP,
		  { ESTABLISH, { 't', 7000 }, { 'i', A, "tcp-established", 7440 }, { 't', 7430 }, { 'o', A } } },
	};

	PLAY_ALL(stories);
}

/* V4 FIN RCV, V6 FIN RCV, V4 FIN + V6 FIN. */
Test(six_states, tcp_closes_in_every_valid_order)
{
	static const struct story stories[] = {
		{ "the inside first",
		  TCP,
		  { ESTABLISH,
		    { 'i', F | A, "tcp-fin-wait", 240 },
		    { 'o', A | P, "tcp-fin-wait", 240 },
		    { 'o', F | A, "tcp-last-ack", 240 },
		    { 'i', A, "tcp-time-wait", 240 },
		    { 't', 242 },
		    { 'x', A } } },
		{ "the outside first",
		  TCP,
		  { ESTABLISH,
		    { 'o', F | A, "tcp-close-wait", 240 },
		    { 'i', A | P, "tcp-close-wait", 240 },
		    { 'i', F | A, "tcp-last-ack", 240 },
		    { 'o', A, "tcp-time-wait", 240 } } },
		{ "one that never closes its side", TCP, { ESTABLISH, { 'i', F | A }, { 't', 242 }, { 'x', F | A } } },
	};

	PLAY_ALL(stories);
}

/* TRANS: a reset may be forged, so data of the inside within 4 minutes goes on. */
Test(six_states, a_reset_waits_before_it_counts)
{
	static const struct story stories[] = {
		{ "forged",
		  TCP,
		  { ESTABLISH,
		    { 'o', R, "tcp-reset", 240 },
		    { 't', 200, "tcp-reset", 40 },
		    { 'i', A | P, "tcp-established", 7440 } } },
		{ "real", TCP, { ESTABLISH, { 'o', R }, { 't', 242 }, { 'x', A } } },
		{ "of the inside", TCP, { ESTABLISH, { 'i', R | A, "tcp-reset", 240 }, { 't', 242 }, { 'x', A } } },
	};

	PLAY_ALL(stories);
}

static bool held(uint16_t out_port)
{
	struct session_question q = {
		.ext_addr = EXTERNAL, .out_addr = POOL6 + N / 64, .ext_port = SERVER, .out_port = out_port, .proto = TCP
	};

	return datapath_session_held(&datapath, &q);
}

/* V4 INIT: a SYN from outside waits TCP_INCOMING_SYN, 6 s, with the agent, which asks whether a session has met it. */
Test(six_states, a_syn_from_outside_waits_for_the_subscribers_own)
{
	const struct frame syn = { .from = ROUTER,
				   .to = GATEWAY_OUT,
				   .src = EXTERNAL,
				   .dst = POOL6,
				   .proto = TCP,
				   .sport = SERVER,
				   .dport = OUT_PORT6(PORT, N),
				   .flags = S };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&syn, in), got;
	struct taken t;
	int one, next;

	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &got), DROP_XDP);
	cr_assert_eq(handed_over(&t), 1);
	cr_expect_arr_eq(t.last.packet, in + 14, t.last.length);
	cr_expect_eq(t.last.of.out_port, OUT_PORT6(PORT, N));
	cr_expect_not(held(OUT_PORT6(PORT, N)));
	/* Of each host, as the number of its line is in the words of its sessions. */
	one = open_6(HOST_ONE, TCP, PORT, SERVER, S);
	next = open_6(HOST_NEXT, TCP, PORT, SERVER, S);
	cr_assert(one >= 0 && next >= 0 && one != next);
	cr_expect(held((uint16_t)one));
	cr_expect(held((uint16_t)next));
	age_6(N, 241);
	cr_expect_not(held((uint16_t)one), "it has expired");
	cr_expect_not(held((uint16_t)next), "this one, too");
}
