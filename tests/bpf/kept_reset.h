/* SPDX-License-Identifier: BSD-2-Clause */
/* A map as it was when its object was loaded. */
#ifndef DETNAT_TEST_KEPT_RESET_H
#define DETNAT_TEST_KEPT_RESET_H

#include <stddef.h>
#include <stdint.h>

/*
 * Empties a map. An array has zeroes afterwards or, in its one value, what `initial` (may be NULL) has. 0 or -errno;
 * -ENOTSUP: a type that nobody knows.
 */
int kept_reset(int fd, const void *initial);

/*
 * The same for an array of programs: those of the object and their stand-ins stay, as they come to the same places
 * again and each deletion waits for a grace period. ids: the n programs of the object.
 */
int kept_reset_programs(int fd, const uint32_t *ids, size_t n);

#endif
