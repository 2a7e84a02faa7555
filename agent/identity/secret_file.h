/* SPDX-License-Identifier: BSD-2-Clause */
/* The secret that RADIUS servers and their clients share. */
#ifndef DETNAT_SECRET_FILE_H
#define DETNAT_SECRET_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The user of detnat-leases.service. */
#define LEASES_USER "detnat-leases"

#define RADIUS_SECRET 128U
struct radius_secret {
	uint8_t octet[RADIUS_SECRET];
	size_t size;
};

/*
 * Reads the secret: the file's only line, 1 to RADIUS_SECRET octets. Refuses files that another user owns or may read:
 * whoever has the secret can forge leases. err then has the command that mends it. 0, or -errno with err, which names
 * the file and reveals nothing of its contents.
 */
int secret_file_read(const char *path, struct radius_secret *ret, struct error *err);

#endif
