/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs and maps of our own, found again by their pins. To open one by its number the kernel wants CAP_SYS_ADMIN,
 * which the agent does without; so whatever it may have to take hold of later is pinned, and numbers only serve to
 * compare.
 */
#ifndef DETNAT_PINNED_H
#define DETNAT_PINNED_H

#include <stdint.h>

/* Kernel-wide numbers; 0 where fd is none. */
uint32_t program_id(int fd);
uint32_t map_id(int fd);

/*
 * The program of that number among the pins PREFIX_<number> of a directory, or by its number where the kernel allows
 * that: a descriptor, or -errno (-EPERM: it is not pinned there).
 */
int pinned_program(const char *pin_dir, const char *prefix, uint32_t id);

/* The same of a map, whose pin would be `path`; NULL: there is none. -ESTALE: another map is pinned there. */
int pinned_map(const char *path, uint32_t id);

/* The number N at the end of a pin's name PREFIX_<N>; -1: the name is of another form. */
long pinned_number(const char *name, const char *prefix);

#endif
