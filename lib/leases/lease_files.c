// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool lease_record_named(const char *name)
{
	return ledger_file_named(name) || ledger_index_named(name) || !strcmp(name, RECORDED_SOURCES_FILE) ||
	       !strcmp(name, ACCESS_SERVERS_FILE) || !strncmp(name, SPOOL_PREFIX, strlen(SPOOL_PREFIX));
}

const char *lease_directory(const char *state_dir, char ret[static PATH_MAX])
{
	struct stat st;

	if (snprintf(ret, PATH_MAX, "%s/" LEASES_DIR, state_dir) >= PATH_MAX || lstat(ret, &st) || !S_ISDIR(st.st_mode))
		snprintf(ret, PATH_MAX, "%s", state_dir);
	return ret;
}
