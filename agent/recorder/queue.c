/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorder/queue_private.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "base/background.h"
#include "base/log.h"
#include "base/trouble.h"
#include "config/config.h"
#include "recorder/history.h"

/* A disk that takes longer for one record is reported. */
#define SLOW_US (5 * 1000000ULL)

/* Time limits for the disk at the start and at the end. */
#define READY_PATIENCE_US (5 * 1000000ULL)
#define END_PATIENCE_US	  (10 * 1000000ULL)

static void note_present(struct history *h, const struct history_change *there)
{
	for (enum fact_kind k = FACT_MAPPING + 1; k < FACT_KINDS; k++)
		history_present(h, k, there->add[k].of, there->add[k].n);
}

static void run(void *arg)
{
	struct job *j = arg;
	struct history *h = j->queue->history;
	const struct fact_list *mappings = &j->change.add[FACT_MAPPING];
	const uint64_t one = 1;

	history_set_grants(h, j->grant_days);
	switch (j->r ? JOB_NONE : j->kind) {
	case JOB_NONE:
		break;
	case JOB_CHANGE:
		j->r = history_change(h, &j->change, &j->err);
		break;
	case JOB_CONFIRM:
		j->r = history_confirm(h, j->steady_ns, &j->err);
		break;
	case JOB_RECONCILE:
		note_present(h, &j->change);
		j->r = history_reconcile(h, mappings->of, mappings->n, j->steady_ns, &j->err);
		break;
	case JOB_ASSUME:
		note_present(h, &j->change);
		j->r = history_assume(h, mappings->of, mappings->n, j->time, &j->err);
		break;
	case JOB_TICK:
		history_set_audit(h, j->audit);
		j->r = history_tick(h, &j->err);
		break;
	}
	if (write(j->queue->wake, &one, sizeof(one)) < 0)
		log_error("mapping history: cannot signal the end of a write: %s", strerror(errno));
}

/* What the tables have now. Without memory the job does nothing, and says so. */
static void take_tables(const struct history_queue *q, struct job *j)
{
	j->steady_ns = history_clock().steady_ns;
	if (history_take_tables(&q->tables, &j->change))
		j->r = error_set(&j->err, -ENOMEM, "mapping history: out of memory");
}

/* Whether a change is a group of grants alone. */
static int effect_of(const struct job *j)
{
	bool group = true;

	for (enum fact_kind k = 0; k < FACT_GRANT; k++)
		group &= !j->change.del[k].n && !j->change.add[k].n;
	return group ? GROUP : CHANGE;
}

/*
 * Changes and groups of grants take turns: what was written takes effect, and is confirmed or taken back, before the
 * next is written, as a comparison with the tables could not tell the one from the other. The agent has one change at
 * a time under way.
 */
static bool is_held(const struct history_queue *q, const struct job *j)
{
	if (q->takes_effect == GROUP)
		return j->kind != JOB_CONFIRM && j->kind != JOB_TICK;
	return q->takes_effect == CHANGE && j->kind == JOB_CHANGE && effect_of(j) == GROUP;
}

static void start_first(struct history_queue *q)
{
	struct job *j = q->first;

	if (!j || is_held(q, j))
		return;
	if (j->kind == JOB_RECONCILE || j->kind == JOB_ASSUME)
		take_tables(q, j);
	q->began_us = monotonic_us();
	j->started = true;
	background_start(&q->background, run, j);
}

static void free_job(struct job *j)
{
	history_change_free(&j->change);
	free(j);
}

/* Takes the end of the history after a job, and whether it waits for a confirmation. */
static void take_end(struct history_queue *q)
{
	q->line = history_end(q->history, q->hash);
	q->waits = history_waits(q->history);
}

static void tell(const struct job *j)
{
	if (j->r)
		trouble_set(TROUBLE_HISTORY, "%s; no mapping can be changed until this is mended", j->err.text);
	else if (j->kind != JOB_ASSUME)
		trouble_clear(TROUBLE_HISTORY);
}

static void submit_tables(struct history_queue *q, enum job_kind kind, bool at_once);

/* Takes the finished first job off the queue. */
static void end_first(struct history_queue *q)
{
	struct job *j = q->first;

	background_wait(&q->background);
	take_end(q);
	tell(j);
	if (j->kind == JOB_CHANGE && j->r && effect_of(j) == CHANGE)
		q->began_s = history_now();
	if (j->kind == JOB_CHANGE && !j->r && !j->forgotten && q->waits)
		q->takes_effect = effect_of(j);
	q->first = j->next;
	if (!q->first)
		q->end = &q->first;
	/* Before the next change, which the tables do not have yet. */
	if (j->forgotten && !j->r)
		submit_tables(q, JOB_RECONCILE, true);
	if (!background_busy(&q->background))
		start_first(q);
	if (j->done)
		j->done(j->arg, j->r, &j->change, &j->err);
	free_job(j);
}

static void submit_tick(struct history_queue *q);

/* A step of the clock is recorded at once, even if no change waits for that. */
static void look_at_clock(struct history_queue *q)
{
	clock_watch_look(history_clock_watch(q->history));
	if (!q->first && clock_watch_stepped(history_clock_watch(q->history)))
		submit_tick(q);
}

/* A timer that runs out in the year 2255, and is cancelled when the clock is set. */
static int watch_clock(const struct history_queue *q)
{
	const struct itimerspec never = { .it_value = { .tv_sec = 9000000000 } };

	return timerfd_settime(q->set, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) ? -errno : 0;
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
	struct history_queue *q = arg;
	uint64_t count;

	/* -ECANCELED; the check each second also notices it. */
	if (read(fd, &count, sizeof(count)) < 0 && errno == EAGAIN)
		return;
	look_at_clock(q);
	if (q->on_set)
		q->on_set(q->on_set_arg);
	if (watch_clock(q))
		event_del(q->was_set);
}

void history_queue_on_set(struct history_queue *q, void (*set)(void *arg), void *arg)
{
	q->on_set = set;
	q->on_set_arg = arg;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct history_queue *q = arg;
	uint64_t count;

	/* Only one job runs at a time, so the count is one. */
	if (read(fd, &count, sizeof(count)) == sizeof(count) && q->first)
		end_first(q);
}

/* Takes ownership of the lists, also if that fails. at_once: before all others that have not begun. */
static int submit(struct history_queue *q, struct job *model, bool at_once)
{
	struct job *j = calloc(1, sizeof(*j)), **place;

	if (!j) {
		history_change_free(&model->change);
		trouble_set(TROUBLE_HISTORY, "mapping history: out of memory");
		return -ENOMEM;
	}
	*j = *model;
	j->queue = q;
	j->grant_days = q->grant_days;
	place = !at_once ? q->end : q->first && q->first->started ? &q->first->next : &q->first;
	j->next = *place;
	*place = j;
	if (!j->next)
		q->end = &j->next;
	if (q->first == j)
		start_first(q);
	return 0;
}

static void submit_tick(struct history_queue *q)
{
	struct job j = { .kind = JOB_TICK, .audit = q->audit };

	submit(q, &j, false);
}

/* The job reads the tables when its turn comes: by then, what was written before it is in them. */
static void submit_tables(struct history_queue *q, enum job_kind kind, bool at_once)
{
	struct job j = { .kind = kind, .time = q->began_s };

	if (q->tables.mappings)
		submit(q, &j, at_once);
}

/* What was written last has taken effect, or part of it: a record of that comes before all others. */
static void submit_effect(struct history_queue *q, enum job_kind kind)
{
	struct job j = { .kind = JOB_CONFIRM, .steady_ns = history_clock().steady_ns };

	q->takes_effect = NOTHING;
	history_queue_compare(q);
	if (kind != JOB_CONFIRM) {
		submit_tables(q, kind, true);
		return;
	}
	submit(q, &j, true);
}

int history_queue_change(struct history_queue *q, struct history_change *c, history_done done, void *arg)
{
	struct job j = { .kind = JOB_CHANGE, .change = *c, .done = done, .arg = arg };

	*c = (struct history_change){ 0 };
	if (effect_of(&j) == CHANGE)
		q->began_s = history_now();
	return submit(q, &j, false);
}

void history_queue_forget(struct history_queue *q, const void *arg)
{
	for (struct job *j = q->first; j; j = j->next) {
		if (j->done && j->arg == arg) {
			j->done = NULL;
			j->forgotten = true;
			q->began_s = history_now();
		}
	}
}

void history_queue_confirm(struct history_queue *q)
{
	if (q->waits)
		submit_effect(q, JOB_CONFIRM);
	q->waits = false;
}

void history_queue_reconcile(struct history_queue *q)
{
	submit_effect(q, JOB_RECONCILE);
}

void history_queue_assume(struct history_queue *q)
{
	submit_effect(q, JOB_ASSUME);
}

/* Frees what is no longer used. */
static void release(struct history_queue *q)
{
	if (q->woken)
		event_free(q->woken);
	if (q->was_set)
		event_free(q->was_set);
	close_fd(&q->wake);
	close_fd(&q->set);
	history_close(q->history);
	free(q->rests);
	free(q->rested);
	free(q);
}

int history_queue_new(struct event_base *base, const char *dir, const struct datapath *d, const struct mappings *m,
		      const struct portmaps *p, const struct grants *g, struct history_queue **ret, struct error *err)
{
	struct history_queue *q = calloc(1, sizeof(*q));
	struct error why = { 0 };
	int r;

	if (!q)
		return error_set(err, -ENOMEM, "out of memory");
	q->tables = (struct history_tables){ m, p, g };
	q->end = &q->first;
	q->began_s = history_now();
	q->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->set = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	q->woken = q->wake < 0 ? NULL : event_new(base, q->wake, EV_READ | EV_PERSIST, on_wake, q);
	q->was_set = q->set < 0 ? NULL : event_new(base, q->set, EV_READ | EV_PERSIST, on_clock, q);
	if (!q->woken || event_add(q->woken, NULL) || !q->was_set || event_add(q->was_set, NULL) || watch_clock(q))
		r = error_set(err, -ENOMEM, "the mapping history cannot be set up");
	else
		r = history_new_tables(dir, d, &q->tables, &q->history, err);
	if (r) {
		release(q);
		return r;
	}
	r = history_try_open(q->history, &why);
	/* Another agent uses it, or an operator must repair it first. */
	if (r == -EWOULDBLOCK || (r && !d->reused && !error_passes(r))) {
		release(q);
		return error_set(err, r, "%s", why.text);
	}
	if (r)
		trouble_set(TROUBLE_HISTORY, "%s; no mapping can be changed until this is mended", why.text);
	r = history_rested(q->history, CONFIG_REST_S, &q->rests, &q->n_rests);
	if (!r && !d->reused)
		r = history_rested_grants(q->history, DAY_S, &q->rested, &q->n_rested);
	if (r) {
		release(q);
		return error_set(err, r, "out of memory");
	}
	take_end(q);
	*ret = q;
	return 0;
}

const struct history_rest *history_queue_rests(const struct history_queue *q, size_t *ret_n)
{
	*ret_n = q->n_rests;
	return q->rests;
}

const struct history_grant *history_queue_rested_grants(const struct history_queue *q, size_t *ret_n)
{
	*ret_n = q->n_rested;
	return q->rested;
}

/* Waits until the queue is empty, or nothing in it may begin; false if that takes too long. */
static bool wait_idle(struct history_queue *q, uint64_t patience_us)
{
	uint64_t until = monotonic_us() + patience_us;

	while (q->first && q->first->started && monotonic_us() < until) {
		if (background_busy(&q->background))
			usleep(1000);
		else
			on_wake(q->wake, EV_READ, q);
	}
	return !q->first || !q->first->started;
}

/* What has not begun when the agent ends never takes effect. */
static void drop_held(struct history_queue *q)
{
	while (q->first && !q->first->started) {
		struct job *j = q->first;

		q->first = j->next;
		free_job(j);
	}
	if (!q->first)
		q->end = &q->first;
}

void history_queue_audit(struct history_queue *q, bool on)
{
	if (q->audit == on)
		return;
	q->audit = on;
	submit_tick(q);
}

void history_queue_grants(struct history_queue *q, uint32_t days)
{
	q->grant_days = days;
}

void history_queue_ready(struct history_queue *q)
{
	submit_tick(q);
	wait_idle(q, READY_PATIENCE_US);
}

void history_queue_differs(const struct error *why)
{
	trouble_set(TROUBLE_RECORDS, "mapping history: %s; it is recorded as the tables have it", why->text);
}

static void compare(struct history_queue *q)
{
	bool known = trouble_get(TROUBLE_RECORDS);
	struct error why;

	if (history_queue_compare_next(q, &why))
		return;
	history_queue_differs(&why);
	/* What was recorded anew and differs again is not mended by another record. */
	if (known)
		q->compares = FACT_KINDS;
	/* Mappings without a record are in the list of a start. */
	else if (q->compares == FACT_MAPPING)
		history_queue_assume(q);
	else
		history_queue_reconcile(q);
}

void history_queue_second(struct history_queue *q)
{
	uint32_t period = trouble_get(TROUBLE_HISTORY) ? 1 : HISTORY_TICK_S;

	if (q->first && q->first->started && monotonic_us() - q->began_us > SLOW_US)
		trouble_set(TROUBLE_HISTORY,
			    "mapping history: the disk does not respond; changes of mappings wait for it");
	look_at_clock(q);
	compare(q);
	if (++q->seconds < period || q->first)
		return;
	q->seconds = 0;
	submit_tick(q);
}

uint64_t history_queue_end(const struct history_queue *q, char ret_hash[static HASH_TEXT])
{
	memcpy(ret_hash, q->hash, HASH_TEXT);
	return q->line;
}

void history_queue_drain(struct history_queue *q)
{
	if (!q)
		return;
	wait_idle(q, END_PATIENCE_US);
	drop_held(q);
	q->tables.mappings = NULL;
}

void history_queue_close(struct history_queue *q, enum history_event event)
{
	if (!q)
		return;
	drop_held(q);
	if (q->first) {
		log_error("mapping history: the disk did not respond in time; it does not record that the %s",
			  event == EVENT_STOP ? "agent ended" : "datapath was removed");
		/* Not freed: the thread still uses the memory. */
		return;
	}
	if (event == EVENT_STOP)
		history_stop(q->history);
	else
		history_detach(q->history);
	release(q);
}
