/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to a collector over UDP (RFC 7011 section 10.3): one datagram each, queued only while the socket has no
 * room.
 */
#include <errno.h>
#include <string.h>

#include "ipfix/transport.h"

/* Notes an ICMP error: at least the last message did not arrive. */
static void note_refusal(struct ipfix_collector *c)
{
	if (!c->socket.refused)
		return;
	c->socket.refused = false;
	c->refused = true;
	/* The sequence number counts it already. */
	ipfix_collector_lost(c, 0, c->last_events);
	c->last_events = 0;
	ipfix_collector_complain(c, "refuses messages, nothing seems to listen there");
}

static void poll_refusals(struct ipfix_collector *c)
{
	ipfix_socket_poll(&c->socket);
	note_refusal(c);
}

static bool no_room(int r)
{
	return r == -EAGAIN || r == -ENOBUFS;
}

/* Stamps and sends; advances the sequence number on success. */
static int transmit(struct ipfix_collector *c, uint8_t *octets, uint16_t length, uint32_t skipped, uint16_t records)
{
	int r;

	ipfix_stamp(octets, (uint32_t)(c->shared->now_ms / 1000), c->sequence + skipped);
	r = ipfix_socket_send(&c->socket, octets, length);
	note_refusal(c);
	if (!r)
		c->sequence += skipped + records;
	else if (!c->socket.connected)
		/* After connecting again the source may differ, and the collector would not know its templates. */
		c->templates_due = true;
	return r;
}

static void drain(struct ipfix_collector *c)
{
	struct ipfix_queue *q = &c->queue;

	while (q->unsent && c->socket.fd >= 0) {
		struct ipfix_entry *e = q->unsent;
		int r = transmit(c, e->octets, e->length, e->skipped, e->records);

		if (no_room(r))
			return;
		if (r) {
			/* Leaves a gap in the sequence numbers. */
			c->sequence += e->skipped + e->records;
			ipfix_collector_lost(c, 0, e->events);
			ipfix_collector_complain(c, strerror(-r));
		} else {
			ipfix_collector_sent(c, e->events);
		}
		ipfix_queue_sent(q);
		ipfix_queue_pop(q);
	}
}

static int put(struct ipfix_collector *c, struct ipfix_message *m)
{
	int r;

	if (c->socket.fd < 0)
		return -EADDRNOTAVAIL;
	drain(c);
	if (ipfix_queue_empty(&c->queue)) {
		r = transmit(c, m->octets, m->length, c->skipped, m->records);
		if (!r) {
			c->skipped = 0;
			ipfix_collector_sent(c, m->events);
			return 0;
		}
		if (!no_room(r))
			return r;
	}
	r = ipfix_queue_put(&c->queue, m, c->skipped);
	if (!r)
		c->skipped = 0;
	return r;
}

static bool is_ready(const struct ipfix_collector *c)
{
	return true;
}

static void do_nothing(struct ipfix_collector *c)
{
}

const struct ipfix_transport_ops ipfix_udp = {
	.start = do_nothing,
	.is_ready = is_ready,
	.poll = poll_refusals,
	.put = put,
	.drain = drain,
	.tick = do_nothing,
};
