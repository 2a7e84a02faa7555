/* SPDX-License-Identifier: BSD-2-Clause */
/* The program `session_copies` where mappings are endpoint-independent, and beside portmaps. */
#include <netinet/in.h>

#include <detnat/binding.h>

#include "session_copies_fixture.h"
#include "tables/mapping_changes.h"
#include "tables/portmap_table.h"

/* With endpoint-independent mapping and filtering of UDP. */
static void set_up_bound(void)
{
	copying_spec = copying_default_spec();
	copying_spec.bindings =
		(struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 50 };
	gateway_make(&gateway, NULL);
}

static void tear_down(void)
{
	gateway_free(&gateway);
}

TestSuite(session_copies_bound, .init = set_up_bound, .fini = tear_down);

static uint64_t binding_of_port(uint16_t port)
{
	const struct geometry *geo = &mappings_get(gateway.m, gateway.number)->geo;

	return *mappings_binding(gateway.m, gateway.number, HOST, IPPROTO_UDP, port - mapping_port_lo(geo, HOST));
}

Test(session_copies_bound, a_placed_session_binds_its_port_to_the_inside_port)
{
	uint16_t port = first_port(&gateway, HOST, 5000);
	uint64_t *entry;

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert(binding_is_of(binding_of_port(port), 5000));
	entry = mappings_binding(gateway.m, gateway.number, HOST, IPPROTO_UDP,
				 port - mapping_port_lo(&mappings_get(gateway.m, gateway.number)->geo, HOST));
	*entry = binding_entry(5000, BINDING_BOUND, datapath_ticks(&gateway.d) - 100);
	/* To another external endpoint on the same port; and of another inside port, which cannot have it. */
	cr_assert_eq(place_udp(slot_key(0xc6336408, 443, 5000)), COPY_PLACED);
	cr_assert_lt(datapath_ticks(&gateway.d) - binding_seen(*entry), 100, "it lives on with the newer session");
	cr_assert_eq(place_udp(slot_key(0xc6336409, 443, 5000 + 4032)), COPY_PORT);
	cr_assert_eq(host()->sessions, 2);
	sound();
}

Test(session_copies_bound, an_inside_port_that_has_another_port_keeps_it)
{
	uint16_t port = first_port(&gateway, HOST, 5000);

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert_eq(place(slot_key(0xc6336408, 443, 5000), port ^ 1, IPPROTO_UDP, SESSION_UDP,
			   first_slot(&gateway, slot_key(0xc6336408, 443, 5000), IPPROTO_UDP)),
		     COPY_PORT);
	cr_assert_not(binding_is_bound(binding_of_port(port ^ 1)));
	sound();
}

Test(session_copies_bound, an_expired_binding_is_anothers_only_if_no_session_uses_the_port)
{
	uint16_t port = first_port(&gateway, HOST, 5000);
	uint64_t other = slot_key(0xc6336409, 443, 5000 + 4032);
	uint32_t slot, old = datapath_ticks(&gateway.d) - 5000;
	uint64_t *entry;

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	slot = answered();
	entry = mappings_binding(gateway.m, gateway.number, HOST, IPPROTO_UDP,
				 port - mapping_port_lo(&mappings_get(gateway.m, gateway.number)->geo, HOST));
	*entry = binding_entry(5000, BINDING_BOUND, old);
	cr_assert_eq(place_udp(other), COPY_PORT);
	touch(&gateway, HOST, slot, old);
	cr_assert_eq(place_udp(other), COPY_PLACED);
	cr_assert(binding_is_of(binding_of_port(port), 5000 + 4032));
	sound();
}

Test(session_copies_bound, which_side_has_opened_it_is_noted)
{
	uint32_t slot = first_slot(&gateway, KEY, IPPROTO_UDP);
	struct session_copies *all = gateway.opener.requests;

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert_not(mappings_slot_inbound(gateway.m, gateway.number, HOST, slot));
	cr_assert_eq(mappings_inbound(gateway.m, gateway.number, HOST), 0);
	end_session(&gateway, HOST, slot);
	all->copy[0].inbound = 1;
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_assert_eq(all->copy[0].result, COPY_PLACED);
	cr_assert(mappings_slot_inbound(gateway.m, gateway.number, HOST, slot));
	cr_assert_eq(mappings_inbound(gateway.m, gateway.number, HOST), 1);
	end_session(&gateway, HOST, slot);
	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert_not(mappings_slot_inbound(gateway.m, gateway.number, HOST, slot));
	sound();
}

Test(session_copies_bound, a_copy_is_noted_for_the_slot_that_it_got)
{
	struct session_copies *all = gateway.opener.requests;
	uint32_t slot = second_slot(3), noted = 0;

	cr_assert_eq(place(ONE_MORE, first_port(&gateway, HOST, 0), IPPROTO_UDP, SESSION_UDP, slot), COPY_PLACED);
	end_session(&gateway, HOST, slot);
	all->copy[0].inbound = 1;
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_assert_eq(answered(), slot);
	for (uint32_t i = 0; i < 32; i++)
		noted += mappings_slot_inbound(gateway.m, gateway.number, HOST, i) ? i + 1 : 0;
	cr_assert_eq(noted, slot + 1);
	sound();
}

Test(session_copies_bound, a_session_beyond_the_slots_binds_a_port_of_another_group_and_keeps_it)
{
	uint16_t port = first_port(&gateway, HOST, 5000) ^ 64;

	cr_assert_eq(place_beyond(KEY, port), COPY_PLACED);
	cr_assert(binding_is_of(binding_of_port(port), 5000));
	cr_assert(binding_flags(binding_of_port(port)) & BINDING_STRAYED);
	/* The same inside port on the same port; on its first choice; another inside port. */
	cr_assert_eq(place_beyond(slot_key(0xc6336408, 443, 5000), port), COPY_PLACED);
	cr_assert_eq(place_udp(slot_key(0xc6336409, 443, 5000)), COPY_PORT);
	cr_assert_eq(place_beyond(slot_key(0xc633640a, 443, 5001), port), COPY_PORT);
	cr_assert_eq(host()->sessions, 2);
	sound();
}

/* Its request is told from one of the inside by `inbound` alone. */
Test(session_copies_bound, a_session_beyond_the_slots_that_the_outside_has_opened_is_counted_as_such)
{
	struct session_copies *all = gateway.opener.requests;
	uint16_t port = first_port(&gateway, HOST, 5000) ^ 64;

	cr_assert_eq(place_beyond(KEY, port), COPY_PLACED);
	cr_assert_eq(mappings_inbound(gateway.m, gateway.number, HOST), 0);
	all->copy[0].key = slot_key(0xc6336408, 443, 5000);
	all->copy[0].inbound = 1;
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_assert_eq(all->copy[0].result, COPY_PLACED);
	cr_assert_eq(mappings_inbound(gateway.m, gateway.number, HOST), 1);
	/* What is there already, or has no place, is not counted. */
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_assert_eq(all->copy[0].result, COPY_BEYOND);
	all->copy[0].key = slot_key(0xc633640a, 443, 5001);
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_assert_eq(all->copy[0].result, COPY_PORT);
	cr_assert_eq(mappings_inbound(gateway.m, gateway.number, HOST), 1);
	sound();
}

Test(session_copies_bound, a_session_beyond_the_slots_does_not_take_a_bound_inside_port_elsewhere)
{
	uint16_t port = first_port(&gateway, HOST, 5000);

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert_eq(place_beyond(slot_key(0xc6336408, 443, 5000), port ^ 64), COPY_PORT);
	cr_assert_eq(place_beyond(slot_key(0xc6336408, 443, 5000), port), COPY_PLACED);
	cr_assert_not(binding_is_bound(binding_of_port(port ^ 64)));
	sound();
}

Test(session_copies_bound, any_port_of_a_group_is_bound)
{
	for (uint16_t i = 0; i < PORT_GROUP; i++) {
		cr_assert_eq(place_udp(slot_key(0xc6336407, 443, 5000 + i)), COPY_PLACED);
		cr_assert(binding_is_of(binding_of_port(first_port(&gateway, HOST, 5000 + i)), 5000 + i));
		cr_assert_eq(place_udp(slot_key(0xc6336408, 443, 5000 + i)), COPY_PLACED);
	}
	sound();
}

/* Sessions from before the mapping had bindings have their ports towards everybody from then on. */
static void set_up_late(void)
{
	copying_spec = copying_default_spec();
	gateway_make(&gateway, NULL);
}

Test(session_copies_bound, a_port_of_a_session_from_before_is_bound_first, .init = set_up_late)
{
	struct error err = { 0 };
	int r;

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	copying_spec.bindings = (struct binding_layout){ .mapping = BINDING_UDP, .inbound = 50 };
	cr_assert_eq(mappings_update_begin(gateway.m, &copying_spec, &err), 0, "%s", err.text);
	while ((r = mappings_update_step(gateway.m, &copying_spec, &err)) > 0)
		;
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(mappings_update(gateway.m, &copying_spec), 0);
	cr_assert_eq(place_udp(slot_key(0xc6336408, 443, 5000 + 4032)), COPY_PORT);
	cr_assert(binding_is_of(binding_of_port(first_port(&gateway, HOST, 5000)), 5000));
	sound();
}

Test(session_copies_bound, a_port_that_a_portmap_holds_is_refused)
{
	uint16_t port = first_port(&gateway, HOST, 5000);
	struct portmap m = { .in = { 0x0a000000 + HOST, 9999 }, .proto = IPPROTO_UDP };
	struct portmaps *portmaps;
	struct error err = { 0 };

	m.out = (struct endpoint){ mapping_out_addr(&mappings_get(gateway.m, gateway.number)->geo, HOST), port };
	cr_assert_eq(portmaps_open(gateway.m, &portmaps, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	cr_assert_eq(place_udp(KEY), COPY_PORT);
	cr_assert_eq(place_beyond(slot_key(0xc6336407, 443, 6000), port), COPY_PORT);
	cr_assert_not(binding_is_bound(binding_of_port(port)));
	/* The next port is free, and so is this one to other protocols. */
	cr_assert_eq(place_udp(slot_key(0xc6336407, 443, 5001)), COPY_PLACED);
	cr_assert_eq(place(KEY, port, IPPROTO_TCP, SESSION_ESTABLISHED, first_slot(&gateway, KEY, IPPROTO_TCP)),
		     COPY_PLACED);
	cr_assert_eq(portmaps_del(portmaps, IPPROTO_UDP, m.out), 0);
	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	portmaps_close(portmaps);
	sound();
}
