// SPDX-License-Identifier: BSD-2-Clause
/* What becomes of each map when a datapath of another layout is taken over. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <detnat/fragments.h>
#include <detnat/growth.h>
#include <detnat/portmaps.h>

#include "datapath/migration_private.h"
#include "detnat_entry.skel.h"
#include "detnat_ingress.skel.h"
#include "detnat_redirect.skel.h"
#include "detnat_stage2.skel.h"
#include "detnat_tc.skel.h"
#include "detnat_watch.skel.h"
#include "detnat_xdp.skel.h"
#include "fixture.h"
#include "migration_fixture.h"

/* Interfaces have their records before the new programs run: without one, all their packets are dropped. */
Test(migration_maps, records_of_interfaces_that_differ_are_copied_before_the_programs_change)
{
	struct device_table *before = malloc(sizeof(*before));

	cr_assert(before);
	memcpy(before, datapath.devices_at, sizeof(*before));
	become_another("rp_filter", "rp_filtor");
	open_or_fail();
	for (uint32_t i = 0; i < MAX_IFINDEX; i++)
		before->device[i].rp_filter = 0;
	cr_expect_eq(memcmp(before, datapath.devices_at, sizeof(*before)), 0);
	free(before);
	reload_settings();
	datapath_migrated(&datapath);
}

/* A later layout has more members in place of the padding of now. */
Test(migration_maps, records_with_less_padding_are_shared)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), id;

	cr_assert_eq(bpf_obj_get_info_by_fd(datapath.fragments, &info, &size), 0);
	id = info.id;
	open_flows();
	become_another("tenant", "unused");
	open_or_fail();
	cr_assert_eq(bpf_obj_get_info_by_fd(datapath.fragments, &info, &size), 0);
	cr_expect_eq(info.id, id);
	reload_settings();
	datapath_migrated(&datapath);
	expect_all(0);
}

/* Fragments that are under way when the programs change find their first one, and are counted as before. */
Test(migration_maps, datagrams_that_are_under_way_are_counted_on)
{
	const struct fragment_key key = { .src = SUBSCRIBER, .dst = EXTERNAL, .id = 7, .proto = UDP };
	static const struct fragment datagram = { .in_addr = SUBSCRIBER };

	open_flows();
	cr_assert_eq(bpf_map_update_elem(datapath.fragments, &key, &datagram, BPF_ANY), 0);
	datapath.table->limits.datagrams = 1;
	mappings_subscriber(mappings, 0, 2)->datagrams = 1U << 16;
	become_another("search_tick", "search_tock");
	open_or_fail();
	cr_expect_eq(datapath.table->limits.datagrams, 1);
	reload_settings();
	datapath_migrated(&datapath);
	cr_expect_eq(datapath.table->limits.datagrams, 1);
	cr_expect_eq(record()->datagrams, 1U << 16);
	cr_expect_eq(bpf_map_lookup_elem(datapath.fragments, &key, &(struct fragment){ 0 }), 0);
}

static void pin_stranger(int map)
{
	cr_assert_geq(map, 0);
	cr_assert_eq(bpf_obj_pin(map, OTHER_LAYOUT "/novelties"), 0);
	close(map);
}

/* A map that this agent knows nothing of: there would be less in the new datapath than in the old one. */
Test(migration_maps, an_unknown_map_is_refused_by_name_unless_it_is_empty)
{
	const uint32_t key = 1;
	struct error err = { "" };
	int map = bpf_map_create(BPF_MAP_TYPE_HASH, "novelties", 4, 4, 8, NULL);

	open_flows();
	become_another(NULL, NULL);
	cr_assert_eq(bpf_map_update_elem(map, &key, &key, BPF_ANY), 0);
	pin_stranger(fcntl(map, F_DUPFD_CLOEXEC, 3));
	cr_assert_eq(migration_check(PIN_PATH, &err), -EXDEV);
	cr_expect(strstr(err.text, "does not know the records of its maps \"novelties\""), "%s", err.text);
	cr_assert_eq(try_open(false, &err), -EXDEV);
	cr_expect(strstr(err.text, "\"novelties\""), "%s", err.text);
	cr_expect(pinned(OTHER_LAYOUT "/buckets") && !pinned(own), "nothing is touched");
	cr_assert_eq(bpf_map_delete_elem(map, &key), 0);
	cr_expect_eq(migration_check(PIN_PATH, &err), 1);
	close(map);
	open_or_fail();
	reload_settings();
	datapath_migrated(&datapath);
	expect_all(0);
}

/* Grants whose records differ, and that exist, as opposed to the drains that there are none of. */
Test(migration_maps, a_map_whose_records_differ_and_cannot_be_copied_is_refused_by_name_unless_it_is_empty)
{
	const struct grant_key key = { 0 };
	static const struct grant_value value;
	struct error err = { "" };

	cr_assert_eq(bpf_map_update_elem(datapath.grants, &key, &value, BPF_ANY), 0);
	become_another("grant_value", "grant_valve");
	cr_assert_eq(migration_check(PIN_PATH, &err), -EXDEV);
	cr_expect(strstr(err.text, "the records of its maps \"grants\"."), "%s", err.text);
	cr_assert_eq(try_open(false, &err), -EXDEV);
}

/* Leases are in no file, unlike mappings and portmaps. */
Test(migration_maps, a_refusal_counts_the_leases_that_would_be_lost)
{
	struct error err = { "" };

	cr_assert_eq(datapath_features_grow(&datapath, &(struct settings){ .portmaps = 1 }, &err), 0, "%s", err.text);
	for (uint16_t port = 1; port <= 3; port++)
		for (uint8_t direction = PORTMAP_IN2OUT; direction <= PORTMAP_OUT2IN; direction++) {
			const struct portmap_key key = { SUBSCRIBER, port, UDP, direction };
			const struct portmap_value value = { .origin = port == 3 ? PORTMAP_STATIC : PORTMAP_PCP };

			cr_assert_eq(bpf_map_update_elem(datapath.portmaps, &key, &value, BPF_ANY), 0);
		}
	become_another("truth", "trvth");
	cr_assert_eq(migration_check(PIN_PATH, &err), -EXDEV);
	cr_expect(strstr(err.text, "are then lost, and 2 leases of PCP"), "%s", err.text);
}

Test(migration_maps, a_layout_of_before_the_first_release_is_refused_by_name_at_the_check_and_at_the_start)
{
	struct error checked = { "" }, started = { "" };

	open_flows();
	become_another(NULL, NULL);
	cr_assert_eq(rename(OTHER_LAYOUT, PIN_PATH "/v4"), 0);
	/* As it had other pins. */
	cr_assert_eq(unlink(PIN_PATH "/v4/vlans"), 0);
	cr_assert_eq(unlink(PIN_PATH "/v4/out_index"), 0);
	cr_assert_eq(migration_check(PIN_PATH, &checked), -EXDEV);
	cr_assert_eq(try_open(false, &started), -EXDEV);
	cr_expect_str_eq(checked.text, started.text);
	cr_expect(strstr(checked.text, "v4") && strstr(checked.text, "before 1.0.0") &&
			  strstr(checked.text, "--replace"),
		  "%s", checked.text);
	cr_expect(pinned(PIN_PATH "/v4/buckets") && !pinned(own), "nothing is touched");
	cr_assert_eq(try_open(true, &started), 0, "%s", started.text);
	cr_expect(datapath.replaced);
}

static unsigned rows_missing(const char *object, const struct bpf_object *o)
{
	unsigned missing = 0;
	const struct bpf_map *map;

	bpf_object__for_each_map(map, o)
	{
		if (bpf_map__pin_path(map) && !migration_row_of(bpf_map__name(map))) {
			missing++;
			cr_log_error("%s: the map %s has no row in migration_rows.c", object, bpf_map__name(map));
		}
	}
	return missing;
}

Test(migration_maps, each_pinned_map_has_a_row)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = PIN_PATH);
	static const struct {
		const char *name;
		const void *(*bytes)(size_t *size);
	} objects[] = {
		{ "detnat_entry", detnat_entry__elf_bytes },	 { "detnat_xdp", detnat_xdp__elf_bytes },
		{ "detnat_stage2", detnat_stage2__elf_bytes },	 { "detnat_tc", detnat_tc__elf_bytes },
		{ "detnat_ingress", detnat_ingress__elf_bytes }, { "detnat_redirect", detnat_redirect__elf_bytes },
		{ "detnat_watch", detnat_watch__elf_bytes },
	};
	unsigned missing = 0;

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		size_t size;
		const void *bytes = objects[i].bytes(&size);
		struct bpf_object *o = bpf_object__open_mem(bytes, size, &opts);

		cr_assert(o);
		missing += rows_missing(objects[i].name, o);
		bpf_object__close(o);
	}
	cr_expect_eq(missing, 0);
}
