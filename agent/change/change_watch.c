/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/change_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "host/timer.h"

int change_watch_new(const struct parts *context, struct change_queue *queue, event_callback_fn on_second,
		     struct change_watch **ret)
{
	struct change_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->context = context;
	w->queue = queue;
	w->second = timer_each_second(context->base, on_second, w);
	if (!w->second) {
		change_watch_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

void change_watch_free(struct change_watch *w)
{
	if (!w)
		return;
	if (w->second)
		event_free(w->second);
	free(w);
}
