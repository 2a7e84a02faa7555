/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP states of a session, driven by the flags that each side sends (RFC 5382 section 5, RFC 7857 section 2).
 *
 * Pure functions: state and flags in, state out. States are enum session_state, plus SESSION_RESET if an RST was the
 * last event. The functions decide only the state; timestamps and counts are up to the caller, see session_step().
 */
#ifndef DETNAT_TCP_STATE_H
#define DETNAT_TCP_STATE_H

#include "session.h"

#define TCP_FIN 0x01U
#define TCP_SYN 0x02U
#define TCP_RST 0x04U
/* Hosts set it in the last segment of an application's write; here it is the sign of new data. */
#define TCP_PSH 0x08U
#define TCP_ACK 0x10U

/* Initial state of a session opened by this segment from inside. */
static __always_inline __u8 tcp_first_state(__u8 flags)
{
	if (flags & TCP_RST)
		return SESSION_TRANSITORY | SESSION_RESET;
	return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN ? SESSION_SYN_SENT : SESSION_TRANSITORY;
}

/*
 * Returns 1 if a segment from inside starts a new connection on the tuple of one in this state (RFC 5382 REQ-5). A SYN
 * does once an RST, or a FIN of either side, was seen: only a host that has forgotten the old connection sends one.
 * Before that it may be a retransmitted SYN; and in an established connection the outside answers it (RFC 5961 section
 * 4), so that the host that has forgotten the connection sends an RST.
 */
static __always_inline int tcp_reopens(__u8 state, __u8 flags)
{
	return (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	       (state & SESSION_RESET || state >= SESSION_FIN_WAIT);
}

/* Returns 1 for a segment that leaves the connection established, as nearly all do. */
static __always_inline int tcp_goes_on(__u8 state, __u8 flags)
{
	return state == SESSION_ESTABLISHED && !(flags & (TCP_SYN | TCP_FIN | TCP_RST));
}

/* Returns 1 if only the outside's FIN was seen. */
static __always_inline int tcp_is_close_wait(__u8 state)
{
	return state == SESSION_CLOSE_WAIT || state == SESSION_CLOSE_WAIT_IN || state == SESSION_CLOSE_WAIT_OUT;
}

/*
 * State after data in one of the close-wait states, in which the FIN may be forged: a host sends no data after its own
 * FIN. So data from both sides after it, in any order, restores the connection, as a segment from inside does after an
 * RST (RFC 7857 section 2.2). A connection that is really closing carries no data from outside.
 */
static __always_inline __u8 tcp_data_after_fin(__u8 state, int from_inside)
{
	if (state == (from_inside ? SESSION_CLOSE_WAIT_OUT : SESSION_CLOSE_WAIT_IN))
		return SESSION_ESTABLISHED;
	return from_inside ? SESSION_CLOSE_WAIT_IN : SESSION_CLOSE_WAIT_OUT;
}

static __always_inline __u8 tcp_state_from_inside(__u8 state, __u8 flags)
{
	if (flags & TCP_RST)
		return state == SESSION_TIME_WAIT ? state : state | SESSION_RESET;
	if (tcp_reopens(state, flags))
		return SESSION_SYN_SENT;

	/* Any other segment shows that the RST did not end the connection (RFC 7857 section 2.2). */
	state &= ~SESSION_RESET;
	if (flags & TCP_FIN) {
		if (state < SESSION_FIN_WAIT)
			return SESSION_FIN_WAIT;
		return tcp_is_close_wait(state) ? SESSION_LAST_ACK_OUT : state;
	}
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return state; /* retransmitted: proves nothing about an answer */
	if (state == SESSION_SYN_ANSWERED || state == SESSION_TRANSITORY_ANSWERED)
		return SESSION_ESTABLISHED;
	if (state == SESSION_LAST_ACK_IN && flags & TCP_ACK)
		return SESSION_TIME_WAIT;
	if (tcp_is_close_wait(state) && flags & TCP_PSH)
		return tcp_data_after_fin(state, 1);
	return state;
}

static __always_inline __u8 tcp_state_from_outside(__u8 state, __u8 flags)
{
	if (state & SESSION_RESET || state == SESSION_TIME_WAIT)
		return state;
	if (flags & TCP_RST)
		return state | SESSION_RESET;
	if (flags & TCP_FIN) {
		if (state < SESSION_FIN_WAIT)
			return SESSION_CLOSE_WAIT;
		if (tcp_is_close_wait(state))
			return SESSION_CLOSE_WAIT;
		return state == SESSION_FIN_WAIT ? SESSION_LAST_ACK_IN : state;
	}
	if (state == SESSION_SYN_SENT)
		return SESSION_SYN_ANSWERED;
	if (state == SESSION_TRANSITORY)
		return SESSION_TRANSITORY_ANSWERED;
	if (state == SESSION_LAST_ACK_OUT && flags & TCP_ACK)
		return SESSION_TIME_WAIT;
	if (tcp_is_close_wait(state) && flags & (TCP_PSH | TCP_SYN))
		return tcp_data_after_fin(state, 0);
	return state;
}

static __always_inline __u8 tcp_state_after(__u8 state, __u8 flags, int from_inside)
{
	return from_inside ? tcp_state_from_inside(state, flags) : tcp_state_from_outside(state, flags);
}

/* session_step() for TCP, given the state after the packet, tcp_state_after(). */
static __always_inline __u64 session_step_to(__u64 word, __u8 next, int from_inside, __u32 now,
					     const __u32 timeout_ticks[N_TIMEOUTS])
{
	__u32 longer = timeout_ticks[TIMEOUT_TCP_ESTABLISHED] - timeout_ticks[TIMEOUT_TCP_TRANSITORY];
	__u8 state = word_state(word);
	__u32 seen = word_seen(word);

	if (from_inside) {
		if (next != state || (state != SESSION_TIME_WAIT && !(state & SESSION_RESET)))
			seen = now;
	} else if (state == SESSION_ESTABLISHED && next != SESSION_ESTABLISHED) {
		__u32 moved = seen + longer;

		seen = seen_is_later(now, moved) ? moved : now;
	} else if (state != SESSION_ESTABLISHED && next == SESSION_ESTABLISHED) {
		seen -= longer;
	}
	return word_with(word, next, seen);
}

/*
 * Returns the state word of a session after a packet. now: in ticks.
 *
 * Packets from inside refresh (RFC 4787 REQ-6), except repeated RSTs and packets in time-wait, which ends after its
 * timeout whatever arrives. Packets from outside never prolong a session: if they reduce the timeout from established
 * to transitory, last seen is moved so that the session ends a transitory timeout from now, or when it would have ended
 * if that is earlier. If they restore an established connection, it still ends when it would have ended, until the
 * inside sends something.
 */
static __always_inline __u64 session_step(__u64 word, __u8 proto, __u8 flags, int from_inside, __u32 now,
					  const __u32 timeout_ticks[N_TIMEOUTS])
{
	if (proto != 6)
		return word_with(word, word_state(word), from_inside ? now : word_seen(word));
	return session_step_to(word, tcp_state_after(word_state(word), flags, from_inside), from_inside, now,
			       timeout_ticks);
}

#endif
