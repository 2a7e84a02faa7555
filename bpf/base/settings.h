/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Read-only settings, the clock and rate limits. */
#ifndef DETNAT_SETTINGS_H
#define DETNAT_SETTINGS_H

#include "base/maps.h"

const volatile struct settings settings;

/* The clock of sessions, in ticks: see TICK_SHIFT. */
static __always_inline __u32 now_ticks(void)
{
	return (__u32)(bpf_jiffies64() >> TICK_SHIFT);
}

/*
 * A per-second rate limit is one word: the next event is refused before this jiffy; 0: no event yet. A word more than a
 * second ahead dates from before the clock wrapped. Returns 1 if the next event is due.
 */
static __always_inline int rate_is_due(__u32 next, __u32 now)
{
	return !next || (__s32)(now - next) >= 0 || (__s32)(next - now) > (__s32)settings.hz;
}

/* Returns 1 and reserves the event if the limit allows it now. Of several cores racing, only one succeeds. */
static __always_inline int rate_allows(__u32 *next, __u32 per_second)
{
	__u32 now = (__u32)bpf_jiffies64(), old = *(volatile __u32 *)next;
	__u32 due = now + (settings.hz + per_second - 1) / per_second;

	if (!rate_is_due(old, now))
		return 0;
	return __sync_val_compare_and_swap(next, old, due ? due : 1) == old;
}

#endif
