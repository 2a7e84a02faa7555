/* SPDX-License-Identifier: BSD-2-Clause */
/* Filters of leases (RFC 6887 section 13.3); of the suite of test_pcp_decide.c. */
#include <string.h>

#include "pcp_fixture.h"

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

Test(pcp_decide, a_filter_that_cannot_be_is_refused)
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
