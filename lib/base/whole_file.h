/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files: read, written at a place, and replaced by another at once. */
#ifndef DETNAT_WHOLE_FILE_H
#define DETNAT_WHOLE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * Opens a file of a directory for reading. A symbolic link leads nowhere, as whoever may write to the directory could
 * have root read what is not theirs; a fifo is not waited for. The caller's descriptor, or -1 with errno (ELOOP: a
 * link).
 */
int file_open(int dir, const char *name);

/* What to say of an error of file_open() or file_read(). */
const char *file_why(int r);

/*
 * Reads a regular file of at most `max` octets from its beginning to its present end; the caller frees *ret, which has
 * room for one octet more. 0, -EBADF: it is no regular file, -EFBIG, or another -errno.
 */
int file_read(int fd, uint64_t max, char **ret, size_t *ret_size);

/* Writes all octets at a place. 0 or -errno. */
int file_write(int fd, const void *data, size_t size, uint64_t at);

/*
 * Puts a file in the place of the one of this name, so that there is one or the other at any moment, with the owner,
 * the group and the mode of `like` (NULL: as new files are, 0640), and on the disk if `sync`. 0, or -errno with the
 * file as it was. ret_fd (may be NULL): a descriptor of it, the caller's.
 */
int file_replace(int dir, const char *name, const void *data, size_t size, const struct stat *like, bool sync,
		 int *ret_fd);

#endif
