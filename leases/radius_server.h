/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server of RADIUS accounting (RFC 2866). A request is answered once its lines are on the disk, and not at all if it
 * is not genuine, if it is a copy for a passive server, or if too many wait: then its sender tries again. One that is
 * to be forwarded is answered once it is in the forwarder's file, too.
 */
#ifndef DETNAT_RADIUS_SERVER_H
#define DETNAT_RADIUS_SERVER_H

#include "config/config.h"
#include "identity/identity.h"
#include "identity/radius_clients.h"
#include "leases/accounting_servers.h"
#include "lease_writer.h"
#include "radius.h"
#include "radius_forward.h"
#include "radius_receive.h"
#include "seen_records.h"

/* The most requests of a server that wait for the disk. */
#define RADIUS_WAITING 4096U

/* A request whose lines are on their way to the disk. */
struct waiting {
	struct sockaddr_in from;
	uint64_t name, key; /* of itself, and of its first record */
	struct forward_times received;
	size_t size;
	uint8_t *packet;
	bool refused; /* the forwarder has no room */
};

struct radius_server {
	struct config_lease_source rules; /* those that it has differ in clients and secrets alone */
	struct radius_clients clients;
	int fd;				/* -1: none yet */
	bool small;			/* its buffer has not been enlarged */
	struct radius_forward *forward; /* NULL: nothing is forwarded, or not yet */
	struct seen_records *seen;
	struct accounting_servers senders; /* that it has heard of */
	struct waiting waiting[RADIUS_WAITING];
	unsigned n_waiting;
	struct radius_receive received;
	uint64_t forged_us, clock_us; /* when they were logged */
	struct forward_figures ended; /* of forwarding with an earlier secret */
};

/* An unbound server for rules; all servers share what they have seen. -ENOMEM. */
int radius_server_new(const struct config_lease_source *rules, struct seen_records *seen, struct radius_server **ret);
void radius_server_free(struct radius_server *s); /* NULL is allowed */

/*
 * Gives a server its socket, which it owns from then on, and its clients; -1: it keeps its own socket, if it has one. A
 * server that is to forward also gets what it needs for that, such as its file in dir. 0 or -errno.
 */
int radius_server_equip(struct radius_server *s, int fd, const struct radius_clients *clients, const char *dir);

/* Whether it has all that it needs to work. */
bool radius_server_ready(const struct radius_server *s);

/* The descriptor to wait for; -1: none. */
int radius_server_fd(const struct radius_server *s);

/* Takes some requests. Returns whether there may be more. */
bool radius_server_receive(struct radius_server *s, struct lease_writer *w, struct identity_figures *f);

/* The group with the lines of the requests is on the disk, and seen_written() was called. */
void radius_server_written(struct radius_server *s, struct identity_figures *f);

/* Adds the figures of forwarding. */
void radius_server_add_figures(const struct radius_server *s, struct identity_figures *f);

#endif
