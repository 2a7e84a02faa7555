/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/stages_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "change/stages_choice.h"
#include "host/timer.h"

/* How long another choice must have been due before the programs are replaced: interfaces change several times. */
#define STEADY_SECONDS 5U

struct stages_watch {
	const struct change_context *context;
	struct change_queue *queue;
	struct event *second;
	unsigned due_seconds; /* since which another choice is due */
	bool submitted;
};

static void on_replaced(void *arg, int r, const struct error *err)
{
	struct stages_watch *w = arg;

	w->submitted = false;
	w->due_seconds = 0;
	if (r)
		log_error("the programs cannot be replaced by those with another number of stages: %s", err->text);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct stages_watch *w = arg;
	struct active_config *active = w->context->active;
	const struct settings *settings = &w->context->datapath->settings;
	struct stages_choice now;

	if (w->submitted)
		return;
	stages_choose_now(w->context, active->config, settings, &now);
	if (now.stages == settings->stages) {
		w->due_seconds = 0;
		stages_tell(&active->stages, &now);
		active->stages = now;
		return;
	}
	if (++w->due_seconds < STEADY_SECONDS)
		return;
	w->submitted = !change_submit_programs(w->queue, NULL, on_replaced, w);
}

int stages_watch_new(const struct change_context *context, struct change_queue *queue, struct stages_watch **ret)
{
	struct stages_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->context = context;
	w->queue = queue;
	w->second = timer_each_second(context->base, on_second, w);
	if (!w->second) {
		stages_watch_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

void stages_watch_free(struct stages_watch *w)
{
	if (!w)
		return;
	if (w->second)
		event_free(w->second);
	free(w);
}
