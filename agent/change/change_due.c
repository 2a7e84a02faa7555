/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/change_due.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/trouble.h"
#include "change/change.h"
#include "change/stages_choice.h"
#include "change/unconfirmed.h"
#include "host/timer.h"
#include "tables/mapping_drains.h"

/*
 * Seconds for which another choice must have been due before the programs are replaced: interfaces often change several
 * times.
 */
#define STAGES_STEADY_S 5U
/* After a failure, for example because the history's disk is full. */
#define DRAINS_RETRY_S 10U
#define ENDS_RETRY_S   60U

struct watch {
	unsigned seconds;    /* until the next check; of stages: since another choice has been due */
	bool submitted;	     /* the change */
	bool awaits_history; /* until it can be written again */
};

struct change_due {
	const struct parts *parts;
	struct event *second;
	struct watch stages;
	struct watch drains;
	struct watch ends;
	struct watch unconfirmed;
};

static void on_replaced(void *arg, int r, const struct error *err)
{
	struct watch *w = arg;

	w->submitted = false;
	w->seconds = 0;
	if (r)
		log_error("the programs cannot be replaced by those with another number of stages: %s", err->text);
}

static void look_at_stages(const struct parts *parts, struct watch *w)
{
	struct active_config *active = parts->active;
	const struct settings *settings = &parts->datapath->settings;
	struct stages_choice now;

	if (w->submitted)
		return;
	stages_choose_now(parts, active->config, active->tally.slots, settings, &now);
	if (now.stages == settings->stages) {
		w->seconds = 0;
		stages_tell(&active->stages, &now);
		active->stages = now;
		return;
	}
	if (++w->seconds < STAGES_STEADY_S)
		return;
	w->submitted = !change_submit_programs(parts->changes, NULL, on_replaced, w);
}

static void on_drained(void *arg, int r, const struct error *err)
{
	struct watch *w = arg;

	w->submitted = false;
	w->seconds = r ? DRAINS_RETRY_S : 0;
	if (r && r != -ECANCELED)
		log_warning("a mapping that has drained cannot be ended yet: %s", err->text);
}

static bool has_drained(const struct parts *parts)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(parts->mappings, &drain);

	for (size_t i = 0; i < n; i++)
		if (mapping_drain_over(&drain[i]))
			return true;
	return !n && parts->datapath->settings.drains;
}

static void look_at_drains(const struct parts *parts, struct watch *w)
{
	if (w->seconds)
		w->seconds--;
	else if (!w->submitted && has_drained(parts))
		w->submitted = !change_submit_programs(parts->changes, NULL, on_drained, w);
}

/* The first mapping whose time has come, or NULL. */
static const struct config_mapping *find_ended(const struct config *c, int64_t now)
{
	for (size_t i = 0; i < c->n_mappings; i++)
		if (c->mappings[i].until && c->mappings[i].until <= now)
			return &c->mappings[i];
	return NULL;
}

/* Removes the mappings whose sessions drain as long as those of the first. */
static int edit_ended(struct config *c, void *arg, struct error *err)
{
	int64_t now = time(NULL);
	const struct config_mapping *first = find_ended(c, now);
	uint32_t drain = first ? first->drain : 0;

	for (size_t i = c->n_mappings; i > 0; i--) {
		const struct config_mapping m = c->mappings[i - 1];
		char title[MAPPING_TITLE];

		if (!m.until || m.until > now || m.drain != drain)
			continue;
		log_info("mapping %s has reached its `until`", config_mapping_title(c, m.tenant, m.in, m.out, title));
		config_del_mapping_of(c, m.tenant, m.in, m.out);
	}
	return 0;
}

static void on_ended(void *arg, int r, const struct error *err)
{
	struct watch *w = arg;

	w->submitted = false;
	if (!r || r == -ECANCELED)
		return;
	w->seconds = ENDS_RETRY_S;
	w->awaits_history = trouble_get(TROUBLE_HISTORY);
	log_warning("mappings that have reached their `until` cannot be removed: %s; tried again in %u s%s", err->text,
		    ENDS_RETRY_S, w->awaits_history ? ", or once the history can be written" : "");
}

static void look_at_ends(const struct parts *parts, struct watch *w)
{
	const struct config_mapping *m;
	struct change_options options;

	if (w->seconds)
		w->seconds = w->awaits_history && !trouble_get(TROUBLE_HISTORY) ? 0 : w->seconds - 1;
	if (w->submitted || w->seconds)
		return;
	m = find_ended(parts->active->config, time(NULL));
	if (!m)
		return;
	options = (struct change_options){ .drain_given = true, .drain = m->drain };
	w->submitted = !change_submit_with(parts->changes, edit_ended, on_ended, w, &options);
}

static void on_back(void *arg, int r, const struct error *err)
{
	struct watch *w = arg;

	w->submitted = false;
	w->seconds = ENDS_RETRY_S;
	if (r && r != -ECANCELED)
		log_error("a reload that nobody has confirmed cannot be taken back: %s; tried again in %u s", err->text,
			  ENDS_RETRY_S);
}

static void look_at_unconfirmed(const struct parts *parts, struct watch *w)
{
	const struct history_by by = history_by(BY_UNCONFIRMED);

	if (w->seconds)
		w->seconds--;
	else if (!w->submitted && unconfirmed_is_due(parts->active))
		w->submitted = !change_submit_back(parts->changes, &by, on_back, w);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct change_due *d = arg;

	look_at_stages(d->parts, &d->stages);
	look_at_drains(d->parts, &d->drains);
	look_at_ends(d->parts, &d->ends);
	look_at_unconfirmed(d->parts, &d->unconfirmed);
}

int change_due_new(const struct parts *parts, struct change_due **ret)
{
	struct change_due *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->parts = parts;
	unconfirmed_resume(parts->active);
	d->second = timer_each_second(parts->base, on_second, d);
	if (!d->second) {
		free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void change_due_free(struct change_due *d)
{
	if (!d)
		return;
	event_free(d->second);
	free(d);
}
