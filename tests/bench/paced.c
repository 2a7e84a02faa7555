// SPDX-License-Identifier: BSD-2-Clause
/*
 * Subscribers that are hardly active: a packet of each, in random order, after two seconds in which nothing was sent.
 * So all that the datapath knows about their next hops is older than a second, and every session has to be refreshed.
 */
#include "bench.h"

#include <unistd.h>

#include <detnat/tcp_state.h>

#define PAUSE_S 2

/* A session drawn at random of each host, hosts in random order. */
static uint32_t list_hosts(struct bench *b, const struct space *s, enum direction direction)
{
	uint32_t hosts = s->row->hosts, sessions = s->row->sessions;
	struct sequence q = sequence_of(b, s, ORDER_RANDOM, hosts);

	for (uint32_t i = 0; i < hosts; i++) {
		uint64_t host = sequence_at(&q, i);

		b->core[0].flows[i] = flow_of(s, host * sessions + random_next(&b->seed) % sessions, direction);
	}
	return hosts;
}

static void measure_after_pause(struct bench *b, const struct space *s, enum direction direction, bool direct,
				struct series *ret)
{
	struct job j = job_translate(b, direction, s->row->tcp, TCP_ACK);
	uint32_t n = list_hosts(b, s, direction);

	j.direct = direct;
	sleep(PAUSE_S);
	series_add(ret, measure(&b->core[0], &j, n, n));
}

void paced_measure(struct bench *b, const struct space *s, struct result *res)
{
	measure_after_pause(b, s, FROM_INSIDE, true, &res->direct[PATH_IN_PACED]);
	measure_after_pause(b, s, FROM_INSIDE, false, &res->path[PATH_IN_PACED]);
	measure_after_pause(b, s, FROM_OUTSIDE, true, &res->direct[PATH_OUT_PACED]);
	measure_after_pause(b, s, FROM_OUTSIDE, false, &res->path[PATH_OUT_PACED]);
}
