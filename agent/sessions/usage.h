/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far subscribers have used what they have: a pass through all sessions, in slices, that sums up by mapping. Only
 * subscribers with sessions cost more than a load.
 */
#ifndef DETNAT_USAGE_H
#define DETNAT_USAGE_H

#include <stdbool.h>

#include "tables/mappings.h"

enum usage_protocol { USAGE_TCP, USAGE_UDP, USAGE_ICMP, N_USAGE_PROTOCOLS };

/* "tcp", "udp" or "icmp" */
const char *usage_protocol_text(enum usage_protocol p);

/* Upper bounds of a histogram's buckets, percent; above the last one is what exceeds its limit. */
#define N_USAGE_BOUNDS 7U
extern const uint8_t usage_bounds[N_USAGE_BOUNDS];

/* Shares that subscribers have used of a limit. */
struct usage_histogram {
	uint64_t bucket[N_USAGE_BOUNDS + 1]; /* subscribers above the bound before and not above this one */
	double sum;			     /* of all shares, 1 being the whole limit */
};

struct mapping_usage {
	struct geometry geo; /* of the mapping that these are the figures of */
	uint64_t sessions[N_USAGE_PROTOCOLS];
	uint64_t subscribers;	      /* that have sessions; each is once in each histogram */
	uint64_t at_quota;	      /* of them, those that may open no further one */
	uint64_t exhausted;	      /* of them, those without a free port for their busiest destination */
	struct usage_histogram quota; /* sessions, of sessions_per_user */
	/* Ports that any session uses, of the block, in the protocol that uses most. */
	struct usage_histogram block;
	/*
	 * Sessions to the busiest destination (external address, port and protocol), of the ports of the block: each
	 * takes a port of its own, so the whole block is where refusals begin. In both, sessions beyond the slots
	 * (overflow) are taken to have a port each, to one destination.
	 */
	struct usage_histogram destination;
};

struct session_usage;

int session_usage_new(struct mappings *m, struct session_usage **ret); /* -ENOMEM */
/* Goes on for about budget_us microseconds: 1 more to do, 0 done, -errno. */
int session_usage_step(struct session_usage *u, unsigned budget_us);
void session_usage_free(struct session_usage *u); /* NULL is allowed */

/* Figures of the mapping that has this number now; zeros where it came after the pass, or has no sessions. */
struct mapping_usage session_usage_of(const struct session_usage *u, int number);

/* Subscribers whose share is above a bound of usage_bounds. */
uint64_t usage_above(const struct usage_histogram *h, unsigned bound);

/* Puts n of limit into a histogram; more than the limit is possible. */
void usage_observe(struct usage_histogram *h, uint32_t n, uint32_t limit);

#endif
