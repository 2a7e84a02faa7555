/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPFIX exporter (RFC 7011) of NAT events (RFC 8158), over UDP and TCP, to one collector or several.
 *
 * Templates go out before the first data record, every template_interval seconds while records flow (UDP), and at a
 * flush; also before the next data record where the settings changed or the collector was found not to listen. Records
 * are gathered into messages no longer than path_mtu less IP and UDP headers, and sent when one is full, at a flush, or
 * by ipfix_tick(). All collectors get the same records.
 *
 * Nothing here blocks. What a collector cannot take at once waits in a queue of bounded size; what finds it full, or is
 * refused, is counted, leaves a gap in the sequence numbers, and is told to the collector in a report (RFC 7011
 * section 4.3), as are events that the datapath lost before.
 */
#ifndef DETNAT_IPFIX_H
#define DETNAT_IPFIX_H

#include <detnat/events.h>

#include "config/config.h"

struct ipfix;

/* Figures since the exporter was made; they survive ipfix_configure(). Records are those of events. */
struct ipfix_figures {
	uint64_t records_sent;
	uint64_t messages_sent; /* those of templates and reports included */
	uint64_t records_lost;	/* refused by the socket, sent to where nobody listens, or without room in the queue */
};

/* One collector as it is now. */
struct ipfix_collector_stats {
	struct collector_endpoint collector;
	struct ipfix_figures figures; /* since it was set */
	uint64_t records_waiting;     /* in its queue */
	uint64_t queue_octets;	      /* of memory, messages not yet acknowledged included */
	uint64_t reconnects;	      /* connections but for the first */
	bool connected;		      /* TCP: a connection stands; UDP: there is a way there */
};

int ipfix_new(struct ipfix **ret); /* -ENOMEM */

/* Sends what was gathered, and gives what waits for a TCP collector a second to go. */
void ipfix_free(struct ipfix *x);

/*
 * Binds the source and sets the collectors; nothing changes on failure (source address not on this machine, port
 * taken). What was gathered is sent by the old settings first. A configuration that is not enabled stops the export. A
 * collector that cannot be reached is no failure: it is tried again.
 */
int ipfix_configure(struct ipfix *x, const struct config_ipfix *c, struct error *err);

/* The same for a start: a source that cannot be had is waited for, and is trouble only (TROUBLE_IPFIX). */
int ipfix_configure_waiting(struct ipfix *x, const struct config_ipfix *c, struct error *err);

/* Adds the record of an event, if the settings ask for it. wall_ms: milliseconds since 1970, of the event. */
void ipfix_event(struct ipfix *x, const struct nat_event *e, uint64_t wall_ms);

/*
 * A mapping has been made or deleted, at wall_ms: an address binding event (RFC 8158, natEvent 14 and 15) for each of
 * its inside addresses, if the settings ask for it. They are sent over as many ticks as they take,
 * IPFIX_BINDINGS_PER_TICK each.
 */
#define IPFIX_BINDINGS_PER_TICK 20000U
void ipfix_mapping(struct ipfix *x, struct prefix in, struct prefix out, bool made, uint64_t wall_ms);

/* How many events the ring buffer has had no room for, ever. */
void ipfix_set_ring_losses(struct ipfix *x, uint64_t events);

/* Sends what has been gathered, connects, reports; call once a second, as ticks measure waits. now_ms as wall_ms. */
void ipfix_tick(struct ipfix *x, uint64_t now_ms);

/* Sends templates and everything gathered, at once; nothing where there is no collector. */
void ipfix_flush(struct ipfix *x, uint64_t now_ms);

const struct config_ipfix *ipfix_settings(const struct ipfix *x);

/* The sums over all collectors, those of the past included. */
struct ipfix_figures ipfix_figures(const struct ipfix *x);

/* Of each collector, in the order of the settings; returns how many there are. */
size_t ipfix_stats(const struct ipfix *x, struct ipfix_collector_stats ret[MAX_COLLECTORS]);

#endif
