/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests of the agent to the program `session_copies` (a syscall program): place sessions that a peer has told in
 * slots, as the datapath does when it opens one, under the opener's lock, which the agent never takes itself.
 */
#ifndef DETNAT_COPIES_H
#define DETNAT_COPIES_H

#include "session.h"

/* Requests of one run. */
#define COPIES_BATCH 256U

/*
 * The answer to a request, which asks with COPY_BUSY. All but COPY_PLACED leave the session as it is: nowhere, or where
 * it was.
 */
enum copy_result {
	COPY_PLACED,	 /* `slot` tells where */
	COPY_EXISTS,	 /* the subscriber has this session; `slot` tells where */
	COPY_BEYOND,	 /* it has it beyond the slots */
	COPY_PORT,	 /* another session, a binding or a portmap has the port */
	COPY_NO_SLOT,	 /* all slots of its two buckets are taken */
	COPY_QUOTA,	 /* the subscriber is at its quota */
	COPY_IMPOSSIBLE, /* no subscriber of the mapping can have such a session, or none in this slot */
	COPY_BUSY,	 /* not tried yet, a race lost, or the lock is held: try again */
};

struct session_copy {
	__u64 key;
	__u64 word;	  /* the state word */
	__u32 subscriber; /* number within the mapping */
	__u16 mapping;	  /* number */
	__u16 slot;	  /* of the subscriber's: the one that is wanted */
	__u8 inbound;	  /* the outside has opened it */
	__u8 result;	  /* enum copy_result */
	__u8 pad[6];
};
_Static_assert(sizeof(struct session_copy) == 32, "no hidden padding");

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
	__u32 pad;
	struct session_copy copy[COPIES_BATCH];
};

#endif
