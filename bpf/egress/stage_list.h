/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The list of frames between the stages, see <detnat/stages.h>. */
#ifndef DETNAT_STAGE_LIST_H
#define DETNAT_STAGE_LIST_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <detnat/stages.h>

/* Private to each set of programs; the agent gives stage 2 that of stage 1. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stage_list);
} stage_lists SEC(".maps");

static __always_inline struct stage_list *stage_list_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stage_lists, &zero);
}

static __always_inline struct stage_entry *stage_entry_of(struct stage_list *list, __u32 sequence)
{
	return &list->entry[sequence & (STAGE_ENTRIES - 1)];
}

/* Marks a frame. */
static __always_inline void stage_mark_set(void *frame, __u32 sequence)
{
	STAGE_MAGIC_AT(frame) = STAGE_MAGIC;
	STAGE_SEQUENCE_AT(frame) = sequence;
	STAGE_ETHERTYPE_AT(frame) = bpf_htons(STAGE_ETHERTYPE);
}

#endif
