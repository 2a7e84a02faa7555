/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/route_copy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fib/route_copy_private.h"
#include "host/timer.h"

#define LEASE_MS 250L

/* A trie that was too small is painted again if a quarter of it is free, but not more often than this. */
#define REPAINT_S 60U

const char *route_copy_hold_name(enum route_copy_hold why)
{
	static const char *const names[] = {
#define X(constant, name) [constant] = name,
		ROUTE_COPY_HOLDS(X)
#undef X
	};

	return names[why];
}

const char *route_copy_kept_name(enum fib_kept why)
{
	static const char *const names[] = {
		[FIB_KEPT_MULTIPATH] = "multipath", [FIB_KEPT_ENCAPSULATION] = "encapsulation",
		[FIB_KEPT_MTU_LOCKED] = "mtu_lock", [FIB_KEPT_TYPE] = "type",
		[FIB_KEPT_OTHER] = "other",	    [FIB_KEPT_TOO_MANY] = "too_many",
	};

	return names[why];
}

static struct fib_node *add_chunk(uint32_t number, void *arg)
{
	const struct route_copy *c = arg;
	struct fib_node *nodes;
	int r = datapath_fib_chunk(c->datapath, number, &nodes);

	if (r)
		log_warning("there is no memory for more routes in the datapath, so the kernel is asked for some: %s",
			    strerror(-r));
	return r ? NULL : nodes;
}

static void met_neighbour(uint32_t addr, void *arg)
{
	paint_meet(arg, addr);
}

static void on_message(const struct nlmsghdr *h, void *arg)
{
	reading_message(arg, h, false);
}

static void on_ended(int r, void *arg)
{
	reading_ended(arg, r);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct route_copy *c = arg;

	if (reading_work(c))
		route_copy_work(c);
	lease_settle_soon(c);
}

static void on_lease(evutil_socket_t fd, short what, void *arg)
{
	struct route_copy *c = arg;
	uint64_t now = monotonic_us();

	lease_renew(c);
	lease_settle_soon(c);
	if (c->step != FIB_STEP_DONE)
		return;
	if ((c->again || c->store.unsure) && now >= c->next_us)
		reading_begin(c);
	else if (c->trie.full && fib_trie_room(&c->trie) > c->trie.max_chunks * (size_t)FIB_CHUNK / 4 &&
		 now - c->painted_us > REPAINT_S * 1000000ULL)
		reading_repaint(c);
}

static void on_settle(evutil_socket_t fd, short what, void *arg)
{
	lease_settle_begin(arg);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct route_copy *c = arg;

	if (!lease_settle_end(c))
		return;
	/* A running program may have begun before the lease ended. */
	if (c->step == FIB_STEP_EMPTY && !c->emptying)
		lease_settle_begin(c);
	else if (c->step == FIB_STEP_EMPTY)
		reading_empty(c);
	lease_settle_soon(c);
}

static int make_events(struct route_copy *c, struct event_base *base)
{
	c->work = evtimer_new(base, on_work, c);
	c->settle = evtimer_new(base, on_settle, c);
	c->settled = evtimer_new(base, on_settled, c);
	c->lease = timer_every(base, LEASE_MS, on_lease, c);
	return c->work && c->settle && c->settled && c->lease ? 0 : -ENOMEM;
}

int route_copy_new(struct event_base *base, struct datapath *d, struct route_copy **ret)
{
	struct route_copy *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->datapath = d;
	c->held = 1U << ROUTE_COPY_READING | 1U << ROUTE_COPY_SYNC;
	fib_trie_init(&c->trie, d->fib, MAX_FIB_CHUNKS,
		      &(struct fib_trie_calls){ .add_chunk = add_chunk, .met_neighbour = met_neighbour, .arg = c });
	r = fib_hops_init(&c->hops, d->fib, d->device, &c->neighbours);
	c->known = calloc(MAX_IFINDEX, sizeof(*c->known));
	if (!c->known)
		r = -ENOMEM;
	if (!r)
		r = make_events(c, base);
	if (!r)
		r = fib_dump_new(base, &(struct fib_dump_calls){ .message = on_message, .ended = on_ended, .arg = c },
				 &c->dump);
	if (r) {
		route_copy_free(c);
		return r;
	}
	lease_renew(c);
	reading_begin_stale(c);
	*ret = c;
	return 0;
}

void route_copy_free(struct route_copy *c)
{
	struct event *const events[] = { c ? c->work : NULL, c ? c->lease : NULL, c ? c->settle : NULL,
					 c ? c->settled : NULL };

	if (!c)
		return;
	if (c->datapath->global)
		lease_hold(c, ROUTE_COPY_READING, true);
	background_wait(&c->grace);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	fib_dump_free(c->dump);
	fib_trie_done(&c->trie);
	fib_store_free(&c->store);
	fib_hops_free(&c->hops);
	fib_neighbours_free(&c->neighbours);
	hash_free(&c->objects);
	fib_addresses_free(&c->addresses);
	fib_gateways_free(&c->gateways);
	free(c->known);
	free(c->special);
	free(c->virtual);
	free(c->met);
	free(c);
}

void route_copy_message(struct route_copy *c, const struct nlmsghdr *h)
{
	reading_message(c, h, true);
	lease_settle_soon(c);
}

void route_copy_lost(struct route_copy *c)
{
	reading_begin_stale(c);
}

void route_copy_on_return(struct route_copy *c, void (*catch_up)(void *arg), void *arg)
{
	c->catch_up = catch_up;
	c->catch_up_arg = arg;
}

void route_copy_hold(struct route_copy *c, enum route_copy_hold why, bool held)
{
	lease_hold(c, why, held);
}

/* A copy of a list. NULL: out of memory; the lease has ended. */
static void *copy_list(struct route_copy *c, const void *list, size_t count, size_t size)
{
	void *copy = calloc(count + 1, size);

	if (!copy)
		lease_hold(c, ROUTE_COPY_READING, true);
	else if (count)
		memcpy(copy, list, count * size);
	return copy;
}

int route_copy_set_special(struct route_copy *c, const struct prefix *prefix, size_t count)
{
	struct prefix_stretch came = { prefix, count }, went = { c->special, c->n_special };
	struct prefix *copy;
	bool few;

	prefix_stretches_leave_differences(&came, &went);
	if (!came.n && !went.n)
		return 0;
	copy = copy_list(c, prefix, count, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	few = c->painted && !c->repaint && paint_change_special(c, &came, &went);
	free(c->special);
	c->special = copy;
	c->n_special = count;
	if (!few)
		reading_repaint(c);
	return 0;
}

int route_copy_set_virtual(struct route_copy *c, const struct virtual_range *range, size_t count)
{
	struct virtual_range *copy;

	if (count == c->n_virtual && (!count || !memcmp(range, c->virtual, count * sizeof(*range))))
		return 0;
	copy = copy_list(c, range, count, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	free(c->virtual);
	c->virtual = copy;
	c->n_virtual = count;
	/* What is special changes as well. */
	reading_begin_stale(c);
	reading_repaint(c);
	return 0;
}

void route_copy_devices_changed(struct route_copy *c)
{
	for (uint32_t i = 1; i < MAX_IFINDEX; i++) {
		bool roles = c->known[i].roles != c->datapath->device[i].roles;

		if (!memcmp(&c->known[i], &c->datapath->device[i], sizeof(*c->known)))
			continue;
		c->known[i] = c->datapath->device[i];
		fib_hops_of_interface(&c->hops, i);
		if (roles)
			paint_meet_interface(c, i);
	}
	lease_settle_soon(c);
}

void route_copy_on_routes(struct route_copy *c, route_copy_on_route call, void *arg)
{
	c->on_route = call;
	c->on_route_arg = arg;
}

bool route_copy_own(const struct route_copy *c, void (*call)(uint32_t base, unsigned plen, void *arg), void *arg)
{
	if (c->stale || c->step < FIB_STEP_SWEEP)
		return false;
	for (size_t i = 0; i < FIB_SEGMENTS; i++) {
		const struct fib_segment *g = &c->store.segment[i];

		for (uint32_t k = 0; k < g->size; k++) {
			const struct fib_route *r = &g->route[k];

			/* Of single addresses, the others are broadcast addresses. */
			if (r->flags & FIB_ROUTE_LOCAL && !(r->flags & FIB_ROUTE_GONE) &&
			    (r->plen < 32 || r->hop == FIB_HOP_LOCAL))
				call(r->dst, r->plen, arg);
		}
	}
	return true;
}

struct used {
	uint32_t now, most;
};

static bool is_used(const struct route_copy *c, const struct used *when, uint32_t number)
{
	uint32_t tick = __atomic_load_n(&c->hops.fib->hop[number].used, __ATOMIC_RELAXED);

	/* Noted just after the clock was read. */
	return tick && ((int32_t)(when->now - tick) < 0 || when->now - tick <= when->most);
}

/* Whether packets were sent to a next hop, also as the default route's. */
static bool way_is_used(const struct route_copy *c, const struct used *when, uint32_t number)
{
	return is_used(c, when, number) || (number == c->hops.default_hop && is_used(c, when, FIB_HOP_DEFAULT));
}

static struct used used_since(const struct route_copy *c, uint32_t seconds)
{
	return (struct used){ .now = datapath_ticks(c->datapath), .most = ticks_of_seconds(seconds, c->datapath->hz) };
}

void route_copy_used(const struct route_copy *c, uint32_t seconds, route_copy_on_used call, void *arg)
{
	const struct used when = used_since(c, seconds);

	for (uint32_t i = FIB_HOP_FIRST; i < c->hops.end; i++) {
		const struct fib_hop_state *s = &c->hops.list[i];

		if (s->refs && s->way.family && way_is_used(c, &when, i))
			call(s->way.ifindex, s->way.family, s->way.addr, s->refs > s->leaf, arg);
	}
}

bool route_copy_is_used(const struct route_copy *c, uint32_t seconds, uint32_t ifindex, uint8_t family,
			const uint8_t addr[static 16])
{
	const struct used when = used_since(c, seconds);
	uint32_t step = 0, number;

	while ((number = fib_hops_next(&c->hops, ifindex, family, addr, &step)))
		if (way_is_used(c, &when, number))
			return true;
	return false;
}

void route_copy_summary(const struct route_copy *c, struct route_copy_summary *ret)
{
	*ret = (struct route_copy_summary){
		.in_force = lease_stands(c),
		.held = c->held,
		.routes = c->store.count,
		.next_hops = fib_hops_count(&c->hops),
		.neighbours = c->neighbours.table.n,
		.memory = fib_store_memory(&c->store) + sizeof(struct fib) +
			  (size_t)c->trie.n_chunks * FIB_CHUNK * sizeof(struct fib_node),
		.unsure = c->store.unsure,
		.full = c->trie.full,
	};
	memcpy(ret->kept, c->store.kept, sizeof(ret->kept));
}

bool route_copy_may_lead_to(const struct route_copy *c, struct prefix prefix)
{
	return !c->gateways_known || fib_gateways_in(&c->gateways, prefix.base, prefix.plen);
}

const struct fib_hop *route_copy_hop(const struct route_copy *c, uint32_t addr)
{
	return &c->hops.fib->hop[FIB_HOP(fib_trie_entry(&c->trie, addr))];
}
