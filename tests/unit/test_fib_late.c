/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is read and what is notified, out of step: routes wait in the socket of the dump while they vanish,
 * notifications wait in theirs while newer routes are read, and notifications are lost in the middle of a reading.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "fib/route_copy_private.h"
#include "fib_lab.h"
#include "routing/sources.h"
#include "tables_fixture.h"

TestSuite(fib_late, .init = lab_set_up, .fini = lab_tear_down, .timeout = 300);

#define ADDRESS 0x0a050505U
#define NETWORK 0x0a050500U
#define OUT(n)	(0xcb007100U + (n))
#define IN(n)	(0xc6336400U + (n))

static bool is_out(void)
{
	return lab_look_up(ADDRESS)->flags & FIB_FAST_OUT;
}

static bool is_in(void)
{
	return lab_look_up(ADDRESS)->flags & FIB_FAST_IN;
}

/* As for a route that `ip route` makes. */
static void notify_route(uint16_t type, uint16_t flags, const char *interface, uint32_t gateway)
{
	static _Alignas(struct nlmsghdr) char buffer[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));

	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	*rt = (struct rtmsg){ .rtm_family = AF_INET,
			      .rtm_dst_len = 24,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = RTPROT_BOOT,
			      .rtm_scope = RT_SCOPE_UNIVERSE,
			      .rtm_type = RTN_UNICAST };
	mnl_attr_put_u32(h, RTA_DST, htonl(NETWORK));
	mnl_attr_put_u32(h, RTA_GATEWAY, htonl(gateway));
	mnl_attr_put_u32(h, RTA_OIF, if_nametoindex(interface));
	route_copy_message(lab_copy, h);
}

/* Until the kernel has begun to say which routes there are; none has been read. */
static void wait_until_routes_are_read(void)
{
	while (lab_copy->step != FIB_STEP_ROUTES)
		event_base_loop(lab_base, EVLOOP_ONCE);
}

/* Processes all notifications, and nothing of what is being read. */
static void read_notifications(void)
{
	lab_copy->catch_up(lab_copy->catch_up_arg);
}

/* A copy that begins to read what is there now. */
static void begin_anew(void)
{
	void (*catch_up)(void *arg) = lab_copy->catch_up;
	void *arg = lab_copy->catch_up_arg;

	read_notifications();
	route_copy_free(lab_copy);
	memset(lab_datapath.fib, 0, sizeof(*lab_datapath.fib));
	cr_assert_eq(route_copy_new(lab_base, &lab_datapath, &lab_copy), 0);
	route_copy_on_return(lab_copy, catch_up, arg);
	route_copy_hold(lab_copy, ROUTE_COPY_SYNC, false);
	wait_until_routes_are_read();
}

static void have_both(void)
{
	lab_wait_until_in_force();
	lab_run("ip route add 10.5.0.0/16 via 198.51.100.2 && ip route add 10.5.5.0/24 via 203.0.113.2");
	lab_wait_for(is_out, "the longer prefix is used");
}

Test(fib_late, a_route_that_came_back_unnoticed_is_read_by_the_next_reading)
{
	have_both();
	route_copy_lost(lab_copy);
	wait_until_routes_are_read();
	notify_route(RTM_DELROUTE, 0, "out0", OUT(2));
	route_copy_lost(lab_copy);
	lab_wait_until_in_force();
	cr_expect(is_out());
}

Test(fib_late, a_route_that_was_replaced_unnoticed_is_read_by_the_next_reading)
{
	have_both();
	notify_route(RTM_DELROUTE, 0, "out0", OUT(2));
	cr_expect(is_in());
	route_copy_lost(lab_copy);
	wait_until_routes_are_read();
	notify_route(RTM_NEWROUTE, NLM_F_CREATE, "in0", IN(3));
	route_copy_lost(lab_copy);
	lab_wait_until_in_force();
	cr_expect(is_out());
}

Test(fib_late, painting_anew_does_not_stand_in_for_a_reading_that_failed)
{
	const struct prefix special[] = { { 0x0a070000, 16 } };

	have_both();
	notify_route(RTM_DELROUTE, 0, "out0", OUT(2));
	cr_expect(is_in());
	route_copy_lost(lab_copy);
	reading_ended(lab_copy, -ENOMEM);
	cr_assert_eq(route_copy_set_special(lab_copy, special, 1), 0);
	lab_wait_until_in_force();
	cr_expect(is_out());
}

/* The kernel has said of the route before; it does not notify that the route goes. */
Test(fib_late, a_route_that_went_with_its_interface_while_it_was_read_goes)
{
	lab_run("ip route add 10.5.0.0/16 via 198.51.100.2 && ip route add 10.5.5.0/24 via 203.0.113.2");
	begin_anew();
	lab_run("ip link set out0 down");
	read_notifications();
	lab_wait_until_in_force();
	lab_run("ip link set out0 up && ip neigh replace 203.0.113.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent");
	lab_pass();
	lab_wait_for(is_in, "the shorter prefix is used");
	lab_wait_until_right("interface up again", NOTHING_WRONG);
}

Test(fib_late, a_route_that_went_with_the_last_address_while_it_was_read_goes)
{
	lab_run("ip route add 10.5.0.0/16 via 198.51.100.2 && ip route add 10.5.5.0/24 via 203.0.113.2");
	begin_anew();
	lab_run("ip addr del 203.0.113.1/24 dev out0");
	read_notifications();
	lab_wait_until_in_force();
	lab_wait_for(is_in, "the shorter prefix is used");
}

/* Both were notified before what replaced the first was read, and come after it. */
Test(fib_late, a_route_that_was_replaced_before_it_was_read_does_not_stay)
{
	have_both();
	notify_route(RTM_NEWROUTE, NLM_F_CREATE, "out0", OUT(3));
	notify_route(RTM_NEWROUTE, NLM_F_REPLACE, "out0", OUT(2));
	lab_run("ip route del 10.5.5.0/24");
	lab_pass();
	lab_wait_for(is_in, "the shorter prefix is used");
}

/* Whether the datapath goes by what holds until then. */
static bool holds(uint32_t until, uint32_t now)
{
	return (int32_t)(until - now) >= 0;
}

/* With 1000 Hz the clock has gone halfway around after four years. */
Test(fib_late, a_route_that_is_not_vouched_for_is_not_at_any_time)
{
	static const uint32_t times[] = { 0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff };
	const struct globals *g = lab_datapath.global;
	const struct own_sources none = { 0 };

	lab_wait_until_in_force();
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		tables_set_ticks(&lab_datapath, times[i]);
		route_copy_hold(lab_copy, ROUTE_COPY_RULES, true);
		cr_expect_not(holds(g->fib_until, times[i]), "routes at %08x", times[i]);
		own_sources_vouch(&lab_datapath, NULL);
		cr_expect_not(holds(g->sources_until, times[i]), "sources at %08x", times[i]);
		route_copy_hold(lab_copy, ROUTE_COPY_RULES, false);
		cr_expect(holds(g->fib_until, times[i]), "routes at %08x", times[i]);
		own_sources_vouch(&lab_datapath, &none);
		cr_expect(holds(g->sources_until, times[i]), "sources at %08x", times[i]);
	}
}
