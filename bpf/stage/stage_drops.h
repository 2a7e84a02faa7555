/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames that stage 2 dropped on this core. The kernel counts them among those that the interface refused, so the
 * watching program (detnat_watch.bpf.c) subtracts them and resets this to 0.
 */
#ifndef DETNAT_STAGE_DROPS_H
#define DETNAT_STAGE_DROPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} stage_drops SEC(".maps");

/* Ends a program of stage 2. */
static __always_inline int stage2_end(int verdict)
{
	__u32 zero = 0, *drops;

	if (verdict == XDP_PASS)
		return verdict;
	drops = bpf_map_lookup_elem(&stage_drops, &zero);
	if (drops)
		*drops += 1;
	return verdict;
}

#endif
