// SPDX-License-Identifier: BSD-2-Clause
/*
 * The UDP checksum whose sum is 0 is sent as 0xffff, as 0 means none (RFC 768): at every hook, and in the quotes of
 * ICMP errors. The external port is chosen so that the translated packet has it.
 */
#include <criterion/criterion.h>

#include "icmp_frame.h"

static void set_up_all_hooks(void)
{
	settings.tc = TC_ALONE;
	set_up();
}

TestSuite(zero_checksums, .init = set_up_all_hooks, .fini = tear_down);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

/* The external port with which the UDP checksum of a frame, to or from there, is 0xffff. */
static uint16_t port_for_zero(struct frame f, bool outbound)
{
	uint8_t octets[FRAME_MAX];

	for (unsigned port = 1; port < 65536; port++) {
		*(outbound ? &f.dport : &f.sport) = (uint16_t)port;
		frame_build(&f, octets);
		if (octets[40] == 0xff && octets[41] == 0xff)
			return (uint16_t)port;
	}
	cr_assert_fail("no port has that checksum");
	return 0;
}

Test(zero_checksums, on_the_way_out)
{
	static const struct {
		enum hook hook;
		int verdict;
	} ways[] = { { XDP_INSIDE, REDIRECT_XDP },
		     { XDP_INSIDE_SLOW, REDIRECT_XDP },
		     { XDP_INSIDE, REDIRECT_XDP }, /* once its session is there */
		     { TC_OUTSIDE, PASS_TC } };

	for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct row row = { "out",
				   ways[i].hook,
				   { FROM_HOST, UDP, 6304, .payload = 30 },
				   ways[i].verdict,
				   { TO_ROUTER, UDP, OUT_PORT(6304, 2), .payload = 30 },
				   REASON_in2out_translated };

		row.in.dport = row.out.dport = port_for_zero(row.out, true);
		if (ways[i].hook == TC_OUTSIDE) {
			/* The kernel has written the addresses of the frame, and lowered the TTL. */
			row.out.from = HOST;
			row.out.to = GATEWAY_IN;
			row.out.ttl = 64;
		}
		run_rows(&row, 1);
	}
}

Test(zero_checksums, on_the_way_in)
{
	static const enum hook hooks[] = { XDP_OUTSIDE, XDP_OUTSIDE_SLOW, INGRESS_OUTSIDE };

	for (unsigned i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		struct row row = { "in",
				   hooks[i],
				   { FROM_ROUTER, UDP, 0, OUT_PORT(6304, 2), .payload = 30 },
				   REDIRECT_XDP,
				   { TO_HOST, UDP, 0, 6304, .payload = 30 },
				   REASON_out2in_translated };

		row.in.sport = row.out.sport = port_for_zero(row.out, false);
		if (hooks[i] == INGRESS_OUTSIDE) {
			row.verdict = PASS_TC;
			row.out.from = ROUTER;
			row.out.to = GATEWAY_OUT;
			row.out.ttl = 64;
		}
		cr_assert_geq(open_flow(UDP, 6304, row.in.sport, 0), 0);
		run_rows(&row, 1);
	}
}

Test(zero_checksums, in_the_quote_of_an_icmp_error)
{
	struct icmp_row row = { "about what left",
				XDP_OUTSIDE,
				{ .from = ROUTER,
				  .to = GATEWAY_OUT,
				  .src = EXTERNAL,
				  .dst = POOL,
				  3,
				  3,
				  .quote = { .src = POOL, .dst = EXTERNAL, UDP, OUT_PORT(6304, 2), .payload = 30 } },
				REDIRECT_XDP,
				{ .ttl = 63,
				  .from = GATEWAY_IN,
				  .to = HOST,
				  .src = EXTERNAL,
				  .dst = SUBSCRIBER,
				  3,
				  3,
				  .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 6304, .payload = 30 } },
				REASON_icmp_error_translated };

	row.in.quote.dport = row.out.quote.dport = port_for_zero(row.out.quote, true);
	cr_assert_geq(open_flow(UDP, 6304, row.in.quote.dport, 0), 0);
	run_icmp_rows(&row, 1);
}
