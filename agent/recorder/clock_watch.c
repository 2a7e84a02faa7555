/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorder/history.h"

#include <string.h>
#include <time.h>

/* Smaller steps count as noise, until they add up. */
#define NOISE_NS (10 * 1000000LL)

/* A reading during which the program was stopped for this long is repeated. */
#define SLACK_NS 100000
#define ATTEMPTS 8U

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct clock_reading read_clocks(void)
{
	struct clock_reading best = { 0 };

	for (unsigned i = 0; i < ATTEMPTS && (!i || best.slack_ns > SLACK_NS); i++) {
		int64_t before = read_clock(CLOCK_BOOTTIME), real = read_clock(CLOCK_REALTIME);
		struct clock_reading r = { real, before, read_clock(CLOCK_BOOTTIME) - before };

		if (!i || r.slack_ns < best.slack_ns)
			best = r;
	}
	return best;
}

struct clock_reading (*history_clock)(void) = read_clocks;

struct clock_state (*history_clock_state)(void) = clock_state_read;

int64_t history_now(void)
{
	return clock_second(history_clock().real_ns);
}

static void unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

static pthread_mutex_t *lock_of(struct clock_watch *w)
{
	pthread_mutex_lock(&w->lock);
	return &w->lock;
}

/* Until the end of the block. */
#define LOCKED(w) __attribute__((cleanup(unlock), unused)) pthread_mutex_t *locked = lock_of(w)

void clock_watch_init(struct clock_watch *w)
{
	memset(w, 0, sizeof(*w));
	pthread_mutex_init(&w->lock, NULL);
}

/* Nanoseconds by which the clock was set between two readings; 0: it was not. */
static int64_t set_by(struct clock_reading a, struct clock_reading b)
{
	int64_t by = (b.real_ns - b.steady_ns) - (a.real_ns - a.steady_ns);
	int64_t noise = NOISE_NS + a.slack_ns + b.slack_ns;

	return by > noise || by < -noise ? by : 0;
}

/* The clock's reading when it was set is not known more precisely. */
static struct clock_step step_between(struct clock_reading a, struct clock_reading b)
{
	int64_t passed = b.steady_ns + b.slack_ns - a.steady_ns;

	return (struct clock_step){
		.before = clock_second(a.real_ns + passed),
		.after = clock_second(b.real_ns - passed),
		.noticed = clock_second(b.real_ns),
		.by = (double)set_by(a, b) / 1e9,
	};
}

static void add_step(struct clock_watch *w, struct clock_step s)
{
	struct clock_step *last = &w->step[CLOCK_STEPS - 1];

	if (w->n_steps < CLOCK_STEPS) {
		w->step[w->n_steps++] = s;
		return;
	}
	last->before = s.before > last->before ? s.before : last->before;
	last->after = s.after < last->after ? s.after : last->after;
	last->noticed = s.noticed;
	last->by += s.by;
}

struct clock_reading clock_watch_look(struct clock_watch *w)
{
	LOCKED(w);
	struct clock_reading now;

	now = history_clock();
	w->worst = clock_state_worse(w->worst, history_clock_state());
	if (!w->looked)
		w->first = now;
	if (w->looked && set_by(w->last, now)) {
		add_step(w, step_between(w->last, now));
		w->last = now;
	} else if (!w->looked) {
		w->last = now;
	} else {
		/* Keeps the difference between the clocks, so that small steps add up. */
		w->last.real_ns += now.steady_ns - w->last.steady_ns;
		w->last.steady_ns = now.steady_ns;
	}
	w->looked = true;
	if (!w->n_steps)
		w->told = w->last;
	return now;
}

struct clock_reading clock_watch_last(struct clock_watch *w)
{
	LOCKED(w);

	return w->told;
}

struct clock_state clock_watch_worst(struct clock_watch *w)
{
	LOCKED(w);

	return w->worst;
}

void clock_watch_worst_told(struct clock_watch *w)
{
	LOCKED(w);

	w->worst = history_clock_state();
}

/* Adds one before all others. */
static void add_first(struct clock_watch *w, struct clock_step s)
{
	struct clock_step last = w->step[CLOCK_STEPS - 1];
	bool full = w->n_steps == CLOCK_STEPS;

	w->n_steps -= full;
	memmove(w->step + 1, w->step, w->n_steps * sizeof(*w->step));
	w->step[0] = s;
	w->n_steps++;
	if (full)
		add_step(w, last);
}

void clock_watch_continue(struct clock_watch *w, struct clock_reading before)
{
	LOCKED(w);

	if (w->looked && set_by(before, w->first))
		add_first(w, step_between(before, w->first));
}

void clock_watch_begin(struct clock_watch *w, int64_t most, int64_t least)
{
	LOCKED(w);
	int64_t first = clock_second(w->first.real_ns);

	if (w->looked && first < least)
		add_first(w, (struct clock_step){ most, first, first, (double)(first - most) });
}

bool clock_watch_stepped(struct clock_watch *w)
{
	LOCKED(w);

	return w->n_steps;
}

unsigned clock_watch_take(struct clock_watch *w, struct clock_step ret[static CLOCK_STEPS])
{
	LOCKED(w);
	unsigned n = w->n_steps;

	memcpy(ret, w->step, n * sizeof(*ret));
	w->n_steps = 0;
	w->told = w->last;
	return n;
}

void clock_watch_give_back(struct clock_watch *w, const struct clock_step *steps, unsigned n)
{
	LOCKED(w);
	struct clock_step later[CLOCK_STEPS];
	unsigned n_later = w->n_steps;

	memcpy(later, w->step, n_later * sizeof(*later));
	memcpy(w->step, steps, n * sizeof(*steps));
	w->n_steps = n;
	for (unsigned i = 0; i < n_later; i++)
		add_step(w, later[i]);
}
