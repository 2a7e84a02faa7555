/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "routing/routes6.h"

void own_routes_free(struct own_routes *own)
{
	free(own->route);
	*own = (struct own_routes){ 0 };
}

static bool read_message(const struct nlmsghdr *h, struct own_route *ret)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_TABLE + 1];

	if (rt->rtm_family != AF_INET)
		return false;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	*ret = (struct own_route){
		.prefix.base = ntohl(netlink_u32(attr[RTA_DST])),
		.prefix.plen = rt->rtm_dst_len,
		.metric = netlink_u32(attr[RTA_PRIORITY]),
		.table = attr[RTA_TABLE] ? netlink_u32(attr[RTA_TABLE]) : rt->rtm_table,
		.type = rt->rtm_type,
	};
	return true;
}

static bool same_route(const struct own_route *a, const struct own_route *b)
{
	return prefix_equal(a->prefix, b->prefix) && a->metric == b->metric && a->table == b->table &&
	       a->type == b->type;
}

static struct own_route *find_own(const struct own_routes *own, const struct own_route *route)
{
	for (size_t i = 0; i < own->count; i++)
		if (same_route(&own->route[i], route))
			return &own->route[i];
	return NULL;
}

static void forget_own(struct own_routes *own, struct own_route *route)
{
	if (route)
		*route = own->route[--own->count];
}

static void add_own(struct own_routes *own, const struct own_route *route)
{
	struct own_route *known = find_own(own, route);

	if (known) {
		known->old = false;
		return;
	}
	if (own->count == own->room) {
		size_t room = own->room ? own->room * 2 : 64;
		struct own_route *grown = reallocarray(own->route, room, sizeof(*grown));

		if (!grown) {
			own->failed = true;
			own->known = false;
			return;
		}
		own->route = grown;
		own->room = room;
	}
	own->route[own->count++] = *route;
}

/* A route that replaces another comes without a notification about that one. */
static void forget_replaced(struct own_routes *own, const struct own_route *by)
{
	for (size_t i = own->count; i-- > 0;) {
		struct own_route *r = &own->route[i];

		if (prefix_equal(r->prefix, by->prefix) && r->metric == by->metric && r->table == by->table)
			forget_own(own, r);
	}
}

bool own_routes_message(struct own_routes *own, const struct nlmsghdr *h)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	bool replaces = h->nlmsg_type == RTM_NEWROUTE && h->nlmsg_flags & NLM_F_REPLACE;
	bool gone = h->nlmsg_type == RTM_DELROUTE && rt->rtm_protocol == ROUTE_PROTOCOL;
	struct own_route route, *known;

	if (rt->rtm_protocol != ROUTE_PROTOCOL && !replaces)
		return false;
	if (!read_message(h, &route))
		return gone;
	if (replaces)
		forget_replaced(own, &route);
	if (rt->rtm_protocol != ROUTE_PROTOCOL)
		return false;
	if (!gone) {
		add_own(own, &route);
		return false;
	}
	known = find_own(own, &route);
	forget_own(own, known);
	return known || !own->known;
}

void own_routes_again(struct own_routes *own, enum route_copy_reading what, const struct nlmsghdr *h)
{
	switch (what) {
	case ROUTES_BEGIN:
		own->failed = false;
		for (size_t i = 0; i < own->count; i++)
			own->route[i].old = true;
		return;
	case ROUTES_MESSAGE:
		if (h->nlmsg_type == RTM_NEWROUTE)
			own_routes_message(own, h);
		return;
	case ROUTES_END:
		for (size_t i = own->count; i-- > 0;)
			if (own->route[i].old)
				forget_own(own, &own->route[i]);
		own->known = !own->failed;
	}
}

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWROUTE)
		own_routes_message(arg, h);
}

static void reset_routes(void *arg)
{
	((struct own_routes *)arg)->count = 0;
}

/* The kernel filters by protocol, as a gateway may have a million routes. */
static int read_routes(struct netlink *n, struct own_routes *ret)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct own_routes own = { 0 };
	int r;

	rt->rtm_family = AF_INET;
	rt->rtm_protocol = ROUTE_PROTOCOL;
	r = netlink_dump(n, visit_route, reset_routes, &own);
	if (!r && own.failed)
		r = -ENOMEM;
	if (r) {
		free(own.route);
		return r;
	}
	*ret = own;
	return 0;
}

static int change_route(struct netlink *n, uint16_t type, const struct own_route *route)
{
	uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nlmsghdr *h = netlink_request(n, type, flags, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	rt->rtm_family = AF_INET;
	rt->rtm_dst_len = route->prefix.plen;
	rt->rtm_protocol = ROUTE_PROTOCOL;
	rt->rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE; /* the latter: any scope */
	rt->rtm_type = route->type;
	mnl_attr_put_u32(h, RTA_DST, htonl(route->prefix.base));
	mnl_attr_put_u32(h, RTA_PRIORITY, route->metric);
	mnl_attr_put_u32(h, RTA_TABLE, route->table);
	return netlink_call(n, NULL, NULL);
}

static int delete_route(struct netlink *n, const struct own_route *route, struct error *err)
{
	char text[ADDR_TEXT];
	int r = change_route(n, RTM_DELROUTE, route);

	if (!r || r == -ESRCH)
		return 0;
	return error_set(err, r, "the blackhole route of %s cannot be deleted: %s", prefix_text(route->prefix, text),
			 strerror(-r));
}

/* Updates `own` if notifications do not; *ret is then the caller's to free. */
static int know_routes(struct netlink *n, const struct own_routes *own, struct own_routes *ret)
{
	if (!own || !own->known)
		return read_routes(n, ret);
	*ret = (struct own_routes){ .count = own->count, .room = own->count };
	ret->route = calloc(own->count + 1, sizeof(*ret->route));
	if (!ret->route)
		return -ENOMEM;
	if (own->count)
		memcpy(ret->route, own->route, own->count * sizeof(*ret->route));
	return 0;
}

/* Table number n of those with blackhole routes: `main`, then those of VRFs. */
static uint32_t table_at(const struct blackholes *b, size_t n)
{
	return n ? b->vrf_table[n - 1] : RT_TABLE_MAIN;
}

static bool wants_table(const struct blackholes *b, uint32_t table)
{
	for (size_t i = 0; i <= b->n_vrf_tables; i++)
		if (table_at(b, i) == table)
			return true;
	return false;
}

static uint64_t prefix_hash(struct prefix p)
{
	return HASH_OF((uint64_t)p.base << 8 | p.plen, p.last);
}

/* index: of the prefixes. */
static bool is_wanted(const struct blackholes *b, const struct hash_index *index, const struct own_route *route)
{
	uint32_t i;

	if (route->type != RTN_BLACKHOLE || route->metric != ROUTE_METRIC || !wants_table(b, route->table))
		return false;
	for (uint32_t step = 0; hash_index_next(index, prefix_hash(route->prefix), &step, &i);)
		if (prefix_equal(b->prefix[i], route->prefix))
			return true;
	return false;
}

/* Whether a route is among others, of whose prefixes there is an index. */
static bool is_present(const struct own_routes *routes, const struct hash_index *index, const struct own_route *route)
{
	uint32_t i;

	for (uint32_t step = 0; hash_index_next(index, prefix_hash(route->prefix), &step, &i);)
		if (same_route(&routes->route[i], route))
			return true;
	return false;
}

static struct own_route blackhole(struct prefix prefix, uint32_t table)
{
	return (struct own_route){ .prefix = prefix, .metric = ROUTE_METRIC, .table = table, .type = RTN_BLACKHOLE };
}

static int add_route(struct netlink *n, struct own_routes *own, const struct own_route *route, struct error *err)
{
	char text[ADDR_TEXT];
	int r = change_route(n, RTM_NEWROUTE, route);

	prefix_text(route->prefix, text);
	/* The notification comes later. */
	if (!r && own)
		add_own(own, route);
	if (r == -EEXIST && own && find_own(own, route))
		return 0;
	if (r == -EEXIST) {
		log_info("%s: there is another route with metric %u, so no blackhole route is added", text,
			 ROUTE_METRIC);
		return 0;
	}
	return r ? error_set(err, r, "the blackhole route of %s cannot be added: %s", text, strerror(-r)) : 0;
}

/*
 * Calls a function for each blackhole route, until it fails. An outside prefix of /0 cannot be real, and the route
 * would become the default route where there is no other.
 */
static int each_route(const struct blackholes *b, int (*call)(const struct own_route *route, void *arg), void *arg)
{
	int r = 0;

	for (size_t t = 0; t <= b->n_vrf_tables; t++)
		for (size_t i = 0; !r && i < b->count; i++) {
			struct own_route route = blackhole(b->prefix[i], table_at(b, t));

			if (route.prefix.plen)
				r = call(&route, arg);
		}
	return r;
}

struct seeking {
	const struct own_routes *present;
	const struct hash_index *index;
	int (*call)(const struct own_route *route, void *arg);
	void *arg;
};

static int call_if_missing(const struct own_route *route, void *arg)
{
	const struct seeking *s = arg;

	return is_present(s->present, s->index, route) ? 0 : s->call(route, s->arg);
}

/* The same for each that is missing. */
static int each_missing(const struct blackholes *b, const struct own_routes *present,
			int (*call)(const struct own_route *route, void *arg), void *arg)
{
	__attribute__((cleanup(hash_index_free))) struct hash_index index = { 0 };
	struct seeking seeking = { present, &index, call, arg };
	int r = 0;

	for (size_t i = 0; !r && i < present->count; i++)
		r = hash_index_add(&index, prefix_hash(present->route[i].prefix), (uint32_t)i);
	return r ? r : each_route(b, call_if_missing, &seeking);
}

struct changing {
	struct netlink *netlink;
	struct own_routes *own;
	struct error *err;
};

static int bring_in(const struct own_route *route, void *arg)
{
	const struct changing *c = arg;

	return add_route(c->netlink, c->own, route, c->err);
}

static int take_away(const struct own_route *route, void *arg)
{
	const struct changing *c = arg;
	int r = delete_route(c->netlink, route, c->err);

	if (!r && c->own)
		forget_own(c->own, find_own(c->own, route));
	return r;
}

int routes_apply(struct netlink *n, struct own_routes *own, const struct blackholes *wanted, struct error *err)
{
	struct changing changing = { .netlink = n, .own = own, .err = err };
	struct own_routes present;
	int r = know_routes(n, own, &present);
	_cleanup_free_ struct own_route *routes = r ? NULL : present.route;
	__attribute__((cleanup(hash_index_free))) struct hash_index index = { 0 };

	if (r)
		return error_set(err, r, "the routes cannot be read: %s", strerror(-r));
	for (size_t i = 0; i < wanted->count; i++)
		if (hash_index_add(&index, prefix_hash(wanted->prefix[i]), (uint32_t)i))
			return error_set(err, -ENOMEM, "out of memory");
	r = each_missing(wanted, &present, bring_in, &changing);
	for (size_t i = 0; !r && i < present.count; i++)
		if (!is_wanted(wanted, &index, &routes[i]))
			r = take_away(&routes[i], &changing);
	return r;
}

int routes_change(struct netlink *n, struct own_routes *own, const struct blackholes *came,
		  const struct blackholes *went, struct error *err)
{
	struct changing changing = { .netlink = n, .own = own, .err = err };
	/* What is known of them is late by a notification, so the kernel is asked. */
	int r = each_route(came, bring_in, &changing);

	return r ? r : each_route(went, take_away, &changing);
}

/* Whether a route of another protocol is in the place of a blackhole route. */
struct place {
	struct prefix prefix;
	uint32_t table;
	bool taken;
};

static void visit_place(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_TABLE + 1];
	struct place *p = arg;

	if (h->nlmsg_type != RTM_NEWROUTE || rt->rtm_family != AF_INET || rt->rtm_protocol == ROUTE_PROTOCOL)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	if ((attr[RTA_TABLE] ? netlink_u32(attr[RTA_TABLE]) : rt->rtm_table) == p->table &&
	    rt->rtm_dst_len == p->prefix.plen && attr[RTA_DST] && ntohl(netlink_u32(attr[RTA_DST])) == p->prefix.base &&
	    attr[RTA_PRIORITY] && netlink_u32(attr[RTA_PRIORITY]) == ROUTE_METRIC)
		p->taken = true;
}

static void reset_place(void *arg)
{
	((struct place *)arg)->taken = false;
}

static bool place_taken(struct netlink *n, const struct own_route *route)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct place p = { .prefix = route->prefix, .table = route->table };

	rt->rtm_family = AF_INET;
	mnl_attr_put_u32(h, RTA_TABLE, route->table);
	return !netlink_dump(n, visit_place, reset_place, &p) && p.taken;
}

struct comparing {
	struct netlink *netlink;
	void (*missing)(struct prefix prefix, uint32_t table, void *arg);
	void *arg;
};

static int tell_missing(const struct own_route *route, void *arg)
{
	const struct comparing *c = arg;

	if (!place_taken(c->netlink, route))
		c->missing(route->prefix, route->table, c->arg);
	return 0;
}

int routes_compare(struct netlink *n, const struct own_routes *own, const struct blackholes *wanted,
		   void (*missing)(struct prefix prefix, uint32_t table, void *arg), void *arg)
{
	struct comparing comparing = { .netlink = n, .missing = missing, .arg = arg };
	struct own_routes present;
	int r = know_routes(n, own, &present);
	_cleanup_free_ struct own_route *routes = r ? NULL : present.route;

	return r ? r : each_missing(wanted, &present, tell_missing, &comparing);
}

int routes_remove_all(struct netlink *n, struct error *err)
{
	int r = routes_apply(n, NULL, &(const struct blackholes){ 0 }, err);

	return r ? r : routes6_apply(n, NULL, 0, err);
}
