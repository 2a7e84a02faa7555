/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Payloads between gateways: their types and records, as on the wire. All numbers are in network order; nothing is
 * aligned. A frame carries one payload.
 *
 * The sender numbers its mappings; the table WIRE_MAPPINGS lists them, and is sent before the first payload that uses a
 * number, and again after each change. Numbers are valid on one connection only.
 *
 * A list that a limit allows to be longer than a payload has parts, which say where they begin.
 */
#ifndef DETNAT_WIRE_H
#define DETNAT_WIRE_H

#include <endian.h>
#include <stdint.h>

#define WIRE_VERSION 5U

/* No payload is longer: with a frame's header and digest it stays below 64 KiB. */
#define WIRE_PAYLOAD_MAX 65408U

enum wire_type {
	/* Of the connection; copying.h never sees them. */
	WIRE_HELLO = 1,
	WIRE_ALIVE = 2,
	WIRE_ACK = 3,
	/* Of the sessions: made by copying_pass() and copying_whole_step(), read by copying_mappings() and
	   copying_apply() */
	WIRE_MAPPINGS = 16, /* struct wire_mapping, repeated; replaces the table before it */
	WIRE_CHANGES = 17,  /* struct wire_sessions with its records, repeated */
	WIRE_WHOLE =
		18, /* struct wire_range, then as WIRE_CHANGES: everything that the sender has of these subscribers */
	WIRE_WHOLE_END = 19, /* empty: a whole copy is complete */
	/*
	 * struct wire_beyond, repeated: sessions beyond the slots. Between a table and WIRE_WHOLE_END, each of the
	 * sender's is sent at least once
	 */
	WIRE_BEYOND = 20,
	WIRE_LEASES = 21, /* struct wire_lease, repeated */
	WIRE_ENDED = 22,  /* struct wire_ended, repeated: comes before the sessions of a whole copy */
	/* Rules that must be alike: struct wire_part, then struct wire_rule or struct wire_portmap, repeated */
	WIRE_RULES = 23,
	WIRE_PORTMAPS = 24,
	WIRE_GRANTS = 25, /* struct wire_grant, repeated: comes before the sessions of a whole copy */
	/* A table too long for WIRE_MAPPINGS: struct wire_part, then struct wire_mapping, repeated; the last one
	   replaces */
	WIRE_MAPPINGS_PART = 26,
};

/* Whether copying.h makes and reads payloads of a type. */
static inline int wire_is_of_sessions(unsigned type)
{
	return type >= WIRE_MAPPINGS && type <= WIRE_MAPPINGS_PART;
}

/* The first payload in each direction. */
struct wire_hello {
	uint32_t version;
	uint8_t nonce[16];
	uint32_t listen_addr; /* the sender's own `listen`; all 0 from the accepting side */
	uint16_t listen_port;
	uint16_t flags;
	uint32_t interval_ms;
	uint64_t tables; /* of the sender; another number means that they began empty */
} __attribute__((packed));
_Static_assert(sizeof(struct wire_hello) == 40, "part of the protocol");

/* Shows that the dialler is alive. */
struct wire_alive {
	uint64_t sent_ms; /* CLOCK_MONOTONIC of the sender */
	uint64_t pass_ms; /* the same clock: when the last complete pass began; 0: none yet */
	uint64_t wall_ms; /* CLOCK_REALTIME of the sender */
} __attribute__((packed));
_Static_assert(sizeof(struct wire_alive) == 24, "part of the protocol");

/* The other direction: acknowledges. */
struct wire_ack {
	uint64_t sequence; /* of the last frame applied */
	uint64_t alive_ms; /* sent_ms of the last WIRE_ALIVE */
	uint64_t pass_ms;  /* the same of its pass_ms */
	uint64_t sessions; /* copies held of this peer */
	uint64_t refused;  /* since the connection began */
} __attribute__((packed));
_Static_assert(sizeof(struct wire_ack) == 40, "part of the protocol");

struct wire_mapping {
	uint16_t number;
	uint8_t in_plen;
	uint8_t out_plen;
	uint32_t in_base;
	uint32_t out_base;
	uint32_t begun;	 /* another number than before: announced sessions may be missing, send them again */
	uint64_t digest; /* of everything that determines where a session is: geometry, slots, bindings */
} __attribute__((packed));
_Static_assert(sizeof(struct wire_mapping) == 24, "part of the protocol");

/* Records of one subscriber. */
struct wire_sessions {
	uint16_t mapping;
	uint16_t count; /* of the struct wire_session that follow */
	uint32_t subscriber;
} __attribute__((packed));
_Static_assert(sizeof(struct wire_sessions) == 8, "part of the protocol");

/*
 * In the state of a session, slots or not: it is another gateway's, which is silent, and the sender tells of it in its
 * place. A gateway that does not know this refuses the record.
 */
#define WIRE_ON_BEHALF 0x80U

static inline uint8_t wire_state(uint8_t state, bool behalf)
{
	return (uint8_t)(state | (behalf ? WIRE_ON_BEHALF : 0));
}

/* The state in an octet of wire_state(). */
static inline uint8_t wire_session_state(uint8_t octet)
{
	return octet & (uint8_t)~WIRE_ON_BEHALF;
}

#define WIRE_SESSION_INBOUND 0x0001U /* the outside has opened it */

/* In the flags of a session, beside the bits: its turn, and the seconds since a packet refreshed it. */
#define WIRE_TURN_SHIFT 2U
#define WIRE_AGE_SHIFT	6U
#define WIRE_AGE_MAX	1023U /* this old, or older */

static inline uint16_t wire_flags(unsigned bits, uint8_t turn, uint32_t age_s)
{
	uint32_t age = age_s < WIRE_AGE_MAX ? age_s : WIRE_AGE_MAX;

	return htobe16((uint16_t)(bits | (unsigned)turn << WIRE_TURN_SHIFT | age << WIRE_AGE_SHIFT));
}

static inline uint8_t wire_turn(uint16_t flags)
{
	return (uint8_t)(be16toh(flags) >> WIRE_TURN_SHIFT & 0xf);
}

static inline uint16_t wire_age_s(uint16_t flags)
{
	return (uint16_t)(be16toh(flags) >> WIRE_AGE_SHIFT);
}

struct wire_session {
	uint64_t key; /* slot_key(); 0 where `state` is */
	uint16_t out_port;
	uint8_t proto;
	/* enum session_state with SESSION_RESET, and WIRE_ON_BEHALF; 0: the announced session of this slot has ended */
	uint8_t state;
	uint16_t slot; /* of the subscriber's, at the sender */
	uint16_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct wire_session) == 16, "part of the protocol");

#define WIRE_BEYOND_WHOLE   0x0001U /* from a whole copy: it is not new */
#define WIRE_BEYOND_INBOUND 0x0002U /* the outside has opened it */

/* A session beyond the slots, identified by its endpoints. */
struct wire_beyond {
	uint64_t key; /* slot_key() */
	uint32_t subscriber;
	uint16_t mapping;
	uint16_t out_port;
	uint8_t proto;
	uint8_t state; /* as that of struct wire_session */
	uint16_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct wire_beyond) == 20, "part of the protocol");

#define WIRE_ENDED_AGE_MAX UINT16_MAX

/*
 * A session that has ended at the sender, which had taken it over or had a copy of it: it ends on each gateway where
 * its turn is not higher.
 */
struct wire_ended {
	uint64_t key; /* slot_key() */
	uint32_t subscriber;
	uint16_t mapping;
	uint16_t out_port;
	uint16_t slot;
	uint16_t id;	/* session_id(), with which the slot identifies it where proto is 0: the rest is unknown */
	uint16_t age_s; /* since its end; WIRE_ENDED_AGE_MAX: this long, or longer */
	uint8_t proto;
	uint8_t turn; /* 0: unknown; the time of the last packet then decides */
} __attribute__((packed));
_Static_assert(sizeof(struct wire_ended) == 24, "part of the protocol");

#define WIRE_FILTERS 8U

/* A sender whose packets a lease accepts. */
struct wire_filter {
	uint32_t addr; /* host bits cleared */
	uint16_t port; /* 0: all */
	uint8_t plen;
	uint8_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct wire_filter) == 8, "part of the protocol");

#define WIRE_LEASE_ENDED 0x0001U

/* A lease of PCP, as of the sender's last known act on it. */
struct wire_lease {
	uint32_t in_addr;
	uint32_t out_addr;
	uint16_t in_port;
	uint16_t out_port;
	uint8_t proto;
	uint8_t filters; /* in use; 0: it accepts packets from everywhere */
	uint16_t flags;
	uint32_t left_s; /* seconds; of an ended lease, those that would have been left */
	uint8_t nonce[12];
	uint64_t stamp; /* of the act, see base/act_stamp.h */
	struct wire_filter filter[WIRE_FILTERS];
} __attribute__((packed));
_Static_assert(sizeof(struct wire_lease) == 104, "part of the protocol");

#define WIRE_GRANT_IDLE 0x0001U /* of an end: the block had no sessions; an older sender does not say so */

/* A granted block, as of the sender's last known act on it. */
struct wire_grant {
	uint32_t in_addr; /* 0: the grant has ended */
	uint32_t out_addr;
	uint16_t port_lo;
	uint16_t ports;
	uint32_t flags;
	uint64_t stamp; /* of the act, see base/act_stamp.h */
} __attribute__((packed));
_Static_assert(sizeof(struct wire_grant) == 24, "part of the protocol");

/* Identifies the records of a list that follow. */
struct wire_part {
	uint32_t first; /* number of the first; 0: the list begins */
	uint32_t total; /* of the list */
} __attribute__((packed));
_Static_assert(sizeof(struct wire_part) == 8, "part of the protocol");

/* Records that a payload has room for after what identifies them. */
#define WIRE_AT_ONCE(before, record) ((uint32_t)((WIRE_PAYLOAD_MAX - (before)) / (record)))

/* X(constant, name, whether it matters in a takeover, whether its value says something) */
#define RULE_FIELDS(X)                                        \
	X(RULE_INBOUND, "inbound", 1, 0)                      \
	X(RULE_PORTS, "ports_per_host", 1, 1)                 \
	X(RULE_SLOTS, "session_slots", 1, 1)                  \
	X(RULE_EIM, "endpoint-independent mapping", 1, 0)     \
	X(RULE_EIF, "endpoint-independent filtering", 1, 0)   \
	X(RULE_DRAINS, "it drains on one of them only", 0, 0) \
	X(RULE_QUOTA, "sessions_per_user", 0, 1)              \
	X(RULE_SHARE, "inbound_sessions", 0, 1)               \
	X(RULE_TIMEOUTS, "timeouts", 0, 0)                    \
	X(RULE_GROWTH, "growth", 1, 0)                        \
	X(RULE_LIMITS, "limits", 0, 0)                        \
	X(RULE_TENANT, "tenant", 1, 0)

enum rule_field {
#define X(constant, name, matters, shown) constant,
	RULE_FIELDS(X)
#undef X
		N_RULE_FIELDS
};

/* A mapping or an exception, with sessions or without; the key is the part before the fields. */
struct wire_rule {
	uint32_t in_base;
	uint32_t out_base; /* of one that is not translated: as RULE_TENANT, as several tenants may have its inside */
	uint8_t in_plen;
	uint8_t out_plen; /* 255: not translated */
	uint16_t layout;  /* of the blocks of an address, see mapping_layout(); 0 with gateways that know only one */
	uint32_t field[N_RULE_FIELDS];
} __attribute__((packed));
_Static_assert(sizeof(struct wire_rule) == 60, "part of the protocol");

/* A portmap of the configuration; the key is the part before in_addr. */
struct wire_portmap {
	uint32_t out_addr;
	uint16_t out_port;
	uint8_t proto;
	uint8_t reserved;
	uint32_t in_addr;
	uint16_t in_port;
	uint16_t reserved2;
} __attribute__((packed));
_Static_assert(sizeof(struct wire_portmap) == 16, "part of the protocol");

struct wire_range {
	uint16_t mapping;
	uint16_t reserved;
	uint32_t first; /* subscriber */
	uint32_t count;
} __attribute__((packed));
_Static_assert(sizeof(struct wire_range) == 12, "part of the protocol");

#endif
