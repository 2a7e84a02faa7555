/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the end-to-end benchmark share: e2e.c, e2e_real.c, e2e_bulk.c. */
#ifndef DETNAT_BENCH_E2E_ROWS_H
#define DETNAT_BENCH_E2E_ROWS_H

#include "e2e_report.h"

/* Packets of a run: each session four times at 64,512. */
#define PACKETS (4U * 64512U)

struct bench {
	struct world w;
	struct report report;
	double ratio_at_64512[N_FRAME_SIZES][N_DIRECTIONS];
	bool wrong;
};

double seconds_since(uint64_t start_us);

/* Notes that something is not as it has to be. Ends the run if nothing moved at all (`is` 0): such a row has no
 * figures. */
void complain(struct bench *b, const char *text, const char *gateway, uint64_t is, uint64_t has_to_be);

/* A gateway that loses packets has not done the work that it was timed at. */
void check_losses(struct bench *b, const struct row *row);

/* A row with a name as CSIT would give it. */
struct row *new_row(struct bench *b, enum gateway_kind kind, enum frame_size size, const char *proto, uint32_t hosts,
		    const char *method, const char *path);

/*
 * Compares the gateways' figures of a round; rows may be NULL. alone: what the generator takes by
 * itself, 0 where that was not measured.
 */
void compare(struct row *const rows[N_GATEWAYS], unsigned round, double alone);

/* Destinations of n flows, host byte order, as mixed traffic has them; to be freed. Ends the program without memory. */
uint32_t *draw_destinations(const struct internet *t, uint32_t n);

/* What a packet of detnat may take, beside the bare redirect's in the same round; 0: no goal. */
struct redirect_goal {
	double of_xdp;	 /* times the redirect's nanoseconds */
	double above_ns; /* nanoseconds more than the redirect's */
};

/* What mixed traffic may cost, of the goals of one direction to one destination. */
#define MIXED_ALLOWANCE 1.1
#define MIXED_NS_MORE	50.0

static inline struct redirect_goal mixed_goal(struct redirect_goal one_way)
{
	return (struct redirect_goal){
		.of_xdp = one_way.of_xdp * MIXED_ALLOWANCE,
		.above_ns = one_way.above_ns > 0 ? one_way.above_ns + MIXED_NS_MORE : 0,
	};
}

/* what: the traffic of the row. */
void goals_beside_redirect(struct bench *b, const struct row *row, const struct redirect_goal *goal, const char *what);

/*
 * Many subscribers and destinations, new sessions, both directions and frames of all sizes at once (e2e_real.c). goal:
 * of one direction.
 */
void real_measure(struct bench *b, unsigned rounds, struct redirect_goal goal);

/* Tables that no cache holds (e2e_large.c). goal: as above. */
void large_measure(struct bench *b, uint32_t hosts, unsigned rounds, struct redirect_goal goal);

/* nft with its flowtable beside nft, and detnat (e2e_flowtable.c). */
void flowtable_measure(struct bench *b, uint32_t hosts);

/* Bulk TCP (e2e_bulk.c). */
void bulk_measure(struct bench *b, unsigned rounds);

#endif
