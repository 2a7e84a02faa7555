/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that this process could still have, from the files of the kernel. Pure, but for reading them. */
#ifndef DETNAT_MEMORY_H
#define DETNAT_MEMORY_H

#include <stdint.h>

/*
 * Octets free on the machine, or less where the process's control group or one above it has a limit (memory.max, or
 * memory.limit_in_bytes in version 1): tables of BPF count there, too. What the kernel would give back (inactive page
 * cache) counts as free. UINT64_MAX where the kernel does not say.
 *
 * root: what stands before /proc and before where control groups are mounted; "" but for tests.
 */
uint64_t memory_free(const char *root);

#endif
