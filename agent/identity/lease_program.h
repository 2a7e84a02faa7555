/* SPDX-License-Identifier: BSD-2-Clause */
/* The way from the agent to detnat-leases: a connection to the service, or to a program that the agent starts. */
#ifndef DETNAT_LEASE_PROGRAM_H
#define DETNAT_LEASE_PROGRAM_H

#include <sys/types.h>

#include "base/error.h"
#include "identity/lease_wire.h"

struct lease_program {
	int fd;	   /* of packets; -1: there is no connection */
	pid_t pid; /* of a program that the agent started; 0: there is none */
};

/*
 * Connects to the service if something listens at the path, and starts the program if there is no such socket. 0, or
 * -errno with err.
 */
int lease_program_open(struct lease_program *p, const char *path, struct error *err);

/* Ends the connection, and with it a program that the agent started, for which it waits. */
void lease_program_close(struct lease_program *p);

/* Sends an order without waiting. 0 or -errno. */
int lease_program_tell(const struct lease_program *p, enum lease_order_kind kind, const char *dir,
		       const struct config_leases *rules);

/*
 * Takes the next report, whose texts are texts, and grants the buffer of a socket that comes with it. 0; -EAGAIN if
 * there is none yet; -EPROTO if it is of another version; or another -errno if the connection has ended.
 */
int lease_program_hear(const struct lease_program *p, struct lease_report *ret);

#endif
