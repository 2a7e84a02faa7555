/* SPDX-License-Identifier: BSD-2-Clause */
/* Blackhole routes of pools, and what is told of rules, in a network namespace of the test's own. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#include "links/devices_private.h"

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

	cr_expect_eq(rules_read(netlink, AF_INET, &routing), 0);
	cr_expect_eq(routing, ROUTING_BY_DESTINATION, "a new namespace");
	for (size_t i = 0; i < ARRAY_SIZE(rule); i++) {
		char command[128];

		snprintf(command, sizeof(command), "ip rule add %s", rule[i].text);
		cr_assert_eq(system(command), 0, "%s", command);
		cr_expect(!rules_read(netlink, AF_INET, &routing) && routing == rule[i].routing, "%s", rule[i].text);
		snprintf(command, sizeof(command), "ip rule del %s", rule[i].text);
		cr_assert_eq(system(command), 0, "%s", command);
		cr_expect(!rules_read(netlink, AF_INET, &routing) && routing == ROUTING_BY_DESTINATION, "%s, deleted",
			  rule[i].text);
	}
}

static bool tell(struct own_routes *own, uint16_t type, uint16_t flags, uint8_t protocol)
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
	return own_routes_message(own, h);
}

/* So the agent's own changes make it look at no other route. */
Test(routes, a_deletion_is_news_where_the_agent_did_not_ask_for_it)
{
	struct own_routes own = { 0 };

	cr_expect(tell(&own, RTM_DELROUTE, 0, ROUTE_PROTOCOL), "nothing is known: it may be");
	own_routes_again(&own, ROUTES_BEGIN, NULL);
	own_routes_again(&own, ROUTES_END, NULL);
	cr_expect(!tell(&own, RTM_NEWROUTE, 0, ROUTE_PROTOCOL));
	cr_expect(!tell(&own, RTM_DELROUTE, 0, RTPROT_STATIC));
	cr_expect(tell(&own, RTM_DELROUTE, 0, ROUTE_PROTOCOL), "somebody else did it");
	cr_expect(!tell(&own, RTM_DELROUTE, 0, ROUTE_PROTOCOL), "it was known to be gone");
	own_routes_free(&own);
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

/* Where few pools change, their routes are changed alone: a lack elsewhere is not its concern. */
Test(routes, of_pools_that_come_and_go_the_others_are_left_alone)
{
	const struct prefix pools[] = { { 0xc0000200, 30 }, { 0xc0000210, 28 }, { 0xc0000220, 32 }, { 0, 0 } };
	const uint32_t tables[] = { 10 };
	const struct blackholes first = { pools, 2, tables, 1 }, came = { pools + 2, 2, tables, 1 };
	const struct blackholes went = { pools + 1, 1, tables, 1 }, none = { 0 };
	struct own_routes own = { 0 };
	struct error err;

	own_routes_again(&own, ROUTES_BEGIN, NULL);
	own_routes_again(&own, ROUTES_END, NULL);
	cr_assert_eq(routes_apply(netlink, &own, &first, &err), 0);
	cr_assert_eq(system("ip route del blackhole 192.0.2.0/30 metric 1048576"), 0);
	cr_assert_eq(routes_change(netlink, &own, &came, &went, &err), 0, "%s", err.text);
	cr_expect_str_eq(output("ip route show proto 215"), "blackhole 192.0.2.32 metric 1048576");
	cr_expect_str_eq(output("ip route show proto 215 table 10"),
			 "blackhole 192.0.2.0/30 metric 1048576 ;blackhole 192.0.2.32 metric 1048576");
	cr_expect_eq(own.count, 4, "two of each table, one of which was deleted behind its back");
	cr_assert_eq(routes_change(netlink, &own, &none, &went, &err), 0, "what is not there need not go");
	cr_assert_eq(routes_change(netlink, &own, &came, &none, &err), 0, "nor come");
	cr_expect_eq(own.count, 4);
	own_routes_free(&own);
}

/* The notification of a change that has just been undone takes away what is known of a route that is there. */
Test(routes, what_is_known_of_a_pool_that_comes_or_goes_may_be_late)
{
	const struct prefix pool = { 0xc0000200, 30 };
	const struct blackholes one = { &pool, 1, NULL, 0 }, none = { 0 };
	struct own_routes own = { 0 };
	struct error err;

	own_routes_again(&own, ROUTES_BEGIN, NULL);
	own_routes_again(&own, ROUTES_END, NULL);
	cr_assert_eq(routes_change(netlink, &own, &one, &none, &err), 0, "%s", err.text);
	cr_assert_eq(system("ip route del blackhole 192.0.2.0/30 metric 1048576"), 0);
	cr_assert_eq(routes_change(netlink, &own, &one, &none, &err), 0, "%s", err.text);
	cr_expect_str_eq(output("ip route show proto 215"), "blackhole 192.0.2.0/30 metric 1048576");
	own.count = 0;
	cr_assert_eq(routes_change(netlink, &own, &none, &one, &err), 0, "%s", err.text);
	cr_expect_str_eq(output("ip route show proto 215"), "");
	own_routes_free(&own);
}

static struct devices devices;

/* /32 pools from 192.0.2.0 on, except one. */
static void change_pools(uint32_t n, uint32_t except)
{
	_cleanup_config_ struct config *c = config_new();
	struct error err;

	for (uint32_t i = 0; i < n; i++)
		if (i != except)
			cr_assert_eq(config_add_mapping(c, "", (struct prefix){ 0x0a000000 + (i << 8), 24, 0 },
							(struct prefix){ 0xc0000200 + i, 32, 0 }),
				     0);
	cr_assert_eq(devices_change_pools(&devices, c, &err), 0, "%s", err.text);
}

static void expect_routes(const char *of_pools, const char *first)
{
	cr_expect_str_eq(output("ip route show proto 215 | wc -l"), of_pools);
	cr_expect_str_eq(output("ip route show proto 215 | head -1 | cut -d' ' -f2"), first);
}

/* The notification that a route has gone from outside: the next comparison of all brings it back. */
static void lose_the_first(void)
{
	cr_assert_eq(system("ip route del blackhole 192.0.2.0 metric 1048576"), 0);
	for (size_t i = devices.own_routes.count; i-- > 0;)
		if (devices.own_routes.route[i].prefix.base == 0xc0000200)
			devices.own_routes.route[i] = devices.own_routes.route[--devices.own_routes.count];
}

Test(routes, few_pools_that_change_are_looked_at_alone_and_many_with_all)
{
	devices = (struct devices){ .netlink = netlink };
	own_routes_again(&devices.own_routes, ROUTES_BEGIN, NULL);
	own_routes_again(&devices.own_routes, ROUTES_END, NULL);
	change_pools(140, ~0U);
	expect_routes("140", "192.0.2.0");
	change_pools(140, 70);
	expect_routes("139", "192.0.2.0");
	lose_the_first();
	change_pools(76, 70);
	expect_routes("74", "192.0.2.1");
	change_pools(76, ~0U);
	expect_routes("75", "192.0.2.1");
	change_pools(140, ~0U);
	expect_routes("139", "192.0.2.1");
	change_pools(205, ~0U);
	expect_routes("205", "192.0.2.0");
	lose_the_first();
	change_pools(140, ~0U);
	expect_routes("140", "192.0.2.0");
	own_routes_free(&devices.own_routes);
	free(devices.prefixes);
}

/* Pools that move in the list stay, as do those that a mapping of another place has. */
Test(routes, a_pool_that_moves_in_the_list_stays)
{
	const uint32_t bases[][4] = { { 0, 1, 2, 3 }, { 3, 0, 1 }, { 1, 3, 0, 2 } };
	static const char *const counts[] = { "4", "3", "4" };
	struct error err;

	devices = (struct devices){ .netlink = netlink };
	own_routes_again(&devices.own_routes, ROUTES_BEGIN, NULL);
	own_routes_again(&devices.own_routes, ROUTES_END, NULL);
	for (unsigned k = 0; k < ARRAY_SIZE(bases); k++) {
		_cleanup_config_ struct config *c = config_new();

		for (unsigned i = 0; i < (k == 1 ? 3 : 4); i++)
			cr_assert_eq(config_add_mapping(c, "", (struct prefix){ 0x0a000000 + (i << 8), 24, 0 },
							(struct prefix){ 0xc0000200 + bases[k][i], 32, 0 }),
				     0);
		cr_assert_eq(devices_change_pools(&devices, c, &err), 0, "%s", err.text);
		expect_routes(counts[k], "192.0.2.0");
	}
	own_routes_free(&devices.own_routes);
	free(devices.prefixes);
}
