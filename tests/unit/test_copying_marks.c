/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks of copies where their directory is full or cannot be written: no copy is lost for that. */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copying_fixture.h"

static char directory[] = "/tmp/copying.XXXXXX", state_file[64];

/* A directory of some size, which nobody else sees. */
static void set_up(void)
{
	cr_assert_not_null(mkdtemp(directory));
	snprintf(state_file, sizeof(state_file), "%s/copies", directory);
	if (unshare(CLONE_NEWNS))
		cr_skip_test("mounting needs rights");
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("none", directory, "tmpfs", 0, "size=100k"), 0, "%s", strerror(errno));
	copying_spec = tables_spec("10.0.0.0/20", "203.0.113.0/28");
	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		copying_spec.timeout_ticks[i] = 4000;
}

static void begin(void)
{
	gateway_make(&a, NULL);
	gateway_make(&b, state_file);
	connect_gateways(&a, &b);
}

static void tear_down(void)
{
	pair_free();
	umount(directory);
	cr_assert_eq(rmdir(directory), 0);
}

TestSuite(copying_marks, .init = set_up, .fini = tear_down, .timeout = 60);

static void give_room(void)
{
	cr_assert_eq(mount("none", directory, "tmpfs", MS_REMOUNT, "size=20m"), 0, "%s", strerror(errno));
}

static void copy_another(uint32_t subscriber)
{
	uint64_t before = copying_held(b.c, 1);

	open_flow(&a, subscriber, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), before + 1);
}

static bool is_astray(void)
{
	return copy_marks_astray(&b.c->mapping[b.number].marks);
}

/* Another agent, over the tables as they are. */
static void restart(void)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };

	copying_free(b.c);
	cr_assert_eq(copying_new(b.m, &limits, state_file, &b.c), 0);
}

Test(copying_marks, a_full_directory_costs_no_copy_and_gets_the_marks_once_there_is_room)
{
	const char *path = NULL;

	begin();
	cr_assert_eq(copying_marks(b.c, &path), 0);
	copy_another(7);
	copy_another(4000);
	cr_assert(is_astray());
	cr_assert_eq(copying_marks(b.c, &path), -ENOSPC);
	cr_assert(strstr(path, directory) == path);
	cr_assert_neq(access(path, F_OK), 0, "it would be taken for the whole truth");
	give_room();
	cr_assert_eq(copying_marks(b.c, &path), 0);
	cr_assert_not(is_astray());
	cr_assert_eq(copying_held(b.c, 1), 2);
	copy_another(8);
	restart();
	cr_assert_eq(copying_held(b.c, 1), 3, "the next agent knows them");
	pair_sound();
}

Test(copying_marks, a_directory_that_is_full_or_read_only_at_the_start_costs_no_copy)
{
	const char *path = NULL;

	cr_assert_eq(mount("none", directory, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0, "%s", strerror(errno));
	begin();
	copy_another(7);
	cr_assert_eq(copying_marks(b.c, &path), -ENOSPC, "there is not enough room either");
	cr_assert_eq(mount("none", directory, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=20m"), 0);
	cr_assert_eq(copying_marks(b.c, &path), -EROFS);
	cr_assert_eq(mount("none", directory, "tmpfs", MS_REMOUNT, "size=20m"), 0);
	cr_assert_eq(copying_marks(b.c, &path), 0);
	restart();
	cr_assert_eq(copying_held(b.c, 1), 1);
	pair_sound();
}

Test(copying_marks, a_file_that_is_cut_off_costs_none_of_the_copies_that_come_then)
{
	const struct copy_marks *k;

	give_room();
	copying_spec.in.plen = 17;
	copying_spec.out.plen = 25;
	begin();
	copy_another(7);
	k = &b.c->mapping[b.number].marks;
	cr_assert_eq(truncate(k->path, (off_t)(k->header + k->segment)), 0);
	/* Of another segment, which is made now. */
	cr_assert_neq(20000 / k->per_segment, 7 / k->per_segment);
	copy_another(20000);
	cr_assert_not(is_astray());
	pair_sound();
}
