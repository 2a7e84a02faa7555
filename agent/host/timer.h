/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_TIMER_H
#define DETNAT_TIMER_H

#include <event2/event.h>

/* A running timer that calls fn every so many milliseconds. The caller frees it. NULL: out of memory. */
static inline struct event *timer_every(struct event_base *base, unsigned ms, event_callback_fn fn, void *arg)
{
	const struct timeval interval = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct event *timer = event_new(base, -1, EV_PERSIST, fn, arg);

	if (!timer || !event_add(timer, &interval))
		return timer;
	event_free(timer);
	return NULL;
}

/* The same every second. */
static inline struct event *timer_each_second(struct event_base *base, event_callback_fn fn, void *arg)
{
	return timer_every(base, 1000, fn, arg);
}

#endif
