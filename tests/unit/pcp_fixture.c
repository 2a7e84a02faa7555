/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp_fixture.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

struct pcp_lease leases[2 * PORTS];
size_t n_leases;
int put_r, del_r;
struct held_ports held;
struct pcp_shares shares;
enum pcp_source source_is;

/* The subscriber has the first block, the neighbour the next. */
static int fake_subscriber(void *arg, uint32_t in_addr, struct port_block *ret)
{
	uint32_t n = in_addr - SUBSCRIBER;

	if (in_addr == OPEN) {
		*ret = (struct port_block){ OPEN_POOL, 1024, 65535 };
		return 0;
	}
	if (n > 1)
		return -ENOENT;
	*ret = (struct port_block){ POOL, (uint16_t)(PORT_LO + n * PORTS), (uint16_t)(PORT_LO + (n + 1) * PORTS - 1) };
	return 0;
}

static bool fake_open(void *arg, uint32_t in_addr)
{
	return in_addr == OPEN;
}

static bool same(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

static int fake_find(void *arg, uint8_t proto, struct endpoint in, struct pcp_lease *ret)
{
	for (size_t i = 0; i < n_leases; i++) {
		if (leases[i].proto == proto && same(leases[i].in, in)) {
			*ret = leases[i];
			return 0;
		}
	}
	return -ENOENT;
}

static bool fake_taken(void *arg, uint8_t proto, struct endpoint out)
{
	for (size_t i = 0; i < n_leases; i++)
		if (leases[i].proto == proto && same(leases[i].out, out))
			return true;
	return false;
}

static void fake_held(void *arg, uint8_t proto, struct endpoint in, struct held_ports *ret)
{
	*ret = held;
}

unsigned fake_count(void *arg, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_leases; i++)
		n += !leases[i].fixed && leases[i].in.addr == in_addr;
	return n;
}

static bool fake_has_room(void *arg, unsigned count)
{
	return pcp_shares_admit(&shares, n_leases, count);
}

static int remove_lease(const struct pcp_lease *l)
{
	for (size_t i = 0; i < n_leases; i++) {
		if (leases[i].proto == l->proto && same(leases[i].out, l->out)) {
			leases[i] = leases[--n_leases];
			return 0;
		}
	}
	return -ENOENT;
}

static int fake_del(void *arg, const struct pcp_lease *l)
{
	return del_r ? del_r : remove_lease(l);
}

static int fake_put(void *arg, const struct pcp_lease *l)
{
	if (put_r)
		return put_r;
	remove_lease(l);
	leases[n_leases++] = *l;
	return 0;
}

static int fake_del_all(void *arg, uint32_t in_addr, uint8_t proto, const uint8_t nonce[static PCP_NONCE])
{
	bool others = false;
	int n = 0;

	for (size_t i = 0; i < n_leases;) {
		const struct pcp_lease *l = &leases[i];

		if (l->fixed || l->in.addr != in_addr || (proto && l->proto != proto)) {
			i++;
		} else if (memcmp(l->nonce, nonce, PCP_NONCE)) {
			others = true;
			i++;
		} else {
			leases[i] = leases[--n_leases];
			n++;
		}
	}
	return n || !others ? n : -EPERM;
}

/* The subscriber's port 4000 has one session, with 198.51.100.9:53. */
static int fake_session(void *arg, uint8_t proto, struct endpoint in, struct endpoint ext, struct endpoint *ret_out,
			uint32_t *ret_left_s)
{
	if (proto != IPPROTO_UDP || in.addr != SUBSCRIBER || in.port != 4000 || ext.addr != 0xc6336409 ||
	    ext.port != 53)
		return -ENOENT;
	*ret_out = (struct endpoint){ POOL, PORT_LO + 5 };
	*ret_left_s = 300;
	return 0;
}

static const struct pcp_table table = {
	.subscriber = fake_subscriber,
	.open = fake_open,
	.find = fake_find,
	.taken = fake_taken,
	.held = fake_held,
	.count = fake_count,
	.has_room = fake_has_room,
	.put = fake_put,
	.del = fake_del,
	.del_all = fake_del_all,
	.session = fake_session,
};

static const struct config_pcp rules = {
	.enabled = true,
	.max_per_subscriber = 32,
	.lifetime_min = 120,
	.lifetime_max = 86400,
	.n_third_party = 1,
	.third_party = { { PORTAL, 32 } },
};

static void put16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static void put32(uint8_t *p, uint32_t n)
{
	put16(p, (uint16_t)(n >> 16));
	put16(p + 2, (uint16_t)n);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_addr(uint8_t *p, uint32_t addr)
{
	memset(p, 0, 10);
	memset(p + 10, 0xff, 2);
	put32(p + 12, addr);
}

static size_t put_filter(uint8_t *p, uint32_t addr, uint8_t plen, uint16_t port)
{
	memset(p, 0, 24);
	p[0] = 3;
	p[3] = 20;
	p[5] = plen;
	put16(p + 6, port);
	put_addr(p + 8, addr);
	return 24;
}

static enum pcp_source fake_source(void *arg)
{
	return source_is;
}

struct got ask(struct asked a)
{
	const struct pcp_desk desk = { &rules, &table, NULL, fake_source, NULL };
	uint8_t q[400] = { 2, a.opcode }, out[PCP_MAX_MESSAGE];
	uint32_t source = a.source ? a.source : SUBSCRIBER;
	struct pcp_outcome outcome = { 0 };
	struct got g = { 0 };
	size_t size = 24;

	put32(q + 4, a.lifetime);
	put_addr(q + 8, source);
	if (a.opcode != PCP_ANNOUNCE) {
		memset(q + 24, a.nonce, PCP_NONCE);
		q[36] = a.proto;
		put16(q + 40, a.in_port);
		put16(q + 42, a.out_port);
		put_addr(q + 44, a.out_addr);
		size = 60;
	}
	if (a.opcode == PCP_PEER) {
		put16(q + 60, a.peer_port);
		put_addr(q + 64, a.peer_addr);
		size = 80;
	}
	if (a.prefer_failure) {
		q[size] = 2;
		size += 4;
	}
	if (a.third_party) {
		q[size] = 1;
		q[size + 3] = 16;
		put_addr(q + size + 4, a.third_party);
		size += 20;
	}
	if (a.clears)
		size += put_filter(q + size, 0, 0, 0);
	for (unsigned i = 0; i < a.n_filters; i++)
		size += put_filter(q + size, a.filter[i].addr, (uint8_t)(96 + a.filter[i].plen), a.filter[i].port);
	g.length = pcp_answer(&desk, q, size, source, EPOCH, NOW, out, &outcome);
	cr_assert_eq(outcome.source != PCP_SOURCE_TAKEN, !g.length && source_is != PCP_SOURCE_TAKEN);
	if (!g.length)
		return g;
	cr_assert_eq(outcome.opcode, a.opcode);
	cr_assert_eq(out[1], a.opcode | 0x80);
	cr_assert_eq(get32(out + 8), EPOCH);
	cr_assert_eq(out[3], outcome.result);
	g.result = outcome.result;
	g.lifetime = get32(out + 4);
	g.port = (uint16_t)(out[42] << 8 | out[43]);
	g.addr = get32(out + 56);
	return g;
}

void pcp_begin(void)
{
	n_leases = 0;
	put_r = del_r = 0;
	memset(&held, 0, sizeof(held));
	source_is = PCP_SOURCE_TAKEN;
	shares = pcp_shares_of(ARRAY_SIZE(leases), 2, 32);
}

void expect(struct got g, uint16_t port, uint32_t lifetime)
{
	cr_expect_eq(g.result, PCP_SUCCESS, "%s", pcp_result_name(g.result));
	cr_expect_eq(g.addr, POOL);
	cr_expect_eq(g.port, port, "port %u instead of %u", g.port, port);
	cr_expect_eq(g.lifetime, lifetime, "%u s instead of %u", g.lifetime, lifetime);
}
