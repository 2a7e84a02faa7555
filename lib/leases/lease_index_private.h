/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of an index of leases: lease_index.c fills it, lease_ends.c finishes it, lease_ask.c answers. */
#ifndef DETNAT_LEASE_INDEX_PRIVATE_H
#define DETNAT_LEASE_INDEX_PRIVATE_H

#include "leases/lease_index.h"
#include "leases/lease_pool.h"

/* A lease; texts are offsets in the pool, that of the session in `sessions`. */
struct lease {
	struct lease_addr addr;
	bool started; /* `from` is recorded */
	bool stopped; /* `to` is recorded */
	bool assumed;
	uint32_t tenant, id, mac, circuit, session;
	uint32_t server; /* SERVER of the session */
	int64_t from;	 /* of the first known second; later: the earliest second */
	int64_t seen;	 /* time of its last line */
	int64_t to;	 /* recorded or expected end; later: the last second, or TIME_OPEN */
	int64_t gap;	 /* the longest time between two lines; 0: one line */
	uint64_t line;	 /* number of its last line */
	int64_t reach;	 /* the latest end of this lease and those before it of the same address and tenant */
};

struct lease_off {
	uint32_t server;
	int64_t time;
	uint64_t line;
};

/* Nothing was recorded from one second to another. */
struct lease_span {
	int64_t from, to;
};

/* Lines of these seconds were erased at a time. */
struct lease_erasure {
	int64_t from, to, time;
};

/* Recording begins; imported lines may tell of times before. */
struct lease_begin {
	int64_t time;
	int64_t before; /* of the latest line before; TIME_NONE: there is none */
};

struct lease_index {
	struct lease_pool pool;
	struct lease_pool sessions; /* of one lease each, so apart: what many share stays in the cache */
	struct lease *lease;
	size_t n, room;
	struct lease_off *off; /* by server and time once finished */
	size_t n_off, off_room;
	struct lease_span *lost;
	size_t n_lost, lost_room;
	struct lease_erasure *erasure;
	size_t n_erasures, erasure_room;
	struct lease_begin *begin;
	size_t n_begin, begin_room;
	struct hash_index latest;	   /* of each address, tenant and session or customer: its last lease */
	uint32_t last_tenant, last_server; /* texts of the line before */
	uint64_t lines;
	int64_t first_time, last_time;
};

/* Ends, and the order of address, tenant and time. 0 or -ENOMEM. */
int lease_ends_find(struct lease_index *x);

/* Orders leases by address and tenant. */
int lease_order(const struct lease *a, const struct lease *b);

#endif
