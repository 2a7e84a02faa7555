/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's requests to the syscall program `session_copies`. The program places sessions that a peer has announced
 * in slots or in extents, and changes and ends those in extents. It holds the opener's lock meanwhile, as the datapath
 * does when it opens a session; the agent never takes that lock itself.
 *
 * Of a copy in an extent the state word names the peer, <detnat/session.h>.
 */
#ifndef DETNAT_COPIES_H
#define DETNAT_COPIES_H

#include "session.h"

/* Requests of one run. */
#define COPIES_BATCH 256U

/* Value of `slot` if the session that has the port is not in a slot. */
#define COPY_NOT_IN_A_SLOT 0xffffU

/* The kinds of requests. All but the first concern sessions beyond the slots. */
enum copy_request {
	COPY_TO_SLOT,
	/*
	 * Place it in an extent, if one is there or can be made. It replaces a copy of the same peer; and, on the same
	 * port, a copy of a peer in `takes`, or this gateway's own session if bit 0 is set there. `before` returns the
	 * replaced session's word. See `moves`, too.
	 */
	COPY_TO_EXTENT,
	COPY_END, /* remove it, if it is the copy of `owner`, on the port of `word`; see `moves`, too */
};

/*
 * The result of a request, which begins as COPY_BUSY. Unless it is COPY_PLACED, the session stays in its place or
 * without one.
 */
enum copy_result {
	COPY_PLACED,	 /* done; `slot` is its slot */
	COPY_EXISTS,	 /* the subscriber has this session in `slot` */
	COPY_BEYOND,	 /* the subscriber has this session beyond the slots; it was replaced there if it may be */
	COPY_PORT,	 /* a binding, a portmap or another session has the port; `slot` is that session's */
	COPY_NO_SLOT,	 /* all slots of its two buckets are taken, or no extent has room */
	COPY_QUOTA,	 /* the subscriber is at its quota */
	COPY_IMPOSSIBLE, /* no subscriber of the mapping can have such a session, or none in this slot */
	COPY_CHANGED,	 /* COPY_END: the copy is gone, or has changed */
	COPY_BUSY,	 /* not tried yet, or another core was faster, or holds the lock: try again */
};

struct session_copy {
	__u64 key;
	__u64 word;	  /* the state word; COPY_TO_EXTENT adds owner and turn to it in an extent */
	__u64 before;	  /* see enum copy_request */
	__u32 subscriber; /* number within the mapping */
	__u16 mapping;	  /* its number */
	__u16 slot;	  /* the requested one, numbered among the subscriber's */
	__u8 owner;	  /* the peer that announced it */
	__u8 turn;	  /* for COPY_TO_EXTENT */
	__u8 inbound;	  /* the outside opened it */
	__u8 result;	  /* enum copy_result */
	__u8 request;	  /* enum copy_request */
	__u8 takes;	  /* one bit per peer; bit 0: this gateway */
	/*
	 * 1: the session comes from a home that versions before had, <detnat/extents.h>: it gets a place in an extent
	 * alone, and its subscriber counts it already, as does the limit of its protocol, whatever quota and bindings
	 * say now. If it is there, what has become of it since it was `before` is merged, extent_merged(). COPY_END
	 * leaves the counts, too, and the session unless it is still `before`, if that is not 0.
	 */
	__u8 moves;
	__u8 pad;
	__u32 last; /* the tick at which its last packet came, at the earliest */
	__u32 reserved;
};
_Static_assert(sizeof(struct session_copy) == 48, "no hidden padding");

/* Returns 1 if a session of this protocol can be announced in this state; time-wait is never announced. */
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
