/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files behind block_growth.h, each of which calls only those before it: batch.c, layout.c, pass.c,
 * settle.c, growth.c.
 */
#ifndef DETNAT_GROWTH_PRIVATE_H
#define DETNAT_GROWTH_PRIVATE_H

#include "growth/block_growth.h"
#include "tables/mappings.h"

/* Changes of blocks in a group at most. */
#define BATCH_MAX 512U

/* The key of a block, and what is to be done with it. */
struct block_change {
	uint32_t out_addr;
	uint16_t port_lo;
	bool ends;
	struct history_grant grant;
};

/* Zero-initialised; the first n_running are being written. */
struct batch {
	struct block_change *change;
	size_t n, room;
	size_t n_running;
};

/* The figures of a mapping. */
struct growth_figures {
	struct growth_layout wanted; /* block 0: it does not grow */
	uint32_t idle_s;
	uint32_t rest_s;
	uint32_t drain_s;
};

/* Someone who waits for the next count. */
struct counting {
	struct counting *next;
	growth_counted done;
	void *arg;
	uint32_t pass; /* the first one that counts for it */
};

struct growth {
	struct event_base *base;
	struct mappings *m;
	struct grants *grants;
	struct history_queue *history;
	struct event *second;
	struct event *group; /* pending while a group gathers */
	struct event *slice; /* pending while a pass is under way */
	struct batch batch;
	struct growth_figures figures[MAX_MAPPINGS]; /* by number */
	uint32_t interval_s;			     /* between two passes */
	bool grows;				     /* any mapping does */
	bool settled;				     /* the configuration is known, and what rests from before */
	bool exchanges;				     /* acts with other gateways, or may do so */
	bool grew;	/* some mapping has grown, or a block was granted, in this agent's time */
	bool unsettled; /* a mapping waits for grants of its former size to end */
	uint8_t peers_up;
	/* The pass. */
	bool under_way;
	uint32_t pass; /* number */
	uint32_t at;
	uint64_t began_us;
	uint64_t due_us; /* of the next one, CLOCK_MONOTONIC */
	uint64_t now_s;	 /* CLOCK_BOOTTIME when it began */
	uint64_t end_s;	 /* when sessions of a closed block are to end, the earliest; UINT64_MAX: of none */
	struct counting *waiting;
	grant_visit changed;
	void *changed_arg;
	grant_acted acted;
	void *acted_arg;
	void (*laid_out)(void *arg);
	void *laid_out_arg;
};

/* Tells the datapath whether blocks are granted, for some seconds; whether they can be: that they can be recorded. */
void growth_serve(struct growth *g, bool serves);
bool growth_serves(const struct growth *g);

/*
 * Records that a reserved grant begins, or that a closed one ends, and then makes it so in the table; the stamp of an
 * act of this gateway's own is made then. 0 or -ENOMEM.
 */
int growth_record(struct growth *g, struct grant *grant, bool ends);

/*
 * Closes a block whatever its sessions do: they end at until_s, CLOCK_BOOTTIME in seconds, or GRANT_WHENEVER. 0 or
 * -errno.
 */
int growth_close(struct growth *g, struct grant *grant, uint64_t until_s);

/* Closes a block that has no sessions; if it has some all the same, it is opened again. 0 or -errno. */
int growth_close_idle(struct growth *g, struct grant *grant);

/* Announces the last act on a block to the peers. */
void growth_tell_act(const struct growth *g, const struct grant *grant);

/* Writes what has gathered. */
void growth_write(struct growth *g);

/* Whether the subscriber's mapping has the block now; *ret_number: that of the outside address, or -1. */
bool growth_holds(const struct growth *g, const struct grant *grant, int *ret_number);

/* Whether new sessions of an inside address are those of a mapping, which is no exception's nor retired. */
static inline bool growth_is_home(const struct growth *g, int number, uint32_t in_addr)
{
	return mappings_find_inside(g->m, mappings_get(g->m, number)->tenant, in_addr) == number;
}

/* Whether the stamp of a free block is kept: gateways exchange acts, and a mapping has the block. */
bool growth_remembers(const struct growth *g, const struct grant *grant);

/* The figures of the mapping of an outside address; never NULL. All are 0 where it does not grow. */
const struct growth_figures *growth_figures_at(const struct growth *g, uint32_t out_addr);

/* Notes how long a block is to rest, so that it still does when its mapping is gone or does not grow any more. */
void growth_note_rest(struct growth *g, struct grant *grant);

/* The end of the rest of a block that is taken back now, CLOCK_BOOTTIME in seconds. */
uint64_t growth_rests_until(const struct grant *grant);

/* A pass follows at once, after the one under way. */
void growth_hurry(struct growth *g);
void growth_pass_second(struct growth *g);
void growth_pass_slice(struct growth *g);
void growth_pass_end(struct growth *g);

/* Gives mappings the layouts that they want, as far as no grants of a former size are in the way. */
void growth_lay_out(struct growth *g);

#endif
