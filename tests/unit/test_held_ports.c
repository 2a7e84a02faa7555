// SPDX-License-Identifier: BSD-2-Clause
/* Which outside ports other inside ports of a subscriber have. */
#include <criterion/criterion.h>
#include <netinet/in.h>

#include <detnat/binding.h>

#include "sessions/bound_ports.h"
#include "sessions/sessions.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

#define SUBSCRIBER 7U

static struct datapath d;
static struct mappings *m;
static int number;
static uint16_t port_lo;

static void start(uint8_t mapping)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");
	struct error err = { 0 };

	tables_make(&d);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	spec.bindings.mapping = mapping;
	number = tables_add(m, &spec);
	port_lo = mapping_port_lo(&mappings_get(m, number)->geo, SUBSCRIBER);
	tables_set_ticks(&d, 100000);
}

static void put(uint32_t slot, uint8_t proto, uint8_t state, uint16_t in_port, uint32_t offset, uint32_t seen)
{
	struct session s = { .in_addr = tables_addr("10.0.0.7"),
			     .out_port = (uint16_t)(port_lo + offset),
			     .ext_addr = 1,
			     .in_port = in_port,
			     .ext_port = (uint16_t)(100 + slot),
			     .proto = proto,
			     .state = state };

	tables_put(m, s.in_addr, slot, &s, seen);
}

static struct held_ports find(uint16_t in_port, uint8_t proto)
{
	struct held_ports h = { .own = 1 };

	held_ports_find(m, 0, (struct endpoint){ tables_addr("10.0.0.7"), in_port }, proto, &h);
	return h;
}

/* Checks that these are held by others, of all ports; the list ends with -1. */
static void expect_others(const struct held_ports *h, const int *offsets)
{
	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		bool expected = false;

		for (const int *o = offsets; *o >= 0; o++)
			expected |= port == port_lo + (uint32_t)*o;
		cr_assert_eq(held_port(h, (uint16_t)port), expected, "port %u of those from %u", port, port_lo);
	}
}

#define EXPECT_OTHERS(h, ...) expect_others(&(h), (const int[]){ __VA_ARGS__ __VA_OPT__(, ) - 1 })

Test(held_ports, sessions_of_other_inside_ports_hold_theirs)
{
	struct held_ports h;

	start(0);
	put(0, IPPROTO_UDP, SESSION_UDP, 80, 3, 99990);
	put(1, IPPROTO_UDP, SESSION_UDP, 80, 4, 99990);
	put(2, IPPROTO_UDP, SESSION_UDP, 81, 5, 99990);
	put(3, IPPROTO_TCP, SESSION_ESTABLISHED, 81, 6, 99990);
	h = find(80, IPPROTO_UDP);
	EXPECT_OTHERS(h, 5);
	cr_expect_eq(h.own, 0, "a session is no binding");
	h = find(81, IPPROTO_UDP);
	EXPECT_OTHERS(h, 3, 4);
	h = find(80, IPPROTO_TCP);
	EXPECT_OTHERS(h, 6);
}

Test(held_ports, a_session_that_has_expired_or_is_in_time_wait_holds_no_port)
{
	struct held_ports h;

	start(0);
	put(0, IPPROTO_UDP, SESSION_UDP, 80, 3, 1);
	put(1, IPPROTO_TCP, SESSION_TIME_WAIT, 80, 3, 99990);
	h = find(81, IPPROTO_UDP);
	EXPECT_OTHERS(h);
	h = find(81, IPPROTO_TCP);
	EXPECT_OTHERS(h);
}

Test(held_ports, bindings_hold_theirs_and_ones_own_is_told)
{
	struct held_ports h;

	start(BINDING_UDP);
	*mappings_binding(m, number, SUBSCRIBER, IPPROTO_UDP, 3) = binding_entry(80, BINDING_BOUND, 99990);
	*mappings_binding(m, number, SUBSCRIBER, IPPROTO_UDP, 40) =
		binding_entry(81, BINDING_BOUND | BINDING_STRAYED, 99990);
	/* It has expired. */
	*mappings_binding(m, number, SUBSCRIBER, IPPROTO_UDP, 41) = binding_entry(82, BINDING_BOUND, 1);
	h = find(80, IPPROTO_UDP);
	EXPECT_OTHERS(h, 40);
	cr_expect_eq(h.own, port_lo + 3);
	h = find(81, IPPROTO_UDP);
	EXPECT_OTHERS(h, 3);
	cr_expect_eq(h.own, port_lo + 40);
	h = find(82, IPPROTO_UDP);
	EXPECT_OTHERS(h, 3, 40);
	cr_expect_eq(h.own, 0);
	h = find(80, IPPROTO_TCP);
	EXPECT_OTHERS(h);
	cr_expect_eq(h.own, 0);
}

Test(held_ports, an_address_in_no_mapping_has_none)
{
	struct held_ports h = { .own = 1 };

	start(0);
	held_ports_find(m, 0, (struct endpoint){ tables_addr("10.9.0.7"), 80 }, IPPROTO_UDP, &h);
	EXPECT_OTHERS(h);
	cr_expect_eq(h.own, 0);
}
