// SPDX-License-Identifier: BSD-2-Clause
/* A bond whose ports run the program: frames come from a port, which the programs with stages do not redirect to. */
#include <net/if.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

static uint32_t bond;

/* The test's inside interface is the bond from here on, and frames from inside come in by another one. */
static void set_up_bond(void)
{
	uint32_t port;

	setenv("STAGES", "2", 1);
	set_up();
	port = if_nametoindex("pin");
	cr_assert(port);
	bond = inside_ifindex;
	datapath.device[port] = datapath.device[bond];
	datapath.device[port].master = bond;
	inside_ifindex = port;
}

static void tear_down_bond(void)
{
	inside_ifindex = bond;
	tear_down();
}

TestSuite(bond, .init = set_up_bond, .fini = tear_down_bond);

Test(bond, the_bond_answers_packets_that_a_port_receives)
{
	struct frame gre = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, .proto = 47, .payload = 20
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&gre, in), out_size;

	cr_expect_eq(run_hook(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
	cr_expect_eq(counted(REASON_redirect_errors), 0);
	cr_expect_eq(counted(REASON_sent_icmp_protocol), 1);
	expect_error("from a port", out, out_size, in, ip_length(in), SUBSCRIBER, ADDR(10, 0, 0, 1), 3, 2, 0);
}
