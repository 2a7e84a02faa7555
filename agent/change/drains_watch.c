/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/drains_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "host/timer.h"

/* After a failure, because the disk of the history is full for example. */
#define RETRY_SECONDS 10U

struct drains_watch {
	const struct change_context *context;
	struct change_queue *queue;
	struct event *second;
	unsigned wait; /* seconds */
	bool submitted;
};

static void on_ended(void *arg, int r, const struct error *err)
{
	struct drains_watch *w = arg;

	w->submitted = false;
	w->wait = r ? RETRY_SECONDS : 0;
	if (r && r != -ECANCELED)
		log_warning("a mapping that has drained cannot be ended yet: %s", err->text);
}

static bool is_due(const struct drains_watch *w)
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
	struct drains_watch *w = arg;

	if (w->wait)
		w->wait--;
	else if (!w->submitted && is_due(w))
		w->submitted = !change_submit_programs(w->queue, NULL, on_ended, w);
}

int drains_watch_new(const struct change_context *context, struct change_queue *queue, struct drains_watch **ret)
{
	struct drains_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->context = context;
	w->queue = queue;
	w->second = timer_each_second(context->base, on_second, w);
	if (!w->second) {
		drains_watch_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

void drains_watch_free(struct drains_watch *w)
{
	if (!w)
		return;
	if (w->second)
		event_free(w->second);
	free(w);
}
