/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/neighbours.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"
#include "routing/neighbours_probe.h"

/* Size of the table of neighbours as last notified; if two share an entry, that only costs an epoch now and then. */
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

struct recent {
	struct target target;
	uint32_t until_ms;
};

struct neighbours {
	struct datapath *datapath;
	struct netlink *netlink;
	struct prober *prober;
	struct known known[KNOWN_NEIGHBOURS];
	struct recent recent[RECENT_RESOLVES];
	uint32_t second; /* of the monotonic clock; `resolves` counts in it */
	uint32_t resolves;
};

/* Hosts choose addresses: keyed, so that they cannot choose whose entry they take. */
static uint64_t hash_of(uint32_t ifindex, const uint8_t addr[static 16])
{
	uint64_t words[2];

	memcpy(words, addr, sizeof(words));
	return HASH_OF(ifindex, words[0], words[1]);
}

static uint64_t now_ms(void)
{
	return monotonic_us() / 1000;
}

static bool is_ours(const struct neighbours *v, uint32_t ifindex)
{
	return ifindex && ifindex < MAX_IFINDEX && v->datapath->device[ifindex].roles;
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

void neighbours_resolve(struct neighbours *v, int family, const void *addr, uint32_t ifindex)
{
	struct target t = { .ifindex = ifindex, .family = (uint32_t)family };
	struct recent *recent;
	uint64_t now = now_ms();

	if (!is_ours(v, ifindex))
		return;
	memcpy(t.addr, addr, address_size(t.family));
	recent = &v->recent[hash_of(t.ifindex, t.addr) % RECENT_RESOLVES];
	if (!memcmp(&recent->target, &t, sizeof(t)) && (int32_t)(recent->until_ms - (uint32_t)now) > 0)
		return;
	if (v->second != (uint32_t)(now / 1000)) {
		v->second = (uint32_t)(now / 1000);
		v->resolves = 0;
	}
	if (v->resolves++ >= NEIGHBOURS_RESOLVES_S)
		return;
	*recent = (struct recent){ .target = t, .until_ms = (uint32_t)now + 1000 };
	use_neighbour(v, &t);
}

/*
 * Enters a notification; true if it differs from what was known. An entry being resolved had no MAC address just
 * before, so if it was unknown nothing has changed. Subscribers can create any number of such entries by sending to
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
	return enter(&v->known[hash_of(told.ifindex, told.addr) % KNOWN_NEIGHBOURS], &told,
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
