/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells the programs at tc while XDP may take their place, so that they pass what it has handled: see handled.h. */
#include "links/devices_private.h"

/* Seconds: a change of this agent, and the start of whatever follows it, such as an earlier release. */
#define CHANGE_S 10U
#define START_S	 300U

static void tell(struct devices *v, uint32_t until)
{
	__atomic_store_n(&v->datapath->table->limits.handled_until, until, __ATOMIC_RELAXED);
}

static void expect(struct devices *v, uint32_t seconds)
{
	for (size_t k = 0; k < v->interfaces.count; k++)
		if (interface_sends(&v->interfaces.list[k])) {
			tell(v, datapath_ticks(v->datapath) + (seconds * v->datapath->hz >> TICK_SHIFT));
			return;
		}
}

void devices_change_begins(struct devices *v)
{
	expect(v, CHANGE_S);
}

void devices_change_ends(struct devices *v)
{
	tell(v, datapath_ticks(v->datapath) - 1);
	datapath_end_tc(v->datapath);
}

void devices_leave(struct devices *v)
{
	if (v->applied && v->datapath->table)
		expect(v, START_S);
}
