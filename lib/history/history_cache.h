/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a history says, as it was read once, in a file beside it: a question then reads only the lines that have come
 * since. The file is derived: it counts only if it was made from exactly the octets that the history begins with, by
 * their SHA-256, and by a program with the same records. Nothing in it is believed before it is checked.
 */
#ifndef DETNAT_HISTORY_CACHE_H
#define DETNAT_HISTORY_CACHE_H

#include "history/history_index.h"

#define HISTORY_CACHE_FILE "history.index"

/* A larger one is neither written nor read. */
#define HISTORY_CACHE_MAX (64U << 20)

/*
 * Reads the one in a directory for the text of a history. 0 with *ret_used octets of the text covered, or -errno: it is
 * not there, or does not fit.
 */
int history_cache_read(int dir, const char *text, size_t size, struct history_index *ret, size_t *ret_used);

/*
 * Writes the one of an index that was fed the first `size` octets of a file. 0 or -errno; -EFBIG: it would be too
 * large; -ENOSPC: the history may need the room. The caller owns *ret_fd, a descriptor of the file.
 */
int history_cache_write(int dir, int history, uint64_t size, const struct history_index *x, int *ret_fd);

#endif
