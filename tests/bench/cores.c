// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two cores at once against one. Each of the two has half of the sessions, drawn at random, so every subscriber is on
 * both, as with receive-side scaling; the one has them all. How far the floor itself scales is what the machine allows.
 */
#include "bench.h"

#include <errno.h>
#include <pthread.h>

struct runner {
	struct core *core;
	const struct job *job;
	pthread_barrier_t *start;
	uint32_t count, packets;
	double ns;
};

static void *run_core(void *arg)
{
	struct runner *r = arg;

	core_pin(r->core);
	core_first(true);
	pthread_barrier_wait(r->start);
	r->ns = core_run(r->core, r->job, r->count, r->packets);
	return NULL;
}

/* Nanoseconds a packet of each core, while both run. */
static void run_both(struct bench *b, const struct job *j, uint32_t count, uint32_t packets, double ret_ns[MAX_CORES])
{
	struct runner runner[MAX_CORES];
	pthread_t thread[MAX_CORES];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, MAX_CORES);
	for (unsigned i = 0; i < MAX_CORES; i++) {
		runner[i] = (struct runner){ &b->core[i], j, &start, count, packets, 0 };
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
static void measure_both(struct bench *b, const struct space *s, const struct options *o, enum path path,
			 const struct job *j, enum direction direction, struct result *res)
{
	struct sequence q = sequence_new(b, s, ORDER_RANDOM);
	uint32_t count = list_length(b, s) & ~1U, packets = count > o->packets ? count : o->packets;
	struct sample alone;
	double ns[MAX_CORES];

	flows_list(&b->core[0], &q, 0, count, direction);
	alone = measure(&b->core[0], j, count, packets);
	flows_list(&b->core[0], &q, 0, count / 2, direction);
	flows_list(&b->core[1], &q, count / 2, count / 2, direction);
	run_both(b, j, count / 2, packets, ns);

	double together = 2 / (1 / ns[0] + 1 / ns[1]); /* of one core, as both have it on average */

	series_add(&res->path[path], (struct sample){ .ns = together,
						      .floor = alone.floor,
						      .generator = alone.generator,
						      .speedup = 2 * alone.ns / together });
}

void cores_measure(struct bench *b, const struct space *s, const struct options *o, struct result *res)
{
	struct job floor = job_translate(b, FROM_INSIDE, false, 0);
	struct job in = job_translate(b, FROM_INSIDE, s->row->tcp, 0),
		   out = job_translate(b, FROM_OUTSIDE, s->row->tcp, 0);

	if (b->core[1].cpu < 0)
		return;
	floor.target = TARGET_FLOOR;
	floor.verdict = 3; /* XDP_TX */
	floor.reason = N_REASONS;
	measure_both(b, s, o, PATH_FLOOR_2, &floor, FROM_INSIDE, res);
	measure_both(b, s, o, PATH_IN_2, &in, FROM_INSIDE, res);
	measure_both(b, s, o, PATH_OUT_2, &out, FROM_OUTSIDE, res);
}
