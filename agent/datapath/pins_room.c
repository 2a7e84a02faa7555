/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room for sessions beyond the slots: how many buckets their map gets. And maps that another version of the agent left
 * too small, which are made afresh.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <detnat/extents.h>

#include "datapath/datapath_private.h"
#include "datapath/pinned.h"

uint32_t extents_room(const struct config *c)
{
	return c->extent_buckets == EXTENTS_BY_SIZE ? c->overflow_sessions / 2 : c->extent_buckets;
}

static uint32_t pinned_extents(const struct datapath *d)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = bpf_obj_get(pin_path_of(d, PIN_EXTENTS, path));

	return map_room(fd);
}

uint32_t pins_extents_room(const struct datapath *d, const struct config *c)
{
	uint32_t pinned = pinned_extents(d);

	return pinned > 1 ? pinned : extents_room(c);
}

/* Whether the pinned map is not as the object would make it. */
static bool is_outgrown(const struct bpf_map *m, const struct bpf_map_info *info)
{
	return info->value_size != bpf_map__value_size(m) || info->max_entries != bpf_map__max_entries(m);
}

/* Makes a map as in the object, empty, and pins it in place of the former one. A kill leaves one of the two there. */
static int replace(const struct datapath *d, const struct bpf_map *m)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = bpf_map__map_flags(m));
	const char *name = bpf_map__name(m);
	char path[PATH_MAX], fresh_name[64], fresh[PATH_MAX];
	_cleanup_close_ int fd = bpf_map_create(bpf_map__type(m), name, bpf_map__key_size(m), bpf_map__value_size(m),
						bpf_map__max_entries(m), &opts);
	int r;

	if (fd < 0)
		return fd;
	snprintf(fresh_name, sizeof(fresh_name), "%s_new", name);
	pin_path_of(d, fresh_name, fresh);
	unlink(fresh);
	r = bpf_obj_pin(fd, fresh);
	if (!r && rename(fresh, pin_path_of(d, name, path)))
		r = -errno;
	return r;
}

int pins_replace_outgrown(const struct datapath *d, const struct bpf_object *o, struct error *err)
{
	/* Counters and events are not state. Extents are, but a map with one bucket has none. */
	static const char *const names[] = { "counters",	"events",	    "fragments",
					     "early_fragments", "unsolicited_syns", "transmissions",
					     "next_hops_used",	"routed_flows",	    PIN_EXTENTS };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct bpf_map *m = bpf_object__find_map_by_name(o, names[i]);
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info);
		char path[PATH_MAX];
		_cleanup_close_ int fd = bpf_obj_get(pin_path_of(d, names[i], path));
		int r = 0;

		if (m && fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) && is_outgrown(m, &info))
			r = replace(d, m);
		if (r)
			return error_set(err, r, "%s: cannot be made anew: %s", path, strerror(-r));
	}
	return 0;
}
