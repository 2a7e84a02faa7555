/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entry programs: attached to interfaces, each only tail-calls the main program of its role. */
#ifndef DETNAT_ENTRY_H
#define DETNAT_ENTRY_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <detnat/programs.h>

#include "base/count.h"

/* Defines a pinned map of programs with n elements. */
#define PROGRAMS(name, n)                              \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
		__uint(max_entries, n);                \
		__type(key, __u32);                    \
		__type(value, __u32);                  \
		__uint(pinning, LIBBPF_PIN_BY_NAME);   \
	} name SEC(".maps")

/*
 * If the element is missing, packets go to the kernel and are counted. At tc ingress those from inside are then
 * translated at the egress, and for those to the pool there is a blackhole route.
 */
#define ENTRY_PROGRAM(section, ctx_type, name, map, element, missing) \
	SEC(section)                                                  \
	int name(struct ctx_type *ctx)                                \
	{                                                             \
		bpf_tail_call(ctx, &(map), element);                  \
		return finish(missing, REASON_no_program);            \
	}

#define XDP_ENTRY(name, element) ENTRY_PROGRAM("xdp.frags", xdp_md, name, entries, element, XDP_PASS)

/* The programs at XDP of all roles, behind PROGRAMS(entries, N_ENTRIES). */
#define XDP_ENTRIES                           \
	XDP_ENTRY(xdp_inside, ENTRY_INSIDE)   \
	XDP_ENTRY(xdp_outside, ENTRY_OUTSIDE) \
	XDP_ENTRY(xdp_both, ENTRY_BOTH)

#endif
