/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNATCTL_SAVE_H
#define DETNATCTL_SAVE_H

#include <stddef.h>

#include "base/base.h"

/*
 * Writes a file as a whole or not at all: beside it, then in its place. Refuses symbolic links, what is no regular
 * file, and directories or files that others than root and the user own or may write to. Returns 0, or -errno with err.
 */
int save_file(const char *path, const char *text, size_t size, struct error *err);

#endif
