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
#include "seen_records.h"

/* The most requests of a server that wait for the disk. */
#define RADIUS_WAITING 4096U

struct radius_server;

/* An unbound server for rules; all servers share what they have seen. -ENOMEM. */
int radius_server_new(const struct config_lease_source *rules, struct seen_records *seen, struct radius_server **ret);
void radius_server_free(struct radius_server *s); /* NULL is allowed */

/* A server goes on under rules that differ in clients and secrets alone. */
void radius_server_go_on(struct radius_server *s, const struct config_lease_source *rules);

/* The rules that it has. */
const struct config_lease_source *radius_server_rules(const struct radius_server *s);

/*
 * Gives a server its socket, which it owns from then on, and its clients; -1: it keeps its own socket, if it has one. A
 * server that is to forward also gets what it needs for that, such as its file in dir. 0 or -errno.
 */
int radius_server_equip(struct radius_server *s, int fd, const struct radius_clients *clients, const char *dir);

/* Takes the socket from a server that ends, for the next one at its address; -1: it has none. */
int radius_server_yield(struct radius_server *s);

/* Whether it has a socket; and all that it needs to work. */
bool radius_server_bound(const struct radius_server *s);
bool radius_server_ready(const struct radius_server *s);

/* Its socket, once, as the buffer is that of any program's socket; -1: it has none that is new. */
int radius_server_small_socket(struct radius_server *s);

/* Descriptors to wait for; -1: none. */
int radius_server_fd(const struct radius_server *s);
int radius_server_forward_fd(const struct radius_server *s);

/* Takes some requests. Returns whether there may be more. */
bool radius_server_receive(struct radius_server *s, struct lease_writer *w, struct identity_figures *f);

/* The group with the lines of the requests is on the disk, and seen_written() was called. */
void radius_server_written(struct radius_server *s, struct identity_figures *f);

/* Looks after requests that are forwarded. */
void radius_server_work(struct radius_server *s, uint64_t now_us);

/* The access servers that it has heard of. */
struct accounting_servers *radius_server_senders(struct radius_server *s);

/* The clock was set: what was known of those of access servers is void. */
void radius_server_clock_set(struct radius_server *s, struct clock_step step);

/* When radius_server_work() is due, and whether the further server is silent. */
uint64_t radius_server_due(const struct radius_server *s);
bool radius_server_stalled(const struct radius_server *s, uint64_t now_us);

/* Adds the figures of forwarding. */
void radius_server_add_figures(const struct radius_server *s, struct identity_figures *f);

#endif
