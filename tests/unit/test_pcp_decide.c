/* SPDX-License-Identifier: BSD-2-Clause */
/* What the PCP server grants and refuses, against a table of leases in memory. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/base.h"
#include "pcp/decide.h"
#include "pcp/rate.h"

#define SUBSCRIBER 0x64400002U /* 100.64.0.2 */
#define NEIGHBOUR  0x64400003U
#define OPEN	   0x64400009U /* has an address of its own, reachable from outside */
#define OPEN_POOL  0xc0000209U /* 192.0.2.9 */
#define STRANGER   0x0a000001U
#define PORTAL	   0xc0a80001U /* may act for others */
#define POOL	   0xcb007107U /* 203.0.113.7 */
#define PORT_LO	   2000U
#define PORTS	   100U
#define NOW	   1000000U
#define EPOCH	   77U

static struct pcp_lease leases[2 * PORTS];
static size_t n_leases;
static int put_r, del_r;

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

static unsigned fake_count(void *arg, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_leases; i++)
		n += !leases[i].fixed && leases[i].in.addr == in_addr;
	return n;
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
	.count = fake_count,
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

/* A request, and what came back. */
struct asked {
	uint32_t source; /* 0: SUBSCRIBER */
	uint8_t opcode;
	uint8_t nonce; /* each octet of it */
	uint8_t proto;
	uint16_t in_port;
	uint16_t out_port;
	uint32_t out_addr;
	uint32_t lifetime;
	bool prefer_failure;
	uint32_t third_party;
	uint32_t peer_addr;
	uint16_t peer_port;
	bool clears; /* FILTER with the prefix length 0, before the others */
	unsigned n_filters;
	struct portmap_filter filter[10];
};

struct got {
	size_t length;
	enum pcp_result result;
	uint32_t lifetime;
	uint16_t port;
	uint32_t addr;
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

static struct got ask(struct asked a)
{
	const struct pcp_desk desk = { &rules, &table, NULL };
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

static void begin(void)
{
	n_leases = 0;
	put_r = del_r = 0;
}

TestSuite(pcp_decide, .init = begin);

/* Rows name what differs from the usual request. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define MAP(...) \
	ask((struct asked){ .opcode = PCP_MAP, .nonce = 1, .proto = IPPROTO_TCP, .lifetime = 3600, __VA_ARGS__ })
#define PEER(...) \
	ask((struct asked){ .opcode = PCP_PEER, .nonce = 1, .proto = IPPROTO_UDP, .lifetime = 3600, __VA_ARGS__ })

static void expect(struct got g, uint16_t port, uint32_t lifetime)
{
	cr_expect_eq(g.result, PCP_SUCCESS, "%s", pcp_result_name(g.result));
	cr_expect_eq(g.addr, POOL);
	cr_expect_eq(g.port, port, "port %u instead of %u", g.port, port);
	cr_expect_eq(g.lifetime, lifetime, "%u s instead of %u", g.lifetime, lifetime);
}

#define EXPECT_REFUSED(g, why, seconds)                                                    \
	do {                                                                               \
		struct got _g = (g);                                                       \
		cr_expect_eq(_g.result, why, "%s", pcp_result_name(_g.result));            \
		cr_expect_eq(_g.lifetime, (uint32_t)(seconds), "%u seconds", _g.lifetime); \
	} while (0)

Test(pcp_decide, without_a_suggestion_the_port_is_the_plans)
{
	expect(MAP(.in_port = 443), PORT_LO + 43, 3600);
	cr_expect_eq(n_leases, 1);
	cr_expect_eq(leases[0].in.addr, SUBSCRIBER);
	cr_expect_eq(leases[0].in.port, 443);
	cr_expect_eq(leases[0].expires_s, NOW + 3600);
	cr_expect_eq(leases[0].nonce[11], 1);
}

Test(pcp_decide, a_suggested_port_of_the_own_block_is_given)
{
	expect(MAP(.in_port = 443, .out_port = PORT_LO + 7), PORT_LO + 7, 3600);
	expect(MAP(.in_port = 80, .out_port = PORT_LO + 99, .out_addr = POOL), PORT_LO + 99, 3600);
}

Test(pcp_decide, a_port_of_another_block_is_not_given)
{
	expect(MAP(.in_port = 443, .out_port = PORT_LO + PORTS), PORT_LO + 43, 3600);
	expect(MAP(.in_port = 444, .out_port = PORT_LO - 1), PORT_LO + 44, 3600);
	expect(MAP(.in_port = 445, .out_port = PORT_LO + 1, .out_addr = POOL + 1), PORT_LO + 45, 3600);
	expect(MAP(.source = NEIGHBOUR, .in_port = 443, .out_port = PORT_LO), PORT_LO + PORTS + 43, 3600);
}

Test(pcp_decide, a_taken_port_gives_way_to_the_next_of_its_group)
{
	expect(MAP(.in_port = 40), PORT_LO + 40, 3600);
	expect(MAP(.in_port = 140), PORT_LO + 41, 3600);
	expect(MAP(.in_port = 240, .out_port = PORT_LO + 41), PORT_LO + 42, 3600);
	expect(MAP(.in_port = 40, .proto = IPPROTO_UDP), PORT_LO + 40, 3600);
}

Test(pcp_decide, a_full_group_gives_way_to_the_rest_of_the_block)
{
	for (uint16_t i = 0; i < 8; i++)
		expect(MAP(.in_port = (uint16_t)(96 + 100 * i)), i < 4 ? PORT_LO + 96 + i : PORT_LO + 4 + i - 4U, 3600);
}

Test(pcp_decide, prefer_failure_wants_what_is_suggested_or_nothing)
{
	MAP(.in_port = 1, .out_port = PORT_LO + 7);
	EXPECT_REFUSED(MAP(.in_port = 443, .out_port = PORT_LO + 7, .prefer_failure = true),
		       PCP_CANNOT_PROVIDE_EXTERNAL, 30);
	EXPECT_REFUSED(MAP(.in_port = 443, .out_port = 80, .prefer_failure = true), PCP_CANNOT_PROVIDE_EXTERNAL, 30);
	EXPECT_REFUSED(MAP(.in_port = 443, .out_addr = POOL + 1, .prefer_failure = true), PCP_CANNOT_PROVIDE_EXTERNAL,
		       30);
	EXPECT_REFUSED(MAP(.in_port = 1, .out_port = PORT_LO + 8, .prefer_failure = true), PCP_CANNOT_PROVIDE_EXTERNAL,
		       30);
	cr_expect_eq(n_leases, 1);
	expect(MAP(.in_port = 443, .out_port = PORT_LO + 9, .prefer_failure = true), PORT_LO + 9, 3600);
	expect(MAP(.in_port = 444, .out_addr = POOL, .prefer_failure = true), PORT_LO + 44, 3600);
	expect(MAP(.in_port = 445, .prefer_failure = true), PORT_LO + 45, 3600);
}

Test(pcp_decide, a_renewal_keeps_the_port)
{
	expect(MAP(.in_port = 443, .out_port = PORT_LO + 7), PORT_LO + 7, 3600);
	expect(MAP(.in_port = 443, .out_port = PORT_LO + 8, .lifetime = 7200), PORT_LO + 7, 7200);
	cr_expect_eq(n_leases, 1);
	cr_expect_eq(leases[0].expires_s, NOW + 7200);
}

Test(pcp_decide, lifetimes_are_clipped)
{
	expect(MAP(.in_port = 1, .lifetime = 1), PORT_LO + 1, 120);
	expect(MAP(.in_port = 2, .lifetime = UINT32_MAX), PORT_LO + 2, 86400);
}

Test(pcp_decide, another_nonce_is_not_authorized_for_as_long_as_the_lease)
{
	MAP(.in_port = 443, .lifetime = 500);
	EXPECT_REFUSED(MAP(.in_port = 443, .nonce = 2), PCP_NOT_AUTHORIZED, 500);
	EXPECT_REFUSED(MAP(.in_port = 443, .nonce = 2, .lifetime = 0), PCP_NOT_AUTHORIZED, 500);
	EXPECT_REFUSED(MAP(.in_port = 0, .proto = 0, .nonce = 2, .lifetime = 0), PCP_NOT_AUTHORIZED, 1800);
	cr_expect_eq(n_leases, 1);
}

Test(pcp_decide, lifetime_0_deletes)
{
	MAP(.in_port = 443);
	MAP(.in_port = 444);
	EXPECT_REFUSED(MAP(.in_port = 443, .lifetime = 0), PCP_SUCCESS, 0);
	cr_expect_eq(n_leases, 1);
	EXPECT_REFUSED(MAP(.in_port = 443, .lifetime = 0), PCP_SUCCESS, 0);
	cr_expect_eq(leases[0].in.port, 444);
}

Test(pcp_decide, port_0_deletes_all_of_a_protocol)
{
	MAP(.in_port = 443);
	MAP(.in_port = 444, .nonce = 2);
	MAP(.in_port = 445, .proto = IPPROTO_UDP);
	MAP(.source = NEIGHBOUR, .in_port = 443);
	EXPECT_REFUSED(MAP(.in_port = 0, .lifetime = 0), PCP_SUCCESS, 0);
	cr_expect_eq(n_leases, 3);
	EXPECT_REFUSED(MAP(.in_port = 0, .proto = 0, .lifetime = 0), PCP_SUCCESS, 0);
	cr_expect_eq(n_leases, 2);
	cr_expect_eq(fake_count(NULL, NEIGHBOUR), 1);
}

Test(pcp_decide, a_fixed_portmap_is_told_and_kept)
{
	leases[n_leases++] = (struct pcp_lease){
		.proto = IPPROTO_TCP, .fixed = true, .in = { SUBSCRIBER, 443 }, .out = { POOL, PORT_LO + 50 }
	};
	expect(MAP(.in_port = 443, .nonce = 9), PORT_LO + 50, 3600);
	EXPECT_REFUSED(MAP(.in_port = 443, .lifetime = 0), PCP_NOT_AUTHORIZED, 1800);
	expect(MAP(.in_port = 444, .out_port = PORT_LO + 50), PORT_LO + 44, 3600);
	cr_expect_eq(leases[0].nonce[0], 0);
}

Test(pcp_decide, other_protocols_and_all_of_them_are_unsupported)
{
	static const uint8_t protos[] = { 0, 1, 33, 47, 132, 255 };

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		EXPECT_REFUSED(MAP(.proto = protos[i], .in_port = protos[i] ? 7 : 0), PCP_UNSUPP_PROTOCOL, 1800);
	EXPECT_REFUSED(MAP(.in_port = 0), PCP_UNSUPP_PROTOCOL, 1800);
	cr_expect_eq(n_leases, 0);
}

Test(pcp_decide, all_of_an_open_mapping_leads_to_the_client_already)
{
	static const struct {
		uint8_t proto;
		uint16_t port;
	} rows[] = { { 0, 0 }, { IPPROTO_TCP, 0 }, { IPPROTO_UDP, 443 }, { IPPROTO_TCP, 7 }, { 47, 0 }, { 132, 9 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct got g =
			MAP(.source = OPEN, .proto = rows[i].proto, .in_port = rows[i].port, .out_port = PORT_LO);

		cr_expect(g.result == PCP_SUCCESS && g.addr == OPEN_POOL && g.port == rows[i].port &&
				  g.lifetime == 3600,
			  "protocol %u: %s, port %u", rows[i].proto, pcp_result_name(g.result), g.port);
	}
	cr_expect_eq(MAP(.source = OPEN, .proto = 0, .lifetime = 5).lifetime, 120);
	cr_expect_eq(MAP(.source = OPEN, .in_port = 443, .out_port = 443, .prefer_failure = true).result, PCP_SUCCESS);
	EXPECT_REFUSED(MAP(.source = OPEN, .in_port = 443, .out_port = 444, .prefer_failure = true),
		       PCP_CANNOT_PROVIDE_EXTERNAL, 30);
	EXPECT_REFUSED(MAP(.source = OPEN, .proto = 0, .out_addr = POOL, .prefer_failure = true),
		       PCP_CANNOT_PROVIDE_EXTERNAL, 30);
	EXPECT_REFUSED(MAP(.source = OPEN, .proto = 0, .lifetime = 0), PCP_NOT_AUTHORIZED, 1800);
	EXPECT_REFUSED(MAP(.source = OPEN, .in_port = 443, .lifetime = 0), PCP_NOT_AUTHORIZED, 1800);
	cr_expect_eq(PEER(.source = OPEN, .in_port = 443, .peer_addr = 1, .peer_port = 1).port, 443);
	EXPECT_REFUSED(PEER(.source = OPEN, .proto = 47, .in_port = 1, .peer_addr = 1, .peer_port = 1),
		       PCP_UNSUPP_PROTOCOL, 1800);
	cr_expect_eq(MAP(.source = PORTAL, .third_party = OPEN, .proto = 0).addr, OPEN_POOL);
	cr_expect_eq(n_leases, 0);
}

Test(pcp_decide, a_subscriber_has_32_leases)
{
	for (uint16_t i = 0; i < 32; i++)
		cr_assert_eq(MAP(.in_port = 100 + i).result, PCP_SUCCESS);
	EXPECT_REFUSED(MAP(.in_port = 500), PCP_USER_EX_QUOTA, 30);
	expect(MAP(.in_port = 131), PORT_LO + 31, 3600);
	expect(MAP(.source = NEIGHBOUR, .in_port = 500), PORT_LO + PORTS, 3600);
	MAP(.in_port = 100, .lifetime = 0);
	expect(MAP(.in_port = 500), PORT_LO, 3600);
}

Test(pcp_decide, a_full_block_or_table_has_no_resources)
{
	for (uint16_t i = 0; i < PORTS; i++)
		leases[n_leases++] = (struct pcp_lease){ .proto = IPPROTO_TCP,
							 .fixed = true,
							 .in = { SUBSCRIBER, 20000 + i },
							 .out = { POOL, (uint16_t)(PORT_LO + i) } };
	EXPECT_REFUSED(MAP(.in_port = 443), PCP_NO_RESOURCES, 30);
	n_leases--;
	expect(MAP(.in_port = 443), PORT_LO + PORTS - 1, 3600);
	put_r = -ENOSPC;
	EXPECT_REFUSED(MAP(.source = NEIGHBOUR, .in_port = 443), PCP_NO_RESOURCES, 30);
}

Test(pcp_decide, a_table_that_cannot_be_changed_is_a_network_failure)
{
	MAP(.in_port = 443);
	del_r = -EIO;
	EXPECT_REFUSED(MAP(.in_port = 443, .lifetime = 0), PCP_NETWORK_FAILURE, 30);
	cr_expect_eq(n_leases, 1);
}

Test(pcp_decide, peer_tells_of_sessions_and_opens_none)
{
	expect(PEER(.in_port = 4000, .peer_addr = 0xc6336409, .peer_port = 53), PORT_LO + 5, 300);
	EXPECT_REFUSED(PEER(.in_port = 4000, .peer_addr = 0xc6336409, .peer_port = 54), PCP_NO_RESOURCES, 30);
	EXPECT_REFUSED(PEER(.source = NEIGHBOUR, .in_port = 4000, .peer_addr = 0xc6336409, .peer_port = 53),
		       PCP_NO_RESOURCES, 30);
	/* RFC 6887 section 12.3: of what exists the suggestion is ignored. */
	expect(PEER(.in_port = 4000, .out_port = PORT_LO + 6, .peer_addr = 0xc6336409, .peer_port = 53), PORT_LO + 5,
	       300);
	EXPECT_REFUSED(PEER(.in_port = 4000, .proto = 47, .peer_addr = 1, .peer_port = 53), PCP_UNSUPP_PROTOCOL, 1800);
	cr_expect_eq(n_leases, 0);
}

Test(pcp_decide, peer_of_a_leased_port_tells_the_lease)
{
	MAP(.in_port = 4001, .proto = IPPROTO_UDP);
	expect(PEER(.in_port = 4001, .peer_addr = 0xc6336409, .peer_port = 53), PORT_LO + 1, 3600);
	EXPECT_REFUSED(PEER(.in_port = 4001, .out_port = PORT_LO + 2, .peer_addr = 0xc6336409, .peer_port = 53),
		       PCP_CANNOT_PROVIDE_EXTERNAL, 30);
}

#define PEER_A 0xc6336409U /* 198.51.100.9 */
#define PEER_B 0xc6336500U

/* FILTER of one address or prefix, or of n addresses beginning with one. */
#define ONE(addr_, plen_, port_) .n_filters = 1, .filter = { { .addr = addr_, .plen = plen_, .port = port_ } }

static struct asked with_addresses(uint32_t first, unsigned n)
{
	struct asked a = {
		.opcode = PCP_MAP, .nonce = 1, .proto = IPPROTO_TCP, .lifetime = 3600, .in_port = 443, .n_filters = n
	};

	for (unsigned i = 0; i < n; i++)
		a.filter[i] = (struct portmap_filter){ .addr = first + i, .plen = 32 };
	return a;
}

static void expect_filters(const struct portmap_filter *wanted, unsigned n)
{
	cr_assert_eq(n_leases, 1);
	cr_assert_eq(leases[0].filters.n, n, "%u filters instead of %u", leases[0].filters.n, n);
	for (unsigned i = 0; i < n; i++) {
		const struct portmap_filter *f = &leases[0].filters.filter[i];

		cr_expect(f->addr == wanted[i].addr && f->plen == wanted[i].plen && f->port == wanted[i].port,
			  "filter %u is %x/%u:%u", i, f->addr, f->plen, f->port);
	}
}

Test(pcp_decide, filters_are_kept_added_to_and_replaced)
{
	static const struct portmap_filter a = { PEER_A, 0, 32, 0 }, b = { PEER_B, 53, 24, 0 };
	const struct portmap_filter both[] = { a, b };

	expect(MAP(.in_port = 443, ONE(PEER_A, 32, 0)), PORT_LO + 43, 3600);
	expect_filters(&a, 1);
	expect(MAP(.in_port = 443, .lifetime = 600), PORT_LO + 43, 600);
	expect_filters(&a, 1);
	expect(MAP(.in_port = 443, ONE(PEER_A, 32, 0)), PORT_LO + 43, 3600);
	expect_filters(&a, 1);
	expect(MAP(.in_port = 443, ONE(PEER_B + 7, 24, 53)), PORT_LO + 43, 3600);
	expect_filters(both, 2);
	expect(MAP(.in_port = 443, .clears = true, ONE(PEER_B, 24, 53)), PORT_LO + 43, 3600);
	expect_filters(&b, 1);
	expect(MAP(.in_port = 443, .clears = true), PORT_LO + 43, 3600);
	expect_filters(NULL, 0);
	expect(MAP(.in_port = 443, ONE(PEER_A, 32, 0)), PORT_LO + 43, 3600);
	EXPECT_REFUSED(MAP(.in_port = 443, .lifetime = 0), PCP_SUCCESS, 0);
	expect(MAP(.in_port = 443), PORT_LO + 43, 3600);
	expect_filters(NULL, 0);
}

Test(pcp_decide, a_lease_has_eight_filters)
{
	struct portmap_filters before;

	EXPECT_REFUSED(ask(with_addresses(PEER_A, 9)), PCP_EXCESSIVE_REMOTE_PEERS, 1800);
	cr_expect_eq(n_leases, 0);
	expect(ask(with_addresses(PEER_A, 8)), PORT_LO + 43, 3600);
	before = leases[0].filters;
	cr_expect_eq(before.n, 8);
	/* The same once more are no more. */
	expect(ask(with_addresses(PEER_A + 4, 4)), PORT_LO + 43, 3600);
	EXPECT_REFUSED(MAP(.in_port = 443, .lifetime = 600, ONE(PEER_B, 32, 0)), PCP_EXCESSIVE_REMOTE_PEERS, 1800);
	cr_expect_eq(memcmp(&leases[0].filters, &before, sizeof(before)), 0, "a refusal changes nothing");
	cr_expect_eq(leases[0].expires_s, NOW + 3600);
	expect(MAP(.in_port = 443, .clears = true, ONE(PEER_B, 32, 0)), PORT_LO + 43, 3600);
	cr_expect_eq(leases[0].filters.n, 1);
}

Test(pcp_decide, what_cannot_be_filtered_is_refused)
{
	leases[n_leases++] = (struct pcp_lease){
		.proto = IPPROTO_TCP, .fixed = true, .in = { SUBSCRIBER, 443 }, .out = { POOL, PORT_LO + 50 }
	};
	EXPECT_REFUSED(MAP(.in_port = 443, ONE(PEER_A, 32, 0)), PCP_EXCESSIVE_REMOTE_PEERS, 1800);
	expect(MAP(.in_port = 443, .clears = true), PORT_LO + 50, 3600);
	EXPECT_REFUSED(MAP(.source = OPEN, .in_port = 443, ONE(PEER_A, 32, 0)), PCP_EXCESSIVE_REMOTE_PEERS, 1800);
	EXPECT_REFUSED(MAP(.in_port = 444, .lifetime = 0, ONE(PEER_A, 32, 0)), PCP_MALFORMED_OPTION, 1800);
	EXPECT_REFUSED(MAP(.in_port = 0, ONE(PEER_A, 32, 0)), PCP_UNSUPP_PROTOCOL, 1800);
	cr_expect_eq(n_leases, 1);
}

Test(pcp_decide, peer_of_a_filtered_port_is_told_whether_it_is_heard)
{
	MAP(.in_port = 4001, .proto = IPPROTO_UDP, ONE(PEER_A, 24, 53));
	expect(PEER(.in_port = 4001, .peer_addr = PEER_A + 1, .peer_port = 53), PORT_LO + 1, 3600);
	EXPECT_REFUSED(PEER(.in_port = 4001, .peer_addr = PEER_A, .peer_port = 54), PCP_NO_RESOURCES, 30);
	EXPECT_REFUSED(PEER(.in_port = 4001, .peer_addr = PEER_B, .peer_port = 53), PCP_NO_RESOURCES, 30);
}

Test(pcp_decide, another_nonce_sets_no_filters)
{
	MAP(.in_port = 443, .lifetime = 500);
	EXPECT_REFUSED(MAP(.in_port = 443, .nonce = 2, ONE(PEER_A, 32, 0)), PCP_NOT_AUTHORIZED, 500);
	expect_filters(NULL, 0);
}

Test(pcp_decide, a_third_party_speaks_for_subscribers_where_it_is_allowed)
{
	EXPECT_REFUSED(MAP(.in_port = 443, .third_party = NEIGHBOUR), PCP_UNSUPP_OPTION, 1800);
	EXPECT_REFUSED(MAP(.source = PORTAL, .in_port = 443), PCP_NOT_AUTHORIZED, 1800);
	EXPECT_REFUSED(MAP(.source = PORTAL, .in_port = 443, .third_party = STRANGER), PCP_NOT_AUTHORIZED, 1800);
	expect(MAP(.source = PORTAL, .in_port = 443, .third_party = NEIGHBOUR), PORT_LO + PORTS + 43, 3600);
	cr_expect_eq(n_leases, 1);
	cr_expect_eq(leases[0].in.addr, NEIGHBOUR);
}

Test(pcp_decide, a_source_in_no_mapping_is_never_answered)
{
	cr_expect_eq(MAP(.source = STRANGER, .in_port = 443).length, 0);
	cr_expect_eq(ask((struct asked){ .source = STRANGER }).length, 0);
	cr_expect_eq(ask((struct asked){ .source = STRANGER, .opcode = 99 }).length, 0);
	cr_expect_eq(n_leases, 0);
}

Test(pcp_decide, an_announcement_is_answered)
{
	EXPECT_REFUSED(ask((struct asked){ .lifetime = 5 }), PCP_SUCCESS, 0);
	EXPECT_REFUSED(ask((struct asked){ .source = PORTAL }), PCP_SUCCESS, 0);
}

Test(pcp_rate, ten_requests_a_second_and_source)
{
	struct pcp_rate *r = calloc(1, sizeof(*r));

	r->seed = 1;
	for (unsigned second = 0; second < 3; second++) {
		for (unsigned i = 0; i < 20; i++)
			cr_expect_eq(pcp_rate_take(r, SUBSCRIBER, 3, second), i < 10);
		cr_expect(pcp_rate_take(r, NEIGHBOUR, 3, second));
		cr_expect(pcp_rate_take(r, SUBSCRIBER, 4, second), "by another interface it is another source");
	}
	free(r);
}

Test(pcp_rate, ten_thousand_requests_a_second_of_all)
{
	struct pcp_rate *r = calloc(1, sizeof(*r));
	unsigned taken = 0;

	r->seed = 0x123456789abcdefULL;
	for (uint32_t i = 0; i < 200000; i++)
		taken += pcp_rate_take(r, i, 3, 5);
	cr_expect_eq(taken, PCP_PER_SECOND);
	cr_expect(pcp_rate_take(r, 0, 3, 6));
	free(r);
}
