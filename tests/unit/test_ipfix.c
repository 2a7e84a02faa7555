/* SPDX-License-Identifier: BSD-2-Clause */
/* The exporter against a collector on the loopback, by UDP. */
#include "ipfix_fixture.h"

#include "base/address_ranges.h"
#include "ipfix/bindings.h"
#include "plan/blocks.h"

TestSuite(ipfix, .init = exporter_set_up, .fini = exporter_tear_down);

Test(ipfix, templates_come_before_the_first_record_and_count_in_no_sequence)
{
	quota_events(2, NOW_MS);
	EXPECT_NOTHING(&collector);
	ipfix_tick(exporter, NOW_MS + 300);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 2 });
	quota_events(1, NOW_MS + 400);
	ipfix_event(exporter, &ports_event, NOW_MS + 500);
	ipfix_tick(exporter, NOW_MS + 1300);
	EXPECT(&collector, { 256, 2, 1 }, { 257, 3, 1 });
	ipfix_flush(exporter, NOW_MS + 2000);
	EXPECT(&collector, { 2, 4, QUOTA | PORTS });
	expect_figures(4, 5, 0);
}

Test(ipfix, header_bears_the_time_of_sending_and_the_domain)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS + 2500);
	cr_assert(receive(&collector));
	cr_assert_eq(number_at(4, 4), 1700000002);
	cr_assert_eq(number_at(12, 4), 1);
}

Test(ipfix, quiet_exporter_sends_nothing_by_itself_and_templates_at_a_flush)
{
	ipfix_tick(exporter, NOW_MS);
	ipfix_tick(exporter, NOW_MS + 700000);
	EXPECT_NOTHING(&collector);
	ipfix_flush(exporter, NOW_MS + 700000);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS });
	/* They need not come again with the first record. */
	quota_events(1, NOW_MS + 700000);
	ipfix_tick(exporter, NOW_MS + 701000);
	EXPECT(&collector, { 256, 0, 1 });
}

Test(ipfix, flush_sends_what_was_gathered)
{
	quota_events(1, NOW_MS);
	ipfix_flush(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
}

Test(ipfix, templates_come_again_after_the_interval_while_records_flow)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	quota_events(1, NOW_MS + 599999);
	ipfix_tick(exporter, NOW_MS + 599999);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 }, { 256, 1, 1 });
	ipfix_tick(exporter, NOW_MS + 800000);
	EXPECT_NOTHING(&collector);
	quota_events(1, NOW_MS + 800001);
	ipfix_tick(exporter, NOW_MS + 800001);
	EXPECT(&collector, { 2, 2, QUOTA | PORTS }, { 256, 2, 1 });
	quota_events(1, NOW_MS + 800002);
	ipfix_tick(exporter, NOW_MS + 1400000);
	EXPECT(&collector, { 256, 3, 1 });
	quota_events(1, NOW_MS + 1400001);
	ipfix_tick(exporter, NOW_MS + 1400001);
	EXPECT(&collector, { 2, 4, QUOTA | PORTS }, { 256, 4, 1 });
}

Test(ipfix, clock_set_back_does_not_hold_templates_back)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	/* Read a little apart is not set back. */
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS - 1);
	EXPECT(&collector, { 256, 1, 1 });
	ipfix_tick(exporter, NOW_MS - 3600000);
	quota_events(1, NOW_MS - 3600000);
	ipfix_tick(exporter, NOW_MS - 3600000);
	EXPECT(&collector, { 2, 2, QUOTA | PORTS }, { 256, 2, 1 });
}

Test(ipfix, only_events_asked_for_are_reported_and_have_templates)
{
	struct config_ipfix c = exporter_settings();

	ipfix_event(exporter, &opened_event, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
	c.events = IPFIX_SESSIONS;
	configure(c);
	ipfix_event(exporter, &quota_event, NOW_MS);
	ipfix_event(exporter, &opened_event, NOW_MS);
	ipfix_event(exporter, &closed_event, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, SESSION }, { 258, 0, 2 });
}

Test(ipfix, exporter_of_no_event_sends_nothing)
{
	struct config_ipfix c = exporter_settings();

	c.events = 0;
	configure(c);
	quota_events(1, NOW_MS);
	ipfix_flush(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
}

Test(ipfix, templates_that_do_not_fit_one_message_take_two)
{
	struct config_ipfix c = exporter_settings();

	c.events = IPFIX_QUOTA | IPFIX_PORTS | IPFIX_SESSIONS;
	c.path_mtu = 136;
	configure(c);
	ipfix_flush(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS | SESSION });
	c.path_mtu = 135;
	configure(c);
	ipfix_flush(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 2, 0, SESSION });
}

Test(ipfix, messages_are_as_full_as_the_path_mtu_allows)
{
	static const struct {
		uint32_t path_mtu;
		const struct nat_event *event;
		uint32_t set;
		unsigned records;
		size_t length;
	} rows[] = {
		{ 512, &quota_event, 256, 22, 482 },	   { 512, &ports_event, 257, 25, 470 },
		{ 512, &opened_event, 258, 16, 468 },	   { 128, &quota_event, 256, 3, 83 },
		{ 128, &ports_event, 257, 4, 92 },	   { 128, &opened_event, 258, 2, 76 },
		{ 510, &quota_event, 256, 22, 482 },	   { 509, &quota_event, 256, 21, 461 },
		{ 65535, &quota_event, 256, 3118, 65498 }, { 65535, &opened_event, 258, 2338, 65484 },
	};
	struct config_ipfix c = exporter_settings();

	c.events = IPFIX_QUOTA | IPFIX_PORTS | IPFIX_SESSIONS;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		c.path_mtu = rows[i].path_mtu;
		c.domain_id = (uint32_t)i + 100;
		configure(c);
		/* The last of them sends the message, before any tick. */
		for (unsigned n = 0; n < rows[i].records; n++) {
			EXPECT_NOTHING(&collector);
			ipfix_event(exporter, rows[i].event, NOW_MS);
		}
		for (uint32_t templates = 0; templates != (QUOTA | PORTS | SESSION);
		     templates |= content_of_message(2)) {
			cr_assert(receive(&collector));
			cr_assert_eq(number_at(16, 2), 2);
			cr_assert_leq(received.length + 28, rows[i].path_mtu);
		}
		cr_assert(receive(&collector), "row %zu", i);
		cr_assert_eq(number_at(16, 2), rows[i].set);
		cr_assert_eq(received.length, rows[i].length, "row %zu: %zu octets", i, received.length);
		EXPECT_NOTHING(&collector);
	}
}

Test(ipfix, sequence_belongs_to_the_domain)
{
	struct config_ipfix c = exporter_settings();

	quota_events(3, NOW_MS);
	c.domain_id = 2;
	configure(c); /* sends the three by the old settings */
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 3 });
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	cr_assert(receive(&collector));
	cr_assert_eq(number_at(12, 4), 2);
	EXPECT(&collector, { 256, 0, 1 });
	c.domain_id = 1;
	configure(c);
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 3, QUOTA | PORTS }, { 256, 3, 1 });
	expect_figures(5, 6, 0);
}

Test(ipfix, new_collector_gets_templates_first_and_the_old_one_what_was_gathered)
{
	struct collector other = collector_at(0);
	struct config_ipfix c = exporter_settings();

	quota_events(1, NOW_MS);
	c.collectors[0].at = other.at;
	configure(c);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&other, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	EXPECT_NOTHING(&collector);
	close(other.fd);
}

Test(ipfix, same_settings_again_change_nothing)
{
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	quota_events(1, NOW_MS);
	configure(exporter_settings());
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 256, 1, 1 });
}

Test(ipfix, disabled_exporter_sends_what_it_has_and_no_more)
{
	struct config_ipfix off = { 0 };

	quota_events(1, NOW_MS);
	configure(off);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	ipfix_flush(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
	configure(exporter_settings());
	quota_events(1, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 1, QUOTA | PORTS }, { 256, 1, 1 });
	expect_figures(2, 4, 0);
}

Test(ipfix, freed_exporter_sends_what_it_has)
{
	struct ipfix *x;
	struct config_ipfix c = exporter_settings();

	cr_assert_eq(ipfix_new(&x), 0);
	cr_assert_eq(ipfix_configure(x, &c, &error), 0);
	ipfix_event(x, &quota_event, NOW_MS);
	ipfix_free(x);
	EXPECT(&collector, { 2, 0, QUOTA | PORTS }, { 256, 0, 1 });
}

static struct geometry geometry_of(struct prefix in, struct prefix out, const struct plan_blocks *blocks)
{
	struct geometry g;

	cr_assert_eq(plan_blocks_geometry(in, out, blocks, &g), 0);
	return g;
}

static const struct plan_blocks usual;

Test(ipfix, bindings_of_mappings_are_told_over_several_ticks)
{
	const struct prefix in = { 0x0a000000, 16 }, out = { 0x01010100, 28 };
	const struct geometry large = geometry_of(in, out, &usual), small = geometry_of(out, out, &usual);
	struct config_ipfix c = exporter_settings();

	ipfix_mapping(exporter, &large, address_range_of(in), 0, true, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);

	c.events = IPFIX_ADDRESSES;
	configure(c);
	ipfix_mapping(exporter, &large, address_range_of(in), 0, true, NOW_MS);
	ipfix_mapping(exporter, &small, address_range_of(out), 0, false, NOW_MS);
	for (unsigned ticks = 0; ticks <= 4; ticks++) {
		unsigned records = ticks * IPFIX_BINDINGS_PER_TICK;

		cr_assert_eq(ipfix_figures(exporter).records_sent, records < 65552 ? records : 65552);
		ipfix_tick(exporter, NOW_MS + 1000 * ticks);
	}
}

static struct nat_event portmap_at(uint8_t type, uint16_t in_port, uint16_t out_port)
{
	return (struct nat_event){ .type = type,
				   .proto = IPPROTO_TCP,
				   .in_addr = 0x0a000002,
				   .out_addr = 0x01010100,
				   .in_port = in_port,
				   .out_port = out_port };
}

static void expect_port(struct ipfix_bindings *b, struct nat_event wanted, uint64_t wanted_ms)
{
	struct nat_event e;
	uint64_t wall_ms;

	cr_assert(ipfix_bindings_next(b, &e, &wall_ms));
	cr_expect_eq(e.type, wanted.type);
	cr_expect_eq(e.in_addr, wanted.in_addr);
	cr_expect_eq(e.out_addr, wanted.out_addr);
	cr_expect_eq(e.in_port, wanted.in_port);
	cr_expect_eq(e.out_port, wanted.out_port);
	cr_expect_eq(e.proto, IPPROTO_TCP);
	cr_expect_eq(wall_ms, wanted_ms);
}

Test(ipfix, ports_of_a_portmap_take_one_place_and_keep_their_order)
{
	struct ipfix_bindings b = { 0 };
	struct nat_event e;
	uint64_t wall_ms;

	for (uint16_t port = 0; port < 1000; port++) {
		e = portmap_at(EVENT_PORTMAP_MADE, (uint16_t)(8000 + port), (uint16_t)(1 + port));
		ipfix_bindings_add_portmap(&b, &e, NOW_MS);
	}
	cr_assert_eq(b.n, 1);
	/* Of another time, another distance, and another kind. */
	e = portmap_at(EVENT_PORTMAP_MADE, 9000, 1001);
	ipfix_bindings_add_portmap(&b, &e, NOW_MS + 1);
	e = portmap_at(EVENT_PORTMAP_MADE, 9001, 1003);
	ipfix_bindings_add_portmap(&b, &e, NOW_MS + 1);
	e = portmap_at(EVENT_PORTMAP_ENDED, 9002, 1004);
	ipfix_bindings_add_portmap(&b, &e, NOW_MS + 1);
	cr_assert_eq(b.n, 4);
	for (uint16_t port = 0; port < 1000; port++)
		expect_port(&b, portmap_at(EVENT_PORTMAP_MADE, (uint16_t)(8000 + port), (uint16_t)(1 + port)), NOW_MS);
	expect_port(&b, portmap_at(EVENT_PORTMAP_MADE, 9000, 1001), NOW_MS + 1);
	expect_port(&b, portmap_at(EVENT_PORTMAP_MADE, 9001, 1003), NOW_MS + 1);
	expect_port(&b, portmap_at(EVENT_PORTMAP_ENDED, 9002, 1004), NOW_MS + 1);
	cr_assert_not(ipfix_bindings_next(&b, &e, &wall_ms));
	ipfix_bindings_clear(&b);
}

Test(ipfix, binding_has_the_blocks_of_its_mapping)
{
	const struct prefix in = { 0x0a000000, 21 }, out = { 0x01010100, 26 };
	const struct plan_blocks netmap = { 32, 1536, 2000, 2000, 1 }, by_33 = { 33, 1024, 1954, 1954, 0 };
	const struct geometry g = geometry_of(in, out, &netmap), h = geometry_of(in, out, &by_33);
	struct ipfix_bindings b = { 0 };
	struct nat_event e;
	uint64_t wall_ms;

	ipfix_bindings_add(&b, &g, address_range_of(in), 0, false, NOW_MS);
	ipfix_bindings_add(&b, &h, (struct address_range){ in.base + 30, in.base + 70 }, 0, true, NOW_MS);
	for (uint32_t i = 0; i < 2048; i++) {
		cr_assert(ipfix_bindings_next(&b, &e, &wall_ms));
		cr_assert_eq(e.type, EVENT_ADDRESS_UNBOUND);
		cr_assert_eq(e.in_addr, in.base + i);
		cr_assert_eq(e.out_addr, out.base + i % 64);
		cr_assert_eq(e.out_port, 1536 + i / 64 * 2000);
		cr_assert_eq(e.ext_port, 1536 + i / 64 * 2000 + 1999);
	}
	for (uint32_t i = 30; i <= 70; i++) {
		cr_assert(ipfix_bindings_next(&b, &e, &wall_ms));
		cr_assert_eq(e.in_addr, in.base + i);
		cr_assert_eq(e.out_addr, out.base + i / 33);
		cr_assert_eq(e.out_port, 1024 + i % 33 * 1954);
		cr_assert_eq(e.ext_port, 1024 + i % 33 * 1954 + 1953);
	}
	cr_assert_not(ipfix_bindings_next(&b, &e, &wall_ms));
	ipfix_bindings_clear(&b);
}

/* Address and block have the meaning of "forward": all ports but 0 where the address is one subscriber's alone. */
Test(ipfix, binding_of_an_open_address_has_all_ports_but_0)
{
	const struct prefix in = { 0x0a000000, 30 }, out = { 0x01010100, 30 };
	struct geometry g = geometry_of(in, out, &usual);
	struct ipfix_bindings b = { 0 };
	struct nat_event e;
	uint64_t wall_ms;

	g.flags |= MAPPING_OPEN;
	ipfix_bindings_add(&b, &g, address_range_of(in), 0, true, NOW_MS);
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert(ipfix_bindings_next(&b, &e, &wall_ms));
		cr_assert_eq(e.out_addr, out.base + i);
		cr_assert_eq(e.out_port, 1);
		cr_assert_eq(e.ext_port, 65535);
	}
	cr_assert_not(ipfix_bindings_next(&b, &e, &wall_ms));
}

Test(ipfix, portmaps_are_told_where_the_settings_ask_for_them)
{
	struct config_ipfix c = exporter_settings();
	struct nat_event e = portmap_at(EVENT_PORTMAP_MADE, 8443, 443);

	ipfix_portmap(exporter, &e, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT_NOTHING(&collector);
	c.events = IPFIX_PORTMAPS;
	configure(c);
	ipfix_portmap(exporter, &e, NOW_MS);
	ipfix_tick(exporter, NOW_MS);
	EXPECT(&collector, { 2, 0, PORTMAPS }, { 261, 0, 1 });
}

Test(ipfix, binding_has_the_mappings_arithmetic)
{
	const struct prefix in = { 0x0a000000, 16 }, out = { 0x01010100, 28 }, one = { 0xc0000201, 32 };
	const struct geometry large = geometry_of(in, out, &usual), alone = geometry_of(one, one, &usual);
	struct ipfix_bindings b = { 0 };
	struct nat_event e;
	uint64_t wall_ms;

	ipfix_bindings_add(&b, &large, address_range_of(in), 0, true, NOW_MS);
	ipfix_bindings_add(&b, &alone, address_range_of(one), 0, false, NOW_MS + 1);
	for (uint32_t i = 0; i < 65536; i++) {
		cr_assert(ipfix_bindings_next(&b, &e, &wall_ms));
		cr_assert_eq(e.type, EVENT_ADDRESS_BOUND);
		cr_assert_eq(e.in_addr, in.base + i);
		cr_assert_eq(e.out_addr, out.base + i / 4096);
		cr_assert_eq(wall_ms, NOW_MS);
	}
	cr_assert(ipfix_bindings_next(&b, &e, &wall_ms));
	cr_assert_eq(e.type, EVENT_ADDRESS_UNBOUND);
	cr_assert_eq(e.in_addr, one.base);
	cr_assert_eq(e.out_addr, one.base);
	cr_assert_eq(wall_ms, NOW_MS + 1);
	cr_assert_not(ipfix_bindings_next(&b, &e, &wall_ms));
	ipfix_bindings_clear(&b);
}
