/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a replay: what the datapath has for one subscriber. */
#ifndef DETNAT_REPLAY_PRIVATE_H
#define DETNAT_REPLAY_PRIVATE_H

#include <detnat/binding.h>
#include <detnat/giving_way.h>

#include "base/hash.h"
#include "planner/replay.h"

/* A session beyond the slots. */
struct beyond {
	struct hash_entry entry;
	uint64_t key; /* slot_key() */
	__u64 word;
	uint8_t proto;
};

#define N_PROTOCOLS 3U

/* A granted block: it was granted at a tick, and its sessions have ended by another. */
struct grown_block {
	bool held;
	uint32_t from;
	uint32_t busy_until;
};

struct grown {
	struct grown_block block[32];
	struct grown_binding *binding[N_PROTOCOLS]; /* of each protocol, the granted ports in turn */
};

struct replay {
	struct replay_plan plan;
	struct geometry geo;
	uint32_t timeout_ticks[N_TIMEOUTS];
	uint32_t shift; /* log2 of the buckets */
	struct bucket *bucket;
	uint32_t sessions; /* those that count, some of which may have expired */
	uint32_t swept;	   /* tick of the last sweep */
	struct hash_table beyond;
	struct hash_index beyond_ports; /* the same by external endpoint, protocol and outside port */
	struct binding_line *line;	/* of each protocol, BINDING_… in turn, the groups */
	uint32_t groups;
	uint32_t line_used[3]; /* 1: the lines of the protocol are not empty */
	struct grown grown;
};

/* Beyond the slots. */
struct beyond *beyond_find(struct replay *r, uint64_t key, uint8_t proto);
bool beyond_port_held(struct replay *r, uint64_t key, uint8_t proto, uint32_t offset, uint32_t now, bool take_reset);
int beyond_add(struct replay *r, uint64_t key, uint8_t proto, uint64_t word);
void beyond_del(struct replay *r, struct beyond *b);
void beyond_sweep(struct replay *r, uint32_t now);
void beyond_clear(struct replay *r);
/* One that an RST has closed, the oldest; NULL: none. */
struct beyond *beyond_reset(struct replay *r);

/*
 * The port that an inside endpoint is bound to, or gets, as an offset in the block; -1: no port of the block is free.
 * seen: tick of the flow's last packet.
 */
int32_t replay_bind(struct replay *r, uint8_t proto, uint16_t in_port, uint32_t now, uint32_t seen);

/* Granted blocks. 0, or -1 if out of memory, or if the plan has none of these figures. */
int grown_new(struct replay *r);
void grown_free(struct replay *r);

/* Takes back the blocks that have been idle for long enough by now, or all at the end. */
void grown_sweep(struct replay *r, uint32_t now, replay_grant told, void *arg);
void grown_end(struct replay *r, replay_grant told, void *arg);

/* A port has a session until a tick; one of the block is left alone. */
void grown_used(struct replay *r, uint32_t offset, uint32_t until);

/* A port of a granted block for a session, of one more block if need be; -1: there is none. */
int32_t grown_port(struct replay *r, uint64_t key, uint8_t proto, uint16_t in_port, uint32_t now);

/*
 * The granted port that an inside endpoint is bound to, or gets, by the number of its protocol in BINDING_…; -1: none.
 * life: of a binding without sessions, in ticks.
 */
int32_t grown_bound(struct replay *r, unsigned protocol, uint16_t in_port, uint32_t now, uint32_t seen, uint32_t life);
int32_t grown_bind(struct replay *r, unsigned protocol, uint16_t in_port, uint32_t now, uint32_t seen, uint32_t life);

#endif
