/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file in memory that may lose octets while mapped: it is truncated, its disk fails, or a hole finds no room. A load
 * or a store there, which would end the process by SIGBUS, finds zeros instead, in memory of the process alone.
 */
#ifndef DETNAT_MAPPED_FILE_H
#define DETNAT_MAPPED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapped_file;

/* Maps the first octets of a file, to be read and written; the descriptor may be closed. 0 or -errno. */
int mapped_file_new(int fd, size_t size, struct mapped_file **ret);
void mapped_file_free(struct mapped_file *f); /* NULL is allowed */

uint8_t *mapped_file_base(const struct mapped_file *f);

/* Whether some of it was found lost, now or earlier. */
bool mapped_file_lost(const struct mapped_file *f);

#endif
