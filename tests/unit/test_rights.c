/* SPDX-License-Identifier: BSD-2-Clause */
/* What root does, and does not do, in a directory in which another user may have put anything. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rights.h"
#include "datapath/bpffs.h"
#include "datapath/datapath.h"
#include "host/hand_over.h"
#include "host/paths.h"

#define OTHER 54321U

static char directory[] = "/tmp/detnat-rights-XXXXXX";
static char theirs[64], victim[64];

static void make_file(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);

	cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
	close(fd);
}

static void setup(void)
{
	if (geteuid())
		cr_skip_test("needs root");
	cr_assert(mkdtemp(directory));
	cr_assert_eq(chmod(directory, 0755), 0);
	snprintf(theirs, sizeof(theirs), "%s/theirs", directory);
	snprintf(victim, sizeof(victim), "%s/victim", directory);
	cr_assert_eq(mkdir(theirs, 0700), 0);
	cr_assert_eq(chown(theirs, OTHER, OTHER), 0);
	make_file(victim, 0600);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(rights, .init = setup, .fini = teardown);

static uid_t owner_of(const char *path)
{
	struct stat st;

	cr_assert_eq(lstat(path, &st), 0);
	return st.st_uid;
}

static const char *below(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", theirs, name);
	return path;
}

Test(rights, of_the_owner_reach_no_file_of_roots_and_end_with_the_block)
{
	int dir = open(theirs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	{
		_cleanup_rights_ struct rights lesser = rights_of(dir);

		cr_expect(!rights_are_roots());
		cr_expect_eq(open(victim, O_RDWR), -1);
		cr_expect_eq(errno, EACCES);
		make_file(below("own"), 0600);
		cr_expect_eq(chown(below("own"), 0, 0), -1);
		{
			_cleanup_rights_ struct rights full = rights_full();

			cr_expect_eq(access(victim, W_OK), 0);
			cr_expect(rights_are_roots());
		}
		cr_expect(!rights_are_roots());
	}
	cr_expect(rights_are_roots());
	cr_expect_eq(owner_of(below("own")), OTHER);
	cr_expect_eq(chown(victim, 1, 1), 0);
	close(dir);
}

static void *look(void *arg)
{
	*(int *)arg = open(victim, O_RDWR);
	return NULL;
}

Test(rights, are_those_of_one_thread)
{
	_cleanup_rights_ struct rights lesser = rights_take(OTHER, OTHER);
	pthread_t thread;
	int fd = -1;

	/* A thread inherits them; one that is there already keeps its own. */
	rights_restore(&lesser);
	cr_assert_eq(pthread_create(&thread, NULL, look, &fd), 0);
	lesser = rights_take(OTHER, OTHER);
	pthread_join(thread, NULL);
	cr_expect(fd >= 0);
	cr_expect(!rights_are_roots());
	close(fd);
}

Test(rights, along_a_path_are_those_of_its_first_other_owner)
{
	static const char *const names[] = { "", "/missing", "/a/b" };
	char path[128], link[80];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s%s", theirs, names[i]);

		_cleanup_rights_ struct rights lesser = path_rights(path);

		cr_expect(!rights_are_roots(), "%s", path);
	}
	cr_expect(rights_are_roots());
	/* Root's own link leads there; theirs leads back to root. */
	snprintf(link, sizeof(link), "%s/link", directory);
	cr_assert_eq(symlink("theirs/back", link), 0);
	cr_assert_eq(symlink("..", below("back")), 0);
	snprintf(path, sizeof(path), "%s/victim", link);
	{
		_cleanup_rights_ struct rights lesser = path_rights(path);

		cr_expect(!rights_are_roots());
		cr_expect_eq(access(victim, F_OK), 0);
		cr_expect_eq(open(victim, O_RDONLY), -1);
	}
	{
		_cleanup_rights_ struct rights none = path_rights(victim);

		cr_expect(rights_are_roots());
	}
}

Test(rights, root_makes_nothing_below_anothers_directory)
{
	struct error err = { 0 };
	char path[128];

	cr_assert_eq(chown(directory, 0, 0), 0);
	snprintf(path, sizeof(path), "%s/new/deep", directory);
	cr_expect_eq(path_make_directory(path, 0750, &err), 0, "%s", err.text);
	cr_expect_eq(path_make_directory(below("new"), 0750, &err), -EPERM);
	cr_expect_eq(access(below("new"), F_OK), -1);
}

/* A pin path that leads through their directory, to an empty directory of root's. */
Test(rights, root_removes_no_pin_path_behind_anothers_link)
{
	char pins[96];

	snprintf(pins, sizeof(pins), "%s/pins", directory);
	cr_assert_eq(mkdir(pins, 0700), 0);
	cr_assert_eq(symlink("..", below("back")), 0);
	cr_expect_eq(datapath_unpin(below("back/pins"), NULL), 0);
	bpffs_release(below("back/pins"));
	cr_expect_eq(access(pins, F_OK), 0);
	cr_expect(rights_are_roots());
	cr_expect_eq(datapath_unpin(pins, NULL), 0);
	cr_expect_eq(access(pins, F_OK), -1);
}

static int give(const char *name, struct error *err)
{
	_cleanup_close_ int dir = open(theirs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct hand_over to = { .uid = OTHER, .gid = OTHER, .path = theirs, .dir = dir };

	return hand_over_file(&to, name, err);
}

Test(rights, a_file_is_given_and_nothing_that_leads_elsewhere)
{
	_cleanup_close_ int dir = open(theirs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct hand_over to = { .uid = OTHER, .gid = OTHER, .path = theirs, .dir = dir };
	struct error err = { 0 };
	int fd;

	make_file(below("file"), 0600);
	cr_expect_eq(give("file", &err), 0, "%s", err.text);
	cr_expect_eq(owner_of(below("file")), OTHER);
	cr_expect_eq(give("missing", &err), 0);

	cr_assert_eq(symlink(victim, below("link")), 0);
	cr_expect_eq(give("link", &err), -EPERM);
	cr_expect(strstr(err.text, "/link is a symbolic link of uid 0"), "%s", err.text);
	cr_assert_eq(link(victim, below("hard")), 0);
	cr_expect_eq(give("hard", &err), -EPERM);
	cr_expect(strstr(err.text, "/hard is a file of uid 0 with other names (hard links)"), "%s", err.text);
	cr_assert_eq(mkfifo(below("fifo"), 0600), 0);
	cr_expect_eq(give("fifo", &err), -EPERM);
	cr_expect_eq(owner_of(victim), 0);

	cr_assert_eq(symlink(directory, below("away")), 0);
	cr_expect_eq(hand_over_enter(&to, "away", &fd, &err), -EPERM);
	cr_expect_eq(hand_over_enter(&to, "file", &fd, &err), -EPERM);
	cr_expect_eq(hand_over_enter(&to, "missing", &fd, &err), -ENOENT);
}

Test(rights, a_directory_is_roots_while_it_is_handed_over)
{
	_cleanup_close_ int dir = open(theirs, O_RDONLY | O_DIRECTORY | O_CLOEXEC), below_fd = -1;
	const struct hand_over to = { .uid = OTHER, .gid = OTHER, .path = theirs, .dir = dir };
	struct error err = { 0 };
	struct stat st;

	cr_assert_eq(mkdir(below("v1"), 0770), 0);
	cr_assert_eq(chown(below("v1"), OTHER, OTHER), 0);
	cr_assert_eq(chmod(below("v1"), 0775), 0);
	cr_assert_eq(hand_over_hold(dir), 0);
	cr_expect_eq(owner_of(theirs), 0);
	cr_assert_eq(hand_over_enter(&to, "v1", &below_fd, &err), 0, "%s", err.text);
	cr_assert_eq(stat(below("v1"), &st), 0);
	cr_expect(!st.st_uid && (st.st_mode & 0777) == 0755);
	cr_assert_eq(hand_over_end(&to), 0);
	cr_expect_eq(owner_of(theirs), OTHER);
}
