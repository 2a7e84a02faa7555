/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNATCTL_SAVE_H
#define DETNATCTL_SAVE_H

#include <stddef.h>

#include "base/base.h"

struct save {
	const char *path;
	const char *text;
	size_t size;
	/* Whether the file beside, which is complete, may take the place; NULL: it may. 0, or -errno with err. */
	int (*check)(const char *beside, void *arg, struct error *err);
	void *arg;
};

/*
 * Writes a file as a whole or not at all: beside it, read back and checked, then in its place. Refuses symbolic links,
 * anything but a regular file, and directories or files that users other than root, this one and the members of
 * detnat-admin own or may write to. Returns 0, or -errno with err; the file is as it was then.
 */
int save_file(const struct save *s, struct error *err);

#endif
