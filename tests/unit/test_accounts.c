/* SPDX-License-Identifier: BSD-2-Clause */
/* What the history's thread asks of the machine changes nothing under the hands of the other threads. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/accounts.h"
#include "host/paths.h"

static char directory[] = "/tmp/detnat-accounts-XXXXXX";

static void setup(void)
{
	cr_assert(mkdtemp(directory));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(accounts, .init = setup, .fini = teardown);

Test(accounts, are_found_by_name_and_number)
{
	char name[ACCOUNT_NAME] = "";
	gid_t gid = 77;
	uid_t uid = 77;

	cr_assert_eq(account_user("root", &uid, &gid), 0);
	cr_assert(!uid && !gid);
	gid = 77;
	cr_assert_eq(account_group("root", &gid), 0);
	cr_assert_eq(gid, 0);
	cr_assert_eq(account_name(0, name), 0);
	cr_assert_str_eq(name, "root");
	cr_assert_eq(account_user("no-such-user", &uid, NULL), -ENOENT);
	cr_assert_eq(account_group("no-such-group", &gid), -ENOENT);
	cr_assert_eq(account_name(4294967000U, name), -ENOENT);
	cr_assert_str_eq(name, "root");
}

/* The C library keeps the last answer of getgrnam() and getpwnam() in one place for all threads. */
Test(accounts, an_answer_that_another_thread_holds_stays)
{
	const struct passwd *user = getpwnam("root");
	const struct group *group = getgrnam("root");
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err;

	cr_assert(user && group && fd >= 0);
	cr_assert_eq(give_to_readers(fd), 0);
	cr_assert(!path_trusts(12345));
	cr_assert_eq(chown(directory, 0, 12345), 0);
	cr_assert_eq(chmod(directory, 0770), 0);
	cr_assert_eq(path_check(directory, &err), -EPERM);
	cr_assert_str_eq(user->pw_name, "root");
	cr_assert_eq(user->pw_uid, 0);
	cr_assert_str_eq(group->gr_name, "root");
	cr_assert_eq(group->gr_gid, 0);
	close(fd);
}

static atomic_bool over;
static int widened; /* files with a mode that the umask forbids */

static void *make_files(void *arg)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/file", directory);
	while (!over) {
		struct stat st;
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

		widened += fd < 0 || fstat(fd, &st) || st.st_mode & 077;
		close(fd);
		unlink(path);
	}
	return NULL;
}

Test(accounts, the_umask_of_other_threads_stays, .timeout = 300)
{
	char parent[96], path[128];
	struct error err;
	pthread_t thread;
	struct stat st;

	umask(077);
	cr_assert_eq(pthread_create(&thread, NULL, make_files, NULL), 0);
	for (int i = 0; i < 300; i++) {
		snprintf(parent, sizeof(parent), "%s/%d", directory, i);
		snprintf(path, sizeof(path), "%s/%d", parent, i);
		cr_assert_eq(path_make_directory(path, 0750, &err), 0);
		cr_assert_eq(stat(path, &st), 0);
		cr_assert_eq(st.st_mode & 07777, 0750);
		cr_assert_eq(stat(parent, &st), 0);
		cr_assert_eq(st.st_mode & 07777, 0755);
	}
	over = true;
	pthread_join(thread, NULL);
	cr_assert_eq(widened, 0);
}

Test(accounts, a_directory_keeps_the_group_bit_of_its_parent)
{
	char path[96];
	struct error err;
	struct stat st;

	snprintf(path, sizeof(path), "%s/state", directory);
	cr_assert_eq(chmod(directory, 02755), 0);
	umask(077);
	cr_assert_eq(path_make_directory(path, 0750, &err), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 02750);
}
