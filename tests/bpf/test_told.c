// SPDX-License-Identifier: BSD-2-Clause
/* Sessions that the datapath itself opens and ends: each is told once, as what it was, and counted. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/events.h>

#include "fixture.h"
#include "portmap_fixture.h"
#include "datapath/copy_program.h"

static void set_up_told(void)
{
	settings.session_events = 1;
	set_up();
}

TestSuite(told, .init = set_up_told, .fini = tear_down);

#define SYN 0x02
#define FIN 0x11
#define ACK 0x10

/* Inside ports whose first choices are in one group of 8 ports. */
#define IN_PORT(i) ((uint16_t)(6304 + (i)*PORTS))

static struct nat_event event[64];
static unsigned events;

static int keep(void *arg, void *data, size_t size)
{
	const struct nat_event *e = data;

	if ((e->type == EVENT_SESSION_OPENED || e->type == EVENT_SESSION_CLOSED) && events < 64)
		event[events++] = *e;
	return 0;
}

static void read_events(void)
{
	struct ring_buffer *ring = ring_buffer__new(datapath.events, keep, NULL, NULL);

	cr_assert_not_null(ring);
	events = 0;
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

static struct subscriber *subscriber(void)
{
	return mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
}

/* Exactly one event of a type has been told since the last read_events(). */
static void expect_told(const char *name, uint8_t type, uint8_t proto, uint16_t in_port, uint16_t out_port,
			uint16_t ext_port)
{
	unsigned n = 0;

	for (unsigned i = 0; i < events; i++) {
		const struct nat_event *e = &event[i];

		if (e->type != type)
			continue;
		n++;
		cr_expect(e->proto == proto && e->in_addr == SUBSCRIBER && e->out_addr == POOL &&
				  e->ext_addr == EXTERNAL && e->in_port == in_port && e->out_port == out_port &&
				  e->ext_port == ext_port,
			  "%s: %u of protocol %u, %u to %u by %u", name, type, e->proto, e->in_port, e->ext_port,
			  e->out_port);
	}
	cr_expect_eq(n, 1, "%s: %u told of type %u", name, n, type);
	cr_expect_eq(subscriber()->sessions, sessions_of(SUBSCRIBER), "%s: %u counted", name, subscriber()->sessions);
}

static void close_connection(uint16_t in_port, uint16_t out_port)
{
	struct frame fin = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, TCP, 80, out_port, .flags = FIN
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	cr_assert_eq(open_flow(TCP, in_port, 80, FIN), out_port);
	run_frame(XDP_OUTSIDE, in, frame_build(&fin, in), out, &size);
	cr_assert_eq(open_flow(TCP, in_port, 80, ACK), out_port);
}

Test(told, one_that_opens)
{
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	read_events();
	expect_told("fast path", EVENT_SESSION_OPENED, UDP, 7000, OUT_PORT(7000, 2), 53);
	subscriber()->displaced = ~0U;
	cr_assert_eq(open_flow(UDP, 7001, 53, 0), OUT_PORT(7001, 2));
	read_events();
	expect_told("slow path", EVENT_SESSION_OPENED, UDP, 7001, OUT_PORT(7001, 2), 53);
}

Test(told, a_connection_that_a_syn_opens_anew)
{
	int port = open_flow(TCP, 7000, 80, SYN);

	cr_assert_eq(port, OUT_PORT(7000, 2));
	close_connection(7000, (uint16_t)port);
	cr_expect_eq(subscriber()->sessions, 0);
	read_events();
	cr_assert_eq(open_flow(TCP, 7000, 80, SYN), port);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, TCP, 7000, (uint16_t)port, 80);
	expect_told("the new one", EVENT_SESSION_OPENED, TCP, 7000, (uint16_t)port, 80);
	cr_expect_eq(subscriber()->sessions, 1);
}

/* All ports of a group are held, one of them by a connection in time-wait, which makes way. */
Test(told, a_connection_in_time_wait_whose_port_another_gets)
{
	int port[8];

	for (unsigned i = 0; i < 8; i++)
		port[i] = open_flow(TCP, IN_PORT(i), 80, SYN);
	close_connection(IN_PORT(3), (uint16_t)port[3]);
	read_events();
	cr_assert_eq(open_flow(TCP, IN_PORT(8), 80, SYN), port[3]);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, TCP, IN_PORT(3), (uint16_t)port[3], 80);
	expect_told("the new one", EVENT_SESSION_OPENED, TCP, IN_PORT(8), (uint16_t)port[3], 80);
	cr_expect_eq(subscriber()->sessions, 8);
}

Test(told, an_expired_one_whose_port_another_gets)
{
	cr_assert_eq(open_flow(UDP, IN_PORT(0), 53, 0), OUT_PORT(6304, 2));
	age_sessions(SUBSCRIBER, 301);
	read_events();
	cr_assert_eq(open_flow(UDP, IN_PORT(1), 53, 0), OUT_PORT(6304, 2));
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, UDP, IN_PORT(0), OUT_PORT(6304, 2), 53);
	expect_told("the new one", EVENT_SESSION_OPENED, UDP, IN_PORT(1), OUT_PORT(6304, 2), 53);
	cr_expect_eq(subscriber()->sessions, 1);
}

Test(told, an_expired_one_that_the_quota_removes)
{
	datapath.mapping[0].sessions_per_user = 1;
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	age_sessions(SUBSCRIBER, 301);
	read_events();
	cr_assert_eq(open_flow(UDP, 7123, 54, 0), OUT_PORT(7123, 2));
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, UDP, 7000, OUT_PORT(7000, 2), 53);
	cr_expect_eq(subscriber()->sessions, 1);
}

/* One in time-wait counts no more, so its end would make no room: the quota leaves it to the agent's sweep. */
Test(told, one_in_time_wait_at_the_quota)
{
	int port = open_flow(TCP, 7000, 80, SYN);

	datapath.mapping[0].sessions_per_user = 1;
	close_connection(7000, (uint16_t)port);
	age_sessions(SUBSCRIBER, 241);
	cr_assert_geq(open_flow(UDP, 7123, 53, 0), 0);
	read_events();
	next_tick();
	cr_expect_eq(open_flow(UDP, 7124, 53, 0), -1);
	read_events();
	cr_expect_eq(events, 0);
	cr_expect_eq(subscriber()->sessions, 1);
}

/* All ports of the block are held: one in time-wait makes way, then one that an RST has closed. */
Test(told, one_whose_port_a_flow_of_another_group_gets)
{
	struct frame reset = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, TCP, 80, OUT_PORT(2100, 2), .flags = 4
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	datapath.mapping[0].sessions_per_user = 5000;
	for (unsigned i = 0; i < PORTS; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, SYN), 0, "flow %u", i);
	close_connection(2900, OUT_PORT(2900, 2));
	run_frame(XDP_OUTSIDE, in, frame_build(&reset, in), out, &size);
	read_events();
	cr_assert_eq(open_flow(TCP, 2000 + PORTS + 90, 80, SYN), OUT_PORT(2900, 2));
	read_events();
	expect_told("in time-wait", EVENT_SESSION_CLOSED, TCP, 2900, OUT_PORT(2900, 2), 80);
	cr_expect_eq(subscriber()->sessions, PORTS);
	next_tick();
	cr_assert_eq(open_flow(TCP, 2000 + PORTS + 700, 80, SYN), OUT_PORT(2100, 2));
	read_events();
	expect_told("reset", EVENT_SESSION_CLOSED, TCP, 2100, OUT_PORT(2100, 2), 80);
	expect_told("the new one", EVENT_SESSION_OPENED, TCP, 2000 + PORTS + 700, OUT_PORT(2100, 2), 80);
	cr_expect_eq(subscriber()->sessions, PORTS);
}

/* The ninth flow of a group stands beyond the slots. Returns its port. */
static uint16_t open_beyond_slots(uint8_t proto, uint16_t ext_port)
{
	int port = -1;

	for (unsigned i = 0; i < 9; i++)
		port = open_flow(proto, IN_PORT(i), ext_port, SYN);
	cr_assert_geq(port, PORT_LO);
	cr_assert_eq(sessions_overflowed(), 1);
	read_events();
	return (uint16_t)port;
}

Test(told, one_beyond_the_slots_that_has_expired)
{
	uint16_t port = open_beyond_slots(UDP, 53);

	age_beyond(ticks_of_seconds(301, datapath.hz));
	/* There is room in the slots for the next one. */
	cr_assert_eq(sessions_close_in(mappings, 0, (struct endpoint){ .addr = SUBSCRIBER, .port = IN_PORT(0) },
				       (struct endpoint){ .addr = EXTERNAL, .port = 53 }, UDP),
		     1);
	cr_assert_geq(open_flow(UDP, IN_PORT(8), 53, 0), PORT_LO);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, UDP, IN_PORT(8), port, 53);
	cr_expect_eq(subscriber()->sessions, 8);
	cr_expect_eq(sessions_overflowed(), 0);
}

/* Its port is the first choice of another flow, which gets it. */
Test(told, one_beyond_the_slots_whose_port_another_gets)
{
	uint16_t port = open_beyond_slots(UDP, 53), in_port = (uint16_t)(20 * PORTS + (port - PORT_LO));

	age_beyond(ticks_of_seconds(301, datapath.hz));
	cr_assert_eq(open_flow(UDP, in_port, 53, 0), port);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, UDP, IN_PORT(8), port, 53);
	expect_told("the new one", EVENT_SESSION_OPENED, UDP, in_port, port, 53);
	cr_expect_eq(sessions_overflowed(), 0);
}

/* What comes from outside to one that has expired is a stranger's. */
Test(told, one_beyond_the_slots_that_has_expired_takes_nothing_from_outside)
{
	const struct row row = { "late",
				 XDP_OUTSIDE,
				 { .from = ROUTER,
				   .to = GATEWAY_OUT,
				   .src = EXTERNAL,
				   .dst = POOL,
				   UDP,
				   53,
				   open_beyond_slots(UDP, 53) },
				 DROP_XDP,
				 {},
				 REASON_drop_no_session };

	age_beyond(ticks_of_seconds(301, datapath.hz));
	run_rows(&row, 1);
}

/* Another inside port has got a portmap of its port: the SYN ends it, and opens another session. */
Test(told_portmap, a_connection_in_time_wait_whose_port_a_portmap_has, .init = portmap_set_up,
     .fini = portmap_tear_down)
{
	int port = open_flow(TCP, 7000, 80, SYN), again;

	settings.session_events = 1;
	reload_settings();
	close_connection(7000, (uint16_t)port);
	map_port(TCP, SUBSCRIBER, 9999, (uint16_t)port);
	read_events();
	again = open_flow(TCP, 7000, 80, SYN);
	cr_expect_geq(again, PORT_LO);
	cr_expect_neq(again, port);
	cr_expect_eq(counted(REASON_drop_busy), 0);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, TCP, 7000, (uint16_t)port, 80);
	expect_told("the new one", EVENT_SESSION_OPENED, TCP, 7000, (uint16_t)again, 80);
}

/* Nor does a flow of the group get it from there. */
Test(told_portmap, a_port_in_time_wait_that_a_portmap_has, .init = portmap_set_up, .fini = portmap_tear_down)
{
	int port[8], other;

	for (unsigned i = 0; i < 8; i++)
		port[i] = open_flow(TCP, IN_PORT(i), 80, SYN);
	close_connection(IN_PORT(3), (uint16_t)port[3]);
	map_port(TCP, SUBSCRIBER, 9999, (uint16_t)port[3]);
	other = open_flow(TCP, IN_PORT(8), 80, SYN);
	cr_expect(other >= PORT_LO && other != port[3], "it gets port %d", other);
}

static struct copy_program program;

static void set_up_copies(void)
{
	set_up_told();
	cr_assert_eq(copy_program_load(&program, &datapath), 0);
}

static void tear_down_copies(void)
{
	copy_program_unload(&program);
	tear_down();
}

/* Another gateway tells a session of SUBSCRIBER with EXTERNAL, on the first choice: in a slot, or beyond. */
static int copy(enum copy_request request, uint8_t proto, uint16_t in_port, uint16_t ext_port)
{
	const struct mapping *m = mappings_get(mappings, 0);
	uint32_t first = mapping_first_choice(&m->geo, in_port);
	struct bucket_pair pair = session_buckets(EXTERNAL, ext_port, proto, first, m->bucket_shift);
	uint8_t state = proto == TCP ? SESSION_ESTABLISHED : SESSION_UDP;
	struct session_copy *c = &program.requests->copy[0];

	program.requests->n = 1;
	*c = (struct session_copy){
		.key = slot_key(EXTERNAL, ext_port, in_port),
		.word = state_word((uint16_t)OUT_PORT(in_port, 2), proto, state, datapath_ticks(&datapath)),
		.subscriber = SUBSCRIBER - ADDR(10, 0, 0, 0),
		.last = datapath_ticks(&datapath),
		.slot = (uint16_t)(pair.first * BUCKET_SLOTS + first % BUCKET_SLOTS),
		.request = (uint8_t)request,
	};
	c->owner = 1;
	cr_assert_eq(copy_program_run(&program), 0);
	return c->result;
}

TestSuite(told_copies, .init = set_up_copies, .fini = tear_down_copies);

/* The connection that the copy is of is another one, though its endpoints are the same. */
Test(told_copies, a_connection_in_time_wait_whose_endpoints_a_copy_has)
{
	int port = open_flow(TCP, 7000, 80, SYN);

	close_connection(7000, (uint16_t)port);
	read_events();
	cr_assert_eq(copy(COPY_TO_SLOT, TCP, 7000, 80), COPY_PLACED);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, TCP, 7000, (uint16_t)port, 80);
	cr_expect_eq(events, 1, "the copy itself is not told");
}

Test(told_copies, a_connection_in_time_wait_whose_port_a_copy_has)
{
	int port = open_flow(TCP, 7000, 80, SYN);

	close_connection(7000, (uint16_t)port);
	read_events();
	cr_assert_eq(copy(COPY_TO_SLOT, TCP, 7000 + PORTS, 80), COPY_PLACED);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, TCP, 7000, (uint16_t)port, 80);
}

static void expect_displaced(uint16_t in_port)
{
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	age_sessions(SUBSCRIBER, 301);
	read_events();
	cr_assert_eq(copy(COPY_TO_SLOT, UDP, in_port, 53), COPY_PLACED);
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, UDP, 7000, OUT_PORT(7000, 2), 53);
	cr_expect_eq(events, 1);
}

Test(told_copies, an_expired_one_whose_endpoints_a_copy_has)
{
	expect_displaced(7000);
}

Test(told_copies, an_expired_one_whose_port_a_copy_has)
{
	expect_displaced(7000 + PORTS);
}

/* Not in the way, but removed wherever a session opens: a late packet could revive it. */
Test(told_copies, an_expired_one_of_another_port_towards_the_endpoint_of_a_copy)
{
	expect_displaced(7001);
}

/* Flows of two buckets that are full: an expired one of them, or one in time-wait, makes room for another flow. */
Test(told_copies, one_of_another_flow_whose_slot_a_copy_takes)
{
	const struct mapping *m = mappings_get(mappings, 0);
	uint32_t first = mapping_first_choice(&m->geo, 7000), n = 0;
	struct bucket_pair wanted = session_buckets(EXTERNAL, 80, TCP, first, m->bucket_shift);
	struct slot *slots = (struct slot *)mappings_buckets(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	uint32_t buckets[] = { wanted.first, wanted.second };
	uint32_t now = datapath_ticks(&datapath), expired = now - ticks_of_seconds(301, datapath.hz);

	for (unsigned i = 0; i < 2 * BUCKET_SLOTS; i++, n++) {
		struct slot *at = &slots[buckets[i / BUCKET_SLOTS] * BUCKET_SLOTS + i % BUCKET_SLOTS];
		bool time_wait = i % 2;

		at->key = slot_key(EXTERNAL, (uint16_t)(1000 + i), 7000);
		at->truth = state_word(OUT_PORT(7000, 2), time_wait ? TCP : UDP,
				       time_wait ? SESSION_TIME_WAIT : SESSION_UDP, time_wait ? now : expired);
		subscriber()->sessions += !time_wait;
	}
	/* Each takes one; the expired ones go first. */
	for (unsigned i = 0; i < n; i++) {
		uint32_t closed = 0;

		cr_assert_eq(copy(COPY_TO_SLOT, TCP, 7000, 80), COPY_PLACED, "copy %u", i);
		slots[program.requests->copy[0].slot].key = slot_key(EXTERNAL, (uint16_t)(2000 + i), 7000);
		read_events();
		for (unsigned k = 0; k < events; k++)
			closed += event[k].type == EVENT_SESSION_CLOSED && event[k].ext_port >= 1000 &&
				  event[k].ext_port < 1000 + n && event[k].proto == (i < n / 2 ? UDP : TCP);
		cr_expect_eq(events, 1, "copy %u: %u told", i, events);
		cr_expect_eq(closed, 1, "copy %u", i);
	}
	cr_expect_eq(subscriber()->sessions, n);
	cr_expect_eq(copy(COPY_TO_SLOT, TCP, 7000, 80), COPY_NO_SLOT);
}

Test(told_copies, an_expired_one_beyond_the_slots_whose_place_a_copy_takes)
{
	uint16_t port = open_beyond_slots(UDP, 53);

	age_beyond(ticks_of_seconds(301, datapath.hz));
	cr_assert_eq(copy(COPY_TO_EXTENT, UDP, IN_PORT(8), 53), COPY_PORT, "its first choice is held");
	read_events();
	expect_told("the old one", EVENT_SESSION_CLOSED, UDP, IN_PORT(8), port, 53);
	cr_expect_eq(sessions_overflowed(), 0);
}

/* Sessions that are not reported need no program that does. */
Test(told_copies, the_program_follows_when_reports_begin_and_end)
{
	const struct detnat_agent *before = program.skeleton;

	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	cr_expect_eq(program.skeleton, before);
	datapath.settings.session_events = 0;
	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	cr_expect_neq(program.skeleton, before);
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	age_sessions(SUBSCRIBER, 301);
	read_events();
	cr_assert_eq(copy(COPY_TO_SLOT, UDP, 7000, 53), COPY_PLACED);
	read_events();
	cr_expect_eq(events, 0);
}
