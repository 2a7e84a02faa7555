/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Redirects a frame. Programs with stages (STAGED) redirect every frame through the map `ports`: see <detnat/stages.h>.
 */
#ifndef DETNAT_PORTS_H
#define DETNAT_PORTS_H

#include "base/count.h"
#if SENDS_BY_TC
#include "egress/sent_mark.h"
#endif

#if STAGED

#include <detnat/stages.h>

/* Pinned, but given by the agent: the kernel adds a flag to such maps, which libbpf then takes for another one. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, STAGE_PORTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_devmap_val));
} ports SEC(".maps");

/* If the agent has not entered the interface yet, the frame is lost and counted. */
static __always_inline int redirect_to(ctx_t *ctx, __u32 ifindex)
{
	int verdict = (int)bpf_redirect_map(&ports, ifindex, XDP_DROP);

	if (verdict != XDP_REDIRECT)
		count_add(REASON_redirect_errors, 1);
	return verdict;
}

#else

static __always_inline int redirect_to(ctx_t *ctx, __u32 ifindex)
{
#if SENDS_BY_TC
	sent_mark_set(ctx, ifindex);
#endif
	return (int)bpf_redirect(ifindex, 0);
}

#endif
#endif
