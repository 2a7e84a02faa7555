/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Collects flows of many files and gives them back subscriber by subscriber, in the order of their time. Beyond a limit
 * of memory they wait in a file without a name, in parts of which one at a time is read back.
 */
#ifndef DETNAT_COLLECTION_H
#define DETNAT_COLLECTION_H

#include <detnat/tables.h>

#include "base/error.h"
#include "traffic/traffic.h"

/* A flow from inside. Addresses and ports are in host byte order. */
struct plan_flow {
	int64_t first_ms;
	int64_t last_ms;
	uint32_t in_addr;
	uint32_t ext_addr;
	uint16_t in_port;
	uint16_t ext_port;
	uint16_t timer; /* not 0: an entry of a table, whose state is that of the table's time */
	uint8_t proto;
	uint8_t state;
	bool exact;
};

#define COLLECTION_PARTS 256U
/* Flows in memory while files are read, in octets. */
#define COLLECTION_MEMORY (256UL << 20)
/* Of one subscriber; one with more is no subscriber. */
#define COLLECTION_MAX_FLOWS (1UL << 24)
#define COLLECTION_MAX_FILES 4096U

struct collection_part {
	struct plan_flow *flow;
	size_t n, room;
	uint64_t spilled; /* flows in the file */
};

struct collection {
	/* input; inside ranges, sorted and disjoint. None: private addresses are inside. */
	const struct address_range *in;
	size_t n_in;
	size_t memory; /* limit, in octets; 0: COLLECTION_MEMORY */
	uint32_t timeout_s[N_TIMEOUTS];
	/* findings */
	uint64_t flows;	    /* collected */
	uint64_t towards;   /* from outside to a subscriber: answers, and what the outside opens */
	uint64_t strangers; /* neither end is inside */
	uint64_t unclear;   /* without ranges: both ends are private, or neither is */
	uint64_t idle;	    /* of tables: idle for longer than detnat keeps them */
	int64_t from_ms, to_ms;
	size_t peak_memory;
	bool naive;
	/* private */
	struct collection_part part[COLLECTION_PARTS];
	size_t used;
	int spill; /* file, or -1 */
	uint64_t spill_end;
	struct spilled {
		uint32_t part;
		uint32_t n;
		uint64_t at;
	} * spills;
	size_t n_spills, room_spills;
	int64_t *timer_ms; /* length of each timer of each file */
	unsigned files;
};

void collection_init(struct collection *c);
void collection_free(struct collection *c);

/* Reads a file, traffic_read(), and keeps its flows. 0, or -errno with err. */
int collection_read(struct collection *c, int fd, const char *name, int64_t taken_ms, struct traffic_notes *ret_notes,
		    struct error *err);

/* Gets the flows of a subscriber, sorted by their first packet; it may change them. 0, or -errno, which ends the walk.
 */
typedef int (*collection_take)(void *arg, uint32_t in_addr, struct plan_flow *flow, size_t n);

/* Walks through the subscribers, in no order of their addresses; the same in each walk. 0, or -errno with err. */
int collection_walk(struct collection *c, collection_take take, void *arg, struct error *err);

/* The timeout that ends a session in this state, in seconds. */
static inline uint32_t collection_timeout(const struct collection *c, uint8_t state)
{
	return c->timeout_s[session_timeout(state)];
}

#endif
