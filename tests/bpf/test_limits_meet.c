// SPDX-License-Identifier: BSD-2-Clause
/* Limits of a subscriber where they meet blocks that grow, drains, hairpins, exceptions, and copies of other gateways.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "datapath/copy_program.h"
#include "drain_fixture.h"
#include "grant_fixture.h"
#include "told_routes.h"
#include "update_fixture.h"

#define UDP_LIMIT 4
#define SYN	  0x02

static struct copy_program program;

static void set_up_limited(void)
{
	user_limits = (struct limit_layout){ .sessions = { [LIMIT_UDP] = UDP_LIMIT } };
	settings.drains = 1;
	set_up();
}

/* Limits are expected, and none is set. */
static void set_up_unlimited(void)
{
	set_up();
	settings.limits = 1;
	reload_settings();
}

TestSuite(limits_meet, .timeout = 60);

static const struct limit_line *line_of(int number, uint32_t in_addr)
{
	return mappings_limit_line(mappings, number, mapping_subscriber(&mappings_get(mappings, number)->geo, in_addr));
}

static void expect_udp(const char *name, int number, uint32_t sessions)
{
	const struct limit_line *line = line_of(number, SUBSCRIBER);

	cr_assert_not_null(line, "%s", name);
	cr_expect_eq(line->sessions[LIMIT_UDP], sessions, "%s: %d, not %u", name, (int)line->sessions[LIMIT_UDP],
		     sessions);
	cr_expect_eq(line->sessions[LIMIT_TCP], 0, "%s", name);
}

/* What is told of the subscriber is what its limit goes by. */
static void expect_told(int number, uint32_t udp)
{
	struct subscriber_limits l;

	cr_assert_eq(subscriber_limits_read(mappings, number, SUBSCRIBER, &l), 0);
	cr_expect_eq(l.sessions[LIMIT_UDP], udp, "told: %u, not %u", l.sessions[LIMIT_UDP], udp);
	cr_expect_eq(l.sessions[LIMIT_TCP], 0);
}

/* A flow that a limit refuses is no reason for another block. */
static void set_up_growth(void)
{
	user_limits = (struct limit_layout){ .sessions = { [LIMIT_UDP] = 8 }, .interval_ns = 60000000U, .burst = 9 };
	set_up_plan(&(struct grant_plan){ 8, 8, 3, 100, 64, { 0 } });
	settings.limits = 1;
}

Test(limits_meet, no_block_is_granted_for_a_flow_that_a_limit_refuses, .init = set_up_growth, .fini = tear_down)
{
	uint64_t rated;

	for (unsigned i = 0; i < 8; i++)
		cr_assert_geq(open_of(UDP, (uint16_t)(5000 + i), 53, 0), 0);
	asked();
	for (unsigned i = 0; i < 5; i++)
		cr_expect_eq(open_of(UDP, (uint16_t)(6000 + i), 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota_protocol) + counted(REASON_drop_rate), 5);
	cr_expect_eq(asked(), 0, "for the limit of the protocol");
	/* TCP has no limit of its own: it opens while there are tokens, and no block is asked for then, either. */
	rated = counted(REASON_drop_rate);
	for (unsigned i = 0; i < 40 && counted(REASON_drop_rate) == rated; i++)
		open_of(TCP, (uint16_t)(7000 + i % 8), (uint16_t)(80 + i / 8), SYN);
	cr_expect_gt(counted(REASON_drop_rate), rated);
	cr_expect_eq(asked(), 0, "for the rate");
}

/* Sessions that drain count against the limit of the mapping that has the subscriber now. */
Test(limits_meet, what_drains_counts, .init = set_up_limited, .fini = tear_down)
{
	struct mapping_spec spec = {
		.in = all, .out = new_out, .sessions_per_user = 1000, .session_slots = 64, .limit = user_limits
	};
	int old = mappings_find_any(mappings, SUBSCRIBER), now;

	memcpy(spec.timeout_ticks, mappings_get(mappings, old)->timeout_ticks, sizeof(spec.timeout_ticks));
	for (uint16_t i = 0; i < UDP_LIMIT - 1; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(5000 + i), 53, 0), 0);
	make_mapping(&spec, &(struct mapping_handover){ true, old_out, 600 });
	refresh_followed_routes();
	now = mappings_find_any(mappings, SUBSCRIBER);
	expect_told(now, UDP_LIMIT - 1);
	cr_expect_geq(open_flow(UDP, 6000, 53, 0), 0);
	cr_expect_eq(open_flow(UDP, 6001, 53, 0), -1);
	expect_told(now, UDP_LIMIT);
	cr_expect_eq(counted(REASON_drop_quota_protocol), 1);
	expect_udp("where they drain", old, UDP_LIMIT - 1);
	expect_udp("where they open", now, 1);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2), "sessions from before go on");
	cr_expect_eq(sessions_close_in(mappings, 0, (struct endpoint){ SUBSCRIBER, 5000 },
				       (struct endpoint){ EXTERNAL, 53 }, 0),
		     1);
	expect_udp("one of them is closed", old, UDP_LIMIT - 2);
	expect_told(now, UDP_LIMIT - 1);
	cr_expect_geq(open_flow(UDP, 6001, 53, 0), 0);
}

/* An exception without limits, within a mapping that has some: each counts its own. */
Test(limits_meet, an_exception_has_its_own, .init = set_up_limited, .fini = tear_down)
{
	struct mapping_spec spec = {
		.in = { SUBSCRIBER, 32 }, .out = { OWN_OUT, 32 }, .sessions_per_user = 1000, .session_slots = 64
	};
	int number = mappings_find_any(mappings, SUBSCRIBER);

	memcpy(spec.timeout_ticks, mappings_get(mappings, number)->timeout_ticks, sizeof(spec.timeout_ticks));
	for (uint16_t i = 0; i < UDP_LIMIT; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(5000 + i), 53, 0), 0);
	make_mapping(&spec, NULL);
	refresh_followed_routes();
	while (mappings_reclaim_step(mappings) != RECLAIM_DONE)
		usleep(100);
	for (uint16_t i = 0; i < 2 * UDP_LIMIT; i++)
		cr_expect_geq(open_flow(UDP, (uint16_t)(6000 + i), 53, 0), 0, "without a limit");
	expect_udp("those of the outer mapping have ended", number, 0);
	cr_assert_eq(mappings_del_of(mappings, 0, spec.in, spec.out), 0);
	refresh_followed_routes();
	for (uint16_t i = 0; i < UDP_LIMIT; i++)
		cr_expect_geq(open_flow(UDP, (uint16_t)(7000 + i), 53, 0), 0);
	cr_expect_eq(open_flow(UDP, 7100, 53, 0), -1);
	expect_udp("in the outer mapping again", number, UDP_LIMIT);
}

/* Limits that come while an exception has an address hold for it, too, when it comes back. */
Test(limits_meet, an_address_that_comes_back_is_limited, .init = set_up_unlimited, .fini = tear_down)
{
	struct mapping_spec exception = {
		.in = { SUBSCRIBER, 32 }, .out = { OWN_OUT, 32 }, .sessions_per_user = 1000, .session_slots = 64
	};
	struct mapping_spec outer = { .in = { ADDR(10, 0, 0, 0), 24 },
				      .out = { POOL, 30 },
				      .sessions_per_user = 1000,
				      .limit = { .sessions = { [LIMIT_UDP] = UDP_LIMIT } } };
	int number = mappings_find_any(mappings, SUBSCRIBER);

	memcpy(exception.timeout_ticks, mappings_get(mappings, number)->timeout_ticks, sizeof(exception.timeout_ticks));
	memcpy(outer.timeout_ticks, exception.timeout_ticks, sizeof(outer.timeout_ticks));
	make_mapping(&exception, NULL);
	begin_update(&outer);
	cr_assert_eq(mappings_update(mappings, &outer), 0);
	count_limits();
	cr_assert_eq(mappings_del_of(mappings, 0, exception.in, exception.out), 0);
	refresh_followed_routes();
	count_limits();
	for (uint16_t i = 0; i < UDP_LIMIT; i++)
		cr_expect_geq(open_flow(UDP, (uint16_t)(5000 + i), 53, 0), 0);
	cr_expect_eq(open_flow(UDP, 5100, 53, 0), -1);
	expect_udp("as many as the limit", number, UDP_LIMIT);
}

/* A hairpin is a session of the host that opens it. */
Test(limits_meet, a_hairpin_is_a_session, .init = set_up_limited, .fini = tear_down)
{
	struct frame f = { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 0, OUT_PORT(7000, 3) };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	cr_assert_geq(open_flow_of(OTHER, UDP, 7000, 53, 0), 0);
	for (uint16_t i = 0; i <= UDP_LIMIT; i++) {
		f.sport = (uint16_t)(5000 + i);
		size = frame_build(&f, in);
		run_frame(XDP_INSIDE, in, size, out, &out_size);
	}
	expect_udp("as many as the limit", mappings_find_any(mappings, SUBSCRIBER), UDP_LIMIT);
	cr_expect_eq(counted(REASON_drop_quota_protocol), 1);
}

static void set_up_copies(void)
{
	int r;

	user_limits = (struct limit_layout){
		.sessions = { [LIMIT_UDP] = UDP_LIMIT }, .interval_ns = 1000000000U, .burst = 1, .rate = 1
	};
	set_up();
	r = copy_program_load(&program, &datapath);
	cr_assert_eq(r, 0, "%s", strerror(-r));
}

static void tear_down_copies(void)
{
	copy_program_unload(&program);
	tear_down();
}

static int request(uint8_t what, uint16_t in_port)
{
	const struct mapping *m = mappings_get(mappings, 0);
	uint32_t first = mapping_first_choice(&m->geo, in_port);
	struct bucket_pair pair = session_buckets(EXTERNAL, 53, UDP, first, m->bucket_shift);

	program.requests->n = 1;
	program.requests->copy[0] = (struct session_copy){
		.key = slot_key(EXTERNAL, 53, in_port),
		.word = state_word((uint16_t)OUT_PORT(in_port, 2), UDP, SESSION_UDP, datapath_ticks(&datapath)),
		.subscriber = SUBSCRIBER - m->geo.in_base,
		.slot = (uint16_t)(pair.first * BUCKET_SLOTS + first % BUCKET_SLOTS),
		.request = what,
	};
	cr_assert_eq(copy_program_run(&program), 0);
	return program.requests->copy[0].result;
}

/* Copies count and take no token. */
Test(limits_meet, copies_count_but_have_no_rate, .init = set_up_copies, .fini = tear_down_copies)
{
	for (uint16_t i = 0; i < UDP_LIMIT - 1; i++)
		cr_expect_eq(request(COPY_TO_SLOT, (uint16_t)(5000 + i)), COPY_PLACED, "copy %u", i);
	cr_expect_eq(request(COPY_TO_EXTENT, 5010), COPY_PLACED);
	expect_udp("four copies", 0, UDP_LIMIT);
	cr_expect_eq(line_of(0, SUBSCRIBER)->full_ns, 0);
	cr_expect_eq(open_flow(UDP, 5030, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota_protocol), 1);
	cr_expect_eq(sessions_close_in(mappings, 0, (struct endpoint){ SUBSCRIBER, 5010 },
				       (struct endpoint){ EXTERNAL, 53 }, 0),
		     1);
	expect_udp("one has ended", 0, UDP_LIMIT - 1);
	cr_expect_geq(open_flow(UDP, 5030, 53, 0), 0);
	cr_expect_neq(line_of(0, SUBSCRIBER)->full_ns, 0);
}

/* A session that a peer has exists: refused here, it would end at a takeover. */
Test(limits_meet, no_limit_refuses_a_copy, .init = set_up_copies, .fini = tear_down_copies)
{
	for (uint16_t i = 0; i < UDP_LIMIT; i++)
		cr_expect_eq(request(COPY_TO_SLOT, (uint16_t)(5000 + i)), COPY_PLACED, "copy %u", i);
	cr_expect_eq(request(COPY_TO_SLOT, 5020), COPY_PLACED, "in a slot, beyond the limit");
	cr_expect_eq(request(COPY_TO_EXTENT, 5021), COPY_PLACED, "and beyond the slots");
	expect_udp("two beyond the limit", 0, UDP_LIMIT + 2);
	cr_expect_eq(open_flow(UDP, 5020, 53, 0), OUT_PORT(5020, 2), "the subscriber's packets go on");
	cr_expect_eq(open_flow(UDP, 5021, 53, 0), OUT_PORT(5021, 2));
	/* His own openings are refused until there are as few as the limit says. */
	for (uint16_t port = 5000; port < 5003; port++) {
		cr_expect_eq(open_flow(UDP, 6000, 53, 0), -1, "before %u is closed", port);
		cr_expect_eq(sessions_close_in(mappings, 0, (struct endpoint){ SUBSCRIBER, port },
					       (struct endpoint){ EXTERNAL, 53 }, 0),
			     1);
	}
	expect_udp("one below the limit", 0, UDP_LIMIT - 1);
	cr_expect_geq(open_flow(UDP, 6000, 53, 0), 0);
}
