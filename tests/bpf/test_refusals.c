// SPDX-License-Identifier: BSD-2-Clause
/*
 * Refusals at the quota on the fast path, which neither answers nor reports: packets for which either is due take the
 * slow path, and so do those that need no further session.
 */
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/events.h>

#include "portmap_fixture.h"

TestSuite(refusals, .init = set_up, .fini = tear_down);

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
#define QUOTA	   9
#define IN_PORT(i) ((uint16_t)(6304 + (i)*PORTS))

static struct subscriber *subscriber(void)
{
	return mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
}

static void reach_quota(void)
{
	datapath.mapping[0].sessions_per_user = QUOTA;
	for (unsigned i = 0; i < QUOTA; i++)
		cr_assert_geq(open_flow(UDP, IN_PORT(i), 53, 0), 0);
}

/* One more flow, which is refused, in a tick in which a sweep has been in vain already. Returns the verdict. */
static int refuse(bool answer, bool report)
{
	struct frame f = { FROM_HOST, UDP, IN_PORT(QUOTA), 53, .payload = 30 };
	struct subscriber *s = subscriber();
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;
	uint64_t refused, dropped;
	uint32_t tick, later;
	int verdict;

	do {
		next_tick();
		refused = s->refused;
		dropped = counted(REASON_drop_quota);
		tick = datapath_ticks(&datapath);
		later = (tick << TICK_SHIFT) + datapath.hz;
		s->search_tick = (uint16_t)tick;
		s->quota_pass = QUOTA_IN_VAIN;
		s->icmp_next = answer ? 0 : later;
		s->quota_event_next = report ? 0 : later;
		verdict = run_frame(XDP_INSIDE, in, size, out, &out_size);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(s->refused, refused + 1);
	cr_expect_eq(counted(REASON_drop_quota), dropped + 1);
	cr_expect_eq(s->quota_event_next != (report ? 0 : later), report, "reported");
	return verdict;
}

Test(refusals, are_counted_and_are_answered_and_reported_when_that_is_due)
{
	reach_quota();
	cr_expect_eq(refuse(false, false), DROP_XDP);
	cr_expect_eq(refuse(true, false), REDIRECT_XDP, "answered");
	cr_expect_eq(refuse(false, true), DROP_XDP);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), QUOTA);
}

static struct nat_event last;

static int keep(void *arg, void *data, size_t size)
{
	last = *(const struct nat_event *)data;
	return 0;
}

/* The one event that a refusal has told of. */
static void expect_report(const char *name, uint8_t type, uint16_t ext_port)
{
	struct ring_buffer *ring = ring_buffer__new(datapath.events, keep, NULL, NULL);

	cr_assert_not_null(ring);
	cr_expect_eq(ring_buffer__consume(ring), 1, "%s", name);
	ring_buffer__free(ring);
	cr_expect_eq(last.type, type, "%s: of type %u", name, last.type);
	cr_expect(last.proto == UDP && last.in_addr == SUBSCRIBER && last.out_addr == POOL &&
			  last.ext_addr == EXTERNAL && last.ext_port == ext_port &&
			  last.limit == datapath.mapping[0].sessions_per_user,
		  "%s", name);
}

/* The quota and a lack of ports have limits of their own; what finds no place beyond the slots counts as the former. */
Test(refusals, are_reported_as_what_they_are)
{
	struct subscriber *s = subscriber();

	datapath.mapping[0].sessions_per_user = PORTS;
	for (unsigned i = 0; i < PORTS; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(2000 + i), 53, 0), 0);
	cr_expect_eq(open_flow(UDP, 2000 + PORTS, 54, 0), -1);
	expect_report("quota", EVENT_QUOTA, 54);
	datapath.mapping[0].sessions_per_user = 2 * PORTS;
	next_tick();
	cr_expect_eq(open_flow(UDP, 2000 + PORTS, 53, 0), -1);
	expect_report("ports", EVENT_PORTS_EXHAUSTED, 53);
	/* Towards another endpoint there are ports, but no slot once the pool of extents is used up. */
	datapath.pool->used = settings.extent_buckets;
	s->quota_event_next = 0;
	next_tick();
	for (unsigned i = 0; i < PORTS && !counted(REASON_drop_overflow_full); i++)
		open_flow(UDP, (uint16_t)(2000 + i), 54, 0);
	datapath.pool->used = 0;
	expect_report("no place", EVENT_EXTENTS_FULL, 54);
}

/* Runs a row in such a tick, with neither an answer nor a report due. */
static void run_at_quota(const struct row *row)
{
	struct subscriber *s = subscriber();
	uint64_t refused = s->refused;
	uint32_t tick;

	do {
		next_tick();
		tick = datapath_ticks(&datapath);
		s->search_tick = (uint16_t)tick;
		s->quota_pass = QUOTA_IN_VAIN;
		s->icmp_next = s->quota_event_next = (tick << TICK_SHIFT) + datapath.hz;
		run_rows(row, 1);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(s->refused, refused);
}

Test(refusals, are_not_for_packets_of_sessions_beyond_the_slots)
{
	struct row row = { "of the ninth flow",
			   XDP_INSIDE,
			   { FROM_HOST, UDP, IN_PORT(8), 53, .payload = 30 },
			   REDIRECT_XDP,
			   { TO_ROUTER, UDP, 0, 53, .payload = 30 },
			   REASON_in2out_translated };
	int port;

	reach_quota();
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);
	port = open_flow(UDP, IN_PORT(8), 53, 0);
	cr_assert_geq(port, PORT_LO);
	row.out.sport = (uint16_t)port;
	run_at_quota(&row);
}

Test(refusals_portmap, are_not_for_its_packets, .init = portmap_set_up, .fini = portmap_tear_down)
{
	static const struct row row = { "of a portmap",
					XDP_INSIDE,
					{ FROM_HOST, UDP, 3074, 53, .payload = 30 },
					REDIRECT_XDP,
					{ TO_ROUTER, UDP, WEB, 53, .payload = 30 },
					REASON_in2out_translated };

	datapath.mapping[0].sessions_per_user = 1;
	map_port(UDP, SUBSCRIBER, 3074, WEB);
	cr_assert_geq(open_flow(UDP, 7000, 53, 0), 0);
	run_at_quota(&row);
}
