/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks that grow (RFC 7422 section 2.1): which subscriber gets a block of the shared range of his outside address,
 * and when it is taken back.
 *
 * The datapath asks for a subscriber without a free port. A group of answers is written to the mapping history with one
 * fsync, and then made in the table of grants. A pass over the sessions beyond the slots finds blocks that have none:
 * one that has been idle for long enough is closed first, so that no session opens on it, and is taken back by the next
 * pass if it still has none. It then rests before another subscriber may get it (RFC 6888 REQ-8).
 */
#ifndef DETNAT_BLOCK_GROWTH_H
#define DETNAT_BLOCK_GROWTH_H

#include <event2/event.h>

#include "config/config.h"
#include "recorder/queue.h"
#include "tables/grant_table.h"

struct growth;

/* The parts must outlive the result. */
int growth_new(struct event_base *base, struct mappings *m, struct grants *grants, struct history_queue *history,
	       struct growth **ret, struct error *err);

/* From now on no block is granted; what is granted serves on. g may be NULL. */
void growth_free(struct growth *g);

/*
 * After a change of the configuration or of the running mappings: grants of subscribers who have another mapping now
 * end with it, or drain with it. A change of `block` ends those of the former size after the mapping's `drain`.
 */
void growth_settle(struct growth *g, const struct config *c);

/* A subscriber, by inside_place() of base/inside_runs.h, had no free port at that time, CLOCK_MONOTONIC. */
void growth_ask(struct growth *g, uint64_t place, uint64_t time_ns);

/*
 * Takes the granted block with a port back: no session opens on it, and those that exist end after drain_s seconds. 0;
 * -ENOENT: the port is not granted; -EBUSY: a change of the block is being recorded.
 */
int growth_revoke(struct growth *g, uint32_t out_addr, uint16_t port, uint32_t drain_s);

/*
 * Counts the sessions on granted ports anew, and calls done(arg) with them in the table, later, unless growth_forget()
 * comes before. 0 or -ENOMEM.
 */
typedef void (*growth_counted)(void *arg);
int growth_count(struct growth *g, growth_counted done, void *arg);
void growth_forget(struct growth *g, const void *arg);

/* Called for each grant that begins or ends. One function at a time; NULL: none. */
typedef void (*grant_visit)(void *arg, const struct grant *grant, bool made);
void growth_on_change(struct growth *g, grant_visit changed, void *arg);

/* What gateways tell each other about a block: its last act. Of two, the one with the higher stamp counts. */
struct grant_act {
	uint32_t in_addr; /* 0: the grant has ended */
	uint32_t out_addr;
	uint16_t port_lo;
	uint16_t ports;
	uint64_t stamp;
	bool idle; /* of an end: the block had no sessions, so it gives way to a gateway where it has some */
};

/* Called for each act of this gateway's own. */
typedef void (*grant_acted)(void *arg, const struct grant_act *act);
void growth_on_act(struct growth *g, grant_acted acted, void *arg);

/* The last act on a block, or what is known of it. */
struct grant_act growth_act_of(const struct grant *grant);

/*
 * Takes an act that a peer has announced: 0: it is so here, or a later act counts; -EAGAIN: not yet, as it has to be
 * recorded first, or its sessions have to end; -EINVAL: no subscriber here can have the block, as this gateway is
 * configured. In both cases announce it again.
 */
int growth_apply(struct growth *g, unsigned peer, const struct grant_act *act);

/* A peer has lost its tables: what it had granted is this gateway's own from now on. */
void growth_adopt(struct growth *g, unsigned peer);

/* Called whenever the blocks of a mapping are laid out anew. */
void growth_on_layout(struct growth *g, void (*laid_out)(void *arg), void *arg);

/* Peers, by bit, that are heard; they take back what they have granted. */
void growth_set_peers(struct growth *g, uint8_t up);

#endif
