/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tracepoint programs' records of interfaces that XDP redirects to: the map `watched`, by interface index. */
#ifndef DETNAT_WATCH_H
#define DETNAT_WATCH_H

#include <linux/types.h>

#define MAX_WATCHED 1024U

/* The ring buffer `alarms` gets the index of an interface that was unable to take a frame, at most once a second. */
#define ALARM_PAUSE_NS 1000000000ULL

struct watched {
	__u64 refused;	     /* frames that did not leave, for any reason */
	__u64 unable;	     /* those refused because of the interface, not because of the frame or a full queue */
	__u64 tried_ok;	     /* frames of the agent's own tests that were taken */
	__u64 tried_refused; /* and those that were refused */
	__u64 told_ns;	     /* CLOCK_MONOTONIC of the last alarm */
	__s32 error;	     /* -errno of the last frame counted in unable or tried_refused */
	__u32 pad;
};
_Static_assert(sizeof(struct watched) == 48, "value of the map watched");

#endif
