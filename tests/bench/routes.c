// SPDX-License-Identifier: BSD-2-Clause
/*
 * A table of routes as large as the internet's, and destinations in it. The routes are always the same ones.
 *
 * Prefix lengths have the shares that route collectors report for the global IPv4 table: some 60 % /24, a third /20 to
 * /23, few shorter ones. The prefixes themselves are drawn at random, so some contain others.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "host/memory.h"

#define LONGEST	     24U
#define N_DRAWN	     1000000U
#define NEXT_HOP_NET 0xc6336440U  /* 198.51.100.64 and up: the next hops */
#define PROTOCOL     99		  /* of the routes, RTPROT_… */
#define BATCH	     (1U << 16)	  /* octets of requests sent at a time */
#define REQUEST	     256U	  /* a request's at most */
#define KERNEL_NEEDS (1ULL << 30) /* octets free, for a million routes */

/* Routes of each length in 100,000. */
static const uint32_t shares[LONGEST + 1] = {
	[8] = 4,     [9] = 6,	  [10] = 20,	[11] = 40,    [12] = 80,    [13] = 150,
	[14] = 200,  [15] = 300,  [16] = 800,	[17] = 1200,  [18] = 2200,  [19] = 4000,
	[20] = 4000, [21] = 5000, [22] = 12000, [23] = 10000, [24] = 60000,
};

struct route {
	uint32_t base;
	uint8_t plen;
};

struct internet {
	struct route route[N_DRAWN];
	uint64_t known[(2U << LONGEST) / 64]; /* a bit for each prefix, see prefix_number() */
	uint32_t in_kernel;		      /* how many of them, from the first on */
};

/* Prefixes numbered as the nodes of a binary tree: 1 is 0.0.0.0/0, and those below n are 2n and 2n + 1. */
static uint32_t prefix_number(uint32_t addr, unsigned plen)
{
	return 1U << plen | addr >> (32 - plen);
}

static uint32_t mix_bits(uint64_t n)
{
	n = (n + 1) * 0x9e3779b97f4a7c15ULL;
	n = (n ^ n >> 32) * 0xd6e8feb86659fd93ULL;
	return (uint32_t)(n >> 32);
}

static bool is_known(const struct internet *t, uint32_t number)
{
	return t->known[number / 64] >> (number % 64) & 1;
}

/* Unicast, and neither private, nor for documentation or benchmarks, nor of this benchmark's own networks. */
static bool is_routable(uint32_t addr)
{
	static const struct {
		uint32_t base;
		unsigned plen;
	} others[] = {
		{ 0x00000000, 8 },  { 0x0a000000, 8 },	{ 0x64400000, 10 }, { 0x7f000000, 8 },
		{ 0xa9fe0000, 16 }, { 0xac100000, 12 }, { 0xc0000000, 16 }, { 0xc0a80000, 16 },
		{ 0xc6120000, 15 }, { 0xc6330000, 16 }, { 0xcb000000, 16 }, { 0xe0000000, 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!((addr ^ others[i].base) >> (32 - others[i].plen)))
			return false;
	return true;
}

static struct route draw_route(struct internet *t, uint64_t *seed)
{
	uint32_t chance = (uint32_t)(random_next(seed) % 100000), number;
	struct route r = { .plen = 8 };

	while (chance >= shares[r.plen])
		chance -= shares[r.plen++];
	do {
		r.base = (uint32_t)(random_next(seed) >> 32) & ~0U << (32 - r.plen);
		number = prefix_number(r.base, r.plen);
	} while (!is_routable(r.base) || is_known(t, number));
	t->known[number / 64] |= 1ULL << (number % 64);
	return r;
}

static struct internet *internet_get(struct bench *b)
{
	uint64_t seed = RANDOM_SEED;

	if (b->internet)
		return b->internet;
	b->internet = calloc(1, sizeof(*b->internet));
	if (!b->internet)
		die("routes", ENOMEM);
	for (uint32_t i = 0; i < N_DRAWN; i++)
		b->internet->route[i] = draw_route(b->internet, &seed);
	return b->internet;
}

uint32_t internet_destination(struct bench *b, uint32_t n)
{
	const struct internet *t = internet_get(b);
	uint32_t addr, bits = mix_bits(n);

	/* Addresses inside a route that are another network's are passed over. */
	do {
		const struct route *r = &t->route[bits % N_DRAWN];

		bits = mix_bits(bits);
		addr = r->base | bits >> r->plen;
	} while (!is_routable(addr));
	return addr;
}

/* Number of the next hop of a prefix, 1..ROUTES_NEXT_HOPS. */
static uint32_t next_hop_of(uint32_t prefix)
{
	return 1 + mix_bits(prefix) % ROUTES_NEXT_HOPS;
}

/* The last octet of a next hop's MAC address and, from 1 on, its place in the network. */
void routes_station(uint32_t next_hop, uint8_t ret_mac[6])
{
	const uint8_t mac[6] = { 2, 0, 0, 0, next_hop ? 1 : 0, (uint8_t)(next_hop ? next_hop : 2) };

	memcpy(ret_mac, mac, 6);
}

void world_station(struct bench *b, uint32_t addr, uint8_t ret_mac[6])
{
	uint32_t next_hop = 0;

	if (b->internet && b->internet->in_kernel)
		for (unsigned plen = LONGEST; !next_hop && plen >= 8; plen--)
			if (is_known(b->internet, prefix_number(addr, plen)))
				next_hop = next_hop_of(prefix_number(addr, plen));
	routes_station(next_hop, ret_mac);
}

/* Requests to the kernel, many at a time. Only the last one is acknowledged; of others, failures are told. */

struct batch {
	struct mnl_socket *socket;
	size_t used;
	char buffer[BATCH];
};

static void batch_open(struct batch *q)
{
	q->used = 0;
	q->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!q->socket || mnl_socket_bind(q->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		die("routes", errno);
}

static void batch_send(struct batch *q)
{
	if (q->used && mnl_socket_sendto(q->socket, q->buffer, q->used) < 0)
		die("routes", errno);
	q->used = 0;
}

static struct nlmsghdr *batch_add(struct batch *q, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h;

	if (q->used + REQUEST > BATCH)
		batch_send(q);
	h = mnl_nlmsg_put_header(q->buffer + q->used);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	return h;
}

static void batch_close(struct batch *q)
{
	struct nlmsghdr *h = batch_add(q, NLMSG_NOOP, NLM_F_ACK);
	char answer[8192];
	ssize_t n;

	q->used += h->nlmsg_len;
	batch_send(q);
	n = mnl_socket_recvfrom(q->socket, answer, sizeof(answer));
	if (n < 0 || mnl_cb_run(answer, (size_t)n, 0, 0, NULL, NULL) < 0)
		die("routes", errno);
	mnl_socket_close(q->socket);
}

static void add_neighbour(struct bench *b, struct batch *q, uint32_t next_hop)
{
	struct nlmsghdr *h = batch_add(q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	uint8_t mac[6];

	m->ndm_family = AF_INET;
	m->ndm_ifindex = (int)b->outside_ifindex;
	m->ndm_state = NUD_PERMANENT;
	routes_station(next_hop, mac);
	mnl_attr_put_u32(h, NDA_DST, htonl(NEXT_HOP_NET + next_hop));
	mnl_attr_put(h, NDA_LLADDR, sizeof(mac), mac);
	q->used += h->nlmsg_len;
}

static void change_route(struct bench *b, struct batch *q, const struct route *r, bool add)
{
	struct nlmsghdr *h = batch_add(q, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->rtm_family = AF_INET;
	m->rtm_dst_len = r->plen;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = PROTOCOL;
	m->rtm_scope = RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_DST, htonl(r->base));
	mnl_attr_put_u32(h, RTA_GATEWAY, htonl(NEXT_HOP_NET + next_hop_of(prefix_number(r->base, r->plen))));
	mnl_attr_put_u32(h, RTA_OIF, b->outside_ifindex);
	q->used += h->nlmsg_len;
}

static void kernel_routes(struct bench *b, struct internet *t, uint32_t n)
{
	static struct batch q;

	batch_open(&q);
	for (uint32_t i = 1; i <= ROUTES_NEXT_HOPS; i++)
		add_neighbour(b, &q, i);
	while (t->in_kernel < n)
		change_route(b, &q, &t->route[t->in_kernel++], true);
	while (t->in_kernel > n)
		change_route(b, &q, &t->route[--t->in_kernel], false);
	batch_close(&q);
}

static void copy_routes(const struct internet *t)
{
	copy_forget();
	for (uint32_t i = 0; i < t->in_kernel; i++) {
		const struct route *r = &t->route[i];

		copy_add(r->base, r->plen, next_hop_of(prefix_number(r->base, r->plen)));
	}
}

int world_routes(struct bench *b, uint32_t n, struct error *err)
{
	if (!n && (!b->internet || !b->internet->in_kernel))
		return 0;
	if (n && memory_free("") < KERNEL_NEEDS)
		return error_set(err, -ENOMEM, "%u routes: less than %llu MB of memory are free", n,
				 KERNEL_NEEDS >> 20);
	kernel_routes(b, internet_get(b), n < N_DRAWN ? n : N_DRAWN);
	copy_routes(b->internet);
	/* What the datapath has learned is of the table before. */
	datapath_raise_epoch(&b->d);
	return 0;
}

double world_routes_read(struct bench *b, const struct row *row)
{
	const uint32_t n = (uint32_t)row_sessions(row);
	_cleanup_free_ uint32_t *number = NULL;

	if (!row->routes)
		return 0;
	number = calloc(n, sizeof(*number));
	if (!number)
		die("routes", ENOMEM);
	mix_destinations(b, row, number, n);
	return memory_latency_of(copy_nodes(), number, n);
}
