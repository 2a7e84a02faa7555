/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/pinned.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "datapath/bpffs.h"
#include "datapath/datapath_private.h"

const char *pin_path_of(const struct datapath *d, const char *name, char text[static PATH_MAX])
{
	snprintf(text, PATH_MAX, "%s/%s", d->pin_dir, name);
	return text;
}

uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) ? info.id : 0;
}

uint32_t map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) ? info.id : 0;
}

uint32_t map_room(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) ? info.max_entries : 0;
}

long pinned_number(const char *name, const char *prefix)
{
	size_t length = strlen(prefix);
	unsigned number;
	int end = 0;

	if (strncmp(name, prefix, length) || sscanf(name + length, "_%u%n", &number, &end) != 1 || name[length + end])
		return -1;
	return number;
}

struct search {
	const char *pin_dir;
	const char *prefix;
	uint32_t id;
	int fd;
};

static int visit(const char *name, void *arg)
{
	struct search *s = arg;
	char path[PATH_MAX];

	if (pinned_number(name, s->prefix) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", s->pin_dir, name);

	_cleanup_close_ int fd = bpf_obj_get(path);

	if (fd < 0 || program_id(fd) != s->id)
		return 0;
	s->fd = take_fd(fd);
	return 1;
}

int pinned_program(const char *pin_dir, const char *prefix, uint32_t id)
{
	struct search s = { .pin_dir = pin_dir, .prefix = prefix, .id = id, .fd = -1 };

	if (directory_visit(pin_dir, visit, &s) == 1)
		return s.fd;
	s.fd = bpf_prog_get_fd_by_id(id);
	return s.fd < 0 ? -errno : s.fd;
}

int pinned_map(const char *path, uint32_t id)
{
	_cleanup_close_ int fd = path ? bpf_obj_get(path) : -1;
	int by_id;

	if (fd >= 0)
		return map_id(fd) == id ? take_fd(fd) : -ESTALE;
	by_id = bpf_map_get_fd_by_id(id);
	return by_id < 0 ? -errno : by_id;
}

static int path_of(const char *pin_dir, const struct pinned_map *map, char text[static PATH_MAX])
{
	return snprintf(text, PATH_MAX, "%s/%s", pin_dir, map->name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int pinned_map_find(const char *pin_dir, const struct pinned_map *map)
{
	char path[PATH_MAX];
	int r = path_of(pin_dir, map, path);

	return r ? r : bpf_obj_get(path);
}

int pinned_map_open(const char *pin_dir, const struct pinned_map *map)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = map->type == BPF_MAP_TYPE_HASH ? BPF_F_NO_PREALLOC : 0);
	char path[PATH_MAX];
	int fd = pinned_map_find(pin_dir, map), r = path_of(pin_dir, map, path);

	if (fd >= 0 || r)
		return fd >= 0 ? fd : r;
	fd = bpf_map_create(map->type, map->name, map->key_size, map->value_size, map->entries, &opts);
	if (fd < 0)
		return fd;
	r = bpf_obj_pin(fd, path);
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

/* Gives a pinned map another size, with all its entries. */

#define BATCH 4096U

/* Copies all entries to another map. Returns their number, or -errno. */
static int64_t copy(int from, int to, const struct bpf_map_info *info)
{
	_cleanup_free_ uint8_t *keys = calloc(BATCH, info->key_size), *values = calloc(BATCH, info->value_size);
	uint32_t cursor, *at = NULL;
	int64_t total = 0;
	int r = keys && values ? 0 : -ENOMEM;

	while (!r) {
		uint32_t n = BATCH, written;

		r = bpf_map_lookup_batch(from, at, &cursor, keys, values, &n, NULL);
		if (r && r != -ENOENT)
			return r;
		written = n;
		if (n && bpf_map_update_batch(to, keys, values, &written, NULL))
			return errno_or(EIO);
		total += n;
		at = &cursor;
	}
	return r == -ENOENT ? total : r;
}

/* A map like another, with other room and its entries. Its descriptor, or -errno: -E2BIG if they do not fit. */
static int resized(int map, const struct bpf_map_info *info, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = info->map_flags);
	_cleanup_close_ int types = info->btf_id ? bpf_btf_get_fd_by_id(info->btf_id) : -1, fd = -1;
	int64_t n;

	if (types >= 0) {
		opts.btf_fd = (uint32_t)types;
		opts.btf_key_type_id = info->btf_key_type_id;
		opts.btf_value_type_id = info->btf_value_type_id;
	}
	fd = bpf_map_create(info->type, info->name, info->key_size, info->value_size, entries, &opts);
	if (fd < 0)
		return fd;
	n = copy(map, fd, info);
	return n < 0 ? (int)n : take_fd(fd);
}

/* Pins a map in place of another. A kill leaves one of the two there, and each has all entries. */
static int repin(const char *path, const char *fresh, int map)
{
	int r = bpf_obj_pin(map, fresh);

	if (r)
		return r;
	return rename(fresh, path) ? -errno : 0;
}

int pinned_map_fit(const char *pin_dir, const char *name, uint32_t entries)
{
	char path[PATH_MAX], fresh[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", pin_dir, name) >= (int)sizeof(path) ||
	    snprintf(fresh, sizeof(fresh), "%s/%s_new", pin_dir, name) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;

	_cleanup_close_ int map = bpf_obj_get(path);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	int r = map < 0 ? map : bpf_obj_get_info_by_fd(map, &info, &size);

	/* Left by a kill. */
	unlink(fresh);
	if (r || info.max_entries == entries)
		return r;

	_cleanup_close_ int other = resized(map, &info, entries);

	return other < 0 ? other : repin(path, fresh, other);
}
