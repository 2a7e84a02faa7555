/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPFIX exporter (RFC 7011) of NAT events (RFC 8158), over UDP and TCP, to one collector or several. All collectors get
 * the same records.
 *
 * Templates are sent before the first data record, every template_interval seconds while records flow (UDP) and at a
 * flush; also before the next data record after the settings changed or the collector was found not to be listening.
 * Records are gathered into messages no longer than path_mtu less IP and UDP headers, which are sent when full, at a
 * flush, or by ipfix_tick().
 *
 * Nothing here blocks. Messages that a collector cannot take at once wait in a queue of bounded size. Records that do
 * not fit in it, or are refused, are counted, leave a gap in the sequence numbers, and are reported to the collector
 * (RFC 7011 section 4.3), as are events that the datapath lost.
 */
#ifndef DETNAT_IPFIX_H
#define DETNAT_IPFIX_H

#include <detnat/events.h>

#include "config/config.h"
#include "tables/mappings.h"

struct ipfix;

/* Figures since the exporter was made; ipfix_configure() keeps them. Records are those of events. */
struct ipfix_figures {
	uint64_t records_sent;
	uint64_t messages_sent; /* templates and reports included */
	uint64_t records_lost;	/* refused by the socket or by the collector's host, or without room in the queue */
};

/* The current state of one collector. */
struct ipfix_collector_stats {
	struct collector_endpoint collector;
	struct ipfix_figures figures; /* since it was configured */
	uint64_t records_waiting;     /* in its queue */
	uint64_t queue_octets;	      /* unacknowledged messages included */
	uint64_t reconnects;	      /* connections after the first */
	bool connected;		      /* TCP: connected; UDP: there is a route */
};

int ipfix_new(struct ipfix **ret); /* -ENOMEM */

/* Sends the gathered records, and waits up to a second for the queues of TCP collectors. x may be NULL. */
void ipfix_free(struct ipfix *x);

/*
 * Binds the source and sets the collectors; nothing changes on failure (source address not on this machine, port
 * taken). Gathered records are sent with the old settings first. A configuration that is not enabled stops the export.
 * An unreachable collector is no failure: it is retried.
 */
int ipfix_configure(struct ipfix *x, const struct config_ipfix *c, struct error *err);

/* The same for a start: a source that is not available yet is retried and reported as TROUBLE_IPFIX. */
int ipfix_configure_waiting(struct ipfix *x, const struct config_ipfix *c, struct error *err);

/* The mappings that tell whose subscriber an event is about, where the event does not; NULL: none. */
void ipfix_on_mappings(struct ipfix *x, const struct mappings *m);
const struct mappings *ipfix_mappings(const struct ipfix *x); /* NULL: none were given */

/* Adds the record of an event, if the settings enable it. wall_ms: time of the event in milliseconds since 1970. */
void ipfix_event(struct ipfix *x, const struct nat_event *of, uint64_t wall_ms);

/*
 * Inside addresses of a mapping gained or lost its translation at wall_ms: exports an address binding event (RFC 8158,
 * natEvent 14 and 15) for each of them, if the settings enable them, at most IPFIX_BINDINGS_PER_TICK a tick.
 * tenant: its number, or 0.
 */
#define IPFIX_BINDINGS_PER_TICK 20000U
void ipfix_mapping(struct ipfix *x, const struct geometry *geo, struct address_range of, uint8_t tenant, bool made,
		   uint64_t wall_ms);

/*
 * A portmap of any origin was made, or has ended, at wall_ms: exports a BIB event (RFC 8158, natEvent 8 and 9) in the
 * same way. e: EVENT_PORTMAP_MADE or EVENT_PORTMAP_ENDED.
 */
void ipfix_portmap(struct ipfix *x, const struct nat_event *e, uint64_t wall_ms);

/* Sets the total of events that did not fit in the ring buffer. */
void ipfix_set_ring_losses(struct ipfix *x, uint64_t events);

/* Sends gathered records, connects, reports losses. Call it once a second, as waits are counted in ticks. */
void ipfix_tick(struct ipfix *x, uint64_t now_ms);

/* Sends templates and everything gathered at once. */
void ipfix_flush(struct ipfix *x, uint64_t now_ms);

/* The sums over all collectors, removed ones included. */
struct ipfix_figures ipfix_figures(const struct ipfix *x);

/* Fills in the collectors in the order of the settings; returns their number. */
size_t ipfix_stats(const struct ipfix *x, struct ipfix_collector_stats ret[MAX_COLLECTORS]);

#endif
