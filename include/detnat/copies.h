/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests of the agent to the program `session_copies` (a syscall program): place sessions that a peer has told in
 * slots or in the overflow, as the datapath does when it opens one, under the opener's lock, which the agent never
 * takes itself; and change and end those in the overflow.
 */
#ifndef DETNAT_COPIES_H
#define DETNAT_COPIES_H

#include "session.h"

/* Requests of one run. */
#define COPIES_BATCH 256U

/*
 * The mark of a copy in the overflow, in its IN2OUT entry: the peer that told it, and low bits of the last seen with
 * which it was stored. A session with another last seen has been refreshed by a packet, so it is no copy any more.
 */
#define OVERFLOW_MARK_BITS 13U
#define OVERFLOW_MARK_MASK ((1U << OVERFLOW_MARK_BITS) - 1)

static __always_inline __u16 overflow_mark(__u32 peer, __u64 word)
{
	return (__u16)(peer << OVERFLOW_MARK_BITS | (word_seen(word) & OVERFLOW_MARK_MASK));
}

static __always_inline __u32 overflow_mark_peer(__u16 mark)
{
	return mark >> OVERFLOW_MARK_BITS;
}

/* Returns 1 if the session of a mark is a copy. */
static __always_inline int overflow_mark_holds(__u16 mark, __u64 word)
{
	return mark && !((mark ^ word_seen(word)) & OVERFLOW_MARK_MASK);
}

/* `slot` where the session that has the port is in no slot. */
#define COPY_NOT_IN_A_SLOT 0xffffU

/* What a request asks for. All but the first are about the overflow. */
enum copy_request {
	COPY_TO_SLOT,
	/*
	 * Place it. A copy of the same peer, or of one in `takes`, becomes this one, as does a session of this
	 * gateway's own on the same port if 0 is in `takes`: `before` and `mark_before` tell what it was.
	 */
	COPY_TO_OVERFLOW,
	COPY_END,    /* remove it, if it is the copy of the peer in `mark`, on the port of `word` */
	COPY_CHANGE, /* store `word` and `mark`, if they are `before` and `mark_before` */
};

/*
 * The answer to a request, which asks with COPY_BUSY. All but COPY_PLACED leave the session as it is: nowhere, or where
 * it was.
 */
enum copy_result {
	COPY_PLACED,	 /* done; `slot` tells where */
	COPY_EXISTS,	 /* the subscriber has this session; `slot` tells where */
	COPY_BEYOND,	 /* it has it in the overflow */
	COPY_PORT,	 /* another session has the port, `slot` tells which, or a binding or a portmap */
	COPY_NO_SLOT,	 /* all slots of its two buckets are taken, or the overflow is full */
	COPY_QUOTA,	 /* the subscriber is at its quota */
	COPY_IMPOSSIBLE, /* no subscriber of the mapping can have such a session, or none in this slot */
	COPY_CHANGED,	 /* COPY_END and COPY_CHANGE: it is no such copy, or is gone */
	COPY_BUSY,	 /* not tried yet, a race lost, or the lock is held: try again */
};

struct session_copy {
	__u64 key;
	__u64 word;	  /* the state word */
	__u64 before;	  /* see enum copy_request */
	__u32 subscriber; /* number within the mapping */
	__u16 mapping;	  /* number */
	__u16 slot;	  /* of the subscriber's: the one that is wanted */
	__u16 mark;
	__u16 mark_before;
	__u8 inbound; /* the outside has opened it */
	__u8 result;  /* enum copy_result */
	__u8 request; /* enum copy_request */
	__u8 takes;   /* a bit for each peer; 0: this gateway */
};
_Static_assert(sizeof(struct session_copy) == 40, "no hidden padding");

/* Returns 1 if a session of a protocol can have a state: one that is told, so not time-wait. */
static __always_inline int copy_state_fits(__u64 key, __u8 proto, __u8 state)
{
	if (proto == 17)
		return state == SESSION_UDP;
	if (proto == 1)
		return state == SESSION_ICMP && !key_ext_port(key);
	state &= (__u8)~SESSION_RESET;
	return proto == 6 && state >= SESSION_SYN_SENT && state < N_SESSION_STATES && state != SESSION_TIME_WAIT;
}

/* The only value of the program's map `copies`. */
struct session_copies {
	__u32 n;
	__u32 overflow_limit; /* sessions that the overflow may hold */
	struct session_copy copy[COPIES_BATCH];
};

#endif
