/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of directories in which a lesser user may put things: no link of theirs has root read what is another's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "base/query_ledger.h"
#include "base/whole_file.h"
#include "history/history_claims.h"
#include "history/history_read.h"

static char place[] = "/tmp/detnat-file-XXXXXX";
static int dir;

static void make_place(void)
{
	cr_assert_not_null(mkdtemp(place));
	dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dir, 0);
}

static void remove_place(void)
{
	static const char *names[] = { "file", "fifo", "history.jsonl", "history.head", "claims.jsonl" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlinkat(dir, names[i], 0);
	rmdir(place);
	close(dir);
}

TestSuite(whole_file, .init = make_place, .fini = remove_place);

/* A file with this text, and a link to it of this name. */
static void link_to(const char *text, const char *name)
{
	_cleanup_close_ int fd = openat(dir, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(symlinkat("file", dir, name), 0);
}

Test(whole_file, neither_a_link_nor_a_fifo_is_followed)
{
	_cleanup_close_ int fifo = -1;
	char *text;
	size_t size;

	link_to("secret", "history.jsonl");
	cr_expect_eq(file_open(dir, "history.jsonl"), -1);
	cr_expect_eq(errno, ELOOP);
	cr_expect_str_eq(file_why(-ELOOP), "it is a symbolic link");
	cr_assert_eq(mkfifoat(dir, "fifo", 0600), 0);
	fifo = file_open(dir, "fifo");
	cr_assert_geq(fifo, 0);
	cr_expect_eq(file_read(fifo, 100, &text, &size), -EBADF);
	cr_expect_str_eq(file_why(-EBADF), "it is no regular file");
}

Test(whole_file, readers_of_records_refuse_a_link)
{
	struct history_files files;
	struct history_claims claims;
	struct error err = { 0 };

	link_to("secret\n", "history.jsonl");
	cr_expect_eq(history_files_read(place, &files, &err), -ELOOP);
	cr_expect_not_null(strstr(err.text, "it is a symbolic link"), "%s", err.text);
	cr_expect_null(strstr(err.text, "secret"));
	link_to("secret\n", "claims.jsonl");
	cr_expect_eq(history_claims_read(place, &claims, &err), -ELOOP);
	cr_expect_not_null(strstr(err.text, "it is a symbolic link"), "%s", err.text);
	link_to("{\"line\":1,\"audit_queries\":true}\n", "history.head");
	cr_expect_not(query_audited(place, "history.head"));
}
