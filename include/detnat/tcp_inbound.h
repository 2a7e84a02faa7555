/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * States of a TCP connection that the outside opens, until the end of the handshake; then <detnat/tcp_state.h> applies.
 * The connection is established once the inside has answered and the outside has acknowledged the answer. Pure
 * functions.
 */
#ifndef DETNAT_TCP_INBOUND_H
#define DETNAT_TCP_INBOUND_H

#include "tcp_state.h"

/* Returns 1 for a state of such a handshake, with or without SESSION_RESET. */
static __always_inline int tcp_is_inbound(__u8 state)
{
	return (__u8)((state & ~SESSION_RESET) - SESSION_SYN_RECEIVED) <=
	       SESSION_SYN_RECEIVED_ANSWERED - SESSION_SYN_RECEIVED;
}

static __always_inline __u8 tcp_inbound_from_inside(__u8 state, __u8 flags)
{
	if (flags & TCP_RST)
		return state | SESSION_RESET;
	if (flags & TCP_FIN)
		return SESSION_FIN_WAIT;
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return SESSION_SYN_ANSWERED; /* both have opened at once (RFC 5382 REQ-2) */
	return flags & TCP_SYN ? SESSION_SYN_RECEIVED_ANSWERED : state & ~SESSION_RESET;
}

static __always_inline __u8 tcp_inbound_from_outside(__u8 state, __u8 flags)
{
	if (state & SESSION_RESET)
		return state;
	if (flags & TCP_RST)
		return state | SESSION_RESET;
	if (state != SESSION_SYN_RECEIVED_ANSWERED || flags & TCP_SYN || !(flags & TCP_ACK))
		return state;
	return flags & TCP_FIN ? SESSION_CLOSE_WAIT : SESSION_ESTABLISHED;
}

/* session_step() for a connection in such a state. */
static __always_inline __u64 tcp_inbound_step(__u64 word, __u8 flags, int from_inside, __u32 now,
					      const __u32 timeout_ticks[N_TIMEOUTS])
{
	__u8 state = word_state(word), next;
	__u32 seen = word_seen(word);

	if (from_inside) {
		next = tcp_inbound_from_inside(state, flags);
		/* Repeated RSTs do not prolong it, as in any session. */
		return word_with(word, next, next == state && state & SESSION_RESET ? seen : now);
	}
	next = tcp_inbound_from_outside(state, flags);
	if (next == SESSION_ESTABLISHED)
		seen -= timeout_ticks[TIMEOUT_TCP_ESTABLISHED] - timeout_ticks[TIMEOUT_TCP_TRANSITORY];
	return word_with(word, next, seen);
}

#endif
