/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/btf_layout.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/base.h"

/* The agent's records are shallow; a deeper description comes from elsewhere. */
#define DEPTH_MAX 12U

static const char *path_of(const char *pin_dir, char text[static PATH_MAX])
{
	snprintf(text, PATH_MAX, "%s/types", pin_dir);
	return text;
}

/* Reads the only element of the map at a path; the caller frees the result. */
static void *read_saved(const char *path, uint32_t *ret_size)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0;
	void *value = NULL;

	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size))
		value = malloc(info.value_size);
	if (value && bpf_map_lookup_elem(fd, &zero, value)) {
		free(value);
		return NULL;
	}
	*ret_size = info.value_size;
	return value;
}

int layout_save(const char *pin_dir, const struct btf *btf)
{
	char path[PATH_MAX];
	uint32_t size, saved_size = 0, zero = 0;
	const void *types = btf__raw_data(btf, &size);
	_cleanup_free_ void *saved = read_saved(path_of(pin_dir, path), &saved_size);

	if (!types)
		return -errno;
	if (saved && saved_size == size && !memcmp(saved, types, size))
		return 0;

	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "types", sizeof(zero), size, 1, NULL);
	int r = fd < 0 ? fd : bpf_map_update_elem(fd, &zero, types, BPF_ANY);

	if (r)
		return r;
	unlink(path);
	return bpf_obj_pin(fd, path);
}

struct btf *layout_read(const char *pin_dir, int map)
{
	struct bpf_map_info info = { 0 };
	char path[PATH_MAX];
	uint32_t size, saved_size = 0;
	_cleanup_free_ void *saved = read_saved(path_of(pin_dir, path), &saved_size);

	if (saved)
		return btf__new(saved, saved_size);
	size = sizeof(info);
	if (bpf_obj_get_info_by_fd(map, &info, &size))
		return NULL;
	if (!info.btf_id) {
		errno = ENOENT;
		return NULL;
	}
	return btf__load_from_kernel_by_id(info.btf_id);
}

/* Resolves typedefs and qualifiers. */
static const struct btf_type *plain(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_typedef(t) || btf_is_mod(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

static const struct btf_type *find_struct(const struct btf *btf, const char *type)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	return id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
}

static const char *name_of(const struct btf *btf, uint32_t offset)
{
	const char *name = btf__name_by_offset(btf, offset);

	return name ? name : "";
}

/* Members have the names of this version; in <detnat/tables.h> that one was called otherwise before. */
static bool same_name(const char *a, const char *b)
{
	static const char former[] = "overflow", now[] = "beyond";

	return !strcmp(strcmp(a, former) ? a : now, strcmp(b, former) ? b : now);
}

static const struct btf_member *find_member(const struct btf *btf, const struct btf_type *t, const char *name,
					    uint32_t *offset, unsigned depth)
{
	const struct btf_member *members = btf_members(t);

	for (uint16_t i = 0; depth && i < btf_vlen(t); i++) {
		const struct btf_type *inner = plain(btf, members[i].type);
		const char *own = name_of(btf, members[i].name_off);
		uint32_t at = *offset + btf_member_bit_offset(t, i) / 8;

		if (*own && same_name(own, name)) {
			*offset = at;
			return &members[i];
		}
		if (!*own && inner && btf_is_composite(inner)) {
			const struct btf_member *found = find_member(btf, inner, name, &at, depth - 1);

			if (found) {
				*offset = at;
				return found;
			}
		}
	}
	return NULL;
}

int layout_find(const struct btf *btf, const char *type, const char *name, struct layout_member *ret)
{
	const struct btf_type *t = find_struct(btf, type);
	uint32_t offset = 0;
	const struct btf_member *m = t ? find_member(btf, t, name, &offset, DEPTH_MAX) : NULL;
	int64_t size = m ? btf__resolve_size(btf, m->type) : -ENOENT;

	if (size < 0)
		return -ENOENT;
	*ret = (struct layout_member){ .offset = offset, .size = (uint32_t)size };
	return 0;
}

/* Members that mean nothing, and are 0 in every record. */
static bool is_padding(const char *name)
{
	return !strcmp(name, "pad") || !strncmp(name, "unused", sizeof("unused") - 1);
}

/* Whether octets of a record, from `first` to before `end`, are padding. */
static bool are_padding(const struct btf *btf, const struct btf_type *t, uint32_t first, uint32_t end, unsigned depth)
{
	const struct btf_member *members = btf_members(t);

	for (uint16_t i = 0; depth && i < btf_vlen(t); i++) {
		const struct btf_type *inner = plain(btf, members[i].type);
		const char *name = name_of(btf, members[i].name_off);
		uint32_t at = btf_member_bit_offset(t, i) / 8;
		int64_t size = btf__resolve_size(btf, members[i].type);

		if (size < 0 || first < at || end > at + size)
			continue;
		if (is_padding(name) || (!*name && inner && btf_is_composite(inner) &&
					 are_padding(btf, inner, first - at, end - at, depth - 1)))
			return true;
	}
	return false;
}

struct pair {
	const struct btf *from;
	const struct btf *to;
};

static bool fits(const struct pair *p, uint32_t from, uint32_t to, unsigned depth);

/*
 * Whether each member of `part`, which lies at `at` in a record of one side, is in the whole record of the other side,
 * at the same place and as large. New ones: it may be padding there instead.
 */
static bool members_fit(const struct pair *p, bool new, const struct btf_type *part, uint32_t at,
			const struct btf_type *other, unsigned depth)
{
	const struct btf *own = new ? p->to : p->from, *others = new ? p->from : p->to;
	const struct btf_member *members = btf_members(part);

	for (uint16_t i = 0; depth && i < btf_vlen(part); i++) {
		const struct btf_type *inner = plain(own, members[i].type);
		const char *name = name_of(own, members[i].name_off);
		uint32_t place = at + btf_member_bit_offset(part, i) / 8, offset = 0;
		int64_t size = btf__resolve_size(own, members[i].type);
		const struct btf_member *m;

		if (is_padding(name))
			continue;
		if (!*name && inner && btf_is_composite(inner)) {
			if (!members_fit(p, new, inner, place, other, depth - 1))
				return false;
			continue;
		}
		m = find_member(others, other, name, &offset, DEPTH_MAX);
		if (!m) {
			if (!new || size < 0 || !are_padding(others, other, place, place + (uint32_t)size, DEPTH_MAX))
				return false;
			continue;
		}
		if (offset != place || (!new && !fits(p, members[i].type, m->type, depth - 1)))
			return false;
	}
	return depth > 0;
}

static bool fits(const struct pair *p, uint32_t from, uint32_t to, unsigned depth)
{
	const struct btf_type *t = plain(p->from, from), *u = plain(p->to, to);

	if (!t || !u)
		return t == u;
	if (!depth || btf_kind(t) != btf_kind(u))
		return false;
	if (btf_is_ptr(t))
		return fits(p, t->type, u->type, depth - 1);
	if (btf_is_array(t))
		return btf_array(t)->nelems == btf_array(u)->nelems &&
		       fits(p, btf_array(t)->type, btf_array(u)->type, depth - 1);
	return t->size == u->size && (!btf_is_composite(t) || (members_fit(p, false, t, 0, u, depth - 1) &&
							       members_fit(p, true, u, 0, t, depth - 1)));
}

bool layout_fits(const struct btf *from, const struct btf *to, const char *type)
{
	int id_from = btf__find_by_name_kind(from, type, BTF_KIND_STRUCT);
	int id_to = btf__find_by_name_kind(to, type, BTF_KIND_STRUCT);

	return id_from > 0 && id_to > 0 &&
	       fits(&(struct pair){ from, to }, (uint32_t)id_from, (uint32_t)id_to, DEPTH_MAX);
}

static void copy_type(const struct pair *c, uint32_t from, uint32_t to, const uint8_t *source, uint8_t *target,
		      unsigned depth);

/* Calls for every named member of the target, including those of its anonymous structs and unions. */
static void copy_members(const struct pair *c, const struct btf_type *source_type, const struct btf_type *target_type,
			 const uint8_t *source, uint8_t *target, unsigned depth)
{
	const struct btf_member *members = btf_members(target_type);

	for (uint16_t i = 0; depth && i < btf_vlen(target_type); i++) {
		const struct btf_type *inner = plain(c->to, members[i].type);
		const char *name = name_of(c->to, members[i].name_off);
		uint8_t *at = target + btf_member_bit_offset(target_type, i) / 8;
		uint32_t offset = 0;
		const struct btf_member *m;

		if (!*name) {
			if (inner && btf_is_composite(inner))
				copy_members(c, source_type, inner, source, at, depth - 1);
			continue;
		}
		m = find_member(c->from, source_type, name, &offset, DEPTH_MAX);
		if (m)
			copy_type(c, m->type, members[i].type, source + offset, at, depth - 1);
	}
}

static void copy_array(const struct pair *c, const struct btf_array *from, const struct btf_array *to,
		       const uint8_t *source, uint8_t *target, unsigned depth)
{
	int64_t step = btf__resolve_size(c->from, from->type), target_step = btf__resolve_size(c->to, to->type);

	for (uint32_t i = 0; step > 0 && target_step > 0 && i < from->nelems && i < to->nelems; i++)
		copy_type(c, from->type, to->type, source + i * step, target + i * target_step, depth);
}

static void copy_type(const struct pair *c, uint32_t from, uint32_t to, const uint8_t *source, uint8_t *target,
		      unsigned depth)
{
	const struct btf_type *t = plain(c->from, from), *u = plain(c->to, to);

	if (!depth || !t || !u || btf_kind(t) != btf_kind(u))
		return;
	if (btf_is_composite(u)) {
		copy_members(c, t, u, source, target, depth);
	} else if (btf_is_array(u)) {
		copy_array(c, btf_array(t), btf_array(u), source, target, depth - 1);
	} else {
		/*
		 * Copies numbers; if their sizes differ, as little-endian octets (tables/table_types.c checks the byte
		 * order).
		 */
		memset(target, 0, u->size);
		memcpy(target, source, t->size < u->size ? t->size : u->size);
	}
}

int layout_copy(const struct btf *from, const struct btf *to, const char *type, const void *source, void *target)
{
	const struct btf_type *t = find_struct(from, type), *u = find_struct(to, type);

	if (!t || !u)
		return -ENOENT;
	copy_members(&(struct pair){ from, to }, t, u, source, target, DEPTH_MAX);
	return 0;
}
