/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of their limits subscribers use: a pass in slices through all sessions except draining ones, summed up per
 * mapping. Subscribers without sessions cost one load.
 */
#ifndef DETNAT_USAGE_H
#define DETNAT_USAGE_H

#include <stdbool.h>

#include "tables/mappings.h"

enum usage_protocol { USAGE_TCP, USAGE_UDP, USAGE_ICMP, N_USAGE_PROTOCOLS };

/* "tcp", "udp" or "icmp" */
const char *usage_protocol_text(enum usage_protocol p);

/* Upper bounds of the histogram buckets, in percent; the last bucket counts subscribers above their limit. */
#define N_USAGE_BOUNDS 7U
extern const uint8_t usage_bounds[N_USAGE_BOUNDS];

/* Shares of a limit that subscribers have used. */
struct usage_histogram {
	uint64_t bucket[N_USAGE_BOUNDS + 1]; /* subscribers above the previous bound, up to this one */
	double sum;			     /* of all shares; 1 is the whole limit */
};

struct mapping_usage {
	struct geometry geo; /* of the mapping that the figures belong to */
	uint64_t sessions[N_USAGE_PROTOCOLS];
	uint64_t beyond; /* of these, in extents */
	/*
	 * TCP sessions in which only the inside has sent a SYN, a second ago or more: a session of UDP or ICMP does not
	 * show whether it was answered.
	 */
	uint64_t unanswered;
	uint64_t bindings[N_USAGE_PROTOCOLS]; /* of subscribers with sessions */
	uint64_t subscribers;		      /* with sessions; each is counted once per histogram */
	uint64_t at_quota;		      /* of these, at their quota */
	uint64_t exhausted;	      /* of these, without a free port for their busiest destination, or for any */
	struct usage_histogram quota; /* sessions, relative to sessions_per_user */
	/* Ports in use, relative to the block, in the protocol that uses most. */
	struct usage_histogram block;
	/*
	 * Sessions to the busiest destination (external address, port and protocol), relative to the ports of the
	 * block: each needs a port of its own, so refusals begin at 100 %.
	 */
	struct usage_histogram destination;
};

struct session_usage;
struct survey;

/* survey: rides on the pass (sessions/survey.h), or NULL. It must outlive the pass, not its figures. -ENOMEM */
int session_usage_new(struct mappings *m, struct survey *survey, struct session_usage **ret);
/* Continues for about budget_us microseconds: 1: more to do, 0: done. */
int session_usage_step(struct session_usage *u, unsigned budget_us);
void session_usage_free(struct session_usage *u); /* may be NULL */

/* The figures of the mapping that has this number now; zeros if it was added after the pass or has no sessions. */
struct mapping_usage session_usage_of(const struct session_usage *u, int number);

/* Subscribers whose share is above a bound of usage_bounds. */
uint64_t usage_above(const struct usage_histogram *h, unsigned bound);

/* Adds n out of limit to a histogram; n may exceed limit. */
void usage_observe(struct usage_histogram *h, uint32_t n, uint32_t limit);

#endif
