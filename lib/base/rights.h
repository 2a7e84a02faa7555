/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Root in the directory of another user. Whoever owns a directory decides what its names lead to, at any moment: a
 * symbolic link, a hard link or a rename in it turns a path of root's into any file of the machine. So root takes the
 * file system rights of the owner before it uses a name there, and can do nothing that the owner could not do as well.
 * Rights that have nothing to do with files (BPF, networks, mounts) stay. All of this is about the calling thread.
 */
#ifndef DETNAT_RIGHTS_H
#define DETNAT_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the thread had before; `set`: it has others now. */
struct rights {
	bool set;
	uid_t uid;
	gid_t gid;
	int n_groups;
	gid_t *groups;
};

/* Whether this network namespace gives a port only to those who have CAP_NET_BIND_SERVICE. */
bool port_needs_right(uint16_t port);

/* Whether the thread acts on files as root. */
bool rights_are_roots(void);

/*
 * Takes the rights of a user, until rights_restore(). Does nothing for uid 0, and unless the thread has root's. A
 * process that cannot take them ends with status 1, as it would go on with root's.
 */
struct rights rights_take(uid_t uid, gid_t gid);

/* The same with the owner of an open directory. */
struct rights rights_of(int dir);

/* Takes root's again, for a while in the middle of such a scope. */
struct rights rights_full(void);

void rights_restore(struct rights *r);

/* Until the end of the block. */
#define _cleanup_rights_ __attribute__((unused, cleanup(rights_restore)))

#endif
