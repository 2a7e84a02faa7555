/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPFIX exporter (RFC 7011) of NAT events (RFC 8158), over UDP.
 *
 * Templates go out before the first data record, every template_interval seconds while records flow, and at a flush.
 * Records are gathered into messages no longer than path_mtu less IP and UDP headers, and sent when one is full, at a flush, or
 * by ipfix_tick() after a second at most. Sequence numbers count data records per observation domain.
 */
#ifndef DETNAT_IPFIX_H
#define DETNAT_IPFIX_H

#include <detnat/events.h>

#include "config.h"

/* ---- encoder: pure, writes into memory -------------------------------------------------------------------- */

struct ipfix_encoder; /* settings, sequence number, message under construction */

/* ---- exporter ----------------------------------------------------------------------------------------------- */

struct ipfix;

/* Figures since the exporter was made; they survive ipfix_configure(). */
struct ipfix_figures {
	uint64_t records_sent;
	uint64_t messages_sent;
	uint64_t records_lost; /* the socket refused the message */
};

int ipfix_new(struct ipfix **ret);
void ipfix_free(struct ipfix *x);

/*
 * Binds the source and sets the collector; nothing changes on failure (source address not on this machine, port taken). A
 * configuration that is not enabled stops the export after sending what was gathered.
 */
int ipfix_configure(struct ipfix *x, const struct config_ipfix *c, struct error *err);

/* Adds the record of an event, if the settings ask for it. wall_ms: milliseconds since 1970, of the event. */
void ipfix_event(struct ipfix *x, const struct nat_event *e, uint64_t wall_ms);

/* Sends what has been gathered; call once a second at least. now_ms as wall_ms. */
void ipfix_tick(struct ipfix *x, uint64_t now_ms);

/* Sends templates and everything gathered, at once. */
void ipfix_flush(struct ipfix *x, uint64_t now_ms);

const struct config_ipfix *ipfix_settings(const struct ipfix *x);
struct ipfix_figures ipfix_figures(const struct ipfix *x);

#endif
