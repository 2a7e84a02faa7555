/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A session slot: 16 bytes, shared by the datapath on all cores and by the agent, through mmap.
 *
 *	key    ext_addr 32 | ext_port 16 | in_port 16
 *	truth  out_port 16 | protocol 8 | state 8 | last seen 32: the state word
 *
 * The subscriber that owns the bucket determines the rest of the tuple. Ports and addresses are in host byte order; for
 * ICMP echo the identifier is the port and ext_port is 0.
 *
 * Bits of the state word that are neither port nor time:
 *
 *	protocol octet	0x13	protocol: these bits of its number, 0x01 ICMP, 0x02 TCP, 0x11 UDP. With 0x01 inverted,
 *				and SESSION_OPENING as its state, it is a signpost, <detnat/extents.h>.
 *			0x04	turn, lowest bit, inverted for TCP: its number has this bit
 *			0x08	turn, middle bit
 *			0xe0	owner: the gateway that translates the session, as its peers number it; 0: this one
 *	state octet	0x1f	enum session_state
 *			0x20	opened from outside
 *			0x40	SESSION_RESET
 *			0x80	turn, highest bit
 *	last seen	32 bits for an IPv4 subscriber; for an IPv6 one 0xfc000000 is the host and the rest is last seen
 *
 * Words of releases before these bits have 0 in them, so both share slots under traffic. A slot that is free or being
 * opened has nothing but 0 or SESSION_OPENING in its state octet.
 *
 * 26 bits of a tick are enough for ages up to 2^25 ticks, 24 days at 1000 Hz; the longest timeout is a week. A session
 * that no sweep has ended for 24 days after its timeout looks alive again.
 *
 * The field is called `truth` for compatibility with pinned maps; everywhere else it is the state word.
 *
 * Rules for all code that touches a slot:
 *  1. Only the state word tells whether the slot is free, being opened, or live.
 *  2. Only the datapath opens sessions, under the subscriber's opener lock: state word -> OPENING, then the
 *     key, then state word -> live, each by an atomic operation.
 *  3. A reader reads state word, key and state word again; it is a hit only if both words are live, and equal except
 *     for last seen.
 *  4. Every other change (state, sweep, close) is a compare-and-swap of the state word. The winner adjusts the
 *     subscriber's count, exactly once. A refresh stores only last seen, unconditionally: at worst it marks a slot that
 *     is free by now, or another session that is as fresh. So a slot is free if its state says so; it need not be 0.
 *     For an IPv6 subscriber a refresh is a compare-and-swap, too: a store could give another session its host.
 *     Owner, turn and "opened from outside" change with the word only: whoever changes the state keeps them, and
 *     whoever changes them loses against a change of state, and looks again. A packet from inside that finds an
 *     owner in an extent, where copies have one, makes the session this gateway's own: word_taken().
 *  5. Age is signed: (s32)(now - seen) > timeout; in 26 bits for an IPv6 subscriber.
 */
#ifndef DETNAT_SESSION_H
#define DETNAT_SESSION_H

#include "mapping.h"

/*
 * 1 in what knows the sessions of IPv6 subscribers alone, as the programs for them do: their words have the host beside
 * last seen. Else words are those of IPv4 subscribers, and word_host() and word_host_age() are there for the others.
 */
#ifndef FAMILY6
#define FAMILY6 0
#endif

#define BUCKET_SLOTS	   8U
#define BUCKET_SLOTS_SHIFT 3U

struct slot {
	__u64 key;
	__u64 truth;
};

struct bucket {
	struct slot slot[BUCKET_SLOTS];
};
_Static_assert(sizeof(struct bucket) == 128, "a bucket is two cache lines");

/* The timeouts, in the order of the datapath's arrays: X(constant, name, default in seconds) */
#define TIMEOUTS(X)                                       \
	X(TIMEOUT_UDP, udp, 300)                          \
	X(TIMEOUT_TCP_ESTABLISHED, tcp_established, 7440) \
	X(TIMEOUT_TCP_TRANSITORY, tcp_transitory, 240)    \
	X(TIMEOUT_ICMP, icmp, 60)

enum timeout {
#define X(constant, name, seconds) constant,
	TIMEOUTS(X)
#undef X
		N_TIMEOUTS
};

/*
 * States of a slot: X(constant, value, name shown, timeout). The values are part of the pinned layout. In an ANSWERED
 * state the outside has answered, so that the next segment from inside establishes the connection. Both LAST_ACK states
 * have seen the FINs of both sides and wait for the ACK of one. In CLOSE_WAIT_IN the inside has sent data since the FIN
 * from outside, in CLOSE_WAIT_OUT the outside has. In SYN_RECEIVED the outside has opened the connection; once ANSWERED
 * by the inside, the next segment from outside establishes it.
 */
#define SESSION_STATES(X)                                                           \
	X(SESSION_UDP, 2, "udp-active", TIMEOUT_UDP)                                \
	X(SESSION_ICMP, 3, "icmp-active", TIMEOUT_ICMP)                             \
	X(SESSION_SYN_SENT, 4, "tcp-syn-sent", TIMEOUT_TCP_TRANSITORY)              \
	X(SESSION_SYN_ANSWERED, 5, "tcp-syn-sent", TIMEOUT_TCP_TRANSITORY)          \
	X(SESSION_TRANSITORY, 6, "tcp-transitory", TIMEOUT_TCP_TRANSITORY)          \
	X(SESSION_TRANSITORY_ANSWERED, 7, "tcp-transitory", TIMEOUT_TCP_TRANSITORY) \
	X(SESSION_ESTABLISHED, 8, "tcp-established", TIMEOUT_TCP_ESTABLISHED)       \
	X(SESSION_FIN_WAIT, 9, "tcp-fin-wait", TIMEOUT_TCP_TRANSITORY)              \
	X(SESSION_CLOSE_WAIT, 10, "tcp-close-wait", TIMEOUT_TCP_TRANSITORY)         \
	X(SESSION_LAST_ACK_IN, 11, "tcp-last-ack", TIMEOUT_TCP_TRANSITORY)          \
	X(SESSION_LAST_ACK_OUT, 12, "tcp-last-ack", TIMEOUT_TCP_TRANSITORY)         \
	X(SESSION_TIME_WAIT, 13, "tcp-time-wait", TIMEOUT_TCP_TRANSITORY)           \
	X(SESSION_CLOSE_WAIT_IN, 14, "tcp-close-wait", TIMEOUT_TCP_TRANSITORY)      \
	X(SESSION_CLOSE_WAIT_OUT, 15, "tcp-close-wait", TIMEOUT_TCP_TRANSITORY)     \
	X(SESSION_SYN_RECEIVED, 16, "tcp-syn-received", TIMEOUT_TCP_TRANSITORY)     \
	X(SESSION_SYN_RECEIVED_ANSWERED, 17, "tcp-syn-received", TIMEOUT_TCP_TRANSITORY)

enum session_state {
	SESSION_FREE = 0,
	SESSION_OPENING = 1,
#define X(constant, value, name, timeout) constant = value,
	SESSION_STATES(X)
#undef X
		N_SESSION_STATES
};

/* Set in addition to a TCP state when an RST was seen; without it, the state is as before (RFC 7857 section 2.2). */
#define SESSION_RESET	   0x40U
#define SESSION_RESET_NAME "tcp-reset"

/* What a packet and the session that it belongs to have in common in the protocol octet; and the state in its octet. */
#define WORD_PROTO 0x13U
#define WORD_STATE (0x1fU | SESSION_RESET)

/* Both, in the upper half of a state word; with last seen; and with the port. */
#define WORD_KIND    (WORD_PROTO << 8 | WORD_STATE)
#define WORD_IN_TICK ((__u64)WORD_KIND << 32 | 0xffffffff)
#define WORD_OF_PORT (0xffffULL << 48 | (__u64)WORD_KIND << 32)

#define WORD_INBOUND	(0x20ULL << 32)
#define WORD_OWNER_AT	45U
#define WORD_OWNER	(7ULL << WORD_OWNER_AT)
#define WORD_TURN_LOW	(1ULL << 42)
#define WORD_TURN_MID	(1ULL << 43)
#define WORD_TURN_HIGH	(1ULL << 39)
#define WORD_HOST_SHIFT 26U

/* The bits of last seen. */
#define WORD_SEEN (FAMILY6 ? (1U << WORD_HOST_SHIFT) - 1 : ~0U)

static __always_inline __u64 slot_key(__u32 ext_addr, __u16 ext_port, __u16 in_port)
{
	return (__u64)ext_addr << 32 | (__u64)ext_port << 16 | in_port;
}

static __always_inline __u64 state_word(__u16 out_port, __u8 proto, __u8 state, __u32 seen)
{
	return (__u64)out_port << 48 | (__u64)proto << 40 | (__u64)state << 32 | seen;
}

static __always_inline __u32 key_ext_addr(__u64 key)
{
	return (__u32)(key >> 32);
}

static __always_inline __u16 key_ext_port(__u64 key)
{
	return (__u16)(key >> 16);
}

static __always_inline __u16 key_in_port(__u64 key)
{
	return (__u16)key;
}

static __always_inline __u16 word_out_port(__u64 word)
{
	return (__u16)(word >> 48);
}

/* Number of the protocol; one that no session has if the word is no session's. */
static __always_inline __u8 word_proto(__u64 word)
{
	__u32 kind = (__u32)(word >> 40) & WORD_PROTO;

	return (__u8)(kind | (kind & 2) << 1);
}

/* Returns 1 if the session is of a protocol, which is ICMP, TCP or UDP. */
static __always_inline int word_is_of(__u64 word, __u8 proto)
{
	return !(((__u32)(word >> 40) ^ proto) & WORD_PROTO);
}

/* State, including the SESSION_RESET bit. */
static __always_inline __u8 word_state(__u64 word)
{
	return (__u8)((word >> 32) & WORD_STATE);
}

/* Returns 1 if the outside has opened the session. */
static __always_inline int word_is_inbound(__u64 word)
{
	return !!(word & WORD_INBOUND);
}

/* The gateway that translates the session, 0..7, as <detnat/session.h> says. */
static __always_inline __u32 word_owner(__u64 word)
{
	return (__u32)(word >> WORD_OWNER_AT) & 7;
}

/* How often the session has changed hands, 0..7. */
static __always_inline __u32 word_turn(__u64 word)
{
	__u32 octet = (__u32)(word >> 40);

	return ((octet >> 2 ^ octet >> 1) & 1) | (octet >> 2 & 2) | ((__u32)(word >> 37) & 4);
}

/* The word with another owner and turn. */
static __always_inline __u64 word_owned(__u64 word, __u32 owner, __u32 turn)
{
	__u64 low = (turn ^ word >> 41) & 1;

	word &= ~(WORD_OWNER | WORD_TURN_LOW | WORD_TURN_MID | WORD_TURN_HIGH);
	return word | (__u64)(owner & 7) << WORD_OWNER_AT | low << 42 | (__u64)(turn >> 1 & 1) << 43 |
	       (__u64)(turn >> 2 & 1) << 39;
}

/* The word keeps the turns of docs/internals/OWNERSHIP.md up to here; it is this one that stands for all beyond. */
#define WORD_TURN_MAX 7U

/* The word of a copy once a packet from inside has come: it is this gateway's own. */
static __always_inline __u64 word_taken(__u64 word)
{
	__u32 turn = word_turn(word);

	return word_owned(word, 0, turn < WORD_TURN_MAX ? turn + 1 : turn);
}

/* Of an IPv6 subscriber's session: its host, 0..63. */
static __always_inline __u32 word_host(__u64 word)
{
	return (__u32)word >> WORD_HOST_SHIFT;
}

/* Of an IPv6 subscriber's session: its age in ticks; negative if it is ahead of this core's clock. */
static __always_inline __s32 word_host_age(__u64 word, __u32 now)
{
	return (__s32)((now - (__u32)word) << (32 - WORD_HOST_SHIFT)) >> (32 - WORD_HOST_SHIFT);
}

/*
 * The same for whoever knows sessions of both kinds. host_bits: of last seen that tell the host, HOST_BITS for an IPv6
 * subscriber, else 0.
 */
#define HOST_BITS (32U - WORD_HOST_SHIFT)

static __always_inline __s32 word_age_of(__u64 word, __u32 now, __u32 host_bits)
{
	return (__s32)((now - (__u32)word) << host_bits) >> host_bits;
}

/* The word, refreshed at a tick; its host stays. */
static __always_inline __u64 word_refreshed_of(__u64 word, __u32 now, __u32 host_bits)
{
	const __u32 seen = ~0U >> host_bits;

	return (word & ~(__u64)seen) | (now & seen);
}

/* Tick of the last refresh; for IPv6 subscribers its lower bits. */
static __always_inline __u32 word_seen(__u64 word)
{
	return (__u32)word & WORD_SEEN;
}

/* Ticks since the last refresh; negative if it is ahead of this core's clock. */
static __always_inline __s32 word_age(__u64 word, __u32 now)
{
	return FAMILY6 ? word_host_age(word, now) : (__s32)(now - word_seen(word));
}

/* Of two ticks that last seen may be, the ones that are compared: whether a is later than b. */
static __always_inline int seen_is_later(__u32 a, __u32 b)
{
	return (FAMILY6 ? word_host_age(b, a) : (__s32)(a - b)) > 0;
}

/* The word with another last seen. */
static __always_inline __u64 word_seen_at(__u64 word, __u32 seen)
{
	return (word & ~(__u64)WORD_SEEN) | (seen & WORD_SEEN);
}

/* Returns 1 if the slot is free, whatever its last seen. */
static __always_inline int word_is_free(__u64 word)
{
	return !(__u8)(word >> 32);
}

/* Changes only the last seen field of a state word: a store, or for IPv6 subscribers a compare-and-swap. */
static __always_inline void word_refresh(__u64 *word, __u32 seen)
{
#if FAMILY6
	__u64 before = *(volatile __u64 *)word;

	__sync_val_compare_and_swap(word, before, word_seen_at(before, seen));
#elif __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	*(volatile __u32 *)word = seen;
#else
	*((volatile __u32 *)word + 1) = seen;
#endif
}

/* Returns 1 if the slot holds a session, expired or not. */
static __always_inline int word_is_live(__u64 word)
{
	return (__u8)(word >> 32) > SESSION_OPENING;
}

/* Returns 1 if two state words differ in last seen only. */
static __always_inline int word_same(__u64 a, __u64 b)
{
	return FAMILY6 ? !((a ^ b) >> WORD_HOST_SHIFT) : ((a ^ b) >> 32) == 0;
}

/* The session's word after a change of state. state: enum session_state, with SESSION_RESET. */
static __always_inline __u64 word_with(__u64 word, __u8 state, __u32 seen)
{
	return (word & ~((__u64)WORD_STATE << 32 | WORD_SEEN)) | (__u64)state << 32 | (seen & WORD_SEEN);
}

/* The word of a slot until its session has a key. */
static __always_inline __u64 word_opening(__u64 word)
{
	return (word & ~(0xffULL << 32)) | (__u64)SESSION_OPENING << 32;
}

/* The word of a signpost to a session on an outside port, put up at a tick. */
static __always_inline __u64 signpost_word(__u16 out_port, __u8 proto, __u32 now)
{
	return state_word(out_port, proto ^ 1, SESSION_OPENING, now);
}

/* Returns 1 if the slot has a signpost: to no protocol's session has both low bits alike. */
static __always_inline int word_is_signpost(__u64 word)
{
	__u32 octet = (__u32)(word >> 40);

	return (__u8)(word >> 32) == SESSION_OPENING && !((octet ^ octet >> 1) & 1);
}

/* Returns 1 if the slot has a signpost to a session of a protocol. */
static __always_inline int word_is_signpost_of(__u64 word, __u8 proto)
{
	return (__u8)(word >> 32) == SESSION_OPENING && word_is_of(word, proto ^ 1);
}

/* The protocol of the session that a signpost leads to. */
static __always_inline __u8 signpost_proto(__u64 word)
{
	return word_proto(word ^ 1ULL << 40);
}

/*
 * The timeout of a state. Computed from the bits in which it differs from the transitory one, without branches: for
 * each branch the verifier would follow the rest of a search again.
 */
static __always_inline enum timeout session_timeout(__u8 state)
{
#define X(constant, value, name, timeout) | (__u64)((timeout) ^ TIMEOUT_TCP_TRANSITORY) << 2 * (value)
	const __u64 differences = 0 SESSION_STATES(X);
#undef X
	__u32 without_reset = (state & SESSION_RESET) / SESSION_RESET - 1;

	return (enum timeout)(((__u32)(differences >> 2 * (state & 31)) & 3 & without_reset) ^ TIMEOUT_TCP_TRANSITORY);
}

/*
 * Returns 1 if a live slot has outlived its timeout, in ticks. Signed, as a timestamp may be a tick ahead of this
 * core's clock.
 */
static __always_inline int word_expired(__u64 word, __u32 now, const __u32 timeout_ticks[N_TIMEOUTS])
{
	return word_age(word, now) > (__s32)timeout_ticks[session_timeout(word_state(word))];
}

/* Returns 1 if a slot counts in quotas and displayed figures: it is live, not expired and not in time-wait. */
static __always_inline int word_counts(__u64 word, __u32 now, const __u32 timeout_ticks[N_TIMEOUTS])
{
	return word_is_live(word) && word_state(word) != SESSION_TIME_WAIT && !word_expired(word, now, timeout_ticks);
}

/*
 * The candidate buckets of a session. Both directions know the external endpoint and, within a group of 8, the outside
 * port; so two of the subscriber's buckets hold every session that could clash with it.
 */
struct bucket_pair {
	__u32 first;
	__u32 second; /* a different bucket, unless the subscriber has only one */
};

#define PORT_GROUP_SHIFT 3U
#define PORT_GROUP	 (1U << PORT_GROUP_SHIFT)

/* What the buckets of the sessions with an external endpoint are chosen by. */
static __always_inline __u64 session_hash(__u32 ext_addr, __u16 ext_port, __u8 proto)
{
	return slot_key(ext_addr, ext_port, proto) * 0x9e3779b97f4a7c15ULL;
}

/* Two buckets of 1 << bucket_shift: of each other's distance, the low bits of `spread`. */
static __always_inline struct bucket_pair bucket_pair_at(__u32 first, __u32 spread, __u32 bucket_shift)
{
	__u32 mask = (1U << bucket_shift) - 1;
	/*
	 * Odd, and between a quarter and three quarters of the buckets, so that a run of groups wraps onto itself late.
	 */
	__u32 step = (((mask + 1) >> 2) + (spread & mask >> 1)) | 1;

	return (struct bucket_pair){ .first = first & mask, .second = (first + step) & mask };
}

/*
 * port_offset: outside port (or first choice) minus the first port of the block. bucket_shift: log2 of the subscriber's
 * number of buckets. The result is relative to the subscriber's first bucket.
 */
static __always_inline struct bucket_pair session_buckets(__u32 ext_addr, __u16 ext_port, __u8 proto, __u32 port_offset,
							  __u32 bucket_shift)
{
	__u64 hash = session_hash(ext_addr, ext_port, proto);

	return bucket_pair_at((__u32)(hash >> 32) + (port_offset >> PORT_GROUP_SHIFT), (__u32)(hash >> 48),
			      bucket_shift);
}

#endif
