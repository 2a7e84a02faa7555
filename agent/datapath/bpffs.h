/* SPDX-License-Identifier: BSD-2-Clause */
/* The BPF file system that holds the pins: mounted if missing, locked, cleaned up. */
#ifndef DETNAT_BPFFS_H
#define DETNAT_BPFFS_H

#include <stdbool.h>

#include "base/base.h"

/*
 * Creates the directory `path` on a bpffs. If it is not on one, mounts one: at /sys/fs/bpf for a path below it, else on
 * the path itself. Error texts name the path.
 */
int bpffs_prepare(const char *path, struct error *err);

/* Refuses a directory that is not empty (-ENOTEMPTY), as a mount would hide its contents. */
int bpffs_check_mount_point(const char *path, struct error *err);

/* Whether the path is a directory on a bpffs. */
bool bpffs_is(const char *path);

/* Unmounts the bpffs that bpffs_prepare() mounted on the path itself, unless it holds pins or is in use. */
void bpffs_release(const char *path);

/*
 * Whether pins under the path disappear with this process's mount namespace, or its container: their file system is not
 * mounted anywhere that PID 1 can see, or only in a container that shares it with nobody. False if unknown.
 */
bool bpffs_is_private(const char *path);

/*
 * Locks the directory against other agents until *ret_fd is closed. -EBUSY if another agent holds the lock, -ENOENT if
 * the directory is gone.
 */
int bpffs_lock(const char *path, int *ret_fd, struct error *err);

/* Removes a directory of pins and everything in it; a missing directory is not an error. */
int bpffs_remove_directory(const char *path);

/* The same, but leaves the pins for which keep() is true, and with them the directory. */
int bpffs_remove_others(const char *path, bool (*keep)(const char *name));

/* All below an open directory. A name that is no directory, such as a symbolic link, goes alone. */
int bpffs_remove_layout(int dir, const char *name);

/* Calls visit for each name in a directory, except dot entries; a non-zero result ends the walk and is returned. */
int directory_visit(const char *path, int (*visit)(const char *name, void *arg), void *arg);
int directory_visit_at(int dir, int (*visit)(const char *name, void *arg), void *arg);

#endif
