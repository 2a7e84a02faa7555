/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNATCTL_SAVE_H
#define DETNATCTL_SAVE_H

#include <stddef.h>

#include "base/base.h"

/*
 * Writes a file as a whole or not at all: beside it, then in its place. Refuses symbolic links, anything but a regular
 * file, and directories or files that users other than root and this one own or may write to. Returns 0, or -errno with
 * err.
 */
int save_file(const char *path, const char *text, size_t size, struct error *err);

#endif
