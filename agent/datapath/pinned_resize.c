/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives a pinned map another size, with all that is in it. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/base.h"
#include "datapath/pinned_map.h"

#define BATCH 4096U

/* Copies all entries to another map. Returns how many, or -errno. */
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

/* A map like another, with other room and the entries of that. Its descriptor, or -errno: -E2BIG if they do not fit. */
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
