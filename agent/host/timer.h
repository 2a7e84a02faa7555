/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_TIMER_H
#define DETNAT_TIMER_H

#include <event2/event.h>

/* A timer that calls fn each second, for the caller to free. NULL: out of memory. */
struct event *timer_each_second(struct event_base *base, event_callback_fn fn, void *arg);

#endif
