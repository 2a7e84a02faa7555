// SPDX-License-Identifier: BSD-2-Clause
/* Sessions beyond the slots that an earlier build of this layout has in its hash. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <detnat/limits.h>

#include "datapath/datapath_private.h"
#include "datapath/former_sessions.h"
#include "datapath/running.h"
#include "fixture.h"
#include "migration_fixture.h"
#include "old_layout.h"
#include "tables/mapping_tables.h"

static struct slot *slot_of(uint16_t in_port)
{
	return slot_beyond(SUBSCRIBER, slot_key(EXTERNAL, 53, in_port), UDP);
}

static void count_in_hash(int n)
{
	struct subscriber *s = mappings_subscriber(mappings, 0, 2);

	s->sessions += (uint32_t)n;
	s->beyond += (uint32_t)n;
	datapath.global->beyond += n;
}

static void start_again(void)
{
	cr_assert_eq(running_save(datapath.running_state, "{}", 7, NULL), 0);
	mappings_close(mappings);
	datapath_close(&datapath);
	open_or_fail();
	cr_assert(datapath.reused && !datapath.migration);
}

static void none_in_hash(void)
{
	cr_expect_eq(old_layout_entries(), 0);
	cr_expect_eq(record()->beyond & ~SUBSCRIBER_FLAGS, 0);
	cr_expect_eq(datapath.global->beyond, 0);
	cr_expect_eq(compare(false), 0);
}

static uint32_t type_of_pinned(const char *name)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	char path[PATH_MAX];
	int fd = bpf_obj_get(pin_path_of(&datapath, name, path));

	if (fd < 0)
		return BPF_MAP_TYPE_UNSPEC;
	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	close(fd);
	return info.type;
}

/* A mark has its name, without which 1.0.0 would not see that the datapath is in use. */
static void is_unpinned(void)
{
	cr_expect_eq(type_of_pinned("overflow"), BPF_MAP_TYPE_ARRAY);
	cr_expect_eq(type_of_pinned("overflow_lists"), BPF_MAP_TYPE_UNSPEC);
}

Test(former_sessions, a_start_moves_them_into_extents)
{
	open_flows();
	old_layout_copy_of_now();
	cr_assert_gt(old_layout_entries(), 4);
	start_again();
	cr_expect_eq(type_of_pinned("overflow"), BPF_MAP_TYPE_LRU_HASH, "until no program of before runs any more");
	reload_settings();
	none_in_hash();
	is_unpinned();
	expect_all(0);
}

/* Its programs may open some until they are exchanged. */
Test(former_sessions, a_hash_without_any_goes_too)
{
	old_layout_of_now();
	start_again();
	reload_settings();
	is_unpinned();
}

/* Killed when some have a place, and are in the hash still. */
Test(former_sessions, two_homes_become_one)
{
	struct former_sessions *f;
	unsigned n = 0;

	open_flows();
	old_layout_copy_of_now();
	cr_assert_eq(former_sessions_of_build(&datapath, &f), 0);
	cr_assert(f);
	cr_assert_eq(former_sessions_bring_over(&datapath, f), 0);
	former_sessions_free(f);
	none_in_hash();
	for (unsigned i = 0; i < FLOWS; i++) {
		struct slot *slot = slot_of(port_of(i));

		if (!slot)
			continue;
		old_layout_put(port_of(i), 53, slot->truth + 2);
		/* They are counted once. */
		mappings_subscriber(mappings, 0, 2)->beyond++;
		datapath.global->beyond++;
		n++;
	}
	cr_assert_gt(n, 2);
	cr_expect_eq(old_layout_entries(), 2 * n);
	start_again();
	reload_settings();
	none_in_hash();
	expect_all(0);
}

/* What they open until they are gone moves, too. */
Test(former_sessions, the_programs_of_before_still_run)
{
	struct former_sessions *f;
	uint64_t word;

	open_flows();
	old_layout_copy_of_now();
	cr_assert_eq(former_sessions_of_build(&datapath, &f), 0);
	cr_assert(f);
	cr_assert_eq(former_sessions_bring_over(&datapath, f), 0);
	none_in_hash();
	expect_all(0);
	word = old_layout_open(9, 53, PORT_LO + 1);
	count_in_hash(1);
	cr_expect_gt(former_sessions_end(&datapath, f), 3);
	former_sessions_free(f);
	cr_assert(slot_of(9));
	cr_expect_eq(slot_of(9)->truth, word);
	none_in_hash();
	expect_all(1);
	expect_way_in(PORT_LO + 1, 9);
	cr_expect_eq(send_out(9), PORT_LO + 1);
}

static void set_up_without_extents(void)
{
	extents = 1;
	set_up_pins();
	extents = 4096;
}

TestSuite(former_sessions_alone, .init = set_up_without_extents, .timeout = 300);

/*
 * The programs of before have no extents: until they are gone, each session stays in the hash, and what becomes of it
 * there becomes of it in its place.
 */
Test(former_sessions_alone, programs_that_know_no_extents_keep_their_sessions_to_the_end)
{
	const uint16_t base = PORT_LO + 512;
	struct former_sessions *f;
	uint64_t words[6];

	old_layout_of_now();
	for (unsigned i = 0; i < 5; i++) {
		words[i] = old_layout_open((uint16_t)(20000 + i), 53, (uint16_t)(base + i));
		count_in_hash(1);
	}
	start_again();
	cr_assert_eq(build_of_pins(&datapath, &datapath.build), 0);
	cr_assert_eq(former_sessions_of_build(&datapath, &f), 0);
	cr_assert(f);
	cr_assert_eq(former_sessions_bring_over(&datapath, f), 0);
	cr_expect_eq(old_layout_entries(), 10, "they are still there for the programs of before");
	for (unsigned i = 0; i < 5; i++)
		cr_assert(slot_of((uint16_t)(20000 + i)), "session %u", i);
	/* One ends, one goes on, one opens; and one goes on on another port. */
	old_layout_del(20000, 53, words[0]);
	count_in_hash(-1);
	words[1] += 4;
	old_layout_put(20001, 53, words[1]);
	words[5] = old_layout_open(20005, 53, base + 5);
	count_in_hash(1);
	old_layout_del(20002, 53, words[2]);
	words[2] = old_layout_open(20002, 53, base + 9);
	cr_expect_gt(former_sessions_end(&datapath, f), 4);
	former_sessions_free(f);
	cr_expect_null(slot_of(20000));
	for (unsigned i = 1; i < 6; i++)
		cr_expect(slot_of((uint16_t)(20000 + i)) && slot_of((uint16_t)(20000 + i))->truth == words[i],
			  "session %u", i);
	cr_expect_eq(record()->sessions, 5);
	none_in_hash();
	settings.extent_buckets = extents;
	reload_settings();
	for (unsigned i = 1; i < 6; i++) {
		expect_way_in(word_out_port(words[i]), (uint16_t)(20000 + i));
		cr_expect_eq(send_out((uint16_t)(20000 + i)), word_out_port(words[i]));
	}
	cr_expect_eq(record()->sessions, 5);
}

/* Nor does the next start have any, as with overflow_sessions 0: there is no place for them, and that is counted. */
Test(former_sessions_alone, without_extents_none_counts_any_more)
{
	extents = 1;
	old_layout_of_now();
	for (unsigned i = 0; i < 5; i++)
		old_layout_open((uint16_t)(20000 + i), 53, (uint16_t)(PORT_LO + i));
	count_in_hash(5);
	start_again();
	reload_settings();
	cr_expect_eq(record()->sessions, 0);
	none_in_hash();
}

#define CROWD 900U

static void set_up_limits(void)
{
	user_limits = (struct limit_layout){ .sessions = { [LIMIT_UDP] = 2000, [LIMIT_TCP] = 2000 } };
	extents = 64;
	set_up_pins();
}

TestSuite(former_sessions_limited, .init = set_up_limits, .timeout = 300);

/* More than there is room for: what has a place goes on, the others do not count, nor does anything count twice. */
Test(former_sessions_limited, a_stock_of_extents_that_is_full_takes_what_it_can)
{
	const struct mapping *m = mappings_get(mappings, 0);
	struct limit_line *line = (struct limit_line *)mappings_subscriber(mappings, 0, 2) +
				  ((int64_t)m->limit.first - m->first_subscriber);
	unsigned placed = 0;

	cr_assert_eq(line->sessions[LIMIT_UDP], 0);
	old_layout_of_now();
	for (unsigned i = 0; i < CROWD; i++)
		old_layout_open((uint16_t)(20000 + i), (uint16_t)(1000 + i), (uint16_t)(PORT_LO + i));
	count_in_hash(CROWD);
	line->sessions[LIMIT_UDP] = CROWD;
	start_again();
	reload_settings();
	for (unsigned i = 0; i < CROWD; i++)
		placed +=
			!!slot_beyond(SUBSCRIBER, slot_key(EXTERNAL, (uint16_t)(1000 + i), (uint16_t)(20000 + i)), UDP);
	cr_expect_gt(placed, 0);
	cr_expect_lt(placed, CROWD);
	cr_expect_eq(record()->sessions, placed);
	line = (struct limit_line *)mappings_subscriber(mappings, 0, 2) +
	       ((int64_t)mappings_get(mappings, 0)->limit.first - mappings_get(mappings, 0)->first_subscriber);
	cr_expect_eq(line->sessions[LIMIT_UDP], placed);
	none_in_hash();
}
