/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases of PCP: the known acts, and their announcement. The last act on a lease counts, on whichever gateway: gateways
 * send each other acts with their stamps, and the highest one wins (see docs/internals/OWNERSHIP.md). An end is an act
 * like any other.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "copies/copying_private.h"
#include "copies/lease_set.h"

/* Number read between two looks at the clock, and ended in one go. */
#define LOOK_INTERVAL 256U
#define ENDED_AT_ONCE 128U
WHOLE_FITS(LOOK_INTERVAL, struct wire_lease);

/* A whole copy omits leases with fewer seconds left: they could come back where they have ended just now. */
#define LEAST_LEFT_S 5U

_Static_assert(WIRE_FILTERS == MAX_PORTMAP_FILTERS, "a record has room for the filters of any lease");

/* The portmap of a lease if it matches the known act; NULL: there is none. */
static const struct portmap *portmap_of(const struct copying *c, const struct known_lease *k)
{
	const struct portmap *m = k->ended ? NULL : portmaps_by_out(c->portmaps, k->proto, k->out);

	return m && lease_is(k, m) ? m : NULL;
}

void known_lease_keep(struct copying *c, const struct known_lease *k)
{
	int r = lease_stamps_put(c->lease_stamps, k);

	if (r && !c->lease_stamps_failed)
		log_warning("replication: acts on PCP leases cannot be kept over a restart: %s", strerror(-r));
	c->lease_stamps_failed = r;
}

void known_lease_forget(struct copying *c, struct known_lease *k)
{
	lease_stamps_del(c->lease_stamps, k);
	lease_set_del(&c->leases, k);
}

void known_lease_end(struct copying *c, struct known_lease *k, uint64_t stamp)
{
	struct known_lease *excess = k->ended ? NULL : lease_set_excess(&c->leases);

	if (excess)
		known_lease_forget(c, excess);
	lease_set_ended(&c->leases, k, stamp);
	known_lease_keep(c, k);
}

static void note_news(struct copying *c, struct known_lease *k)
{
	if (!lease_set_tell(&c->leases, k))
		log_error("replication: no memory to announce a PCP lease to peers; the next whole copy does");
}

/* A client or an operator has made or is about to end a lease here. */
static void on_act(void *arg, const struct portmap *m, bool ends)
{
	struct copying *c = arg;
	struct known_lease *k = lease_set_add(&c->leases, m->proto, m->out);

	if (!k) {
		log_error("replication: no memory to announce a PCP lease to peers");
		return;
	}
	if (!ends && !k->ended && lease_is(k, m))
		return;
	if (!ends || !k->stamp)
		lease_set_live(&c->leases, k, m, act_stamp_next(k->stamp));
	if (ends)
		known_lease_end(c, k, act_stamp_next(k->stamp));
	else
		known_lease_keep(c, k);
	note_news(c, k);
}

static void fill(struct wire_lease *w, const struct known_lease *k, const struct portmap *m, uint64_t now_s)
{
	uint64_t left = k->until_s > now_s ? k->until_s - now_s : 0;

	*w = (struct wire_lease){
		.in_addr = htobe32(k->in.addr),
		.out_addr = htobe32(k->out.addr),
		.in_port = htobe16(k->in.port),
		.out_port = htobe16(k->out.port),
		.proto = k->proto,
		.flags = htobe16(m ? 0 : WIRE_LEASE_ENDED),
		.left_s = htobe32(left < UINT32_MAX ? (uint32_t)left : UINT32_MAX),
		.stamp = htobe64(k->stamp),
	};
	if (!m)
		return;
	memcpy(w->nonce, m->nonce, sizeof(w->nonce));
	w->filters = (uint8_t)m->filters.n;
	for (uint32_t i = 0; i < m->filters.n; i++) {
		const struct portmap_filter *f = &m->filters.filter[i];

		w->filter[i] = (struct wire_filter){ htobe32(f->addr), htobe16(f->port), f->plen, 0 };
	}
}

/*
 * The mapping of a subscriber, or -ENOENT. Inside addresses of several tenants may be the same, and their numbers are
 * this gateway's; outside addresses are of one tenant alone.
 */
static int mapping_of(const struct copying *c, uint32_t in_addr, uint32_t out_addr)
{
	int outside = mappings_find_outside(c->m, out_addr);

	return outside < 0 ? -ENOENT : mappings_find_inside(c->m, mappings_get(c->m, outside)->tenant, in_addr);
}

/* Whether the mapping of a subscriber is announced. */
static bool is_told(const struct copying *c, const struct known_lease *k)
{
	int number = mapping_of(c, k->in.addr, k->out.addr);

	return number >= 0 && c->mapping[number].used && copied_mapping_owned(c, &c->mapping[number]);
}

/* Adds a record to a draft that has room. False: the lease has nothing to announce. */
static bool write_lease(const struct copying *c, struct draft *o, const struct known_lease *k, uint64_t now_s,
			uint64_t least_s)
{
	const struct portmap *m = portmap_of(c, k);

	if (k->until_s < now_s + least_s || !is_told(c, k) || (!m && !k->ended))
		return false;
	fill(draft_take(o, sizeof(struct wire_lease)), k, m, now_s);
	return true;
}

/* Makes room for a record in the pass's payload. 0, or the error of `emit`. */
static int make_room(struct draft *o, copying_emit emit, void *arg)
{
	int r = (o->length && o->type != WIRE_LEASES) || draft_room(o) < sizeof(struct wire_lease)
			? draft_flush(o, emit, arg)
			: 0;

	if (!r)
		o->type = WIRE_LEASES;
	return r;
}

int copied_leases_tell(struct copying *c, copying_emit emit, void *arg)
{
	struct lease_set *s = &c->leases;
	uint64_t now_s = boottime_s();

	for (uint32_t i = 0; i < s->n_news; i++) {
		struct known_lease *k = hash_get(&known_leases, &s->table, s->news[i]);
		int r;

		if (!k || !k->news)
			continue;
		/* Leases that exist at a start go with whole copies. */
		r = c->primed ? make_room(&c->out, emit, arg) : 0;
		if (r)
			return r;
		k->news = false;
		if (c->primed)
			write_lease(c, &c->out, k, now_s, 1);
	}
	s->n_news = 0;
	return 0;
}

static void write_place(struct copying *c, struct draft *o, uint32_t place)
{
	const struct known_lease *k = hash_get(&known_leases, &c->leases.table, place);

	if (k)
		write_lease(c, o, k, boottime_s(), LEAST_LEFT_S);
}

int copied_leases_whole(struct copying *c, uint32_t *at, struct draft *o, uint64_t deadline_us, copying_emit emit,
			void *arg)
{
	const struct draft_table leases = { WIRE_LEASES, c->leases.table.end, LOOK_INTERVAL, write_place };

	return draft_tell(o, c, &leases, at, deadline_us, emit, arg);
}

/* A lease that existed when this agent started. */
static void read_portmap(struct copying *c, const struct portmap *m)
{
	struct known_lease *k = lease_set_find(&c->leases, m->proto, m->out);
	bool known = k, own = !m->peer;

	if (!known)
		k = lease_set_add(&c->leases, m->proto, m->out);
	if (!k)
		return;
	if (known && lease_is(k, m)) {
		/* The agent before this one was killed while it ended the lease. */
		if (k->ended)
			portmaps_del(c->portmaps, m->proto, m->out);
		return;
	}
	/* Without a stamp, the lease counts on the gateway where the client was. */
	lease_set_live(&c->leases, k, m, !known ? own : own ? act_stamp_next(k->stamp) : k->stamp);
	known_lease_keep(c, k);
}

void copied_leases_begin(struct copying *c)
{
	const struct portmap *m, *next;
	struct lease_set *s = &c->leases;
	uint32_t at = 0;

	if (lease_stamps_read(c->lease_stamps, s))
		log_error("replication: no memory for all leases of PCP; the others are not announced to peers");
	for (m = portmaps_next(c->portmaps, NULL); m; m = next) {
		next = portmaps_next(c->portmaps, m);
		if (m->origin == PORTMAP_PCP)
			read_portmap(c, m);
	}
	/* Leases that a change of the configuration has ended since. */
	for (struct known_lease *k; (k = hash_walk(&known_leases, &s->table, &at));)
		if (!k->ended && !portmap_of(c, k))
			known_lease_forget(c, k);
	portmaps_on_act(c->portmaps, on_act, c);
}

void copied_leases_end(struct copying *c)
{
	if (c->portmaps)
		portmaps_on_act(c->portmaps, NULL, NULL);
	lease_set_free(&c->leases);
	close_fd(&c->lease_stamps);
}

void copied_leases_expire(struct copying *c)
{
	struct lease_set *s = &c->leases;
	uint64_t now_s = boottime_s();
	uint32_t ended = 0, at = 0;

	if (!s->table.n || now_s < s->due_s)
		return;
	s->due_s = UINT64_MAX;
	for (struct known_lease *k; (k = hash_walk(&known_leases, &s->table, &at));) {
		if (k->until_s > now_s || ended >= ENDED_AT_ONCE) {
			s->due_s = k->until_s < s->due_s ? k->until_s : s->due_s;
			continue;
		}
		if (portmap_of(c, k))
			portmaps_del(c->portmaps, k->proto, k->out);
		known_lease_forget(c, k);
		ended++;
	}
}

/*
 * Leases of PCP as the receiver takes them from a peer. It trusts nothing it reads: a peer can at most announce acts on
 * leases that a subscriber could have.
 */

/* Seconds for which an ended lease is kept at most. */
#define LONGEST_ENDED_S 604800U

/* An act on a lease, as a peer has announced it. */
struct act {
	struct portmap lease;
	uint64_t stamp;
	bool ends;
};

/* Reads a record. False: it is invalid. */
static bool read_act(const struct wire_lease *w, unsigned peer, uint64_t now_s, struct act *ret)
{
	uint32_t left = be32toh(w->left_s);
	struct act a = {
		.lease = {
			.in = { be32toh(w->in_addr), be16toh(w->in_port) },
			.out = { be32toh(w->out_addr), be16toh(w->out_port) },
			.proto = w->proto,
			.origin = PORTMAP_PCP,
			.peer = (uint8_t)peer,
		},
		.stamp = be64toh(w->stamp),
		.ends = be16toh(w->flags) & WIRE_LEASE_ENDED,
	};
	struct portmap_filters *f = &a.lease.filters;

	if (a.ends && left > LONGEST_ENDED_S)
		left = LONGEST_ENDED_S;
	a.lease.expires_s = now_s + left;
	memcpy(a.lease.nonce, w->nonce, sizeof(a.lease.nonce));
	f->n = w->filters;
	for (uint32_t i = 0; i < w->filters && i < WIRE_FILTERS; i++)
		f->filter[i] = (struct portmap_filter){ .addr = be32toh(w->filter[i].addr),
							.port = be16toh(w->filter[i].port),
							.plen = w->filter[i].plen };
	*ret = a;
	return left && a.stamp <= ACT_STAMP_MAX && (!f->n || portmap_filters_valid(f));
}

/* Whether a subscriber of a mapping exchanged with the peer can have the lease. */
static bool can_have(const struct copying *c, unsigned peer, const struct portmap *m)
{
	int number = mapping_of(c, m->in.addr, m->out.addr);
	struct port_block block;

	if (number < 0 || !c->mapping[number].used || !c->peer[peer].exchanged[number] || !m->in.port ||
	    (m->proto != IPPROTO_TCP && m->proto != IPPROTO_UDP))
		return false;
	block = mapping_forward(&mappings_get(c->m, number)->geo, m->in.addr);
	return m->out.addr == block.out_addr && m->out.port >= block.port_lo && m->out.port <= block.port_hi;
}

/* Whether the act is later than the last known act here on a portmap in its way; NULL: there is none. */
static bool is_later(struct copying *c, const struct act *a, const struct portmap *m)
{
	const struct known_lease *k;

	if (!m)
		return true;
	if (m->origin != PORTMAP_PCP)
		return false;
	k = lease_set_find(&c->leases, m->proto, m->out);
	return !k || k->stamp < a->stamp;
}

/* On all gateways, another lease of the inside endpoint gives way to a later one. */
static void displace(struct copying *c, const struct act *a, const struct portmap *m)
{
	struct known_lease *k = lease_set_find(&c->leases, m->proto, m->out);

	if (k)
		known_lease_end(c, k, a->stamp);
	portmaps_del(c->portmaps, m->proto, m->out);
}

static void end(struct copying *c, const struct act *a, const struct portmap *here)
{
	struct known_lease *k = lease_set_add(&c->leases, a->lease.proto, a->lease.out);

	if (k) {
		k->in = a->lease.in;
		k->until_s = a->lease.expires_s;
		known_lease_end(c, k, a->stamp);
	}
	if (here)
		portmaps_del(c->portmaps, a->lease.proto, a->lease.out);
}

static void put(struct copying *c, const struct act *a, const struct portmap *here, struct copying_counts *add)
{
	/* The lease is of the subscriber who has the outside address. */
	uint8_t tenant = mappings_outside_tenant(c->m, a->lease.out.addr);
	const struct portmap *other = portmaps_by_in(c->portmaps, tenant, a->lease.proto, a->lease.in);
	struct known_lease *k;

	if (!is_later(c, a, other == here ? NULL : other)) {
		add->existing++;
		return;
	}
	if (other && other != here)
		displace(c, a, other);
	/* Another one may have moved to its place. */
	here = portmaps_by_out(c->portmaps, a->lease.proto, a->lease.out);
	if (here && !endpoint_equal(here->in, a->lease.in))
		portmaps_del(c->portmaps, a->lease.proto, a->lease.out);
	if (portmaps_put(c->portmaps, &a->lease)) {
		add->refused++;
		return;
	}
	k = lease_set_add(&c->leases, a->lease.proto, a->lease.out);
	if (!k)
		return;
	lease_set_live(&c->leases, k, &a->lease, a->stamp);
	known_lease_keep(c, k);
}

static void apply(struct copying *c, unsigned peer, const struct act *a, struct copying_counts *add)
{
	const struct portmap *here = portmaps_by_out(c->portmaps, a->lease.proto, a->lease.out);
	const struct known_lease *k = lease_set_find(&c->leases, a->lease.proto, a->lease.out);
	/* A change of the configuration may have removed the portmap meanwhile. */
	bool lacks = !here && !a->ends;

	if (!can_have(c, peer, &a->lease)) {
		add->refused++;
		return;
	}
	if (k && (k->stamp > a->stamp || (k->stamp == a->stamp && (k->ended || !lacks))))
		return;
	if (here && here->origin != PORTMAP_PCP)
		add->existing++;
	else if (a->ends)
		end(c, a, here);
	else
		put(c, a, here, add);
}

int copied_leases_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
			struct copying_counts *add)
{
	const struct wire_lease *w = payload;
	uint64_t now_s = boottime_s();

	if (length % sizeof(*w))
		return -EPROTO;
	for (size_t i = 0; c->portmaps && i < length / sizeof(*w); i++) {
		struct act a;

		if (read_act(&w[i], peer, now_s, &a))
			apply(c, peer, &a, add);
		else
			add->refused++;
	}
	return 0;
}
