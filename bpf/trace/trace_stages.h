/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tracing build with stages: the records of frames between them. Many frames of a core wait for stage 2 at one
 * time, so stage 1 puts a frame's record aside, at the place of its entry in struct stage_list, and stage 2 continues
 * it.
 */
#ifndef DETNAT_TRACE_STAGES_H
#define DETNAT_TRACE_STAGES_H

#include "egress/stage_list.h"
#include "trace/trace_record.h"

/* Private to each set of programs; the agent gives stage 2 that of stage 1. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAGE_ENTRIES);
	__type(key, __u32);
	__type(value, struct trace_record);
} trace_waiting SEC(".maps");

#if STAGED

/* Puts the record of the current packet, which is noted under this number, aside; it does not end with stage 1. */
__noinline int trace_noted(__u32 sequence, __u32 ifindex)
{
	__u32 place = sequence & (STAGE_ENTRIES - 1);
	struct trace_record *r = trace_record_get(), *waiting = bpf_map_lookup_elem(&trace_waiting, &place);
	struct trace_filter *f = trace_filter_get();

	if (!waiting || !f)
		return 0;
	/* That of a frame that got lost before stage 2. */
	if (waiting->active)
		trace_hand_over(waiting, f);
	if (!r)
		return 0;
	trace_add(r, TRACE_noted, (__u64)ifindex << 32 | place, 0);
	bpf_map_update_elem(&trace_waiting, &place, r, BPF_ANY);
	r->active = 0;
	return 0;
}

#endif

#if STAGE2

/* Makes the record of the frame with this number the current one. */
__noinline int trace_resumed(__u32 sequence)
{
	__u32 place = sequence & (STAGE_ENTRIES - 1), zero = 0;
	struct trace_record *r, *waiting = bpf_map_lookup_elem(&trace_waiting, &place);

	if (!waiting || !waiting->active)
		return 0;
	bpf_map_update_elem(&trace_records, &zero, waiting, BPF_ANY);
	waiting->active = 0;
	r = trace_record_get();
	if (r)
		trace_add(r, TRACE_resumed, place, 0);
	return 0;
}

#endif
#endif
