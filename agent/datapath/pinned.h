/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reopens detnat's own programs and maps through their pins. Opening one by its id takes CAP_SYS_ADMIN, which the agent
 * drops; so everything that it may have to open later is pinned, and ids are only compared.
 */
#ifndef DETNAT_PINNED_H
#define DETNAT_PINNED_H

#include <stdint.h>

/* Kernel-wide ids; 0 if fd is invalid. */
uint32_t program_id(int fd);
uint32_t map_id(int fd);

/* The entries for which a map has room; 0: there is no such map. */
uint32_t map_room(int fd);

/*
 * Opens the program of that id among the pins PREFIX_<id> of a directory, or by its id if the kernel allows it: a
 * descriptor, or -errno (-EPERM: it is not pinned there).
 */
int pinned_program(const char *pin_dir, const char *prefix, uint32_t id);

/* The same for a map that would be pinned at `path` (NULL: not pinned). -ESTALE if another map is pinned there. */
int pinned_map(const char *path, uint32_t id);

/* The number N at the end of a pin's name PREFIX_<N>; -1 if the name has another form. */
long pinned_number(const char *name, const char *prefix);

/* Maps that only the agent uses, pinned beside those of the datapath so that a later agent finds them. */

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
 * Gives a pinned hash room for that many entries: a map with the present ones replaces it. Whoever has the old one open
 * keeps that. 0, -ENOENT if none is pinned, -E2BIG if the present entries do not fit, or another -errno.
 */
int pinned_map_fit(const char *pin_dir, const char *name, uint32_t entries);

#endif
