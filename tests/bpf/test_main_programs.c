// SPDX-License-Identifier: BSD-2-Clause
/* Which main programs are put in place: by the settings, as the fast path from inside has two. */
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "fixture.h"
#include "staged.h"

TestSuite(main_programs, .init = set_up, .fini = tear_down);

static void expect_at(uint32_t entry, const char *name)
{
	struct bpf_prog_info info = { 0 };
	uint32_t id = 0, size = sizeof(info);
	int fd;

	reload_settings();
	cr_assert_eq(bpf_map_lookup_elem(datapath.entries, &entry, &id), 0);
	fd = bpf_prog_get_fd_by_id(id);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	cr_expect_str_eq(info.name, name);
	close_fd(&fd);
}

static void expect_inside(const char *name)
{
	expect_at(ENTRY_INSIDE, name);
}

Test(main_programs, are_chosen_by_whether_each_packets_source_matters)
{
	/* As much of a name as the kernel keeps. Stage 1 looks at the setting itself. */
	const char *one = staged_wanted() ? "in2out_staged_x" : "in2out_xdp";

	expect_inside(one);
	settings.source_check = SOURCES_STRICT;
	expect_inside(one);
	settings.source_check = SOURCES_STRICT_EACH;
	expect_inside(staged_wanted() ? one : "in2out_each_xdp");
	settings.source_check = SOURCES_ROUTED;
	settings.policy_routing = 1;
	expect_inside("in2out_cached_x");
	expect_at(ENTRY_OUTSIDE, "out2in_cached_x");
	settings.policy_routing = 0;
	expect_inside(one);
}

Test(main_programs, know_of_tenants_where_there_are_some)
{
	settings.tenants = 1;
	settings.stages = 1;
	expect_inside("in2out_tenants_");
	settings.source_check = SOURCES_STRICT_EACH;
	expect_inside("in2out_tenants_");
}

Test(main_programs, know_of_open_mappings_where_there_are_some)
{
	const char *staged = "in2out_staged_x";

	settings.open_mappings = 1;
	expect_inside(staged_wanted() ? staged : "in2out_open_xdp");
	settings.source_check = SOURCES_STRICT_EACH;
	expect_inside(staged_wanted() ? staged : "in2out_each_xdp");
}
