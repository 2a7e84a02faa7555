/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps that only the agent uses, pinned beside those of the datapath so that a later agent finds them. */
#ifndef DETNAT_PINNED_MAP_H
#define DETNAT_PINNED_MAP_H

#include <stdint.h>

/* Type is BPF_MAP_TYPE_ARRAY or BPF_MAP_TYPE_HASH. */
struct pinned_map {
	const char *name;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t entries;
};

/* Opens the map pinned under that name in a directory; -errno if there is none. */
int pinned_map_find(const char *pin_dir, const struct pinned_map *map);

/* The same, but creates and pins the map if there is none. */
int pinned_map_open(const char *pin_dir, const struct pinned_map *map);

/*
 * Gives a pinned hash room for that many entries: a map with the present ones takes its place. Who has the old one open
 * keeps that. 0, -ENOENT if none is pinned, -E2BIG if the present entries do not fit, or another -errno.
 */
int pinned_map_fit(const char *pin_dir, const char *name, uint32_t entries);

#endif
