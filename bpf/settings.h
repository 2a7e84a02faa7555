/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Read-only settings, the clock, and the globals of the agent. */
#ifndef DETNAT_SETTINGS_H
#define DETNAT_SETTINGS_H

#include "maps.h"

const volatile struct settings settings;

/* The clock of sessions: see TICK_SHIFT. */
static __always_inline __u32 now_ticks(void)
{
	return (__u32)(bpf_jiffies64() >> TICK_SHIFT);
}

static __always_inline struct globals *globals_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&globals, &zero);
}

/*
 * A limit of so many a second, kept in a word: the jiffies before which the next is refused. Returns whether one
 * is due, and books it, exactly once among all cores.
 */
static __always_inline int rate_allows(__u32 *next, __u32 per_second)
{
	__u32 now = (__u32)bpf_jiffies64(), old = *(volatile __u32 *)next;
	__u32 due = now + (settings.hz + per_second - 1) / per_second;

	/* 0 is a record that never refused anything. A word far ahead is one from before the clock wrapped. */
	if (old && (__s32)(now - old) < 0 && (__s32)(old - now) <= (__s32)settings.hz)
		return 0;
	return __sync_val_compare_and_swap(next, old, due ? due : 1) == old;
}

#endif
