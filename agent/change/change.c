/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/change.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "change/plan.h"
#include "base/trouble.h"

/* Longest time in one turn of the loop, of preparing tables; and how often a look is taken at what the kernel works on.
 */
#define TURN_US 2000
#define WAIT_US 5000

struct change {
	struct change *next;
	change_edit edit; /* NULL: read the file again */
	change_done done;
	void *arg;
};

struct change_queue {
	struct agent *agent;
	struct event *turn;
	struct change *first; /* whose plan is under way, if there is one */
	struct change **end;
	struct plan *plan;
};

static void on_turn(evutil_socket_t fd, short what, void *arg);

int change_queue_new(struct agent *a, struct change_queue **ret)
{
	struct change_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->agent = a;
	q->end = &q->first;
	q->turn = evtimer_new(a->base, on_turn, q);
	if (!q->turn) {
		free(q);
		return -ENOMEM;
	}
	*ret = q;
	return 0;
}

static void note_reload(struct agent *a, int r, const struct error *err)
{
	/* An end says nothing about the file. */
	if (r == -ECANCELED)
		return;
	a->reload_failed = r < 0;
	if (!r) {
		a->file_applied = time(NULL);
		trouble_clear(TROUBLE_CONFIG);
	} else if (!trouble_set(TROUBLE_CONFIG, "%s; nothing was changed", err->text)) {
		/* Somebody has asked again, and looks here for the answer. */
		log_error("%s; nothing was changed", err->text);
	}
}

/* Takes the first change off the queue and says how it ended. */
static void finish(struct change_queue *q, int r, const struct error *err)
{
	struct change *c = q->first;

	if (!c->edit) {
		note_reload(q->agent, r, err);
	}
	plan_free(take_pointer(q->plan));
	q->first = c->next;
	if (!q->first)
		q->end = &q->first;
	c->done(c->arg, r, err);
	free(c);
}

void change_queue_free(struct change_queue *q)
{
	const struct error ending = { "the agent is ending" };

	if (!q)
		return;
	while (q->first)
		finish(q, -ECANCELED, &ending);
	event_free(q->turn);
	free(q);
}

static void schedule(struct change_queue *q, suseconds_t delay_us)
{
	evtimer_add(q->turn, &(struct timeval){ .tv_usec = delay_us });
}

static void free_config(struct config **c)
{
	config_free(*c);
}

/* Plans the first change: what the file says, or an edited copy of what runs. */
static int begin(struct change_queue *q, struct error *err)
{
	__attribute__((cleanup(free_config))) struct config *wanted = NULL;
	struct agent *a = q->agent;
	uint64_t hash = a->file_hash;
	int r;

	if (!q->first->edit) {
		r = config_load(a->config_path, &wanted, &hash, err);
		return r ? r : plan_new(a, wanted, hash, false, a->config_path, &q->plan, err);
	}
	wanted = config_clone(a->config);
	if (!wanted)
		return error_set(err, -ENOMEM, "out of memory");
	r = q->first->edit(wanted, q->first->arg, err);
	return r ? r : plan_new(a, wanted, hash, false, NULL, &q->plan, err);
}

/* PLAN_MORE or PLAN_WAITS, else how the change ended. */
static int work(struct change_queue *q, struct error *err)
{
	uint64_t until = monotonic_us() + TURN_US;
	int r = q->plan ? 0 : begin(q, err);

	if (r)
		return r;
	do
		r = plan_step(q->plan, err);
	while (r == PLAN_MORE && monotonic_us() < until);
	return r ? r : plan_commit(q->plan, err);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct change_queue *q = arg;
	struct error err = { 0 };
	int r;

	if (!q->first)
		return;
	r = work(q, &err);
	if (r <= 0)
		finish(q, r, &err);
	if (q->first)
		schedule(q, r == PLAN_WAITS ? WAIT_US : 0);
}

int change_submit(struct change_queue *q, change_edit edit, change_done done, void *arg)
{
	struct change *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct change){ .edit = edit, .done = done, .arg = arg };
	*q->end = c;
	q->end = &c->next;
	if (q->first == c)
		schedule(q, 0);
	return 0;
}

int change_submit_reload(struct change_queue *q, change_done done, void *arg)
{
	return change_submit(q, NULL, done, arg);
}

int change_apply_now(struct agent *a, const struct config *wanted, uint64_t file_hash, struct error *err)
{
	struct plan *p;
	int r = plan_new(a, wanted, file_hash, true, a->config_path, &p, err);

	if (r)
		return r;
	do {
		r = plan_step(p, err);
		/* Signals are taken meanwhile: big tables take seconds. */
		event_base_loop(a->base, EVLOOP_NONBLOCK);
		if (r == PLAN_WAITS)
			usleep(WAIT_US);
		if (r >= 0 && a->ending)
			r = error_set(err, -EINTR, "ended by a signal while starting");
	} while (r > 0);
	if (!r)
		r = plan_commit(p, err);
	if (!r)
		a->file_applied = time(NULL);
	plan_free(p);
	return r;
}
