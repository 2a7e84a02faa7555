// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * No programs: the types of the records that 1.0.0 takes over from this version, under the names by which it finds
 * them. Most are its own, so that it uses their maps as they are. Those of subscribers and counters are this version's,
 * which it copies by name.
 */
#define FORMER(name) name
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <detnat/drains.h>
#include <detnat/former.h>
#include <detnat/reasons.h>

struct slot {
	__u64 key;
	__u64 truth;
};

struct bucket {
	struct slot slot[FORMER_SLOTS];
};

struct bucket_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FORMER_CHUNK);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bucket));
};

/* As in <detnat/tables.h>. Other members have no meaning for 1.0.0, or begin anew. */
struct subscriber {
	__u32 sessions;
	__u32 lock;
	__u32 overflow;
	__u32 searches;
	__u64 refused;
	__u32 times[6];
	__u32 hairpins;
	__u32 rest[3];
};
_Static_assert(sizeof(struct subscriber) == 64, "as in <detnat/tables.h>");

struct vlan_key {
	__u32 lower;
	__u16 tpid;
	__u16 id;
};

struct portmap_key {
	__u32 addr;
	__u16 port;
	__u8 proto;
	__u8 direction;
};

struct portmap_value {
	__u32 addr;
	__u16 port;
	__u8 origin;
	__u8 filtered;
	__u64 packets;
	__u64 expires_s;
	__u8 nonce[12];
	__u8 peer;
	__u8 pad[3];
};

struct portmap_filter {
	__u32 addr;
	__u16 port;
	__u8 plen;
	__u8 pad;
};

struct portmap_filters {
	__u32 n;
	struct portmap_filter filter[FORMER_FILTERS];
};

#define TYPE(name)                                \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(max_entries, 1);           \
		__type(key, __u32);               \
		__type(value, struct name);       \
	} type_##name SEC(".maps")

TYPE(index_table);
TYPE(mapping_table);
TYPE(overflow_key);
TYPE(overflow_session);
TYPE(device_table);
TYPE(bucket);
TYPE(subscriber);
TYPE(vlan_key);
TYPE(portmap_key);
TYPE(portmap_value);
TYPE(portmap_filters);
TYPE(drain_key);
TYPE(drain_entry);
TYPE(counters);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct bucket_chunk);
} type_bucket_chunk SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";
