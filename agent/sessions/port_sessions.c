/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions/sessions.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

/* A subscriber, and a port and protocol of one of its sessions. */
struct place {
	unsigned kind;
	uint64_t subscriber; /* its inside_place() */
	uint32_t port;	     /* with the protocol above it */
};

struct port_sessions {
	struct session_walk *walk;
	bool ended;	    /* the walk */
	bool read;	    /* `ahead` is */
	struct place ahead; /* of the walk's present session */
	struct place at;    /* the subscriber gathered */
	bool complete;
	uint32_t *ports; /* of its sessions, in order once it is complete */
	size_t n, room;
};

static uint32_t port_of(uint8_t proto, uint16_t out_port)
{
	return (uint32_t)proto << 16 | out_port;
}

struct port_sessions *port_sessions_new(struct session_walk *walk)
{
	struct port_sessions *b = calloc(1, sizeof(*b));

	if (b)
		b->walk = walk;
	else
		session_walk_free(walk);
	return b;
}

void port_sessions_free(struct port_sessions *b)
{
	if (!b)
		return;
	session_walk_free(b->walk);
	free(b->ports);
	free(b);
}

/* Stops the walk at each session that counts. */
static int take(const struct session *s, void *arg)
{
	struct port_sessions *b = arg;

	if (!s->counts)
		return 0;
	b->ahead = (struct place){ session_walk_kind(b->walk), inside_place(s->tenant, s->in_addr),
				   port_of(s->proto, s->out_port) };
	b->read = true;
	return 2;
}

static int add(struct port_sessions *b, uint32_t port)
{
	if (b->n == b->room) {
		size_t room = b->room ? b->room * 2 : 64;
		uint32_t *ports = realloc(b->ports, room * sizeof(*ports));

		if (!ports)
			return -ENOMEM;
		b->ports = ports;
		b->room = room;
	}
	b->ports[b->n++] = port;
	return 0;
}

static int compare_subscribers(const struct place *a, const struct place *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	/* Asked for by the address alone: the walk is that of one subscriber. */
	if (!inside_tenant(a->subscriber) || !inside_tenant(b->subscriber))
		return inside_addr(a->subscriber) < inside_addr(b->subscriber)
			       ? -1
			       : inside_addr(a->subscriber) > inside_addr(b->subscriber);
	return a->subscriber < b->subscriber ? -1 : a->subscriber > b->subscriber;
}

static int compare_ports(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return one < other ? -1 : one > other;
}

/* Reads one more session: 1: the time is up, 0: done, or -errno. */
static int read_on(struct port_sessions *b, uint64_t deadline_us)
{
	uint64_t now = monotonic_us();
	int r;

	if (now >= deadline_us)
		return 1;
	r = session_walk_step(b->walk, (unsigned)(deadline_us - now), take, b);
	b->ended = !r;
	return r == 2 ? 0 : r;
}

int port_sessions_gather(struct port_sessions *b, unsigned kind, uint64_t place, uint64_t deadline_us)
{
	const struct place at = { kind, place, 0 };
	int r = 0;

	if (compare_subscribers(&b->at, &at) != 0) {
		b->at = at;
		b->n = 0;
		b->complete = false;
	}
	while (!r && !b->complete) {
		int order = b->read ? compare_subscribers(&b->ahead, &at) : 0;

		if (b->ended || order > 0) {
			b->complete = true;
			break;
		}
		if (b->read && !order)
			r = add(b, b->ahead.port);
		if (!r) {
			b->read = false;
			r = read_on(b, deadline_us);
		}
	}
	if (!r && b->n)
		qsort(b->ports, b->n, sizeof(*b->ports), compare_ports);
	return r;
}

/* Number of the ports below one. */
static size_t below(const struct port_sessions *b, uint32_t port)
{
	size_t first = 0, end = b->n;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (b->ports[middle] < port)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

uint32_t port_sessions_of(const struct port_sessions *b, uint8_t proto, uint16_t out_port)
{
	uint32_t port = port_of(proto, out_port);

	return (uint32_t)(below(b, port + 1) - below(b, port));
}

uint32_t port_sessions_ports(const struct port_sessions *b, uint8_t proto)
{
	size_t i = below(b, port_of(proto, 0)), end = below(b, port_of(proto, UINT16_MAX) + 1);
	uint32_t n = 0;

	for (; i < end; i++)
		n += !n || b->ports[i] != b->ports[i - 1];
	return n;
}
