// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses that an exception has taken out of a mapping which gives each an outside address of its own: what needs no
 * session comes in by the exception's outside address, and no more by the one of before. At every hook, whole packets.
 */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

/* The mapping, open or not; its second address has an exception, its third one is not translated. */
#define FIRST	  ADDR(10, 0, 0, 32)
#define MOVED	  ADDR(10, 0, 0, 33)
#define LOOSE	  ADDR(10, 0, 0, 34)
#define OUT	  ADDR(203, 0, 113, 64)
#define OUT_THEN  ADDR(203, 0, 113, 65)
#define OUT_LOOSE ADDR(203, 0, 113, 66)
#define OUT_NOW	  ADDR(203, 0, 113, 80)
#define ROUTED	  ADDR(10, 0, 9, 9)

#define FROM_OUTSIDE .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL
#define GETS	     .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL

static void add(struct mapping_spec spec)
{
	spec.sessions_per_user = 1000;
	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	make_mapping(&spec, NULL);
}

static void set_up_taken_out(bool open)
{
	settings.open_mappings = open;
	settings.unmatched = UNMATCHED_ROUTE;
	set_up();
	add((struct mapping_spec){
		.in = { FIRST, 30 }, .out = { OUT, 30 }, .open = open, .session_slots = open ? 0 : 64 });
	add((struct mapping_spec){ .in = { MOVED, 32 }, .out = { OUT_NOW, 32 }, .session_slots = 64 });
	add((struct mapping_spec){ .in = { LOOSE, 32 }, .out = PREFIX_NONE });
}

static void set_up_open(void)
{
	set_up_taken_out(true);
}

static void set_up_open_staged(void)
{
	setenv("STAGES", "2", 1);
	set_up_taken_out(true);
}

static void set_up_own(void)
{
	set_up_taken_out(false);
}

TestSuite(taken_out, .init = set_up_own, .fini = tear_down);

#define IN_ROW(name_, dst_, in_addr_, ...)                                                    \
	{                                                                                     \
		name_, XDP_OUTSIDE, { FROM_OUTSIDE, .dst = dst_, __VA_ARGS__ }, REDIRECT_XDP, \
			{ GETS, .dst = in_addr_, __VA_ARGS__ }, REASON_out2in_translated      \
	}
#define NOT_IN_ROW(name_, why_, dst_, ...)                                                                  \
	{                                                                                                   \
		name_, XDP_OUTSIDE, { FROM_OUTSIDE, .dst = dst_, __VA_ARGS__ }, DROP_XDP, {}, REASON_##why_ \
	}

Test(taken_out, protocols_without_ports_reach_it_by_its_own_address_alone)
{
	static const struct row rows[] = {
		IN_ROW("its neighbour", OUT, FIRST, 47, .payload = 20),
		IN_ROW("by the exception's", OUT_NOW, MOVED, 47, .payload = 20),
		NOT_IN_ROW("by the one of before", drop_protocol, OUT_THEN, 47, .payload = 20),
		NOT_IN_ROW("one that is not translated", drop_protocol, OUT_LOOSE, 47, .payload = 20),
	};

	RUN_ROWS(rows);
}

static void expect_open(void)
{
#define PAYLOAD .payload = 30
	static const struct row rows[] = {
		IN_ROW("its neighbour", OUT, FIRST, UDP, 53, 5000, PAYLOAD),
		IN_ROW("its neighbour's server", OUT, FIRST, TCP, 53, 22, .flags = 2, PAYLOAD),
		NOT_IN_ROW("UDP", drop_no_session, OUT_THEN, UDP, 53, 5000, PAYLOAD),
		NOT_IN_ROW("TCP", drop_no_session, OUT_THEN, TCP, 53, 22, .flags = 2, PAYLOAD),
		NOT_IN_ROW("echo", drop_no_session, OUT_THEN, ICMP, 7, PAYLOAD),
		NOT_IN_ROW("a later fragment", drop_no_session, OUT_THEN, UDP, 5000, 53, .payload = 200,
			   .options = LATER_FRAGMENT | NO_UDP_CHECKSUM),
		NOT_IN_ROW("GRE", drop_protocol, OUT_THEN, 47, PAYLOAD),
		NOT_IN_ROW("of one that is not translated", drop_no_session, OUT_LOOSE, UDP, 53, 5000, PAYLOAD),
	};

	RUN_ROWS(rows);
}

Test(taken_out, a_subscriber_of_an_open_mapping_is_not_reached_by_the_former_address, .init = set_up_open)
{
	expect_open();
}

Test(taken_out, a_subscriber_of_an_open_mapping_is_not_reached_by_the_former_address_in_two_stages,
     .init = set_up_open_staged)
{
	expect_open();
}

#define ERROR_ROW(name_, dst_, ...)                                                                          \
	{                                                                                                    \
		name_, XDP_OUTSIDE,                                                                          \
			{ .from = ROUTER,                                                                    \
			  .to = GATEWAY_OUT,                                                                 \
			  .src = ADDR(192, 0, 2, 200),                                                       \
			  .dst = dst_,                                                                       \
			  11,                                                                                \
			  0,                                                                                 \
			  .quote = { .ttl = 1, .src = dst_, .dst = EXTERNAL, __VA_ARGS__, .payload = 20 } }, \
			DROP_XDP, {}, REASON_drop_no_session                                                 \
	}

Test(taken_out, icmp_errors_do_not_reach_it_by_the_address_of_before, .init = set_up_open)
{
	static const struct icmp_row rows[] = {
		ERROR_ROW("about GRE", OUT_THEN, 47),
		ERROR_ROW("about UDP", OUT_THEN, UDP, 5000, 53),
		ERROR_ROW("about one that is not translated", OUT_LOOSE, UDP, 5000, 53),
	};

	RUN_ICMP_ROWS(rows);
}

Test(taken_out, neighbours_do_not_reach_it_by_the_address_of_before, .init = set_up_open)
{
	static const struct row rows[] = {
		{ "a hairpin",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = OUT_THEN, UDP, 5000, 53, .payload = 20 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "GRE from another customer",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = FIRST, .dst = OUT_THEN, 47, .payload = 20 },
		  DROP_XDP,
		  {},
		  REASON_drop_protocol },
	};

	RUN_ROWS(rows);
}
