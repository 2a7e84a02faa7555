// SPDX-License-Identifier: BSD-2-Clause
/*
 * States and timers of sessions (RFC 5382 section 5, RFC 7857 section 2; RFC 4787 section 4.3, RFC 5508 section 3.2),
 * segment by segment through the programs, on the fast path and on the slow one.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"

TestSuite(tcp, .init = set_up, .fini = tear_down);
TestSuite(udp, .init = set_up, .fini = tear_down);
TestSuite(echo, .init = set_up, .fini = tear_down);

#define F 0x01
#define S 0x02
#define R 0x04
#define P 0x08
#define A 0x10

#define MAX_STEPS 16

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
	struct step step[MAX_STEPS];
};

#define ESTABLISH                                                             \
	{ 'i', S, "tcp-syn-sent", 240 }, { 'o', S | A, "tcp-syn-sent", 240 }, \
	{                                                                     \
		'i', A, "tcp-established", 7440                               \
	}
#define CLOSE                                                                                \
	ESTABLISH, { 'i', F | A, "tcp-fin-wait", 240 }, { 'o', F | A, "tcp-last-ack", 240 }, \
	{                                                                                    \
		'i', A, "tcp-time-wait", 240                                                 \
	}

static struct session session_now(void)
{
	return only_session(SUBSCRIBER);
}

static void packet(const struct story *story, int number, uint8_t proto, int slow, uint16_t port)
{
	const struct step *step = &story->step[number];
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame inside = { .from = HOST,
				.to = GATEWAY_IN,
				.src = SUBSCRIBER,
				.dst = EXTERNAL,
				proto,
				port,
				80,
				.flags = (uint8_t)step->value,
				.payload = 20 };
	struct frame outside = { .from = ROUTER,
				 .to = GATEWAY_OUT,
				 .src = EXTERNAL,
				 .dst = POOL,
				 proto,
				 80,
				 OUT_PORT(port, 2),
				 .flags = (uint8_t)step->value,
				 .payload = 20 };
	enum hook hook = step->kind == 'i' ? slow ? XDP_INSIDE_SLOW : XDP_INSIDE
			 : slow		   ? XDP_OUTSIDE_SLOW
					   : XDP_OUTSIDE;
	uint64_t strangers = counted(REASON_drop_no_session);
	size_t size, out_size;
	int verdict;

	if (proto == ICMP)
		outside.icmp_type = ECHO_REPLY_TYPE;
	size = frame_build(step->kind == 'i' ? &inside : &outside, in);
	verdict = run_frame(hook, in, size, out, &out_size);
	cr_expect_eq(verdict, step->kind == 'x' ? DROP_XDP : REDIRECT_XDP, "%s: step %d on the %s path: verdict %d",
		     story->name, number, slow ? "slow" : "fast", verdict);
	cr_expect_eq(counted(REASON_drop_no_session) - strangers, step->kind == 'x', "%s: step %d", story->name,
		     number);
}

static void play(const struct story *story, uint8_t proto, int slow, uint16_t port)
{
	for (int i = 0; i < MAX_STEPS && story->step[i].kind; i++) {
		const struct step *step = &story->step[i];

		if (step->kind == 't')
			age_sessions(SUBSCRIBER, step->value);
		else
			packet(story, i, proto, slow, port);
		if (!step->state)
			continue;

		struct session s = session_now();

		cr_expect_str_eq(session_state_name(s.state), step->state, "%s: step %d on the %s path: %s",
				 story->name, i, slow ? "slow" : "fast", session_state_name(s.state));
		cr_expect(s.expires + 2 >= step->expires && s.expires <= step->expires + 1,
			  "%s: step %d on the %s path: %u seconds left", story->name, i, slow ? "slow" : "fast",
			  s.expires);
	}
	/* The next story begins with nothing. */
	sessions_close_in(mappings, 0, (struct endpoint){ .addr = SUBSCRIBER, .port = port },
			  (struct endpoint){ .addr = EXTERNAL, .port = proto == ICMP ? 0 : 80 }, proto);
}

static void play_all(const struct story *stories, size_t n, uint8_t proto)
{
	for (size_t i = 0; i < n; i++)
		for (int slow = 0; slow < 2; slow++)
			play(&stories[i], proto, slow, 6303);
}

#define PLAY_ALL(stories, proto) play_all(stories, sizeof(stories) / sizeof(*(stories)), proto)

Test(tcp, connections_open_in_every_valid_order)
{
	static const struct story stories[] = {
		{ "three segments", { ESTABLISH, { 'o', A, "tcp-established", 7440 } } },
		{ "the SYN sent again, before and after the answer",
		  { { 'i', S, "tcp-syn-sent", 240 },
		    { 't', 100, "tcp-syn-sent", 140 },
		    { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S | A, "tcp-syn-sent", 240 },
		    { 't', 100, "tcp-syn-sent", 140 },
		    { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S | A, "tcp-syn-sent", 240 },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "both at once",
		  { { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S, "tcp-syn-sent", 240 },
		    { 'i', S | A, "tcp-established", 7440 },
		    { 'o', S | A, "tcp-established", 7440 },
		    { 'o', A, "tcp-established", 7440 } } },
		{ "in the middle of a connection",
		  { { 'i', A | P, "tcp-transitory", 240 },
		    { 'o', A, "tcp-transitory", 240 },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "refused, and tried again",
		  { { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', R | A, "tcp-reset", 240 },
		    { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S | A, "tcp-syn-sent", 240 },
		    { 'i', A, "tcp-established", 7440 } } },
	};

	PLAY_ALL(stories, TCP);
}

Test(tcp, states_last_as_long_as_they_must)
{
	static const struct story stories[] = {
		{ "established: 2 hours 4 minutes",
		  { ESTABLISH, { 't', 7430 }, { 'o', A, "tcp-established", 10 }, { 't', 12 }, { 'x', A } } },
		{ "refreshed by the inside alone",
		  { ESTABLISH,
		    { 't', 7000, "tcp-established", 440 },
		    { 'o', A | P, "tcp-established", 440 },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "half open: 4 minutes",
		  { { 'i', S }, { 't', 235 }, { 'o', S | A, "tcp-syn-sent", 5 }, { 't', 7 }, { 'x', S | A } } },
		{ "closing: 4 minutes after the last word of the inside",
		  { ESTABLISH,
		    { 'i', F | A },
		    { 't', 235 },
		    { 'o', A, "tcp-fin-wait", 5 },
		    { 't', 7 },
		    { 'x', F | A } } },
		{ "closing: 4 minutes after the FIN of the outside",
		  { ESTABLISH, { 't', 1000 }, { 'o', F | A, "tcp-close-wait", 240 }, { 't', 242 }, { 'x', A } } },
		{ "a FIN from outside lengthens nothing",
		  { ESTABLISH, { 't', 7400 }, { 'o', F | A, "tcp-close-wait", 40 } } },
		{ "time-wait: 4 minutes, whatever comes",
		  { CLOSE,
		    { 't', 200 },
		    { 'i', A, "tcp-time-wait", 40 },
		    { 'o', A, "tcp-time-wait", 40 },
		    { 't', 42 },
		    { 'x', A } } },
	};

	PLAY_ALL(stories, TCP);
}

Test(tcp, a_reset_waits_before_it_counts)
{
	static const struct story stories[] = {
		{ "blind, from outside: data of the inside revives the connection",
		  { ESTABLISH,
		    { 'o', R, "tcp-reset", 240 },
		    { 't', 200, "tcp-reset", 40 },
		    { 'o', A | P, "tcp-reset", 40 },
		    { 'i', A | P, "tcp-established", 7440 },
		    { 'o', A, "tcp-established", 7440 } } },
		{ "real, from outside: gone after 4 minutes", { ESTABLISH, { 'o', R }, { 't', 242 }, { 'x', A } } },
		{ "from inside: the same", { ESTABLISH, { 'i', R | A, "tcp-reset", 240 }, { 't', 242 }, { 'x', A } } },
		{ "another one does not begin the time anew",
		  { ESTABLISH,
		    { 'o', R, "tcp-reset", 240 },
		    { 't', 100 },
		    { 'o', R, "tcp-reset", 140 },
		    { 'i', R, "tcp-reset", 140 } } },
		{ "a new connection at once", { ESTABLISH, { 'o', R }, { 'i', S, "tcp-syn-sent", 240 } } },
		{ "of a closing connection",
		  { ESTABLISH, { 'i', F | A }, { 'o', R, "tcp-reset", 240 }, { 'i', F | A, "tcp-fin-wait", 240 } } },
	};

	PLAY_ALL(stories, TCP);
}

Test(tcp, connections_close_and_open_again)
{
	static const struct story stories[] = {
		{ "data after the FIN of the other side",
		  { ESTABLISH,
		    { 'o', F | A, "tcp-close-wait", 240 },
		    { 'i', A | P, "tcp-close-wait", 240 },
		    { 't', 200, "tcp-close-wait", 40 },
		    { 'i', A | P, "tcp-close-wait", 240 },
		    { 'o', A, "tcp-close-wait", 240 },
		    { 'i', F | A, "tcp-last-ack", 240 },
		    { 'o', A, "tcp-time-wait", 240 } } },
		{ "a FIN from outside that was forged: data of both sides",
		  { ESTABLISH,
		    { 'o', F | A, "tcp-close-wait", 240 },
		    { 'i', A | P, "tcp-close-wait", 240 },
		    { 't', 100, "tcp-close-wait", 140 },
		    { 'o', A | P, "tcp-established", 140 },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "half closed by the outside, and a SYN comes",
		  { ESTABLISH,
		    { 'o', F | A, "tcp-close-wait", 240 },
		    { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S | A, "tcp-syn-sent", 240 },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "half closed by the inside, and a SYN comes",
		  { ESTABLISH,
		    { 'i', F | A, "tcp-fin-wait", 240 },
		    { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S | A, "tcp-syn-sent", 240 },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "both at once",
		  { ESTABLISH,
		    { 'i', F | A, "tcp-fin-wait", 240 },
		    { 'o', F | A, "tcp-last-ack", 240 },
		    { 'o', A, "tcp-last-ack", 240 },
		    { 'i', A, "tcp-time-wait", 240 } } },
		{ "opened again from inside, on its tuple",
		  { CLOSE,
		    { 'i', S, "tcp-syn-sent", 240 },
		    { 'o', S | A, "tcp-syn-sent", 240 },
		    { 'i', A, "tcp-established", 7440 } } },
		{ "not from outside", { CLOSE, { 'o', S, "tcp-time-wait", 240 } } },
		{ "the last ACK is lost, and a SYN comes",
		  { ESTABLISH, { 'i', F | A }, { 'o', F | A, "tcp-last-ack", 240 }, { 'i', S, "tcp-syn-sent", 240 } } },
	};

	PLAY_ALL(stories, TCP);
}

Test(tcp, segments_from_outside_open_nothing)
{
	static const struct story stories[] = {
		{ "SYN", { { 'x', S } } }, { "SYN and ACK", { { 'x', S | A } } },
		{ "ACK", { { 'x', A } } }, { "FIN", { { 'x', F | A } } },
		{ "RST", { { 'x', R } } }, { "nothing", { { 'x', 0 } } },
	};

	PLAY_ALL(stories, TCP);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 0, "in silence");
}

Test(udp, sessions_are_refreshed_by_the_inside_alone)
{
	static const struct story stories[] = {
		{ "five minutes",
		  { { 'i', 0, "udp-active", 300 },
		    { 't', 290, "udp-active", 10 },
		    { 'o', 0, "udp-active", 10 },
		    { 'i', 0, "udp-active", 300 },
		    { 't', 302 },
		    { 'x', 0 },
		    { 'i', 0, "udp-active", 300 },
		    { 'o', 0, "udp-active", 300 } } },
	};

	PLAY_ALL(stories, UDP);
}

Test(echo, an_answer_to_an_expired_query_is_dropped)
{
	static const struct story stories[] = {
		{ "a minute",
		  { { 'i', 0, "icmp-active", 60 },
		    { 't', 50 },
		    { 'o', 0, "icmp-active", 10 },
		    { 'i', 0, "icmp-active", 60 },
		    { 't', 62 },
		    { 'x', 0 } } },
	};

	PLAY_ALL(stories, ICMP);
}

/* Lengths that do not fit each other: by the UDP header or by the IP header. */
Test(udp, lengths_that_contradict_each_other)
{
	static const struct {
		unsigned udp_length;
		int verdict;
	} rows[] = { { 0, DROP_XDP },	   { 7, DROP_XDP },  { 8, REDIRECT_XDP }, { 20, REDIRECT_XDP },
		     { 28, REDIRECT_XDP }, { 29, DROP_XDP }, { 65535, DROP_XDP } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (int slow = 0; slow < 2; slow++) {
			uint8_t in[FRAME_MAX], out[FRAME_MAX];
			struct frame f = { .from = HOST,
					   .to = GATEWAY_IN,
					   .src = SUBSCRIBER,
					   .dst = EXTERNAL,
					   UDP,
					   6304,
					   53,
					   .payload = 20 };
			size_t size = frame_build(&f, in), out_size;
			int verdict;

			in[38] = (uint8_t)(rows[i].udp_length >> 8);
			in[39] = (uint8_t)rows[i].udp_length;
			verdict = run_frame(slow ? XDP_INSIDE_SLOW : XDP_INSIDE, in, size, out, &out_size);
			cr_expect_eq(verdict, rows[i].verdict, "UDP length %u: verdict %d", rows[i].udp_length,
				     verdict);
			cr_expect(verdict == DROP_XDP || !memcmp(in + 38, out + 38, 2), "the length is kept");
		}
	}
}

/* As after a session's end, while another core still writes that it has seen a packet of it. */
Test(tcp, a_syn_opens_a_session_in_a_free_slot_that_a_late_refresh_was_written_to)
{
	struct bucket *b = mappings_buckets(mappings, 0, SUBSCRIBER - mappings_get(mappings, 0)->geo.in_base);
	struct slot *slot = b->slot;

	next_tick();
	cr_assert_eq(open_flow(TCP, 5000, 80, S), OUT_PORT(5000, 2));
	while (!word_is_live(slot->truth))
		slot++;
	slot->truth = datapath_ticks(&datapath);
	mappings_subscriber(mappings, 0, SUBSCRIBER - mappings_get(mappings, 0)->geo.in_base)->sessions--;
	cr_expect_eq(open_flow(TCP, 5000, 80, S), OUT_PORT(5000, 2));
	cr_expect_eq(word_state(slot->truth), SESSION_SYN_SENT);
	cr_expect_eq(counted(REASON_sessions_opened), 2);
}
