/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pinned maps of features that most configurations do not have. The settings compile every access to them away, so
 * they have one entry until programs with the feature are about to be loaded. Then they are made anew in full size, and
 * stay so. A kill leaves one of the two pinned, which is as good: each start takes the size of what is pinned.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include <detnat/growth.h>
#include <detnat/portmaps.h>

#include "datapath/datapath_private.h"
#include "datapath/pinned.h"

static uint32_t all_grants(uint32_t leases)
{
	return GRANT_ENTRIES;
}

static uint32_t all_grant_bindings(uint32_t leases)
{
	return GRANT_BINDING_ENTRIES;
}

static bool grows(const struct settings *s)
{
	return s->growth;
}

static bool has_portmaps(const struct settings *s)
{
	return s->portmaps;
}

static const struct feature_map {
	const char *name;
	size_t fd; /* offset in struct datapath */
	bool (*used)(const struct settings *s);
	uint32_t (*entries)(uint32_t leases);
} maps[] = {
	{ "grants", offsetof(struct datapath, grants), grows, all_grants },
	{ "grant_bindings", offsetof(struct datapath, grant_bindings), grows, all_grant_bindings },
	{ "portmaps", offsetof(struct datapath, portmaps), has_portmaps, portmap_entries },
	{ "portmap_filters", offsetof(struct datapath, portmap_filters), has_portmaps, portmap_filter_entries },
};

static int *map_of(struct datapath *d, const struct feature_map *m)
{
	return (int *)((char *)d + m->fd);
}

void object_set_features(const struct datapath *d, const struct bpf_object *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(o, maps[i].name);
		char path[PATH_MAX];
		_cleanup_close_ int pinned = m ? bpf_obj_get(pin_path_of(d, maps[i].name, path)) : -1;
		uint32_t entries = map_room(pinned);

		if (m)
			bpf_map__set_max_entries(m, entries ? entries : FEATURE_UNUSED);
	}
}

/* The descriptor keeps its number, which other modules hold. */
static int take_up(struct datapath *d, const struct feature_map *m)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = bpf_obj_get(pin_path_of(d, m->name, path));

	if (fd < 0)
		return fd;
	return dup3(fd, *map_of(d, m), O_CLOEXEC) < 0 ? -errno : 0;
}

int datapath_features_grow(struct datapath *d, const struct settings *s, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		int r;

		if (!maps[i].used(s) || map_room(*map_of(d, &maps[i])) != FEATURE_UNUSED)
			continue;
		r = pinned_map_fit(d->pin_dir, maps[i].name, maps[i].entries(datapath_lease_room(d)));
		if (!r)
			r = take_up(d, &maps[i]);
		if (r)
			return error_set(err, r, "the map %s cannot be made in full size: %s", maps[i].name,
					 strerror(-r));
	}
	return s->six ? datapath_six_make(d, err) : 0;
}
