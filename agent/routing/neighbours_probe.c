/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/neighbours_probe.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>

#include "base/log.h"
#include "host/timer.h"

/* A next hop is in use if XDP looked it up, which it does once a second, or sent to it within this many seconds. */
#define USED_S 3U
/* After this long it is removed from the map. */
#define FORGOTTEN_S 60U

/* A second's probes are sent in slices, not in a burst. */
#define SLICE_MS 100
#define SLICE	 ((PROBE_ROUTERS_S + PROBE_HOSTS_S) * SLICE_MS / 1000U + 1U)

/* Map elements read at a time; more than one hash bucket ever holds. */
#define BATCH 1024U

/* Next hops of one kind that are in use, and which comes next. */
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

static void visit_state(const struct nlmsghdr *h, void *arg)
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
	r = netlink_call(p->netlink, visit_state, &state);
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
