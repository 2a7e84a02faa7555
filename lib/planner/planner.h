/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What sharing ratios would do to subscribers: a row for each, from recorded traffic that is replayed, or from an
 * assumption.
 */
#ifndef DETNAT_PLANNER_H
#define DETNAT_PLANNER_H

#include "planner/demand.h"
#include "planner/replay.h"
#include "planner/supply.h"

#define PLANNER_MAX_ROWS 32U

/* Blocks that grow. A ninth of the ports is left for them, if the reserve is not given. */
#define PLANNER_GROWTH_RESERVE (1.0 / 9)

struct planner_settings {
	uint32_t quota;
	uint8_t bindings; /* BINDING_… */
	double scale;	  /* traffic is multiplied by this */
	double reserve;	  /* share of the ports that no block takes */
	uint32_t timeout_s[N_TIMEOUTS];
	struct growth_layout growth; /* block 0: blocks do not grow */
};

struct planner_row {
	uint32_t ratio;
	uint32_t ports;
	uint32_t slots;
	uint32_t hosts;	 /* of an IPv6 subscriber; 0: IPv4 */
	uint32_t blocks; /* that the shared range of an address has */
	uint32_t reach;	 /* ports of a subscriber with all blocks that he may have */
	uint64_t exceed; /* subscribers whose most sessions at once are more than that */
	struct replay_result result;
	uint64_t subscribers_refused;
	uint64_t beyond_peak; /* the most sessions beyond the slots at once, of all subscribers */
	struct supply_result supply;
};

struct planner_demand {
	uint64_t subscribers; /* with traffic */
	uint64_t sessions;
	/* Of each subscriber, sorted: see struct demand. */
	uint32_t *most[3];
	size_t room;
};
enum { MOST_SESSIONS, MOST_BUSIEST, MOST_ENDPOINTS };

/* A row without figures: the ports of a ratio, 1 to 64512, and the slots. */
struct planner_row planner_row_of(const struct planner_settings *s, uint32_t ratio);

/* Octets of the datapath's tables for so many subscribers. */
uint64_t planner_memory(const struct planner_settings *s, const struct planner_row *row, uint64_t subscribers);

/* Reads the demand of all subscribers. 0, or -errno with err; the caller frees it. */
int planner_demand_read(struct collection *c, const struct planner_settings *s, struct planner_demand *ret,
			struct error *err);
void planner_demand_free(struct planner_demand *d);

/* The least figure that a share of the subscribers does not exceed. */
uint32_t planner_demand_of(const struct planner_demand *d, unsigned most, double share);

/* Replays the traffic in n rows made by planner_row_of(), PLANNER_MAX_ROWS at most. 0, or -errno with err. */
int planner_rows_fill(struct collection *c, const struct planner_settings *s, const struct planner_demand *d,
		      struct planner_row *row, size_t n, struct error *err);

/* The share of sessions that a row refuses. */
static inline double planner_refused(const struct planner_row *row)
{
	return row->result.sessions
		       ? (double)(row->result.refused_ports + row->result.refused_quota) / (double)row->result.sessions
		       : 0;
}

/*
 * The assumption where there is no traffic: the most sessions of a subscriber at once are distributed lognormally, with
 * a mean of 20 and one in a thousand above 1000. Returns the share of subscribers above a number of ports.
 */
#define ASSUMPTION_SOURCES                                                                                         \
	"20 sessions a subscriber on average (T. Wicks, NANOG, July 2014, fixed broadband), 99.9 % of them below " \
	"1000 "                                                                                                    \
	"(household of the VyOS manual; a choice)"
double planner_assumed_exceed(uint32_t ports, double scale);

#endif
