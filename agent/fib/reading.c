/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/route_copy_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/log.h"
#include "host/netlink.h"

#define SLICE_US 5000U
/* Neighbours processed in a row. */
#define MET_AT_ONCE 256U

/* If changes interrupt each dump, the last attempt must suffice, as changes are notified. */
#define ATTEMPTS 8U

static const struct {
	uint16_t type;
	uint8_t family;
} dumps[] = {
	[FIB_STEP_LINKS] = { RTM_GETLINK, AF_UNSPEC },	     [FIB_STEP_ADDRESSES] = { RTM_GETADDR, AF_INET },
	[FIB_STEP_OBJECTS] = { RTM_GETNEXTHOP, AF_UNSPEC },  [FIB_STEP_NEIGHBOURS] = { RTM_GETNEIGH, AF_INET },
	[FIB_STEP_NEIGHBOURS6] = { RTM_GETNEIGH, AF_INET6 }, [FIB_STEP_ROUTES] = { RTM_GETROUTE, AF_INET },
	[FIB_STEP_ROUTES6] = { RTM_GETROUTE, AF_INET6 },
};

static void tell_routes(struct route_copy *c, enum route_copy_reading what, const struct nlmsghdr *h)
{
	if (c->on_route)
		c->on_route(what, h, c->on_route_arg);
}

static void purge(struct route_copy *c)
{
	c->purging = true;
	c->purged = 0;
	route_copy_work(c);
}

struct on_interface {
	struct route_copy *c;
	uint32_t ifindex;
};

static void forget_object(struct fib_object *object, void *arg)
{
	const struct on_interface *on = arg;

	if (object->told.way.kind == FIB_WAY_VIA && object->told.way.ifindex == on->ifindex)
		changes_object_gone(on->c, object);
}

/*
 * The kernel does not notify the removal of routes through an interface that goes down, nor of nexthop objects through
 * one that loses its carrier, with the routes that refer to them.
 */
static void link_is(struct route_copy *c, uint32_t ifindex, uint8_t now)
{
	uint8_t before = c->hops.link[ifindex];

	c->hops.link[ifindex] = now;
	if (before & FIB_LINK_UP && !(now & FIB_LINK_UP)) {
		/* Routes read, or about to be read, may be outdated. */
		c->again |= c->reading;
		if (fib_hops_retire_interface(&c->hops, ifindex, true))
			purge(c);
	}
	if (before & FIB_LINK_RUNS && !(now & FIB_LINK_RUNS))
		fib_objects_each(&c->objects, forget_object, &(struct on_interface){ c, ifindex });
	if ((before ^ now) & (FIB_LINK_RUNS | FIB_LINK_NO_ARP))
		fib_hops_of_interface(&c->hops, ifindex);
}

static void mtus_are(struct route_copy *c, uint32_t ifindex, struct link_mtus now)
{
	struct link_mtus *before = &c->hops.mtus[ifindex];
	bool changed = now.ipv6 != before->ipv6;

	*before = now;
	if (changed)
		fib_hops_of_interface(&c->hops, ifindex);
}

static void on_link(struct route_copy *c, const struct nlmsghdr *h, bool notified)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	uint8_t now = FIB_LINK_SEEN | (notified ? FIB_LINK_TOLD : 0);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*info) || info->ifi_index <= 0 ||
	    info->ifi_index >= (int)MAX_IFINDEX || (info->ifi_family != AF_UNSPEC && info->ifi_family != AF_INET6))
		return;
	/* The reading may be outdated. */
	if (!notified && c->hops.link[info->ifi_index] & FIB_LINK_TOLD)
		return;
	mtus_are(c, (uint32_t)info->ifi_index,
		 h->nlmsg_type == RTM_NEWLINK ? link_mtus_told(h, c->hops.mtus[info->ifi_index])
					      : (struct link_mtus){ 0 });
	if (info->ifi_family == AF_INET6)
		return;
	if (h->nlmsg_type == RTM_NEWLINK && info->ifi_flags & IFF_UP)
		now |= FIB_LINK_UP;
	/* IFF_LOWER_UP, which <net/if.h> lacks. */
	if (now & FIB_LINK_UP && info->ifi_flags & IFF_RUNNING && info->ifi_flags & 1U << 16)
		now |= FIB_LINK_RUNS;
	if (info->ifi_flags & IFF_NOARP)
		now |= FIB_LINK_NO_ARP;
	link_is(c, (uint32_t)info->ifi_index, now);
}

static void on_neighbour(struct route_copy *c, const struct nlmsghdr *h, bool notified)
{
	enum fib_neighbour_from from = !notified			 ? FIB_NEIGHBOUR_READ
				       : c->step <= FIB_STEP_NEIGHBOURS6 ? FIB_NEIGHBOUR_NOTIFIED_FIRST
									 : FIB_NEIGHBOUR_NOTIFIED;
	struct fib_neighbour *n = fib_neighbours_message(&c->neighbours, h, c->generation, from);

	if (n)
		changes_neighbour(c, n, h->nlmsg_type == RTM_DELNEIGH && from == FIB_NEIGHBOUR_NOTIFIED);
}

static void note_gateway(uint32_t addr, void *arg)
{
	fib_gateways_add(arg, addr);
}

static void take_route(struct route_copy *c, const struct nlmsghdr *h, const struct fib_told_route *told, bool notified)
{
	if (notified)
		changes_notified(c, told, h->nlmsg_type, h->nlmsg_flags);
	else if (h->nlmsg_type == RTM_NEWROUTE)
		changes_read(c, told);
}

static void on_route(struct route_copy *c, const struct nlmsghdr *h, bool notified)
{
	struct fib_told_route told;

	if (!notified && c->step == FIB_STEP_ROUTES)
		tell_routes(c, ROUTES_MESSAGE, h);
	fib_gateways_of(h, note_gateway, &c->gateways);
	if (!fib_route_read(h, &told))
		return;
	if (told.family == AF_INET) {
		take_route(c, h, &told, notified);
		return;
	}
	for (size_t i = 0; i < c->n_virtual; i++) {
		struct fib_told_route in_range;

		if (virtual_route_of(&c->virtual[i], &told, &in_range))
			take_route(c, h, &in_range, notified);
	}
}

static void on_object(struct route_copy *c, const struct nlmsghdr *h, bool notified)
{
	struct fib_told_object told;

	if (!fib_object_read(h, &told))
		return;
	if (h->nlmsg_type == RTM_NEWNEXTHOP)
		changes_object(c, &told, notified);
	else if (fib_objects_get(&c->objects, told.id))
		changes_object_gone(c, fib_objects_get(&c->objects, told.id));
}

/* Nor is the removal of routes notified whose preferred source disappears. */
static void on_source_gone(struct route_copy *c, const struct nlmsghdr *h)
{
	const struct nlattr *attr[IFA_LOCAL + 1];
	uint32_t addr;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct ifaddrmsg))
		return;
	netlink_attributes(h, sizeof(struct ifaddrmsg), attr, ARRAY_SIZE(attr));
	addr = ntohl(netlink_u32(attr[IFA_LOCAL]));
	for (size_t i = 0; i < c->n_sources; i++) {
		if (i < FIB_SOURCES && c->source[i] != addr)
			continue;
		reading_begin_stale(c);
		return;
	}
}

/* Nor of those through an interface that loses its last address; those with nexthop objects stay. */
static void on_address(struct route_copy *c, const struct nlmsghdr *h, bool notified)
{
	uint32_t bare = fib_addresses_message(&c->addresses, h, c->generation, notified);

	c->again |= c->reading && h->nlmsg_type == RTM_DELADDR;
	if (bare && fib_hops_retire_interface(&c->hops, bare, false))
		purge(c);
	if (h->nlmsg_type == RTM_DELADDR)
		on_source_gone(c, h);
}

void reading_message(struct route_copy *c, const struct nlmsghdr *h, bool notified)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		on_link(c, h, notified);
		return;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		on_neighbour(c, h, notified);
		return;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		on_object(c, h, notified);
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		on_route(c, h, notified);
		return;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		on_address(c, h, notified);
		return;
	default:
		return;
	}
}

/* Readings because of doubts are infrequent, and even more so if they do not help. */
static void later(struct route_copy *c)
{
	c->patience_s = c->patience_s ? c->patience_s * 2 : 1;
	if (c->patience_s > 64)
		c->patience_s = 64;
	c->next_us = monotonic_us() + c->patience_s * 1000000ULL;
}

static void begin_step(struct route_copy *c)
{
	int r;

	c->reading = c->step >= FIB_STEP_ROUTES;
	r = fib_dump_begin(c->dump, dumps[c->step].type, dumps[c->step].family);
	if (r) {
		log_warning("the kernel's routes cannot be read: %s", strerror(-r));
		c->step = FIB_STEP_DONE;
		c->again = true;
		later(c);
	}
}

static void leave_queue(struct fib_neighbour *n, void *arg)
{
	n->queued = false;
}

static void stop_painting(struct route_copy *c)
{
	c->painted = false;
	c->n_met = c->met_done = 0;
	c->n_uncovered = 0;
	fib_neighbours_each(&c->neighbours, leave_queue, NULL);
}

static void renew_neighbour(struct fib_neighbour *n, void *arg)
{
	n->generation = n->notified = 0;
}

static void renew_object(struct fib_object *object, void *arg)
{
	object->generation = object->notified = 0;
}

/* There are 255 generations: before the first is reused, nothing may have it. */
static void renew_generations(struct route_copy *c)
{
	for (size_t i = 0; i < FIB_SEGMENTS; i++)
		for (uint32_t k = 0; k < c->store.segment[i].size; k++)
			c->store.segment[i].route[k].generation = 0;
	for (size_t i = 0; i < c->addresses.count; i++)
		c->addresses.list[i].notified = 0;
	fib_neighbours_each(&c->neighbours, renew_neighbour, NULL);
	fib_objects_each(&c->objects, renew_object, NULL);
	c->generation = 1;
}

void reading_begin(struct route_copy *c)
{
	/* Painted entries stay; those about to be painted do not. */
	if (c->step == FIB_STEP_EMPTY || c->step == FIB_STEP_PAINT)
		stop_painting(c);
	if (!++c->generation)
		renew_generations(c);
	c->again = false;
	c->attempts = 0;
	c->n_sources = 0;
	c->gateways_known = false;
	fib_gateways_free(&c->gateways);
	c->step = FIB_STEP_LINKS;
	for (uint32_t i = 1; i < MAX_IFINDEX; i++)
		c->hops.link[i] &= (uint8_t) ~(FIB_LINK_SEEN | FIB_LINK_TOLD);
	begin_step(c);
}

void reading_begin_stale(struct route_copy *c)
{
	c->stale = true;
	lease_hold(c, ROUTE_COPY_READING, true);
	reading_begin(c);
}

static void forget_neighbour(struct fib_neighbour *n, void *arg)
{
	struct route_copy *c = arg;

	if (n->generation == c->generation || n->gone)
		return;
	n->usable = false;
	changes_neighbour(c, n, true);
}

static void forget_unseen_object(struct fib_object *object, void *arg)
{
	struct route_copy *c = arg;

	if (object->generation != c->generation)
		changes_object_gone(c, object);
}

/* Forgets entries that the ended dump did not contain. */
static void forget_unseen(struct route_copy *c)
{
	switch (c->step) {
	case FIB_STEP_LINKS:
		for (uint32_t i = 1; i < MAX_IFINDEX; i++)
			if (c->hops.link[i] && !(c->hops.link[i] & FIB_LINK_SEEN))
				link_is(c, i, 0);
		return;
	case FIB_STEP_ADDRESSES:
		fib_addresses_sweep(&c->addresses, c->generation);
		return;
	case FIB_STEP_OBJECTS:
		fib_objects_each(&c->objects, forget_unseen_object, c);
		return;
	case FIB_STEP_NEIGHBOURS6:
		fib_neighbours_each(&c->neighbours, forget_neighbour, c);
		return;
	default:
		return;
	}
}

/* Below the routes of each range. */
static void read_none(struct route_copy *c)
{
	for (size_t i = 0; i < c->n_virtual; i++) {
		const struct fib_told_route none = virtual_route_none(&c->virtual[i]);

		changes_read(c, &none);
	}
}

void reading_ended(struct route_copy *c, int r)
{
	if (c->step > FIB_STEP_ROUTES6)
		return;
	if (r == -EINTR && ++c->attempts < ATTEMPTS) {
		begin_step(c);
		return;
	}
	if (r && r != -EINTR) {
		log_warning("the kernel's routes cannot be read: %s", strerror(-r));
		c->step = FIB_STEP_DONE;
		c->again = true;
		c->reading = false;
		later(c);
		return;
	}
	c->attempts = 0;
	forget_unseen(c);
	if (c->step == FIB_STEP_ROUTES)
		tell_routes(c, ROUTES_END, NULL);
	c->step++;
	if (c->step < FIB_STEP_ROUTES6 || (c->step == FIB_STEP_ROUTES6 && c->n_virtual)) {
		if (c->step == FIB_STEP_ROUTES)
			tell_routes(c, ROUTES_BEGIN, NULL);
		if (c->step == FIB_STEP_ROUTES6)
			read_none(c);
		begin_step(c);
		return;
	}
	c->step = FIB_STEP_SWEEP;
	c->gateways_known = true;
	c->reading = c->stale = false;
	c->swept = 0;
	route_copy_work(c);
}

static void done(struct route_copy *c)
{
	c->step = FIB_STEP_DONE;
	if (c->store.unsure || c->again)
		later(c);
	else
		c->patience_s = 0;
	/* After a reading that failed, the trie may have been painted. */
	if (!c->stale)
		lease_hold(c, ROUTE_COPY_READING, false);
}

void reading_repaint(struct route_copy *c)
{
	c->repaint = true;
	stop_painting(c);
	lease_hold(c, ROUTE_COPY_READING, true);
	/* A reading under way paints at its end. */
	if (c->step < FIB_STEP_EMPTY)
		return;
	c->repaint = false;
	c->step = FIB_STEP_EMPTY;
	lease_settle_begin(c);
}

void reading_empty(struct route_copy *c)
{
	if (c->step != FIB_STEP_EMPTY)
		return;
	fib_trie_empty(&c->trie);
	c->painted = true;
	c->painted_us = monotonic_us();
	c->drawn = 0;
	c->step = FIB_STEP_PAINT;
	paint_special(c);
	route_copy_work(c);
}

static void sweep(struct route_copy *c)
{
	changes_sweep(c, c->swept++);
	if (c->swept < FIB_SEGMENTS)
		return;
	if (c->painted && !c->repaint) {
		done(c);
		return;
	}
	c->step = FIB_STEP_EMPTY;
	reading_repaint(c);
}

static void paint_segment(struct route_copy *c)
{
	const struct fib_segment *g = &c->store.segment[c->drawn++];

	for (uint32_t i = 0; i < g->size; i++)
		if (g->route[i].flags & FIB_ROUTE_USED)
			paint_prefix(c, g->route[i].dst, g->route[i].plen, g->route[i].flags);
	if (c->drawn == FIB_SEGMENTS)
		paint_meet_all(c, 0, 0);
}

/* Whether there is more to do. */
static bool work_once(struct route_copy *c)
{
	if (c->repaint && c->step == FIB_STEP_DONE) {
		reading_repaint(c);
		return false;
	}
	if (paint_uncovered(c) || paint_met(c, MET_AT_ONCE))
		return true;
	if (c->purging) {
		changes_purge(c, c->purged++);
		c->purging = c->purged < FIB_SEGMENTS;
		return true;
	}
	if (c->step == FIB_STEP_SWEEP) {
		sweep(c);
		return true;
	}
	if (c->step != FIB_STEP_PAINT)
		return false;
	if (c->drawn < FIB_SEGMENTS) {
		paint_segment(c);
		return true;
	}
	done(c);
	return false;
}

bool reading_work(struct route_copy *c)
{
	uint64_t begin = monotonic_us();

	while (work_once(c))
		if (monotonic_us() - begin > SLICE_US)
			return true;
	return false;
}
