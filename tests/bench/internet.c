// SPDX-License-Identifier: BSD-2-Clause
/*
 * Prefix lengths have the shares that route collectors report for the global IPv4 table: some 60 % /24, a third /20 to
 * /23, few shorter ones. The prefixes themselves are drawn at random, so some contain others.
 */
#include "internet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "base/base.h"
#include "random.h"

#define LONGEST	 24U
#define PROTOCOL 99	    /* of the routes, RTPROT_… */
#define BATCH	 (1U << 16) /* octets of requests sent at a time */
#define REQUEST	 256U	    /* a request's at most */

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
	struct route route[INTERNET_ROUTES];
	uint64_t known[(2U << LONGEST) / 64]; /* a bit for each prefix, see prefix_number() */
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

struct internet *internet_new(void)
{
	struct internet *t = calloc(1, sizeof(*t));
	uint64_t seed = RANDOM_SEED;

	for (uint32_t i = 0; t && i < INTERNET_ROUTES; i++)
		t->route[i] = draw_route(t, &seed);
	return t;
}

void internet_free(struct internet *t)
{
	free(t);
}

uint32_t internet_destination(const struct internet *t, uint32_t n)
{
	uint32_t addr, bits = mix_bits(n);

	/* Addresses inside a route that are another network's are passed over. */
	do {
		const struct route *r = &t->route[bits % INTERNET_ROUTES];

		bits = mix_bits(bits);
		addr = r->base | bits >> r->plen;
	} while (!is_routable(addr));
	return addr;
}

static uint32_t next_hop_of(uint32_t prefix)
{
	return 1 + mix_bits(prefix) % INTERNET_NEXT_HOPS;
}

void internet_route(const struct internet *t, uint32_t n, uint32_t *ret_base, unsigned *ret_plen,
		    uint32_t *ret_next_hop)
{
	const struct route *r = &t->route[n];

	*ret_base = r->base;
	*ret_plen = r->plen;
	*ret_next_hop = next_hop_of(prefix_number(r->base, r->plen));
}

uint32_t internet_next_hop(const struct internet *t, uint32_t addr)
{
	for (unsigned plen = LONGEST; plen >= 8; plen--)
		if (is_known(t, prefix_number(addr, plen)))
			return next_hop_of(prefix_number(addr, plen));
	return 0;
}

/* Requests to the kernel, many at a time. Only the last one is acknowledged; of others, failures are told. */

struct batch {
	struct mnl_socket *socket;
	size_t used;
	char buffer[BATCH];
};

static int batch_send(struct batch *q)
{
	ssize_t n = q->used ? mnl_socket_sendto(q->socket, q->buffer, q->used) : 0;

	q->used = 0;
	return n < 0 ? -errno : 0;
}

static struct nlmsghdr *batch_add(struct batch *q, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(q->buffer + q->used);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	return h;
}

static int batch_end(struct batch *q)
{
	struct nlmsghdr *h = batch_add(q, NLMSG_NOOP, NLM_F_ACK);
	char answer[8192];
	ssize_t n;
	int r;

	q->used += h->nlmsg_len;
	r = batch_send(q);
	if (r)
		return r;
	n = mnl_socket_recvfrom(q->socket, answer, sizeof(answer));
	return n < 0 || mnl_cb_run(answer, (size_t)n, 0, 0, NULL, NULL) < 0 ? -errno : 0;
}

static void change_route(struct batch *q, uint32_t ifindex, const struct route *r, bool add)
{
	struct nlmsghdr *h = batch_add(q, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	uint32_t next_hop = next_hop_of(prefix_number(r->base, r->plen));

	m->rtm_family = AF_INET;
	m->rtm_dst_len = r->plen;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = PROTOCOL;
	m->rtm_scope = RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_DST, htonl(r->base));
	mnl_attr_put_u32(h, RTA_GATEWAY, htonl(INTERNET_NEXT_HOP_ADDR(next_hop)));
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	q->used += h->nlmsg_len;
}

int internet_tell_kernel(const struct internet *t, uint32_t ifindex, uint32_t from, uint32_t to)
{
	static struct batch q;
	int r = 0;

	q.used = 0;
	q.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!q.socket)
		return -errno;
	if (mnl_socket_bind(q.socket, 0, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	while (!r && from != to) {
		if (from < to)
			change_route(&q, ifindex, &t->route[from++], true);
		else
			change_route(&q, ifindex, &t->route[--from], false);
		if (q.used + REQUEST > BATCH)
			r = batch_send(&q);
	}
	if (!r)
		r = batch_end(&q);
	mnl_socket_close(q.socket);
	return r;
}

/* Popularity. */

int popularity_new(uint32_t n, double exponent, struct popularity *ret)
{
	double *sum = calloc(n, sizeof(*sum)), total = 0;

	if (!sum)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		total += exponent > 0 ? 1 / __builtin_pow(i + 1, exponent) : 1;
		sum[i] = total;
	}
	for (uint32_t i = 0; i < n; i++)
		sum[i] /= total;
	*ret = (struct popularity){ n, sum };
	return 0;
}

void popularity_free(struct popularity *p)
{
	free(p->sum);
	*p = (struct popularity){ 0 };
}

uint32_t popularity_draw(const struct popularity *p, uint64_t *seed)
{
	double chance = (double)(random_next(seed) >> 11) / (double)(1ULL << 53);
	uint32_t lo = 0, hi = p->n - 1;

	while (lo < hi) {
		uint32_t middle = (lo + hi) / 2;

		if (p->sum[middle] < chance)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}
