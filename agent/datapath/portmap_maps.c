/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The size of the maps `portmaps` and `portmap_filters`: room for all portmaps of a configuration, and for as many
 * leases as an agent's configuration asks for at its start.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "datapath/datapath_private.h"

#define BATCH 4096U

/* Behind the name of a pin that is to take the place of another. */
#define FRESH "_new"

static const char *const names[] = { "portmaps", "portmap_filters" };

/* Entries of each map with room for that many leases. A portmap is two entries of the first, its filters one. */
static uint32_t entries_for(size_t map, uint32_t leases)
{
	return map ? PORTMAP_ROOM(leases) : 2 * PORTMAP_ROOM(leases);
}

void object_set_leases(struct bpf_object *o, uint32_t leases)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(o, names[i]);

		if (m)
			bpf_map__set_max_entries(m, entries_for(i, leases));
	}
}

static const char *pin_of(const struct datapath *d, const char *name, const char *suffix, char text[static PATH_MAX])
{
	snprintf(text, PATH_MAX, "%s/%s%s", d->pin_dir, name, suffix);
	return text;
}

static int info_of(int map, struct bpf_map_info *ret)
{
	uint32_t size = sizeof(*ret);

	*ret = (struct bpf_map_info){ 0 };
	return map < 0 ? -ENOENT : bpf_obj_get_info_by_fd(map, ret, &size);
}

static uint32_t room_of(int portmaps)
{
	struct bpf_map_info info;

	return info_of(portmaps, &info) || info.max_entries < entries_for(0, 0) ? MIN_LEASES
										: info.max_entries / 2 - MAX_PORTMAPS;
}

uint32_t datapath_lease_room(const struct datapath *d)
{
	return room_of(d->portmaps);
}

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
static int repin(const struct datapath *d, const char *name, int map)
{
	char fresh[PATH_MAX], path[PATH_MAX];
	int r;

	pin_of(d, name, FRESH, fresh);
	unlink(fresh);
	r = bpf_obj_pin(map, fresh);
	if (r)
		return r;
	return rename(fresh, pin_of(d, name, "", path)) ? -errno : 0;
}

/* Gives a pinned map room for that many leases. 0, -ENOENT if there is none, -E2BIG if its entries do not fit. */
static int fit(const struct datapath *d, size_t number, uint32_t leases)
{
	uint32_t entries = entries_for(number, leases);
	char path[PATH_MAX];
	_cleanup_close_ int map = bpf_obj_get(pin_of(d, names[number], "", path));
	struct bpf_map_info info;
	int r = info_of(map, &info);

	/* Left by a kill. */
	unlink(pin_of(d, names[number], FRESH, path));
	if (r || info.max_entries == entries)
		return r;

	_cleanup_close_ int other = resized(map, &info, entries);

	return other < 0 ? other : repin(d, names[number], other);
}

uint32_t portmap_maps_fit(const struct datapath *d, uint32_t leases)
{
	char path[PATH_MAX];
	_cleanup_close_ int portmaps = bpf_obj_get(pin_of(d, names[0], "", path));
	uint32_t present = room_of(portmaps);
	int r = fit(d, 0, leases);

	if (r && r != -ENOENT) {
		log_warning(
			"the table of leases keeps its room for %u, as one for %u cannot be made: %s; the next start "
			"tries again",
			present, leases, r == -E2BIG ? "there are more leases" : strerror(-r));
		leases = present;
	}
	/* Filters of leases that are there fit, as each lease does. */
	r = fit(d, 1, leases);
	if (r && r != -ENOENT)
		log_warning("the table of filters cannot be made anew: %s", strerror(-r));
	return leases;
}
