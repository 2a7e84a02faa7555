/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/neighbours.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limiter.h"
#include "base/log.h"
#include "host/timer.h"

/* Size of the table of neighbours as last notified; two that share an entry only cost an epoch now and then. */
#define KNOWN_NEIGHBOURS 16384U
#define RECENT_RESOLVES	 1024U

/* The states in which the kernel, and bpf_fib_lookup, use the MAC address. */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

struct known {
	uint32_t ifindex;
	uint8_t addr[16];
	uint8_t mac[6];
	bool usable;
};

struct target {
	uint32_t ifindex;
	uint32_t family;
	uint8_t addr[16]; /* network byte order; IPv4 uses the first four */
};

struct neighbours {
	struct datapath *datapath;
	struct netlink *netlink;
	struct prober *prober;
	struct known known[KNOWN_NEIGHBOURS];
	struct limiter_place recent[RECENT_RESOLVES]; /* resolved within the last second */
	uint64_t second;			      /* of the monotonic clock; `resolves` counts in it */
	uint32_t resolves;
};

/* Keyed, as hosts choose addresses: they must not be able to choose whose entry they take. */
static uint64_t hash_of(uint32_t family, uint32_t ifindex, const uint8_t addr[static 16])
{
	uint64_t words[2];

	memcpy(words, addr, sizeof(words));
	return HASH_OF((uint64_t)family << 32 | ifindex, words[0], words[1]);
}

static bool is_ours(const struct neighbours *v, uint32_t ifindex)
{
	return ifindex && ifindex < MAX_IFINDEX && v->datapath->device[ifindex].roles &&
	       !(v->datapath->device[ifindex].flags & DEVICE_VRF);
}

static void visit_state(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type == RTM_NEWNEIGH)
		*(uint16_t *)arg = nd->ndm_state;
}

static size_t address_size(uint32_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

static int neighbour_request(struct netlink *n, uint16_t type, uint16_t nlm_flags, const struct target *t,
			     netlink_visit visit, void *arg)
{
	struct nlmsghdr *h = netlink_request(n, type, nlm_flags, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	nd->ndm_family = (uint8_t)t->family;
	nd->ndm_ifindex = (int)t->ifindex;
	if (type == RTM_NEWNEIGH)
		nd->ndm_flags = NTF_USE;
	mnl_attr_put(h, NDA_DST, address_size(t->family), t->addr);
	return netlink_call(n, visit, arg);
}

/* Makes the kernel resolve the neighbour as if it had a packet for it. */
static void use_neighbour(struct neighbours *v, const struct target *t)
{
	uint16_t state = NUD_NONE;
	int r = neighbour_request(v->netlink, RTM_GETNEIGH, 0, t, visit_state, &state);

	/* NTF_USE would turn an operator's permanent entry into an ordinary one. */
	if (!r && state & (NUD_PERMANENT | NUD_NOARP))
		return;
	r = neighbour_request(v->netlink, RTM_NEWNEIGH, NLM_F_CREATE, t, NULL, NULL);
	if (r && r != -ENODEV && r != -ENETDOWN) {
		char text[INET6_ADDRSTRLEN];

		log_debug("neighbour %s on interface %u: %s", inet_ntop((int)t->family, t->addr, text, sizeof(text)),
			  t->ifindex, strerror(-r));
	}
}

void neighbours_resolve(struct neighbours *v, int family, const void *addr, uint32_t ifindex, bool router)
{
	struct target t = { .ifindex = ifindex, .family = (uint32_t)family };
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), key;
	struct limiter_place *recent;

	if (!is_ours(v, ifindex))
		return;
	memcpy(t.addr, addr, address_size(t.family));
	key = hash_of(t.family, t.ifindex, t.addr);
	recent = limiter_recall(v->recent, RECENT_RESOLVES, key);
	if (recent->key == key && recent->until_ns > now_ns)
		return;
	if (v->second != now_ns / NS_PER_S) {
		v->second = now_ns / NS_PER_S;
		v->resolves = 0;
	}
	if (!router && v->resolves++ >= NEIGHBOURS_RESOLVES_S)
		return;
	*recent = (struct limiter_place){ .key = key, .until_ns = now_ns + NS_PER_S };
	use_neighbour(v, &t);
}

/*
 * Enters a notification; true if it differs from the known state. An entry being resolved had no MAC address just
 * before, so if it was unknown, nothing has changed. Subscribers can create any number of such entries by sending to
 * unused addresses, so they must not displace usable ones.
 */
static bool enter(struct known *known, const struct known *told, bool resolving)
{
	bool same = known->ifindex == told->ifindex && !memcmp(known->addr, told->addr, sizeof(known->addr));
	bool changed = !same || memcmp(known->mac, told->mac, sizeof(known->mac)) != 0 || known->usable != told->usable;

	if (!same && resolving) {
		if (known->usable)
			return false;
		changed = false;
	}
	*known = *told;
	return changed;
}

static void tell_failed(struct neighbours *v, const struct ndmsg *nd, const struct nlattr *dst)
{
	struct next_hop_address at = { .ifindex = (uint32_t)nd->ndm_ifindex, .family = nd->ndm_family };

	if (mnl_attr_get_payload_len(dst) <= sizeof(at.addr))
		memcpy(at.addr, mnl_attr_get_payload(dst), mnl_attr_get_payload_len(dst));
	prober_failed(v->prober, &at);
}

bool neighbours_changed(struct neighbours *v, const struct nlmsghdr *h)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NDA_LLADDR + 1];
	struct known told;
	size_t size;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*nd) || (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6))
		return false;
	netlink_attributes(h, sizeof(*nd), attr, ARRAY_SIZE(attr));
	if (!is_ours(v, (uint32_t)nd->ndm_ifindex) || !attr[NDA_DST])
		return false;
	memset(&told, 0, sizeof(told)); /* compared as octets, including padding */
	told.ifindex = (uint32_t)nd->ndm_ifindex;
	size = mnl_attr_get_payload_len(attr[NDA_DST]);
	memcpy(told.addr, mnl_attr_get_payload(attr[NDA_DST]), size < sizeof(told.addr) ? size : sizeof(told.addr));
	told.usable = h->nlmsg_type == RTM_NEWNEIGH && nd->ndm_state & NUD_USABLE;
	if (told.usable && attr[NDA_LLADDR] && mnl_attr_get_payload_len(attr[NDA_LLADDR]) == sizeof(told.mac))
		memcpy(told.mac, mnl_attr_get_payload(attr[NDA_LLADDR]), sizeof(told.mac));
	if (h->nlmsg_type == RTM_NEWNEIGH && nd->ndm_state & NUD_FAILED)
		tell_failed(v, nd, attr[NDA_DST]);
	return enter(&v->known[hash_of(nd->ndm_family, told.ifindex, told.addr) % KNOWN_NEIGHBOURS], &told,
		     h->nlmsg_type == RTM_NEWNEIGH && nd->ndm_state & NUD_INCOMPLETE);
}

void neighbours_forget(struct neighbours *v)
{
	memset(v->known, 0, sizeof(v->known));
}

int neighbours_new(struct event_base *base, struct datapath *d, const struct route_copy *copy, struct netlink *n,
		   struct neighbours **ret)
{
	struct neighbours *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->datapath = d;
	v->netlink = n;
	r = prober_new(base, d, copy, n, &v->prober);
	if (r) {
		free(v);
		return r;
	}
	*ret = v;
	return 0;
}

void neighbours_free(struct neighbours *v)
{
	if (!v)
		return;
	prober_free(v->prober);
	free(v);
}

/* A next hop is in use if XDP looked it up, which it does once a second, or sent to it within this many seconds. */
#define USED_S 3U
/* After this long it is removed from the map. */
#define FORGOTTEN_S 60U

/* A second's probes are sent in slices, not in a burst. */
#define SLICE_MS 100
#define SLICE	 ((PROBE_ROUTERS_S + PROBE_HOSTS_S) * SLICE_MS / 1000U + 1U)

/* Map elements read at a time; more than one hash bucket ever holds. */
#define BATCH 1024U

/* Next hops of one kind that are in use, and the next one. */
struct turns {
	struct next_hop_address *list;
	size_t count;
	size_t next;
};

struct queued {
	struct next_hop_address at;
	bool router;
};

struct prober {
	const struct datapath *datapath;
	const struct route_copy *copy;
	struct netlink *netlink;
	struct event *second;
	struct event *slice;
	struct turns routers;
	struct turns hosts;
	struct queued queue[PROBE_ROUTERS_S + PROBE_HOSTS_S];
	size_t n_queued;
	size_t next_queued;
	struct next_hop_address keys[BATCH];
	struct next_hop_use values[BATCH];
};

struct state {
	uint16_t state;
	uint8_t flags;
	uint32_t extended; /* NDA_FLAGS_EXT */
};

static void visit_probed(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NDA_FLAGS_EXT + 1];
	struct state *s = arg;

	if (h->nlmsg_type != RTM_NEWNEIGH)
		return;
	netlink_attributes(h, sizeof(*nd), attr, ARRAY_SIZE(attr));
	s->state = nd->ndm_state;
	s->flags = nd->ndm_flags;
	s->extended = netlink_u32(attr[NDA_FLAGS_EXT]);
}

/* The start of a neighbour request; the caller adds the rest. */
static struct nlmsghdr *request(struct prober *p, uint16_t type, uint16_t flags, const struct next_hop_address *at)
{
	struct nlmsghdr *h = netlink_request(p->netlink, type, flags, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	nd->ndm_family = (uint8_t)at->family;
	nd->ndm_ifindex = (int)at->ifindex;
	mnl_attr_put(h, NDA_DST, at->family == AF_INET6 ? 16 : 4, at->addr);
	return h;
}

/* Makes the kernel ask a neighbour whether it is still there; its MAC address stays in use until it does not answer. */
static void probe(struct prober *p, const struct queued *q)
{
	uint16_t due = q->router ? NUD_REACHABLE | NUD_STALE | NUD_DELAY : NUD_STALE;
	struct state state = { 0 };
	struct nlmsghdr *h;
	struct ndmsg *nd;
	int r;

	request(p, RTM_GETNEIGH, 0, &q->at);
	r = netlink_call(p->netlink, visit_probed, &state);
	/* Entries of a control plane or an operator are left alone. */
	if (r || !(state.state & due) || state.state & (NUD_PERMANENT | NUD_NOARP) || state.flags & NTF_EXT_LEARNED)
		return;
	h = request(p, RTM_NEWNEIGH, 0, &q->at);
	nd = mnl_nlmsg_get_payload(h);
	nd->ndm_state = NUD_PROBE;
	nd->ndm_flags = state.flags;
	if (state.extended)
		mnl_attr_put_u32(h, NDA_FLAGS_EXT, state.extended);
	r = netlink_call(p->netlink, NULL, NULL);
	/* Gone or failed meanwhile. */
	if (r && r != -ENOENT && r != -EINVAL && r != -ENODEV)
		log_debug("a neighbour on interface %u cannot be probed: %s", q->at.ifindex, strerror(-r));
}

static void queue_turns(struct prober *p, struct turns *t, size_t most, bool router)
{
	for (size_t n = t->count < most ? t->count : most; n; n--) {
		t->next = t->next + 1 < t->count ? t->next + 1 : 0;
		p->queue[p->n_queued++] = (struct queued){ .at = t->list[t->next], .router = router };
	}
}

static void take(struct prober *p, const struct next_hop_address *at, const struct next_hop_use *use, uint32_t now)
{
	struct turns *t = use->router ? &p->routers : &p->hosts;
	uint32_t age_s = seconds_of_ticks(now - use->tick, p->datapath->hz);

	/* Noted just after the clock was read. */
	if ((int32_t)(now - use->tick) < 0)
		age_s = 0;
	if (age_s > FORGOTTEN_S)
		bpf_map_delete_elem(p->datapath->next_hops_used, at);
	else if (age_s <= USED_S && t->count < NEXT_HOPS_USED)
		t->list[t->count++] = *at;
}

static void take_told(uint32_t ifindex, uint8_t family, const uint8_t addr[static 16], bool router, void *arg)
{
	struct prober *p = arg;
	struct turns *t = router ? &p->routers : &p->hosts;
	struct next_hop_address *at = &t->list[t->count];

	if (t->count == NEXT_HOPS_USED)
		return;
	*at = (struct next_hop_address){ .ifindex = ifindex, .family = family };
	memcpy(at->addr, addr, sizeof(at->addr));
	t->count++;
}

static void read_used(struct prober *p)
{
	uint32_t now = datapath_ticks(p->datapath), position = 0, count;
	bool first = true;
	int r;

	p->routers.count = p->hosts.count = 0;
	do {
		count = BATCH;
		r = bpf_map_lookup_batch(p->datapath->next_hops_used, first ? NULL : &position, &position, p->keys,
					 p->values, &count, NULL);
		if (r && r != -ENOENT)
			return;
		for (uint32_t i = 0; i < count; i++)
			take(p, &p->keys[i], &p->values[i], now);
		first = false;
	} while (!r);
	if (p->copy)
		route_copy_used(p->copy, USED_S, take_told, p);
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval pause = { .tv_usec = SLICE_MS * 1000L };
	struct prober *p = arg;

	for (size_t i = 0; i < SLICE && p->next_queued < p->n_queued; i++)
		probe(p, &p->queue[p->next_queued++]);
	if (p->next_queued < p->n_queued)
		event_add(p->slice, &pause);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct prober *p = arg;

	p->n_queued = p->next_queued = 0;
	read_used(p);
	queue_turns(p, &p->routers, PROBE_ROUTERS_S, true);
	queue_turns(p, &p->hosts, PROBE_HOSTS_S, false);
	on_slice(-1, 0, p);
}

static bool is_used(const struct prober *p, const struct next_hop_address *at)
{
	struct next_hop_use use;

	if (!bpf_map_lookup_elem(p->datapath->next_hops_used, at, &use) &&
	    seconds_of_ticks(datapath_ticks(p->datapath) - use.tick, p->datapath->hz) <= USED_S)
		return true;
	return p->copy &&
	       route_copy_is_used(p->copy, USED_S, at->ifindex, (uint8_t)at->family, (const uint8_t *)at->addr);
}

void prober_failed(struct prober *p, const struct next_hop_address *at)
{
	struct nlmsghdr *h;

	if (!is_used(p, at))
		return;
	h = request(p, RTM_NEWNEIGH, NLM_F_CREATE, at);
	((struct ndmsg *)mnl_nlmsg_get_payload(h))->ndm_flags = NTF_USE;
	netlink_call(p->netlink, NULL, NULL);
}

int prober_new(struct event_base *base, const struct datapath *d, const struct route_copy *copy, struct netlink *n,
	       struct prober **ret)
{
	struct prober *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->datapath = d;
	p->copy = copy;
	p->netlink = n;
	p->routers.list = calloc(NEXT_HOPS_USED, sizeof(*p->routers.list));
	p->hosts.list = calloc(NEXT_HOPS_USED, sizeof(*p->hosts.list));
	p->second = timer_each_second(base, on_second, p);
	p->slice = evtimer_new(base, on_slice, p);
	if (!p->routers.list || !p->hosts.list || !p->second || !p->slice) {
		prober_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void prober_free(struct prober *p)
{
	if (!p)
		return;
	if (p->second)
		event_free(p->second);
	if (p->slice)
		event_free(p->slice);
	free(p->routers.list);
	free(p->hosts.list);
	free(p);
}
