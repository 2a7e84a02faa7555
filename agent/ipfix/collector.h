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

#include "ipfix/ipfix.h"
#include "ipfix/encode.h"
#include "ipfix/backlog.h"
#include "ipfix/socket.h"

/* What all collectors of an exporter share. */
struct ipfix_shared {
	struct config_ipfix settings;
	uint64_t now_ms;	  /* since 1970 */
	struct ipfix_losses ring; /* events that the ring buffer had no room for */
	struct ipfix_message scratch;
};

enum ipfix_tcp_state { IPFIX_TCP_WAITING, IPFIX_TCP_CONNECTING, IPFIX_TCP_CONNECTED };

struct ipfix_tcp {
	enum ipfix_tcp_state state;
	unsigned ticks;	       /* left to wait, or spent connecting */
	unsigned backoff;      /* ticks of the next wait */
	size_t partial;	       /* octets of the first unsent message that are written */
	uint64_t written;      /* octets of messages in the queue, of this connection, up to `unsent` */
	uint64_t acknowledged; /* octets that stood before the first message in the queue */
};

struct ipfix_collector {
	struct ipfix_shared *shared;
	struct collector_endpoint to;
	struct ipfix_socket socket;
	struct ipfix_tcp tcp;
	struct ipfix_queue queue;
	struct ipfix_figures figures;
	uint32_t sequence;	/* of the next data record that is sent */
	uint32_t skipped;	/* data records lost since the message that was put last */
	uint8_t announced;	/* events whose templates the stream may need (enum ipfix_event) */
	bool templates_due;	/* no data record before them */
	bool refused;		/* it may not have seen the last ones */
	uint64_t templates_ms;	/* when they were last sent */
	uint32_t last_events;	/* of the message sent last */
	uint64_t complained_ms; /* 0: never, or it is mended */
	uint64_t complained_us; /* CLOCK_MONOTONIC, of the last one */
	struct error complaint;
	struct ipfix_losses losses;	/* after the ring */
	uint64_t told[N_IPFIX_REPORTS]; /* losses that it has been told of */
	uint64_t told_ms;		/* when the reports were last sent, or the first loss was seen; 0: neither */
};

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

/* ---- for ipfix/udp.c and ipfix/tcp.c ---- */

/* Adds what can be sent at once to the queue, or sends it. 0, or -errno: the message is lost. */
int ipfix_udp_put(struct ipfix_collector *c, struct ipfix_message *m);
int ipfix_tcp_put(struct ipfix_collector *c, struct ipfix_message *m);

/* Sends what waits, as far as that goes. */
void ipfix_udp_drain(struct ipfix_collector *c);
void ipfix_tcp_drain(struct ipfix_collector *c);

void ipfix_udp_poll(struct ipfix_collector *c); /* hears of refusals */
void ipfix_tcp_start(struct ipfix_collector *c);
void ipfix_tcp_tick(struct ipfix_collector *c);

/* Accounts for messages sent and lost. */
void ipfix_collector_sent(struct ipfix_collector *c, uint16_t events);
void ipfix_collector_lost(struct ipfix_collector *c, uint32_t records, uint64_t events);

/* There is trouble with the collector; it is over when nothing more is said of it for a minute, or by the second. */
void ipfix_collector_complain(struct ipfix_collector *c, const char *what);
void ipfix_collector_mended(struct ipfix_collector *c);

/* What is wrong with the collector; NULL: nothing. */
const char *ipfix_collector_trouble(const struct ipfix_collector *c);

/*
 * Makes the next message of templates, from *layout on, which it moves on: true, or false where there are no more. All
 * events that the stream may need are in them, or those that the settings ask for.
 */
bool ipfix_collector_next_templates(const struct ipfix_collector *c, uint8_t events, struct ipfix_message *m,
				    unsigned *layout);

#endif
