// SPDX-License-Identifier: BSD-2-Clause
/* A session that the fast path opens beside its preferred slot is found again once that slot is free. */
#include <stdbool.h>

#include <criterion/criterion.h>

#include <detnat/slots.h>

#include "icmp_frame.h"

TestSuite(displaced, .init = set_up, .fini = tear_down);

#define FIRST  7000
#define SECOND 7080 /* of another group, at the same place in it */

/* An external port towards which another inside port has the preferred slot of FIRST towards EXTERNAL:53. */
static uint16_t ext_port_of_same_slot(void)
{
	const struct mapping *m = mappings_get(mappings, 0);
	struct bucket_pair first = session_buckets(EXTERNAL, 53, UDP, FIRST % PORTS, m->bucket_shift);

	for (uint16_t port = 54; port; port++)
		if (session_buckets(EXTERNAL, port, UDP, SECOND % PORTS, m->bucket_shift).first == first.first)
			return port;
	cr_assert_fail("there is none");
	return 0;
}

Test(displaced, is_found_again)
{
	const uint16_t ext_port = ext_port_of_same_slot();
#define PACKET(port_, ext_)                             \
	{                                               \
		"out", XDP_INSIDE,                      \
			{ .from = HOST,                 \
			  .to = GATEWAY_IN,             \
			  .src = SUBSCRIBER,            \
			  .dst = EXTERNAL,              \
			  UDP,                          \
			  port_,                        \
			  ext_,                         \
			  .payload = 30 },              \
			REDIRECT_XDP,                   \
			{ .ttl = 63,                    \
			  .from = GATEWAY_OUT,          \
			  .to = ROUTER,                 \
			  .src = POOL,                  \
			  .dst = EXTERNAL,              \
			  UDP,                          \
			  (uint16_t)OUT_PORT(port_, 2), \
			  ext_,                         \
			  .payload = 30 },              \
			REASON_in2out_translated        \
	}
	const struct row first[] = { PACKET(FIRST, 53) }, second[] = { PACKET(SECOND, ext_port) };

	RUN_ROWS(first);
	RUN_ROWS(second);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
	cr_assert_eq(sessions_close_in(mappings, 0, (struct endpoint){ .addr = SUBSCRIBER, .port = FIRST },
				       (struct endpoint){ .addr = EXTERNAL, .port = 53 }, UDP),
		     1);
	RUN_ROWS(second);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1, "it is the same one");
}

/* Runs a packet of a flow from an inside port to EXTERNAL:53. Returns its outside port. */
static uint16_t port_of(uint16_t in_port)
{
	struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, in_port, 53, .payload = 30
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in);

	cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &size), REDIRECT_XDP);
	return (uint16_t)(out[34] << 8 | out[35]);
}

/* Where the slots are crowded, it is in the emptier of its two buckets. */
Test(displaced, keeps_its_port_in_the_other_bucket)
{
	struct subscriber *s = mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	uint16_t port;

	cr_assert_eq(port_of(FIRST), OUT_PORT(FIRST, 2));
	s->sessions += 600;
	port = port_of(FIRST + 1);
	cr_expect_eq(port, OUT_PORT(FIRST + 1, 2));
	cr_expect_neq(s->displaced, 0);
	cr_expect_neq(port_of(FIRST + 1 + PORTS), port, "another inside port");
	cr_expect_eq(port_of(FIRST + 1), port, "it goes on");
	s->sessions -= 600;
	cr_expect_eq(sessions_of(SUBSCRIBER), 3);
}

static struct subscriber *subscriber(void)
{
	return mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
}

static struct bucket_pair buckets_of(uint16_t in_port, uint16_t ext_port)
{
	return session_buckets(EXTERNAL, ext_port, UDP, in_port % PORTS, mappings_get(mappings, 0)->bucket_shift);
}

static bool is_in(uint16_t in_port, uint16_t ext_port, uint32_t bucket, unsigned slot)
{
	const struct bucket *b = mappings_buckets(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0)) + bucket;

	return word_is_live(b->slot[slot].truth) && b->slot[slot].key == slot_key(EXTERNAL, ext_port, in_port);
}

/* Opens a session of an inside port in its preferred slot of a bucket. Returns its external port. */
static uint16_t open_in(uint16_t in_port, uint32_t bucket)
{
	uint16_t port = 54;

	while (buckets_of(in_port, port).first != bucket)
		port++;
	cr_assert_eq(open_flow(UDP, in_port, port, 0), OUT_PORT(in_port, 2));
	cr_assert(is_in(in_port, port, bucket, in_port % PORTS % BUCKET_SLOTS));
	return port;
}

static void close_flow(uint16_t in_port, uint16_t ext_port)
{
	cr_assert_eq(sessions_close_in(mappings, 0, (struct endpoint){ .addr = SUBSCRIBER, .port = in_port },
				       (struct endpoint){ .addr = EXTERNAL, .port = ext_port }, UDP),
		     1);
}

/* It is not opened beside what is left of it. */
Test(displaced, a_session_that_has_expired_on_another_port_makes_way)
{
	port_of(FIRST);
	cr_assert_eq(port_of(FIRST + PORTS), OUT_PORT(FIRST, 2) + 1);
	close_flow(FIRST, 53);
	age_sessions(SUBSCRIBER, 400);
	port_of(FIRST + PORTS);
	cr_expect_eq(subscriber()->sessions, 1);
}

Test(displaced, a_session_that_has_expired_in_the_other_bucket_makes_way)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);
	uint16_t first = 0;

	for (unsigned i = BUCKET_SLOTS; i-- > 0;)
		first = open_in((uint16_t)(SECOND + i), pair.first);
	port_of(FIRST);
	cr_assert(is_in(FIRST, 53, pair.second, 0));
	close_flow(SECOND, first);
	age_sessions(SUBSCRIBER, 400);
	port_of(FIRST);
	cr_expect_eq(subscriber()->sessions, BUCKET_SLOTS);
}

Test(displaced, an_expired_session_gives_up_its_slot)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);

	open_in(SECOND, pair.first);
	age_sessions(SUBSCRIBER, 400);
	port_of(FIRST);
	cr_expect_eq(subscriber()->sessions, 1);
}

/* The preferred slot of the other bucket first. */
Test(displaced, goes_to_the_emptier_bucket)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);

	open_in(SECOND, pair.first);
	port_of(FIRST);
	cr_expect(is_in(FIRST, 53, pair.second, 0));
}

Test(displaced, stays_in_its_bucket_if_the_other_is_as_full)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);

	open_in(SECOND, pair.first);
	open_in(SECOND, pair.second);
	port_of(FIRST);
	cr_expect(is_in(FIRST, 53, pair.first, BUCKET_SLOTS - 1));
}

Test(displaced, is_nothing_where_both_buckets_are_as_full)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);

	port_of(FIRST + 9);
	subscriber()->sessions += 600;
	port_of(FIRST);
	subscriber()->sessions -= 600;
	cr_expect(is_in(FIRST, 53, pair.first, 0));
	cr_expect_eq(subscriber()->displaced, 0);
}

/* A frame too short for the fast path; those that follow are not. */
Test(displaced, is_noted_by_the_slow_path_too)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);
#define ANSWER(name, n)                          \
	{                                        \
		name, XDP_OUTSIDE,               \
			{ .from = ROUTER,        \
			  .to = GATEWAY_OUT,     \
			  .src = EXTERNAL,       \
			  .dst = POOL,           \
			  UDP,                   \
			  53,                    \
			  OUT_PORT(FIRST, 2),    \
			  .payload = n },        \
			REDIRECT_XDP,            \
			{ .ttl = 63,             \
			  .from = GATEWAY_IN,    \
			  .to = HOST,            \
			  .src = EXTERNAL,       \
			  .dst = SUBSCRIBER,     \
			  UDP,                   \
			  53,                    \
			  FIRST,                 \
			  .payload = n },        \
			REASON_out2in_translated \
	}
	const struct row answers[] = { ANSWER("an answer", 0), ANSWER("by the fast path", 30) };

	open_in(SECOND, pair.first);
	cr_assert_eq(subscriber()->displaced, 0);
	cr_expect_eq(open_flow(UDP, FIRST, 53, 0), OUT_PORT(FIRST, 2));
	cr_expect(is_in(FIRST, 53, pair.second, 0));
	cr_expect_eq(subscriber()->displaced, home_bit(pair.first));
	cr_expect_eq(port_of(FIRST), OUT_PORT(FIRST, 2));
	RUN_ROWS(answers);
	cr_expect_eq(subscriber()->sessions, 2);
}

/* Beyond it nothing is opened, so each of its packets has to be found where it is. */
static void expect_it_goes_on_at_the_quota(void)
{
	static const struct icmp_row refused[] = {
		{ "an error about it",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, FIRST } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(FIRST, 2) } },
		  REASON_icmp_error_translated },
	};
	uint64_t over = counted(REASON_drop_quota);

	datapath.mapping[0].sessions_per_user = subscriber()->sessions;
	cr_expect_eq(open_flow(UDP, 9, 9, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota), over + 1);
	cr_expect_eq(open_flow(UDP, FIRST, 53, 0), OUT_PORT(FIRST, 2), "by the slow path");
	cr_expect_eq(port_of(FIRST), OUT_PORT(FIRST, 2), "by the fast path");
	cr_expect_eq(counted(REASON_drop_quota), over + 1);
	RUN_ICMP_ROWS(refused);
}

Test(displaced, goes_on_at_the_quota_in_the_other_bucket)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);

	open_in(SECOND, pair.first);
	port_of(FIRST);
	cr_assert(is_in(FIRST, 53, pair.second, 0));
	expect_it_goes_on_at_the_quota();
}

Test(displaced, goes_on_at_the_quota_in_the_last_slot)
{
	const struct bucket_pair pair = buckets_of(FIRST, 53);

	open_in(SECOND, pair.first);
	open_in(SECOND, pair.second);
	port_of(FIRST);
	cr_assert(is_in(FIRST, 53, pair.first, BUCKET_SLOTS - 1));
	expect_it_goes_on_at_the_quota();
}
