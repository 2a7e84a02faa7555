/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tracepoint programs record of the interfaces that XDP redirects to: map `watched`, by interface index. */
#ifndef DETNAT_WATCH_H
#define DETNAT_WATCH_H

#include <linux/types.h>

#define MAX_WATCHED 1024U

/* The ring buffer `alarms` gets the index of an interface that was unable to take a frame, once a second at most. */
#define ALARM_PAUSE_NS 1000000000ULL

struct watched {
	__u64 refused; /* frames that did not leave, for whatever reason */
	__u64 unable;  /* of them, those for a reason that lies in the interface, not in the frame or in a full queue */
	__u64 tried_ok; /* the agent's own frame was taken, was refused */
	__u64 tried_refused;
	__u64 told_ns; /* CLOCK_MONOTONIC of the last alarm */
	__s32 error;   /* -errno of the last one that counted as unable or tried_refused */
	__u32 pad;
};
_Static_assert(sizeof(struct watched) == 48, "value of the map watched");

#endif
