/* SPDX-License-Identifier: BSD-2-Clause */
/* Unix sockets that are made, replaced and removed in a directory that is open, wherever its path leads meanwhile. */
#ifndef DETNAT_SOCKET_PLACE_H
#define DETNAT_SOCKET_PLACE_H

#include <stdbool.h>
#include <sys/un.h>

/* The last name of a path. */
const char *socket_name(const char *path);

/* Opens the directory of a path: the caller's descriptor (O_PATH), or -1 with errno. */
int socket_directory(const char *path);

/* Whether no other user chooses what there is in a directory: it is this user's, and others may write to none of it. */
bool socket_names_are_own(int dir);

/* The address of a name there, as bind() and connect() take no directory. False: the name is too long. */
bool socket_at(int dir, const char *name, struct sockaddr_un *ret);

#endif
