// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions in extents that stray, <detnat/extents.h>: no port of their first choice's group was free. Packets from
 * inside find them by a signpost.
 */
#include <criterion/criterion.h>

#include "extents_fixture.h"
#include "icmp_frame.h"
#include "tables/mapping_tables.h"
#include "told_routes.h"

TestSuite(extents_strays, .init = set_up_extents, .fini = tear_down, .timeout = 240);

/* Flows of one first choice to one server, of which a group of ports holds eight. */
#define CHOICE	 9
#define SERVER	 443
#define OF_GROUP PORT_GROUP
#define BLOCK_LO (1024 + PORTS * 2)

static uint16_t port_of(unsigned flow)
{
	return (uint16_t)(CHOICE + PORTS * (flow + 1));
}

/* Its outside port; -1: it is refused. */
static int open_one(uint8_t proto, unsigned flow, uint8_t flags)
{
	if (flow % 16 == 0)
		refresh_followed_routes();
	return open_flow_in_time(IN, proto, port_of(flow), SERVER, flags);
}

static struct extents_flow flow_of(uint8_t proto, unsigned flow, int out_port, uint8_t flags)
{
	return (struct extents_flow){ proto, flags, port_of(flow), SERVER, (uint16_t)out_port };
}

static bool is_stray(int out_port)
{
	return (out_port - BLOCK_LO) / (int)PORT_GROUP != CHOICE / PORT_GROUP;
}

/* Opens flows until one strays: *ret_port is its outside port. Its number. */
static unsigned open_stray(uint8_t proto, uint8_t flags, int *ret_port)
{
	for (unsigned flow = 0; flow < 60; flow++) {
		*ret_port = open_one(proto, flow, flags);
		cr_assert_geq(*ret_port, BLOCK_LO, "flow %u", flow);
		if (is_stray(*ret_port))
			return flow;
	}
	cr_assert_fail("none strays");
	return 0;
}

/* Slots of the subscriber's extent with a signpost, or with a session that strays. */
static unsigned signposts(void)
{
	unsigned n = 0;
	uint32_t slots;
	const struct slot *s = slots_beyond(extents_number(), IN, &slots);

	for (uint32_t i = 0; i < slots; i++)
		n += word_is_signpost(s[i].truth) != 0;
	return n;
}

static void age_signposts(void)
{
	uint32_t slots;
	struct slot *s = slots_beyond(extents_number(), IN, &slots);

	for (uint32_t i = 0; i < slots; i++)
		if (word_is_signpost(s[i].truth))
			word_refresh(&s[i].truth, word_seen(s[i].truth) - SIGNPOST_TICKS);
}

static void sweep(void)
{
	mappings_sweep_due(mappings, extents_number())[IN - ADDR(10, 1, 0, 0)] = 0;
	extents_sweep();
}

Test(extents_strays, packets_both_ways_find_it_on_all_paths)
{
	int port;
	unsigned flow = open_stray(UDP, 0, &port);
	const struct extents_flow f = flow_of(UDP, flow, port, 0);

	cr_expect_eq(flow, OF_GROUP);
	cr_expect_eq(sessions_of(IN), flow + 1);
	cr_expect_eq(signposts(), 1);
	extents_expect_both_ways(&f, XDP_INSIDE, XDP_OUTSIDE);
	extents_expect_both_ways(&f, XDP_INSIDE_SLOW, XDP_OUTSIDE_SLOW);
	cr_expect_eq(open_one(UDP, flow, 0), port, "its subscriber's next packet has the same port");
	cr_expect_eq(sessions_of(IN), flow + 1);
	extents_tables_right();
}

/* All inside ports there are of one first choice: their signposts are in all buckets, not in one. */
Test(extents_strays, as_many_as_there_are_inside_ports)
{
	const unsigned flows = 63;
	bool taken[PORTS] = { 0 };
	int port[63];

	for (unsigned i = 0; i < flows; i++) {
		port[i] = open_one(UDP, i, 0);
		cr_assert_geq(port[i], BLOCK_LO, "flow %u", i);
		cr_assert_lt(port[i], BLOCK_LO + PORTS);
		cr_expect_not(taken[port[i] - BLOCK_LO], "flow %u: port %d is another's", i, port[i]);
		taken[port[i] - BLOCK_LO] = true;
	}
	cr_expect_eq(sessions_of(IN), flows);
	cr_expect_gt(datapath.pool->grown, 1);
	for (unsigned i = 0; i < flows; i++) {
		const struct extents_flow f = flow_of(UDP, i, port[i], 0);

		extents_expect_both_ways(&f, XDP_INSIDE, XDP_OUTSIDE);
	}
	extents_tables_right();
}

/* Its port is no other flow's towards the server, whichever path opens that. */
Test(extents_strays, its_port_is_taken)
{
	int port, other;

	open_stray(UDP, 0, &port);
	other = open_flow_in_time(IN, UDP, (uint16_t)(port - BLOCK_LO + PORTS), SERVER, 0);
	cr_expect_geq(other, BLOCK_LO);
	cr_expect_neq(other, port);
	extents_tables_right();
}

Test(extents_strays, a_connection_there_opens_again_on_its_port)
{
	uint32_t sessions;
	unsigned flow;
	int port;

	tell_routes();
	flow = open_stray(TCP, SYN, &port);

	const struct extents_flow ack = flow_of(TCP, flow, port, ACK), fin = flow_of(TCP, flow, port, FIN | ACK);

	extents_expect_both_ways(&ack, XDP_INSIDE, XDP_OUTSIDE);
	sessions = extents_record()->sessions;
	extents_expect_both_ways(&fin, XDP_INSIDE, XDP_OUTSIDE);
	extents_expect_both_ways(&ack, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect_eq(extents_record()->sessions, sessions - 1, "it waits");
	cr_expect_eq(open_one(TCP, flow, SYN), port);
	cr_expect_eq(extents_record()->sessions, sessions);
	cr_expect_eq(counted(REASON_sessions_opened), flow + 1, "it is the same one");
	extents_expect_both_ways(&ack, XDP_INSIDE, XDP_OUTSIDE);
	extents_tables_right();
}

Test(extents_strays, one_that_has_expired_is_no_session_and_a_new_one_opens)
{
	uint32_t before;
	unsigned flow;
	int port;

	flow = open_stray(UDP, 0, &port);
	before = extents_record()->sessions;
	age_sessions(IN, 8000);
	/* The group has room by now. */
	port = open_one(UDP, flow, 0);
	cr_expect_not(is_stray(port));
	cr_expect_eq(sessions_of(IN), 1);
	cr_expect_leq(extents_record()->sessions, before);
	sweep();
	cr_expect_eq(extents_record()->sessions, 1);
	extents_tables_right();
}

Test(extents_strays, they_and_their_signposts_move_to_a_larger_extent)
{
	int port;
	unsigned flow = open_stray(UDP, 0, &port);
	const struct extents_flow f = flow_of(UDP, flow, port, 0);

	for (unsigned next = 0; extents_size() < 64; next++)
		cr_assert_eq(extents_open_nth(UDP, next, 0), extents_out_port(next), "flow %u", next);
	cr_expect_eq(signposts(), 1);
	extents_expect_both_ways(&f, XDP_INSIDE, XDP_OUTSIDE);
	extents_tables_right();
}

/* Those that lead to a session stay, and so do those that were put up a moment ago. */
Test(extents_strays, the_sweep_takes_down_signposts_that_lead_nowhere)
{
	const struct endpoint ext = { EXTERNAL, SERVER };
	int port;
	unsigned flow = open_stray(UDP, 0, &port);

	age_signposts();
	sweep();
	cr_expect_eq(signposts(), 1, "it leads to a session");
	cr_expect_eq(sessions_close_in(mappings, 0, (struct endpoint){ IN, port_of(flow) }, ext, UDP), 1);
	cr_expect_eq(sessions_of(IN), flow);
	age_signposts();
	sweep();
	cr_expect_eq(signposts(), 0);
	port = open_one(UDP, flow, 0);
	cr_expect(is_stray(port));
	cr_expect_eq(sessions_close_in(mappings, 0, (struct endpoint){ IN, port_of(flow) }, ext, UDP), 1);
	sweep();
	cr_expect_eq(signposts(), 1, "its session may still be about to open");
	extents_tables_right();
}

Test(extents_strays, an_extent_is_given_up_with_its_last_signpost)
{
	int port;

	open_stray(UDP, 0, &port);
	cr_expect_eq(extents_size() > 0, true);
	age_sessions(IN, 8000);
	age_signposts();
	sweep();
	cr_expect_eq(extents_size(), 0);
	cr_expect_eq(extents_record()->sessions, 0);
}

Test(extents_strays, a_check_finds_one_without_a_signpost)
{
	struct findings f;
	uint32_t slots;
	struct slot *s;
	int port;

	open_stray(UDP, 0, &port);
	s = slots_beyond(extents_number(), IN, &slots);
	for (uint32_t i = 0; i < slots; i++)
		if (word_is_signpost(s[i].truth))
			s[i].truth = 0;
	f = extents_findings();
	cr_expect_eq(f.total, 1);
	cr_expect_eq(f.finding[0].kind, FINDING_PORT);
	findings_free(&f);
}

Test(extents_strays, an_icmp_error_about_it_goes_both_ways)
{
	int port;
	unsigned flow = open_stray(UDP, 0, &port);
	const uint16_t in_port = port_of(flow), out_port = (uint16_t)port;
	const struct icmp_row rows[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = OUT,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = OUT, .dst = EXTERNAL, UDP, out_port, SERVER } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = IN,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = IN, .dst = EXTERNAL, UDP, in_port, SERVER } },
		  REASON_icmp_error_translated },
		{ "from inside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = IN,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = EXTERNAL, .dst = IN, UDP, SERVER, in_port } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OUT,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = EXTERNAL, .dst = OUT, UDP, SERVER, out_port } },
		  REASON_icmp_error_translated },
	};

	RUN_ICMP_ROWS(rows);
}

static void set_up_three(void)
{
	settings.extent_buckets = 64;
	settings.tc = TC_ALONE;
	set_up();
	extents_mapping(4000);
}

/* The pool is used up, and what has no room is refused; sessions that are there go on. */
Test(extents_strays, without_room_for_a_signpost_there_is_no_session, .init = set_up_three)
{
	unsigned opened = 0;
	int port[40];

	for (unsigned i = 0; i < 40; i++) {
		port[i] = open_one(UDP, i, 0);
		opened += port[i] >= 0;
	}
	cr_expect_gt(opened, 8);
	cr_expect_lt(opened, 40);
	cr_expect_eq(sessions_of(IN), opened);
	cr_expect_eq(counted(REASON_drop_overflow_full), 40 - opened);
	extents_tables_right();
	for (unsigned i = 0; i < 40; i++)
		if (port[i] >= 0)
			cr_expect_eq(open_one(UDP, i, 0), port[i]);
	cr_expect_eq(sessions_of(IN), opened);
}
