/* SPDX-License-Identifier: BSD-2-Clause */
/* The file system that pins live in: mounted where it is missing, locked, cleaned up. */
#ifndef DETNAT_BPFFS_H
#define DETNAT_BPFFS_H

#include <stdbool.h>

#include "base/base.h"

/*
 * Makes the directory `path` on a bpffs. Where it is on none, one is mounted: at /sys/fs/bpf for a path under it, else
 * on the path itself. Messages name the path.
 */
int bpffs_prepare(const char *path, struct error *err);

/* Refuses a directory that is not empty (-ENOTEMPTY): what is in it would be hidden by a mount. */
int bpffs_check_mount_point(const char *path, struct error *err);

/* Whether the path is a directory on a bpffs. */
bool bpffs_is(const char *path);

/* Unmounts what bpffs_prepare() mounted on the path itself, where nothing is pinned there and nobody uses it. */
void bpffs_release(const char *path);

/*
 * Whether pins under the path end with this process's mount namespace: their file system is mounted in no place that
 * the first process sees. False where that cannot be told.
 */
bool bpffs_is_private(const char *path);

/* Locks the directory against other agents until *ret_fd is closed. -EBUSY where one has it, -ENOENT where it is gone.
 */
int bpffs_lock(const char *path, int *ret_fd, struct error *err);

/* Removes a directory of pins with all that is in it; one that does not exist is no error. */
int bpffs_remove_directory(const char *path);

/* Calls visit for each name in a directory, dots left out; a value other than 0 ends it and is returned. */
int directory_visit(const char *path, int (*visit)(const char *name, void *arg), void *arg);

#endif
