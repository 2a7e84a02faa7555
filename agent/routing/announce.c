// SPDX-License-Identifier: BSD-2-Clause
#include "routing/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <detnat/tables.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/log.h"

#define TICK_MS	 100U
#define PER_TICK (ANNOUNCES_S * TICK_MS / 1000U)

/* Pool addresses on a link, by an address of the gateway's; addresses in host byte order. */
struct place {
	uint32_t ifindex;
	uint32_t own;
	uint32_t first, last;
};

struct places {
	struct place *place;
	size_t n, room;
	bool failed; /* out of memory */
};

/* What is being announced. */
struct round {
	struct place place;
	unsigned left;	/* rounds */
	uint32_t next;	/* address of this one */
	uint64_t at_ns; /* when it may begin, of the monotonic clock */
};

struct announcer {
	const struct datapath *datapath;
	int socket;
	struct places here; /* in their order */
	struct round *rounds;
	size_t n_rounds, room_rounds;
	struct event *tick;
};

/* A gratuitous ARP request; its octets up to 60 are 0. */
struct announcement {
	uint8_t destination[6], source[6];
	uint16_t type;
	uint16_t hardware, protocol;
	uint8_t hardware_length, protocol_length;
	uint16_t operation;
	uint8_t sender_mac[6], sender[4];
	uint8_t target_mac[6], target[4];
	uint8_t padding[18];
} __attribute__((packed));
_Static_assert(sizeof(struct announcement) == 60, "shortest Ethernet frame");

static void send_one(const struct announcer *a, uint32_t ifindex, uint32_t addr)
{
	const struct device *out = &a->datapath->device[ifindex];
	const struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = 6 };
	struct announcement f = { .type = htons(ETH_P_ARP),
				  .hardware = htons(ARPHRD_ETHER),
				  .protocol = htons(ETH_P_IP),
				  .hardware_length = 6,
				  .protocol_length = 4,
				  .operation = htons(ARPOP_REQUEST) };
	uint32_t addr_be = htonl(addr);

	memset(f.destination, 0xff, sizeof(f.destination));
	memcpy(f.source, out->mac, sizeof(f.source));
	memcpy(f.sender_mac, out->mac, sizeof(f.sender_mac));
	memcpy(f.sender, &addr_be, sizeof(f.sender));
	memcpy(f.target, &addr_be, sizeof(f.target));
	/* One that is lost is one of three. */
	if (sendto(a->socket, &f, sizeof(f), MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof(to)) < 0)
		log_debug("the announcement of a pool address on interface %u was not sent: %s", ifindex,
			  strerror(errno));
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct announcer *a = arg;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	unsigned budget = PER_TICK;
	size_t kept = 0;

	for (size_t i = 0; i < a->n_rounds; i++) {
		struct round *r = &a->rounds[i];

		while (budget && r->left && now_ns >= r->at_ns) {
			send_one(a, r->place.ifindex, r->next);
			budget--;
			if (r->next++ != r->place.last)
				continue;
			r->next = r->place.first;
			r->left--;
			r->at_ns = now_ns + NS_PER_S;
		}
		if (r->left)
			a->rounds[kept++] = *r;
	}
	a->n_rounds = kept;
	if (kept)
		event_add(a->tick, &(struct timeval){ .tv_usec = TICK_MS * 1000L });
}

int announcer_new(struct event_base *base, const struct datapath *d, struct announcer **ret)
{
	struct announcer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->datapath = d;
	/* Of protocol 0: it receives nothing. */
	a->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	a->tick = evtimer_new(base, on_tick, a);
	if (a->socket < 0 || !a->tick) {
		int r = a->socket < 0 ? -errno : -ENOMEM;

		announcer_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void announcer_free(struct announcer *a)
{
	if (!a)
		return;
	if (a->tick)
		event_free(a->tick);
	close_fd(&a->socket);
	free(a->here.place);
	free(a->rounds);
	free(a);
}

static bool is_ours(const struct announcer *a, uint32_t ifindex)
{
	const struct device *d = ifindex && ifindex < MAX_IFINDEX ? &a->datapath->device[ifindex] : NULL;

	return d && d->roles & DEVICE_OUTSIDE && !(d->flags & (DEVICE_BARE | DEVICE_VRF));
}

/* Adds what of a pool is within a prefix of an interface. */
static void add_place(struct places *p, uint32_t ifindex, uint32_t own, uint32_t mask, struct prefix pool)
{
	uint32_t first = own & mask, last = own | ~mask;
	struct place at = { .ifindex = ifindex, .own = own };

	if (prefix_is_none(pool) || pool.base > last || prefix_last(pool) < first)
		return;
	at.first = pool.base > first ? pool.base : first;
	at.last = prefix_last(pool) < last ? prefix_last(pool) : last;
	if (array_grow(&p->place, p->n, &p->room, sizeof(*p->place)))
		p->failed = true;
	else
		p->place[p->n++] = at;
}

static int in_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct place));
}

/* The pools that are on-link of interfaces that are up. A prefix of 32 bits, or of all addresses, has no neighbours. */
static void find_places(const struct announcer *a, const struct prefix *pools, size_t n, struct places *ret)
{
	struct ifaddrs *all;

	if (getifaddrs(&all)) {
		ret->failed = true;
		return;
	}
	for (const struct ifaddrs *i = all; i && !ret->failed; i = i->ifa_next) {
		uint32_t ifindex, own, mask;

		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !i->ifa_netmask ||
		    !(i->ifa_flags & IFF_RUNNING))
			continue;
		own = ntohl(((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr.s_addr);
		mask = ntohl(((const struct sockaddr_in *)(const void *)i->ifa_netmask)->sin_addr.s_addr);
		ifindex = if_nametoindex(i->ifa_name);
		for (size_t k = 0; mask && mask != UINT32_MAX && is_ours(a, ifindex) && k < n; k++)
			add_place(ret, ifindex, own, mask, pools[k]);
	}
	freeifaddrs(all);
	if (ret->n)
		qsort(ret->place, ret->n, sizeof(*ret->place), in_order);
}

static bool was_here(const struct announcer *a, const struct place *p)
{
	return a->here.n && bsearch(p, a->here.place, a->here.n, sizeof(*p), in_order);
}

static void begin(struct announcer *a, const struct place *p)
{
	for (size_t i = 0; i < a->n_rounds; i++)
		if (a->rounds[i].place.ifindex == p->ifindex && a->rounds[i].place.first <= p->first &&
		    a->rounds[i].place.last >= p->last && a->rounds[i].left == ANNOUNCE_TIMES)
			return;
	if (array_grow(&a->rounds, a->n_rounds, &a->room_rounds, sizeof(*a->rounds)))
		return;
	a->rounds[a->n_rounds++] = (struct round){ .place = *p, .left = ANNOUNCE_TIMES, .next = p->first };
}

void announcer_update(struct announcer *a, const struct prefix *pools, size_t n)
{
	struct places now = { 0 };
	uint64_t came = 0;
	char name[IF_NAMESIZE] = "";

	if (!a)
		return;
	if (n)
		find_places(a, pools, n, &now);
	if (now.failed) {
		free(now.place);
		return;
	}
	for (size_t i = 0; i < now.n; i++)
		if (!was_here(a, &now.place[i])) {
			came += now.place[i].last - now.place[i].first + 1ULL;
			if_indextoname(now.place[i].ifindex, name);
		}
	if (came > ANNOUNCES_MAX)
		log_warning("%s: %" PRIu64 " pool addresses are new on the link, too many to be announced: hosts there "
			    "that have the former gateway's MAC address keep it until their entries expire",
			    name, came);
	for (size_t i = 0; i < now.n && came <= ANNOUNCES_MAX; i++)
		if (!was_here(a, &now.place[i]))
			begin(a, &now.place[i]);
	free(a->here.place);
	a->here = now;
	if (a->n_rounds && !evtimer_pending(a->tick, NULL))
		event_add(a->tick, &(struct timeval){ 0 });
}
