/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of leases in a directory, one a day; detnat-leases may be appending to them, or they may be a copy. */
#ifndef DETNAT_LEASE_FILES_H
#define DETNAT_LEASE_FILES_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "leases/lease_line.h"

/* Beside them: which sources are recorded, and requests that wait for a further server, whose names begin so. */
#define RECORDED_SOURCES_FILE "leases.sources"
#define SPOOL_PREFIX	      "forward-"

/* Whether a name is one of these. */
bool lease_record_named(const char *name);

/*
 * Where the leases of a state directory are: in its directory `leases`, which detnat-leases has under the service
 * manager, or else beside the history.
 */
#define LEASES_DIR "leases"
const char *lease_directory(const char *state_dir, char ret[static PATH_MAX]);

/* Names of files in a directory, in order. Zero-initialised. */
struct lease_names {
	char (*name)[LEASE_FILE_TEXT];
	size_t n;
};

/* Lists the files of leases of a directory. 0, or -errno with err. The caller frees ret->name. */
int lease_names_read(const char *dir, struct lease_names *ret, struct error *err);

/* Removes the file of a day with its index, and says so in the ledger before. 0 or -errno with err. */
int lease_file_remove(const char *dir, const char *name, int64_t now, struct error *err);

#endif
