/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Type information (BTF) for records of subscribers and session slots, so that `bpftool map dump` of a chunk shows
 * named fields. libbpf adds it to the maps of the BPF objects; chunks are created by the agent.
 */
#ifndef DETNAT_TABLE_TYPES_H
#define DETNAT_TABLE_TYPES_H

#include <bpf/bpf.h>
#include <stdint.h>

struct table_types {
	int fd; /* -1: no types; maps are created without */
	uint32_t key;
	uint32_t subscriber;
	uint32_t bucket;
};

/* Loads the types into the kernel if it can use them (6.2 and later); without them, dumps are only harder to read. */
struct table_types table_types_load(void);
void table_types_close(struct table_types *t);

/* Creates a memory-mappable ARRAY of records of a type, an id of t or 0. A descriptor or -errno. */
int table_types_array(const struct table_types *t, const char *name, uint32_t type, uint32_t record_size, uint32_t n);

#endif
