// SPDX-License-Identifier: BSD-2-Clause
/* TCP states by the flags of both sides: <detnat/tcp_state.h>. */
#include <criterion/criterion.h>

#include <detnat/tcp_state.h>

#define F   TCP_FIN
#define S   TCP_SYN
#define R   TCP_RST
#define A   TCP_ACK
#define P   TCP_PSH
#define IN  0x100
#define OUT 0x200

static const __u32 timeouts[N_TIMEOUTS] = { 300, 7440, 240, 60 };

static __u8 play(const int *segments, size_t n)
{
	__u8 state = tcp_first_state((__u8)segments[0]);

	for (size_t i = 1; i < n; i++)
		state = segments[i] & IN ? tcp_state_from_inside(state, (__u8)segments[i])
					 : tcp_state_from_outside(state, (__u8)segments[i]);
	return state;
}

struct story {
	const char *name;
	int segment[12];
	__u8 state;
};

#define ESTABLISH IN | S, OUT | S | A, IN | A

Test(tcp_state, stories)
{
	static const struct story stories[] = {
		{ "a SYN from inside opens", { IN | S }, SESSION_SYN_SENT },
		{ "an ACK from inside opens too", { IN | A }, SESSION_TRANSITORY },
		{ "a SYN-ACK from inside is no SYN", { IN | S | A }, SESSION_TRANSITORY },
		{ "an RST from inside opens what has been reset", { IN | R }, SESSION_TRANSITORY | SESSION_RESET },
		{ "a SYN sent again stays", { IN | S, IN | S }, SESSION_SYN_SENT },
		{ "the outside's answer alone establishes nothing", { IN | S, OUT | S | A }, SESSION_SYN_ANSWERED },
		{ "a SYN sent again after it neither", { IN | S, OUT | S | A, IN | S }, SESSION_SYN_ANSWERED },
		{ "the third segment establishes", { ESTABLISH }, SESSION_ESTABLISHED },
		{ "simultaneous open", { IN | S, OUT | S, IN | S | A }, SESSION_ESTABLISHED },
		{ "picked up in the middle, not answered", { IN | A, IN | A }, SESSION_TRANSITORY },
		{ "picked up in the middle, answered", { IN | A, OUT | A }, SESSION_TRANSITORY_ANSWERED },
		{ "picked up in the middle, established", { IN | A, OUT | A, IN | A }, SESSION_ESTABLISHED },
		{ "FIN from inside", { ESTABLISH, IN | F }, SESSION_FIN_WAIT },
		{ "FIN with ACK from inside", { ESTABLISH, IN | F | A }, SESSION_FIN_WAIT },
		{ "and its ACK from outside", { ESTABLISH, IN | F, OUT | A }, SESSION_FIN_WAIT },
		{ "and the FIN from outside", { ESTABLISH, IN | F, OUT | A, OUT | F }, SESSION_LAST_ACK_IN },
		{ "closed from inside", { ESTABLISH, IN | F, OUT | A, OUT | F, IN | A }, SESSION_TIME_WAIT },
		{ "a FIN sent again is not the last ACK",
		  { ESTABLISH, IN | F, OUT | F, IN | F | A },
		  SESSION_LAST_ACK_IN },
		{ "nor is a segment without ACK", { ESTABLISH, IN | F, OUT | F, IN | P }, SESSION_LAST_ACK_IN },
		{ "FIN from outside", { ESTABLISH, OUT | F | A }, SESSION_CLOSE_WAIT },
		{ "and data from inside", { ESTABLISH, OUT | F, IN | A, IN | A }, SESSION_CLOSE_WAIT },
		{ "and the FIN from inside", { ESTABLISH, OUT | F, IN | F }, SESSION_LAST_ACK_OUT },
		{ "closed from outside", { ESTABLISH, OUT | F, IN | A, IN | F, OUT | A }, SESSION_TIME_WAIT },
		{ "not without ACK", { ESTABLISH, OUT | F, IN | F, OUT | P }, SESSION_LAST_ACK_OUT },
		{ "both FINs at once", { ESTABLISH, IN | F | A, OUT | F | A, IN | A, OUT | A }, SESSION_TIME_WAIT },
		{ "half closed by inside before it is answered", { IN | S, IN | F }, SESSION_FIN_WAIT },
		{ "time-wait stays in spite of data",
		  { ESTABLISH, IN | F, OUT | F, IN | A, IN | A, OUT | R },
		  SESSION_TIME_WAIT },
		{ "and of an RST from inside", { ESTABLISH, IN | F, OUT | F, IN | A, IN | R }, SESSION_TIME_WAIT },
		{ "a SYN from outside does not reopen it",
		  { ESTABLISH, IN | F, OUT | F, IN | A, OUT | S },
		  SESSION_TIME_WAIT },
		{ "a SYN from inside does", { ESTABLISH, IN | F, OUT | F, IN | A, IN | S }, SESSION_SYN_SENT },
		{ "RST from outside", { ESTABLISH, OUT | R }, SESSION_ESTABLISHED | SESSION_RESET },
		{ "RST from inside", { ESTABLISH, IN | R | A }, SESSION_ESTABLISHED | SESSION_RESET },
		{ "segments from outside do not undo it",
		  { ESTABLISH, OUT | R, OUT | A },
		  SESSION_ESTABLISHED | SESSION_RESET },
		{ "one from inside does", { ESTABLISH, OUT | R, IN | A }, SESSION_ESTABLISHED },
		{ "another RST from inside does not",
		  { ESTABLISH, OUT | R, IN | R },
		  SESSION_ESTABLISHED | SESSION_RESET },
		{ "a SYN after an RST starts anew", { ESTABLISH, OUT | R, IN | S }, SESSION_SYN_SENT },
		{ "refused: RST to a SYN", { IN | S, OUT | R | A }, SESSION_SYN_SENT | SESSION_RESET },
		{ "tried again after that", { IN | S, OUT | R | A, IN | S }, SESSION_SYN_SENT },
		{ "a SYN from inside leaves an established one alone", { ESTABLISH, IN | S }, SESSION_ESTABLISHED },
		{ "a SYN after the FIN of the inside starts anew", { ESTABLISH, IN | F, IN | S }, SESSION_SYN_SENT },
		{ "a SYN-ACK does not", { ESTABLISH, IN | F, IN | S | A }, SESSION_FIN_WAIT },
		{ "a SYN after the FIN of the outside starts anew", { ESTABLISH, OUT | F, IN | S }, SESSION_SYN_SENT },
		{ "a SYN after data behind that FIN, too",
		  { ESTABLISH, OUT | F, IN | A | P, IN | S },
		  SESSION_SYN_SENT },
		{ "a SYN before the last ACK starts anew", { ESTABLISH, OUT | F, IN | F, IN | S }, SESSION_SYN_SENT },
		{ "a SYN from outside after its FIN starts nothing", { ESTABLISH, IN | F, OUT | S }, SESSION_FIN_WAIT },
		{ "the new connection is established", { ESTABLISH, OUT | F, ESTABLISH }, SESSION_ESTABLISHED },
		{ "a FIN that nobody meant: data of both sides",
		  { ESTABLISH, OUT | F, IN | A | P, OUT | A | P },
		  SESSION_ESTABLISHED },
		{ "in the other order", { ESTABLISH, OUT | F, OUT | A | P, IN | A | P }, SESSION_ESTABLISHED },
		{ "data of the inside alone", { ESTABLISH, OUT | F, IN | A | P, IN | A | P }, SESSION_CLOSE_WAIT_IN },
		{ "data of the outside alone", { ESTABLISH, OUT | F, OUT | A | P, OUT | P }, SESSION_CLOSE_WAIT_OUT },
		{ "acknowledgements of the inside are no data",
		  { ESTABLISH, OUT | F, OUT | A | P, IN | A },
		  SESSION_CLOSE_WAIT_OUT },
		{ "acknowledgements of the outside are no data",
		  { ESTABLISH, OUT | F, IN | A | P, OUT | A },
		  SESSION_CLOSE_WAIT_IN },
		{ "another FIN takes data before it back",
		  { ESTABLISH, OUT | F, IN | A | P, OUT | F | P, OUT | A },
		  SESSION_CLOSE_WAIT },
		{ "closed after data of the inside",
		  { ESTABLISH, OUT | F, IN | A | P, IN | F | A, OUT | A },
		  SESSION_TIME_WAIT },
		{ "closed after data of the outside came late",
		  { ESTABLISH, OUT | F, OUT | A | P, IN | F | A, OUT | A },
		  SESSION_TIME_WAIT },
		{ "a FIN before the answer, forged: the handshake goes on",
		  { IN | S, OUT | F, OUT | S | A, IN | A | P },
		  SESSION_ESTABLISHED },
		{ "an RST after data behind a FIN",
		  { ESTABLISH, OUT | F, IN | A | P, OUT | R },
		  SESSION_CLOSE_WAIT_IN | SESSION_RESET },
	};

	for (size_t i = 0; i < sizeof(stories) / sizeof(*stories); i++) {
		const struct story *s = &stories[i];
		size_t n = 0;

		while (n < 12 && s->segment[n])
			n++;

		__u8 state = play(s->segment, n);

		cr_expect_eq(state, s->state, "%s: %#x, not %#x", s->name, state, s->state);
	}
}

Test(tcp_state, only_data_and_acknowledgements_leave_a_connection_as_it_is)
{
	for (unsigned flags = 0; flags < 64; flags++) {
		cr_expect_eq(tcp_goes_on(SESSION_ESTABLISHED, (__u8)flags), !(flags & (S | F | R)), "flags %#x", flags);
		cr_expect_eq(tcp_goes_on(SESSION_FIN_WAIT, (__u8)flags), 0, "flags %#x", flags);
	}
}

static __u64 step(__u8 state, __u32 seen, __u8 proto, __u8 flags, int from_inside, __u32 now)
{
	return session_step(state_word(2000, proto, state, seen), proto, flags, from_inside, now, timeouts);
}

Test(tcp_state, packets_from_inside_refresh)
{
	cr_expect_eq(word_seen(step(SESSION_UDP, 100, 17, 0, 1, 250)), 250);
	cr_expect_eq(word_seen(step(SESSION_ICMP, 100, 1, 0, 1, 150)), 150);
	cr_expect_eq(word_seen(step(SESSION_ESTABLISHED, 100, 6, A, 1, 250)), 250);
	cr_expect_eq(word_seen(step(SESSION_CLOSE_WAIT, 100, 6, A, 1, 250)), 250);
}

Test(tcp_state, packets_from_outside_do_not)
{
	cr_expect_eq(word_seen(step(SESSION_UDP, 100, 17, 0, 0, 250)), 100);
	cr_expect_eq(word_seen(step(SESSION_ICMP, 100, 1, 0, 0, 150)), 100);
	cr_expect_eq(word_seen(step(SESSION_ESTABLISHED, 100, 6, A, 0, 250)), 100);
	cr_expect_eq(word_seen(step(SESSION_SYN_SENT, 100, 6, S | A, 0, 250)), 100);
}

Test(tcp_state, time_wait_and_reset_are_not_prolonged)
{
	cr_expect_eq(word_seen(step(SESSION_TIME_WAIT, 100, 6, A, 1, 250)), 100);
	cr_expect_eq(word_seen(step(SESSION_ESTABLISHED | SESSION_RESET, 100, 6, R, 1, 250)), 100);
	cr_expect_eq(word_seen(step(SESSION_ESTABLISHED | SESSION_RESET, 100, 6, A, 1, 250)), 250);
}

/* A session idle for an hour must not be cut by one RST or FIN from outside, nor be prolonged by it. */
Test(tcp_state, shorter_timeout_starts_when_the_outside_cut_it)
{
	for (int fin = 0; fin < 2; fin++) {
		__u64 after = step(SESSION_ESTABLISHED, 100, 6, fin ? F : R, 0, 100 + 3600);

		cr_expect_eq(word_seen(after), 3700);
		cr_expect(!word_expired(after, 3700 + 240, timeouts));
		cr_expect(word_expired(after, 3700 + 241, timeouts));

		after = step(SESSION_ESTABLISHED, 100, 6, fin ? F : R, 0, 100 + 7400);
		cr_expect(!word_expired(after, 100 + 7440, timeouts));
		cr_expect(word_expired(after, 100 + 7441, timeouts), "no longer than without it");
	}
}

/* Data from outside that shows a FIN to be forged does not lengthen a life, either; the next word of the inside does.
 */
Test(tcp_state, a_connection_that_comes_back_ends_when_it_would_have)
{
	__u64 after = step(SESSION_CLOSE_WAIT_IN, 1000, 6, A | P, 0, 1100);

	cr_expect_eq(word_state(after), SESSION_ESTABLISHED);
	cr_expect(!word_expired(after, 1240, timeouts));
	cr_expect(word_expired(after, 1241, timeouts));
	after = session_step(after, 6, A, 1, 1200, timeouts);
	cr_expect(!word_expired(after, 1200 + 7440, timeouts));
	after = step(SESSION_CLOSE_WAIT_OUT, 1000, 6, A | P, 1, 1100);
	cr_expect_eq(word_state(after), SESSION_ESTABLISHED);
	cr_expect_eq(word_seen(after), 1100);
}

Test(session, age_is_signed)
{
	__u64 truth = state_word(2000, 17, SESSION_UDP, 1001);

	cr_expect(!word_expired(truth, 1000, timeouts), "a stamp one tick ahead is not an age of 2^32");
	truth = state_word(2000, 17, SESSION_UDP, 0xfffffff0);
	cr_expect(!word_expired(truth, 0x10, timeouts), "the clock may wrap");
	cr_expect(word_expired(truth, 0x10 + 300, timeouts));
}

Test(tcp_state, pushed_data_changes_only_what_waits_for_the_close)
{
	for (__u8 state = SESSION_SYN_SENT; state < SESSION_SYN_RECEIVED; state++) {
		if (tcp_is_close_wait(state))
			continue;
		cr_expect_eq(tcp_state_from_inside(state, P | A), tcp_state_from_inside(state, A), "state %u", state);
		cr_expect_eq(tcp_state_from_outside(state, P | A), tcp_state_from_outside(state, A), "state %u", state);
	}
}

/* By a FIN from outside, so many ticks after the inside has last sent. */
static __u32 seen_after_fin(__u32 ticks)
{
	return word_seen(
		session_step(state_word(2000, 6, SESSION_ESTABLISHED, 1000), 6, F | A, 0, 1000 + ticks, timeouts));
}

Test(tcp_state, a_close_from_outside_never_prolongs_a_connection)
{
	cr_expect_eq(seen_after_fin(7199), 1000 + 7199);
	cr_expect_eq(seen_after_fin(7200), 1000 + 7200);
	cr_expect_eq(seen_after_fin(7201), 1000 + 7200);
	cr_expect_eq(seen_after_fin(7202), 1000 + 7200);
}
