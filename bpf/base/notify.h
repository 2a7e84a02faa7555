/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events from the datapath to the agent. If the ring buffer is full, the event alone is lost, and counted. */
#ifndef DETNAT_NOTIFY_H
#define DETNAT_NOTIFY_H

#include "base/count.h"
#include "base/maps.h"

/* Room for an event, to be filled in, or NULL: there is none, which is counted. */
static __always_inline struct nat_event *notify_begin(void)
{
	struct nat_event *slot = bpf_ringbuf_reserve(&events, sizeof(*slot), 0);

	if (!slot)
		count_aside(REASON_events_lost, 1);
	return slot;
}

static __always_inline void notify_end(struct nat_event *slot)
{
	slot->time_ns = bpf_ktime_get_ns();
	bpf_ringbuf_submit(slot, 0);
}

static __always_inline void notify(const struct nat_event *e)
{
	struct nat_event *slot = notify_begin();

	if (!slot)
		return;
	*slot = *e;
	notify_end(slot);
}

#endif
