/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening Unix socket of the agent: where it lies, who may open it, whose it is. */
#ifndef DETNAT_LISTENER_H
#define DETNAT_LISTENER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/base.h"

struct control_socket {
	int fd; /* listening, non-blocking */
	char *path;
	dev_t dev; /* of the file at path, to know it again */
	ino_t ino;
};

/*
 * Makes missing directories (0755), binds with mode 0660 and group `detnat` where there is one, and listens. A socket
 * that nobody answers at is replaced; -EADDRINUSE where somebody does, or where something else is in the way.
 */
int control_socket_open(const char *path, struct control_socket *ret, struct error *err);

/* Closes, and removes the file if it is still the one that was made. */
/* Whether its path leads to it still. */
bool control_socket_is_there(const struct control_socket *s);

void control_socket_close(struct control_socket *s);

#endif
