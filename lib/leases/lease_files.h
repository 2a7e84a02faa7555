/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the files of leases are, and what is beside them; detnat-leases may be appending, or it may be a copy. */
#ifndef DETNAT_LEASE_FILES_H
#define DETNAT_LEASE_FILES_H

#include <limits.h>

#include "base/ledger_files.h"

/* Beside them: which sources are recorded, what is known of access servers, and requests that wait for a further
 * server, whose names begin so. */
#define RECORDED_SOURCES_FILE "leases.sources"
#define ACCESS_SERVERS_FILE   "leases.servers"
#define SPOOL_PREFIX	      "forward-"

/* Whether a name is one of these, or one of base/ledger_files.h. */
bool lease_record_named(const char *name);

/*
 * Where the leases of a state directory are: in its directory `leases`, which detnat-leases has under the service
 * manager, or else beside the history.
 */
#define LEASES_DIR "leases"
const char *lease_directory(const char *state_dir, char ret[static PATH_MAX]);

#endif
