/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A subscriber's opener lock. Only BPF programs take it: they run to completion, while an agent could die holding it.
 * (bpf_spin_lock is not allowed in a map that is mapped into memory.)
 */
#ifndef DETNAT_LOCK_H
#define DETNAT_LOCK_H

#include <detnat/order.h>
#include <detnat/slots.h>
#include <detnat/tables.h>

#include "base/settings.h"
#include "base/subprogram.h"

/*
 * Number of attempts to take the lock: about 100 us, several times the length of an opening that walks through all
 * slots. Dropping the packet instead would cost its sender a second.
 */
#define LOCK_TRIES 4096

struct lock_wait {
	struct subscriber *s;
	__u32 taken;
	__u32 pad;
};

static __always_inline int lock_try(struct subscriber *s)
{
	__u32 lock = LOAD(s->lock);

	return !(lock & 1) && __sync_val_compare_and_swap(&s->lock, lock, lock + 1) == lock;
}

/* Reading the clock passes time, about 20 ns. */
static long lock_again(__u32 i, struct lock_wait *w)
{
	(void)i;
	if (lock_try(w->s)) {
		w->taken = 1;
		return LOOP_END;
	}
	(void)bpf_ktime_get_ns();
	return LOOP_ON;
}

/* Returns 0, or -1 if another core keeps holding the lock. */
SUBPROGRAM int open_lock(struct subscriber *s)
{
	struct lock_wait w = { .s = s };

	if (!s)
		return -1;
	if (lock_try(s))
		return 0;
	bpf_loop(LOCK_TRIES, lock_again, &w, 0);
	return LOAD(w.taken) ? 0 : -1;
}

static __always_inline void open_unlock(struct subscriber *s)
{
	order_and_add(&s->lock, 1);
}

/* Under the lock: records that a session with first bucket `home` is not in its preferred slot. */
static __always_inline void displace(struct subscriber *s, __u32 home)
{
	*(volatile __u32 *)&s->displaced |= home;
}

/* Notes that a session of the subscriber has a pool address as its external one. The opener's lock is not needed. */
static __always_inline void hairpins_note(struct subscriber *s)
{
	/* One store, where nothing else is in the word. */
	if (!settings.extent_buckets)
		STORE(s->hairpins, HAIRPINS_SEEN);
	else if (!(LOAD(s->hairpins) & HAIRPINS_SEEN))
		__sync_fetch_and_or(&s->hairpins, HAIRPINS_SEEN);
}

#endif
