/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How root gives directories and files to the agent's user, or takes them back, when that user may have put anything
 * there: by descriptors alone, below directories that are root's meanwhile, and nothing that has another name.
 */
#ifndef DETNAT_HAND_OVER_H
#define DETNAT_HAND_OVER_H

#include <sys/types.h>

#include "base/base.h"

struct hand_over {
	uid_t uid;
	gid_t gid;
	const char *path; /* of the directory, for messages */
	int dir;	  /* descriptor */
};

/* Makes the directory root's, so that no other user can change its names from now on. 0 or -errno. */
int hand_over_hold(int dir);

/*
 * Gives a file in the directory. 0, also if it does not exist; -EPERM with err if it is no regular file, has other
 * names (hard links), or is on another file system.
 */
int hand_over_file(const struct hand_over *to, const char *name, struct error *err);

/* Opens a directory in the directory, which is held then; refused like a file. -ENOENT if there is none. */
int hand_over_enter(const struct hand_over *to, const char *name, int *ret_fd, struct error *err);

/* Gives the directory itself, last. 0 or -errno. */
int hand_over_end(const struct hand_over *to);

#endif
