// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two cores at once against one. Each of the two has half of the sessions, drawn at random, so every subscriber is on
 * both, as with receive-side scaling; the one has them all. How far the floor itself scales is what the machine allows.
 *
 * Two more ways: one core sends all sessions from inside while the other sends all their answers; and one packet in
 * twenty opens a session, on both cores.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>

#include <detnat/tcp_state.h>

/* Of the sessions, the part that is opened while others are in use: one in OPENING, with one packet in OPENS_EACH. */
#define OPENING	   4U
#define OPENS_EACH 20U

/* What one core does: packets, or with `circle` reads. */
struct part {
	struct job job;
	uint32_t count, packets;
	const struct circle *circle;
	uint64_t start; /* offset in the circle */
};

struct runner {
	struct core *core;
	const struct part *part;
	pthread_barrier_t *start;
	double ns;
};

static void *run_core(void *arg)
{
	struct runner *r = arg;

	core_pin(r->core);
	core_first(true);
	pthread_barrier_wait(r->start);
	if (r->part->circle)
		r->ns = circle_run(r->part->circle, r->part->start);
	else
		r->ns = core_run(r->core, &r->part->job, r->part->count, r->part->packets);
	return NULL;
}

/* Nanoseconds a packet of each core, while both run. */
static void run_both(struct bench *b, const struct part part[MAX_CORES], double ret_ns[MAX_CORES])
{
	struct runner runner[MAX_CORES];
	pthread_t thread[MAX_CORES];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, MAX_CORES);
	for (unsigned i = 0; i < MAX_CORES; i++) {
		runner[i] = (struct runner){ &b->core[i], &part[i], &start, 0 };
		if (pthread_create(&thread[i], NULL, run_core, &runner[i]))
			die("a thread", EAGAIN);
	}
	for (unsigned i = 0; i < MAX_CORES; i++) {
		pthread_join(thread[i], NULL);
		ret_ns[i] = runner[i].ns;
	}
	pthread_barrier_destroy(&start);
}

/* The sample's ns is of one core while both run, its floor of one core alone. */
static struct sample sample_of(const double ns[MAX_CORES], const struct sample *alone)
{
	double together = 2 / (1 / ns[0] + 1 / ns[1]); /* of one core, as both have it on average */

	return (struct sample){ .ns = together,
				.floor = alone->floor,
				.generator = alone->generator,
				.speedup = 2 * alone->ns / together };
}

static uint32_t run_length(const struct options *o, uint32_t count)
{
	return count > o->packets ? count : o->packets;
}

static void measure_both(struct bench *b, const struct space *s, const struct options *o, enum path path,
			 const struct job *j, enum direction direction, struct result *res)
{
	struct sequence q = sequence_new(b, s, ORDER_RANDOM);
	uint32_t count = list_length(b, s) & ~1U, packets = run_length(o, count);
	struct part half = { .job = *j, .count = count / 2, .packets = packets }, both[MAX_CORES] = { half, half };
	struct sample alone;
	double ns[MAX_CORES];

	flows_list(&b->core[0], &q, 0, count, direction);
	alone = measure(&b->core[0], j, count, packets);
	flows_list(&b->core[0], &q, 0, count / 2, direction);
	flows_list(&b->core[1], &q, count / 2, count / 2, direction);
	run_both(b, both, ns);
	series_add(&res->path[path], sample_of(ns, &alone));
}

/* All sessions from inside on one core, their answers on the other. */
static void measure_crossed(struct bench *b, const struct space *s, const struct options *o, const struct job *in,
			    const struct job *out, struct result *res)
{
	const struct job *job[MAX_CORES] = { in, out };
	const enum direction direction[MAX_CORES] = { FROM_INSIDE, FROM_OUTSIDE };
	uint32_t count = list_length(b, s), packets = run_length(o, count);
	struct sample alone = { 0 };
	struct part part[MAX_CORES];
	double ns[MAX_CORES];

	for (unsigned i = 0; i < MAX_CORES; i++) {
		struct sequence q = sequence_new(b, s, ORDER_RANDOM);
		struct sample one;

		flows_list(&b->core[i], &q, 0, count, direction[i]);
		one = measure(&b->core[i], job[i], count, packets);
		alone.ns += one.ns / MAX_CORES;
		alone.floor += one.floor / MAX_CORES;
		alone.generator += one.generator / MAX_CORES;
		part[i] = (struct part){ .job = *job[i], .count = count, .packets = packets };
	}
	run_both(b, part, ns);
	series_add(&res->path[PATH_CROSS_2], sample_of(ns, &alone));
}

/* Sessions that are opened during the run. */
static uint32_t opened_meanwhile(const struct bench *b, const struct space *s)
{
	uint64_t n = s->n_sessions / OPENING;

	return (uint32_t)(n < b->list_max / OPENS_EACH ? n : b->list_max / OPENS_EACH) & ~1U;
}

uint64_t cores_list_wanted(const struct row *row)
{
	return row_sessions(row) / OPENING * OPENS_EACH;
}

/* Lists flows so that each twentieth is the next of q from `opening` on, and the others are earlier ones. */
static void list_opening(struct core *c, const struct sequence *q, uint64_t opening, uint32_t n, uint64_t in_use)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t place = i % OPENS_EACH ? random_next(&c->b->seed) % in_use : opening + i / OPENS_EACH;

		c->flows[i] = flow_of(q->s, sequence_at(q, place), FROM_INSIDE);
	}
}

static void measure_opening(struct bench *b, const struct space *s, const struct job *in, struct result *res)
{
	struct sequence q = sequence_new(b, s, ORDER_RANDOM);
	uint32_t n = opened_meanwhile(b, s), count = n * OPENS_EACH;
	uint64_t in_use = s->n_sessions - n, sessions;
	struct part half = { .job = *in, .count = count / 2, .packets = count / 2 }, both[MAX_CORES] = { half, half };
	struct sample alone;
	double ns[MAX_CORES];

	space_forget(b, s);
	open_quietly(b, &q, 0, in_use);
	list_opening(&b->core[0], &q, in_use, count, in_use);
	alone = measure(&b->core[0], in, count, count);
	space_forget(b, s);
	open_quietly(b, &q, 0, in_use);
	list_opening(&b->core[0], &q, in_use, count / 2, in_use);
	list_opening(&b->core[1], &q, in_use + n / 2, count / 2, in_use);
	run_both(b, both, ns);
	series_add(&res->path[PATH_MIXED_2], sample_of(ns, &alone));
	sessions = space_count(b);
	if (sessions != s->n_sessions) {
		fprintf(stderr, "bench: %s: %" PRIu64 " of %" PRIu64 " sessions after two cores opened some\n",
			res->csit, sessions, s->n_sessions);
		res->wrong = true;
	}
}

/*
 * Reads at random in as much memory as the sessions take, which both cores share: they are independent of each other,
 * so what they lose together is what the machine's caches and memory allow.
 */
static void measure_reads(struct bench *b, const struct space *s, struct result *res)
{
	struct part both[MAX_CORES] = { 0 };
	struct sample alone = { 0 };
	double ns[MAX_CORES];
	struct circle c;

	if (!circle_new(b, s->n_sessions * sizeof(struct slot), &c))
		return;
	for (unsigned i = 0; i < MAX_CORES; i++)
		both[i] = (struct part){ .circle = &c, .start = c.octets / MAX_CORES * i };
	circle_run(&c, 0); /* warms the caches */
	alone.ns = circle_run(&c, 0);
	run_both(b, both, ns);
	series_add(&res->path[PATH_READ_2], sample_of(ns, &alone));
	circle_free(&c);
}

void cores_measure(struct bench *b, const struct space *s, const struct options *o, struct result *res)
{
	struct job floor = job_translate(b, FROM_INSIDE, false, 0);
	struct job in = job_translate(b, FROM_INSIDE, s->row->tcp, TCP_ACK),
		   out = job_translate(b, FROM_OUTSIDE, s->row->tcp, TCP_ACK);

	if (b->core[1].cpu < 0)
		return;
	floor.target = TARGET_FLOOR;
	floor.verdict = 3; /* XDP_TX */
	floor.reason = N_REASONS;
	measure_both(b, s, o, PATH_FLOOR_2, &floor, FROM_INSIDE, res);
	measure_both(b, s, o, PATH_IN_2, &in, FROM_INSIDE, res);
	measure_both(b, s, o, PATH_OUT_2, &out, FROM_OUTSIDE, res);
	measure_crossed(b, s, o, &in, &out, res);
	measure_opening(b, s, &in, res);
	measure_reads(b, s, res);
}
