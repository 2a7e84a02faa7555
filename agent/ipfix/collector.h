/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One collector of an exporter: what it has been sent, what waits for it, what it will never see. How messages get
 * there is ipfix/udp.c's and ipfix/tcp.c's; everything else is the same for both.
 *
 * Sequence numbers count data records of the domain in the stream: with UDP, all that were ever meant for the
 * collector; with TCP, those of the connection. Lost ones count too, so a collector sees that it misses them.
 */
#ifndef DETNAT_COLLECTOR_H
#define DETNAT_COLLECTOR_H

#include "ipfix/transport.h"

/*
 * Makes a collector with its socket bound, as ipfix_socket_open() does; sequence as the stream had it. It sends nothing
 * before ipfix_collector_start(). wait: where the source cannot be had, it is made without a socket, and loses what it
 * is given until ipfix_collector_bind() finds it.
 */
int ipfix_collector_new(struct ipfix_shared *shared, const struct collector_endpoint *to, struct endpoint source,
			bool wait, const int *own, size_t n_own, struct ipfix_collector **ret, struct error *err);
int ipfix_collector_bind(struct ipfix_collector *c, struct endpoint source, const int *own, size_t n_own,
			 struct error *err);
void ipfix_collector_start(struct ipfix_collector *c);

/*
 * What waits goes now, with TCP until end_us (monotonic_us()) at the latest, or is lost. *ret, which may be NULL, is
 * how it stood at its end.
 */
void ipfix_collector_free(struct ipfix_collector *c, uint64_t end_us, struct ipfix_figures *ret);

/* Before the domain changes: what cannot be sent now is lost. Returns the next sequence number. */
uint32_t ipfix_collector_end_domain(struct ipfix_collector *c);
/* After it: the new one goes on with this number, and templates are due. */
void ipfix_collector_begin_domain(struct ipfix_collector *c, uint32_t sequence);

/* Before data records: templates, if they are due. */
void ipfix_collector_refresh(struct ipfix_collector *c);

/* Sends templates, due or not. 0, or -errno: the collector does not have them. */
int ipfix_collector_send_templates(struct ipfix_collector *c);

/* Sends data records, or loses them; finished, of the current domain. */
void ipfix_collector_send(struct ipfix_collector *c, struct ipfix_message *m);

/* Once a second: connects, sends what waits, reports losses. */
void ipfix_collector_tick(struct ipfix_collector *c);

/* What is wrong with the collector; NULL: nothing. */
const char *ipfix_collector_trouble(const struct ipfix_collector *c);

#endif
