/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/route_copy_private.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>

/* The way of a route, or of its nexthop object if it has one; also the reason why the kernel forwards it. */
static struct fib_way way_of(struct route_copy *c, struct fib_told_route *told)
{
	struct fib_object *object = told->way.object ? fib_objects_get(&c->objects, told->way.object) : NULL;
	struct fib_way way = told->way;

	if (!told->way.object)
		return way;
	way = object ? object->told.way : (struct fib_way){ .kind = FIB_WAY_KERNEL };
	if (!object)
		c->again = true;
	else
		told->route.kept = object->told.kept;
	way.object = told->way.object;
	way.mtu = told->way.mtu;
	way.growth = told->way.growth;
	return way;
}

/* Chooses the next hop of a route, and takes it. */
static void take_hop(struct route_copy *c, struct fib_told_route *told)
{
	struct fib_way way = way_of(c, told);
	uint32_t hop = FIB_HOP_KERNEL;

	if (told->own && told->route.plen == 32) {
		hop = FIB_HOP_LOCAL;
	} else if (way.object || way.kind == FIB_WAY_VIA) {
		hop = fib_hops_take(&c->hops, &way);
		if (hop == FIB_HOP_KERNEL)
			told->route.kept = FIB_KEPT_TOO_MANY;
	} else if (way.kind == FIB_WAY_DISCARD) {
		hop = FIB_HOP_DISCARD;
	}
	told->route.hop = (uint16_t)hop;
}

/* Whether a route of the store, with the same prefix, is the one in a message. */
static bool is_told(const struct route_copy *c, const struct fib_route *r, const struct fib_told_route *told)
{
	const struct fib_way *way = fib_hops_way(&c->hops, r->hop);

	if (r->metric != told->route.metric || r->tag != told->route.tag)
		return false;
	if (told->way.object)
		return (way->object == told->way.object && way->mtu == told->way.mtu) || r->kept == FIB_KEPT_TOO_MANY;
	if (told->way.kind == FIB_WAY_VIA)
		return !memcmp(way, &told->way, sizeof(*way)) || r->kept == FIB_KEPT_TOO_MANY;
	if (told->way.kind == FIB_WAY_DISCARD)
		return r->hop == FIB_HOP_DISCARD;
	return r->hop == FIB_HOP_LOCAL || r->hop == FIB_HOP_KERNEL;
}

static bool is_present(const struct route_copy *c, const struct fib_route *r)
{
	return !(r->flags & FIB_ROUTE_GONE) && !fib_hops_is_retired(&c->hops, r->hop);
}

/* Ranges of the gateway's own addresses hide routes, so everything is painted anew. */
static void tell_special(struct route_copy *c, const struct fib_route *r)
{
	if (c->painted && paint_is_special(r))
		c->repaint = true;
	if (c->repaint)
		route_copy_work(c);
}

static void remove_route(struct route_copy *c, struct fib_route *r)
{
	const struct fib_route gone = *r;

	fib_store_remove(&c->store, r);
	if (!(gone.flags & FIB_ROUTE_GONE)) {
		tell_special(c, &gone);
		paint_prefix(c, gone.dst, gone.plen, gone.flags);
	}
	fib_hops_drop(&c->hops, gone.hop);
}

/* During a reading a deleted route is remembered: routes about to be read may be older. */
static void delete_route(struct route_copy *c, struct fib_route *r)
{
	if (!c->reading) {
		remove_route(c, r);
		return;
	}
	r->generation = c->generation;
	fib_store_flag(&c->store, r, (r->flags & FIB_ROUTE_LOCAL) | FIB_ROUTE_GONE | FIB_ROUTE_NOTIFIED);
	tell_special(c, r);
	paint_prefix(c, r->dst, r->plen, r->flags);
}

static void doubt(struct route_copy *c, struct fib_route *r)
{
	fib_store_flag(&c->store, r, r->flags | FIB_ROUTE_UNSURE);
	paint_prefix(c, r->dst, r->plen, r->flags);
}

/* Adds a route, whose next hop is taken. NULL: out of memory. *ret_new: it was not there, or was gone. */
static struct fib_route *add(struct route_copy *c, struct fib_told_route *told, uint8_t flags, bool *ret_new)
{
	struct fib_route *r;
	bool is_new;

	told->route.generation = c->generation;
	told->route.flags |= flags;
	take_hop(c, told);
	r = fib_store_add(&c->store, &told->route, &is_new);
	if (!r || !is_new)
		fib_hops_drop(&c->hops, told->route.hop);
	if (!r) {
		c->again = true;
		return NULL;
	}
	*ret_new = is_new || r->flags & FIB_ROUTE_GONE;
	if (!is_new) {
		r->generation = c->generation;
		fib_store_flag(&c->store, r, told->route.flags);
	}
	tell_special(c, r);
	return r;
}

/* The first route of the same prefix and metric for which is_told() is true, or false. */
static struct fib_route *find(const struct route_copy *c, const struct fib_told_route *told, bool same, size_t *ret_n)
{
	struct fib_route *r = NULL, *first = NULL;
	size_t n = 0;

	while ((r = fib_store_next(&c->store, told->route.dst, told->route.plen, told->route.flags, r))) {
		if (!is_present(c, r) || r->metric != told->route.metric || is_told(c, r, told) != same)
			continue;
		if (!n++)
			first = r;
	}
	if (ret_n)
		*ret_n = n;
	return first;
}

static void note_source(struct route_copy *c, uint32_t source)
{
	for (size_t i = 0; i < c->n_sources && i < FIB_SOURCES; i++)
		if (c->source[i] == source)
			return;
	if (source && c->n_sources < FIB_SOURCES)
		c->source[c->n_sources] = source;
	if (source && c->n_sources <= FIB_SOURCES)
		c->n_sources++;
}

static void added(struct route_copy *c, struct fib_told_route *told, uint16_t flags)
{
	struct fib_route *other;
	size_t others;
	bool is_new;

	note_source(c, told->source);
	if (!add(c, told, c->reading ? FIB_ROUTE_NOTIFIED : 0, &is_new))
		return;
	/* When a nexthop object changes, its routes are notified as if they replaced themselves. */
	other = flags & NLM_F_REPLACE && (is_new || !told->way.object) ? find(c, told, false, &others) : NULL;
	if (other && others == 1 && is_new) {
		delete_route(c, other);
	} else if (other) {
		/* It replaces one of several, or was read before; the message does not identify it. */
		doubt(c, other);
	}
	paint_prefix(c, told->route.dst, told->route.plen, told->route.flags);
}

static void deleted(struct route_copy *c, struct fib_told_route *told)
{
	struct fib_route *r = find(c, told, true, NULL);

	if (r) {
		delete_route(c, r);
		return;
	}
	r = find(c, told, false, NULL);
	if (r) {
		doubt(c, r);
		return;
	}
	/* Not yet read, or silently removed with its interface. */
	if (!c->reading)
		return;
	told->route.hop = FIB_HOP_KERNEL;
	told->route.generation = c->generation;
	told->route.flags |= FIB_ROUTE_GONE | FIB_ROUTE_NOTIFIED;
	if (!fib_store_add(&c->store, &told->route, NULL))
		c->again = true;
}

void changes_notified(struct route_copy *c, const struct fib_told_route *told, uint16_t type, uint16_t flags)
{
	struct fib_told_route copy = *told;

	if (type == RTM_NEWROUTE)
		added(c, &copy, flags);
	else
		deleted(c, &copy);
}

/* Whether a notification since the reading began is newer than the route read. */
static bool is_outdated(struct route_copy *c, const struct fib_told_route *told)
{
	struct fib_route *r = NULL, *other = NULL;

	while ((r = fib_store_next(&c->store, told->route.dst, told->route.plen, told->route.flags, r))) {
		if (!(r->flags & FIB_ROUTE_NOTIFIED) || r->metric != told->route.metric)
			continue;
		/* From an earlier reading, abandoned because notifications were lost. */
		if (r->generation != c->generation)
			continue;
		if (is_told(c, r, told) || (r->flags & FIB_ROUTE_GONE && r->tag == told->route.tag))
			return true;
		if (!(r->flags & FIB_ROUTE_GONE))
			other = r;
	}
	/* Either it has been replaced since, or both exist. */
	if (other)
		doubt(c, other);
	return other;
}

void changes_read(struct route_copy *c, const struct fib_told_route *told)
{
	struct fib_told_route copy = *told;
	bool is_new;

	if (is_outdated(c, told))
		return;
	note_source(c, told->source);
	if (add(c, &copy, 0, &is_new))
		paint_prefix(c, copy.route.dst, copy.route.plen, copy.route.flags);
}

void changes_object(struct route_copy *c, const struct fib_told_object *told, bool notified)
{
	struct fib_object *object = fib_objects_get(&c->objects, told->id);

	if (!object) {
		c->again = true;
		return;
	}
	object->generation = c->generation;
	if (!notified && object->notified == c->generation)
		return;
	if (notified)
		object->notified = c->generation;
	if (object->known && !memcmp(&object->told.way, &told->way, sizeof(told->way)))
		return;
	object->known = true;
	object->told = *told;
	fib_hops_of_object(&c->hops, told->id, &told->way);
	/* It may have become on-link, or ceased to be. */
	paint_meet_all(c, 0, 0);
}

void changes_object_gone(struct route_copy *c, struct fib_object *object)
{
	/* Its routes may be among those about to be read. */
	c->again |= c->reading;
	if (fib_hops_retire_object(&c->hops, object->told.id)) {
		c->purging = true;
		c->purged = 0;
		route_copy_work(c);
	}
	hash_del(&fib_objects, &c->objects, object);
}

void changes_neighbour(struct route_copy *c, struct fib_neighbour *n, bool gone)
{
	fib_hops_of_neighbour(&c->hops, n);
	n->gone = gone;
	if (n->family == AF_INET)
		paint_neighbours_at(c, fib_neighbour_ipv4(n));
	if (!gone)
		return;
	fib_hops_drop(&c->hops, n->leaf);
	fib_neighbours_remove(&c->neighbours, n);
}

void changes_purge(struct route_copy *c, uint32_t segment)
{
	const struct fib_segment *g = &c->store.segment[segment];

	for (uint32_t i = 0; i < g->size; i++)
		while (g->route[i].flags & FIB_ROUTE_USED && fib_hops_is_retired(&c->hops, g->route[i].hop))
			remove_route(c, &g->route[i]);
}

void changes_sweep(struct route_copy *c, uint32_t segment)
{
	const struct fib_segment *g = &c->store.segment[segment];

	for (uint32_t i = 0; i < g->size; i++) {
		struct fib_route *r = &g->route[i];

		while (r->flags & FIB_ROUTE_USED && (r->flags & FIB_ROUTE_GONE || r->generation != c->generation))
			remove_route(c, r);
		if (r->flags & FIB_ROUTE_USED)
			r->flags &= (uint8_t)~FIB_ROUTE_NOTIFIED;
	}
}
