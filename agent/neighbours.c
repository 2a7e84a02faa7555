/* SPDX-License-Identifier: BSD-2-Clause */
#include "neighbours.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>
#include <time.h>

#include "log.h"

/* Places in the table of what was last told of a neighbour; two that share one cost but an epoch now and then. */
#define KNOWN_NEIGHBOURS 16384U
#define RECENT_RESOLVES	 1024U

/* Probes go out in slices, so that some ten thousand neighbours cause no burst of ARP. */
#define PROBE_SLICE    64U
#define PROBE_SLICE_MS 100
#define MAX_PROBES     (NEIGHBOURS_PROBE_S * 1000U / PROBE_SLICE_MS * PROBE_SLICE)

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
	uint32_t addr;
};

struct recent {
	struct target target;
	uint32_t until_ms;
};

struct neighbours {
	struct datapath *datapath;
	struct netlink *netlink;
	struct event *period;
	struct event *slice;
	struct known known[KNOWN_NEIGHBOURS];
	struct recent recent[RECENT_RESOLVES];
	uint32_t second; /* of the monotonic clock, that `resolves` counts in */
	uint32_t resolves;
	struct target probe[MAX_PROBES];
	size_t n_probes;
	size_t next_probe;
};

static uint32_t hash_bytes(const void *data, size_t size, uint32_t hash)
{
	for (const uint8_t *c = data; size--; c++)
		hash = (hash ^ *c) * 0x01000193U;
	return hash ^ hash >> 15;
}

static uint64_t now_ms(void)
{
	return monotonic_us() / 1000;
}

static bool is_ours(const struct neighbours *v, uint32_t ifindex)
{
	return ifindex && ifindex < MAX_IFINDEX && v->datapath->device[ifindex].roles;
}

/* ---- asking the kernel ------------------------------------------------------------------------------------------ */

static void visit_state(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type == RTM_NEWNEIGH)
		*(uint16_t *)arg = nd->ndm_state;
}

static int neighbour_request(struct netlink *n, uint16_t type, uint16_t nlm_flags, struct target t, netlink_visit visit,
			     void *arg)
{
	struct nlmsghdr *h = netlink_request(n, type, nlm_flags, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	nd->ndm_family = AF_INET;
	nd->ndm_ifindex = (int)t.ifindex;
	if (type == RTM_NEWNEIGH)
		nd->ndm_flags = NTF_USE;
	mnl_attr_put_u32(h, NDA_DST, htonl(t.addr));
	return netlink_call(n, visit, arg);
}

/* Has the kernel use the neighbour as if it had a packet for it: resolve it, or confirm that it is still there. */
static void use_neighbour(struct neighbours *v, struct target t)
{
	uint16_t state = NUD_NONE;
	int r = neighbour_request(v->netlink, RTM_GETNEIGH, 0, t, visit_state, &state);

	/* NTF_USE would make an ordinary entry of one that the operator made permanent. */
	if (!r && state & (NUD_PERMANENT | NUD_NOARP))
		return;
	r = neighbour_request(v->netlink, RTM_NEWNEIGH, NLM_F_CREATE, t, NULL, NULL);
	if (r && r != -ENODEV && r != -ENETDOWN) {
		char text[ADDR_TEXT];

		log_debug("neighbour %s on interface %u: %s", addr_format(t.addr, text), t.ifindex, strerror(-r));
	}
}

void neighbours_resolve(struct neighbours *v, uint32_t addr, uint32_t ifindex)
{
	struct target t = { .ifindex = ifindex, .addr = addr };
	struct recent *recent = &v->recent[hash_bytes(&t, sizeof(t), 0) % RECENT_RESOLVES];
	uint64_t now = now_ms();

	if (!is_ours(v, ifindex))
		return;
	if (!memcmp(&recent->target, &t, sizeof(t)) && (int32_t)(recent->until_ms - (uint32_t)now) > 0)
		return;
	if (v->second != (uint32_t)(now / 1000)) {
		v->second = (uint32_t)(now / 1000);
		v->resolves = 0;
	}
	if (v->resolves++ >= NEIGHBOURS_RESOLVES_S)
		return;
	*recent = (struct recent){ .target = t, .until_ms = (uint32_t)now + 1000 };
	use_neighbour(v, t);
}

/* ---- re-validation ---------------------------------------------------------------------------------------------- */

static void visit_stale(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NDA_LLADDR + 1];
	struct neighbours *v = arg;

	if (h->nlmsg_type != RTM_NEWNEIGH || nd->ndm_family != AF_INET || nd->ndm_state != NUD_STALE ||
	    !is_ours(v, (uint32_t)nd->ndm_ifindex) || v->n_probes == MAX_PROBES)
		return;
	netlink_attributes(h, sizeof(*nd), attr, ARRAY_SIZE(attr));
	if (!attr[NDA_DST] || mnl_attr_get_payload_len(attr[NDA_DST]) != sizeof(uint32_t) || !attr[NDA_LLADDR])
		return;
	v->probe[v->n_probes++] = (struct target){
		.ifindex = (uint32_t)nd->ndm_ifindex,
		.addr = ntohl(mnl_attr_get_u32(attr[NDA_DST])),
	};
}

static void reset_probes(void *arg)
{
	((struct neighbours *)arg)->n_probes = 0;
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval pause = { .tv_usec = PROBE_SLICE_MS * 1000 };
	struct neighbours *v = arg;

	for (size_t i = 0; i < PROBE_SLICE && v->next_probe < v->n_probes; i++)
		use_neighbour(v, v->probe[v->next_probe++]);
	if (v->next_probe < v->n_probes)
		event_add(v->slice, &pause);
}

static void on_period(evutil_socket_t fd, short what, void *arg)
{
	struct neighbours *v = arg;
	struct nlmsghdr *h = netlink_request(v->netlink, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	int r;

	nd->ndm_family = AF_INET;
	v->n_probes = v->next_probe = 0;
	r = netlink_dump(v->netlink, visit_stale, reset_probes, v);
	if (r)
		log_debug("the neighbours cannot be read: %s", strerror(-r));
	on_slice(-1, 0, v);
}

/* ---- notifications ---------------------------------------------------------------------------------------------- */

/*
 * Enters what was told, and whether it differs from what was known. An entry under resolution had no MAC address just
 * before, so where it was not known nothing has changed; and as a subscriber can make any number of them by asking for
 * addresses that nobody has, they drive no usable one out of the table.
 */
static bool enter(struct known *known, const struct known *told, bool resolving)
{
	bool same = known->ifindex == told->ifindex && !memcmp(known->addr, told->addr, sizeof(known->addr));
	bool changed = memcmp(known, told, sizeof(*known));

	if (!same && resolving) {
		if (known->usable)
			return false;
		changed = false;
	}
	*known = *told;
	return changed;
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
	memset(&told, 0, sizeof(told)); /* compared as octets, padding included */
	told.ifindex = (uint32_t)nd->ndm_ifindex;
	size = mnl_attr_get_payload_len(attr[NDA_DST]);
	memcpy(told.addr, mnl_attr_get_payload(attr[NDA_DST]), size < sizeof(told.addr) ? size : sizeof(told.addr));
	told.usable = h->nlmsg_type == RTM_NEWNEIGH && nd->ndm_state & NUD_USABLE;
	if (told.usable && attr[NDA_LLADDR] && mnl_attr_get_payload_len(attr[NDA_LLADDR]) == sizeof(told.mac))
		memcpy(told.mac, mnl_attr_get_payload(attr[NDA_LLADDR]), sizeof(told.mac));
	return enter(&v->known[hash_bytes(told.addr, sizeof(told.addr), told.ifindex) % KNOWN_NEIGHBOURS], &told,
		     h->nlmsg_type == RTM_NEWNEIGH && nd->ndm_state & NUD_INCOMPLETE);
}

void neighbours_forget(struct neighbours *v)
{
	memset(v->known, 0, sizeof(v->known));
}

int neighbours_new(struct event_base *base, struct datapath *d, struct netlink *n, struct neighbours **ret)
{
	const struct timeval period = { .tv_sec = NEIGHBOURS_PROBE_S };
	struct neighbours *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->datapath = d;
	v->netlink = n;
	v->period = event_new(base, -1, EV_PERSIST, on_period, v);
	v->slice = evtimer_new(base, on_slice, v);
	if (!v->period || !v->slice || event_add(v->period, &period)) {
		neighbours_free(v);
		return -ENOMEM;
	}
	*ret = v;
	return 0;
}

void neighbours_free(struct neighbours *v)
{
	if (!v)
		return;
	if (v->period)
		event_free(v->period);
	if (v->slice)
		event_free(v->slice);
	free(v);
}
