// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables that no cache holds: 16.5 and 66 million sessions through detnat, against the bare redirect of the same
 * packets. The flows of a run are a sample of the sessions, drawn at random: all from inside, all from outside, and
 * mixed with 100,000 destinations, a million routes, and one packet in twenty that opens a session.
 */
#include "e2e_rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <detnat/mapping.h>

#include "base/base.h"
#include "e2e_netns.h"
#include "host/memory.h"
#include "random.h"

/* Octets that a session may take in the tables of detnat, of what else is needed. */
#define SESSION_OCTETS 44ULL
#define OTHER_OCTETS   (1ULL << 30)

static const enum gateway_kind compared[] = { GATEWAY_REDIRECT, GATEWAY_DETNAT };

/* Of a host's sessions, those that are open before mixed traffic starts, and open others. */
#define ESTABLISHED 60U
/* Of the packets from inside, which are half of all. */
#define OPENS_EACH 10U

struct large {
	const struct gateway *g;
	struct geometry geo;
	enum direction direction;
	uint64_t seed;
	uint32_t ports; /* of each host, that are in use */
	uint32_t from;	/* of the sessions to be opened next */
	uint32_t sent_in;
	uint32_t opened;
};

/* What is sent, and how it is called. */
struct kind {
	const char *method, *path;
	struct e2e_flow (*next)(void *arg, uint32_t place);
	enum direction direction;
	bool both;
};

/* As detnat opens it: every session of a host gets the first choice of its port. */
static struct e2e_flow flow_of(const struct large *l, uint32_t number)
{
	struct e2e_flow f = traffic_flow(NULL, l->direction, number, EXTERNAL_PORT);
	uint32_t *outside = l->direction == INSIDE_TO_OUTSIDE ? &f.dst : &f.src;

	*outside = htonl(gateway_destination(l->g, number));
	if (l->direction == OUTSIDE_TO_INSIDE && gateway_translates(l->g->kind)) {
		struct port_block block = mapping_forward(&l->geo, flow_host(number));

		f.dst = htonl(block.out_addr);
		f.dport = htons((uint16_t)(block.port_lo + mapping_first_choice(&l->geo, flow_port(number))));
	}
	return f;
}

/* Flow number of the n-th session: each host gets one before any gets the next. */
static uint32_t number_of(const struct large *l, uint64_t n)
{
	return (uint32_t)(n % l->g->hosts * PORTS_PER_HOST + n / l->g->hosts);
}

/* A permutation of the sessions, hosts in steps of an odd number. */
static struct e2e_flow next_opened(void *arg, uint32_t place)
{
	const struct large *l = arg;
	uint64_t n = l->from + place, hosts = l->g->hosts;

	return flow_of(l, number_of(l, n / hosts * hosts + n * 0x9e3779b1U % hosts));
}

static uint32_t draw(struct large *l)
{
	return number_of(l, random_next(&l->seed) % ((uint64_t)l->g->hosts * l->ports));
}

static struct e2e_flow next_drawn(void *arg, uint32_t place)
{
	struct large *l = arg;

	(void)place;
	return flow_of(l, draw(l));
}

static struct e2e_flow next_mixed(void *arg, uint32_t place)
{
	struct large *l = arg;
	uint32_t number = draw(l);

	l->direction = (place >> E2E_BATCH_SHIFT) % N_DIRECTIONS;
	if (l->direction == INSIDE_TO_OUTSIDE && !(l->sent_in++ % OPENS_EACH))
		number = number_of(l, (uint64_t)l->g->hosts * l->ports + l->opened++);
	return flow_of(l, number);
}

static const struct kind plain[] = {
	{ "mrr", "in2out", next_drawn, .direction = INSIDE_TO_OUTSIDE },
	{ "mrr", "out2in", next_drawn, .direction = OUTSIDE_TO_INSIDE },
};

static const struct kind mixed[] = { { "d100k-r1m-new5-mrr", "mixed", next_mixed, .both = true } };

static void open_all(struct bench *b, struct large *l)
{
	struct given given = { .next = next_opened, .arg = l, .size = FRAME_64 };
	uint32_t sessions = l->g->hosts * l->ports;

	l->direction = INSIDE_TO_OUTSIDE;
	for (l->from = 0; l->from < sessions; l->from += given.packets) {
		struct result r;

		given.packets = sessions - l->from < E2E_MAX_FLOWS ? sessions - l->from : E2E_MAX_FLOWS;
		r = traffic_given(&b->w, l->g, &given);
		if (r.arrived != r.sent)
			complain(b, "sessions opened", gateway_name(l->g->kind), r.arrived, r.sent);
	}
}

static void check_sessions(struct bench *b, const struct large *l, struct row *row)
{
	row->sessions = (uint64_t)l->g->hosts * l->ports + l->opened;
	row->entries = gateway_sessions(&b->w, l->g);
	if (row->entries != row->sessions)
		complain(b, "sessions in the table after the runs", row->gateway, row->entries, row->sessions);
}

static void run_rounds(struct bench *b, struct large large[N_GATEWAYS], const struct kind *kind, unsigned rounds,
		       const struct redirect_goal *goal)
{
	char what[64];
	struct row *rows[N_GATEWAYS] = { 0 };
	uint32_t hosts = large[GATEWAY_DETNAT].g->hosts;

	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		rows[compared[i]] = new_row(b, compared[i], FRAME_64, "udp", hosts, kind->method, kind->path);
	for (unsigned round = 0; round < rounds; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(compared); i++) {
			struct large *l = &large[compared[i]];
			struct given given = {
				.next = kind->next, .arg = l, .packets = E2E_MAX_FLOWS, .both = kind->both
			};
			uint64_t start = monotonic_us();
			struct result r;

			l->direction = kind->direction;
			given.from_outside = kind->direction == OUTSIDE_TO_INSIDE;
			r = traffic_given(&b->w, l->g, &given);
			report_round(rows[compared[i]], &r, seconds_since(start));
		}
		compare(rows, round, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		check_losses(b, rows[compared[i]]);
	check_sessions(b, &large[GATEWAY_DETNAT], rows[GATEWAY_DETNAT]);
	snprintf(what, sizeof(what), "%lu sessions, %s", rows[GATEWAY_DETNAT]->sessions, kind->path);
	goals_beside_redirect(b, rows[GATEWAY_DETNAT], goal, what);
}

/* destinations: by flow number, see struct gateway; NULL: one for all, and no routes beside the default one. */
static void measure_kinds(struct bench *b, uint32_t hosts, const struct internet *t, const uint32_t *destinations,
			  const struct kind *kinds, size_t n, unsigned rounds, struct redirect_goal goal)
{
	struct gateway g[N_GATEWAYS];
	struct large large[N_GATEWAYS];
	size_t first = b->report.rows;

	for (size_t i = 0; i < ARRAY_SIZE(compared); i++) {
		enum gateway_kind k = compared[i];

		gateway_new(&b->w, k, hosts, t, &g[k]);
		g[k].destinations = destinations;
		large[k] = (struct large){ .g = &g[k],
					   .geo = gateway_geometry(&g[k]),
					   .seed = RANDOM_SEED,
					   .ports = destinations ? ESTABLISHED : PORTS_PER_HOST };
	}
	open_all(b, &large[GATEWAY_DETNAT]);
	for (size_t i = 0; i < n; i++)
		run_rounds(b, large, &kinds[i], rounds, &goal);
	report_print_rows(&b->report, first);
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		gateway_free(&g[compared[i]]);
}

void large_measure(struct bench *b, uint32_t hosts, unsigned rounds, struct redirect_goal goal)
{
	const uint64_t needs = (uint64_t)hosts * PORTS_PER_HOST * SESSION_OCTETS + OTHER_OCTETS;
	struct internet *internet;
	uint32_t *destinations;

	if (memory_free("") < needs) {
		report_note(&b->report, "%u sessions: skipped, less than %lu MB of memory are free\n",
			    hosts * PORTS_PER_HOST, needs >> 20);
		return;
	}
	measure_kinds(b, hosts, NULL, NULL, plain, ARRAY_SIZE(plain), rounds, goal);
	internet = internet_new();
	if (!internet)
		e2e_die(ENOMEM, "routes");
	destinations = draw_destinations(internet, hosts * PORTS_PER_HOST);
	measure_kinds(b, hosts, internet, destinations, mixed, ARRAY_SIZE(mixed), rounds, mixed_goal(goal));
	free(destinations);
	internet_free(internet);
}
