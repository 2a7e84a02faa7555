/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/table_types.h"

#include <bpf/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <detnat/tables.h>

#include "base/base.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the parts of a slot's words below are in that order");

struct member {
	const char *name;
	uint32_t offset; /* octets */
	uint32_t size;
};

#define MEMBER(type, member)                                                               \
	{                                                                                  \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}

/* In order of offset, as the kernel requires. */
static const struct member subscriber_members[] = {
	MEMBER(subscriber, sessions),	      MEMBER(subscriber, lock),
	MEMBER(subscriber, beyond),	      MEMBER(subscriber, quota_pass),
	MEMBER(subscriber, search_tick),      MEMBER(subscriber, refused),
	MEMBER(subscriber, icmp_next),	      MEMBER(subscriber, quota_event_next),
	MEMBER(subscriber, ports_event_next), MEMBER(subscriber, hairpins),
	MEMBER(subscriber, displaced),	      MEMBER(subscriber, datagrams),
	MEMBER(subscriber, exhausted),	      MEMBER(subscriber, searched),
	MEMBER(subscriber, resolve_tick),
};

/* The two words of a slot (session.h), field by field. */
static const struct member slot_members[] = {
	{ "in_port", 0, 2 }, { "ext_port", 2, 2 },  { "ext_addr", 4, 4 },  { "last_seen", 8, 4 },
	{ "state", 12, 1 },  { "protocol", 13, 1 }, { "out_port", 14, 2 },
};
_Static_assert(sizeof(struct slot) == 16, "so slot_members say");

/* Ids of unsigned integers by log2 of their octets. */
static int add_integers(struct btf *btf, int ret_ids[static 4])
{
	static const char *const names[] = { "__u8", "__u16", "__u32", "__u64" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		ret_ids[i] = btf__add_int(btf, names[i], 1U << i, 0);
		if (ret_ids[i] < 0)
			return ret_ids[i];
	}
	return 0;
}

static int add_struct(struct btf *btf, const char *name, uint32_t size, const struct member *members, size_t n,
		      const int integers[static 4])
{
	int id = btf__add_struct(btf, name, size), r = 0;

	for (size_t i = 0; id > 0 && !r && i < n; i++)
		r = btf__add_field(btf, members[i].name, integers[__builtin_ctz(members[i].size)],
				   members[i].offset * 8, 0);
	return r ? r : id;
}

static int add_bucket(struct btf *btf, const int integers[static 4])
{
	int slot = add_struct(btf, "slot", sizeof(struct slot), slot_members, ARRAY_SIZE(slot_members), integers);
	int slots = slot < 0 ? slot : btf__add_array(btf, integers[2], slot, BUCKET_SLOTS);
	int id = slots < 0 ? slots : btf__add_struct(btf, "bucket", sizeof(struct bucket));
	int r = id < 0 ? id : btf__add_field(btf, "slot", slots, 0, 0);

	return r ? r : id;
}

/*
 * Whether an outer map created without types takes inner maps that have types. Kernels before 6.2 refuse: they
 * distinguish "no types" from "types without a timer".
 */
static bool outer_maps_take(const struct table_types *t)
{
	static const struct table_types none = { .fd = -1 };
	_cleanup_close_ int without = table_types_array(&none, "types_probe", 0, sizeof(struct subscriber), 1);
	_cleanup_close_ int with = table_types_array(t, "types_probe", t->subscriber, sizeof(struct subscriber), 1);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (uint32_t)without);
	_cleanup_close_ int outer =
		without < 0 ? -1 : bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "types_probe", 4, 4, 1, &opts);
	uint32_t zero = 0;

	return outer >= 0 && with >= 0 && !bpf_map_update_elem(outer, &zero, &with, BPF_ANY);
}

struct table_types table_types_load(void)
{
	struct table_types t = { .fd = -1 };
	struct btf *btf = btf__new_empty();
	int integers[4], subscriber, bucket;

	if (!btf)
		return t;
	if (!add_integers(btf, integers)) {
		subscriber = add_struct(btf, "subscriber", sizeof(struct subscriber), subscriber_members,
					ARRAY_SIZE(subscriber_members), integers);
		bucket = add_bucket(btf, integers);
		if (subscriber > 0 && bucket > 0 && !btf__load_into_kernel(btf)) {
			t.key = (uint32_t)integers[2];
			t.subscriber = (uint32_t)subscriber;
			t.bucket = (uint32_t)bucket;
			t.fd = btf__fd(btf);
			btf__set_fd(btf, -1);
		}
	}
	btf__free(btf);
	if (t.fd >= 0 && !outer_maps_take(&t))
		table_types_close(&t);
	return t;
}

void table_types_close(struct table_types *t)
{
	close_fd(&t->fd);
	t->fd = -1;
}

int table_types_array(const struct table_types *t, const char *name, uint32_t type, uint32_t record_size, uint32_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	if (t->fd >= 0 && type) {
		opts.btf_fd = (uint32_t)t->fd;
		opts.btf_key_type_id = t->key;
		opts.btf_value_type_id = type;
	}
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), record_size, n, &opts);
}
