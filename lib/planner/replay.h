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
};

struct replay_result {
	uint64_t sessions;	/* attempts to open one */
	uint64_t refused_ports; /* no port was free */
	uint64_t refused_quota;
	uint64_t overflowed; /* opened beyond the slots */
};

/* What became of a flow. out_offset: its port's place in the block, unless it was refused. */
enum replay_fate { FATE_JOINED, FATE_SLOT, FATE_OVERFLOW, FATE_NO_PORT, FATE_QUOTA };
typedef void (*replay_told)(void *arg, const struct plan_flow *flow, enum replay_fate fate, uint32_t out_offset);

/* A session beyond the slots: the ticks in which it is there. */
typedef void (*replay_beyond)(void *arg, int64_t from_ms, int64_t to_ms);

struct replay;

/* NULL: out of memory. The caller frees it. */
struct replay *replay_new(const struct replay_plan *plan);
void replay_free(struct replay *r);

/*
 * Replays the flows of one subscriber, sorted by their first packet, and adds to *result. ends: the numbers of those
 * flows that end before their timeout does, sorted by their last packet. told and beyond may be NULL. 0 or -ENOMEM.
 */
int replay_subscriber(struct replay *r, const struct plan_flow *flow, size_t n, const uint32_t *ends, size_t n_ends,
		      struct replay_result *result, replay_told told, replay_beyond beyond, void *arg);

/* Whether a flow ends before its timeout does: an end is known, or TCP has closed it. */
static inline bool replay_ends(const struct plan_flow *f)
{
	return f->exact || f->state == SESSION_TIME_WAIT || f->state & SESSION_RESET;
}

#endif
