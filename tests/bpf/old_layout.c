// SPDX-License-Identifier: BSD-2-Clause
#include "old_layout.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "base/btf_layout.h"
#include "fixture.h"
#include "tables/overflow_map.h"

#define OLD_NODES 4096U

struct key7 {
	uint32_t in_addr, out_addr, ext_addr;
	uint16_t port, ext_port;
	uint8_t proto, direction, ratio_shift, pad;
};

static int old_overflow = -1, old_index[2] = { -1, -1 };
static const char *const index_pins[] = { "in_index", "out_index" };

static struct key7 old_key(const struct overflow_key *key)
{
	const int number = mappings_find_any(mappings, key->in_addr);

	cr_assert_geq(number, 0);
	return (struct key7){ key->in_addr,
			      key->out_addr,
			      key->ext_addr,
			      key->port,
			      key->ext_port,
			      key->proto,
			      key->direction,
			      mappings_get(mappings, number)->geo.ratio_shift,
			      0 };
}

static void put(const struct key7 *key, const struct overflow_session *s, uint16_t in_port)
{
	const struct overflow_session value = { .truth = s->truth, .in_port = in_port, .mark = s->mark };

	cr_assert_eq(bpf_map_update_elem(old_overflow, key, &value, BPF_ANY), 0);
}

void old_layout_put(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port)
{
	const struct key7 old = old_key(key);

	put(&old, s, in_port);
}

void old_layout_put_former(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port)
{
	struct key7 old = old_key(key);

	old.ratio_shift ^= 1;
	put(&old, s, in_port);
}

void old_layout_del(const struct overflow_key *key)
{
	const struct key7 old = old_key(key);

	cr_assert_eq(bpf_map_delete_elem(old_overflow, &old), 0);
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
	struct btf *types = btf__new_empty(), *now;

	rename_type(raw, size, "overflow_key");
	rename_type(raw, size, "index_table");
	now = btf__new(raw, (uint32_t)size);
	cr_assert(now && btf__add_btf(types, now) > 0);
	btf__free(now);
	add_index(types);
	add_struct(types, "overflow_key", key7, ARRAY_SIZE(key7));
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

void old_layout_copy(void)
{
	struct overflow_scan scan = { 0 };

	copy_index(0, datapath.in_nodes);
	copy_index(1, datapath.out_nodes);
	old_overflow = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "overflow", sizeof(struct key7),
				      sizeof(struct overflow_session), OVERFLOW_ENTRIES(1024), NULL);
	cr_assert_geq(old_overflow, 0);
	while (overflow_scan_step(&scan, &datapath) >= 0 && scan.n)
		for (uint32_t i = 0; i < scan.n; i++)
			old_layout_put(&scan.keys[i], &scan.sessions[i], scan.sessions[i].in_port);
	overflow_scan_end(&scan);
}

static void pin(const char *dir, const char *name, int map)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	cr_assert_eq(bpf_obj_pin(map, path), 0);
}

void old_layout_pin(const char *dir)
{
	static char raw[1 << 20];
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0;
	char path[PATH_MAX];
	struct btf *types;
	int fd;

	pin(dir, "overflow", old_overflow);
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
