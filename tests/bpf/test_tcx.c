/* SPDX-License-Identifier: BSD-2-Clause */
/* tcx links: attached, replaced, found by their pins of any layout, in place of filters, and gone with an interface. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/attach.h"
#include "fixture.h"

#define PINS "/sys/fs/bpf/detnat"

TestSuite(tcx, .init = set_up, .fini = tear_down);

static char *pin(const char *what, const char *layout)
{
	static char text[PATH_MAX];

	snprintf(text, sizeof(text), PINS "/%s/%s_%u_ingress", layout, what, outside_ifindex);
	return text;
}

static char *own_pin(const char *what)
{
	char layout[16];

	snprintf(layout, sizeof(layout), "v%u", LAYOUT_VERSION);
	return pin(what, layout);
}

static int attach(int fd, bool instead)
{
	return tcx_attach(PINS, outside_ifindex, TC_INGRESS, fd, instead);
}

static uint32_t attached(void)
{
	return tcx_program(PINS, outside_ifindex, TC_INGRESS);
}

static int note(uint32_t id, void *arg)
{
	*(uint32_t *)arg = id;
	return 1;
}

/* What the kernel runs first there. */
static uint32_t first(void)
{
	uint32_t id = 0;

	tcx_visit_programs(outside_ifindex, TC_INGRESS, note, &id);
	return id;
}

static int count(uint32_t id, void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

/* How many the kernel runs there. */
static unsigned programs(void)
{
	unsigned n = 0;

	tcx_visit_programs(outside_ifindex, TC_INGRESS, count, &n);
	return n;
}

static bool without_tcx(void)
{
	if (tcx_is_supported())
		return false;
	cr_skip_test("this kernel has no tcx");
	return true;
}

Test(tcx, a_link_runs_a_program_then_another_then_none)
{
	if (without_tcx())
		return;
	cr_assert_eq(attached(), 0);
	cr_assert_eq(attach(datapath.tc_from_inside, false), 0);
	cr_expect_eq(attached(), program_id(datapath.tc_from_inside));
	cr_expect_eq(first(), attached());
	cr_assert_eq(attach(datapath.tc_from_both, false), 0);
	cr_expect_eq(attached(), program_id(datapath.tc_from_both));
	cr_expect_eq(tcx_program(PINS, outside_ifindex, TC_EGRESS), 0);
	cr_expect_eq(tcx_program(PINS, inside_ifindex, TC_INGRESS), 0);
	cr_assert_eq(tcx_detach(PINS, outside_ifindex, TC_INGRESS), 0);
	cr_expect_eq(attached(), 0);
	cr_expect_eq(first(), 0);
	cr_expect(access(own_pin("tcx"), F_OK), "the pin is still there");
	cr_expect_eq(tcx_detach(PINS, outside_ifindex, TC_INGRESS), 0, "once more");
}

Test(tcx, it_is_in_front_of_what_others_have_attached)
{
	if (without_tcx())
		return;

	_cleanup_close_ int others = bpf_link_create(datapath.tc_into_vrf, (int)outside_ifindex,
						     (enum bpf_attach_type)46 /* BPF_TCX_INGRESS */, NULL);

	cr_assert_geq(others, 0);
	cr_assert_eq(attach(datapath.tc_from_both, false), 0);
	cr_expect_eq(first(), program_id(datapath.tc_from_both));
}

Test(tcx, what_others_put_in_front_is_found_and_comes_next)
{
	LIBBPF_OPTS(bpf_link_create_opts, before, .flags = 1U << 3 /* BPF_F_BEFORE */);

	if (without_tcx())
		return;
	cr_assert_eq(attach(datapath.tc_from_both, false), 0);
	cr_expect_eq(tcx_in_front(PINS, outside_ifindex, TC_INGRESS), 0);

	_cleanup_close_ int own = bpf_obj_get(own_pin("tcx"));
	_cleanup_close_ int others = bpf_link_create(datapath.tc_into_vrf, (int)outside_ifindex,
						     (enum bpf_attach_type)46 /* BPF_TCX_INGRESS */, &before);

	cr_assert_geq(others, 0);
	cr_expect_eq(tcx_first(outside_ifindex, TC_INGRESS), program_id(datapath.tc_into_vrf));
	cr_expect_eq(tcx_in_front(PINS, outside_ifindex, TC_INGRESS), program_id(datapath.tc_into_vrf));
	/* With another program, and as an earlier layout has pinned the link, too. */
	cr_assert_eq(mkdir(PINS "/v99", 0700), 0);
	cr_assert_eq(bpf_obj_pin(own, pin("tcx", "v99")), 0);
	cr_assert_eq(attach(datapath.tc_from_inside, false), 0);
	cr_expect_eq(first(), program_id(datapath.tc_from_inside));
	cr_expect_eq(tcx_in_front(PINS, outside_ifindex, TC_INGRESS), 0);
	cr_expect_eq(programs(), 2, "the others' stays, and the former link is gone");
	cr_expect(access(own_pin("takeover"), F_OK), "its map is still pinned");
	cr_assert_eq(tcx_detach(PINS, outside_ifindex, TC_INGRESS), 0);
	cr_expect_eq(first(), program_id(datapath.tc_into_vrf));
}

Test(tcx, another_program_stands_in_until_the_filter_is_gone)
{
	if (without_tcx())
		return;
	for (unsigned round = 0; round < 2; round++) {
		cr_assert_eq(attach(datapath.tc_from_both, true), 0); /* twice, as after a kill */
		cr_expect(attached() && attached() != program_id(datapath.tc_from_both));
		cr_expect_not(access(own_pin("takeover"), F_OK));
	}
	cr_assert_eq(attach(datapath.tc_from_both, false), 0);
	cr_expect_eq(attached(), program_id(datapath.tc_from_both));
	cr_expect(access(own_pin("takeover"), F_OK), "its map is still pinned");
}

Test(tcx, a_link_of_another_layout_is_taken_over)
{
	char from[PATH_MAX];

	if (without_tcx())
		return;
	cr_assert_eq(attach(datapath.tc_from_inside, false), 0);
	snprintf(from, sizeof(from), "%s", own_pin("tcx"));
	cr_assert_eq(mkdir(PINS "/v99", 0700), 0);
	cr_assert_eq(rename(from, pin("tcx", "v99")), 0);
	cr_expect_eq(attached(), program_id(datapath.tc_from_inside));
	cr_assert_eq(attach(datapath.tc_from_both, false), 0);
	cr_expect_not(access(own_pin("tcx"), F_OK));
	cr_assert_eq(unlink(pin("tcx", "v99")), 0);
	cr_expect_eq(first(), program_id(datapath.tc_from_both), "it has gone with the other pin");
	cr_assert_eq(tcx_detach(PINS, outside_ifindex, TC_INGRESS), 0);
	cr_expect_eq(first(), 0);
}

Test(tcx, what_is_detached_or_gone_is_not_attached_and_its_pin_gives_way)
{
	if (without_tcx())
		return;
	cr_assert_eq(attach(datapath.tc_from_both, false), 0);

	_cleanup_close_ int link = bpf_obj_get(own_pin("tcx"));

	cr_assert_eq(bpf_link_detach(link), 0);
	cr_expect_eq(attached(), 0);
	cr_assert_eq(attach(datapath.tc_from_both, false), 0);
	cr_expect_eq(first(), program_id(datapath.tc_from_both));
	cr_assert_eq(system("ip link del tout"), 0);
	cr_expect_eq(attached(), 0);
	cr_expect_eq(tcx_detach(PINS, outside_ifindex, TC_INGRESS), 0);
	cr_expect(access(own_pin("tcx"), F_OK), "the pin is still there");
	cr_expect_eq(attach(datapath.tc_from_both, false), -ENODEV);
}

Test(tcx, pins_that_end_with_the_mount_namespace_call_for_filters)
{
	/* The fixture's bpffs is mounted in a mount namespace of its own. */
	cr_expect_not(tcx_wanted(PINS));
}
