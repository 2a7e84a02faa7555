/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of leases in a directory, one a day; an agent may be appending to them, or they may be a copy. */
#ifndef DETNAT_LEASE_FILES_H
#define DETNAT_LEASE_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "leases/lease_line.h"

/* Names of files in a directory, in order. Zero-initialised. */
struct lease_names {
	char (*name)[LEASE_FILE_TEXT];
	size_t n;
};

/* Lists the files of leases of a directory. 0, or -errno with err. The caller frees ret->name. */
int lease_names_read(const char *dir, struct lease_names *ret, struct error *err);

/* Receives a line without its newline; `number` counts from 1 in the file. Nonzero ends the reading. */
typedef int (*lease_line_take)(void *arg, const char *name, uint64_t number, const char *line, size_t size);

/*
 * Reads the complete lines of one file of a directory; *ret_torn is the size of an incomplete one at its end. 0,
 * -errno, or what take returned.
 */
int lease_file_read(int dir, const char *name, lease_line_take take, void *arg, size_t *ret_torn);

/* The same for its last lines, of `most` octets together; they count from 1, too. */
int lease_file_read_last(int dir, const char *name, uint64_t most, lease_line_take take, void *arg, size_t *ret_torn);

#endif
