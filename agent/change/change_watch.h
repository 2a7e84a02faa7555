/* SPDX-License-Identifier: BSD-2-Clause */
/* What looks once a second whether a change is due, and has it made. */
#ifndef DETNAT_CHANGE_WATCH_H
#define DETNAT_CHANGE_WATCH_H

#include "change/change.h"

struct change_watch {
	const struct parts *context;
	struct change_queue *queue;
	struct event *second;
	unsigned seconds;    /* until it looks again, or since which something is due */
	bool submitted;	     /* the change */
	bool awaits_history; /* that can be written again */
};

/* arg of the callback is the watch. The context and the queue must outlive it. 0 or -ENOMEM. */
int change_watch_new(const struct parts *context, struct change_queue *queue, event_callback_fn on_second,
		     struct change_watch **ret);
void change_watch_free(struct change_watch *w); /* NULL is allowed */

#endif
