/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that this process can still allocate, according to the kernel's files. */
#ifndef DETNAT_MEMORY_H
#define DETNAT_MEMORY_H

#include <stdint.h>

/*
 * Octets free on the machine, or less if the process's cgroup or one above it has a limit (memory.max, or
 * memory.limit_in_bytes in version 1), which also applies to BPF tables. Memory that the kernel would reclaim (inactive
 * page cache) counts as free. UINT64_MAX if unknown.
 *
 * root: prefix of /proc and of the cgroup mounts; "" except in tests.
 */
uint64_t memory_free(const char *root);

#define MEMORY_TEXT 32

/* Writes "12 MiB" or "1.5 GiB" and returns it. MiB are rounded up, so that a message never says "needs 0 MiB". */
const char *memory_format(uint64_t octets, char ret_text[static MEMORY_TEXT]);

#endif
