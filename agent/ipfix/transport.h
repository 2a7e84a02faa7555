/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by ipfix/collector.c and the transports ipfix/udp.c and ipfix/tcp.c: the state of a collector, the operations
 * that a transport implements, and the accounts that both keep.
 */
#ifndef DETNAT_TRANSPORT_H
#define DETNAT_TRANSPORT_H

#include <stdbool.h>

#include "config/config.h"
#include "ipfix/backlog.h"
#include "ipfix/encode.h"
#include "ipfix/ipfix.h"

/*
 * The exporter's sockets: non-blocking, bound to the source from the start. A UDP socket is connected to the collector,
 * so that the kernel reports ICMP errors.
 */

struct ipfix_socket {
	int fd; /* -1: none */
	bool connected;
	bool refused; /* an ICMP error came back for an earlier message; the reader clears it */
	uint64_t connections;
	struct endpoint collector;
};

/*
 * Opens and binds. The sockets in `own` (-1 for none) may hold the same source and stay usable. 0, or -errno with err
 * if the source is not an address of this machine or its port is taken. A missing route to the collector is no error.
 */
int ipfix_socket_open(const struct collector_endpoint *to, struct endpoint source, const int *own, size_t n_own,
		      struct ipfix_socket *ret, struct error *err);
void ipfix_socket_close(struct ipfix_socket *s);

/* TCP. Begins to connect: 0 if connecting or connected, else -errno. UDP sockets connect by themselves. */
int ipfix_socket_connect(struct ipfix_socket *s);

/* UDP. Sets s->refused if an ICMP error has arrived since the last message. */
void ipfix_socket_poll(struct ipfix_socket *s);

/*
 * UDP. Sends one message, or returns -errno. A pending ICMP error for an earlier message does not make this one fail.
 */
int ipfix_socket_send(struct ipfix_socket *s, const void *message, size_t length);

/* Shared by all collectors of an exporter. */
struct ipfix_shared {
	struct config_ipfix settings;
	uint64_t now_ms;	  /* since 1970 */
	struct ipfix_losses ring; /* events that did not fit in the ring buffer */
	struct ipfix_message scratch;
};

enum ipfix_tcp_state { IPFIX_TCP_WAITING, IPFIX_TCP_CONNECTING, IPFIX_TCP_CONNECTED };

struct ipfix_tcp {
	enum ipfix_tcp_state state;
	unsigned ticks;	       /* seconds left to wait, or spent connecting */
	unsigned backoff;      /* seconds of the next wait */
	size_t partial;	       /* octets of the first unsent message that are written */
	uint64_t written;      /* octets of this connection up to the first unsent message */
	uint64_t acknowledged; /* octets of this connection before the first message in the queue */
};

struct ipfix_collector {
	struct ipfix_shared *shared;
	const struct ipfix_transport_ops *transport;
	struct collector_endpoint to;
	struct ipfix_socket socket;
	struct ipfix_tcp tcp;
	struct ipfix_queue queue;
	struct ipfix_figures figures;
	uint32_t sequence;	/* of the next data record that is sent */
	uint32_t skipped;	/* data records lost since the last message */
	uint8_t announced;	/* events whose templates the stream needs (enum ipfix_event) */
	bool templates_due;	/* before any data record */
	bool refused;		/* an ICMP error came back: it may have missed the last templates */
	uint64_t templates_ms;	/* when they were last sent */
	uint32_t last_events;	/* in the last message sent */
	uint64_t complained_ms; /* 0: never, or the trouble is over */
	uint64_t complained_us; /* the same by CLOCK_MONOTONIC */
	struct error complaint;
	struct ipfix_losses losses;	/* after the ring buffer */
	uint64_t told[N_IPFIX_REPORTS]; /* losses already reported to it */
	uint64_t told_ms;		/* when the reports were last sent, or the first loss was seen; 0: neither */
};

struct ipfix_transport_ops {
	/* Messages go over a connection: templates are sent once on each, and queued messages survive its loss. */
	bool is_stream;

	/* Begins to send: connects, if the transport has connections. */
	void (*start)(struct ipfix_collector *c);

	/* Whether messages can be sent now; false while there is no connection. */
	bool (*is_ready)(const struct ipfix_collector *c);

	/* Notes ICMP errors that have arrived. */
	void (*poll)(struct ipfix_collector *c);

	/* Sends a message, or adds it to the queue. 0, or -errno: the message is lost. */
	int (*put)(struct ipfix_collector *c, struct ipfix_message *m);

	/* Sends from the queue until it is empty or the socket takes no more. */
	void (*drain)(struct ipfix_collector *c);

	/* Once a second: connects, waits, gives up. */
	void (*tick)(struct ipfix_collector *c);
};

extern const struct ipfix_transport_ops ipfix_udp, ipfix_tcp;

/* Count messages sent and lost. */
void ipfix_collector_sent(struct ipfix_collector *c, uint16_t events);
void ipfix_collector_lost(struct ipfix_collector *c, uint32_t records, uint64_t events);

/*
 * Notes trouble with the collector. It is over after ipfix_collector_mended(), or when it was not noted again for a
 * minute.
 */
void ipfix_collector_complain(struct ipfix_collector *c, const char *what);
void ipfix_collector_mended(struct ipfix_collector *c);

/*
 * Makes the next message of templates of these events, from *layout on, and advances *layout. Returns false if there
 * are no more.
 */
bool ipfix_collector_next_templates(const struct ipfix_collector *c, uint8_t events, struct ipfix_message *m,
				    unsigned *layout);

#endif
