/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases of PCP. Each pass compares all of this gateway's with what has been told, and tells the differences. A lease
 * that a peer has told is a portmap here, with what is left of its time; it is this gateway's own from the moment at
 * which it is renewed here.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "replication/copying_private.h"

_Static_assert(WIRE_FILTERS == MAX_PORTMAP_FILTERS, "a record has room for the filters of any lease");

static bool same_lease(const struct portmap *a, const struct portmap *b)
{
	return endpoint_equal(a->in, b->in) && a->expires_s == b->expires_s &&
	       !memcmp(a->nonce, b->nonce, sizeof(a->nonce)) && portmap_filters_equal(&a->filters, &b->filters);
}

static void fill(struct wire_lease *w, const struct portmap *m, uint64_t now_s)
{
	uint64_t left = m->expires_s > now_s ? m->expires_s - now_s : 0;

	*w = (struct wire_lease){
		.in_addr = htobe32(m->in.addr),
		.out_addr = htobe32(m->out.addr),
		.in_port = htobe16(m->in.port),
		.out_port = htobe16(m->out.port),
		.proto = m->proto,
		.filters = (uint8_t)m->filters.n,
		.left_s = htobe32(left < UINT32_MAX ? (uint32_t)left : UINT32_MAX),
	};
	memcpy(w->nonce, m->nonce, sizeof(w->nonce));
	for (uint32_t i = 0; i < m->filters.n; i++) {
		const struct portmap_filter *f = &m->filters.filter[i];

		w->filter[i] = (struct wire_filter){ htobe32(f->addr), htobe16(f->port), f->plen, 0 };
	}
}

/* Reads a lease. False: its filters cannot be those of one. */
static bool read_lease(const struct wire_lease *w, uint64_t now_s, struct portmap *ret)
{
	uint32_t left = be32toh(w->left_s);
	struct portmap m = {
		.in = { be32toh(w->in_addr), be16toh(w->in_port) },
		.out = { be32toh(w->out_addr), be16toh(w->out_port) },
		.proto = w->proto,
		.origin = PORTMAP_PCP,
		.expires_s = left ? now_s + left : 0,
	};

	memcpy(m.nonce, w->nonce, sizeof(m.nonce));
	m.filters.n = w->filters;
	for (uint32_t i = 0; i < w->filters && i < WIRE_FILTERS; i++)
		m.filters.filter[i] = (struct portmap_filter){ .addr = be32toh(w->filter[i].addr),
							       .port = be16toh(w->filter[i].port),
							       .plen = w->filter[i].plen };
	*ret = m;
	return !m.filters.n || portmap_filters_valid(&m.filters);
}

/* Adds a record to the pass's payload. 0, or what `emit` returned. */
static int tell(struct copying *c, const struct portmap *m, uint64_t now_s, copying_emit emit, void *arg)
{
	struct draft *o = &c->out;

	if (!c->primed)
		return 0;
	if ((o->length && o->type != WIRE_LEASES) || draft_room(o) < sizeof(struct wire_lease)) {
		int r = draft_flush(o, emit, arg);

		if (r)
			return r;
	}
	o->type = WIRE_LEASES;
	fill(draft_take(o, sizeof(struct wire_lease)), m, now_s);
	return 0;
}

/* Whether a portmap is a lease that a peer has told and has itself, unchanged since. */
static bool is_heard(struct copying *c, const struct portmap *m)
{
	struct known_lease *k = lease_set_find(&c->leases_heard, m->proto, m->out);

	if (!k)
		return false;
	if (same_lease(&k->lease, m))
		return k->peer != 0;
	lease_set_del(&c->leases_heard, k);
	return false;
}

/* Whether a subscriber's mapping is one that is told. */
static bool is_told(const struct copying *c, uint32_t in_addr)
{
	int number = mappings_find_inside(c->m, in_addr);

	return number >= 0 && c->mapping[number].used && copied_mapping_owned(c, &c->mapping[number]);
}

static int tell_new(struct copying *c, uint64_t now_s, copying_emit emit, void *arg)
{
	for (const struct portmap *m = portmaps_next(c->portmaps, NULL); m; m = portmaps_next(c->portmaps, m)) {
		struct known_lease *k;
		int r;

		if (m->origin != PORTMAP_PCP || m->expires_s <= now_s || is_heard(c, m) || !is_told(c, m->in.addr))
			continue;
		k = lease_set_find(&c->leases_told, m->proto, m->out);
		if (!k)
			k = lease_set_add(&c->leases_told, m->proto, m->out);
		if (!k)
			return -ENOMEM;
		k->round = c->lease_round;
		if (same_lease(&k->lease, m))
			continue;
		r = tell(c, m, now_s, emit, arg);
		if (r)
			return r;
		k->lease = *m;
	}
	return 0;
}

int copied_leases_tell(struct copying *c, copying_emit emit, void *arg)
{
	uint64_t now_s = boottime_s();
	struct known_lease *k = NULL;
	int r;

	if (!c->portmaps || (!portmaps_count(c->portmaps, PORTMAP_PCP) && !c->leases_told.n))
		return 0;
	c->lease_round++;
	r = tell_new(c, now_s, emit, arg);
	if (r)
		return r;
	while ((k = lease_set_next(&c->leases_told, k))) {
		if (k->round == c->lease_round)
			continue;
		/* Nothing is left of it. */
		k->lease.expires_s = 0;
		r = tell(c, &k->lease, now_s, emit, arg);
		if (r)
			return r;
		lease_set_del(&c->leases_told, k);
	}
	return 0;
}

int copied_leases_whole(struct copying *c, struct draft *o, copying_emit emit, void *arg)
{
	uint64_t now_s = boottime_s();
	int r;

	o->type = WIRE_LEASES;
	o->length = 0;
	for (struct known_lease *k = lease_set_next(&c->leases_told, NULL); k; k = lease_set_next(&c->leases_told, k)) {
		if (k->lease.expires_s <= now_s)
			continue;
		r = draft_room(o) < sizeof(struct wire_lease) ? draft_flush(o, emit, arg) : 0;
		if (r)
			return r;
		fill(draft_take(o, sizeof(struct wire_lease)), &k->lease, now_s);
	}
	return draft_flush(o, emit, arg);
}

/* Whether a subscriber of a mapping that is exchanged with a peer can have the lease. */
static bool can_have(const struct copying *c, unsigned peer, const struct portmap *m)
{
	int number = mappings_find_inside(c->m, m->in.addr);
	struct port_block block;

	if (number < 0 || !c->mapping[number].used || !c->peer[peer].exchanged[number] || !m->in.port ||
	    (m->proto != IPPROTO_TCP && m->proto != IPPROTO_UDP))
		return false;
	block = mapping_forward(&mappings_get(c->m, number)->geo, m->in.addr);
	return m->out.addr == block.out_addr && m->out.port >= block.port_lo && m->out.port <= block.port_hi;
}

/* Deletes a lease that a peer has told, unless it has been renewed here. */
static void end(struct copying *c, struct known_lease *k)
{
	const struct portmap *m = portmaps_by_out(c->portmaps, k->lease.proto, k->lease.out);

	if (m && m->origin == PORTMAP_PCP && same_lease(&k->lease, m))
		portmaps_del(c->portmaps, k->lease.proto, k->lease.out);
	lease_set_del(&c->leases_heard, k);
}

static void apply(struct copying *c, unsigned peer, const struct portmap *m, struct copying_counts *add)
{
	const struct portmap *here = portmaps_by_out(c->portmaps, m->proto, m->out);
	struct known_lease *k = lease_set_find(&c->leases_heard, m->proto, m->out);

	/* What is known of it is no more, or it has been renewed here. */
	if (k && (!here || !same_lease(&k->lease, here))) {
		lease_set_del(&c->leases_heard, k);
		k = NULL;
	}
	if (!m->expires_s) {
		if (k && k->peer == peer)
			end(c, k);
		return;
	}
	if (here && !k) {
		add->existing++;
		return;
	}
	if (!can_have(c, peer, m) || portmaps_put(c->portmaps, m)) {
		add->refused++;
		return;
	}
	if (!k)
		k = lease_set_add(&c->leases_heard, m->proto, m->out);
	if (!k)
		return; /* this gateway's own from now on */
	k->lease = *m;
	k->peer = (uint8_t)peer;
	k->round = c->peer[peer].lease_round;
}

int copied_leases_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
			struct copying_counts *add)
{
	const struct wire_lease *w = payload;
	uint64_t now_s = boottime_s();

	if (length % sizeof(*w))
		return -EPROTO;
	if (!c->portmaps)
		return 0;
	for (size_t i = 0; i < length / sizeof(*w); i++) {
		struct portmap m;

		if (!read_lease(&w[i], now_s, &m)) {
			add->refused++;
			continue;
		}
		m.peer = (uint8_t)peer;
		apply(c, peer, &m, add);
	}
	return 0;
}

void copied_leases_whole_ended(struct copying *c, unsigned peer)
{
	struct known_lease *k = NULL;

	while (c->portmaps && (k = lease_set_next(&c->leases_heard, k)))
		if (k->peer == peer && k->round != c->peer[peer].lease_round)
			end(c, k);
}

/* Has the portmap of a lease say whose it is. */
static void note_peer(struct copying *c, const struct known_lease *k, uint8_t peer)
{
	const struct portmap *here = portmaps_by_out(c->portmaps, k->lease.proto, k->lease.out);
	struct portmap m;

	if (!here || !same_lease(&k->lease, here))
		return;
	m = *here;
	m.peer = peer;
	if (portmaps_put(c->portmaps, &m))
		log_warning("a lease cannot be written: the next agent takes it for a peer's");
}

void copied_leases_adopt(struct copying *c, unsigned peer)
{
	/* They stay known, as ended by their time. */
	for (struct known_lease *k = NULL; c->portmaps && (k = lease_set_next(&c->leases_heard, k));)
		if (k->peer == peer) {
			note_peer(c, k, 0);
			k->peer = 0;
		}
}

void copied_leases_read(struct copying *c)
{
	for (const struct portmap *m = portmaps_next(c->portmaps, NULL); m; m = portmaps_next(c->portmaps, m)) {
		struct known_lease *k = m->origin == PORTMAP_PCP && m->peer && m->peer <= COPYING_PEERS
						? lease_set_add(&c->leases_heard, m->proto, m->out)
						: NULL;

		if (!k)
			continue;
		k->lease = *m;
		k->peer = m->peer;
	}
}

void copied_leases_expire(struct copying *c)
{
	uint64_t now_s = boottime_s();
	struct known_lease *k = NULL;

	while (c->portmaps && c->leases_heard.n && (k = lease_set_next(&c->leases_heard, k)))
		if (k->lease.expires_s <= now_s)
			end(c, k);
}
