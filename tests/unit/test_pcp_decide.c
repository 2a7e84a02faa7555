/* SPDX-License-Identifier: BSD-2-Clause */
/* What the PCP server grants and refuses, against a table of leases in memory. */
#include <errno.h>

#include "base/base.h"
#include "pcp_fixture.h"

TestSuite(pcp_decide, .init = pcp_begin);

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

Test(pcp_decide, a_subscriber_gets_its_assured_ports_whatever_its_neighbour_has)
{
	shares = pcp_shares_of(20, 2, 32);
	for (uint16_t i = 0; i < 10; i++)
		cr_assert_eq(MAP(.in_port = 100 + i).result, PCP_SUCCESS);
	EXPECT_REFUSED(MAP(.in_port = 500), PCP_NO_RESOURCES, 30);
	expect(MAP(.in_port = 100, .lifetime = 7200), PORT_LO, 7200);
	for (uint16_t i = 0; i < 5; i++)
		cr_assert_eq(MAP(.source = NEIGHBOUR, .in_port = 100 + i).result, PCP_SUCCESS);
	EXPECT_REFUSED(MAP(.source = NEIGHBOUR, .in_port = 500), PCP_NO_RESOURCES, 30);
}

Test(pcp_decide, a_source_that_is_not_taken_gets_no_lease_and_no_answer)
{
	static const enum pcp_source sources[] = { PCP_SOURCE_UNKNOWN, PCP_SOURCE_FORGED };

	MAP(.in_port = 443);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		source_is = sources[i];
		cr_expect_eq(MAP(.in_port = 80).length, 0);
		cr_expect_eq(MAP(.source = PORTAL, .third_party = NEIGHBOUR, .in_port = 80).length, 0);
		cr_expect_eq(n_leases, 1);
		/* Whoever has the nonce may renew it, and nothing is made by what is only told or refused. */
		expect(MAP(.in_port = 443, .lifetime = 7200), PORT_LO + 43, 7200);
		EXPECT_REFUSED(MAP(.in_port = 443, .nonce = 2), PCP_NOT_AUTHORIZED, 7200);
		EXPECT_REFUSED(MAP(.in_port = 80, .lifetime = 0), PCP_SUCCESS, 0);
		cr_expect_eq(PEER(.in_port = 4000, .peer_addr = 0xc6336409, .peer_port = 53).result, PCP_SUCCESS);
		cr_expect_eq(MAP(.source = OPEN, .in_port = 80).result, PCP_SUCCESS);
	}
	source_is = PCP_SOURCE_TAKEN;
	expect(MAP(.in_port = 80), PORT_LO + 80, 3600);
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
