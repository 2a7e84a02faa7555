/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pinned map in which the agent names the programs that may mark frames; see <detnat/stages.h>. */
#ifndef DETNAT_STAGE_CONTROL_H
#define DETNAT_STAGE_CONTROL_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <detnat/stages.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stage_control);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} stage_control SEC(".maps");

#endif
