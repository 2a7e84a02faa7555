/* SPDX-License-Identifier: BSD-2-Clause */
/* Small files of JSON beside the leases, each an object, which are replaced as a whole. */
#ifndef DETNAT_STATE_FILE_H
#define DETNAT_STATE_FILE_H

#include <cjson/cJSON.h>

/* The caller deletes it. NULL: there is no file, or none that was written here. */
cJSON *state_file_read(const char *dir, const char *name);

/* 0 or -errno. */
int state_file_write(const char *dir, const char *name, const char *text);

#endif
