/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A subscriber's opener lock. Only BPF programs take it: they run to completion, while an agent could die holding it.
 * (bpf_spin_lock is not allowed in a map that is mapped into memory.)
 */
#ifndef DETNAT_LOCK_H
#define DETNAT_LOCK_H

#include <detnat/slots.h>
#include <detnat/tables.h>

#include "subprogram.h"

/*
 * Memory barriers between reads, or between writes. x86 keeps their order anyway; elsewhere an atomic operation serves
 * as a barrier, as clang 14 has none for BPF.
 */
#ifdef __TARGET_ARCH_x86
#define order_memory() asm volatile("" ::: "memory")
#else
static __always_inline void order_memory(void)
{
	__u64 unused = 0;

	__sync_fetch_and_add(&unused, 1);
}
#endif
#define order_reads()  order_memory()
#define order_writes() order_memory()

#define LOCK_TRIES 16

/*
 * Returns 0, or -1 if another core keeps holding the lock. Reading the clock passes time, about 20 ns each: the
 * verifier follows every try, so that they should be few.
 */
SUBPROGRAM int open_lock(struct subscriber *s)
{
	if (!s)
		return -1;
	for (int i = 0; i < LOCK_TRIES; i++) {
		__u32 lock = LOAD(s->lock);

		if (!(lock & 1) && __sync_val_compare_and_swap(&s->lock, lock, lock + 1) == lock)
			return 0;
		(void)bpf_ktime_get_ns();
	}
	return -1;
}

static __always_inline void open_unlock(struct subscriber *s)
{
	__sync_fetch_and_add(&s->lock, 1);
}

/* Under the lock: records that a session whose first bucket is `home` is not in its preferred slot. */
static __always_inline void displace(struct subscriber *s, __u32 home)
{
	*(volatile __u32 *)&s->displaced |= home;
}

#endif
