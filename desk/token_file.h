/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of tokens: nobody but the desk's user and root reads it, and it is replaced as a whole. */
#ifndef DETNAT_DESK_TOKEN_FILE_H
#define DETNAT_DESK_TOKEN_FILE_H

#include <sys/stat.h>

#include "token.h"

/*
 * Reads the file; one that is absent has no tokens. ret_seen (may be NULL): what it was, all 0 if absent. -EPERM with
 * err if others than its owner may read or change it; else 0 or -errno with err.
 */
int token_file_read(const char *path, struct tokens *ret, struct stat *ret_seen, struct error *err);

/*
 * Puts another in its place, under a lock that token_file_lock() took. A new file belongs to the user detnat-desk, if
 * there is one and root makes it. 0 or -errno with err.
 */
int token_file_write(const char *path, const struct tokens *t, struct error *err);

/* Until the descriptor is closed, no other command changes the file. Returns it, or -errno with err. */
int token_file_lock(const char *path, struct error *err);

#endif
