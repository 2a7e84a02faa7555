/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening Unix socket of the agent: its path, permissions and owner. */
#ifndef DETNAT_LISTENER_H
#define DETNAT_LISTENER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/base.h"

struct control_socket {
	int fd; /* listening, non-blocking */
	char *path;
	dev_t dev; /* of the file at path, to recognise it */
	ino_t ino;
};

/*
 * Creates missing directories (0755), binds with mode 0660 and group `detnat` if that exists, and listens. A socket
 * without a listener is replaced; -EADDRINUSE if an agent answers, or if the path is not a socket.
 */
int control_socket_open(const char *path, struct control_socket *ret, struct error *err);

/* Whether its path still leads to this socket. */
bool control_socket_is_there(const struct control_socket *s);

/* Closes it, and removes the file if it is still this socket's. */
void control_socket_close(struct control_socket *s);

#endif
