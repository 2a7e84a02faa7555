/* SPDX-License-Identifier: BSD-2-Clause */
/* Pinned maps of features: small until programs have the feature, large from then on, with what was in them. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>

#include <detnat/growth.h>
#include <detnat/portmaps.h>

#include "base/findings.h"
#include "datapath/copy_program.h"
#include "datapath/datapath_private.h"
#include "datapath/pinned.h"
#include "datapath/running.h"
#include "fixture.h"
#include "tables/grant_table.h"

#define PIN_PATH "/sys/fs/bpf/detnat"

static struct config config = { .pin_path = (char *)PIN_PATH, .overflow_sessions = 100 };

TestSuite(feature_maps, .init = set_up, .fini = tear_down);

struct rooms {
	uint32_t grants;
	uint32_t grant_bindings;
	uint32_t portmaps;
	uint32_t portmap_filters;
};

static const struct rooms none = { FEATURE_UNUSED, FEATURE_UNUSED, FEATURE_UNUSED, FEATURE_UNUSED },
			  growth_alone = { GRANT_ENTRIES, GRANT_BINDING_ENTRIES, FEATURE_UNUSED, FEATURE_UNUSED },
			  both = { GRANT_ENTRIES, GRANT_BINDING_ENTRIES, 2 * PORTMAP_ROOM(MIN_LEASES),
				   PORTMAP_ROOM(MIN_LEASES) };

/* The open maps have these sizes, and are those that are pinned. */
static void expect_rooms(const struct rooms *wanted)
{
	__attribute__((cleanup(findings_free))) struct findings findings = { 0 };

	cr_expect_eq(map_room(datapath.grants), wanted->grants);
	cr_expect_eq(map_room(datapath.grant_bindings), wanted->grant_bindings);
	cr_expect_eq(map_room(datapath.portmaps), wanted->portmaps);
	cr_expect_eq(map_room(datapath.portmap_filters), wanted->portmap_filters);
	datapath_audit(&datapath, false, &findings);
	cr_expect_eq(findings.n, 0, "%s", findings.n ? findings.finding[0].text : "");
}

static void restart(void)
{
	struct error err = { "" };

	cr_assert_eq(running_save(datapath.running_state, "{}", 7, NULL), 0);
	datapath_close(&datapath);
	cr_assert_eq(datapath_open(&config, false, &datapath, &err), 0, "%s", err.text);
	cr_expect(datapath.reused);
}

static void load(uint8_t growth, uint8_t portmaps)
{
	struct error err = { "" };

	settings.growth = growth;
	settings.portmaps = portmaps;
	cr_assert_eq(datapath_load(&datapath, &settings, &err), 0, "%s", err.text);
	datapath_settle(&datapath);
}

Test(feature_maps, they_grow_with_the_programs_while_a_session_goes_on)
{
	const int grants = datapath.grants;
	int port = open_flow(UDP, 4000, 53, 0);

	expect_rooms(&none);
	load(1, 0);
	expect_rooms(&growth_alone);
	cr_expect_eq(datapath.grants, grants, "other modules hold the descriptor");
	cr_expect_eq(open_flow(UDP, 4000, 53, 0), port);
	load(1, 1);
	expect_rooms(&both);
	cr_expect_eq(open_flow(UDP, 4000, 53, 0), port);
	load(0, 0);
	expect_rooms(&both);
	cr_expect_eq(open_flow(UDP, 4000, 53, 0), port);
}

Test(feature_maps, a_restart_keeps_what_is_pinned)
{
	const struct grant_key key = { .addr = 1, .at = 2, .direction = GRANT_OF_OUTSIDE };
	struct grant_value value = { .addr = 3 };

	restart();
	expect_rooms(&none);
	load(0, 0);
	expect_rooms(&none);
	load(1, 1);
	cr_assert_eq(bpf_map_update_elem(datapath.grants, &key, &value, BPF_ANY), 0);
	restart();
	expect_rooms(&both);
	cr_expect_eq(bpf_map_lookup_elem(datapath.grants, &key, &value), 0);
	load(0, 0);
	expect_rooms(&both);
}

/* Killed after the map was made in full size, and before programs used it: with or without the feature. */
Test(feature_maps, a_kill_between_map_and_programs_leaves_a_datapath_that_starts)
{
	cr_assert_eq(pinned_map_fit(datapath.pin_dir, "grants", GRANT_ENTRIES), 0);
	restart();
	load(0, 0);
	cr_expect_eq(map_room(datapath.grants), GRANT_ENTRIES);
	cr_expect_eq(map_room(datapath.grant_bindings), FEATURE_UNUSED);
	load(1, 0);
	expect_rooms(&growth_alone);
}

Test(feature_maps, a_load_that_is_given_up_leaves_the_running_programs_right)
{
	struct error err = { "" };
	struct settings wanted = settings;
	int port = open_flow(UDP, 4000, 53, 0);

	wanted.growth = 1;
	cr_assert_eq(datapath_load_begin(&datapath, &wanted, &err), 0, "%s", err.text);
	datapath_load_abort(&datapath);
	expect_rooms(&growth_alone);
	cr_expect_eq(open_flow(UDP, 4000, 53, 0), port);
	load(0, 0);
	expect_rooms(&growth_alone);
}

/* The number of leases is that of the start, however late there are any. */
Test(feature_maps, leases_get_the_room_that_the_start_was_asked_for)
{
	config.pcp.max_leases = 100000;
	restart();
	cr_expect_eq(datapath_lease_room(&datapath), 100000);
	load(0, 1);
	cr_expect_eq(datapath_lease_room(&datapath), 100000);
	cr_expect_eq(map_room(datapath.portmaps), 2 * PORTMAP_ROOM(100000));
	cr_expect_eq(map_room(datapath.portmap_filters), PORTMAP_ROOM(100000));
}

/* Blocks of a datapath that is gone rest, also where no mapping grows. */
Test(feature_maps, any_number_of_blocks_rests_though_no_mapping_grows)
{
	struct grants *g;
	struct error err = { "" };

	cr_assert_eq(grants_open(mappings, &g, &err), 0, "%s", err.text);
	for (uint16_t i = 0; i < 5; i++)
		cr_expect_eq(grants_hold(g, &(struct grant){ .out_addr = POOL,
							     .port_lo = (uint16_t)(2048 + 64 * i),
							     .ports = 64,
							     .until_s = 1ULL << 30 }),
			     0);
	expect_rooms(&growth_alone);
	grants_close(g);
	cr_assert_eq(grants_open(mappings, &g, &err), 0, "%s", err.text);
	cr_expect_not_null(grants_find(g, POOL, 2048));
	cr_expect_not_null(grants_find(g, POOL, 2048 + 64 * 4));
	grants_close(g);
}

Test(feature_maps, the_program_of_copies_follows)
{
	struct copy_program program = { 0 };

	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	load(1, 1);
	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	cr_expect_eq(program.grants, map_id(datapath.grants));
	cr_expect_eq(program.grant_bindings, map_id(datapath.grant_bindings));
	cr_expect_eq(program.portmaps, map_id(datapath.portmaps));
	copy_program_unload(&program);
}
