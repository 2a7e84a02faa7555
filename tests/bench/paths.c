// SPDX-License-Identifier: BSD-2-Clause
/* A row from its first mapping to its last figure. */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <detnat/tcp_state.h>

/* Rows with more sessions are filled once, not in every round, and have fewer rounds. */
#define REFILLED_SESSIONS 1100000U
#define BIG_ROUNDS	  5U
#define VERIFIED_SESSIONS 500U

#define XDP_PASSED 2
#define TC_OK	   0

static uint64_t counter(const struct bench *b, enum reason reason)
{
	struct counters c;

	if (datapath_counters(&b->d, &c))
		die("counters", errno);
	return ((const uint64_t *)&c)[reason];
}

static uint64_t refusals(const struct bench *b)
{
	return counter(b, REASON_drop_ports_exhausted) + counter(b, REASON_drop_overflow_full) +
	       counter(b, REASON_drop_quota);
}

uint32_t list_length(const struct bench *b, const struct space *s)
{
	return s->n_sessions < b->list_max ? (uint32_t)s->n_sessions : b->list_max;
}

uint64_t list_wanted(const struct row *row)
{
	return row->paths & BIT(MIXED_2) ? cores_list_wanted(row) : row_sessions(row);
}

void open_quietly(struct bench *b, const struct sequence *q, uint64_t from, uint64_t to)
{
	const struct job open = job_translate(b, FROM_INSIDE, q->s->row->tcp, TCP_SYN);
	uint64_t n;

	for (; from < to; from += n) {
		n = to - from < b->list_max ? to - from : b->list_max;
		flows_list(&b->core[0], q, from, (uint32_t)n, FROM_INSIDE);
		core_run(&b->core[0], &open, (uint32_t)n, (uint32_t)n);
	}
}

/*
 * Opens every session once, list by list. direct: by the generator with constant tail calls, else by the other one;
 * with several lists by both in turn.
 */
static void ramp_up(struct bench *b, struct space *s, bool direct, struct result *res)
{
	const bool mix = s->row->mix != MIX_NONE;
	struct job open = job_translate(b, FROM_INSIDE, s->row->tcp, TCP_SYN);
	struct sequence q = sequence_new(b, s, ORDER_RANDOM);
	uint64_t n, beyond = counter(b, REASON_sessions_overflowed), refused = refusals(b);

	/* Some are refused, and must not be answered, as an answer changes the generator's frame. */
	if (mix) {
		open.verdict = ANY_VERDICT;
		open.reason = N_REASONS;
		open.hold = s;
	}
	for (uint64_t from = 0; from < s->n_sessions; from += n) {
		n = s->n_sessions - from < b->list_max ? s->n_sessions - from : b->list_max;
		flows_list(&b->core[0], &q, from, (uint32_t)n, FROM_INSIDE);
		open.direct = direct ^ (from > 0 && from / b->list_max & 1);
		series_add(open.direct ? &res->direct[PATH_OPEN] : &res->path[PATH_OPEN],
			   measure(&b->core[0], &open, (uint32_t)n, (uint32_t)n));
	}
	refused = refusals(b) - refused;
	res->refused += refused;
	res->beyond += counter(b, REASON_sessions_overflowed) - beyond;
	res->sessions += s->n_sessions;

	uint64_t in_table = space_count(b);

	res->in_table += in_table;
	if (in_table + refused != s->n_sessions) {
		fprintf(stderr, "bench: %s: %" PRIu64 " of %" PRIu64 " sessions in the table after the ramp-up\n",
			res->csit, in_table, s->n_sessions - refused);
		res->wrong = true;
	}
	if (mix)
		mix_answers(b, s);
}

/* Ramp-ups until all sessions are there: in the same tick a subscriber gets but a few that search for a port. */
#define FILLS 100

/* Opens every session, none of them measured, and lists where they are. */
static void fill_listed(struct bench *b, struct space *s, struct result *res)
{
	struct job open = job_translate(b, FROM_INSIDE, false, 0);
	struct sequence q = sequence_new(b, s, ORDER_RANDOM);
	uint64_t in_table = 0, beyond = counter(b, REASON_sessions_overflowed);

	open.verdict = ANY_VERDICT;
	flows_list(&b->core[0], &q, 0, (uint32_t)s->n_sessions, FROM_INSIDE);
	for (unsigned i = 0; i < FILLS && in_table < s->n_sessions; i++) {
		space_hold_refusals(b, s);
		core_run(&b->core[0], &open, (uint32_t)s->n_sessions, (uint32_t)s->n_sessions);
		in_table = space_count(b);
	}
	res->sessions += s->n_sessions;
	res->in_table += in_table;
	res->beyond += counter(b, REASON_sessions_overflowed) - beyond;
	if (in_table != s->n_sessions || !features_lie_right(b, s))
		res->wrong = true;
	mix_answers(b, s);
}

struct way {
	enum path path;
	enum order order;
	enum direction direction;
};

static const struct way ways[] = {
	{ PATH_IN, ORDER_RANDOM, FROM_INSIDE },	       { PATH_OUT, ORDER_RANDOM, FROM_OUTSIDE },
	{ PATH_IN_HOSTS, ORDER_HOSTS, FROM_INSIDE },   { PATH_OUT_HOSTS, ORDER_HOSTS, FROM_OUTSIDE },
	{ PATH_IN_BURSTS, ORDER_BURSTS, FROM_INSIDE }, { PATH_OUT_BURSTS, ORDER_BURSTS, FROM_OUTSIDE },
	{ PATH_REFUSE, ORDER_RANDOM, BEYOND_QUOTA },
};

static uint32_t run_length(const struct options *o, uint32_t count)
{
	return count > o->packets ? count : o->packets;
}

static const struct way *way_of(const struct row *row, enum path path)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (ways[i].path == path && row->paths & 1U << path)
			return &ways[i];
	return NULL;
}

bool row_measure(struct bench *b, const struct space *s, const struct options *o, enum path path, bool direct,
		 struct sample *ret)
{
	const struct way *w = way_of(s->row, path);
	uint32_t count = list_length(b, s), packets = run_length(o, count);
	struct sequence q;
	struct job j;

	if (!w)
		return false;
	q = sequence_new(b, s, w->order);
	j = job_translate(b, w->direction, s->row->tcp, TCP_ACK);
	flows_list(&b->core[0], &q, 0, count, w->direction);
	j.hold = w->path == PATH_REFUSE ? s : NULL;
	j.direct = direct;
	*ret = measure(&b->core[0], &j, count, packets);
	return true;
}

static void measure_ways(struct bench *b, const struct space *s, const struct options *o, struct result *res)
{
	struct sample sample;

	for (unsigned path = 0; path < N_PATHS; path++) {
		if (!(o->paths & 1U << path))
			continue;
		if (row_measure(b, s, o, (enum path)path, false, &sample))
			series_add(&res->path[path], sample);
		if (row_measure(b, s, o, (enum path)path, true, &sample))
			series_add(&res->direct[path], sample);
	}
}

/* The same sessions with `forwarding: kernel`: what the kernel itself does between the hooks is not in the figures. */
static void measure_kernel(struct bench *b, const struct space *s, const struct options *o, struct result *res)
{
	struct job up = job_translate(b, FROM_INSIDE, false, 0), tc = up, in = job_translate(b, FROM_OUTSIDE, false, 0);
	struct {
		enum path path;
		enum direction direction;
		struct job *job;
	} jobs[] = { { PATH_KERNEL_UP, FROM_INSIDE, &up },
		     { PATH_KERNEL_TC, FROM_INSIDE, &tc },
		     { PATH_KERNEL_IN, FROM_OUTSIDE, &in } };
	uint32_t count = list_length(b, s);

	up.verdict = in.verdict = XDP_PASSED;
	up.reason = REASON_passed_untranslated;
	tc.target = TARGET_TC_OUTSIDE;
	tc.egress = b->outside_ifindex;
	tc.verdict = TC_OK;
	world_programs(b, FORWARDING_KERNEL, s->row);
	for (unsigned round = 0; round < o->rounds; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
			struct sequence q = sequence_new(b, s, ORDER_RANDOM);

			flows_list(&b->core[0], &q, 0, count, jobs[i].direction);
			series_add(&res->path[jobs[i].path],
				   measure(&b->core[0], jobs[i].job, count, run_length(o, count)));
		}
	}
	world_programs(b, FORWARDING_REDIRECT, s->row);
}

void row_fill(struct bench *b, struct space *s, bool direct, struct result *res)
{
	space_forget(b, s);
	if (row_is_stateless(s->row))
		return;
	if (s->row->mix != MIX_NONE)
		mix_draw(b, s);
	if (s->row->mix == MIX_LISTED)
		fill_listed(b, s, res);
	else
		ramp_up(b, s, direct, res);
	if (s->row->tcp)
		connections_establish(b, s, res);
}

void row_verify(struct bench *b, const struct space *s, struct result *res)
{
	int n = verify_sample(b, s, VERIFIED_SESSIONS);

	if (n < 0)
		res->wrong = true;
	else
		res->verified = (unsigned)n;
}

static void run_rounds(struct bench *b, struct space *s, const struct options *o, struct result *res)
{
	bool refilled = row_sessions(s->row) <= REFILLED_SESSIONS;
	unsigned paths = s->row->paths & o->paths;
	unsigned rounds = refilled || o->rounds < BIG_ROUNDS ? o->rounds : BIG_ROUNDS;

	for (unsigned round = 0; round < rounds; round++) {
		if (refilled)
			row_fill(b, s, true, res);
		if (refilled || round == 0)
			row_fill(b, s, false, res);
		measure_ways(b, s, o, res);
		if (s->row->routes)
			series_add(&res->route, (struct sample){ .ns = world_routes_read(b, s->row) });
		if (round == 0)
			row_verify(b, s, res);
		if (paths & BIT(IN_PACED))
			paced_measure(b, s, res);
		if (paths & BIT(IN_2))
			cores_measure(b, s, o, res);
		if (paths & BIT(CONNECTION))
			connections_measure(b, s, res);
	}
	if (paths & BIT(KERNEL_UP))
		measure_kernel(b, s, o, res);
}

bool row_begin(struct bench *b, const struct row *row, struct space *ret_space, struct result *ret)
{
	struct error err;
	uint64_t before;

	if (row->feature != b->row->feature || row->extent_buckets != b->row->extent_buckets)
		world_programs(b, FORWARDING_REDIRECT, row);
	if (!world_routes(b, row->routes, &err)) {
		before = world_memory(b, row);
		if (!space_make(b, row, ret_space, &err)) {
			ret->memory = world_memory(b, row);
			ret->memory_mapping = ret->memory - before;
			return true;
		}
	}
	snprintf(ret->skipped, sizeof(ret->skipped), "%.255s", err.text);
	return false;
}

void row_run(struct bench *b, const struct row *row, const struct options *o, struct result *ret)
{
	struct result res = { .row = row };
	struct space s;

	row_csit_name(row, res.csit);
	if (row->beside) {
		pairs_run(b, row, o, &res);
	} else if (row_begin(b, row, &s, &res)) {
		run_rounds(b, &s, o, &res);
		space_free(b, &s);
	}
	if (!res.skipped[0])
		res.read_ns = memory_latency(b, row_sessions(row) * sizeof(struct slot));
	*ret = res;
}
