// SPDX-License-Identifier: BSD-2-Clause
/* Sessions on granted ports that another gateway has announced; UDP ports are bound. */
#include <string.h>

#include <criterion/criterion.h>

#include "datapath/copy_program.h"
#include "grant_fixture.h"
#include "told_routes.h"

#define FEW   16
#define BLOCK 8
#define LO    (1024 + 128 * FEW + 4 * BLOCK)

static struct copy_program program;

static void set_up_copies(void)
{
	int r;

	set_up_plan(&(struct grant_plan){ .ports = FEW,
					  .block = BLOCK,
					  .max_blocks = 2,
					  .quota = 200,
					  .slots = 256,
					  .bindings = { .mapping = BINDING_UDP } });
	r = copy_program_load(&program, &datapath);
	cr_assert_eq(r, 0, "%s", strerror(-r));
}

static void set_up_in_extents(void)
{
	settings.extent_buckets = 1024;
	set_up_copies();
}

static void tear_down_copies(void)
{
	copy_program_unload(&program);
	tear_down();
}

TestSuite(grant_copies, .init = set_up_copies, .fini = tear_down_copies);
TestSuite(grant_copies_in_extents, .init = set_up_in_extents, .fini = tear_down_copies);

/* A session of IN with EXTERNAL beyond the slots: an enum copy_result. */
static int copy(uint8_t proto, uint8_t state, uint16_t in_port, uint16_t ext_port, uint16_t out_port)
{
	const uint64_t word = state_word(out_port, proto, state, datapath_ticks(&datapath));

	program.requests->n = 1;
	program.requests->copy[0] = (struct session_copy){ .key = slot_key(EXTERNAL, ext_port, in_port),
							   .word = word,
							   .subscriber = IN - ADDR(10, 1, 0, 0),
							   .mapping = (uint16_t)mappings_find_any(mappings, IN),
							   .owner = 1,
							   .request = COPY_TO_EXTENT };
	cr_assert_eq(copy_program_run(&program), 0);
	return program.requests->copy[0].result;
}

/* Packets of a session on a granted port, the first one from outside. */
static void expect_passes(void)
{
	static const struct row rows[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OUT, TCP, 443, LO + 3, .flags = 0x18 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = IN,
		    TCP,
		    443,
		    9000,
		    .flags = 0x18 },
		  REASON_out2in_translated },
		{ "from inside",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = EXTERNAL, TCP, 9000, 443, .flags = 0x10 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OUT,
		    .dst = EXTERNAL,
		    TCP,
		    LO + 3,
		    443,
		    .flags = 0x10 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(IN), 1);
}

Test(grant_copies, a_session_on_a_granted_port_is_found_from_both_sides)
{
	grant(IN, 0, LO);
	cr_assert_eq(copy(TCP, SESSION_ESTABLISHED, 9000, 443, LO + 3), COPY_PLACED);
	expect_passes();
}

Test(grant_copies, a_session_on_a_port_that_its_subscriber_has_not_yet_waits_for_the_grant)
{
	grant(THIRD, 0, LO);
	cr_expect_eq(copy(TCP, SESSION_ESTABLISHED, 9000, 443, LO + 3), COPY_NO_SLOT, "another subscriber's");
	cr_expect_eq(copy(TCP, SESSION_ESTABLISHED, 9000, 443, LO + BLOCK), COPY_NO_SLOT, "nobody's");
	cr_expect_eq(sessions_of(IN), 0);
}

Test(grant_copies, a_session_binds_its_granted_port)
{
	grant(IN, 0, LO);
	cr_assert_eq(copy(UDP, SESSION_UDP, 9000, 53, LO + 3), COPY_PLACED);
	cr_expect_eq(open_of(UDP, 9000, 54, 0), LO + 3, "towards others too");
	cr_expect_eq(copy(UDP, SESSION_UDP, 9000, 55, LO + 3), COPY_PLACED);
	cr_expect_eq(copy(UDP, SESSION_UDP, 9001, 55, LO + 3), COPY_PORT, "another endpoint");
	cr_expect_eq(copy(UDP, SESSION_UDP, 9000, 56, LO + 4), COPY_PORT, "another port");
	cr_expect_eq(copy(UDP, SESSION_UDP, 9000, 56, 1024 + 2 * FEW), COPY_PORT, "one of the block");
}

Test(grant_copies_in_extents, a_session_on_a_granted_port_is_in_the_extent_bound_or_not)
{
	grant(IN, 0, LO);
	cr_assert_eq(copy(TCP, SESSION_ESTABLISHED, 9000, 443, LO + 3), COPY_PLACED);
	cr_assert_not_null(slot_beyond(IN, slot_key(EXTERNAL, 443, 9000), TCP));
	cr_expect_eq(word_owner(slot_beyond(IN, slot_key(EXTERNAL, 443, 9000), TCP)->truth), 1);
	expect_passes();
	cr_expect_eq(word_owner(slot_beyond(IN, slot_key(EXTERNAL, 443, 9000), TCP)->truth), 0,
		     "a packet from inside has taken it over");
	cr_expect_eq(copy(TCP, SESSION_ESTABLISHED, 9000, 443, LO + 3), COPY_BEYOND);
	cr_assert_eq(copy(UDP, SESSION_UDP, 9001, 53, LO + 1), COPY_PLACED);
	cr_expect_not_null(slot_beyond(IN, slot_key(EXTERNAL, 53, 9001), UDP));
	cr_expect_eq(sessions_of(IN), 2);
}
