/* SPDX-License-Identifier: BSD-2-Clause */
/* Blackhole routes of pools, and what is told of rules, in a network namespace of the test's own. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#include "routing/routes.h"

static struct netlink *netlink;

static void set_up(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(netlink_new(&netlink), 0);
	cr_assert_eq(
		system("ip link add in0 type veth peer name peer0 && ip link set in0 up && ip link set peer0 up && "
		       "ip addr add 198.51.100.1/24 dev in0"),
		0);
}

static void tear_down(void)
{
	if (netlink)
		netlink_free(netlink);
}

/* What a command prints, lines joined by "; ". */
static const char *output(const char *command)
{
	static char text[4096];
	FILE *f = popen(command, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	pclose(f);
	text[n] = '\0';
	while (n && strchr(" \n", text[n - 1]))
		text[--n] = '\0';
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ';';
	return text;
}

static void apply(const struct prefix *prefixes, size_t count)
{
	struct error err;

	cr_assert_eq(routes_apply(netlink, NULL, &(struct blackholes){ prefixes, count, NULL, 0 }, &err), 0, "%s",
		     err.text);
}

TestSuite(routes, .init = set_up, .fini = tear_down);

Test(routes, the_set_becomes_what_is_asked_for)
{
	const struct prefix first[] = { { 0xc0000200, 30 }, { 0xc0000210, 28 } };
	const struct prefix second[] = { { 0xc0000210, 28 }, { 0xc0000220, 32 } };

	apply(first, 2);
	cr_expect_str_eq(output("ip route show proto 215"),
			 "blackhole 192.0.2.0/30 metric 1048576 ;blackhole 192.0.2.16/28 metric 1048576");
	apply(first, 2);
	apply(second, 2);
	cr_expect_str_eq(output("ip route show proto 215"),
			 "blackhole 192.0.2.16/28 metric 1048576 ;blackhole 192.0.2.32 metric 1048576");
	cr_expect_eq(routes_remove_all(netlink, NULL), 0);
	cr_expect_str_eq(output("ip route show proto 215"), "");
	cr_expect_str_eq(output("ip route"), "198.51.100.0/24 dev in0 proto kernel scope link src 198.51.100.1");
}

static void count_missing(struct prefix prefix, uint32_t table, void *arg)
{
	cr_expect_eq(table, 10);
	++*(unsigned *)arg;
}

Test(routes, the_tables_of_vrfs_have_them_too)
{
	const struct prefix pools[] = { { 0xc0000200, 30 } };
	const uint32_t tables[] = { 10, 1000 };
	const struct blackholes wanted = { pools, 1, tables, 2 };
	struct error err;
	unsigned missing = 0;

	cr_assert_eq(routes_apply(netlink, NULL, &wanted, &err), 0, "%s", err.text);
	cr_expect_str_eq(output("ip route show proto 215"), "blackhole 192.0.2.0/30 metric 1048576");
	cr_expect_str_eq(output("ip route show proto 215 table 10"), "blackhole 192.0.2.0/30 metric 1048576");
	cr_expect_str_eq(output("ip route show proto 215 table 1000"), "blackhole 192.0.2.0/30 metric 1048576");
	cr_expect_eq(routes_compare(netlink, NULL, &wanted, count_missing, &missing), 0);
	cr_expect_eq(missing, 0);
	output("ip route flush table 10");
	cr_expect_eq(routes_compare(netlink, NULL, &wanted, count_missing, &missing), 0);
	cr_expect_eq(missing, 1);
	cr_assert_eq(routes_apply(netlink, NULL, &wanted, &err), 0, "%s", err.text);
	cr_expect_str_eq(output("ip route show proto 215 table 10"), "blackhole 192.0.2.0/30 metric 1048576");
	apply(pools, 1);
	cr_expect_str_eq(output("ip route show proto 215 table all"), "blackhole 192.0.2.0/30 metric 1048576");
}

Test(routes, a_route_of_somebody_else_is_preferred_and_left)
{
	const struct prefix pool[] = { { 0xc0000200, 30 } };

	cr_assert_eq(system("ip route add 192.0.2.0/30 via 198.51.100.9"), 0);
	apply(pool, 1);
	cr_expect_str_eq(output("ip route get 192.0.2.1 | head -n 1 | cut -d' ' -f1-3"), "192.0.2.1 via 198.51.100.9");
	apply(NULL, 0);
	cr_expect_str_eq(output("ip route show 192.0.2.0/30"), "192.0.2.0/30 via 198.51.100.9 dev in0");
}

Test(routes, a_route_of_somebody_else_at_the_very_place_is_left)
{
	const struct prefix pool[] = { { 0xc0000200, 30 } };

	cr_assert_eq(system("ip route add 192.0.2.0/30 via 198.51.100.9 metric 1048576"), 0);
	apply(pool, 1);
	apply(NULL, 0);
	cr_expect_str_eq(output("ip route show 192.0.2.0/30"), "192.0.2.0/30 via 198.51.100.9 dev in0 metric 1048576");
}

Test(routes, the_whole_internet_gets_none)
{
	const struct prefix pool[] = { { 0, 0 } };

	apply(pool, 1);
	cr_expect_str_eq(output("ip route show proto 215"), "");
}

Test(routes, a_pool_that_holds_addresses_of_the_gateway_leaves_them_reachable)
{
	const struct prefix pool[] = { { 0xc6336400, 24 } };

	apply(pool, 1);
	cr_expect_str_eq(output("ip route get 198.51.100.1 | head -n 1 | cut -d' ' -f1-2"), "local 198.51.100.1");
	cr_expect_str_eq(output("ip route get 198.51.100.7 | head -n 1 | cut -d' ' -f1-3"), "198.51.100.7 dev in0");
}

Test(routes, strays_of_our_protocol_are_cleared_away)
{
	const struct prefix pool[] = { { 0xc0000200, 30 } };

	cr_assert_eq(system("ip route add blackhole 192.0.2.0/30 proto 215 metric 3 && "
			    "ip route add 192.0.2.8/30 dev in0 proto 215 && "
			    "ip route add blackhole 192.0.2.12/30 proto 215 table 77"),
		     0);
	apply(pool, 1);
	cr_expect_str_eq(output("ip route show table all proto 215"), "blackhole 192.0.2.0/30 metric 1048576");
}

Test(routes, rules_beside_the_kernels_own_are_policy_routing)
{
	static const struct {
		const char *text;
		enum routing routing;
	} rule[] = {
		{ "from 10.0.0.0/24 lookup 100", ROUTING_BY_ADDRESSES },
		{ "to 10.0.0.0/24 lookup main", ROUTING_BY_ADDRESSES },
		{ "iif in0 lookup 100", ROUTING_BY_INTERFACE },
		{ "iif in0 to 10.0.0.0/24 lookup 100", ROUTING_BY_INTERFACE },
		{ "iif in0 from 10.0.0.0/24 lookup 100", ROUTING_BY_ADDRESSES },
		{ "pref 100 lookup main", ROUTING_BY_ADDRESSES },
		{ "pref 32767 blackhole", ROUTING_BY_ADDRESSES },
		{ "fwmark 1 lookup 100", ROUTING_BY_MORE },
		{ "pref 32766 fwmark 5 lookup main", ROUTING_BY_MORE },
		{ "pref 32766 tos 8 lookup main", ROUTING_BY_MORE },
		{ "ipproto tcp lookup 100", ROUTING_BY_MORE },
		{ "ipproto tcp dport 25 blackhole", ROUTING_BY_MORE },
		{ "uidrange 0-5 lookup main", ROUTING_BY_MORE },
	};
	enum routing routing = ROUTING_BY_MORE;

	cr_expect_eq(rules_read(netlink, &routing), 0);
	cr_expect_eq(routing, ROUTING_BY_DESTINATION, "a new namespace");
	for (size_t i = 0; i < ARRAY_SIZE(rule); i++) {
		char command[128];

		snprintf(command, sizeof(command), "ip rule add %s", rule[i].text);
		cr_assert_eq(system(command), 0, "%s", command);
		cr_expect(!rules_read(netlink, &routing) && routing == rule[i].routing, "%s", rule[i].text);
		snprintf(command, sizeof(command), "ip rule del %s", rule[i].text);
		cr_assert_eq(system(command), 0, "%s", command);
		cr_expect(!rules_read(netlink, &routing) && routing == ROUTING_BY_DESTINATION, "%s, deleted",
			  rule[i].text);
	}
}

static void tell(struct own_routes *own, uint16_t type, uint16_t flags, uint8_t protocol)
{
	struct nlmsghdr *h = netlink_request(netlink, type, flags, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	*rt = (struct rtmsg){ .rtm_family = AF_INET,
			      .rtm_dst_len = 30,
			      .rtm_protocol = protocol,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_type = RTN_BLACKHOLE };
	mnl_attr_put_u32(h, RTA_DST, htonl(0xc0000200));
	mnl_attr_put_u32(h, RTA_PRIORITY, ROUTE_METRIC);
	own_routes_message(own, h);
}

/* What is known by notifications is not read: a table of a million routes takes half a second. */
Test(routes, those_that_are_known_are_not_read_again)
{
	const struct prefix pool[] = { { 0xc0000200, 30 } };
	struct own_routes own = { 0 };
	struct error err;

	own_routes_again(&own, ROUTES_BEGIN, NULL);
	own_routes_again(&own, ROUTES_END, NULL);
	cr_assert(own.known);
	cr_assert_eq(routes_apply(netlink, &own, &(struct blackholes){ pool, 1, NULL, 0 }, &err), 0);
	cr_expect_eq(own.count, 1);
	tell(&own, RTM_NEWROUTE, 0, ROUTE_PROTOCOL);
	cr_expect_eq(own.count, 1, "the notification is about the same route");
	/* Behind its back: so it is not added. */
	cr_assert_eq(system("ip route del blackhole 192.0.2.0/30 metric 1048576"), 0);
	cr_assert_eq(routes_apply(netlink, &own, &(struct blackholes){ pool, 1, NULL, 0 }, &err), 0);
	cr_expect_str_eq(output("ip route show proto 215"), "");
	tell(&own, RTM_NEWROUTE, NLM_F_REPLACE, RTPROT_STATIC);
	cr_expect_eq(own.count, 0, "it was replaced");
	cr_assert_eq(routes_apply(netlink, &own, &(struct blackholes){ pool, 1, NULL, 0 }, &err), 0);
	cr_expect_str_eq(output("ip route show proto 215"), "blackhole 192.0.2.0/30 metric 1048576");
	own_routes_again(&own, ROUTES_BEGIN, NULL);
	own_routes_again(&own, ROUTES_END, NULL);
	cr_expect_eq(own.count, 0, "the reading did not see it");
	own_routes_free(&own);
}
