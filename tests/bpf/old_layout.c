// SPDX-License-Identifier: BSD-2-Clause
#include "old_layout.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/btf_layout.h"
#include "datapath/pinned.h"
#include "fixture.h"

#define OLD_NODES 4096U

struct key7 {
	uint32_t in_addr, out_addr, ext_addr;
	uint16_t port, ext_port;
	uint8_t proto, direction, ratio_shift, pad;
};

struct key8 {
	uint32_t in_addr, out_addr, ext_addr;
	uint16_t port, ext_port, block_lo, block_hi;
	uint8_t proto, direction;
	uint16_t pad;
};

struct value {
	uint64_t truth;
	uint16_t in_port, mark;
	uint32_t pad;
};

union key {
	struct key7 key7;
	struct key8 key8;
};

static int hash = -1, old_index[2] = { -1, -1 };
static bool of_now; /* its keys have blocks */
static const char *const index_pins[] = { "in_index", "out_index" };

static const struct geometry *mapping(void)
{
	return &mappings_get(mappings, mappings_find_any(mappings, SUBSCRIBER))->geo;
}

/* The key of the entry of UDP towards EXTERNAL that has this port. */
static union key key_of(uint16_t port, uint16_t ext_port, uint8_t direction, unsigned other)
{
	const struct port_block block = mapping_forward(mapping(), SUBSCRIBER);

	if (of_now)
		return (union key){ .key8 = { SUBSCRIBER, block.out_addr, EXTERNAL, port, ext_port, block.port_lo,
					      block.port_hi, UDP, direction, 0 } };
	return (union key){ .key7 = { SUBSCRIBER, block.out_addr, EXTERNAL, port, ext_port, UDP, direction,
				      (uint8_t)(mapping()->ratio_shift ^ other), 0 } };
}

static int make_hash(void)
{
	/* As large as the datapath would have it. */
	uint32_t size = of_now ? sizeof(struct key8) : sizeof(struct key7);
	int map = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "overflow", size, sizeof(struct value), 1 << 17, NULL);

	cr_assert_geq(map, 0);
	return map;
}

/* Does something with both entries of a session. */
static void both(uint16_t in_port, uint16_t ext_port, uint64_t word, unsigned other, bool put)
{
	const union key in = key_of(in_port, ext_port, 0, other), out = key_of(word_out_port(word), ext_port, 1, other);
	const struct value session = { .truth = word }, reverse = { .in_port = in_port };

	cr_assert_eq(word_proto(word), UDP);
	if (put) {
		cr_assert_eq(bpf_map_update_elem(hash, &in, &session, BPF_ANY), 0);
		cr_assert_eq(bpf_map_update_elem(hash, &out, &reverse, BPF_ANY), 0);
	} else {
		cr_assert_eq(bpf_map_delete_elem(hash, &in), 0);
		cr_assert_eq(bpf_map_delete_elem(hash, &out), 0);
	}
}

void old_layout_put(uint16_t in_port, uint16_t ext_port, uint64_t word)
{
	both(in_port, ext_port, word, 0, true);
}

void old_layout_put_former(uint16_t in_port, uint16_t ext_port, uint64_t word)
{
	both(in_port, ext_port, word, 1, true);
}

void old_layout_del(uint16_t in_port, uint16_t ext_port, uint64_t word)
{
	both(in_port, ext_port, word, 0, false);
}

uint64_t old_layout_open(uint16_t in_port, uint16_t ext_port, uint16_t out_port)
{
	uint64_t word = state_word(out_port, UDP, SESSION_UDP, datapath_ticks(&datapath));

	old_layout_put(in_port, ext_port, word);
	return word;
}

unsigned old_layout_entries(void)
{
	union key at[2];
	unsigned n = 0;

	while (!bpf_map_get_next_key(hash, n ? &at[(n + 1) % 2] : NULL, &at[n % 2]))
		n++;
	return n;
}

/* Another name, of the same length, for the types of now, so that those of then can have theirs. */
static void rename_type(char *types, size_t size, const char *name)
{
	char whole[64] = { 0 };
	char *at;

	memcpy(whole + 1, name, strlen(name) + 1);
	at = memmem(types, size, whole, strlen(name) + 2);
	cr_assert(at, "%s is no type", name);
	at[1] = 'X';
}

struct member {
	const char *name;
	uint32_t octets;
};

/* A struct of integers without gaps. */
static void add_struct(struct btf *types, const char *name, const struct member *members, size_t n)
{
	int id[9] = { 0 };
	uint32_t size = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		char number[8];

		snprintf(number, sizeof(number), "u%u", members[i].octets * 8);
		if (!id[members[i].octets])
			id[members[i].octets] = btf__add_int(types, number, members[i].octets, 0);
		size += members[i].octets;
	}
	cr_assert_gt(btf__add_struct(types, name, size), 0);
	for (size_t i = 0; i < n; at += members[i++].octets * 8)
		cr_assert_eq(btf__add_field(types, members[i].name, id[members[i].octets], at, 0), 0);
}

static void add_index(struct btf *types)
{
	int node = btf__find_by_name_kind(types, "index_node", BTF_KIND_STRUCT);
	int u32 = btf__find_by_name_kind(types, "unsigned int", BTF_KIND_INT);
	int list = btf__add_array(types, u32, node, OLD_NODES);

	cr_assert(node > 0 && u32 > 0 && list > 0);
	cr_assert_gt(btf__add_struct(types, "index_table", OLD_NODES * sizeof(struct index_node)), 0);
	cr_assert_eq(btf__add_field(types, "node", list, 0, 0), 0);
}

static struct btf *types_of_then(char *raw, size_t size)
{
	static const struct member key7[] = { { "in_addr", 4 },	  { "out_addr", 4 },	{ "ext_addr", 4 },
					      { "port", 2 },	  { "ext_port", 2 },	{ "proto", 1 },
					      { "direction", 1 }, { "ratio_shift", 1 }, { "pad", 1 } };
	static const struct member session[] = { { "truth", 8 }, { "in_port", 2 }, { "mark", 2 }, { "pad", 4 } };
	struct btf *types = btf__new_empty(), *now;

	rename_type(raw, size, "index_table");
	now = btf__new(raw, (uint32_t)size);
	cr_assert(now && btf__add_btf(types, now) > 0);
	btf__free(now);
	add_index(types);
	add_struct(types, "overflow_key", key7, ARRAY_SIZE(key7));
	add_struct(types, "overflow_session", session, ARRAY_SIZE(session));
	return types;
}

static void copy_index(unsigned i, const struct index_node *nodes)
{
	const size_t size = OLD_NODES * sizeof(*nodes);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	void *memory;

	old_index[i] = bpf_map_create(BPF_MAP_TYPE_ARRAY, index_pins[i], 4, (uint32_t)size, 1, &opts);
	cr_assert_geq(old_index[i], 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, old_index[i], 0);
	cr_assert_neq(memory, MAP_FAILED);
	memcpy(memory, nodes, size);
	munmap(memory, size);
}

/* From the subscriber's extent into the hash. */
static void move_sessions(void)
{
	int number = mappings_find_any(mappings, SUBSCRIBER);
	struct subscriber *s = mappings_subscriber(mappings, number, SUBSCRIBER - mapping()->in_base);
	struct slot *slots;
	uint32_t n;

	slots = slots_beyond(number, SUBSCRIBER, &n);
	for (uint32_t i = 0; i < n; i++) {
		if (!word_is_live(slots[i].truth))
			continue;
		cr_assert_eq(key_ext_addr(slots[i].key), EXTERNAL);
		old_layout_put(key_in_port(slots[i].key), key_ext_port(slots[i].key), slots[i].truth);
		s->beyond++;
		datapath.global->beyond++;
	}
	if (slots)
		memset(slots, 0, n * sizeof(*slots));
	s->hairpins &= HAIRPINS_SEEN;
	memset(datapath.pool, 0, sizeof(*datapath.pool));
}

void old_layout_copy(void)
{
	copy_index(0, datapath.in_nodes);
	copy_index(1, datapath.out_nodes);
	of_now = false;
	hash = make_hash();
	move_sessions();
}

static void pin(const char *dir, const char *name, int map)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	cr_assert_eq(bpf_obj_pin(map, path), 0);
}

void old_layout_of_now(void)
{
	of_now = true;
	hash = make_hash();
	pin(datapath.pin_dir, "overflow", hash);
	pin(datapath.pin_dir, "overflow_lists", hash);
}

void old_layout_copy_of_now(void)
{
	old_layout_of_now();
	move_sessions();
}

void old_layout_pin(const char *dir)
{
	static const char *const missing[] = { "extents", "extent_pool" };
	static char raw[1 << 20];
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0;
	char path[PATH_MAX];
	struct btf *types;
	int fd;

	pin(dir, "overflow", hash);
	for (unsigned i = 0; i < ARRAY_SIZE(missing); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, missing[i]);
		cr_assert_eq(unlink(path), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(index_pins); i++)
		pin(dir, index_pins[i], old_index[i]);
	snprintf(path, sizeof(path), "%s/types", dir);
	fd = bpf_obj_get(path);
	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	cr_assert_leq(info.value_size, sizeof(raw));
	cr_assert_eq(bpf_map_lookup_elem(fd, &zero, raw), 0);
	close(fd);
	types = types_of_then(raw, info.value_size);
	unlink(path);
	cr_assert_eq(layout_save(dir, types), 0);
	btf__free(types);
}
