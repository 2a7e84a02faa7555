/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/stages_watch.h"

#include "base/log.h"
#include "change/stages_choice.h"

/* How long another choice must have been due before the programs are replaced: interfaces change several times. */
#define STEADY_SECONDS 5U

static void on_replaced(void *arg, int r, const struct error *err)
{
	struct change_watch *w = arg;

	w->submitted = false;
	w->seconds = 0;
	if (r)
		log_error("the programs cannot be replaced by those with another number of stages: %s", err->text);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct change_watch *w = arg;
	struct active_config *active = w->context->active;
	const struct settings *settings = &w->context->datapath->settings;
	struct stages_choice now;

	if (w->submitted)
		return;
	stages_choose_now(w->context, active->config, settings, &now);
	if (now.stages == settings->stages) {
		w->seconds = 0;
		stages_tell(&active->stages, &now);
		active->stages = now;
		return;
	}
	if (++w->seconds < STEADY_SECONDS)
		return;
	w->submitted = !change_submit_programs(w->queue, NULL, on_replaced, w);
}

int stages_watch_new(const struct parts *context, struct change_queue *queue, struct change_watch **ret)
{
	return change_watch_new(context, queue, on_second, ret);
}
