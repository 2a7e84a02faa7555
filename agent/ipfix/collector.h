/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One collector of an exporter: its templates, its queue, its losses. ipfix/udp.c and ipfix/tcp.c send the messages;
 * the rest is the same for both.
 *
 * Sequence numbers count the data records of the domain in the stream: over UDP all that were meant for the collector,
 * over TCP those of the connection. Lost records count as well, so that a collector can detect the gap.
 */
#ifndef DETNAT_COLLECTOR_H
#define DETNAT_COLLECTOR_H

#include "ipfix/transport.h"

/*
 * Makes a collector and binds its socket as ipfix_socket_open() does. It sends nothing before ipfix_collector_start().
 * wait: if the source is not available, makes it without a socket; its records are lost until ipfix_collector_bind()
 * succeeds.
 */
int ipfix_collector_new(struct ipfix_shared *shared, const struct collector_endpoint *to, struct endpoint source,
			bool wait, const int *own, size_t n_own, struct ipfix_collector **ret, struct error *err);
int ipfix_collector_bind(struct ipfix_collector *c, struct endpoint source, const int *own, size_t n_own,
			 struct error *err);
void ipfix_collector_start(struct ipfix_collector *c);

/*
 * Sends the queue, over TCP until end_us (monotonic_us()) at the latest; the rest is lost. Stores the final figures in
 * *ret, which may be NULL.
 */
void ipfix_collector_free(struct ipfix_collector *c, uint64_t end_us, struct ipfix_figures *ret);

/* Call it before the domain changes: messages that cannot be sent now are lost. Returns the next sequence number. */
uint32_t ipfix_collector_end_domain(struct ipfix_collector *c);
/* Call it after the domain has changed: continues with this sequence number; templates are due. */
void ipfix_collector_begin_domain(struct ipfix_collector *c, uint32_t sequence);

/* Sends templates if they are due. Called before data records. */
void ipfix_collector_refresh(struct ipfix_collector *c);

/* Sends templates, due or not. 0, or -errno if the collector did not get them. */
int ipfix_collector_send_templates(struct ipfix_collector *c);

/* Sends a finished message of data records of the current domain, or counts them as lost. */
void ipfix_collector_send(struct ipfix_collector *c, struct ipfix_message *m);

/* Call it once a second: connects, sends the queue, reports losses. */
void ipfix_collector_tick(struct ipfix_collector *c);

/* The trouble with the collector, or NULL. */
const char *ipfix_collector_trouble(const struct ipfix_collector *c);

#endif
