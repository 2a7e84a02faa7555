/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The egress of the frame that a program of stage 2 handles. */
#ifndef DETNAT_STAGE2_EGRESS_H
#define DETNAT_STAGE2_EGRESS_H

#include "egress/egress.h"
#include "egress/fib_lookup.h"
#include "egress/stage_list.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct egress);
} stage2_egresses SEC(".maps");

static __always_inline const struct stage_entry *stage2_current(void)
{
	struct stage_list *list = stage_list_get();

	return list ? stage_entry_of(list, list->current) : 0;
}

/* Never NULL, except to the verifier. */
static __always_inline const struct egress *stage2_egress(void)
{
	__u32 zero = 0;
	struct egress *ret = bpf_map_lookup_elem(&stage2_egresses, &zero);
	const struct stage_entry *e = stage2_current();
	const struct fib_hop *hop;

	if (!ret || !e)
		return 0;
	hop = &fib.hop[e->hop];
	__builtin_memcpy(&ret->mac, hop->dmac, sizeof(ret->mac));
	ret->mtu = ret->longest = hop->mtu;
	ret->ifindex = hop->ifindex;
	ret->state = EGRESS_READY;
	return ret;
}

#endif
