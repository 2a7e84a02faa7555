/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The opener's lock of a subscriber. Only BPF programs take it: they run to their end, while an agent could die holding
 * it. (bpf_spin_lock cannot stand in a map that is mapped into memory.)
 */
#ifndef DETNAT_LOCK_H
#define DETNAT_LOCK_H

#include <detnat/tables.h>

#define LOCK_TRIES 64

/* 0, or -1 where another core keeps holding it. */
static __always_inline int open_lock(struct subscriber *s)
{
	for (int i = 0; i < LOCK_TRIES; i++)
		if (!__sync_val_compare_and_swap(&s->lock, 0, 1))
			return 0;
	return -1;
}

static __always_inline void open_unlock(struct subscriber *s)
{
	__sync_val_compare_and_swap(&s->lock, 1, 0);
}

#endif
