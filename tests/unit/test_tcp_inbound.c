// SPDX-License-Identifier: BSD-2-Clause
/* Connections that the outside opens, segment by segment: <detnat/tcp_inbound.h>. */
#include <criterion/criterion.h>

#include <detnat/tcp_inbound.h>

static const __u32 timeouts[N_TIMEOUTS] = { 300, 7440, 240, 60 };

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { OUTSIDE, INSIDE };

#define RECEIVED SESSION_SYN_RECEIVED
#define ANSWERED SESSION_SYN_RECEIVED_ANSWERED
#define RESET	 SESSION_RESET

static const struct {
	__u8 state, flags;
	int side;
	__u8 next;
} rows[] = {
	{ RECEIVED, SYN | ACK, INSIDE, ANSWERED },
	{ RECEIVED, SYN, INSIDE, SESSION_SYN_ANSWERED },
	{ RECEIVED, ACK, INSIDE, RECEIVED },
	{ RECEIVED, FIN | ACK, INSIDE, SESSION_FIN_WAIT },
	{ RECEIVED, RST | ACK, INSIDE, RECEIVED | RESET },
	{ RECEIVED | RESET, ACK, INSIDE, RECEIVED },
	{ RECEIVED | RESET, RST, INSIDE, RECEIVED | RESET },
	{ RECEIVED | RESET, SYN | ACK, INSIDE, ANSWERED },
	{ ANSWERED, SYN | ACK, INSIDE, ANSWERED },
	{ ANSWERED, ACK, INSIDE, ANSWERED },
	{ ANSWERED, RST, INSIDE, ANSWERED | RESET },
	{ RECEIVED, SYN, OUTSIDE, RECEIVED },
	{ RECEIVED, ACK, OUTSIDE, RECEIVED },
	{ RECEIVED, RST, OUTSIDE, RECEIVED | RESET },
	{ RECEIVED | RESET, ACK, OUTSIDE, RECEIVED | RESET },
	{ ANSWERED, ACK, OUTSIDE, SESSION_ESTABLISHED },
	{ ANSWERED, PSH | ACK, OUTSIDE, SESSION_ESTABLISHED },
	{ ANSWERED, FIN | ACK, OUTSIDE, SESSION_CLOSE_WAIT },
	{ ANSWERED, SYN | ACK, OUTSIDE, ANSWERED },
	{ ANSWERED, PSH, OUTSIDE, ANSWERED },
	{ ANSWERED, RST | ACK, OUTSIDE, ANSWERED | RESET },
	{ ANSWERED | RESET, ACK, OUTSIDE, ANSWERED | RESET },
};

/* The inside refreshes it, but for a repeated RST; the outside does not, and what it establishes ends no sooner. */
Test(tcp_inbound, each_segment_leads_to_a_state_and_an_age)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		__u64 word = state_word(1024, 6, rows[i].state, 9000);
		int repeated = rows[i].state & RESET && rows[i].next & RESET;
		__u32 seen = rows[i].side == INSIDE && !repeated ? 9100 : 9000;

		if (rows[i].next == SESSION_ESTABLISHED)
			seen -= 7440 - 240;
		word = tcp_inbound_step(word, rows[i].flags, rows[i].side, 9100, timeouts);
		cr_expect_eq(word, state_word(1024, 6, rows[i].next, seen), "row %u: state %u, seen %u", i,
			     word_state(word), word_seen(word));
	}
}

Test(tcp_inbound, two_states_are_of_the_handshake)
{
	for (unsigned state = 0; state < 64; state++) {
		int is = state == RECEIVED || state == ANSWERED;

		cr_expect_eq(tcp_is_inbound((__u8)state), is, "state %u", state);
		cr_expect_eq(tcp_is_inbound((__u8)(state | RESET)), is, "state %u with RST", state);
	}
}
