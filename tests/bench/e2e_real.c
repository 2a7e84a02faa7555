// SPDX-License-Identifier: BSD-2-Clause
/*
 * Traffic as an access network has it, all at once: IMIX, 16,384 subscribers with 50 sessions each, to 100,000
 * destinations by a Zipf distribution, in a table of a million routes; every other packet from outside; one packet in
 * twenty opens a session.
 */
#include "e2e_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "e2e_conntrack.h"
#include "e2e_netns.h"
#include "host/memory.h"
#include "random.h"

#define HOSTS	    16384U
#define ESTABLISHED 50U /* of a subscriber's sessions; the others are opened in the runs */
/* Of the packets from inside, which are half of all. */
#define OPENS_EACH   10U
#define MEMORY_NEEDS (4ULL << 30)

static const bool compared[N_GATEWAYS] = {
	[GATEWAY_FORWARD] = true,
	[GATEWAY_NFT] = true,
	[GATEWAY_REDIRECT] = true,
	[GATEWAY_DETNAT] = true,
};

/* What is sent through a gateway. */
struct traffic {
	const struct gateway *g;
	uint64_t seed;
	uint32_t sent_in[E2E_MAX_LANES]; /* packets from inside so far */
	uint32_t opened[E2E_MAX_LANES];
	uint32_t *order; /* established sessions, lane by lane, in random order */
};

static uint32_t lane_hosts(const struct gateway *g)
{
	return g->hosts / g->lanes;
}

/* Flow number of a lane's n-th session, established ones first; each host gets one before any gets the next. */
static uint32_t number_of(const struct gateway *g, uint32_t lane, uint32_t n)
{
	uint32_t hosts = lane_hosts(g);

	return (lane * hosts + n % hosts) * PORTS_PER_HOST + n / hosts;
}

static uint32_t established(const struct gateway *g)
{
	return lane_hosts(g) * ESTABLISHED;
}

/* Every established session once. */
static struct e2e_flow next_opened(void *arg, uint32_t place)
{
	const struct traffic *t = arg;
	uint32_t batch = place >> E2E_BATCH_SHIFT, lane = batch % t->g->lanes;
	uint32_t n = (batch / t->g->lanes << E2E_BATCH_SHIFT) + place % E2E_BATCH;

	return traffic_flow(t->g, INSIDE_TO_OUTSIDE, t->order[lane * established(t->g) + n], EXTERNAL_PORT);
}

static struct e2e_flow next_mixed(void *arg, uint32_t place)
{
	struct traffic *t = arg;
	uint32_t batch = place >> E2E_BATCH_SHIFT, lane = traffic_lane(t->g, batch);
	enum direction d = batch % N_DIRECTIONS;
	uint32_t n = (uint32_t)(random_next(&t->seed) % established(t->g));

	if (d == INSIDE_TO_OUTSIDE && !(t->sent_in[lane]++ % OPENS_EACH))
		n = established(t->g) + t->opened[lane]++;
	return traffic_flow(t->g, d, number_of(t->g, lane, n), EXTERNAL_PORT);
}

static void shuffle_established(struct traffic *t)
{
	uint32_t share = established(t->g);

	for (uint32_t lane = 0; lane < t->g->lanes; lane++) {
		uint32_t *order = t->order + lane * share;

		for (uint32_t i = 0; i < share; i++)
			order[i] = number_of(t->g, lane, i);
		for (uint32_t i = share; i > 1; i--) {
			uint32_t other = (uint32_t)(random_next(&t->seed) % i), kept = order[i - 1];

			order[i - 1] = order[other];
			order[other] = kept;
		}
	}
}

static void open_established(struct bench *b, struct gateway *g, struct traffic *t, struct row *row)
{
	struct given given = {
		.next = next_opened, .arg = t, .packets = g->hosts * ESTABLISHED, .size = FRAME_64, .learn = true
	};
	struct result r;

	*t = (struct traffic){ .g = g, .seed = RANDOM_SEED, .order = t->order };
	shuffle_established(t);
	gateway_prepare(&b->w, g);
	r = traffic_given(&b->w, g, &given);
	if (r.arrived != r.sent)
		complain(b, "sessions opened", row->gateway, r.arrived, r.sent);
	row->sessions = gateway_translates(g->kind) ? r.sent : 0;
}

static void check_sessions(struct bench *b, const struct gateway *g, const struct traffic *t, struct row *row)
{
	if (!gateway_translates(g->kind))
		return;
	for (uint32_t lane = 0; lane < g->lanes; lane++)
		row->sessions += t->opened[lane];
	row->entries = gateway_sessions(&b->w, g);
	if (row->entries != row->sessions)
		complain(b, "sessions in the table after the runs", row->gateway, row->entries, row->sessions);
}

static void run_rounds(struct bench *b, struct gateway *g, struct traffic *t, struct row *const rows[], unsigned rounds)
{
	double alone[MAX_ROUNDS];

	for (unsigned round = 0; round < rounds; round++) {
		struct given given = { .next = next_mixed, .packets = PACKETS, .size = FRAME_IMIX, .both = true };
		struct traffic idle = t[GATEWAY_FORWARD];

		given.alone = true;
		given.arg = &idle;
		alone[round] = traffic_given(&b->w, &g[GATEWAY_FORWARD], &given).ns;
		given.alone = false;
		for (unsigned i = 0; i < N_GATEWAYS; i++) {
			unsigned k = (i + round) % N_GATEWAYS;
			uint64_t start = monotonic_us();
			struct result r;

			if (!compared[k])
				continue;
			given.arg = &t[k];
			r = traffic_given(&b->w, &g[k], &given);
			report_round(rows[k], &r, seconds_since(start));
		}
		compare(rows, round, alone[round]);
	}
	report_note(&b->report, "mixed traffic: the generator alone takes %.1f ns a packet\n", median(alone, rounds));
}

void real_measure(struct bench *b, unsigned rounds, struct redirect_goal goal)
{
	static struct gateway g[N_GATEWAYS];
	struct traffic traffic[N_GATEWAYS] = { 0 };
	struct row *rows[N_GATEWAYS] = { 0 };
	struct internet *internet;
	size_t first = b->report.rows;
	uint32_t *destinations;

	if (memory_free("") < MEMORY_NEEDS) {
		report_note(&b->report, "mixed traffic: skipped, less than %llu MB of memory are free\n",
			    MEMORY_NEEDS >> 20);
		return;
	}
	internet = internet_new();
	if (!internet)
		e2e_die(ENOMEM, "routes");
	destinations = draw_destinations(internet, HOSTS * PORTS_PER_HOST);
	for (unsigned k = 0; k < N_GATEWAYS; k++) {
		if (!compared[k])
			continue;
		gateway_new(&b->w, k, HOSTS, internet, &g[k]);
		g[k].destinations = destinations;
		rows[k] = new_row(b, k, FRAME_IMIX, "udp", HOSTS, "d100k-r1m-new5-mrr", "mixed");
		traffic[k].order = calloc(HOSTS * ESTABLISHED, sizeof(uint32_t));
		if (!traffic[k].order)
			e2e_die(ENOMEM, "sessions");
		open_established(b, &g[k], &traffic[k], rows[k]);
	}
	run_rounds(b, g, traffic, rows, rounds);
	for (unsigned k = 0; k < N_GATEWAYS; k++) {
		if (!compared[k])
			continue;
		check_losses(b, rows[k]);
		check_sessions(b, &g[k], &traffic[k], rows[k]);
	}
	report_print_rows(&b->report, first);
	report_goal(&b->report, GOAL_AT_LEAST, 5, median(rows[GATEWAY_DETNAT]->of_nft, rounds),
		    "detnat redirect against nft SNAT, mixed traffic");
	goal = mixed_goal(goal);
	goals_beside_redirect(b, rows[GATEWAY_DETNAT], &goal, "mixed traffic");
	for (unsigned k = 0; k < N_GATEWAYS; k++) {
		if (compared[k])
			gateway_free(&g[k]);
		free(traffic[k].order);
	}
	free(destinations);
	internet_free(internet);
}
