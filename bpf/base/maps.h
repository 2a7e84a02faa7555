/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pinned maps, except `counters` (count.h) and `entries` (detnat_entry.bpf.c). Their values are in
 * <detnat/tables.h> and <detnat/events.h>.
 */
#ifndef DETNAT_MAPS_H
#define DETNAT_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <detnat/drains.h>
#include <detnat/events.h>
#include <detnat/extents.h>
#include <detnat/fragments.h>
#include <detnat/growth.h>
#include <detnat/next_hops.h>
#include <detnat/portmap_lines.h>
#include <detnat/routed.h>
#include <detnat/tables.h>
#include <detnat/unsolicited.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct index_table);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} in_index SEC(".maps"), out_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mapping_table);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} mappings SEC(".maps");

/*
 * The agent creates the inner maps without type information. Kernel 6.1 requires the template to match, so the
 * templates have none either.
 */
struct subscriber_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SUBSCRIBER_CHUNK);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct subscriber));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_SUBSCRIBER_CHUNKS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, struct subscriber_chunk);
} subscribers SEC(".maps");

struct bucket_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BUCKET_CHUNK);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bucket));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_BUCKET_CHUNKS);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, struct bucket_chunk);
} buckets SEC(".maps");

/* The agent sets max_entries to the number of buckets of all extents, 1 at least. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} extents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct extent_pool);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} extent_pool SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct device_table);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FRAGMENTED_DATAGRAMS);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fragments SEC(".maps");

/* A separate ring buffer, so that a flood of fragments does not crowd out events. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} early_fragments SEC(".maps");

/* Separate for the same reason. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} unsolicited_syns SEC(".maps");

/* Separate for the same reason. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} transmissions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NEXT_HOPS_USED);
	__type(key, struct next_hop_address);
	__type(value, struct next_hop_use);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} next_hops_used SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_VLANS);
	__type(key, struct vlan_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_ROUTE_MTUS);
	__type(key, struct prefix_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} route_mtus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_MAPPINGS);
	__type(key, struct tenant_prefix_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} untranslated SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * PORTMAP_ROOM(MIN_LEASES));
	__type(key, struct portmap_key);
	__type(value, struct portmap_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} portmaps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PORTMAP_LINES_TABLE);
	__type(key, __u32);
	__type(value, struct portmap_line);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} portmap_lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PORTMAP_ROOM(MIN_LEASES));
	__type(key, struct portmap_key);
	__type(value, struct portmap_filters);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} portmap_filters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GRANT_ENTRIES);
	__type(key, struct grant_key);
	__type(value, struct grant_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} grants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GRANT_BINDING_ENTRIES);
	__type(key, struct grant_binding_key);
	__type(value, struct grant_binding);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} grant_bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_DRAINS);
	__type(key, struct drain_key);
	__type(value, struct drain_entry);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} drains SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ROUTED_FLOWS);
	__type(key, struct routed_flow);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} routed_flows SEC(".maps");

/* Last tick at which the map may hold a flow; 0: it never held one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} routed_until SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} events SEC(".maps");

#endif
