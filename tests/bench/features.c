// SPDX-License-Identifier: BSD-2-Clause
/*
 * Portmaps and bindings of the subscribers of a row. Where portmaps take the place of sessions, they have the ports
 * that the sessions would have, so the packets are the same.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <detnat/binding.h>

#include "sessions/sessions.h"
#include "tables/grant_table.h"
#include "tables/portmap_table.h"

#define GRANTED_PORTS 64 /* one block each: as many as there are sessions, and one more */
#define LOW_PORT      1	 /* outside port of the first host's only portmap: below all blocks */

struct binding_layout features_bindings(const struct row *row)
{
	return (struct binding_layout){ .mapping = row->feature == FEATURE_ONE_PORT ? BINDING_UDP : 0 };
}

struct growth_layout features_growth(const struct row *row)
{
	if (row_is_granted(row))
		return (struct growth_layout){ GRANTED_PORTS, 1 };
	return row->feature == FEATURE_GROWTH ? (struct growth_layout){ 128, 4 } : (struct growth_layout){ 0 };
}

struct limit_layout features_limits(const struct row *row)
{
	if (row->feature != FEATURE_LIMITS)
		return (struct limit_layout){ 0 };
	return (struct limit_layout){ .sessions = { row->sessions, row->sessions, row->sessions },
				      .interval_ns = limit_interval_ns(LIMIT_MAX_RATE),
				      .burst = LIMIT_MAX_BURST,
				      .rate = LIMIT_MAX_RATE };
}

static void put(struct portmaps *p, uint32_t in_addr, uint16_t in_port, uint32_t out_addr, uint16_t out_port)
{
	const struct portmap m = { .in = { in_addr, in_port }, .out = { out_addr, out_port }, .proto = IPPROTO_UDP };
	int r = portmaps_put(p, &m);

	if (r)
		die("adding a portmap", r);
}

/* In place of a host's sessions. */
static void put_all(const struct space *s, uint32_t host)
{
	for (uint32_t i = 0; i < s->row->sessions; i++) {
		struct flow_tuple in = flow_of(s, (uint64_t)host * s->row->sessions + i, FROM_INSIDE);
		struct flow_tuple back = flow_of(s, (uint64_t)host * s->row->sessions + i, FROM_OUTSIDE);

		put(s->portmaps, in.src, in.sport, back.dst, back.dport);
	}
}

/* Of an inside port that no session has. */
static void put_one(const struct space *s, uint32_t host)
{
	struct flow_tuple in = flow_of(s, (uint64_t)host * s->row->sessions, FROM_INSIDE);
	const struct geometry *g = &s->geo[host / s->hosts_each];

	put(s->portmaps, in.src, FIRST_PORT - 1, mapping_forward(g, in.src).out_addr,
	    (uint16_t)(LOW_PORT + mapping_subscriber(g, in.src) % (1U << s->row->ratio_shift)));
}

/* A block of its outside address for each host. */
static void grant_all(struct bench *b, struct space *s)
{
	const struct geometry *g = &s->geo[0];
	struct error err;

	if (grants_open(b->m, &s->grants, &err))
		die(err.text, EINVAL);
	for (uint32_t host = 0; host < s->row->hosts; host++) {
		uint32_t number = mapping_subscriber(g, g->in_base + host);
		struct grant like = { .in_addr = g->in_base + host,
				      .out_addr = mapping_out_addr(g, number),
				      .port_lo = (uint16_t)growth_port_lo(g, GRANTED_PORTS, host % s->row->ratio),
				      .ports = GRANTED_PORTS };
		struct grant *grant = grants_reserve(s->grants, &like);
		int r = grant ? grants_make(s->grants, grant) : -ENOMEM;

		if (r)
			die("granting a block", r);
	}
	grants_serve_until(s->grants, datapath_ticks(&b->d) + 0x40000000U);
}

/* Sessions in extents, and those on ports that are in no block. */
struct places {
	const struct space *s;
	uint64_t granted;
};

static int count_place(const struct session *session, void *arg)
{
	struct places *p = arg;

	p->granted += mapping_reverse(&p->s->geo[0], session->out_addr, session->out_port) < 0;
	return 0;
}

bool features_lie_right(struct bench *b, const struct space *s)
{
	uint64_t beyond = row_sessions(s->row) - (uint64_t)s->row->hosts * s->row->slots;
	uint64_t granted = row_is_granted(s->row) ? beyond : 0;
	struct places p = { .s = s };
	struct session_walk *w;
	int r = session_walk_new(b->m, &w);

	while (!r && (r = session_walk_step(w, 100000, count_place, &p)) > 0)
		r = 0;
	if (r)
		die("listing sessions", r);
	session_walk_free(w);
	if (p.granted == granted)
		return true;
	fprintf(stderr,
		"bench: %s: of %" PRIu64 " sessions beyond the slots %" PRIu64 " on granted ports, not %" PRIu64 "\n",
		s->row->name, beyond, p.granted, granted);
	return false;
}

void features_make(struct bench *b, struct space *s)
{
	struct error err;

	b->d.device[b->inside_ifindex].tenant = row_has_tenants(s->row) ? FIRST_TENANT : 0;
	/* As of a packet from the inside interface, for want of a VRF. */
	b->d.way[FIRST_TENANT] = s->row->feature == FEATURE_VRF ? b->inside_ifindex : WAY_MAIN;
	if (row_is_granted(s->row))
		grant_all(b, s);

	if (s->row->feature != FEATURE_PORTMAPPED && s->row->feature != FEATURE_PORTMAPS)
		return;
	if (portmaps_open(b->m, &s->portmaps, &err))
		die(err.text, EINVAL);
	for (uint32_t host = 0; host < s->row->hosts; host++) {
		if (s->row->feature == FEATURE_PORTMAPPED)
			put_all(s, host);
		else
			put_one(s, host);
	}
}

void features_mark(const struct space *s)
{
	for (uint32_t i = 0; s->portmaps && i < s->row->mappings; i++)
		portmaps_mark(s->portmaps, (struct prefix){ s->geo[i].in_base, s->geo[i].in_plen });
}

void features_free(struct space *s)
{
	const struct portmap *p;
	struct grant *grant;
	uint32_t at = 0;

	while (s->grants && (grant = grants_walk(s->grants, &at)))
		grants_drop(s->grants, grant);
	grants_close(s->grants);
	s->grants = NULL;
	if (!s->portmaps)
		return;
	while ((p = portmaps_next(s->portmaps, NULL)))
		if (portmaps_del(s->portmaps, p->proto, p->out))
			die("removing a portmap", EINVAL);
	portmaps_close(s->portmaps);
	s->portmaps = NULL;
}

void features_forget(struct bench *b, int number, uint32_t subscriber)
{
	const struct mapping *m = mappings_get(b->m, number);
	const struct binding_layout *l = &m->bindings;
	struct limit_line *limits = mappings_limit_line(b->m, number, subscriber);
	size_t header = binding_header_lines(m->bucket_shift) * sizeof(struct binding_line), size;
	char *first;

	if (limits)
		memset(limits, 0, sizeof(*limits));
	if (!l->protocols)
		return;
	size = binding_lines(l->protocols, m->geo.ports_per_host, m->bucket_shift) * sizeof(struct binding_line);
	first = (char *)mappings_binding(b->m, number, subscriber, IPPROTO_UDP, 0);
	memset(first - header, 0, size);
}
