/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/timer.h"

struct event *timer_each_second(struct event_base *base, event_callback_fn fn, void *arg)
{
	const struct timeval second = { .tv_sec = 1 };
	struct event *timer = event_new(base, -1, EV_PERSIST, fn, arg);

	if (!timer || !event_add(timer, &second))
		return timer;
	event_free(timer);
	return NULL;
}
