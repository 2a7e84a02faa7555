// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables that no cache holds: 16.5 and 66 million sessions through detnat, against the bare redirect of the same
 * packets. The flows of a run are a sample of the sessions, drawn at random.
 */
#include "e2e_rows.h"

#include <arpa/inet.h>
#include <detnat/mapping.h>

#include "base/base.h"
#include "e2e_netns.h"
#include "host/memory.h"
#include "random.h"

/* Octets that a session may take in the tables of detnat, of what else is needed. */
#define SESSION_OCTETS 40ULL
#define OTHER_OCTETS   (1ULL << 30)

static const enum gateway_kind compared[] = { GATEWAY_REDIRECT, GATEWAY_DETNAT };

struct large {
	const struct gateway *g;
	struct geometry geo;
	enum direction direction;
	uint64_t seed;
	uint32_t from; /* of the sessions to be opened next */
};

/* As detnat opens it: to one destination, every session of a host gets the first choice of its port. */
static struct e2e_flow flow_of(const struct large *l, uint32_t number)
{
	struct e2e_flow f = traffic_flow(NULL, l->direction, number, EXTERNAL_PORT);

	if (l->direction == OUTSIDE_TO_INSIDE && gateway_translates(l->g->kind)) {
		struct port_block block = mapping_forward(&l->geo, flow_host(number));

		f.dst = htonl(block.out_addr);
		f.dport = htons((uint16_t)(block.port_lo + mapping_first_choice(&l->geo, flow_port(number))));
	}
	return f;
}

/* A permutation of the sessions, whose number is 63 times a power of two: hosts in steps of an odd number. */
static struct e2e_flow next_opened(void *arg, uint32_t place)
{
	const struct large *l = arg;
	uint64_t n = l->from + place, hosts = l->g->hosts;

	return flow_of(l, (uint32_t)(n * 0x9e3779b1U % hosts * PORTS_PER_HOST + n / hosts));
}

static struct e2e_flow next_drawn(void *arg, uint32_t place)
{
	struct large *l = arg;

	(void)place;
	return flow_of(l, (uint32_t)(random_next(&l->seed) % (l->g->hosts * PORTS_PER_HOST)));
}

static void open_all(struct bench *b, struct large *l, struct row *row)
{
	struct given given = { .next = next_opened, .arg = l, .size = FRAME_64 };
	uint32_t sessions = l->g->hosts * PORTS_PER_HOST;

	l->direction = INSIDE_TO_OUTSIDE;
	for (l->from = 0; l->from < sessions; l->from += given.packets) {
		struct result r;

		given.packets = sessions - l->from < E2E_MAX_FLOWS ? sessions - l->from : E2E_MAX_FLOWS;
		r = traffic_given(&b->w, l->g, &given);
		if (r.arrived != r.sent)
			complain(b, "sessions opened", row->gateway, r.arrived, r.sent);
	}
	row->sessions = sessions;
	row->entries = gateway_sessions(&b->w, l->g);
	if (row->entries != sessions)
		complain(b, "sessions in the table", row->gateway, row->entries, sessions);
}

static void run_rounds(struct bench *b, struct large large[N_GATEWAYS], enum direction d, unsigned rounds, double goal)
{
	struct row *rows[N_GATEWAYS] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		rows[compared[i]] = new_row(b, compared[i], FRAME_64, "udp", large[compared[i]].g->hosts, "mrr",
					    d == INSIDE_TO_OUTSIDE ? "in2out" : "out2in");
	if (d == INSIDE_TO_OUTSIDE)
		open_all(b, &large[GATEWAY_DETNAT], rows[GATEWAY_DETNAT]);
	for (unsigned round = 0; round < rounds; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(compared); i++) {
			struct large *l = &large[compared[i]];
			struct given given = { .next = next_drawn, .arg = l, .packets = E2E_MAX_FLOWS };
			uint64_t start = monotonic_us();
			struct result r;

			l->direction = d;
			given.from_outside = d == OUTSIDE_TO_INSIDE;
			r = traffic_given(&b->w, l->g, &given);
			report_round(rows[compared[i]], &r, seconds_since(start));
		}
		compare(rows, round, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		check_losses(b, rows[compared[i]]);
	report_goal(&b->report, GOAL_AT_MOST, goal, median(rows[GATEWAY_DETNAT]->of_xdp, rounds),
		    "detnat redirect against the bare redirect, %u sessions, %s",
		    large[GATEWAY_DETNAT].g->hosts * PORTS_PER_HOST, rows[GATEWAY_DETNAT]->direction);
}

void large_measure(struct bench *b, uint32_t hosts, unsigned rounds, double goal)
{
	const uint64_t needs = (uint64_t)hosts * PORTS_PER_HOST * SESSION_OCTETS + OTHER_OCTETS;
	struct gateway g[N_GATEWAYS];
	struct large large[N_GATEWAYS];
	size_t first = b->report.rows;

	if (memory_free("") < needs) {
		report_note(&b->report, "%u sessions: skipped, less than %lu MB of memory are free\n",
			    hosts * PORTS_PER_HOST, needs >> 20);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++) {
		enum gateway_kind k = compared[i];

		gateway_new(&b->w, k, hosts, NULL, &g[k]);
		large[k] = (struct large){ .g = &g[k], .geo = gateway_geometry(&g[k]), .seed = RANDOM_SEED };
	}
	for (unsigned d = 0; d < N_DIRECTIONS; d++)
		run_rounds(b, large, d, rounds, goal);
	report_print_rows(&b->report, first);
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		gateway_free(&g[compared[i]]);
}
