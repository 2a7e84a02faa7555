/* SPDX-License-Identifier: BSD-2-Clause */
/* A model of what the tables of the datapath say of some mappings, and random changes of it, for walks of histories. */
#ifndef DETNAT_HISTORY_WALK_TABLES_H
#define DETNAT_HISTORY_WALK_TABLES_H

#include "recorder/history.h"

#define N_PAIRS 9U
#define N_HOSTS 3U
/* Blocks of the shared range of a pool, if mappings grow: from port 1024 on, below their own blocks. */
#define N_GRANTS     2U
#define GRANT_PORTS  512U
#define GRANTS_BELOW (1024U + N_GRANTS * GRANT_PORTS)

/* The last octets of the subscribers that are asked for: in no exception, in one, in both. */
extern const uint32_t walk_hosts[N_HOSTS];

extern unsigned walk_seed;
unsigned walk_below(unsigned n);

struct drain {
	unsigned pair, of;
};

/* What the tables say. */
struct tables {
	bool in_use[N_PAIRS], retired[N_PAIRS];
	bool may[N_PAIRS][N_HOSTS]; /* may have sessions */
	struct drain drain[32];
	unsigned n_drains;
	uint32_t portmap[N_PAIRS];	  /* of TCP port 80 of the pool: to this address; 0: none */
	uint8_t grant[N_PAIRS][N_GRANTS]; /* 1 and the subscriber that has it; 0: none */
	uint8_t shape[N_PAIRS];		  /* which blocks it has, if mappings grow */
};

/*
 * Blocks that a mapping may have in turn, with the same prefixes: those that it begins with, half as many ports at the
 * same distance, and blocks a port lower, which leave no room for the last granted block.
 */
enum shape { SHAPE_FULL, SHAPE_HALF, SHAPE_LOWER, N_SHAPES };

/*
 * A change: as it is recorded, what the tables are by that, and what they are in fact: drains of addresses that their
 * mapping has again have ended without a record, which follows.
 */
struct change {
	struct tables recorded;
	struct tables after;
	bool more; /* they differ */
	struct history_mapping del[N_PAIRS], add[N_PAIRS];
	struct history_drain ended[N_PAIRS], begun[N_PAIRS];
	struct history_portmap gone[N_PAIRS], come[N_PAIRS];
	size_t n_del, n_add;
	struct history_change drains;
	struct history_change portmaps;
};

/*
 * Before all others. grows: the blocks leave room for grants. tenants: the networks of the model are one network of
 * several tenants in the history, so that a pool may go from one tenant to another with the same inside prefix.
 */
void walk_parse(bool grows, bool tenants);

/* The address of the model for one of an answer. */
uint32_t walk_addr(uint32_t in_addr, const char *tenant);

/* A group of grants: as it is recorded, and what the tables are if all of it takes effect, or a part. */
struct walk_group {
	struct tables recorded;
	struct tables part;
	struct history_grant end[N_PAIRS * N_GRANTS], begin[N_PAIRS * N_GRANTS];
	size_t n_end, n_begin;
};

/* Draws a group; it may be empty. */
void walk_choose_grants(const struct tables *now, struct walk_group *ret);

/* The grants of the tables; returns how many. */
size_t walk_granted(const struct tables *t, struct history_grant ret[static N_PAIRS * N_GRANTS]);

/* The first port of a host's block, or of its second half; 0: it has none. */
unsigned walk_port(uint32_t pool, unsigned of, bool second_half);

struct history_drain walk_drain(struct drain d);
struct history_portmap walk_portmap(unsigned pair, uint32_t to);

/* Draws a change of the tables. */
void walk_choose(const struct tables *now, struct change *ret);

/* The mappings of the tables; returns how many. */
size_t walk_listed(const struct tables *t, struct history_mapping *ret);

/* Who has the endpoint of a block, or of port 80, in a state; 0: nobody. */
uint32_t walk_holder(const struct tables *t, uint32_t pool, unsigned port);

#endif
