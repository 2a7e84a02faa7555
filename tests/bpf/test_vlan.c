// SPDX-License-Identifier: BSD-2-Clause
/* Frames with VLAN tags at every hook. Whole frames are compared. */
#include <criterion/criterion.h>
#include <string.h>

#include "vlan_fixture.h"

TestSuite(vlan, .init = set_up_vlans, .fini = tear_down);

Test(vlan, from_one_to_another_with_the_other_s_tag)
{
	static const struct tagged_row rows[] = {
		OPEN,
		{ "once more",
		  XDP_INSIDE,
		  { { Q, 100 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  REDIRECT_XDP,
		  { { AD, 200 } },
		  { TO_ROUTER, UDP, OUT_PORT(6303, 2), 53 },
		  REASON_in2out_translated },
		{ "the answer",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2), .payload = 33 },
		  REDIRECT_XDP,
		  { { Q, 100 } },
		  { TO_HOST, UDP, 53, 6303, .payload = 33 },
		  REASON_out2in_translated },
		{ "with a priority",
		  XDP_OUTSIDE,
		  { { AD, 0xa000 | 200 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  REDIRECT_XDP,
		  { { Q, 100 } },
		  { TO_HOST, UDP, 53, 6303 },
		  REASON_out2in_translated },
		{ "of no session",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { FROM_ROUTER, UDP, 54, OUT_PORT(6303, 2) },
		  DROP_XDP,
		  {},
		  {},
		  REASON_drop_no_session },
	};

	RUN_TAGGED(rows);
}

Test(vlan, a_frame_for_the_kernel_has_its_tags_as_they_were)
{
	static const struct tagged_row rows[] = {
		OPEN,
		{ "to the gateway",
		  XDP_INSIDE,
		  { { Q, 0x6000 | 100 } },
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(10, 0, 0, 1), UDP, 5, 6 },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
		{ "for another station",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { .from = ROUTER, .to = NOBODY, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(6303, 2) },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
	};

	RUN_TAGGED(rows);
	settings.redirect = 0;
	reload_settings();

	static const struct tagged_row kernel[] = {
		{ "translated, for the kernel to forward",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  PASS_XDP,
		  { { AD, 200 } },
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 6303 },
		  REASON_out2in_translated },
	};

	RUN_TAGGED(kernel);
}

Test(vlan, tags_that_are_not_ours_are_left_alone)
{
	static const struct tagged_row rows[] = {
		OPEN,
#define UNTOUCHED(name, ...)                                                                                   \
	{ name, XDP_OUTSIDE, { __VA_ARGS__ },		{ FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) }, PASS_XDP, \
	  {},	{},	     REASON_passed_untranslated }
		UNTOUCHED("another identifier", { AD, 201 }),
		UNTOUCHED("another kind of tag", { Q, 200 }),
		UNTOUCHED("a further tag", { AD, 200 }, { Q, 100 }),
		UNTOUCHED("two further tags", { AD, 200 }, { Q, 0 }, { Q, 0 }),
		UNTOUCHED("without a tag, by an interface without a role", { 0, 0 }),
	};

	RUN_TAGGED(rows);
}

Test(vlan, a_frame_cut_within_its_tags_is_left_alone)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	const struct frame f = { FROM_ROUTER, UDP, 53, 1234 };

	for (size_t size = 14; size < 22; size++) {
		size_t out_size;

		frame_tagged(&f, (const struct tag[3]){ { AD, 200 }, { Q, 0 } }, in);
		cr_expect_eq(run_below(XDP_OUTSIDE, in, size, out, &out_size), PASS_XDP, "%zu octets", size);
		cr_expect_eq(out_size, size);
	}
}

/* A tag of identifier 0 has a priority alone: the frame is the interface's own (IEEE 802.1Q, table 9-2). */
Test(vlan, a_priority_tag_is_no_vlan)
{
	struct device *in = &datapath.device[inside_ifindex], *out = &datapath.device[outside_ifindex];

	in->lower = out->lower = 0;
	in->flags = out->flags = DEVICE_REDIRECT;
	below_inside = inside_ifindex;
	below_outside = outside_ifindex;
	datapath_raise_epoch(&datapath);

	static const struct tagged_row rows[] = {
		{ "from inside",
		  XDP_INSIDE,
		  { { Q, 0xe000 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  REDIRECT_XDP,
		  {},
		  { TO_ROUTER, UDP, OUT_PORT(6303, 2), 53 },
		  REASON_in2out_translated },
		{ "from outside",
		  XDP_OUTSIDE,
		  { { AD, 0xe000 }, { Q, 0xe000 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  REDIRECT_XDP,
		  {},
		  { TO_HOST, UDP, 53, 6303 },
		  REASON_out2in_translated },
		{ "a third tag is one of others",
		  XDP_OUTSIDE,
		  { { AD, 0xe000 }, { Q, 0xe000 }, { Q, 0xe000 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
		{ "from outside, for the kernel",
		  XDP_OUTSIDE,
		  { { Q, 0x2000 } },
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = ADDR(198, 51, 100, 1), UDP, 53, 5000 },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
	};

	RUN_TAGGED(rows);
}

/* tout is a VLAN on a VLAN: pin is the one below, for once, and pout below that. */
Test(vlan, two_tags_are_replaced)
{
	describe_vlan(below_inside, below_outside, AD, 7);
	cr_assert_eq(datapath_add_port(&datapath, below_inside), 0);
	cr_assert_eq(datapath_add_port(&datapath, below_outside), 0);
	describe_vlan(inside_ifindex, below_inside, Q, 100);
	describe_vlan(outside_ifindex, below_inside, Q, 8);
	below_inside = below_outside;

	static const struct tagged_row rows[] = {
		{ "from inside",
		  XDP_INSIDE,
		  { { AD, 7 }, { Q, 100 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  REDIRECT_XDP,
		  { { AD, 7 }, { Q, 8 } },
		  { TO_ROUTER, UDP, OUT_PORT(6303, 2), 53 },
		  REASON_in2out_translated },
		{ "from outside, on the same wire",
		  XDP_INSIDE,
		  { { AD, 7 }, { Q, 8 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  REDIRECT_XDP,
		  { { AD, 7 }, { Q, 100 } },
		  { TO_HOST, UDP, 53, 6303 },
		  REASON_out2in_translated },
		{ "the outer VLAN alone has no role",
		  XDP_INSIDE,
		  { { AD, 7 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
	};

	RUN_TAGGED(rows);
}

/* The kernel refuses redirected frames longer than the MTU and one tag; it sends them itself. */
Test(vlan, two_tags_and_all_that_the_mtu_allows)
{
	describe_vlan(below_inside, below_outside, AD, 7);
	cr_assert_eq(datapath_add_port(&datapath, below_inside), 0);
	cr_assert_eq(datapath_add_port(&datapath, below_outside), 0);
	describe_vlan(inside_ifindex, below_inside, Q, 100);
	describe_vlan(outside_ifindex, below_inside, Q, 8);
	below_inside = below_outside;

	static const struct tagged_row rows[] = {
		{ "out, as long as XDP may send",
		  XDP_INSIDE,
		  { { AD, 7 }, { Q, 100 } },
		  { FROM_HOST, UDP, 6303, 53, .payload = 1496 - 28 },
		  REDIRECT_XDP,
		  { { AD, 7 }, { Q, 8 } },
		  { TO_ROUTER, UDP, OUT_PORT(6303, 2), 53, .payload = 1496 - 28 },
		  REASON_in2out_translated },
		{ "out, longer",
		  XDP_INSIDE,
		  { { AD, 7 }, { Q, 100 } },
		  { FROM_HOST, UDP, 6303, 53, .payload = 1497 - 28, .options = DONT_FRAGMENT },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
		{ "in, as long as XDP may send",
		  XDP_INSIDE,
		  { { AD, 7 }, { Q, 8 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2), .payload = 1496 - 28 },
		  REDIRECT_XDP,
		  { { AD, 7 }, { Q, 100 } },
		  { TO_HOST, UDP, 53, 6303, .payload = 1496 - 28 },
		  REASON_out2in_translated },
		{ "in, longer",
		  XDP_INSIDE,
		  { { AD, 7 }, { Q, 8 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2), .payload = 1500 - 28, .options = DONT_FRAGMENT },
		  PASS_XDP,
		  { { AD, 7 }, { Q, 8 } },
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    6303,
		    .payload = 1500 - 28,
		    .options = DONT_FRAGMENT },
		  REASON_out2in_translated },
	};

	RUN_TAGGED(rows);
}

/* From an interface without tags to one with them, and back, which the fast path must leave to the slow one. */
Test(vlan, tags_on_one_side_alone)
{
	struct device *in = &datapath.device[inside_ifindex];

	in->lower = 0;
	in->flags = DEVICE_REDIRECT | DEVICE_NATIVE;
	below_inside = inside_ifindex;
	datapath_raise_epoch(&datapath);

	static const struct tagged_row rows[] = {
		{ "out",
		  XDP_INSIDE,
		  {},
		  { FROM_HOST, TCP, 6303, 443, .flags = 2 },
		  REDIRECT_XDP,
		  { { AD, 200 } },
		  { TO_ROUTER, TCP, OUT_PORT(6303, 2), 443, .flags = 2 },
		  REASON_in2out_translated },
		{ "in",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { FROM_ROUTER, TCP, 443, OUT_PORT(6303, 2), .flags = 0x12 },
		  REDIRECT_XDP,
		  {},
		  { TO_HOST, TCP, 443, 6303, .flags = 0x12 },
		  REASON_out2in_translated },
		{ "out once more",
		  XDP_INSIDE,
		  {},
		  { FROM_HOST, TCP, 6303, 443, .flags = 0x10 },
		  REDIRECT_XDP,
		  { { AD, 200 } },
		  { TO_ROUTER, TCP, OUT_PORT(6303, 2), 443, .flags = 0x10 },
		  REASON_in2out_translated },
	};

	RUN_TAGGED(rows);

	/* The other way round. */
	cr_assert_eq(datapath_add_port(&datapath, below_inside), 0);
	cr_assert_eq(datapath_add_port(&datapath, below_outside), 0);
	describe_vlan(inside_ifindex, below_outside, Q, 100);
	datapath.device[outside_ifindex].lower = 0;
	datapath.device[outside_ifindex].flags = DEVICE_REDIRECT | DEVICE_NATIVE;
	below_outside = outside_ifindex;
	datapath_raise_epoch(&datapath);

	static const struct tagged_row other[] = {
		{ "in, first",
		  XDP_OUTSIDE,
		  {},
		  { FROM_ROUTER, TCP, 443, OUT_PORT(6303, 2), .flags = 0x10 },
		  REDIRECT_XDP,
		  { { Q, 100 } },
		  { TO_HOST, TCP, 443, 6303, .flags = 0x10 },
		  REASON_out2in_translated },
		{ "in, with the way known",
		  XDP_OUTSIDE,
		  {},
		  { FROM_ROUTER, TCP, 443, OUT_PORT(6303, 2), .flags = 0x10 },
		  REDIRECT_XDP,
		  { { Q, 100 } },
		  { TO_HOST, TCP, 443, 6303, .flags = 0x10 },
		  REASON_out2in_translated },
	};

	RUN_TAGGED(other);
}

/* With reorder_hdr off the tag is in the frame at tc already; its driver puts another on. */
Test(vlan, at_tc_the_interface_s_own_tag_in_the_frame_is_taken_off)
{
	static const struct tagged_row rows[] = {
		{ "its own",
		  TC_OUTSIDE,
		  { { AD, 200 } },
		  { FROM_HOST, UDP, 6303, 53, .payload = 9 },
		  PASS_TC,
		  {},
		  { LEFT, UDP, OUT_PORT(6303, 2), 53, .payload = 9 },
		  REASON_in2out_translated },
		{ "its own, with a priority",
		  TC_OUTSIDE,
		  { { AD, 5 << 13 | 200 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  PASS_TC,
		  {},
		  { LEFT, UDP, OUT_PORT(6303, 2), 53 },
		  REASON_in2out_translated },
		{ "behind that of the interface below",
		  TC_OUTSIDE,
		  { { Q, 7 }, { AD, 200 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  PASS_TC,
		  {},
		  { LEFT, UDP, OUT_PORT(6303, 2), 53 },
		  REASON_in2out_translated },
		{ "of an interface above: not ours",
		  TC_OUTSIDE,
		  { { AD, 200 }, { Q, 7 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  PASS_TC,
		  {},
		  {},
		  REASON_passed_untranslated },
		{ "of another identifier: not ours",
		  TC_OUTSIDE,
		  { { AD, 201 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  PASS_TC,
		  {},
		  {},
		  REASON_passed_untranslated },
		{ "of another protocol: not ours",
		  TC_OUTSIDE,
		  { { Q, 200 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  PASS_TC,
		  {},
		  {},
		  REASON_passed_untranslated },
	};

	run_tagged_counted(rows, sizeof(rows) / sizeof(*rows));
}
