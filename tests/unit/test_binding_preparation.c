// SPDX-License-Identifier: BSD-2-Clause
/* Bindings prepared in slices, while sessions go on, before a mapping gets them. */
#include <criterion/criterion.h>
#include <netinet/in.h>

#include <detnat/binding.h>

#include "sessions/bound_ports.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_bindings.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

static struct datapath d;
static struct mappings *m;
static int number;

static struct mapping_spec spec_with(uint8_t mapping)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");

	spec.bindings = (struct binding_layout){ .mapping = mapping, .filtering = mapping & 3, .inbound = 25 };
	return spec;
}

static void setup(void)
{
	struct mapping_spec spec = spec_with(0);
	struct error err = { 0 };

	tables_make(&d);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	number = tables_add(m, &spec);
	tables_set_ticks(&d, 1010);
}

TestSuite(binding_preparation, .init = setup, .timeout = 300);

static void make_room(const struct mapping_spec *spec)
{
	struct error err = { 0 };
	int r = mappings_update_begin(m, spec, &err);

	cr_assert_eq(r, 0, "%s", err.text);
	while ((r = mappings_update_step(m, spec, &err)) > 0)
		;
	cr_assert_eq(r, 0, "%s", err.text);
}

static void prepare(uint8_t mapping)
{
	struct mapping_spec spec = spec_with(mapping);
	struct error err = { 0 };
	int r;

	make_room(&spec);
	while ((r = mappings_update_prepare(m, &spec, &err)) > 0)
		;
	cr_assert_eq(r, 0, "%s", err.text);
}

static void finish(uint8_t mapping)
{
	struct mapping_spec spec = spec_with(mapping);

	cr_assert_eq(mappings_update(m, &spec), 0);
}

/* Puts a session of a subscriber into a slot, as the datapath does: the lock has another number afterwards. */
static void put(uint32_t subscriber, uint8_t proto, uint32_t slot, uint16_t in_port, uint32_t offset)
{
	const struct geometry *g = &mappings_get(m, number)->geo;
	struct session s = { .in_addr = g->in_base + subscriber,
			     .ext_addr = 1,
			     .in_port = in_port,
			     .ext_port = 53,
			     .proto = proto,
			     .state = proto == IPPROTO_UDP ? SESSION_UDP : SESSION_ESTABLISHED };

	s.out_port = (uint16_t)(mapping_port_lo(g, subscriber) + offset);
	tables_put(m, s.in_addr, slot, &s, 1005);
	mappings_subscriber(m, number, subscriber)->lock += 2;
}

static uint64_t entry(uint32_t subscriber, uint8_t proto, uint32_t offset)
{
	uint64_t *at = mappings_binding(m, number, subscriber, proto, offset);

	return at ? *at : 0;
}

static uint32_t listed(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 256; i++)
		n += bindings_count(m, tables_addr("10.0.0.0") + i);
	return n;
}

#define BOUND(in_port) binding_entry(in_port, BINDING_BOUND, 1005)

Test(binding_preparation, goes_in_slices_and_shows_nothing_before_the_end)
{
	struct mapping_spec spec = spec_with(BINDING_UDP);
	struct binding_layout wanted;
	unsigned slices = 1;

	for (uint32_t i = 0; i < 256; i++)
		put(i, IPPROTO_UDP, 0, (uint16_t)(100 + i), 3);
	make_room(&spec);
	wanted = mapping_bindings_layout(m->table[number], &spec.bindings);
	/* A time that has come already. */
	while (binding_preparation_step(m->table[number], &wanted, 0) == 1) {
		slices++;
		cr_assert_eq(d.mapping[number].bindings.mapping, 0);
		cr_assert_eq(listed(), 0);
	}
	cr_expect_geq(slices, 8, "%u slices", slices);
	finish(BINDING_UDP);
	cr_expect_eq(d.mapping[number].bindings.mapping, BINDING_UDP);
	cr_expect_eq(listed(), 256);
	for (uint32_t i = 0; i < 256; i++)
		cr_assert_eq(entry(i, IPPROTO_UDP, 3), BOUND((uint16_t)(100 + i)), "subscriber %u", i);
}

Test(binding_preparation, sessions_opened_meanwhile_are_bound)
{
	put(7, IPPROTO_UDP, 0, 80, 3);
	prepare(BINDING_UDP);
	put(7, IPPROTO_UDP, 1, 81, 4);
	put(8, IPPROTO_UDP, 0, 82, 5);
	finish(BINDING_UDP);
	cr_expect_eq(entry(7, IPPROTO_UDP, 3), BOUND(80));
	cr_expect_eq(entry(7, IPPROTO_UDP, 4), BOUND(81));
	cr_expect_eq(entry(8, IPPROTO_UDP, 5), BOUND(82));
}

Test(binding_preparation, a_slice_in_the_middle_of_an_opening_is_looked_at_again)
{
	struct subscriber *s = mappings_subscriber(m, number, 7);

	s->lock = 3;
	prepare(BINDING_UDP);
	put(7, IPPROTO_UDP, 0, 80, 3);
	s->lock = 3;
	finish(BINDING_UDP);
	cr_expect_eq(entry(7, IPPROTO_UDP, 3), BOUND(80), "the lock was held, and is");
}

Test(binding_preparation, those_that_nothing_has_changed_are_passed_over)
{
	prepare(BINDING_UDP);
	put(7, IPPROTO_UDP, 0, 80, 3);
	mappings_subscriber(m, number, 7)->lock -= 2;
	finish(BINDING_UDP);
	cr_expect_eq(entry(7, IPPROTO_UDP, 3), 0);
}

Test(binding_preparation, an_update_without_one_does_it_all)
{
	struct mapping_spec spec = spec_with(BINDING_UDP);

	put(7, IPPROTO_UDP, 0, 80, 3);
	make_room(&spec);
	finish(BINDING_UDP);
	cr_expect_eq(entry(7, IPPROTO_UDP, 3), BOUND(80));
}

Test(binding_preparation, one_that_is_under_way_is_completed)
{
	struct mapping_spec spec = spec_with(BINDING_UDP);
	struct binding_layout wanted;

	make_room(&spec);
	wanted = mapping_bindings_layout(m->table[number], &spec.bindings);
	cr_assert_eq(binding_preparation_step(m->table[number], &wanted, 0), 1);
	put(0, IPPROTO_UDP, 0, 80, 3);
	put(255, IPPROTO_UDP, 0, 81, 3);
	finish(BINDING_UDP);
	cr_expect_eq(entry(0, IPPROTO_UDP, 3), BOUND(80));
	cr_expect_eq(entry(255, IPPROTO_UDP, 3), BOUND(81));
}

Test(binding_preparation, ports_that_are_bound_meanwhile_are_taken_along)
{
	prepare(BINDING_UDP);
	finish(BINDING_UDP);
	prepare(BINDING_UDP | BINDING_TCP);
	*mappings_binding(m, number, 7, IPPROTO_UDP, 9) = BOUND(90);
	mappings_subscriber(m, number, 7)->lock += 2;
	finish(BINDING_UDP | BINDING_TCP);
	cr_expect_eq(entry(7, IPPROTO_UDP, 9), BOUND(90));
}

/* The memory stays with the mapping, and what was written there counts for nothing. */
Test(binding_preparation, one_that_is_given_up_leaves_nothing)
{
	struct mapping_spec spec = spec_with(BINDING_UDP | BINDING_TCP);

	put(7, IPPROTO_TCP, 0, 80, 3);
	prepare(BINDING_UDP | BINDING_TCP);
	mappings_update_abort(m, &spec);
	cr_expect_null(m->table[number]->preparation.lock);
	cr_expect_eq(listed(), 0);
	/* The session has ended, its port is another's. */
	put(7, IPPROTO_TCP, 0, 81, 3);
	mappings_subscriber(m, number, 7)->lock -= 2;
	prepare(BINDING_UDP | BINDING_TCP);
	finish(BINDING_UDP | BINDING_TCP);
	cr_expect_eq(entry(7, IPPROTO_TCP, 3), BOUND(81));
	cr_expect_eq(listed(), 1);
}

/* Turned off and on again, the table is the one that is in use for other protocols. */
Test(binding_preparation, in_a_table_that_is_in_use_nothing_is_listed_before_the_end)
{
	put(7, IPPROTO_TCP, 0, 80, 3);
	prepare(BINDING_UDP | BINDING_TCP);
	finish(BINDING_UDP | BINDING_TCP);
	cr_assert_eq(listed(), 1);
	finish(BINDING_UDP);
	cr_expect_eq(listed(), 0, "it is off");
	prepare(BINDING_UDP | BINDING_TCP);
	cr_expect_eq(listed(), 0);
	finish(BINDING_UDP | BINDING_TCP);
	cr_expect_eq(listed(), 1);
}

Test(binding_preparation, another_change_begins_anew)
{
	put(7, IPPROTO_UDP, 0, 80, 3);
	put(7, IPPROTO_TCP, 1, 80, 4);
	prepare(BINDING_UDP | BINDING_ICMP);
	prepare(BINDING_TCP | BINDING_ICMP);
	finish(BINDING_TCP | BINDING_ICMP);
	cr_expect_eq(entry(7, IPPROTO_TCP, 4), BOUND(80));
	cr_expect_eq(entry(7, IPPROTO_UDP, 3), 0);
	cr_expect_eq(listed(), 1);
}

Test(binding_preparation, an_update_to_another_layout_passes_over_nobody)
{
	put(7, IPPROTO_TCP, 1, 80, 4);
	prepare(BINDING_UDP);
	finish(BINDING_TCP);
	cr_expect_eq(entry(7, IPPROTO_TCP, 4), BOUND(80));
	cr_expect_eq(listed(), 1);
}

Test(binding_preparation, one_that_has_ended_is_none_for_the_next)
{
	put(7, IPPROTO_UDP, 0, 80, 3);
	for (int times = 0; times < 2; times++) {
		prepare(BINDING_UDP);
		finish(BINDING_UDP);
		cr_expect_eq(entry(7, IPPROTO_UDP, 3), BOUND(80));
		cr_expect_null(m->table[number]->preparation.lock);
		finish(0);
		cr_expect_eq(listed(), 0);
	}
}

static void start_again(void)
{
	struct error err = { 0 };

	mappings_close(m);
	d.reused = true;
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
}

/* In memory of its own, and in a table that is in use. */
Test(binding_preparation, an_agent_that_ends_meanwhile_leaves_nothing)
{
	put(7, IPPROTO_TCP, 0, 80, 3);
	for (int times = 0; times < 2; times++) {
		prepare(BINDING_UDP | BINDING_TCP);
		start_again();
		cr_expect_eq(listed(), 0);
		/* The session has ended, its port is another's. */
		put(7, IPPROTO_TCP, 0, 81, 3);
		prepare(BINDING_UDP | BINDING_TCP);
		finish(BINDING_UDP | BINDING_TCP);
		cr_expect_eq(entry(7, IPPROTO_TCP, 3), BOUND(81));
		finish(BINDING_UDP);
		put(7, IPPROTO_TCP, 0, 80, 3);
	}
}
