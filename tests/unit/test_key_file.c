/* SPDX-License-Identifier: BSD-2-Clause */
/* The key file: who may own it, who may read it, and how long it is. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "peers/key_file.h"

static char directory[] = "/tmp/detnat-key-XXXXXX";
static char path[64];

static void make_directory(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/replication.key", directory);
}

static void remove_directory(void)
{
	unlink(path);
	rmdir(path);
	rmdir(directory);
}

TestSuite(key_file, .init = make_directory, .fini = remove_directory);

static void make_file(size_t size, mode_t mode)
{
	char octets[64];
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	memset(octets, 'k', sizeof(octets));
	cr_assert_eq(write(fd, octets, size), (ssize_t)size);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void expect_refused(int r, const char *part)
{
	uint8_t key[REPLICATION_KEY] = { 0 };
	struct error err = { "" };

	cr_expect_eq(key_file_read(path, key, &err), r, "%s", err.text);
	cr_expect(strstr(err.text, part), "\"%s\" lacks \"%s\"", err.text, part);
	cr_expect(strstr(err.text, path), "%s", err.text);
	cr_expect_not(strstr(err.text, "kkk"), "the key is in the message");
	for (size_t i = 0; i < sizeof(key); i++)
		cr_expect_eq(key[i], 0);
}

Test(key_file, a_file_of_32_octets_that_its_owner_alone_reads_is_taken)
{
	static const mode_t modes[] = { 0600, 0400 };
	uint8_t key[REPLICATION_KEY];
	struct error err = { "" };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		make_file(REPLICATION_KEY, modes[i]);
		cr_assert_eq(key_file_read(path, key, &err), 0, "%s", err.text);
		for (size_t k = 0; k < sizeof(key); k++)
			cr_expect_eq(key[k], 'k');
	}
}

Test(key_file, a_file_that_others_may_read_or_write_is_refused_with_the_command_that_mends_it)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0601 };
	char part[128];

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		make_file(REPLICATION_KEY, modes[i]);
		snprintf(part, sizeof(part), "has mode %04o, so others may read the key; `chmod 0600 %s`", modes[i],
			 path);
		expect_refused(-EPERM, part);
	}
}

Test(key_file, a_file_of_another_length_is_refused_with_the_command_that_makes_one)
{
	static const size_t sizes[] = { 0, 31, 33, 64 };
	char part[64];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_file(sizes[i], 0600);
		snprintf(part, sizeof(part), "has %zu octets, not 32; `head -c 32 /dev/urandom", sizes[i]);
		expect_refused(-EINVAL, part);
	}
}

Test(key_file, a_file_of_another_user_is_refused)
{
	if (geteuid())
		cr_skip_test("not root");
	make_file(REPLICATION_KEY, 0600);
	cr_assert_eq(chown(path, 65534, 0), 0);
	expect_refused(-EPERM, "belongs to uid 65534");
}

Test(key_file, a_key_file_that_is_missing_or_no_file_is_refused)
{
	expect_refused(-ENOENT, "does not exist; copy the key of the other gateways, or make one");
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refused(-EINVAL, "is not a regular file");
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	expect_refused(-EINVAL, "is not a regular file");
}
