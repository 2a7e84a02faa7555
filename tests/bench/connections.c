// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole TCP connections without data: SYN, SYN with ACK, ACK; FIN, FIN, ACK. Each step is made for all connections
 * before the next, as a test run has one interface that frames come in by.
 */
#include "bench.h"

#include <inttypes.h>

#include <detnat/tcp_state.h>

#include "sessions/sessions.h"

static const struct step {
	enum direction direction;
	uint8_t flags;
} steps[] = {
	{ FROM_INSIDE, TCP_SYN },	    { FROM_OUTSIDE, TCP_SYN | TCP_ACK }, { FROM_INSIDE, TCP_ACK },
	{ FROM_INSIDE, TCP_FIN | TCP_ACK }, { FROM_OUTSIDE, TCP_FIN | TCP_ACK }, { FROM_INSIDE, TCP_ACK },
};

enum { N_STEPS = ARRAY_SIZE(steps), ESTABLISHED_AFTER = 3 };

static void expect(struct bench *b, const struct space *s, uint8_t state, const char *when, struct result *res)
{
	uint64_t n = space_in_state(b, state);

	if (n == s->n_sessions)
		return;
	fprintf(stderr, "bench: %s: %" PRIu64 " of %" PRIu64 " TCP sessions are %s %s\n", res->csit, n, s->n_sessions,
		session_state_name(state), when);
	res->wrong = true;
}

/* All steps for all sessions, which fit a list. The sample is of one packet of six. */
static struct sample connect_all(struct bench *b, const struct space *s, bool direct, struct result *res)
{
	uint32_t n = list_length(b, s);
	struct sample sum = { 0 };

	for (size_t i = 0; i < N_STEPS; i++) {
		struct job j = job_translate(b, steps[i].direction, true, steps[i].flags);
		struct sequence q = sequence_new(b, s, ORDER_RANDOM);
		struct sample one;

		flows_list(&b->core[0], &q, 0, n, steps[i].direction);
		j.direct = direct;
		one = measure(&b->core[0], &j, n, n);
		sum.ns += one.ns / N_STEPS;
		sum.floor += one.floor / N_STEPS;
		sum.generator += one.generator / N_STEPS;
		if (i + 1 == ESTABLISHED_AFTER)
			expect(b, s, SESSION_ESTABLISHED, "after their handshakes", res);
	}
	expect(b, s, SESSION_TIME_WAIT, "after their last ACK", res);
	return sum;
}

void connections_measure(struct bench *b, const struct space *s, struct result *res)
{
	space_forget(b, s);
	series_add(&res->direct[PATH_CONNECTION], connect_all(b, s, true, res));
	series_add(&res->direct[PATH_REOPENED], connect_all(b, s, true, res));
	space_forget(b, s);
	series_add(&res->path[PATH_CONNECTION], connect_all(b, s, false, res));
	series_add(&res->path[PATH_REOPENED], connect_all(b, s, false, res));
}

void connections_establish(struct bench *b, const struct space *s, struct result *res)
{
	for (size_t i = 1; i < ESTABLISHED_AFTER; i++) {
		struct job j = job_translate(b, steps[i].direction, true, steps[i].flags);
		struct sequence q = sequence_new(b, s, ORDER_BURSTS);
		uint64_t n;

		for (uint64_t from = 0; from < s->n_sessions; from += n) {
			n = s->n_sessions - from < b->list_max ? s->n_sessions - from : b->list_max;
			flows_list(&b->core[0], &q, from, (uint32_t)n, steps[i].direction);
			core_run(&b->core[0], &j, (uint32_t)n, (uint32_t)n);
		}
	}
	expect(b, s, SESSION_ESTABLISHED, "before the measurement", res);
}
