/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket that the desk listens on: of the service manager, of a Unix path, or of a loopback address. */
#ifndef DETNAT_DESK_LISTENING_H
#define DETNAT_DESK_LISTENING_H

#include <stdbool.h>

#include "base/base.h"

/* A listening socket. */
struct listening {
	int fd;
	bool proxied; /* a Unix socket: requests name their user */
	int dir;      /* of listening_unix(): the directory that the socket is in; else -1 */
};

/* The socket of the service manager (LISTEN_FDS), which has to be one. -ENOENT: it passed none; else 0 or -errno with
 * err. */
int listening_passed(struct listening *ret, struct error *err);

/*
 * Listens at a path, in place of a socket that nobody listens on any more. The file has mode 0660: the group of the
 * process may connect. Root refuses a directory in which others may put things (-EPERM), as they could choose what it
 * removes. 0 or -errno with err.
 */
int listening_unix(const char *path, struct listening *ret, struct error *err);

/* Removes the socket at the path from the directory in which it was made. */
void listening_remove(const struct listening *l, const char *path);

/* Listens at "127.0.0.1:8080", an address of 127.0.0.0/8. 0 or -errno with err. */
int listening_loopback(const char *text, struct listening *ret, struct error *err);

#endif
