/* SPDX-License-Identifier: BSD-2-Clause */
/* The secret that the gateways of a group share. */
#ifndef DETNAT_KEY_FILE_H
#define DETNAT_KEY_FILE_H

#include <stdint.h>

#include "base/base.h"

#define REPLICATION_KEY 32U

/*
 * Reads the key. Refuses files that another user owns, may read or may write, and those of another length; err then has
 * the command that mends it. 0, or -errno with err, which names the file and reveals nothing of its contents.
 */
int key_file_read(const char *path, uint8_t ret_key[static REPLICATION_KEY], struct error *err);

/* Overwrites a secret that is no longer needed. */
void key_forget(void *secret, size_t size);

#endif
