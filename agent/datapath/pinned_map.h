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

#endif
