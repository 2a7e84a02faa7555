/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replays a subscriber's flows by the rules of the datapath, which are compiled in: the places of sessions
 * <detnat/slots.h>, bindings <detnat/binding.h>, who gives way at the quota <detnat/giving_way.h>, timeouts and states
 * <detnat/session.h>, the first choice of a port <detnat/mapping.h>.
 */
#ifndef DETNAT_REPLAY_H
#define DETNAT_REPLAY_H

#include "planner/collection.h"

/* A tick of 64 jiffies at 250 Hz, Debian's. */
#define REPLAY_TICK_MS 256

struct replay_plan {
	uint32_t ports; /* of a subscriber's block, 1 to 64512 */
	uint32_t slots; /* a power of two from 8 */
	uint32_t quota;
	uint32_t timeout_s[N_TIMEOUTS];
	uint8_t bindings; /* protocols with endpoint-independent mapping: BINDING_… */
	/* Blocks that grow, <detnat/growth.h>: ports of a granted one, how many a subscriber may have (0: none) */
	uint32_t grow_block;
	uint32_t grow_blocks;
	uint32_t grow_idle_ticks; /* without sessions for so long, a granted block is taken back */
};

struct replay_result {
	uint64_t sessions;	/* attempts to open one */
	uint64_t refused_ports; /* no port was free */
	uint64_t refused_quota;
	uint64_t beyond; /* opened beyond the slots */
};

/*
 * What became of a flow. out_offset: its port's place in the block, unless it was refused; `ports` and above: in the
 * granted blocks, one after another.
 */
enum replay_fate { FATE_JOINED, FATE_SLOT, FATE_BEYOND, FATE_NO_PORT, FATE_QUOTA };
typedef void (*replay_told)(void *arg, const struct plan_flow *flow, enum replay_fate fate, uint32_t out_offset);

/* A session beyond the slots: the ticks in which it is there. */
typedef void (*replay_beyond)(void *arg, int64_t from_ms, int64_t to_ms);

/* A grant has ended, by its number; it lasted from one tick to another. */
typedef void (*replay_grant)(void *arg, uint32_t number, uint32_t from, uint32_t to);

/* Who is told, each NULL or not. */
struct replay_ears {
	replay_told told;
	replay_beyond beyond;
	replay_grant grant;
	void *arg;
};

struct replay;

/* NULL: out of memory. The caller frees it. */
struct replay *replay_new(const struct replay_plan *plan);
void replay_free(struct replay *r);

/*
 * Replays the flows of one subscriber, sorted by their first packet, and adds to *result. ends: the numbers of those
 * flows that end before their timeout does, sorted by their last packet. 0 or -ENOMEM.
 *
 * A block is granted as soon as it is asked for: the opening that asks counts as opened, as its retransmission finds
 * the block. Whether the address has one left is not known here; see <planner/supply.h>.
 */
int replay_subscriber(struct replay *r, const struct plan_flow *flow, size_t n, const uint32_t *ends, size_t n_ends,
		      struct replay_result *result, const struct replay_ears *ears);

/* The time of tick 0 of a subscriber's replay. */
static inline int64_t replay_base_ms(const struct plan_flow *flow, size_t n)
{
	/* So that no tick is 0, and none of a session that is as old as can be is below it. */
	return n ? flow[0].first_ms - 10000 : 0;
}

/* Whether a flow ends before its timeout does: an end is known, or TCP has closed it. */
static inline bool replay_ends(const struct plan_flow *f)
{
	return f->exact || f->state == SESSION_TIME_WAIT || f->state & SESSION_RESET;
}

#endif
