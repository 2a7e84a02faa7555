// SPDX-License-Identifier: BSD-2-Clause
/* What an ICMP error quotes: sessions that are none, and those beyond the slots. Whole packets are compared. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "icmp_frame.h"

static void set_up_refreshed(void)
{
	settings.udp_inbound_refresh = 1;
	set_up();
}

TestSuite(icmp_quotes, .init = set_up_refreshed, .fini = tear_down);

/* The identifier of the session is what a message without one seems to have. */
Test(icmp_quotes, from_inside_about_a_message_that_is_no_reply)
{
	static const struct icmp_row rows[] = {
		{ "about a reply",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .src = EXTERNAL, .dst = SUBSCRIBER, ICMP, .icmp_type = ECHO_REPLY_TYPE } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .src = EXTERNAL,
			       .dst = POOL,
			       ICMP,
			       .dport = OUT_PORT(0, 2),
			       .icmp_type = ECHO_REPLY_TYPE } },
		  REASON_icmp_error_translated },
		{ "about a timestamp",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .src = EXTERNAL, .dst = SUBSCRIBER, ICMP, .icmp_type = 13 } },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	open_flow(ICMP, 0, 0, 0);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
	RUN_ICMP_ROWS(rows);
}

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
#define FLOWS	   9
#define IN_PORT(n) (uint16_t)(6304 + (n)*PORTS)

static uint64_t word_beyond(void)
{
	const struct slot *slot = slot_beyond(SUBSCRIBER, slot_key(EXTERNAL, 53, IN_PORT(FLOWS - 1)), UDP);

	cr_assert_not_null(slot);
	return slot->truth;
}

Test(icmp_quotes, refresh_no_session_beyond_the_slots)
{
	int port = 0;
	uint64_t word;

	for (unsigned i = 0; i < FLOWS; i++)
		port = open_flow(UDP, IN_PORT(i), 53, 0);
	cr_assert_eq(sessions_overflowed(), 1);
	age_beyond(100);
	word = word_beyond();

	const struct icmp_row rows[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = POOL,
		    3,
		    3,
		    .quote = { .src = POOL, .dst = EXTERNAL, UDP, (uint16_t)port, 53 } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    3,
		    3,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, IN_PORT(FLOWS - 1), 53 } },
		  REASON_icmp_error_translated },
	};
	const struct row answer[] = {
		{ "an answer does",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)port },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    IN_PORT(FLOWS - 1) },
		  REASON_out2in_translated },
	};

	RUN_ICMP_ROWS(rows);
	cr_expect_eq(word_beyond(), word);
	RUN_ROWS(answer);
	cr_expect_neq(word_beyond(), word);
}
