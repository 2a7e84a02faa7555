/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/pinned_map.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/base.h"

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
