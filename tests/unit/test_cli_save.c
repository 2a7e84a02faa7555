/* SPDX-License-Identifier: BSD-2-Clause */
/* How `config save` writes a file: as a whole or not at all, and only where no other user could have had a hand in it.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "save.h"

static char directory[] = "/tmp/detnat-save-XXXXXX";
static char path[64];

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/detnat.json", directory);
}

/* save_file() of a text that needs no check. */
static int save_text(const char *name, const char *text, size_t size, struct error *err)
{
	return save_file(&(struct save){ .path = name, .text = text, .size = size }, err);
}

static unsigned n_files(void)
{
	DIR *d = opendir(directory);
	unsigned n = 0;

	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return n;
}

static void remove_all(void)
{
	DIR *d = opendir(directory);

	for (struct dirent *e = readdir(d); e; e = readdir(d))
		unlinkat(dirfd(d), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	closedir(d);
	rmdir(directory);
}

TestSuite(cli_save, .init = setup, .fini = remove_all, .timeout = 300);

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static const char *read_file(const char *name)
{
	static char text[4096];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? "none" : text;
}

Test(cli_save, new_file_is_written_and_nothing_else_is_left)
{
	struct error err = { 0 };

	cr_assert_eq(save_text(path, "new\n", 4, &err), 0, "%s", err.text);
	cr_expect_str_eq(read_file(path), "new\n");
	cr_expect_eq(n_files(), 1);
}

Test(cli_save, replaced_file_keeps_its_mode_and_owner)
{
	struct error err = { 0 };
	struct stat before, after;

	write_file(path, "old");
	cr_assert_eq(chmod(path, 0604), 0);
	if (!geteuid())
		cr_assert_eq(chown(path, 0, 12345), 0);
	stat(path, &before);
	cr_assert_eq(save_text(path, "new", 3, &err), 0, "%s", err.text);
	stat(path, &after);
	cr_expect_str_eq(read_file(path), "new");
	cr_expect_eq(after.st_mode, before.st_mode);
	cr_expect_eq(after.st_gid, before.st_gid);
	cr_expect_neq(after.st_ino, before.st_ino);
}

Test(cli_save, place_that_others_can_change_is_refused_and_stays_as_it_is)
{
	char link[80], below[80], other[80];
	struct error err = { 0 };

	snprintf(link, sizeof(link), "%s/link", directory);
	snprintf(below, sizeof(below), "%s/d", directory);
	snprintf(other, sizeof(other), "%s/d/x", directory);
	write_file(path, "old");
	cr_assert_eq(symlink(path, link), 0);
	cr_expect_eq(save_text(link, "new", 3, &err), -ELOOP);
	cr_expect(strstr(err.text, "symbolic link"), "%s", err.text);
	cr_assert_eq(mkdir(below, 0777), 0);
	cr_assert_eq(chmod(below, 0777), 0);
	cr_expect_eq(save_text(other, "new", 3, &err), -EPERM);
	cr_expect_eq(save_text(below, "new", 3, &err), -EINVAL);
	cr_assert_eq(chmod(below, 0755), 0);
	cr_expect_eq(save_text("/nonexistent/x", "new", 3, &err), -ENOENT);
	cr_expect_eq(save_text("/", "new", 3, &err), -EINVAL);
	cr_expect_eq(save_text("", "new", 3, &err), -EINVAL);
	cr_expect_eq(save_text("/tmp/..", "new", 3, &err), -EINVAL);
	if (!geteuid()) {
		cr_assert_eq(chown(below, 12345, 0), 0);
		cr_expect_eq(save_text(other, "new", 3, &err), -EPERM);
		cr_assert_eq(chown(path, 12345, 0), 0);
		cr_expect_eq(save_text(path, "new", 3, &err), -EPERM);
		cr_expect(strstr(err.text, "another user"), "%s", err.text);
	}
	cr_expect_str_eq(read_file(path), "old");
	cr_expect_eq(n_files(), 3);
}

static const char *beside(int pid, const char *more)
{
	static char name[96];

	snprintf(name, sizeof(name), "%s/.detnat.json.%d%s.new", directory, pid, more);
	return name;
}

/* The number of a process that has ended. */
static pid_t dead_process(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}

Test(cli_save, what_a_killed_save_left_goes_and_what_others_write_stays)
{
	pid_t dead = dead_process();
	struct error err = { 0 };
	int locked;

	write_file(beside(getpid(), ""), "of an earlier process with this number");
	write_file(beside(getpid(), "-3"), "left");
	write_file(beside(dead, ""), "left");
	cr_assert_eq(save_text(path, "new", 3, &err), 0, "%s", err.text);
	cr_expect_str_eq(read_file(path), "new");
	cr_expect_eq(n_files(), 1);

	write_file(beside(getppid(), ""), "of a process that lives");
	write_file(beside(dead, "-1"), "locked: it is written in another container");
	locked = open(beside(dead, "-1"), O_RDONLY);
	cr_assert_eq(flock(locked, LOCK_EX), 0);
	write_file(beside(dead, "x"), "of somebody else");
	cr_assert_eq(save_text(path, "next", 4, &err), 0, "%s", err.text);
	cr_expect_str_eq(read_file(path), "next");
	cr_expect_eq(n_files(), 4);
	close(locked);
}

Test(cli_save, a_file_or_a_link_in_the_way_is_left_alone)
{
	struct error err = { 0 };

	write_file(path, "old");
	cr_assert_eq(symlink(path, beside(getpid(), "")), 0);
	cr_assert_eq(mkdir(beside(getpid(), "-1"), 0755), 0);
	cr_assert_eq(save_text(path, "new", 3, &err), 0, "%s", err.text);
	cr_expect_str_eq(read_file(path), "new");
	cr_expect_eq(n_files(), 3);
}

static int refuse(const char *beside, void *arg, struct error *err)
{
	cr_expect_str_eq(read_file(beside), "new");
	cr_expect_str_eq(read_file(path), "old");
	return error_set(err, -EINVAL, "it cannot be read again");
}

Test(cli_save, a_file_that_is_not_read_back_takes_no_place)
{
	const struct save s = { .path = path, .text = "new", .size = 3, .check = refuse };
	struct error err = { 0 };

	write_file(path, "old");
	cr_expect_eq(save_file(&s, &err), -EINVAL);
	cr_expect(strstr(err.text, "cannot be written: it cannot be read again"), "%s", err.text);
	cr_expect_str_eq(read_file(path), "old");
	cr_expect_eq(n_files(), 1);
}

/*
 * Saves in a child that is killed when it enters its n-th system call. Returns whether it was killed; it is not if it
 * makes fewer.
 */
static bool save_killed_at(unsigned n, const char *text)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct error err;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(save_text(path, text, strlen(text), &err) != 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		cr_skip_test("ptrace is not allowed");
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
	/* It stops at the entry and at the exit of each. */
	for (unsigned stops = 0;; stops++) {
		if (stops == 2 * n) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return true;
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status)) {
			cr_assert_eq(WEXITSTATUS(status), 0);
			return false;
		}
	}
}

Test(cli_save, killed_at_any_step_the_file_is_the_old_one_or_the_new_one)
{
	unsigned n = 0, olds = 0, news = 0, left = 0;
	bool killed;

	do {
		const char *now;

		write_file(path, "{ the old file }");
		killed = save_killed_at(n++, "{ the new file, which is longer }");
		now = read_file(path);
		if (!strcmp(now, "{ the old file }"))
			olds++;
		else if (!strcmp(now, "{ the new file, which is longer }"))
			news++;
		else
			cr_assert_fail("killed at step %u: \"%s\"", n, now);
		left += n_files() > 1;
		/* What a kill leaves beside the file does not keep the next one from being written. */
		if (left) {
			struct error err = { 0 };

			cr_assert_eq(save_text(path, "x", 1, &err), 0, "%s", err.text);
		}
		remove_all();
		cr_assert_eq(mkdir(directory, 0700), 0);
	} while (killed);
	cr_expect_gt(n, 10);
	cr_expect_gt(olds, 5);
	cr_expect_geq(news, 2, "killed after the rename, and not killed");
	cr_expect_gt(left, 0, "killed while the temporary file was there");
}
