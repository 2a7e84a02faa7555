// SPDX-License-Identifier: BSD-2-Clause
#include "failures.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "random.h"

#define NO_GATEWAY  UINT32_MAX
#define HOUR	    3600.0
#define MOST_EVENTS 5e8
/* Sessions that are drawn for each failover; the group's are counted in proportion. */
#define DRAWN 100

enum machine_state { UP, FAILED, UPGRADED };

struct machine {
	enum machine_state state;
	double change;	/* when it fails, or is back */
	double upgrade; /* when it is due */
};

struct group {
	uint32_t server;
	double since; /* without one */
};

struct world {
	const struct options *options;
	const struct model *model;
	struct tally tally;
	struct machine *machine;
	uint32_t machines, up;
	struct group *group;
	uint32_t groups;
	uint32_t *heap; /* of machines, by their next event */
	uint64_t seed;
	double now;
};

static double next_event(const struct machine *m)
{
	return m->state == UP ? fmin(m->change, m->upgrade) : m->change;
}

static void sift(struct world *w, uint32_t at)
{
	for (;;) {
		uint32_t least = at, moved;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < w->machines; child++)
			if (next_event(&w->machine[w->heap[child]]) < next_event(&w->machine[w->heap[least]]))
				least = child;
		if (least == at)
			return;
		moved = w->heap[at];
		w->heap[at] = w->heap[least];
		w->heap[least] = moved;
		at = least;
	}
}

static bool is_ecmp(const struct world *w)
{
	return (enum layout)w->options->layout == LAYOUT_ECMP;
}

/* The two machines that a group may have: the first is preferred in a ring. */
static void candidates(const struct world *w, uint32_t group, uint32_t ret[2])
{
	if ((enum layout)w->options->layout == LAYOUT_PAIR) {
		ret[0] = 2 * group;
		ret[1] = 2 * group + 1;
	} else {
		ret[0] = group;
		ret[1] = (group + 1) % w->groups;
	}
}

static uint32_t other_candidate(const struct world *w, uint32_t group, uint32_t machine)
{
	uint32_t either[2];

	candidates(w, group, either);
	return either[either[0] == machine];
}

/* The groups that may be at a machine; returns how many. */
static unsigned groups_of(const struct world *w, uint32_t machine, uint32_t ret[2])
{
	if ((enum layout)w->options->layout == LAYOUT_PAIR) {
		ret[0] = machine / 2;
		return 1;
	}
	ret[0] = machine;
	ret[1] = (machine + w->groups - 1) % w->groups;
	return 2;
}

static double drawn_gap(struct world *w)
{
	/* A failure comes at any time between two packets of BFD, of which five in a row have to be missed. */
	return w->options->detection * (0.8 + 0.2 * random_share(&w->seed)) + w->options->convergence;
}

static void count_gap(struct world *w, double subscribers)
{
	double gap = drawn_gap(w);

	w->tally.failovers++;
	w->tally.gap += gap;
	w->tally.gap_most = fmax(w->tally.gap_most, gap);
	w->tally.interrupted += gap * subscribers;
}

/* Draws sessions in use: what becomes of each without copies, and with them. */
static void draw_sessions(struct world *w, double sessions)
{
	const struct options *o = w->options;
	double mean = o->long_percent / 100 * o->long_life + (1 - o->long_percent / 100) * o->short_life;
	double of_long = o->long_percent / 100 * o->long_life / mean;
	double copied_at = o->min_age + o->interval * random_share(&w->seed);
	unsigned lost = 0, young = 0;

	for (unsigned i = 0; i < DRAWN; i++) {
		bool is_long = random_share(&w->seed) < of_long;
		/* Of a session in use the age is distributed as the whole life is, since that is exponential. */
		double age = random_exponential(&w->seed, is_long ? o->long_life : o->short_life);
		bool goes_on = random_share(&w->seed) >= o->silent_percent / 100;

		goes_on &= random_share(&w->seed) >= o->displaced_percent / 100;
		lost += !goes_on;
		young += !goes_on && age < copied_at;
	}
	w->tally.lost += sessions * lost / DRAWN;
	w->tally.lost_copied += sessions * young / DRAWN;
}

static void group_leaves(struct world *w, uint32_t index, uint32_t machine, bool failed)
{
	struct group *g = &w->group[index];
	uint32_t other = other_candidate(w, index, machine);
	double sessions = w->model->group * w->options->sessions;

	if (g->server != machine)
		return;
	if (w->machine[other].state != UP) {
		g->server = NO_GATEWAY;
		g->since = w->now;
		w->tally.outages++;
		w->tally.cut += sessions;
		return;
	}
	g->server = other;
	if (failed) {
		count_gap(w, w->model->group);
		draw_sessions(w, sessions);
	}
}

static void group_returns(struct world *w, uint32_t index, uint32_t machine)
{
	struct group *g = &w->group[index];
	uint32_t either[2];

	candidates(w, index, either);
	if (g->server == NO_GATEWAY) {
		w->tally.outage += (w->now - g->since) * w->model->group;
		g->server = machine;
	} else if ((enum layout)w->options->layout == LAYOUT_RING && machine == either[0]) {
		/* Drained back, so nothing is lost. */
		g->server = machine;
	}
}

/* Sessions of subscribers that ECMP gives another gateway, and so another address: all of them end. */
static void ecmp_changes(struct world *w, uint32_t machine, uint32_t with, bool returns)
{
	enum rehash rehash = (enum rehash)w->options->rehash;
	double sessions = w->options->subscribers * w->options->sessions;
	double its = returns && rehash == REHASH_RESILIENT ? 0 : 1.0 / with;
	uint32_t rank = 0;

	for (uint32_t i = 0; i < machine; i++)
		rank += w->machine[i].state == UP;
	its += (1 - 1.0 / with) * model_moved(rehash, with, rank);
	w->tally.lost += sessions * its;
	w->tally.lost_copied += sessions * its;
}

static void leaves(struct world *w, uint32_t machine, bool failed)
{
	uint32_t groups[2];

	w->up--;
	if (!is_ecmp(w)) {
		unsigned n = groups_of(w, machine, groups);

		for (unsigned i = 0; i < n; i++)
			group_leaves(w, groups[i], machine, failed);
		return;
	}
	if (!w->up) {
		w->group[0].since = w->now;
		w->tally.outages++;
		w->tally.cut += w->options->subscribers * w->options->sessions;
		return;
	}
	if (failed)
		count_gap(w, w->options->subscribers / (w->up + 1));
	ecmp_changes(w, machine, w->up + 1, false);
}

static void returns(struct world *w, uint32_t machine)
{
	uint32_t groups[2];

	w->up++;
	if (!is_ecmp(w)) {
		unsigned n = groups_of(w, machine, groups);

		for (unsigned i = 0; i < n; i++)
			group_returns(w, groups[i], machine);
		return;
	}
	if (w->up == 1)
		w->tally.outage += (w->now - w->group[0].since) * w->options->subscribers;
	else
		ecmp_changes(w, machine, w->up, true);
}

/* Only a machine whose groups have another one is upgraded; the others wait an hour. */
static bool may_be_upgraded(const struct world *w, uint32_t machine)
{
	uint32_t groups[2];
	unsigned n;

	if (is_ecmp(w))
		return w->up > w->model->needed;
	n = groups_of(w, machine, groups);
	for (unsigned i = 0; i < n; i++)
		if (w->machine[other_candidate(w, groups[i], machine)].state != UP)
			return false;
	return true;
}

static double upgrade_period(const struct options *o)
{
	return o->upgrades > 0 ? SECONDS_A_YEAR / o->upgrades : INFINITY;
}

static void happens(struct world *w, uint32_t index)
{
	const struct options *o = w->options;
	struct machine *m = &w->machine[index];

	if (m->state != UP) {
		m->state = UP;
		m->change = w->now + random_exponential(&w->seed, o->mtbf * HOUR);
		returns(w, index);
	} else if (m->upgrade < m->change) {
		if (!may_be_upgraded(w, index)) {
			m->upgrade += HOUR;
			return;
		}
		m->state = UPGRADED;
		m->change = w->now + o->upgrade * HOUR;
		m->upgrade = fmax(m->upgrade + upgrade_period(o), m->change);
		w->tally.upgrades++;
		leaves(w, index, false);
	} else {
		m->state = FAILED;
		m->change = w->now + random_exponential(&w->seed, o->repair * HOUR);
		w->tally.failures++;
		leaves(w, index, true);
	}
}

static int prepare(struct world *w)
{
	const struct options *o = w->options;

	w->machine = calloc(w->machines, sizeof(*w->machine));
	w->heap = calloc(w->machines, sizeof(*w->heap));
	w->group = calloc(w->groups, sizeof(*w->group));
	if (!w->machine || !w->heap || !w->group)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->groups; i++) {
		uint32_t either[2];

		candidates(w, i, either);
		w->group[i].server = either[0];
	}
	for (uint32_t i = 0; i < w->machines; i++) {
		w->machine[i].change = random_exponential(&w->seed, o->mtbf * HOUR);
		w->machine[i].upgrade = upgrade_period(o) * (random_share(&w->seed) + 1e-9);
		w->heap[i] = i;
	}
	for (uint32_t i = w->machines; i--;)
		sift(w, i);
	return 0;
}

static void run(struct world *w)
{
	double end = w->options->years * SECONDS_A_YEAR;

	for (;;) {
		double then = fmin(next_event(&w->machine[w->heap[0]]), end), passed = then - w->now;

		w->tally.alone += is_ecmp(w) ? 0 : (w->machines - w->up) * passed * (w->machines > w->groups ? 1 : 2);
		w->tally.overloaded += is_ecmp(w) && w->up < w->model->needed ? passed : 0;
		w->now = then;
		if (then >= end)
			break;
		happens(w, w->heap[0]);
		sift(w, 0);
	}
	for (uint32_t i = 0; i < w->groups && !is_ecmp(w); i++)
		if (w->group[i].server == NO_GATEWAY)
			w->tally.outage += (end - w->group[i].since) * w->model->group;
	if (is_ecmp(w) && !w->up)
		w->tally.outage += (end - w->group[0].since) * w->options->subscribers;
}

int failures_simulate(const struct options *options, const struct model *model, struct tally *ret)
{
	double events =
		2 * model->gateways * options->years * (SECONDS_A_YEAR / (options->mtbf * HOUR) + options->upgrades);
	struct world w = {
		.options = options,
		.model = model,
		.machines = (uint32_t)model->gateways,
		.up = (uint32_t)model->gateways,
		.groups = (uint32_t)model->groups,
		.seed = random_mix((uint64_t)options->seed + 1),
	};
	int error;

	if (model->gateways > 1e6 || events * (is_ecmp(&w) ? fmax(model->gateways / 100, 1) : 1) > MOST_EVENTS)
		return -E2BIG;
	error = prepare(&w);
	if (!error) {
		run(&w);
		*ret = w.tally;
	}
	free(w.machine);
	free(w.heap);
	free(w.group);
	return error;
}
