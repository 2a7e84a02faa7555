// SPDX-License-Identifier: BSD-2-Clause
/* What XDP has handled before a program at tc that sends sees it, while the one takes the place of the other. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "fixture.h"

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER
#define UP	    PASS_XDP, {}, REASON_passed_untranslated
#define DIRECT	    DROP_XDP, {}, REASON_drop_direct_to_inside

static void set_up_handled(void)
{
	setenv("REDIRECT_TC", "1", 1);
	unsetenv("STAGES");
	set_up();
}

TestSuite(handled, .init = set_up_handled, .fini = tear_down);

static void until(int ticks)
{
	datapath.table->limits.handled_until = datapath_ticks(&datapath) + (uint32_t)ticks;
}

static const struct row open_all[] = {
	{ "UDP out",
	  XDP_INSIDE,
	  { FROM_HOST, UDP, 5001, 53 },
	  REDIRECT_XDP,
	  { TO_ROUTER, UDP, OUT_PORT(5001, 2), 53 },
	  REASON_in2out_translated },
	{ "TCP out",
	  XDP_INSIDE,
	  { FROM_HOST, TCP, 5002, 80, .flags = 0x02 },
	  REDIRECT_XDP,
	  { TO_ROUTER, TCP, OUT_PORT(5002, 2), 80, .flags = 0x02 },
	  REASON_in2out_translated },
};

Test(handled, nothing_reaches_an_inside_address_otherwise)
{
	static const struct row rows[] = {
		{ "UDP of the session", XDP_OUTSIDE, { FROM_ROUTER, UDP, 53, 5001 }, DIRECT },
		{ "TCP of the session", XDP_OUTSIDE, { FROM_ROUTER, TCP, 80, 5002, .flags = 0x10 }, DIRECT },
	};

	RUN_ROWS(open_all);
	RUN_ROWS(rows);
	until(-1);
	RUN_ROWS(rows);
}

Test(handled, while_xdp_may_come_first_packets_of_sessions_pass_and_no_others)
{
	static const struct row rows[] = {
		{ "UDP of the session", XDP_OUTSIDE, { FROM_ROUTER, UDP, 53, 5001 }, UP },
		{ "TCP of the session", XDP_OUTSIDE, { FROM_ROUTER, TCP, 80, 5002, .flags = 0x10 }, UP },
		{ "from another port", XDP_OUTSIDE, { FROM_ROUTER, UDP, 54, 5001 }, DIRECT },
		{ "to another port", XDP_OUTSIDE, { FROM_ROUTER, UDP, 53, 5002 }, DIRECT },
		{ "of another protocol", XDP_OUTSIDE, { FROM_ROUTER, TCP, 53, 5001, .flags = 0x10 }, DIRECT },
		{ "from another address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL + 1, .dst = SUBSCRIBER, UDP, 53, 5001 },
		  DIRECT },
		{ "to another subscriber",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER + 1, UDP, 53, 5001 },
		  DIRECT },
		{ "a later fragment", XDP_OUTSIDE, { FROM_ROUTER, UDP, 53, 5001, .options = LATER_FRAGMENT }, DIRECT },
		{ "from an inside address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = SUBSCRIBER + 1, .dst = SUBSCRIBER, UDP, 53, 5001 },
		  DIRECT },
	};

	RUN_ROWS(open_all);
	until(100);
	RUN_ROWS(rows);
}
