// SPDX-License-Identifier: BSD-2-Clause
/* What the configuration adds: bypass, refresh from outside. Whole packets are compared, at every hook. */
#include <criterion/criterion.h>

#include "fixture.h"

TestSuite(options, .init = set_up, .fini = tear_down);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

#define TO(address)   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = address
#define FROM(address) .from = ROUTER, .to = GATEWAY_OUT, .src = address
#define UP	      PASS_XDP, {}, REASON_passed_untranslated

static void set_bypass(const struct address_range *ranges, uint32_t n)
{
	for (uint32_t i = 0; i < MAX_BYPASS; i++)
		settings.bypass[i] = i < n ? ranges[i] : (struct address_range){ .first = UINT32_MAX };
	settings.n_bypass = n;
	reload_settings();
}

Test(options, bypassed_destinations_are_not_translated)
{
	static const struct row rows[] = {
		{ "to the first of a range", XDP_INSIDE, { TO(ADDR(192, 0, 2, 0)), UDP, 5000, 53 }, UP },
		{ "to the last of a range", XDP_INSIDE, { TO(ADDR(192, 0, 2, 255)), TCP, 5000, 80, .flags = 2 }, UP },
		{ "once more, from the cache", XDP_INSIDE, { TO(ADDR(192, 0, 2, 0)), UDP, 5000, 53 }, UP },
		{ "what has no ports", XDP_INSIDE, { TO(ADDR(192, 0, 2, 9)), 47, .payload = 8 }, UP },
		{ "a fragment", XDP_INSIDE, { TO(ADDR(192, 0, 2, 9)), UDP, 1, 2, .options = LATER_FRAGMENT }, UP },
		{ "to a single address", XDP_INSIDE, { TO(ADDR(203, 0, 113, 77)), ICMP, 5 }, UP },
		{ "from no mapping",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = ADDR(192, 0, 2, 9), UDP, 5000, 53 },
		  UP },
		{ "a martian source",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = ADDR(127, 0, 0, 1),
		    .dst = ADDR(192, 0, 2, 9),
		    UDP,
		    5000,
		    53 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "tc: as it is",
		  TC_OUTSIDE,
		  { TO(ADDR(192, 0, 2, 9)), UDP, 5000, 53 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "tc: a martian source",
		  TC_OUTSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = ADDR(192, 0, 2, 9), UDP, 5000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
		{ "before a range",
		  XDP_INSIDE,
		  { TO(ADDR(192, 0, 1, 255)), UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = ADDR(192, 0, 1, 255),
		    UDP,
		    OUT_PORT(5000, 2),
		    53 },
		  REASON_in2out_translated },
		{ "behind a range",
		  XDP_INSIDE,
		  { TO(ADDR(192, 0, 3, 0)), UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = ADDR(192, 0, 3, 0),
		    UDP,
		    OUT_PORT(5000, 2),
		    53 },
		  REASON_in2out_translated },
		{ "tc: behind a range",
		  TC_OUTSIDE,
		  { TO(ADDR(203, 0, 113, 78)), UDP, 5000, 53 },
		  PASS_TC,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = POOL,
		    .dst = ADDR(203, 0, 113, 78),
		    UDP,
		    OUT_PORT(5000, 2),
		    53 },
		  REASON_in2out_translated },
		{ "hairpins are no matter of it",
		  XDP_INSIDE,
		  { TO(POOL + 1), UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "in from there",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  UP },
		{ "in from there, without ports",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = SUBSCRIBER, 50, .payload = 8 },
		  UP },
		{ "in from elsewhere",
		  XDP_OUTSIDE,
		  { FROM(EXTERNAL), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "in with an inside source, though that is in it",
		  XDP_OUTSIDE,
		  { FROM(OTHER), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "from there to a pool address",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = POOL, UDP, 53, OUT_PORT(5000, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};
	static const struct row everything[] = {
		{ "0.0.0.0/0", XDP_INSIDE, { FROM_HOST, UDP, 5000, 53 }, UP },
		{ "and tc", TC_OUTSIDE, { FROM_HOST, UDP, 5000, 53 }, PASS_TC, {}, REASON_passed_untranslated },
		{ "but martians",
		  XDP_OUTSIDE,
		  { FROM(ADDR(240, 0, 0, 1)), .dst = SUBSCRIBER, UDP, 1, 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
	};
	static const struct row nothing[] = {
		{ "translated again",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2), 53 },
		  REASON_in2out_translated },
		{ "direct to inside",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
	};
	const struct address_range ranges[] = {
		{ ADDR(10, 0, 0, 0), ADDR(10, 255, 255, 255) },
		{ ADDR(192, 0, 2, 0), ADDR(192, 0, 2, 255) },
		{ ADDR(203, 0, 113, 0), ADDR(203, 0, 113, 3) },
		{ ADDR(203, 0, 113, 77), ADDR(203, 0, 113, 77) },
	};
	const struct address_range all = { 0, UINT32_MAX };
	struct address_range many[MAX_BYPASS];
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	set_bypass(ranges, 4);
	RUN_ROWS(rows);
	set_bypass(&all, 1);
	RUN_ROWS(everything);
	/* As many as there can be: odd third octets are bypassed, even ones are not, nor is what is around them. */
	for (uint32_t i = 0; i < MAX_BYPASS; i++)
		many[i] = (struct address_range){ ADDR(100, 0, i, 128), ADDR(100, 0, i, 191) };
	set_bypass(many, MAX_BYPASS);
	for (uint32_t i = 0; i < MAX_BYPASS; i++) {
		const uint8_t last[] = { 127, 128, 191, 192 };

		for (unsigned k = 0; k < 4; k++) {
			struct frame f = { TO(ADDR(100, 0, i, last[k])), UDP, 7, 9 };

			size = frame_build(&f, in);
			cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &size),
				     k == 1 || k == 2 ? PASS_XDP : REDIRECT_XDP, "100.0.%u.%u", i, last[k]);
		}
	}
	set_bypass(NULL, 0);
	RUN_ROWS(nothing);
}

/* With a payload, so that they are long enough for the fast path even without padding. */
#define OPEN(proto_, port_)                                                                                     \
	{                                                                                                       \
		"opens", XDP_INSIDE, { FROM_HOST, proto_, port_, 53, .flags = 2, .payload = 20 }, REDIRECT_XDP, \
			{ TO_ROUTER, proto_, OUT_PORT(port_, 2), 53, .flags = 2, .payload = 20 },               \
			REASON_in2out_translated                                                                \
	}
#define ANSWER(proto_, port_)                                                                                       \
	{                                                                                                           \
		"answer", XDP_OUTSIDE, { FROM_ROUTER, proto_, 53, OUT_PORT(port_, 2), .flags = 16, .payload = 20 }, \
			REDIRECT_XDP, { TO_HOST, proto_, 53, port_, .flags = 16, .payload = 20 },                   \
			REASON_out2in_translated                                                                    \
	}
#define LATE(proto_, port_)                                                                                        \
	{                                                                                                          \
		"late answer", XDP_OUTSIDE,                                                                        \
			{ FROM_ROUTER, proto_, 53, OUT_PORT(port_, 2), .flags = 16, .payload = 20 }, DROP_XDP, {}, \
			REASON_drop_no_session                                                                     \
	}

Test(options, udp_is_refreshed_from_outside_where_the_configuration_says_so)
{
	static const struct row open[] = { OPEN(UDP, 6304), OPEN(TCP, 6304) };
	static const struct row answer[] = { ANSWER(UDP, 6304) };
	static const struct row tcp[] = { ANSWER(TCP, 6304) };
	static const struct row late[] = { LATE(UDP, 6304), LATE(TCP, 6304) };
	static const struct row dead_tcp[] = { LATE(TCP, 6304) };
	static const struct row late_tcp[] = { ANSWER(UDP, 6304), LATE(TCP, 6304) };

	RUN_ROWS(open);
	age_sessions(SUBSCRIBER, 200);
	RUN_ROWS(answer);
	RUN_ROWS(tcp);
	age_sessions(SUBSCRIBER, 150);
	RUN_ROWS(late);

	settings.udp_inbound_refresh = 1;
	reload_settings();
	RUN_ROWS(open);
	for (int i = 0; i < 5; i++) {
		age_sessions(SUBSCRIBER, 200);
		RUN_ROWS(answer);
		if (!i)
			RUN_ROWS(tcp);
		if (i == 1)
			RUN_ROWS(dead_tcp);
	}
	RUN_ROWS(late_tcp);
}
