/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPFIX exporter (RFC 7011) of NAT events (RFC 8158), over UDP.
 *
 * Templates go out before the first data record, every template_interval seconds while records flow, and at a flush;
 * also before the next data record where the settings changed or the collector was found not to listen. Records are
 * gathered into messages no longer than path_mtu less IP and UDP headers, and sent when one is full, at a flush, or by
 * ipfix_tick().
 *
 * Sequence numbers count data records per observation domain, those included that the socket refused: a collector sees
 * that it misses them. A domain that is returned to goes on where it was.
 */
#ifndef DETNAT_IPFIX_H
#define DETNAT_IPFIX_H

#include <detnat/events.h>

#include "config.h"

struct ipfix;

/* Figures since the exporter was made; they survive ipfix_configure(). */
struct ipfix_figures {
	uint64_t records_sent;
	uint64_t messages_sent; /* those of templates included */
	uint64_t records_lost; /* refused by the socket, or sent to a collector that answered that it does not listen */
};

int ipfix_new(struct ipfix **ret); /* -ENOMEM */
void ipfix_free(struct ipfix *x);  /* sends what was gathered */

/*
 * Binds the source and sets the collector; nothing changes on failure (source address not on this machine, port taken).
 * What was gathered is sent by the old settings first. A configuration that is not enabled stops the export. A
 * collector without a route is no failure: it is tried again with each message.
 */
int ipfix_configure(struct ipfix *x, const struct config_ipfix *c, struct error *err);

/* Adds the record of an event, if the settings ask for it. wall_ms: milliseconds since 1970, of the event. */
void ipfix_event(struct ipfix *x, const struct nat_event *e, uint64_t wall_ms);

/* Sends what has been gathered; call once a second at least. now_ms as wall_ms. */
void ipfix_tick(struct ipfix *x, uint64_t now_ms);

/* Sends templates and everything gathered, at once; nothing where there is no collector. */
void ipfix_flush(struct ipfix *x, uint64_t now_ms);

const struct config_ipfix *ipfix_settings(const struct ipfix *x);
struct ipfix_figures ipfix_figures(const struct ipfix *x);

#endif
