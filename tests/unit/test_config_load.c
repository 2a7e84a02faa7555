/* SPDX-License-Identifier: BSD-2-Clause */
/* The file itself: what is no readable, regular file of sensible length is refused, and nothing is waited for. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "config/config.h"

#define GOOD "{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]}}"

static char dir[] = "/tmp/detnat-unit-XXXXXX";
static char path[64];

static void setup(void)
{
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
}

static void teardown(void)
{
	remove(path);
	rmdir(dir);
}

TestSuite(config_load, .init = setup, .fini = teardown);

static void write_file(const char *text, size_t size)
{
	FILE *f = fopen(path, "w");

	cr_assert(f);
	cr_assert_eq(fwrite(text, 1, size, f), size);
	fclose(f);
}

static void expect_refused(int wanted, const char *message)
{
	struct config *c = NULL;
	uint64_t hash = 7;
	struct error err = { "" };
	char text[256];
	int r = config_load(path, &c, &hash, &err);

	snprintf(text, sizeof(text), "%s%s", path, message);
	cr_expect_eq(r, wanted, "%d", r);
	cr_expect_str_eq(err.text, text, "%s", err.text);
	cr_expect_null(c);
	cr_expect_eq(hash, 7, "nothing is written");
}

Test(config_load, a_good_file_is_read_and_identified_by_its_content)
{
	struct config *c = NULL;
	uint64_t first = 0, second = 0, third = 0;
	struct error err = { "" };

	write_file(GOOD, strlen(GOOD));
	cr_assert_eq(config_load(path, &c, &first, &err), 0, "%s", err.text);
	config_free(c);
	cr_assert_eq(config_load(path, &c, &second, &err), 0);
	config_free(c);
	write_file(GOOD "\n", strlen(GOOD) + 1);
	cr_assert_eq(config_load(path, &c, &third, &err), 0);
	config_free(c);
	cr_assert_eq(config_load(path, &c, NULL, NULL), 0, "neither hash nor error need be asked for");
	config_free(c);
	cr_expect_eq(first, second);
	cr_expect_neq(first, third);
	cr_expect_neq(first, 0);
}

Test(config_load, the_hash_is_fnv_1a)
{
	/* Offset basis and prime, in decimal, as the authors of the hash give them. */
	static const char text[] = GOOD;
	uint64_t hash = 14695981039346656037ULL, found = 0;
	struct config *c = NULL;

	for (const char *p = text; *p; p++) {
		hash ^= (unsigned char)*p;
		hash *= 1099511628211ULL;
	}
	write_file(text, strlen(text));
	cr_assert_eq(config_load(path, &c, &found, NULL), 0);
	config_free(c);
	cr_expect_eq(found, hash);
}

Test(config_load, a_file_that_is_not_there)
{
	expect_refused(-ENOENT, ": cannot be opened: No such file or directory");
}

Test(config_load, a_long_name_leaves_room_for_the_message)
{
	char name[1024];
	struct config *c = NULL;
	struct error err = { "" };

	memset(name, 'd', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	cr_expect_eq(config_load(name, &c, NULL, &err), -ENAMETOOLONG);
	cr_expect_eq(strncmp(err.text, "...ddd", 6), 0, "%s", err.text);
	cr_expect(strstr(err.text, "d: cannot be opened: File name too long"), "%s", err.text);
}

Test(config_load, a_directory)
{
	cr_assert_eq(mkdir(path, 0700), 0);
	expect_refused(-EISDIR, ": is a directory, not a file");
}

Test(config_load, a_file_that_may_not_be_read)
{
	write_file(GOOD, strlen(GOOD));
	cr_assert_eq(chmod(path, 0), 0);
	if (geteuid() == 0) {
		cr_assert_eq(chmod(dir, 0711), 0);
		cr_assert_eq(seteuid(65534), 0);
		expect_refused(-EACCES, ": cannot be opened: Permission denied");
		cr_assert_eq(seteuid(0), 0);
	} else {
		expect_refused(-EACCES, ": cannot be opened: Permission denied");
	}
}

/* Without a timeout here: were it opened to block, the test would hang. */
Test(config_load, a_fifo_is_not_waited_for, .timeout = 300)
{
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refused(-EINVAL, ": is not a regular file");
}

Test(config_load, a_device)
{
	cr_assert_eq(symlink("/dev/zero", path), 0);
	expect_refused(-EINVAL, ": is not a regular file");
}

Test(config_load, a_socket)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_refused(-ENXIO, ": cannot be opened: No such device or address");
}

Test(config_load, an_empty_file)
{
	write_file("", 0);
	expect_refused(-EINVAL, ":1: there is nothing in it");
}

Test(config_load, a_file_that_is_too_long)
{
	write_file(GOOD, strlen(GOOD));
	cr_assert_eq(truncate(path, CONFIG_MAX_SIZE + 1), 0);
	expect_refused(-EFBIG, ": is longer than 16777216 octets");
}

Test(config_load, a_file_that_grows_without_telling)
{
	/* Its size is said to be 0. */
	struct config *c = NULL;
	struct error err = { "" };

	cr_expect_eq(config_load("/proc/self/maps", &c, NULL, &err), -EINVAL);
	cr_expect(strstr(err.text, "/proc/self/maps:1: "), "%s", err.text);
}

Test(config_load, the_line_is_the_files)
{
	static const char text[] = "{\n  \"interfaces\": {\n    \"inside\": [],\n    \"outside\": [ 7 ]\n  }\n}\n";

	write_file(text, strlen(text));
	expect_refused(-EINVAL, ":4: interfaces.outside[0]: must be the name of an interface, 1 to 15 characters");
}

Test(config_load, timeouts_below_the_rfcs_are_warned_about, .init = cr_redirect_stderr)
{
	static const char text[] = "{\"interfaces\":{\"inside\":[],\"outside\":[]},\"timeouts\":"
				   "{\"udp\":119,\"tcp_established\":7440,\"tcp_transitory\":239,\"icmp\":1}}";
	char log[1024] = "";
	struct config *c = NULL;

	unsetenv("JOURNAL_STREAM");
	write_file(text, strlen(text));
	cr_assert_eq(config_load(path, &c, NULL, NULL), 0);
	config_warn(c, NULL, path);
	config_warn(c, c, path);
	config_free(c);
	fflush(stderr);
	cr_assert_gt(fread(log, 1, sizeof(log) - 1, cr_get_redirected_stderr()), 0);
	cr_expect(strstr(log, "timeouts.udp: 119 s is below the 120 s that RFC 4787 REQ-5 requires"), "%s", log);
	cr_expect(strstr(log, "timeouts.tcp_transitory: 239 s is below the 240 s that RFC 5382 REQ-5 requires"), "%s",
		  log);
	cr_expect(strstr(log, "timeouts.icmp: 1 s is below the 60 s that RFC 5508 REQ-2 requires"), "%s", log);
	cr_expect_not(strstr(log, "tcp_established"), "%s", log);
	cr_expect_not(strstr(strstr(log, "timeouts.udp") + 1, "timeouts.udp"), "warned of once: %s", log);
}
