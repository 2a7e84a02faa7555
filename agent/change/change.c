/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/change.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/trouble.h"
#include "change/change_plan.h"
#include "change/reload_losses.h"
#include "change/unconfirmed.h"
#include "datapath/running.h"
#include "links/devices.h"
#include "tables/mapping_drains.h"

/* Time for which one turn of the event loop prepares tables, and interval at which the kernel is polled. */
#define TURN_US 2000
#define WAIT_US 5000

/* A work item. One that is neither a reload nor an edit, and takes none back, replaces the programs. */
struct change {
	struct change *next;
	bool reload;
	bool force;	  /* a reload, whatever it ends */
	uint32_t confirm; /* a reload: seconds until it is taken back */
	bool noted;	  /* what ran before it, to be taken back to */
	bool back;	  /* takes back the reload that waits for its confirmation */
	change_edit edit;
	change_prepare prepare;
	change_done done;
	void *arg;
	struct change_options options;
};

struct change_queue {
	const struct parts *context;
	struct event *turn;
	struct change *first; /* plan is its plan, once it has begun */
	struct change **end;
	struct change_plan *plan;
	/* set while the sessions are counted that a reload would end */
	struct reload_losses *losses;
	struct config *file;
	uint64_t file_hash;
};

static void on_turn(evutil_socket_t fd, short what, void *arg);

int change_queue_new(const struct parts *context, struct change_queue **ret)
{
	struct change_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->context = context;
	q->end = &q->first;
	q->turn = evtimer_new(context->base, on_turn, q);
	if (!q->turn) {
		free(q);
		return -ENOMEM;
	}
	*ret = q;
	return 0;
}

static void note_reload(struct active_config *a, int r, const struct error *err)
{
	/* A change cancelled at the agent's end says nothing about the file, nor does another reload that waits. */
	if (r == -ECANCELED)
		return;
	if (r == -EBUSY && a->unconfirmed_due) {
		log_error("%s; nothing was changed", err->text);
		return;
	}
	a->reload_failed = r < 0;
	if (!r) {
		a->file_applied = time(NULL);
		trouble_clear(TROUBLE_CONFIG);
	} else if (!trouble_set(TROUBLE_CONFIG, "%s; nothing was changed", err->text)) {
		/* The trouble may be known already, but this reload needs an answer in the log, too. */
		log_error("%s; nothing was changed", err->text);
	}
}

/* What ran before a reload is needed no more: it has not taken effect, or was taken back. */
static void end_unconfirmed(struct active_config *a)
{
	struct error err;

	if (unconfirmed_end(a, &err))
		log_error("%s", err.text);
}

/* What the file says does not run: nobody has confirmed it, or somebody took it back, and knows. */
static void note_back(struct active_config *a, bool person)
{
	end_unconfirmed(a);
	if (person) {
		log_info("the reload was taken back; what ran before it runs again");
		return;
	}
	a->reload_failed = true;
	trouble_set(
		TROUBLE_CONFIG,
		"%s: was taken back, as nobody confirmed it; what ran before it runs again; reload when the file is "
		"as it should be",
		a->path);
}

/* Removes the first change from the queue and reports how it ended. */
static void finish(struct change_queue *q, int r, const struct error *err)
{
	struct change *c = q->first;

	if (c->reload)
		note_reload(q->context->active, r, err);
	if (c->noted && r)
		end_unconfirmed(q->context->active);
	if (c->back) {
		q->context->active->going_back = false;
		if (!r)
			note_back(q->context->active, c->options.by.person);
	}
	change_plan_free(take_pointer(q->plan));
	reload_losses_free(take_pointer(q->losses));
	config_free(take_pointer(q->file));
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

static int plan_file(struct change_queue *q, struct error *err)
{
	return plan_new_with(q->context, take_pointer(q->file), q->file_hash, false, q->context->active->path,
			     &q->first->options, &q->plan, err);
}

/* What drains has left the configuration, so that it would not come back with what ran before. */
static int refuse_drains(const struct change_queue *q, struct error *err)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(q->context->mappings, &drain);

	return !n ? 0
		  : error_set(err, -EBUSY,
			      "a reload can be taken back only while nothing drains, and %zu %s: wait for their end "
			      "(detnatctl mapping list), or reload without --confirm",
			      n, n == 1 ? "range of addresses does" : "ranges of addresses do");
}

/* Reads the file; where `reload_guard` limits losses, counts first the sessions that the reload would end. */
static int begin_reload(struct change_queue *q, struct error *err)
{
	const struct active_config *active = q->context->active;
	int r = unconfirmed_refuse(active, err);

	if (!r && q->first->confirm)
		r = refuse_drains(q, err);
	if (!r)
		r = config_load(active->path, &q->file, &q->file_hash, err);
	if (r || q->first->force || !active->config->reload_guard)
		return r ? r : plan_file(q, err);
	config_number_tenants(q->file, active->config);
	r = reload_losses_new(q->context->mappings, q->context->grants, active->config, q->file, &q->losses);
	return r ? error_set(err, r, "out of memory") : 0;
}

/* Counts, and goes on if the reload is not refused: PLAN_MORE or -errno. */
static int count_losses(struct change_queue *q, struct error *err)
{
	int r = reload_losses_step(q->losses, TURN_US);

	if (r)
		return r < 0 ? error_set(err, r, "out of memory") : PLAN_MORE;
	r = reload_losses_refuse(q->losses, q->context->active, err);
	if (r)
		return r;
	reload_losses_free(take_pointer(q->losses));
	r = plan_file(q, err);
	return r ? r : PLAN_MORE;
}

static int begin_edit(struct change_queue *q, struct error *err)
{
	struct active_config *active = q->context->active;
	_cleanup_config_ struct config *wanted =
		active->copy ? take_pointer(active->copy) : config_clone(active->config);
	int r;

	if (!wanted)
		return error_set(err, -ENOMEM, "out of memory");
	/* What a user changes meanwhile would be taken back, too. */
	r = q->first->options.by.person ? unconfirmed_refuse(active, err) : 0;
	if (!r)
		r = q->first->edit(wanted, q->first->arg, err);
	return r ? r
		 : plan_new_with(q->context, take_pointer(wanted), active->file_hash, false, NULL, &q->first->options,
				 &q->plan, err);
}

static int begin_back(struct change_queue *q, struct error *err)
{
	struct config *before;
	int r = unconfirmed_before(q->context->active, &before, err);

	return r ? r
		 : plan_new_with(q->context, before, q->context->active->file_hash, false, NULL, &q->first->options,
				 &q->plan, err);
}

/* Plans the active configuration as it is: the plan works out which programs it needs now. */
static int begin_programs(struct change_queue *q, struct error *err)
{
	const struct active_config *active = q->context->active;
	int r = q->first->prepare ? q->first->prepare(q->first->arg, err) : 0;

	return r ? r : plan_new(q->context, active->config, active->file_hash, false, NULL, &q->plan, err);
}

static int begin(struct change_queue *q, struct error *err)
{
	if (q->first->reload)
		return begin_reload(q, err);
	if (q->first->back)
		return begin_back(q, err);
	return q->first->edit ? begin_edit(q, err) : begin_programs(q, err);
}

/* PLAN_MORE or PLAN_WAITS; otherwise the change has ended, with 0 or -errno. */
static int work(struct change_queue *q, struct error *err)
{
	uint64_t until = monotonic_us() + TURN_US;
	int r = q->plan || q->losses ? 0 : begin(q, err);

	if (r)
		return r;
	if (q->losses)
		return count_losses(q, err);
	do
		r = plan_step(q->plan, err);
	while (r == PLAN_MORE && monotonic_us() < until);
	if (!r && q->first->confirm) {
		r = unconfirmed_begin(q->context->active, q->first->confirm, err);
		q->first->noted = !r;
	}
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

static int submit(struct change_queue *q, const struct change *change)
{
	struct change *c = malloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = *change;
	*q->end = c;
	q->end = &c->next;
	if (q->first == c)
		schedule(q, 0);
	return 0;
}

int change_submit(struct change_queue *q, change_edit edit, change_done done, void *arg)
{
	return submit(q, &(struct change){ .edit = edit, .done = done, .arg = arg });
}

int change_submit_with(struct change_queue *q, change_edit edit, change_done done, void *arg,
		       const struct change_options *options)
{
	return submit(q, &(struct change){ .edit = edit, .done = done, .arg = arg, .options = *options });
}

int change_submit_reload(struct change_queue *q, const struct reload_options *options, change_done done, void *arg)
{
	return submit(q, &(struct change){ .reload = true,
					   .force = options->force,
					   .confirm = options->confirm,
					   .done = done,
					   .arg = arg,
					   .options.by = options->by });
}

int change_submit_back(struct change_queue *q, const struct history_by *by, change_done done, void *arg)
{
	return submit(q, &(struct change){ .back = true, .done = done, .arg = arg, .options.by = *by });
}

int change_check_file(const struct change_queue *q, const struct config *file, struct error *err)
{
	return plan_check(q->context, file, q->context->active->path, err);
}

int change_check_edit(const struct change_queue *q, change_edit edit, void *arg, struct error *err)
{
	_cleanup_config_ struct config *wanted = config_clone(q->context->active->config);
	int r = wanted ? edit(wanted, arg, err) : error_set(err, -ENOMEM, "out of memory");

	return r ? r : plan_check(q->context, wanted, NULL, err);
}

int change_submit_programs(struct change_queue *q, change_prepare prepare, change_done done, void *arg)
{
	return submit(q, &(struct change){ .prepare = prepare, .done = done, .arg = arg });
}

static void on_monitored(void *arg, int r, const struct error *err)
{
	if (r && r != -ECANCELED)
		log_warning("the programs that report events of sessions cannot be loaded or removed: %s", err->text);
}

int change_monitor_sessions(struct change_queue *q, bool wanted)
{
	struct active_config *active = q->context->active;
	bool before = active_wants_sessions(active, active->config);
	unsigned monitors = active->session_monitors;
	int r = 0;

	active->session_monitors = wanted ? monitors + 1 : monitors - 1;
	if (active_wants_sessions(active, active->config) != before)
		r = change_submit_programs(q, NULL, on_monitored, NULL);
	if (r)
		active->session_monitors = monitors;
	return r;
}

int change_adopt_file(struct change_queue *q, struct error *err)
{
	struct active_config *active = q->context->active;
	_cleanup_config_ struct config *file = NULL;
	_cleanup_free_ char *running = NULL;
	uint64_t hash;
	int r = config_load(active->path, &file, &hash, err), same;

	if (r)
		return r;
	if (q->first)
		return error_set(err, -EBUSY, "%s was written, but a change is under way; save again after it",
				 active->path);
	running = config_to_json(active->config);
	same = running ? config_same(file, active->config) : -ENOMEM;
	if (same < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (!same)
		return error_set(err, -EAGAIN,
				 "%s differs from the running configuration, which has changed meanwhile; save again",
				 active->path);
	r = running_reserve(q->context->datapath, strlen(running), err);
	if (!r)
		r = running_save_to(q->context->datapath->running_state, q->context->datapath->running_size, running,
				    strlen(running), hash, err);
	if (!r)
		active->file_hash = active->file_read = hash;
	return r;
}

int change_apply_now(const struct parts *context, const struct config *wanted, uint64_t file_hash,
		     const struct config *before, struct error *err)
{
	const struct change_options options = { .by = history_by(BY_START), .before = before };
	struct change_plan *p;
	int r = plan_new_with(context, config_clone(wanted), file_hash, true, context->active->path, &options, &p, err);

	if (r)
		return r;
	do {
		r = plan_step(p, err);
		/* Signals are handled meanwhile: large tables take seconds. */
		event_base_loop(context->base, EVLOOP_NONBLOCK);
		if (r == PLAN_WAITS)
			usleep(WAIT_US);
		if (r >= 0 && *context->ending)
			r = error_set(err, -EINTR, "ended by a signal while starting");
	} while (r > 0);
	if (!r)
		r = plan_commit(p, err);
	if (!r)
		context->active->file_applied = time(NULL);
	change_plan_free(p);
	return r;
}

void change_end_trace(const struct parts *context)
{
	struct settings settings = context->datapath->settings;
	struct error err = { 0 };
	int r;

	if (!settings.trace)
		return;
	settings.trace = 0;
	r = datapath_load(context->datapath, &settings, &err);
	if (!r) {
		r = devices_apply(context->devices, context->active->config, &err);
		datapath_settle(context->datapath);
	}
	if (r)
		log_warning("the normal programs cannot be put back after a trace: %s; the next start does it",
			    err.text);
}
