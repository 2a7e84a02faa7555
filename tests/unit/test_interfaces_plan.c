/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the programs of interfaces that stand on others go, and what is refused. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <net/if_arp.h>
#include <string.h>

#include "host/stacking.h"
#include "stacking_fixture.h"

static const struct own_programs own;
static struct interfaces known;
static struct interfaces plan;
static struct error error;

/* Plans for these, the first ones inside, the last one outside; the result of interfaces_plan_on(). */
static int make_plan(enum xdp_mode mode, const char *const *names, size_t n)
{
	struct config_interface wanted[8];

	for (size_t i = 0; i < n; i++) {
		wanted[i] = (struct config_interface){ .roles = i + 1 < n ? DEVICE_INSIDE : DEVICE_OUTSIDE };
		snprintf(wanted[i].name, sizeof(wanted[i].name), "%s", names[i]);
	}
	return interfaces_plan_on(wanted, n, all, &known, &own, (struct xdp_wish){ .mode = mode }, &plan, &error);
}

#define PLAN(mode, ...)                                       \
	make_plan(mode, (const char *const[]){ __VA_ARGS__ }, \
		  sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

/* What a plan says of an interface: its carrier, and whether it is there for others' sake and carries them. */
static void expect_interface(const char *which, uint8_t roles, uint32_t carrier, bool hidden, bool carrying)
{
	const struct interface *i = interfaces_find(&plan, which);

	cr_assert_not_null(i, "%s is not in the plan", which);
	cr_expect_eq(i->roles, roles, "%s", which);
	cr_expect_eq(i->carrier, carrier, "%s: carrier %u", which, i->carrier);
	cr_expect_eq(i->hidden, hidden, "%s", which);
	cr_expect_eq(i->carrying, carrying, "%s", which);
}

static void tear_down(void)
{
	free(plan.list);
}

static bool have_vlans(const struct interfaces *list)
{
	for (size_t k = 0; k < list->count; k++)
		if (list->list[k].hidden || link_is_vlan(&list->list[k].link))
			return true;
	return false;
}

TestSuite(interfaces_plan, .init = stacking_set_up, .fini = tear_down);

Test(interfaces_plan, plain_ones_carry_their_own)
{
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0", "eth1"), 0, "%s", error.text);
	cr_expect_eq(plan.count, 2);
	expect_interface("eth0", DEVICE_INSIDE, 0, false, false);
	expect_interface("eth1", DEVICE_OUTSIDE, 0, false, false);
	cr_expect_not(have_vlans(&plan));
}

Test(interfaces_plan, absent_ones_are_waited_for)
{
	cr_assert_eq(PLAN(XDP_MODE_NATIVE, "gone", "eth0.100"), 0, "%s", error.text);
	expect_interface("gone", DEVICE_INSIDE, 0, false, false);
	cr_expect_eq(interfaces_find(&plan, "gone")->attachment, DEVICE_ABSENT);
	cr_expect_eq(interfaces_find(&plan, "gone")->link.ifindex, 0);
}

Test(interfaces_plan, programs_stand_below_vlan_interfaces)
{
	cr_assert_eq(PLAN(XDP_MODE_NATIVE, "eth0.100", "eth0.7.8"), 0, "%s", error.text);
	cr_expect_eq(plan.count, 4);
	expect_interface("eth0.100", DEVICE_INSIDE, ETH0, false, false);
	expect_interface("eth0.7.8", DEVICE_OUTSIDE, ETH0, false, false);
	expect_interface("eth0.7", 0, ETH0, true, false);
	expect_interface("eth0", 0, 0, true, true);
	cr_expect(have_vlans(&plan));

	interfaces_find(&plan, "eth0")->attachment = DEVICE_XDP_NATIVE;
	interfaces_carry(&plan);
	cr_expect_eq(interfaces_find(&plan, "eth0.7.8")->attachment, DEVICE_XDP_NATIVE, "attached as its carrier is");
}

Test(interfaces_plan, a_carrier_may_have_a_role_of_its_own)
{
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0.100", "eth0"), 0, "%s", error.text);
	cr_expect_eq(plan.count, 2);
	expect_interface("eth0.100", DEVICE_INSIDE, ETH0, false, false);
	expect_interface("eth0", DEVICE_OUTSIDE, 0, false, true);
}

Test(interfaces_plan, a_bond_carries_where_it_is_native)
{
	of(ETH1)->master = BOND;
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0", "bond0.3"), 0, "%s", error.text);
	expect_interface("bond0.3", DEVICE_OUTSIDE, BOND, false, false);
	expect_interface("bond0", 0, 0, true, true);
	free(plan.list);
	cr_assert_eq(PLAN(XDP_MODE_SKB, "eth0", "bond0.3"), 0, "%s", error.text);
	expect_interface("bond0.3", DEVICE_OUTSIDE, 0, false, false);
	cr_expect_eq(plan.count, 2);
}

Test(interfaces_plan, where_tags_are_taken_off_the_vlan_interface_carries_its_own)
{
	offload("eth0", "rx-vlan-hw-parse", true);
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0.100", "eth1"), 0, "%s", error.text);
	cr_expect_eq(plan.count, 2);
	expect_interface("eth0.100", DEVICE_INSIDE, 0, false, false);
	free(plan.list);
	/* The other kind of tag is still there to be seen. */
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0.7", "eth1"), 0, "%s", error.text);
	expect_interface("eth0.7", DEVICE_INSIDE, ETH0, false, false);
}

/* Its frames would be taken for the lower interface's own, and a subscriber's for a stranger's. */
Test(interfaces_plan, an_interface_that_sees_no_tags_cannot_stand_beside_its_vlans)
{
	static const enum xdp_mode modes[] = { XDP_MODE_AUTO, XDP_MODE_SKB };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		offload("eth0", "rx-vlan-hw-parse", true);
		cr_expect_eq(PLAN(modes[i], "eth0.100", "eth0"), -EOPNOTSUPP, "mode %d", modes[i]);
		cr_expect_not_null(strstr(error.text, "eth0.100: its frames would be taken for eth0's own"), "%s",
				   error.text);
		cr_expect_not_null(strstr(error.text, "'ethtool -K eth0 rx-vlan-hw-parse off' leaves them on"), "%s",
				   error.text);
		cr_expect_eq(PLAN(modes[i], "eth0", "eth0.100"), -EOPNOTSUPP, "mode %d, the other way", modes[i]);
		cr_expect_eq(PLAN(modes[i], "br0.4", "br0"), -EOPNOTSUPP, "mode %d, on a bridge", modes[i]);
		offload("eth0", "rx-vlan-hw-parse", false);
		cr_expect_eq(PLAN(modes[i], "eth0.100", "eth0"), 0, "mode %d: %s", modes[i], error.text);
		free(plan.list);
	}
	plan.list = NULL;
}

static void set_up_log(void)
{
	stacking_set_up();
	cr_redirect_stderr();
	unsetenv("JOURNAL_STREAM");
}

/* eth0.7 has the other kind of tag, which is seen. */
Test(interfaces_plan, vlans_of_nobody_whose_tags_are_not_seen_are_warned_of, .init = set_up_log)
{
	char log[1024] = "";

	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth1", "eth0"), 0, "%s", error.text);
	free(plan.list);
	offload("eth0", "rx-vlan-hw-parse", true);
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth1", "eth0"), 0, "%s", error.text);
	fflush(stderr);
	cr_assert_gt(fread(log, 1, sizeof(log) - 1, cr_get_redirected_stderr()), 0);
	cr_expect_str_eq(log,
			 "detnat-agent: warning: eth0: the frames of eth0.100 are taken for its own: eth0 takes tags "
			 "off before XDP sees them; 'ethtool -K eth0 rx-vlan-hw-parse off' leaves them on\n");
}

Test(interfaces_plan, a_plan_that_cannot_work_is_refused_with_what_to_do)
{
	static const struct {
		const char *inside;
		enum xdp_mode mode;
		const char *on[2]; /* offloads of eth0 */
		uint32_t master;   /* of eth0 */
		const char *message;
	} rows[] = {
		{ "eth0.100",
		  XDP_MODE_NATIVE,
		  { "rx-vlan-hw-parse" },
		  0,
		  "'ethtool -K eth0 rx-vlan-hw-parse off' leaves them on" },
		{ "eth0.7.8",
		  XDP_MODE_NATIVE,
		  { "rx-vlan-stag-hw-parse" },
		  0,
		  "'ethtool -K eth0 rx-vlan-stag-hw-parse off'" },
		{ "eth0.7.8.9", XDP_MODE_NATIVE, { NULL }, 0, "more than two tags" },
		{ "far.5", XDP_MODE_NATIVE, { NULL }, 0, "the interface below is in another namespace" },
		{ "br0.4", XDP_MODE_NATIVE, { NULL }, 0, "br0 is a bridge, which no longer sees tags" },
		{ "eth0.100",
		  XDP_MODE_AUTO,
		  { "rx-vlan-hw-parse", "gro" },
		  0,
		  "'ethtool -K eth0 gro off', or leave tags to XDP" },
		{ "br0.4", XDP_MODE_AUTO, { "gro" }, BRIDGE, "'ethtool -K eth0 gro off'" },
		{ "br0",
		  XDP_MODE_AUTO,
		  { "gro" },
		  BRIDGE,
		  "br0: generic XDP on a bridge sees packets as GRO has merged them" },
		{ "br0", XDP_MODE_SKB, { "gro" }, BRIDGE, "'ethtool -K eth0 gro off'" },
		{ "mv0", XDP_MODE_AUTO, { "gro" }, 0, "mv0: generic XDP on a macvlan" },
		{ "bond0", XDP_MODE_SKB, { "gro" }, BOND, "bond0: generic XDP on a bond" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int k = 0; k < 2 && rows[i].on[k]; k++)
			offload("eth0", rows[i].on[k], true);
		of(ETH0)->master = rows[i].master;
		cr_expect_eq(PLAN(rows[i].mode, rows[i].inside, "eth1"), -EOPNOTSUPP, "row %zu", i);
		cr_expect_not_null(strstr(error.text, rows[i].message), "row %zu: %s", i, error.text);
		for (int k = 0; k < 2 && rows[i].on[k]; k++)
			offload("eth0", rows[i].on[k], false);
		if (rows[i].mode != XDP_MODE_NATIVE) {
			cr_expect_eq(PLAN(rows[i].mode, rows[i].inside, "eth1"), 0, "row %zu: %s", i, error.text);
			free(plan.list);
		}
		plan.list = NULL;
		of(ETH0)->master = 0;
	}
}

Test(interfaces_plan, a_native_bond_is_not_asked_for_its_ports_gro)
{
	of(ETH0)->master = BOND;
	offload("eth0", "gro", true);
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "bond0", "eth1"), 0, "%s", error.text);
	free(plan.list);
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "bond0.3", "eth1"), 0, "%s", error.text);
}

Test(interfaces_plan, is_the_same_until_a_link_or_a_tag_is_another)
{
	struct interfaces before;

	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0.100", "eth1"), 0);
	before = plan;
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0.100", "eth1"), 0);
	cr_expect(interfaces_same_plan(&before, &plan));
	free(plan.list);
	of(VLAN)->vlan_id = 101;
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0.100", "eth1"), 0);
	cr_expect_not(interfaces_same_plan(&before, &plan));
	free(plan.list);
	of(VLAN)->vlan_id = 100;
	of(VLAN)->lower = ETH1;
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0.100", "eth1"), 0);
	cr_expect_not(interfaces_same_plan(&before, &plan));
	free(before.list);
}

Test(interfaces_plan, facts_about_a_link_are_taken_over_and_those_about_another_of_its_name_are_not)
{
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0", "eth1"), 0);
	known = plan;
	interfaces_find(&known, "eth0")->attachment = DEVICE_XDP_NATIVE;
	interfaces_find(&known, "eth1")->attachment = DEVICE_XDP_NATIVE;
	of(ETH1)->ifindex = 99;
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "eth0", "eth1"), 0);
	cr_expect_eq(interfaces_find(&plan, "eth0")->attachment, DEVICE_XDP_NATIVE);
	cr_expect_neq(interfaces_find(&plan, "eth1")->attachment, DEVICE_XDP_NATIVE);
	free(known.list);
}

/* PLAN makes the last one an outside interface and the others inside ones. */
Test(interfaces_plan, interfaces_that_show_in_each_other_are_refused_where_they_cannot_be_told_apart)
{
	static const struct {
		const char *names[3];
		uint32_t port, master; /* 0: none */
		bool same_mac;
		const char *message; /* NULL: it works */
	} rows[] = {
		{ { "eth0", "mv0", "plain" }, 0, 0, false, "mv0: is a macvlan stacked on eth0" },
		{ { "mv0", "eth0", "plain" }, 0, 0, false, "mv0: is a macvlan stacked on eth0" },
		{ { "plain", "mv0", "eth0" }, 0, 0, false, NULL },
		{ { "plain", "mv0", "eth0" }, 0, 0, true, "which has its MAC address" },
		{ { "br0", "eth1", "plain" }, ETH1, BRIDGE, false, "br0: is a bridge stacked on eth1" },
		{ { "bond0", "eth1", "plain" }, ETH1, BOND, false, "bond0: is a bond stacked on eth1" },
		{ { "plain", "br0", "eth1" }, ETH1, BRIDGE, true, "which has its MAC address" },
		{ { "br0", "plain", "eth1" }, 0, 0, false, NULL },
		{ { "eth0", "eth0.100", "plain" }, 0, 0, true, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r;

		for (size_t k = 0; k < all.count; k++)
			some[k].mac[5] = rows[i].same_mac ? 1 : (uint8_t)k;
		if (rows[i].port)
			of(rows[i].port)->master = rows[i].master;
		r = PLAN(XDP_MODE_AUTO, rows[i].names[0], rows[i].names[1], rows[i].names[2]);
		cr_expect_eq(r, rows[i].message ? -EOPNOTSUPP : 0, "row %zu: %d", i, r);
		if (rows[i].message)
			cr_expect_not_null(strstr(error.text, rows[i].message), "row %zu: %s", i, error.text);
		else
			free(plan.list);
		plan.list = NULL;
		restore_links();
	}
}

Test(interfaces_plan, without_an_ethernet_header_there_is_no_xdp)
{
	of(PLAIN)->type = ARPHRD_PPP;
	cr_assert_eq(PLAN(XDP_MODE_AUTO, "plain", "eth1"), 0, "%s", error.text);
	cr_expect_str_eq(interfaces_find(&plan, "plain")->without_xdp, "has no Ethernet header");
	cr_expect_str_empty(interfaces_find(&plan, "eth1")->without_xdp);
}

Test(interfaces_plan, without_xdp_a_vlan_interface_needs_no_carrier)
{
	cr_assert_eq(PLAN(XDP_MODE_NONE, "eth0.100", "eth0"), 0, "%s", error.text);
	cr_expect_str_eq(interfaces_find(&plan, "eth0.100")->without_xdp, "configured");
	expect_interface("eth0.100", DEVICE_INSIDE, 0, false, false);
	expect_interface("eth0", DEVICE_OUTSIDE, 0, false, false);
}

/* Without XDP, tc at their own ingress, which sends or leaves it to the kernel. */
Test(interfaces_plan, mode_tc_sends_without_xdp_and_mode_none_does_not)
{
	static const enum xdp_mode modes[] = { XDP_MODE_TC, XDP_MODE_NONE };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		cr_assert_eq(PLAN(modes[i], "eth0.100", "eth1"), 0, "%s", error.text);
		cr_expect_eq(plan.count, 2);
		for (size_t k = 0; k < plan.count; k++) {
			cr_expect_str_eq(plan.list[k].without_xdp, "configured");
			cr_expect_eq(interface_wants_tc(&plan.list[k]), modes[i] == XDP_MODE_TC);
			cr_expect_eq(plan.list[k].carrier, 0);
		}
		free(plan.list);
	}
	plan.list = NULL;
}

/* A change between the two is one of the plan, for which the programs are exchanged. */
Test(interfaces_plan, plan_with_another_sender_is_another_one)
{
	struct interfaces before;

	cr_assert_eq(PLAN(XDP_MODE_NONE, "eth0", "eth1"), 0, "%s", error.text);
	before = plan;
	cr_assert_eq(PLAN(XDP_MODE_TC, "eth0", "eth1"), 0, "%s", error.text);
	cr_expect_not(interfaces_same_plan(&before, &plan));
	free(before.list);
}

/* What XDP receives does not reach tc without the kernel; tc reaches all, and needs no flag for it. */
Test(interfaces_plan, flags_and_forwarding_of_those_that_send)
{
	cr_assert_eq(PLAN(XDP_MODE_TC, "eth0", "eth1"), 0, "%s", error.text);
	plan.list[0].attachment = plan.list[1].attachment = DEVICE_TC;
	cr_expect_null(interface_unable(&plan, &plan.list[1]));
	cr_expect_eq(interface_record(&plan, &plan.list[1]).flags, 0);
	plan.list[0].attachment = DEVICE_XDP_NATIVE;
	cr_expect_str_eq(interface_unable(&plan, &plan.list[1]), "tc beside XDP");
	cr_expect_eq(interface_record(&plan, &plan.list[1]).flags, 0);
	plan.list[1].xdp.mode = XDP_MODE_NONE;
	cr_expect_str_eq(interface_unable(&plan, &plan.list[1]), "no XDP");
	cr_expect_eq(interface_record(&plan, &plan.list[1]).flags, 0);
}

static struct xdp_wish automatic = { .mode = XDP_MODE_AUTO, .sends = true };

static int plan_two(const char *inside)
{
	struct config_interface wanted[2] = { { .roles = DEVICE_INSIDE }, { .name = "eth1", .roles = DEVICE_OUTSIDE } };

	snprintf(wanted[0].name, sizeof(wanted[0].name), "%s", inside);
	return interfaces_plan_on(wanted, 2, all, &known, &own, automatic, &plan, &error);
}

static void expect_sends(const char *name, bool sends, const char *why)
{
	const struct interface *i = interfaces_find(&plan, name);

	cr_expect_eq(interface_wants_tc(i), sends, "%s", name);
	cr_expect_str_eq(i->without_xdp, why, "%s", name);
}

#define CUT(name, kind) "XDP on " name " (" kind ") would cut large frames"

/* With `auto` and redirects, tc sends where XDP would cut frames: by the link's kind, and by nothing else. */
Test(interfaces_plan, auto_has_tc_send_where_xdp_would_cut_frames)
{
	static const struct {
		const char *kind;
		uint16_t type;
		bool sends;
		const char *why;
	} rows[] = {
		{ "veth", ARPHRD_ETHER, true, CUT("eth0", "veth") },
		{ "tun", ARPHRD_ETHER, true, CUT("eth0", "tap") },
		{ "tun", ARPHRD_NONE, false, "has no Ethernet header" },
		{ "dummy", ARPHRD_ETHER, false, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(of(ETH0)->kind, sizeof(of(ETH0)->kind), "%s", rows[i].kind);
		of(ETH0)->type = rows[i].type;
		cr_assert_eq(plan_two("eth0"), 0, "%s", error.text);
		expect_sends("eth0", rows[i].sends, rows[i].why);
		free(plan.list);
	}
	plan.list = NULL;
}

Test(interfaces_plan, auto_runs_xdp_where_the_kernel_forwards_or_others_share_it)
{
	snprintf(of(ETH0)->kind, sizeof(of(ETH0)->kind), "veth");
	automatic.sends = false;
	cr_assert_eq(plan_two("eth0"), 0, "%s", error.text);
	expect_sends("eth0", false, "");
	free(plan.list);
	automatic.sends = true;
	automatic.dispatcher = DISPATCHER_LIBXDP;
	cr_assert_eq(plan_two("eth0"), 0, "%s", error.text);
	expect_sends("eth0", false, "");
	automatic.dispatcher = DISPATCHER_NONE;
	free(plan.list);
	automatic.mode = XDP_MODE_NATIVE;
	cr_assert_eq(plan_two("eth0"), 0, "%s", error.text);
	expect_sends("eth0", false, "");
	automatic.mode = XDP_MODE_AUTO;
}

/* A VLAN interface goes by the interface below, a bond by its ports, until it is attached. */
Test(interfaces_plan, auto_looks_below_vlan_interfaces_and_bonds)
{
	snprintf(of(ETH0)->kind, sizeof(of(ETH0)->kind), "veth");
	cr_assert_eq(plan_two("eth0.100"), 0, "%s", error.text);
	expect_sends("eth0.100", true, CUT("eth0", "veth"));
	cr_expect_eq(plan.count, 2, "nothing below carries it");
	free(plan.list);
	/* Whoever takes its tags off, and whatever is merged. */
	offload("eth0", "rx-vlan-hw-parse", true);
	offload("eth0", "gro", true);
	cr_assert_eq(plan_two("eth0.100"), 0, "%s", error.text);
	expect_sends("eth0.100", true, CUT("eth0", "veth"));
	free(plan.list);
	offload("eth0", "rx-vlan-hw-parse", false);
	offload("eth0", "gro", false);
	of(ETH0)->master = BOND;
	cr_assert_eq(plan_two("bond0"), 0, "%s", error.text);
	expect_sends("bond0", true, CUT("eth0", "veth"));
	known = plan;
	interfaces_find(&known, "bond0")->attachment = DEVICE_XDP_NATIVE;
	cr_assert_eq(plan_two("bond0"), 0, "%s", error.text);
	expect_sends("bond0", false, "");
	free(known.list);
	known = (struct interfaces){ 0 };
}
