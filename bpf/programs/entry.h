/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs attached to the interfaces. They stay attached: each only tail-calls the main program of its role, so
 * that an upgrade replaces an element of the map and touches no interface. If the element is missing, packets go to
 * the kernel and are counted. The object defines ENTRIES, the map's name, and the section of its programs.
 */
#ifndef DETNAT_ENTRY_H
#define DETNAT_ENTRY_H

#include <detnat/programs.h>

#include "base/count.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, N_ENTRIES);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ENTRIES SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";

#define ENTRY_PROGRAM(name, element)                        \
	SEC(ENTRY_SECTION)                                  \
	int name(ctx_t *ctx)                                \
	{                                                   \
		bpf_tail_call(ctx, &ENTRIES, element);      \
		return finish(CTX_PASS, REASON_no_program); \
	}

#endif
