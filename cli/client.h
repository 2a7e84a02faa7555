/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection to the agent: a line out, lines in (agent/control/control.h has the protocol). */
#ifndef DETNATCTL_CLIENT_H
#define DETNATCTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

/* An agent that sends nothing for as long, not even a sign of life, is given up. */
#define CLIENT_PATIENCE_S 60

struct client {
	int fd;
	char *buffer;
	size_t start, end, size; /* of what has been read and not yet handed out; of the buffer */
};

/* Connects; 0 or -errno with err saying what to do about it. */
int client_connect(const char *path, struct client *ret, struct error *err);
void client_close(struct client *c);

/* Sends text and a newline. 0 or -errno with err. */
int client_send(struct client *c, const char *text, struct error *err);

/*
 * The next line that is not empty, without its newline, NUL-terminated and good until the next call. 0, or -errno with
 * err: -EPIPE where the agent has gone, -ETIMEDOUT where it says nothing.
 */
int client_line(struct client *c, const char **ret_line, size_t *ret_size, struct error *err);

/* Whether client_line() has a line without waiting. */
bool client_has_line(const struct client *c);

static inline void client_cleanup(struct client *c)
{
	client_close(c);
}
#define _cleanup_client_ __attribute__((cleanup(client_cleanup)))

#endif
