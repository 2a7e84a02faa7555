/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Type information (BTF) of subscriber records and session slots, so that `bpftool map dump` of a chunk shows fields by
 * name. The maps that the BPF objects define have theirs by libbpf; chunks are made by the agent.
 */
#ifndef DETNAT_TABLE_TYPES_H
#define DETNAT_TABLE_TYPES_H

#include <bpf/bpf.h>
#include <stdint.h>

struct table_types {
	int fd; /* -1: there are none, and maps are made without */
	uint32_t key;
	uint32_t subscriber;
	uint32_t bucket;
};

/* Loads them into the kernel, if it is one that can use them (6.2); otherwise maps are just harder to read. */
struct table_types table_types_load(void);
void table_types_close(struct table_types *t);

/* Makes an ARRAY that can be mapped, of records of a type: a descriptor or -errno. type: an id of t, or 0. */
int table_types_array(const struct table_types *t, const char *name, uint32_t type, uint32_t record_size, uint32_t n);

#endif
