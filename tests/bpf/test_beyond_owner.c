// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions beyond the slots of an address whose mapping changes, before the agent has purged those of the mapping that
 * it was in: none leaves with an endpoint that is not the subscriber's, and none is in the way of another.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/binding.h>

#include "icmp_frame.h"
#include "sessions/check.h"
#include "tables/mapping_changes.h"

static void set_up_owner(void)
{
	settings.tc = TC_ALONE;
	set_up();
}

static void set_up_bound(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .inbound = 25 };
	settings.bindings = 1;
	set_up_owner();
}

TestSuite(beyond_owner, .init = set_up_owner, .fini = tear_down);

/* The exception: four subscribers to an address, with the blocks of others than before. */
#define NEW_OUT	       ADDR(203, 0, 113, 64)
#define NEW_PORTS      16128
#define NEW_PORT(port) (1024 + NEW_PORTS * 2 + (port) % NEW_PORTS)
static const struct prefix exception = { ADDR(10, 0, 0, 0), 28 }, exception_out = { NEW_OUT, 30 };

/* Of nine flows of one group of eight ports the last stands beyond the slots. */
#define FLOWS	      9
#define IN_PORT(flow) (uint16_t)(6304 + (flow)*PORTS)
#define LAST	      IN_PORT(FLOWS - 1)

#define FROM_HOST	 .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define LEAVES(out_addr) .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = out_addr, .dst = EXTERNAL
#define COMES_IN	 .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL
#define GETS		 .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

/* The port of the session beyond the slots. */
static uint16_t fill_mapping(void)
{
	int port = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		port = open_flow(UDP, IN_PORT(i), 53, 0);
	cr_assert_eq(sessions_overflowed(), 1);
	return (uint16_t)port;
}

/* An exception, with eight slots and one session beyond them, so that packets are looked up there. */
static void except(struct prefix in, struct prefix out)
{
	const int64_t before = sessions_overflowed();
	struct mapping_spec spec = {
		.in = in, .out = out, .sessions_per_user = 100, .session_slots = 8, .bindings = bindings
	};

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(300, datapath.hz);
	make_mapping(&spec, NULL);
	for (uint16_t i = 0; i < 9; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(100 + 8 * i), 443, 0), 0);
	cr_assert_eq(sessions_overflowed(), before + 1);
}

static void except_and_fill(void)
{
	except(exception, exception_out);
}

static void reclaim(void)
{
	enum reclaim r;

	while ((r = mappings_reclaim_step(mappings)) != RECLAIM_DONE)
		if (r == RECLAIM_WAITS)
			usleep(1000);
}

static void expect_tables_right(void)
{
	struct findings f = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(mappings, false, &f, &c), 0);
	while ((r = table_check_step(c, 1000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(500);
	table_check_free(c);
	cr_expect_eq(f.total, 0, "%s: %s", f.n ? f.finding[0].where : "", f.n ? f.finding[0].text : "");
	findings_free(&f);
}

/* A flow of before leaves by the exception, at both hooks, and is answered there. */
static void expect_new_endpoint(void)
{
	static const struct row rows[] = {
		{ "leaves by the subscriber's new endpoint",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, LAST, 53, .payload = 33 },
		  REDIRECT_XDP,
		  { LEAVES(NEW_OUT), UDP, NEW_PORT(LAST), 53, .payload = 33 },
		  REASON_in2out_translated },
		{ "again",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, LAST, 53, .payload = 7 },
		  REDIRECT_XDP,
		  { LEAVES(NEW_OUT), UDP, NEW_PORT(LAST), 53, .payload = 7 },
		  REASON_in2out_translated },
		{ "and where the kernel forwards",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, LAST, 53, .payload = 8 },
		  PASS_TC,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = NEW_OUT,
		    .dst = EXTERNAL,
		    UDP,
		    NEW_PORT(LAST),
		    53,
		    .payload = 8 },
		  REASON_in2out_translated },
		{ "is answered there",
		  XDP_OUTSIDE,
		  { COMES_IN, .dst = NEW_OUT, UDP, 53, NEW_PORT(LAST), .payload = 20 },
		  REDIRECT_XDP,
		  { GETS, UDP, 53, LAST, .payload = 20 },
		  REASON_out2in_translated },
		{ "at the ingress without XDP as well",
		  INGRESS_OUTSIDE,
		  { COMES_IN, .dst = NEW_OUT, UDP, 53, NEW_PORT(LAST), .payload = 20 },
		  PASS_TC,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    LAST,
		    .payload = 20 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

static void expect_old_endpoint(uint16_t port)
{
	const struct row rows[] = {
		{ "leaves by the endpoint of the mapping around",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, LAST, 53, .payload = 33 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), UDP, port, 53, .payload = 33 },
		  REASON_in2out_translated },
		{ "is answered there",
		  XDP_OUTSIDE,
		  { COMES_IN, .dst = POOL, UDP, 53, port, .payload = 20 },
		  REDIRECT_XDP,
		  { GETS, UDP, 53, LAST, .payload = 20 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

Test(beyond_owner, a_flow_of_before_leaves_with_the_endpoint_that_the_exception_gives_it)
{
	fill_mapping();
	except_and_fill();
	expect_new_endpoint();
	cr_expect_eq(counted(REASON_sessions_opened), FLOWS + 9 + 1);
	reclaim();
	expect_new_endpoint();
	expect_tables_right();
}

Test(beyond_owner, so_does_one_of_a_bound_port, .init = set_up_bound)
{
	fill_mapping();
	except_and_fill();
	expect_new_endpoint();
	reclaim();
	expect_new_endpoint();
	expect_tables_right();
}

Test(beyond_owner, a_flow_of_the_exception_leaves_with_the_endpoint_of_the_mapping_around_once_that_is_gone)
{
	const uint16_t filler = LAST + 1;
	const struct row rows[] = {
		{ "a flow that was beyond the slots of the exception",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 100 + 8 * 8, 443, .payload = 33 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), UDP, OUT_PORT(100 + 8 * 8, 2), 443, .payload = 33 },
		  REASON_in2out_translated },
		{ "is answered there",
		  XDP_OUTSIDE,
		  { COMES_IN, .dst = POOL, UDP, 443, OUT_PORT(100 + 8 * 8, 2), .payload = 20 },
		  REDIRECT_XDP,
		  { GETS, UDP, 443, 100 + 8 * 8, .payload = 20 },
		  REASON_out2in_translated },
		{ "a stranger to the endpoint that is gone",
		  XDP_OUTSIDE,
		  { COMES_IN, .dst = NEW_OUT, UDP, 443, NEW_PORT(100 + 8 * 8), .payload = 20 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	fill_mapping();
	except_and_fill();
	cr_assert_eq(mappings_del_of(mappings, 0, exception, exception_out), 0);
	/* The mapping around has no session beyond the slots yet, or again. */
	cr_assert_geq(open_flow(UDP, filler, 53, 0), 0);
	RUN_ROWS(rows);
	reclaim();
	RUN_ROWS(rows);
	expect_tables_right();
}

/* Each change is purged as far as the steps go: the counts must be right wherever the next one meets it. */
Test(beyond_owner, an_exception_that_comes_and_goes_at_any_moment_leaves_the_counts_right)
{
	for (unsigned steps = 0; steps < 12; steps++) {
		const uint16_t port = (uint16_t)open_flow(UDP, LAST, 53, 0);

		for (unsigned i = 0; i < FLOWS - 1; i++)
			cr_assert_geq(open_flow(UDP, IN_PORT(i), 53, 0), 0);
		expect_old_endpoint(port);
		except_and_fill();
		expect_new_endpoint();
		for (unsigned i = 0; i < steps; i++)
			if (mappings_reclaim_step(mappings) == RECLAIM_WAITS)
				usleep(20000);
		cr_assert_eq(mappings_del_of(mappings, 0, exception, exception_out), 0);
		/* Whether its session is there still or a new one opens: by the subscriber's own block. */
		cr_expect_eq((open_flow(UDP, LAST, 53, 0) - PORT_LO) / PORTS, 0, "after %u steps", steps);
		reclaim();
		expect_tables_right();
		age_sessions(SUBSCRIBER, 8000);
		age_beyond(ticks_of_seconds(8000, datapath.hz));
	}
}

Test(beyond_owner, an_icmp_error_quotes_the_endpoint_that_the_packet_had)
{
	const uint16_t port = fill_mapping();
	const struct icmp_row rows[] = {
		{ "from outside, about a packet of the exception",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = NEW_OUT,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = NEW_OUT, .dst = EXTERNAL, UDP, NEW_PORT(LAST), 53, .ttl = 60, .payload = 20 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, LAST, 53, .ttl = 60, .payload = 20 } },
		  REASON_icmp_error_translated },
		{ "about a packet that left before",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = POOL,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = POOL, .dst = EXTERNAL, UDP, port, 53, .ttl = 60, .payload = 20 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, LAST, 53, .ttl = 60, .payload = 20 } },
		  REASON_icmp_error_translated },
		{ "about an endpoint put together from both",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = NEW_OUT,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = NEW_OUT, .dst = EXTERNAL, UDP, port, 53, .ttl = 60, .payload = 20 } },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "from inside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, LAST, .ttl = 60, .payload = 20 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .ttl = 63,
		    .src = NEW_OUT,
		    .dst = EXTERNAL,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = EXTERNAL, .dst = NEW_OUT, UDP, 53, NEW_PORT(LAST), .ttl = 60, .payload = 20 } },
		  REASON_icmp_error_translated },
	};

	except_and_fill();
	/* Without a session there, before the flow goes on. */
	run_icmp_rows(&rows[2], 1);
	cr_assert_eq(open_flow(UDP, LAST, 53, 0), NEW_PORT(LAST));
	RUN_ICMP_ROWS(rows);
}

#define REMOTE ADDR(9, 9, 9, 9)
#define FIRST  .payload = 200, .options = MORE_FRAGMENTS
#define LATER  .payload = 200, .options = LATER_FRAGMENT | NO_UDP_CHECKSUM
#define SENDS  .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER
#define WENT   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER

Test(beyond_owner, fragments_leave_by_the_address_of_their_first_one)
{
	static const struct row before[] = {
		{ "the first fragment, before the change",
		  XDP_INSIDE,
		  { SENDS, .dst = REMOTE, UDP, 5000, 53, FIRST },
		  REDIRECT_XDP,
		  { WENT, .src = POOL, .dst = REMOTE, UDP, OUT_PORT(5000, 2), 53, FIRST },
		  REASON_in2out_translated },
	};
	static const struct row after[] = {
		{ "the rest of that datagram",
		  XDP_INSIDE,
		  { SENDS, .dst = REMOTE, UDP, 1, 2, LATER },
		  REDIRECT_XDP,
		  { WENT, .src = POOL, .dst = REMOTE, UDP, 1, 2, LATER },
		  REASON_in2out_translated },
		{ "the first of another",
		  XDP_INSIDE,
		  { SENDS, .dst = EXTERNAL, UDP, LAST, 53, FIRST },
		  REDIRECT_XDP,
		  { WENT, .src = NEW_OUT, .dst = EXTERNAL, UDP, NEW_PORT(LAST), 53, FIRST },
		  REASON_in2out_translated },
		{ "and its rest",
		  XDP_INSIDE,
		  { SENDS, .dst = EXTERNAL, UDP, 1, 2, LATER },
		  REDIRECT_XDP,
		  { WENT, .src = NEW_OUT, .dst = EXTERNAL, UDP, 1, 2, LATER },
		  REASON_in2out_translated },
	};

	fill_mapping();
	RUN_ROWS(before);
	except_and_fill();
	RUN_ROWS(after);
}

#define OTHER_PORT OUT_PORT(8000, 3)
#define OWN_PORT   (1024 + LAST)

/* The subscriber alone gets another outside address. */
Test(beyond_owner, a_hairpin_has_the_new_endpoint_of_its_sender)
{
	static const struct row rows[] = {
		{ "OTHER has no session with it yet",
		  XDP_INSIDE,
		  { SENDS, .dst = POOL, UDP, LAST, OTHER_PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "OTHER calls it",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = NEW_OUT, UDP, 8000, OWN_PORT, .payload = 9 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    UDP,
		    OTHER_PORT,
		    LAST,
		    .payload = 9 },
		  REASON_hairpin_translated },
		{ "and is answered from it",
		  XDP_INSIDE,
		  { SENDS, .dst = POOL, UDP, LAST, OTHER_PORT, .payload = 5 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = NEW_OUT,
		    .dst = OTHER,
		    UDP,
		    OWN_PORT,
		    8000,
		    .payload = 5 },
		  REASON_hairpin_translated },
	};
	struct frame f = { SENDS, .dst = POOL, UDP, 0, OTHER_PORT };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	for (unsigned i = 0; i < FLOWS; i++) {
		f.sport = IN_PORT(i);
		size = frame_build(&f, in);
		run_frame(XDP_INSIDE, in, size, out, &size);
	}
	cr_assert_eq(sessions_overflowed(), 1);
	except((struct prefix){ SUBSCRIBER, 32 }, (struct prefix){ NEW_OUT, 32 });
	RUN_ROWS(rows);
}
