/* SPDX-License-Identifier: BSD-2-Clause */
/* The secret that RADIUS servers and their clients share. */
#ifndef DETNAT_SECRET_FILE_H
#define DETNAT_SECRET_FILE_H

#include "base/error.h"
#include "identity/radius.h"

/*
 * Reads the secret: the file's only line, 1 to RADIUS_SECRET octets. Refuses files that another user owns or may write,
 * and those that all may read; err then has the command that mends it. 0, or -errno with err, which names the file and
 * reveals nothing of its contents.
 */
int secret_file_read(const char *path, struct radius_secret *ret, struct error *err);

#endif
