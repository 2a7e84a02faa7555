// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions beyond the slots while mappings drain: the map has those of both mappings, which may have the same port
 * towards the same external endpoint.
 */
#include <limits.h>

#include <criterion/criterion.h>

#include "drain_fixture.h"

TestSuite(drain_beyond, .init = drain_set_up, .fini = tear_down);

#define OLD_OUT ADDR(203, 0, 113, 200)
#define NEW_OUT ADDR(203, 0, 113, 201)
#define SLOTS	8
/* 16 subscribers have these addresses, with blocks that are the same. */
#define BLOCK		    4032
#define BLOCK_PORT(in_port) (1024 + BLOCK * (SUBSCRIBER & 15) + (in_port) % BLOCK)
static const struct prefix inside = { ADDR(10, 0, 0, 0), 28 }, first_out = { OLD_OUT, 32 },
			   second_out = { NEW_OUT, 32 };

static void expect_out(const char *what, uint16_t in_port, uint32_t out_addr)
{
	const struct row rows[] = {
		{ what,
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    UDP,
		    in_port,
		    53,
		    .payload = 7 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = out_addr,
		    .dst = EXTERNAL,
		    UDP,
		    BLOCK_PORT(in_port),
		    53,
		    .ttl = 63,
		    .payload = 7 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(rows);
}

static int count(const struct session *s, void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

static unsigned listed(void)
{
	struct session_walk *w;
	unsigned n = 0;

	cr_assert_eq(session_walk_new_subscriber(mappings, SUBSCRIBER, &w), 0);
	while (session_walk_step(w, UINT_MAX, count, &n) > 0)
		;
	session_walk_free(w);
	return n;
}

/* One more session than there are slots. */
static void fill(uint16_t first, uint16_t last_port, uint32_t out_addr)
{
	for (uint16_t i = 0; i < SLOTS; i++)
		expect_out("opens in a slot", (uint16_t)(first + i), out_addr);
	if (last_port)
		expect_out("opens beyond the slots", last_port, out_addr);
}

static void replace(void)
{
	drain_add(inside, first_out, SLOTS, 100, &(struct mapping_handover){ 0 });
	fill(5000, 5008, OLD_OUT);
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);
	drain_add(inside, second_out, SLOTS, 100, &(struct mapping_handover){ true, first_out, 600 });
}

Test(drain_beyond, is_listed_though_the_new_mapping_has_no_session_beyond_its_slots)
{
	replace();
	fill(6000, 0, NEW_OUT);
	cr_expect_eq(counted(REASON_sessions_overflowed), 1);
	cr_expect_eq(listed(), SLOTS + 1 + SLOTS, "%u", listed());
}

Test(drain_beyond, keeps_its_outside_endpoint_where_another_session_has_the_same_port)
{
	replace();
	fill(6000, 5008 + BLOCK, NEW_OUT);
	cr_expect_eq(counted(REASON_sessions_overflowed), 2);
	expect_out("a session from before", 5008, OLD_OUT);
	expect_out("a new session, of the same port", 5008 + BLOCK, NEW_OUT);
	expect_out("and the former again", 5008, OLD_OUT);
	cr_expect_eq(counted(REASON_sessions_opened), 2 * (SLOTS + 1));
	cr_expect_eq(listed(), 2 * (SLOTS + 1), "%u", listed());
}
