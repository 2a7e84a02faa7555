/* SPDX-License-Identifier: BSD-2-Clause */
/* Pins: made once, taken over, swapped, refused to a second agent, and gone without a trace. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "datapath/bpffs.h"
#include "datapath/datapath.h"
#include "datapath/running.h"

static char directory[] = "/mnt/detnat-pins-XXXXXX", pin_path[64], layout[80];
static struct config config = { .pin_path = pin_path, .overflow_sessions = 100 };

/* In mounts of its own, which end with the process however it ends. */
static void setup(void)
{
	cr_assert_eq(unshare(CLONE_NEWNS), 0, "%s: the datapath tests need root", strerror(errno));
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", "/mnt", "tmpfs", 0, NULL), 0);
	cr_assert(mkdtemp(directory));
	snprintf(pin_path, sizeof(pin_path), "%s/pins", directory);
	snprintf(layout, sizeof(layout), "%s/v%u", pin_path, LAYOUT_VERSION);
}

static void teardown(void)
{
	datapath_unpin(pin_path, NULL);
	bpffs_release(pin_path);
	cr_expect_eq(rmdir(directory), 0, "something is left in %s", directory);
}

TestSuite(datapath, .init = setup, .fini = teardown);

static void open_or_fail(struct datapath *d)
{
	struct error err = { "" };

	cr_assert_eq(datapath_open(&config, false, d, &err), 0, "%s", err.text);
}

/* An agent that became ready and ended: its pins are taken over from then on. */
static void open_and_leave_ready(void)
{
	struct datapath d;

	open_or_fail(&d);
	cr_assert_eq(running_save(d.running_state, "{}", 7, NULL), 0);
	datapath_close(&d);
}

static void load_or_fail(struct datapath *d)
{
	const struct settings settings = { .hz = d->hz };
	struct error err = { "" };

	cr_assert_eq(datapath_load(d, &settings, &err), 0, "%s", err.text);
}

static uint32_t map_entries(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.max_entries;
}

/* Ids of the programs that the hooks jump to. */
static void read_entries(const struct datapath *d, uint32_t ids[static N_ENTRIES])
{
	for (uint32_t i = 0; i < N_ENTRIES; i++)
		cr_assert_eq(bpf_map_lookup_elem(d->entries, &i, &ids[i]), 0);
}

struct counting {
	const char *prefix;
	unsigned n;
};

static int count_name(const char *name, void *arg)
{
	struct counting *c = arg;

	c->n += !strncmp(name, c->prefix, strlen(c->prefix));
	return 0;
}

static unsigned pins_named(const char *prefix)
{
	struct counting c = { prefix, 0 };

	cr_assert_eq(directory_visit(layout, count_name, &c), 0);
	return c.n;
}

Test(datapath, a_first_start_makes_a_bpffs_and_all_pins)
{
	struct datapath d;
	struct counters counters;
	uint32_t ticks;

	open_or_fail(&d);
	cr_expect(bpffs_is(pin_path));
	cr_expect(!d.reused);
	cr_expect_geq(d.xdp_both, 0);
	cr_expect_neq(d.global->epoch, 0);
	cr_expect_eq(datapath_counters(&d, &counters), 0);
	ticks = datapath_ticks(&d);
	while (datapath_ticks(&d) == ticks)
		datapath_grace_period(&d);
	cr_expect_eq(datapath_ticks(&d), ticks + 1);
	datapath_close(&d);
}

Test(datapath, a_start_that_fails_leaves_nothing_behind)
{
	struct datapath d;

	open_or_fail(&d);
	datapath_discard(&d);
	cr_expect_neq(access(pin_path, F_OK), 0);
}

Test(datapath, pins_of_an_agent_that_was_ready_are_taken_over_and_survive_a_start_that_fails)
{
	struct datapath d;

	open_and_leave_ready();
	open_or_fail(&d);
	cr_expect(d.reused);
	datapath_discard(&d);
	open_or_fail(&d);
	cr_expect(d.reused);
	datapath_close(&d);
}

Test(datapath, pins_of_an_agent_that_never_was_ready_are_made_anew)
{
	struct datapath d;

	open_or_fail(&d);
	d.mapping[3].sessions_per_user = 5;
	datapath_close(&d);
	open_or_fail(&d);
	cr_expect(!d.reused);
	cr_expect_eq(d.mapping[3].sessions_per_user, 0);
	datapath_close(&d);
}

Test(datapath, where_one_pin_is_missing_all_are_made_anew)
{
	static const char *const names[] = {
		"in_index", "devices", "running", "entries", "prog_xdp_inside", "counters"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct datapath d;
		char path[PATH_MAX];

		open_and_leave_ready();
		snprintf(path, sizeof(path), "%s/%s", layout, names[i]);
		cr_assert_eq(unlink(path), 0);
		cr_expect(datapath_is_incomplete(pin_path));
		open_or_fail(&d);
		cr_expect(!d.reused, "%s", names[i]);
		cr_expect(!datapath_is_incomplete(pin_path));
		datapath_close(&d);
	}
}

/* Pins something else under a name of the layout, as another version would have left it. */
static void pin_other(const char *name, uint32_t entries)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 8, entries, NULL);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", layout, name);
	unlink(path);
	cr_assert_eq(bpf_obj_pin(fd, path), 0, "%s", strerror(errno));
	close(fd);
}

/* Looks for pins without a pause until told to stop. */
struct watching {
	atomic_bool stop;
	unsigned looks, missing;
};

static const char *const made_anew[] = { "counters", "extents" };

static void *watch(void *arg)
{
	struct watching *w = arg;

	while (!atomic_load(&w->stop)) {
		for (size_t i = 0; i < ARRAY_SIZE(made_anew); i++) {
			char path[PATH_MAX];

			snprintf(path, sizeof(path), "%s/%s", layout, made_anew[i]);
			w->missing += access(path, F_OK) != 0;
		}
		w->looks++;
	}
	return NULL;
}

Test(datapath, maps_of_another_size_are_made_anew_and_a_kill_at_any_moment_leaves_all_pins)
{
	struct watching w = { 0 };
	pthread_t thread;
	struct datapath d;

	open_and_leave_ready();
	pin_other("counters", 1);
	/* As a kill before the exchange leaves it. */
	pin_other("counters_new", 1);
	config.extent_buckets = 64;
	cr_assert_eq(pthread_create(&thread, NULL, watch, &w), 0);
	open_or_fail(&d);
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	cr_expect_eq(w.missing, 0);
	cr_expect_gt(w.looks, 0);
	cr_expect(d.reused);
	cr_expect_gt(map_entries(d.extents), 1);
	cr_expect_eq(datapath_extent_buckets(&d), 64);
	cr_expect_eq(pins_named("counters"), 1);
	datapath_close(&d);
}

/* A map that has been made keeps its size. */
Test(datapath, extents_have_four_slots_for_each_session_beyond_the_slots)
{
	struct datapath d;

	config.extent_buckets = EXTENTS_BY_SIZE;
	config.overflow_sessions = 1U << 24;
	cr_expect_eq(extents_room(&config), 1U << 23);
	config.overflow_sessions = 1000;
	open_and_leave_ready();
	config.extent_buckets = 0;
	open_or_fail(&d);
	cr_expect_eq(datapath_extent_buckets(&d), 500);
	load_or_fail(&d);
	datapath_settle(&d);
	cr_expect_eq(datapath_extent_buckets(&d), 500);
	datapath_close(&d);
}

Test(datapath, a_second_agent_is_refused_and_disturbs_nothing)
{
	struct datapath d, second;
	struct error err = { "" };

	open_and_leave_ready();
	open_or_fail(&d);
	cr_expect_eq(datapath_open(&config, false, &second, &err), -EBUSY);
	cr_expect(strstr(err.text, "another agent runs on these pins"), "%s", err.text);
	cr_expect_eq(datapath_open_pinned(pin_path, &second, &err), -EBUSY);
	cr_expect(!datapath_is_incomplete(pin_path));
	datapath_close(&d);
}

Test(datapath, the_running_state_can_be_read_while_an_agent_runs)
{
	_cleanup_free_ char *json = NULL;
	struct datapath d;
	uint64_t hash;

	cr_expect_neq(datapath_peek_running(pin_path, &json, &hash), 0);
	open_and_leave_ready();
	open_or_fail(&d);
	cr_assert_eq(datapath_peek_running(pin_path, &json, &hash), 0);
	cr_expect_str_eq(json, "{}");
	cr_expect_eq(hash, 7);
	datapath_close(&d);
}

Test(datapath, other_peoples_directories_are_left_alone)
{
	struct datapath d;
	char path[PATH_MAX];

	open_or_fail(&d);
	datapath_close(&d);
	snprintf(path, sizeof(path), "%s/v1x", pin_path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_expect_eq(datapath_unpin(pin_path, NULL), 0);
	bpffs_release(pin_path);
	cr_expect_eq(access(path, F_OK), 0);
	cr_expect_neq(access(layout, F_OK), 0);
	cr_assert_eq(rmdir(path), 0);
}

Test(datapath, programs_are_swapped_in_place_and_back)
{
	uint32_t first[N_ENTRIES], now[N_ENTRIES];
	struct datapath d;

	open_or_fail(&d);
	load_or_fail(&d);
	datapath_settle(&d);
	read_entries(&d, first);
	cr_expect_eq(pins_named("xdp_leaves_"), 1);

	load_or_fail(&d);
	read_entries(&d, now);
	cr_expect_neq(memcmp(first, now, sizeof(now)), 0);
	cr_expect_eq(pins_named("xdp_leaves_"), 2);
	cr_expect_eq(pins_named("tc_leaves_"), 2);
	datapath_revert(&d);
	read_entries(&d, now);
	cr_expect_arr_eq(first, now, sizeof(now));
	cr_expect_eq(pins_named("xdp_leaves_"), 1);

	load_or_fail(&d);
	datapath_settle(&d);
	datapath_revert(&d);
	read_entries(&d, now);
	cr_expect_neq(memcmp(first, now, sizeof(now)), 0, "what was settled is not reverted");
	cr_expect_eq(pins_named("xdp_leaves_"), 1);
	cr_expect_eq(pins_named("tc_leaves_"), 1);
	datapath_close(&d);
}
