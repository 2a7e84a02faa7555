// SPDX-License-Identifier: BSD-2-Clause
#include "layout4.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

#include "base/btf_layout.h"
#include "fixture.h"
#include "tables/overflow_map.h"

struct old_key {
	uint32_t addr, ext_addr;
	uint16_t port, ext_port;
	uint8_t proto, direction;
	uint16_t pad;
};

struct old_session {
	uint64_t truth;
	uint32_t in_addr;
	uint16_t in_port, pad;
};

static int old_overflow = -1;

void layout4_put(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port)
{
	const bool inside = key->direction == OVERFLOW_IN2OUT;
	const struct old_key old = { inside ? key->in_addr : key->out_addr,
				     key->ext_addr,
				     key->port,
				     key->ext_port,
				     key->proto,
				     key->direction,
				     0 };
	const struct old_session value = { s->truth, key->in_addr, in_port, s->mark };

	cr_assert_eq(bpf_map_update_elem(old_overflow, &old, &value, BPF_ANY), 0);
}

void layout4_del(const struct overflow_key *key)
{
	const struct old_key old = { key->direction == OVERFLOW_IN2OUT ? key->in_addr : key->out_addr,
				     key->ext_addr,
				     key->port,
				     key->ext_port,
				     key->proto,
				     key->direction,
				     0 };

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

static struct btf *types_of_then(char *raw, size_t size)
{
	struct btf *types = btf__new_empty(), *now;
	int u8, u16, u32, u64;

	rename_type(raw, size, "overflow_key");
	rename_type(raw, size, "overflow_session");
	now = btf__new(raw, (uint32_t)size);
	cr_assert(now && btf__add_btf(types, now) > 0);
	btf__free(now);
	u8 = btf__add_int(types, "u8", 1, 0);
	u16 = btf__add_int(types, "u16", 2, 0);
	u32 = btf__add_int(types, "u32", 4, 0);
	u64 = btf__add_int(types, "u64", 8, 0);
	cr_assert_gt(btf__add_struct(types, "overflow_key", sizeof(struct old_key)), 0);
	btf__add_field(types, "addr", u32, 0, 0);
	btf__add_field(types, "ext_addr", u32, 32, 0);
	btf__add_field(types, "port", u16, 64, 0);
	btf__add_field(types, "ext_port", u16, 80, 0);
	btf__add_field(types, "proto", u8, 96, 0);
	btf__add_field(types, "direction", u8, 104, 0);
	btf__add_field(types, "pad", u16, 112, 0);
	cr_assert_gt(btf__add_struct(types, "overflow_session", sizeof(struct old_session)), 0);
	btf__add_field(types, "truth", u64, 0, 0);
	btf__add_field(types, "in_addr", u32, 64, 0);
	btf__add_field(types, "in_port", u16, 96, 0);
	btf__add_field(types, "pad", u16, 112, 0);
	return types;
}

void layout4_copy_overflow(void)
{
	struct overflow_scan scan = { 0 };

	old_overflow = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "overflow", sizeof(struct old_key),
				      sizeof(struct old_session), OVERFLOW_ENTRIES(1024), NULL);
	cr_assert_geq(old_overflow, 0);
	while (overflow_scan_step(&scan, &datapath) >= 0 && scan.n)
		for (uint32_t i = 0; i < scan.n; i++)
			layout4_put(&scan.keys[i], &scan.sessions[i], scan.sessions[i].in_port);
	overflow_scan_end(&scan);
}

void layout4_pin(const char *dir)
{
	static char raw[1 << 20];
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0;
	char path[PATH_MAX];
	struct btf *types;
	int fd;

	snprintf(path, sizeof(path), "%s/overflow", dir);
	unlink(path);
	cr_assert_eq(bpf_obj_pin(old_overflow, path), 0);
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
