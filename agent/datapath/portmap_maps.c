/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The size of the maps `portmaps` and `portmap_filters`: room for all portmaps of a configuration, and for as many
 * leases as an agent's configuration asks for at its start.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "datapath/datapath_private.h"
#include "datapath/pinned_map.h"

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

static uint32_t room_of(int portmaps)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (portmaps < 0 || bpf_obj_get_info_by_fd(portmaps, &info, &size) || info.max_entries < entries_for(0, 0))
		return MIN_LEASES;
	return info.max_entries / 2 - MAX_PORTMAPS;
}

uint32_t datapath_lease_room(const struct datapath *d)
{
	return room_of(d->portmaps);
}

uint32_t portmap_maps_fit(const struct datapath *d, uint32_t leases)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", d->pin_dir, names[0]);

	_cleanup_close_ int portmaps = bpf_obj_get(path);
	uint32_t present = room_of(portmaps);
	int r = pinned_map_fit(d->pin_dir, names[0], entries_for(0, leases));

	if (r && r != -ENOENT) {
		log_warning(
			"the table of leases keeps its room for %u, as one for %u cannot be made: %s; the next start "
			"tries again",
			present, leases, r == -E2BIG ? "there are more leases" : strerror(-r));
		leases = present;
	}
	/* Filters of leases that are there fit, as each lease does. */
	r = pinned_map_fit(d->pin_dir, names[1], entries_for(1, leases));
	if (r && r != -ENOENT)
		log_warning("the table of filters cannot be made anew: %s", strerror(-r));
	return leases;
}
