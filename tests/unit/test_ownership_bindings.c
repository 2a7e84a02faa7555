/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/internals/OWNERSHIP.md: bindings in the way of sessions that a peer tells. */
#include <detnat/binding.h>

#include "ownership_fixture.h"
#include "copies/found_session.h"

static void set_up(void)
{
	copying_spec = copying_default_spec();
	copying_spec.bindings =
		(struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 50 };
	pair_connect();
}

TestSuite(ownership_bindings, .init = set_up, .fini = pair_free, .timeout = 60);

#define OTHER (5000 + 4032) /* an inside port with the first choice of 5000 */

static uint64_t *bound(struct gateway *g, uint16_t port)
{
	const struct geometry *geo = &mappings_get(g->m, g->number)->geo;

	return mappings_binding(g->m, g->number, HOST, IPPROTO_UDP, port - mapping_port_lo(geo, HOST));
}

static uint32_t open_udp(struct gateway *g, uint16_t in_port, uint8_t n)
{
	return open_flow(g, HOST, in_port, n, IPPROTO_UDP, SESSION_UDP);
}

/* On another port than its first choice. */
static uint32_t open_udp_beside(struct gateway *g, uint16_t in_port, uint8_t n)
{
	uint64_t key = slot_key(0xc6336400U + n, 443, in_port);

	cr_assert_eq(open_own(g, HOST, key, first_port(g, HOST, in_port) ^ 1, IPPROTO_UDP, SESSION_UDP,
			      (uint16_t)first_slot(g, key, IPPROTO_UDP)),
		     COPY_PLACED);
	return g->opener.requests->copy[0].slot;
}

static void tell(void)
{
	struct told t = { 0 };

	passes(&a, &t);
	hear(&b, 1, &t);
}

Test(ownership_bindings, a_port_bound_to_another_inside_port_that_no_session_uses_gives_way)
{
	uint16_t port = first_port(&b, HOST, 5000);
	uint32_t slot = open_udp(&b, OTHER, 8);

	tell_nobody(&b);
	open_udp(&a, 5000, 7);
	tell();
	cr_expect_eq(b.counts.refused, 1);
	retry_after(&b, 1);
	cr_expect(binding_is_of(*bound(&b, port), OTHER), "a session uses it");
	cr_expect_eq(copying_held(b.c, 1), 0);
	end_session(&b, HOST, slot);
	/* Once to find it unused, then to take it. */
	retry_after(&b, 2);
	retry_after(&b, 4);
	cr_expect(binding_is_of(*bound(&b, port), 5000));
	cr_expect_eq(copying_held(b.c, 1), 1);
	cr_expect_eq(b.c->waiting.n, 0);
	pair_sound();
}

Test(ownership_bindings, an_inside_port_bound_to_another_port_that_no_session_uses_gets_the_one_that_is_told)
{
	uint16_t port = first_port(&b, HOST, 5000);
	uint32_t slot = open_udp_beside(&b, 5000, 8);

	tell_nobody(&b);
	open_udp(&a, 5000, 7);
	tell();
	cr_expect_eq(b.counts.refused, 1);
	retry_after(&b, 1);
	cr_expect(binding_is_of(*bound(&b, port ^ 1), 5000), "a session uses it");
	end_session(&b, HOST, slot);
	retry_after(&b, 2);
	retry_after(&b, 4);
	cr_expect(binding_is_of(*bound(&b, port), 5000));
	cr_expect_not(binding_is_bound(*bound(&b, port ^ 1)));
	cr_expect_eq(copying_held(b.c, 1), 1);
	pair_sound();
}

/* As where it returns with the bindings of before: those of sessions that have ended meanwhile. */
Test(ownership_bindings, a_gateway_that_returns_has_the_ports_of_those_that_live)
{
	uint16_t port = first_port(&a, HOST, 5000);
	uint32_t slot = open_udp(&a, 5000, 7);

	exchange(&a, &b);
	packet(&b, slot);
	end_session(&b, HOST, slot);
	*bound(&b, port) = 0;
	open_udp(&b, OTHER, 8);
	tell_nobody(&b);
	cr_expect(binding_is_of(*bound(&a, port), 5000));
	come_back(true);
	retry_after(&a, 1);
	exchange_twice();
	cr_expect(binding_is_of(*bound(&a, port), OTHER));
	expect_at(&b, &a);
}

Test(ownership_bindings, two_that_are_both_used_stay_each_at_its_gateway)
{
	uint16_t port = first_port(&a, HOST, 5000);

	open_udp(&a, 5000, 7);
	open_udp(&b, OTHER, 8);
	for (unsigned i = 0; i < 3; i++) {
		exchange_twice();
		retry_after(&a, 8);
		retry_after(&b, 8);
	}
	cr_expect(binding_is_of(*bound(&a, port), 5000));
	cr_expect(binding_is_of(*bound(&b, port), OTHER));
	cr_expect_eq(copying_held(a.c, 1) + copying_held(b.c, 1), 0);
	pair_sound();
}

Test(ownership_bindings, one_that_a_session_beyond_the_slots_uses_stays_until_that_has_ended)
{
	uint16_t port = first_port(&b, HOST, 5000);
	uint32_t slot = open_udp(&b, OTHER, 8);
	const struct session other = { .ext_addr = 0xc6336409,
				       .in_port = OTHER,
				       .out_port = port,
				       .ext_port = 443,
				       .proto = IPPROTO_UDP,
				       .state = SESSION_UDP };
	const struct session_tuple id = { slot_key(0xc6336409, 443, OTHER), HOST, (uint16_t)b.number, port,
					  IPPROTO_UDP };
	struct found_session beyond;

	beyond_put(&b, &other);
	tell_nobody(&b);
	end_session(&b, HOST, slot);
	open_udp(&a, 5000, 7);
	tell();
	retry_after(&b, 1);
	retry_after(&b, 2);
	cr_expect(binding_is_of(*bound(&b, port), OTHER));
	cr_expect(binding_holds(*bound(&b, port), NOW(&b), 4000), "nor is it made to expire");
	cr_expect_eq(b.c->waiting.n, 1);
	cr_assert(found_beyond(b.c, &id, &beyond));
	cr_assert(found_end(b.c, &beyond));
	retry_after(&b, 4);
	retry_after(&b, 8);
	cr_expect(binding_is_of(*bound(&b, port), 5000));
	cr_expect_eq(copying_held(b.c, 1), 1);
	pair_sound();
}
