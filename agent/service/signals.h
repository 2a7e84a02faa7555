/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGTERM and SIGINT, which end the agent, and SIGHUP, which reloads the configuration; in turns of the event loop. */
#ifndef DETNAT_SIGNALS_H
#define DETNAT_SIGNALS_H

#include <event2/event.h>

#include "base/base.h"

struct signals {
	struct event *event[3];
	void (*end)(void *arg);
	void (*reload)(void *arg);
	void *arg;
};

/* Catches the signals and unblocks them. The callbacks and arg are set before; s stays where it is. 0 or -ENOMEM. */
int signals_catch(struct signals *s, struct event_base *base, struct error *err);
void signals_free(struct signals *s);

/* Unblocks the signals, which have been blocked since before main(). */
void signals_release(void);

#endif
