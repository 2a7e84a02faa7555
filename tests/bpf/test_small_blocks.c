// SPDX-License-Identifier: BSD-2-Clause
/* Blocks of 63 ports, whose last group is not full: 10.1.0.0/22 shares one outside address. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "portmap_fixture.h"

#define IN	   ADDR(10, 1, 0, 2)
#define OUT	   ADDR(203, 0, 113, 200)
#define FEW	   63
#define FIRST_PORT (1024 + 2 * FEW)

enum { FIN = 1, SYN = 2, ACK = 16 };

static void set_up_small_blocks(void)
{
	struct mapping_spec spec = {
		.in = { ADDR(10, 1, 0, 0), 22 }, .out = { OUT, 32 }, .sessions_per_user = 1000, .session_slots = 64
	};

	portmap_set_up();
	cr_assert_eq(system("ip route add 10.1.0.0/22 dev tin"), 0);
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	datapath_raise_epoch(&datapath);
}

TestSuite(small_blocks, .init = set_up_small_blocks, .fini = portmap_tear_down);

/* Its outside port, or -1; a search that this tick has no room for is made in the next. */
static int open_one(uint8_t proto, uint16_t in_port, uint8_t flags)
{
	uint64_t busy;
	int port;

	do {
		busy = counted(REASON_drop_busy);
		port = open_flow_of(IN, proto, in_port, 53, flags);
		if (counted(REASON_drop_busy) == busy)
			return port;
		next_tick();
	} while (1);
}

Test(small_blocks, all_ports_are_used_also_those_of_the_last_group)
{
	bool used[FEW] = { false };

	/* All have the same first choice. */
	for (unsigned i = 0; i < FEW; i++) {
		int port = open_one(UDP, (uint16_t)(i * FEW), 0);

		cr_assert(port >= FIRST_PORT && port < FIRST_PORT + FEW, "flow %u: %d", i, port);
		cr_expect_not(used[port - FIRST_PORT], "port %d", port);
		used[port - FIRST_PORT] = true;
	}
	cr_expect_eq(open_one(UDP, FEW * FEW, 0), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1);
	cr_expect_geq(mappings_subscriber(mappings, mappings_find_any(mappings, IN), 2)->searched, 1,
		      "a search of few slots is work, too");
}

static void from_outside(uint16_t out_port, uint8_t flags)
{
	struct frame f = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OUT, TCP, 53, out_port, .flags = flags
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in);

	run_frame(XDP_OUTSIDE, in, size, out, &size);
}

/* Neither a connection in time-wait nor one that was reset gives up a port that a portmap holds by now. */
Test(small_blocks, a_port_that_a_portmap_holds_is_not_given_up_to_another_group)
{
	enum { WAITS = 13, RESET = 26 };

	for (uint16_t i = 0; i < FEW; i++)
		cr_assert_eq(open_one(TCP, i, SYN), FIRST_PORT + i);
	cr_assert_eq(open_one(TCP, WAITS, FIN | ACK), FIRST_PORT + WAITS);
	from_outside(FIRST_PORT + WAITS, FIN | ACK);
	cr_assert_eq(open_one(TCP, WAITS, ACK), FIRST_PORT + WAITS);
	from_outside(FIRST_PORT + RESET, 4);

	const uint16_t ports[] = { FIRST_PORT + WAITS, FIRST_PORT + RESET };
	struct portmap m = { .in = { IN, 8443 }, .proto = TCP };

	for (unsigned i = 0; i < 2; i++) {
		m.out = (struct endpoint){ OUT, ports[i] };
		m.in.port++;
		cr_assert_eq(portmaps_put(portmaps, &m), 0);
	}
	cr_expect_eq(open_one(TCP, FEW + 40, SYN), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1);
	for (unsigned i = 2; i-- > 0;) {
		cr_assert_eq(portmaps_del(portmaps, TCP, (struct endpoint){ OUT, ports[i] }), 0);
		next_tick();
		cr_expect_eq(open_one(TCP, (uint16_t)(FEW + 40 + i), SYN), ports[i]);
	}
}
