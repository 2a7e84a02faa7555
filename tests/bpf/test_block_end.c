// SPDX-License-Identifier: BSD-2-Clause
/* Blocks whose ports do not divide into groups of 8: the last group ends where the block does. */
#include <criterion/criterion.h>

#include "fixture.h"

/* 256 subscribers of one address: 252 ports each, of which the last group has 4. */
#define MINE	    ADDR(10, 0, 2, 7)
#define MINE_OUT    ADDR(203, 0, 113, 128)
#define BLOCK	    252
#define BLOCK_FIRST (1024 + 7 * BLOCK)
#define LAST_GROUP  248 /* offset of its first port */

static void set_up_block(void)
{
	struct mapping_spec spec = {
		.in = { ADDR(10, 0, 2, 0), 24 }, .out = { MINE_OUT, 32 }, .sessions_per_user = 500, .session_slots = 256
	};

	set_up();
	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	spec.bindings = bindings;
	make_mapping(&spec, NULL);
	datapath_raise_epoch(&datapath);
}

static void set_up_bound_block(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP };
	set_up_block();
}

TestSuite(block_end, .init = set_up_block, .fini = tear_down);

/* Flows whose first choice is in the last group: four get its ports, the others some of the rest of the block. */
static void open_in_last_group(void)
{
	bool used[BLOCK] = { false };

	for (unsigned i = 0; i < 12; i++) {
		uint16_t in_port = (uint16_t)(10 * BLOCK + LAST_GROUP + i % 4 + BLOCK * (i / 4));
		int port = open_flow_of(MINE, UDP, in_port, 53, 0);

		cr_assert(port >= BLOCK_FIRST && port < BLOCK_FIRST + BLOCK, "flow %u has port %d", i, port);
		cr_expect(!used[port - BLOCK_FIRST], "port %d twice", port);
		used[port - BLOCK_FIRST] = true;
		cr_expect_eq(port >= BLOCK_FIRST + LAST_GROUP, i < 4, "flow %u has port %d", i, port);
	}
	cr_expect_eq(sessions_of(MINE), 12);
}

Test(block_end, no_flow_gets_a_port_behind_it)
{
	open_in_last_group();
}

Test(block_end, nor_does_an_inside_port_that_is_bound, .init = set_up_bound_block)
{
	open_in_last_group();
}

/* Every port of the block is found, and none is found when all are taken. */
Test(block_end, all_its_ports_are_found)
{
	for (unsigned i = 0; i < BLOCK; i++)
		cr_assert_geq(open_flow_of(MINE, UDP, (uint16_t)(5000 + BLOCK * (i % 8) + i), 53, 0), BLOCK_FIRST,
			      "flow %u", i);
	cr_expect_eq(open_flow_of(MINE, UDP, 4000, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1);
	cr_expect_eq((uint64_t)sessions_overflowed(), counted(REASON_sessions_overflowed), "the refused one is none");
}
