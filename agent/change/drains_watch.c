/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/drains_watch.h"

#include <errno.h>

#include "base/log.h"

/* After a failure, because the disk of the history is full for example. */
#define RETRY_SECONDS 10U

static void on_ended(void *arg, int r, const struct error *err)
{
	struct change_watch *w = arg;

	w->submitted = false;
	w->seconds = r ? RETRY_SECONDS : 0;
	if (r && r != -ECANCELED)
		log_warning("a mapping that has drained cannot be ended yet: %s", err->text);
}

static bool is_due(const struct change_watch *w)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(w->context->mappings, &drain);

	for (size_t i = 0; i < n; i++)
		if (mapping_drain_over(&drain[i]))
			return true;
	return !n && w->context->datapath->settings.drains;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct change_watch *w = arg;

	if (w->seconds)
		w->seconds--;
	else if (!w->submitted && is_due(w))
		w->submitted = !change_submit_programs(w->queue, NULL, on_ended, w);
}

int drains_watch_new(const struct parts *context, struct change_queue *queue, struct change_watch **ret)
{
	return change_watch_new(context, queue, on_second, ret);
}
