// SPDX-License-Identifier: BSD-2-Clause
/* Packets of strangers, counted by pool address where they are dropped: which, to the packet, and none while that is
 * off. */
#include <string.h>

#include <criterion/criterion.h>

#include "attacks/rates.h"
#include "icmp_frame.h"
#include "portmap_fixture.h"

static struct rates rates;

static void strangers_set_up(void)
{
	struct error err;

	portmap_set_up();
	cr_assert_eq(datapath_strangers_make(&datapath, &err), 0, "%s", err.text);
	settings.attack = 1;
	reload_settings();
	cr_assert_eq(rates_begin(&rates, mappings), 0);
}

static void strangers_tear_down(void)
{
	rates_end(&rates, mappings);
	portmap_tear_down();
}

TestSuite(strangers, .init = strangers_set_up, .fini = strangers_tear_down);

/* Packets to an address since the last look, which a second is said to have passed since. */
static uint32_t counted_for(uint32_t addr)
{
	int64_t place = rates_place(&rates, mappings_find_outside(mappings, addr), addr);

	cr_assert_geq(place, 0);
	return rates.rate[place];
}

static void expect_counted(uint32_t first, uint32_t second)
{
	rates_read(&rates, mappings, 1000000);
	cr_expect_eq(counted_for(POOL), first, "%u instead of %u", counted_for(POOL), first);
	cr_expect_eq(counted_for(POOL + 1), second, "%u instead of %u", counted_for(POOL + 1), second);
	cr_expect_eq(counted_for(POOL + 3), 0, "one that nothing was sent to");
}

#define STRANGER ADDR(192, 0, 3, 77)
#define TO(dst_) .from = ROUTER, .to = GATEWAY_OUT, .src = STRANGER, .dst = dst_

Test(strangers, every_kind_counts_for_its_address)
{
	static const struct row rows[] = {
		{ "UDP to a port of a block", XDP_OUTSIDE, { TO(POOL), UDP, 9, PORT_LO }, DROPPED(drop_no_session) },
		{ "to another address", XDP_OUTSIDE, { TO(POOL + 1), UDP, 9, PORT_LO }, DROPPED(drop_no_session) },
		{ "to a port of no block", XDP_OUTSIDE, { TO(POOL), UDP, 9, 80 }, DROPPED(drop_no_session) },
		{ "TCP", XDP_OUTSIDE, { TO(POOL), TCP, 9, PORT_LO, .flags = 2 }, DROPPED(drop_no_session) },
		{ "an echo request", XDP_OUTSIDE, { TO(POOL), ICMP, 5, 0 }, DROPPED(drop_no_session) },
		{ "GRE", XDP_OUTSIDE, { TO(POOL), 47, .payload = 20 }, DROPPED(drop_protocol) },
		{ "a portmap whose filters leave it out",
		  XDP_OUTSIDE,
		  { TO(POOL), TCP, 9, WEB, .flags = 2 },
		  DROPPED(drop_portmap_filter) },
		{ "a martian",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ADDR(127, 0, 0, 1), .dst = POOL, UDP, 9, PORT_LO },
		  DROPPED(drop_martian) },
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	filter_port(TCP, WEB, EXTERNAL, 32, 0);
	RUN_ROWS(rows);
	expect_counted(7, 1);
	expect_counted(0, 0);
}

Test(strangers, an_icmp_error_about_no_session_counts)
{
	static const struct icmp_row rows[] = {
		{ "unreachable",
		  XDP_OUTSIDE,
		  { TO(POOL), 3, 3, .quote = { .src = POOL, .dst = EXTERNAL, UDP, PORT_LO, 54 } },
		  DROPPED(drop_no_session) },
	};

	RUN_ICMP_ROWS(rows);
	expect_counted(1, 0);
}

Test(strangers, a_later_fragment_of_nothing_counts)
{
	const struct frame f = { TO(POOL), UDP, 9, PORT_LO, .payload = 1600 };
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	frame_build(&f, whole);
	size = frame_fragment(whole, 5, 800, 1608, false, in);
	run_frame_counted("of nothing", XDP_OUTSIDE, in, size, out, &size, DROP_XDP, REASON_drop_fragment);
	expect_counted(1, 0);
}

/* A session, and its answer. */
static const struct row session_rows[] = {
	{ "opens",
	  XDP_INSIDE,
	  { FROM_HOST, UDP, 6304, 53 },
	  REDIRECT_XDP,
	  { TO_ROUTER, UDP, OUT_PORT(6304, 2), 53 },
	  REASON_in2out_translated },
	{ "the answer",
	  XDP_OUTSIDE,
	  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2) },
	  REDIRECT_XDP,
	  { TO_HOST, UDP, 53, 6304 },
	  REASON_out2in_translated },
};

Test(strangers, what_has_a_session_or_comes_from_inside_does_not_count)
{
	static const struct row rows[] = {
		{ "a hairpin to a port of no session",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL + 1, UDP, 6304, PORT_LO },
		  DROPPED(drop_no_session) },
	};

	RUN_ROWS(session_rows);
	RUN_ROWS(rows);
	expect_counted(0, 0);
}

Test(strangers, nothing_counts_while_it_is_off)
{
	static const struct row rows[] = {
		{ "UDP", XDP_OUTSIDE, { TO(POOL), UDP, 9, PORT_LO }, DROPPED(drop_no_session) },
	};

	settings.attack = 0;
	reload_settings();
	RUN_ROWS(rows);
	expect_counted(0, 0);
}

Test(strangers, a_pool_that_comes_later_counts_and_one_that_goes_does_not)
{
	struct mapping_spec spec = { .in = { ADDR(10, 1, 0, 0), 24 },
				     .out = { ADDR(192, 88, 0, 0), 27 },
				     .sessions_per_user = 100,
				     .session_slots = 16 };
	const uint32_t last = spec.out.base + 31;
	const struct frame f = { TO(last), UDP, 9, PORT_LO };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	make_mapping(&spec, NULL);
	cr_expect(!rates_fit(&rates, mappings));
	cr_assert_eq(rates_begin(&rates, mappings), 0);
	cr_expect(rates_fit(&rates, mappings));
	run_frame_counted("to the new one", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_no_session);
	rates_read(&rates, mappings, 500000);
	cr_expect_eq(counted_for(last), 2, "one packet in half a second");
	cr_expect_eq(counted_for(last - 16), 0);
	expect_counted(0, 0);
	cr_expect_eq(rates_place(&rates, mappings_find_outside(mappings, last), last + 1), -1);
	mappings_del_of(mappings, 0, spec.in, spec.out);
	cr_expect(!rates_fit(&rates, mappings));
	cr_assert_eq(rates_begin(&rates, mappings), 0);
	expect_counted(0, 0);
}

static uint32_t counted_for_host(uint32_t in_addr)
{
	const struct mapping *m = mappings_get(mappings, mappings_find_any(mappings, in_addr));
	uint32_t number = m->first_subscriber + mapping_subscriber(&m->geo, in_addr);

	return datapath.stranger_host[number / STRANGER_LINE].packets[number % STRANGER_LINE];
}

static void count_by_subscriber(uint32_t how)
{
	struct error err;

	cr_assert_eq(datapath_stranger_hosts_make(&datapath, &err), 0, "%s", err.text);
	settings.attack = (uint8_t)how;
	reload_settings();
}

static void expect_host(uint32_t in_addr, uint32_t n)
{
	cr_expect_eq(counted_for_host(in_addr), n, "%u instead of %u", counted_for_host(in_addr), n);
}

Test(strangers, to_a_subscriber_s_port_count_for_the_subscriber)
{
	static const struct row rows[] = {
		{ "UDP to a port of the block", XDP_OUTSIDE, { TO(POOL), UDP, 9, PORT_LO }, DROPPED(drop_no_session) },
		{ "TCP", XDP_OUTSIDE, { TO(POOL), TCP, 9, PORT_LO + 1, .flags = 2 }, DROPPED(drop_no_session) },
		{ "to a port of no block", XDP_OUTSIDE, { TO(POOL), UDP, 9, 80 }, DROPPED(drop_no_session) },
		{ "GRE", XDP_OUTSIDE, { TO(POOL), 47, .payload = 20 }, DROPPED(drop_protocol) },
	};

	count_by_subscriber(STRANGERS_BY_SUBSCRIBER);
	RUN_ROWS(rows);
	expect_host(SUBSCRIBER, 2);
	expect_host(SUBSCRIBER + 1, 0);
	expect_counted(0, 0);
	count_by_subscriber(STRANGERS_BY_ADDRESS | STRANGERS_BY_SUBSCRIBER);
	RUN_ROWS(rows);
	expect_host(SUBSCRIBER, 4);
	expect_counted(4, 0);
	count_by_subscriber(STRANGERS_BY_ADDRESS);
	RUN_ROWS(rows);
	expect_host(SUBSCRIBER, 4);
	expect_counted(4, 0);
}

Test(strangers, that_a_portmap_s_filters_leave_out_count_for_its_subscriber)
{
	static const struct row rows[] = {
		{ "filtered", XDP_OUTSIDE, { TO(POOL), TCP, 9, WEB, .flags = 2 }, DROPPED(drop_portmap_filter) },
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	filter_port(TCP, WEB, EXTERNAL, 32, 0);
	count_by_subscriber(STRANGERS_BY_SUBSCRIBER);
	RUN_ROWS(rows);
	expect_host(SUBSCRIBER, 1);
}

Test(strangers, what_has_a_session_does_not_count_for_the_subscriber)
{
	count_by_subscriber(STRANGERS_BY_SUBSCRIBER);
	RUN_ROWS(session_rows);
	expect_host(SUBSCRIBER, 0);
}
