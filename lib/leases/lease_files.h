/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of leases in a directory, one a day; an agent may be appending to them, or they may be a copy. */
#ifndef DETNAT_LEASE_FILES_H
#define DETNAT_LEASE_FILES_H

#include "leases/lease_index.h"

/* Names of files in a directory, in order. Zero-initialised. */
struct lease_names {
	char (*name)[LEASE_FILE_TEXT];
	size_t n;
};

/* Lists the files of leases of a directory. 0, or -errno with err. The caller frees ret->name. */
int lease_names_read(const char *dir, struct lease_names *ret, struct error *err);

/*
 * Reads the leases of a directory. only: those of one inside address, NULL: all. *ret_wrong counts lines that cannot be
 * read. Returns 0, or -errno with err: -ENOENT if the directory has no file of leases. The caller frees *ret.
 */
int lease_files_read(const char *dir, const struct lease_addr *only, struct lease_index **ret, uint64_t *ret_wrong,
		     struct error *err);

#endif
