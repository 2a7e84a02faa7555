// SPDX-License-Identifier: BSD-2-Clause
/* Egresses towards subscribers that are unlike others: what sends instead of XDP, and what is not sent at all. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "told_routes.h"

static void set_up_all_hooks(void)
{
	settings.tc = TC_ALONE;
	set_up();
}

TestSuite(egress, .init = set_up, .fini = tear_down);

#define A_PORT OUT_PORT(7000, 2)
#define B_PORT OUT_PORT(8000, 3)

#define ANSWER(src_)	   .from = ROUTER, .to = GATEWAY_OUT, .src = (src_), .dst = POOL, UDP, 53, A_PORT
#define HAIRPIN		   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT
#define HAIRPIN_TRANSLATED .src = POOL, .dst = OTHER, UDP, A_PORT, 8000
#define LONG(n)		   .payload = (n)-28
#define SECOND		   ADDR(192, 0, 2, 70)

static void run(const char *commands)
{
	cr_assert_eq(system(commands), 0, "%s", commands);
	datapath_raise_epoch(&datapath);
}

/* Each of both subscribers has a session towards the other's outside endpoint. */
static void open_hairpin(void)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT };
	size_t size = frame_build(&f, in);

	run_frame(XDP_INSIDE, in, size, out, &size);
}

/* A frame that GRO has made of several may be longer than the sender's: it is left to the kernel, which cuts it up. */
Test(egress, too_small_for_a_merged_frame)
{
	static const struct row rows[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL), LONG(1501), .options = DONT_FRAGMENT },
		  PASS_XDP,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    7000,
		    LONG(1501),
		    .options = DONT_FRAGMENT },
		  REASON_out2in_translated },
		{ "a hairpin, which the kernel cannot send",
		  XDP_INSIDE,
		  { HAIRPIN, LONG(1501), .options = DONT_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_too_big },
	};
	static const struct row answered[] = {
		{ "not merged",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL), LONG(1501), .options = DONT_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_too_big },
	};

	open_hairpin();
	cr_assert_geq(open_flow(UDP, 7000, 53, 0), 0);
	datapath.device[inside_ifindex].flags |= DEVICE_MERGED;
	datapath.device[outside_ifindex].flags |= DEVICE_MERGED;
	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sent_icmp_too_big), 0);
	datapath.device[outside_ifindex].flags &= (uint8_t)~DEVICE_MERGED;
	/* Answered once, and then not again within the limit: the verdict of the second is a drop. */
	mappings_subscriber(mappings, 0, 2)->icmp_next = (datapath_ticks(&datapath) << TICK_SHIFT) + datapath.hz;
	RUN_ROWS(answered);
}

/* The agent sends it, as the kernel would drop its source. */
Test(egress, a_hairpins_interface_takes_no_frames_from_xdp)
{
	static const struct row rows[] = {
		{ "hairpin",
		  XDP_INSIDE,
		  { HAIRPIN, .payload = 30 },
		  DROP_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, HAIRPIN_TRANSLATED, .payload = 30 },
		  REASON_hairpin_translated },
	};
	static struct transmission t;
	uint8_t want[FRAME_MAX];
	size_t size = frame_build(&rows[0].out, want);

	open_hairpin();
	datapath.device[inside_ifindex].flags = DEVICE_NATIVE;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
	cr_assert(transmitted(&t));
	cr_expect_eq(t.kind, TRANSMISSION_FRAME);
	cr_expect_eq(t.ifindex, inside_ifindex);
	cr_expect(frame_equal("sent by the agent", t.frame, t.length, want, size));
}

/* Such an interface sends to no station, whatever the addresses are. */
Test(egress, a_hairpin_leaves_without_an_ethernet_header)
{
	static const struct frame sent = { HAIRPIN, .payload = 30 };
	static const struct frame translated = { .ttl = 63, HAIRPIN_TRANSLATED, .payload = 30 };
	static struct transmission t;
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = frame_build(&sent, in), want_size = frame_build(&translated, want);

	open_hairpin();
	datapath.device[inside_ifindex].flags = DEVICE_NATIVE | DEVICE_BARE;
	run("ip neigh del 10.0.0.3 dev tin");
	run_frame_counted("hairpin", XDP_INSIDE, in, size, out, &size, DROP_XDP, REASON_hairpin_translated);
	cr_assert(transmitted(&t));
	cr_expect_eq(t.kind, TRANSMISSION_FRAME);
	cr_expect_eq(t.ifindex, inside_ifindex);
	cr_assert_eq(t.length, want_size);
	cr_expect(frame_equal("sent by the agent", t.frame + 12, t.length - 12U, want + 12, want_size - 12));
}

/* The agent cuts it up as the kernel would. */
Test(egress, a_hairpins_route_takes_less_than_its_interface)
{
	static const struct row rows[] = {
		{ "hairpin",
		  XDP_INSIDE,
		  { HAIRPIN, LONG(1400) },
		  DROP_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, HAIRPIN_TRANSLATED, LONG(1400) },
		  REASON_hairpin_translated },
	};
	static struct transmission t;
	uint8_t want[FRAME_MAX];
	size_t size = frame_build(&rows[0].out, want);

	settings.route_mtus = 1;
	reload_settings();
	open_hairpin();
	run("ip route add 10.0.0.3/32 dev tin mtu lock 1300");
	RUN_ROWS(rows);
	cr_assert(transmitted(&t));
	cr_expect_eq(t.mtu, 1300);
	cr_expect(frame_equal("cut up by the agent", t.frame, t.length, want, size));
}

/* What cannot reach a subscriber is answered, unless it is a hairpin. */
Test(egress, that_leads_out_again_by_a_router_that_is_not_resolved)
{
	static const struct row rows[] = {
		{ "hairpin", XDP_INSIDE, { HAIRPIN, .payload = 30 }, DROP_XDP, {}, REASON_drop_unreachable },
	};
	struct frame answer = { ANSWER(EXTERNAL), .payload = 30 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&answer, in), out_size;

	open_hairpin();
	cr_assert_geq(open_flow(UDP, 7000, 53, 0), 0);
	run("ip route add 10.0.0.2/32 via 198.51.100.77; ip route add 10.0.0.3/32 via 198.51.100.77");
	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 0);
	run_frame_counted("from outside", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_drop_unreachable);
	expect_error("from outside", out, out_size, in, ip_length(in), EXTERNAL, ADDR(198, 51, 100, 1), 3, 0, 0);
}

/* Outward, too: each sender has next hops of its own. */
Test(egress, depends_on_the_sender_where_rules_say_so)
{
#define LEAVES(name_, n_, router_)                   \
	{                                            \
		name_, XDP_INSIDE,                   \
			{ .from = HOST,              \
			  .to = GATEWAY_IN,          \
			  .src = ADDR(10, 0, 0, n_), \
			  .dst = EXTERNAL,           \
			  UDP,                       \
			  7000,                      \
			  53,                        \
			  .payload = 30 },           \
			REDIRECT_XDP,                \
			{ .ttl = 63,                 \
			  .from = GATEWAY_OUT,       \
			  .to = router_,             \
			  .src = POOL,               \
			  .dst = EXTERNAL,           \
			  UDP,                       \
			  OUT_PORT(7000, n_),        \
			  53,                        \
			  .payload = 30 },           \
			REASON_in2out_translated     \
	}
	static const struct row rows[] = {
		LEAVES("main table", 2, ROUTER),
		LEAVES("by rule, another router", 3, NOBODY),
		LEAVES("main table again", 2, ROUTER),
		LEAVES("by rule again", 3, NOBODY),
	};

	stay_on_one_core();
	run("ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev tout; ip rule add from 10.0.0.3 lookup 100;"
	    "ip route add default via 198.51.100.9 table 100");
	settings.policy_routing = 1;
	reload_settings();
	RUN_ROWS(rows);
}

/* The kernel looks up the packet's route in that VRF. */
Test(egress, a_route_whose_device_is_a_vrf_is_left_to_the_kernel)
{
	static const struct row rows[] = {
		{ "out",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "in",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(5001, 2) },
		  PASS_XDP,
		  { .ttl = 64, .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5001 },
		  REASON_out2in_translated },
	};
	cr_assert_eq(open_flow(UDP, 5001, 53, 0), OUT_PORT(5001, 2));
	datapath.device[inside_ifindex].flags = datapath.device[outside_ifindex].flags = DEVICE_VRF | DEVICE_REDIRECT;
	settings.policy_routing = POLICY_INTERFACES;
	settings.vrf = 1;
	reload_settings();
	RUN_ROWS(rows);
}

#define TO_CLASS_E .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(240, 0, 0, 1), UDP, 7000, 53

Test(egress, class_e_has_no_way_out)
{
	static const struct row rows[] = {
		{ "class E", XDP_INSIDE, { TO_CLASS_E, .payload = 30 }, DROP_XDP, {}, REASON_drop_martian },
		{ "broadcast stays on the link",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = 0, .dst = ~0U, UDP, 68, 67 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	RUN_ROWS(rows);
	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(rows);
}

/* tc finds the neighbour itself. */
Test(egress_tc, a_hairpins_neighbour_is_not_resolved, .init = set_up_all_hooks, .fini = tear_down)
{
	static const struct row rows[] = {
		{ "hairpin",
		  INGRESS_INSIDE,
		  { HAIRPIN, .payload = 30 },
		  REDIRECT_TC,
		  { .ttl = 63, .from = HOST, .to = GATEWAY_IN, HAIRPIN_TRANSLATED, .payload = 30 },
		  REASON_hairpin_translated },
		{ "longer than its egress takes",
		  INGRESS_INSIDE,
		  { HAIRPIN, LONG(1501), .options = DONT_FRAGMENT },
		  DROP_TC,
		  {},
		  REASON_drop_too_big },
	};
	static const struct row nowhere[] = {
		{ "whose route leads out",
		  INGRESS_INSIDE,
		  { HAIRPIN, .payload = 30 },
		  DROP_TC,
		  {},
		  REASON_drop_unreachable },
	};

	open_hairpin();
	run("ip neigh del 10.0.0.3 dev tin");
	RUN_ROWS(rows);
	run("ip route add 10.0.0.3/32 via 198.51.100.77");
	RUN_ROWS(nowhere);
	/* Nor by an interface without a role. */
	run("ip route replace 10.0.0.3/32 dev pin");
	RUN_ROWS(nowhere);
}

/* Several outside interfaces with strict reverse-path filters: what comes in by another than its way back goes up. */
Test(egress, a_packet_from_another_outside_interface_has_its_way_out)
{
	static const struct row rows[] = {
		{ "by its own",
		  XDP_OUTSIDE,
		  { ANSWER(EXTERNAL), .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    7000,
		    .payload = 30 },
		  REASON_out2in_translated },
		{ "by another",
		  XDP_OUTSIDE,
		  { ANSWER(SECOND), .payload = 30 },
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = SECOND, .dst = SUBSCRIBER, UDP, 53, 7000, .payload = 30 },
		  REASON_out2in_translated },
		{ "whose way back is not resolved",
		  XDP_OUTSIDE,
		  { ANSWER(ADDR(192, 0, 3, 70)), .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = ADDR(192, 0, 3, 70),
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    7000,
		    .payload = 30 },
		  REASON_out2in_translated },
	};
	static const uint32_t peers[] = { EXTERNAL, SECOND, ADDR(192, 0, 3, 70) };
	uint32_t second;

	for (int i = 0; i < 3; i++) {
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		struct frame f = { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = peers[i], UDP, 7000, 53 };
		size_t size = frame_build(&f, in);

		cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &size), REDIRECT_XDP);
	}
	run("ip link add tout2 type veth peer name pout2; ip link set tout2 up; ip link set pout2 up;"
	    "ip neigh add 10.9.9.9 lladdr 02:00:00:00:00:09 dev tout2; ip addr add 10.9.9.1/24 dev tout2;"
	    "ip route add 192.0.2.0/24 via 10.9.9.9; ip route add 192.0.3.0/24 via 198.51.100.77");
	second = if_nametoindex("tout2");
	datapath.device[second] = datapath.device[outside_ifindex];
	datapath.device[outside_ifindex].rp_filter = datapath.device[second].rp_filter = 1;
	settings.outside_strict = 1;
	reload_settings();
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
	/* The same by the agent's copy of the routes. */
	follow_routes();
	RUN_ROWS(rows);
}
