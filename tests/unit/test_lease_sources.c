/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys `leases` and `lease_retention`: what they take and refuse, and that what is written is read back; secrets.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/user_groups.h"
#include "config_fixture.h"
#include "host/paths.h"
#include "identity/secret_file.h"

#define WITH(keys)                                                                      \
	"{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]},\"mappings\":[" \
	"{\"in\":\"100.64.0.0/18\",\"out\":\"203.0.113.0/24\"}],\n" keys "}"
#define LEASES(list)   WITH("\"leases\":[" list "]")
#define TYPE	       "\"type\":\"radius\""
#define LISTEN	       "\"listen\":\"192.0.2.1:1813\""
#define SECRET	       "\"secret_file\":\"/etc/detnat/radius.secret\""
#define CLIENT(prefix) "{\"prefix\":\"" prefix "\"," SECRET "}"
#define NEEDED	       TYPE "," LISTEN "," SECRET
#define KEA	       "\"type\":\"kea-csv\""
#define PATH	       "\"path\":\"/var/lib/kea/kea-leases4.csv\""

Test(lease_sources, a_configuration_without_the_keys_records_nothing)
{
	_cleanup_config_ struct config *c = config_of(WITH("\"hairpin\":true"));

	cr_expect_eq(c->leases.n, 0);
	cr_expect_eq(c->leases.retention, 0);
}

Test(lease_sources, a_configuration_is_read_written_and_read_back)
{
	static const char text[] =
		WITH("\"leases\":[{" NEEDED ",\"forward\":\"192.0.2.20:1813\"},{" TYPE "," SECRET
		     ",\"listen\":\"192.0.2.1:1814\",\"mode\":\"passive\"},{" KEA "," PATH "},"
		     "{\"type\":\"accel-ppp\",\"path\":\"/run/sessions\"}],\"lease_retention\":\"26w\"");
	_cleanup_config_ struct config *c = config_of(text), *again = config_read_back(c);

	cr_expect_eq(c->leases.n, 4);
	cr_expect_eq(c->leases.source[0].forward.addr, 0xc0000214);
	cr_expect(c->leases.source[1].passive);
	cr_expect_str_eq(c->leases.source[2].path, "/var/lib/kea/kea-leases4.csv");
	cr_expect_eq(c->leases.source[3].type, SOURCE_ACCEL_PPP);
	cr_expect_eq(c->leases.retention, 182);
	cr_expect_eq(again->leases.n, 4);
	cr_expect_eq(again->leases.retention, 182);
	for (uint32_t i = 0; i < 4; i++) {
		const struct config_lease_source *x = &c->leases.source[i], *y = &again->leases.source[i];

		cr_expect_eq(x->type, y->type);
		cr_expect_eq(x->passive, y->passive);
		cr_expect(endpoint_equal(x->listen, y->listen) && endpoint_equal(x->forward, y->forward));
		cr_expect_str_eq(x->secret_file, y->secret_file);
		cr_expect_str_eq(x->path, y->path);
	}
}

Test(lease_sources, a_value_that_cannot_be_is_refused_with_its_place)
{
	static const struct refused_row rows[] = {
		{ WITH("\"leases\":{}"), ":2: leases: must be a list of sources of leases" },
		{ LEASES("1"), ":2: leases[0]: must be an object" },
		{ LEASES("{}"), ":2: leases[0].type: this key is missing" },
		{ LEASES("{\"type\":\"kea\"}"),
		  ":2: leases[0].type: must be one of \"radius\", \"kea-csv\", \"dnsmasq\", \"isc-dhcpd\", "
		  "\"accel-ppp\", not \"kea\"" },
		{ LEASES("{" TYPE "," SECRET "}"), ":2: leases[0].listen: this key is missing" },
		{ LEASES("{" NEEDED ",\"tenant\":\"ispA\"}"),
		  ":2: leases[0].tenant: there is no such tenant: `tenants` lists them" },
		{ LEASES("{" TYPE "," LISTEN "}"), ":2: leases[0].secret_file: this key is missing" },
		{ LEASES("{" TYPE "," SECRET ",\"listen\":\"0.0.0.0:1813\"}"),
		  ":2: leases[0].listen: must be one address of this gateway, the one that the access servers send "
		  "to" },
		{ LEASES("{" TYPE "," SECRET ",\"listen\":\"203.0.113.1:1813\"}"),
		  ":2: leases[0].listen: is a pool address; write one of the gateway's own addresses" },
		{ LEASES("{" TYPE "," LISTEN
			 ",\"clients\":[" CLIENT("192.0.2.0/24") ",{\"prefix\":\"192.0.2.0/25\"}]}"),
		  ":2: leases[0].clients[1].secret_file: this key is missing" },
		{ LEASES("{" TYPE "," LISTEN ",\"clients\":[" CLIENT("192.0.2.0/24") "," CLIENT("192.0.2.0/24") "]}"),
		  ":2: leases[0].clients[1].prefix: is in this list already" },
		{ LEASES("{" TYPE "," LISTEN
			 ",\"clients\":[" CLIENT("192.0.2.0/24") "],\"forward\":\"192.0.2.9:1813\"}"),
		  ":2: leases[0].forward_secret_file: this key is missing: the secret of the server at 'forward'" },
		{ LEASES("{" NEEDED ",\"forward_secret_file\":\"/etc/x\"}"),
		  ":2: leases[0].forward_secret_file: is for 'forward'" },
		{ LEASES("{" KEA "," PATH ",\"clients\":[" CLIENT("192.0.2.0/24") "]}"),
		  ":2: leases[0].clients: is for type \"radius\"; the other types have 'path'" },
		{ LEASES("{" NEEDED "},\n{" NEEDED "}"), ":3: leases[1].listen: is in this list already" },
		{ LEASES("{" NEEDED "," PATH "}"), ":2: leases[0].path: is for the other types; radius has 'listen'" },
		{ LEASES("{" NEEDED ",\"forward\":\"192.0.2.1:1813\"}"),
		  ":2: leases[0].forward: is the agent itself, as in 'listen'" },
		{ LEASES("{" NEEDED ",\"mode\":\"passive\",\"forward\":\"192.0.2.2:1813\"}"),
		  ":2: leases[0].forward: is for \"active\"; a passive listener has copies only" },
		{ LEASES("{" NEEDED ",\"secret\":\"testing123\"}"), ":2: leases[0].secret: unknown key" },
		{ LEASES("{" KEA "}"), ":2: leases[0].path: this key is missing" },
		{ LEASES("{" KEA ",\"path\":\"kea.csv\"}"),
		  ":2: leases[0].path: must be an absolute path of at most 255 octets, not \"kea.csv\"" },
		{ LEASES("{" KEA "," PATH "," LISTEN "}"),
		  ":2: leases[0].listen: is for type \"radius\"; the other types have 'path'" },
		{ LEASES("{" KEA "," PATH "},{" KEA ",\n" PATH "}"), ":3: leases[1].path: is in this list already" },
		{ WITH("\"lease_retention\":180"),
		  ":2: lease_retention: must be a number of whole days such as \"180d\" or \"26w\", from 1d to "
		  "36500d, not 180" },
		{ WITH("\"lease_retention\":\"12h\""),
		  ":2: lease_retention: must be a number of whole days such as \"180d\" or \"26w\", from 1d to "
		  "36500d, not \"12h\"" },
		{ WITH("\"lease_retention\":\"0\""),
		  ":2: lease_retention: must be a number of whole days such as \"180d\" or \"26w\", from 1d to "
		  "36500d, not \"0\"" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

static char directory[] = "/tmp/detnat-secret-XXXXXX";
static char path[64];

static void make_directory(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/radius.secret", directory);
}

static void remove_directory(void)
{
	unlink(path);
	rmdir(directory);
}

TestSuite(secret_file, .init = make_directory, .fini = remove_directory);

static void make_file(const char *text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

Test(secret_file, the_secret_is_the_line_without_its_end)
{
	static const char *const texts[] = { "hush me", "hush me\n", "hush me\r\n" };
	struct radius_secret s;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		make_file(texts[i], i ? 0600 : 0400);
		cr_assert_eq(secret_file_read(path, &s, NULL), 0);
		cr_expect_eq(s.size, 7);
		cr_expect_arr_eq(s.octet, "hush me", 7);
	}
}

Test(secret_file, a_file_without_a_secret_or_that_all_may_read_is_refused_with_the_remedy)
{
	static const struct {
		const char *text, *part;
		mode_t mode;
		int r;
	} rows[] = {
		{ "", "must have one line with the secret, 1 to 128 octets", 0600, -EINVAL },
		{ "\n", "must have one line", 0600, -EINVAL },
		{ "hush\nhush\n", "must have one line", 0600, -EINVAL },
		{ "hush", "has mode 0644, so others may read or change it; `chmod 0600", 0644, -EPERM },
		{ "hush", "`chmod 0600", 0620, -EPERM },
		{ "hush", "has mode 0640", 0640, -EPERM },
	};
	struct radius_secret s = { .size = 0 };
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_file(rows[i].text, rows[i].mode);
		cr_expect_eq(secret_file_read(path, &s, &err), rows[i].r, "row %zu: %s", i, err.text);
		cr_expect(strstr(err.text, rows[i].part), "row %zu: %s", i, err.text);
		cr_expect_not(strstr(err.text, "hush"), "the secret is in the message");
		cr_expect_eq(s.size, 0);
	}
	unlink(path);
	cr_expect_eq(secret_file_read(path, &s, &err), -ENOENT);
	cr_expect(strstr(err.text, "does not exist; write the secret"), "%s", err.text);
}

/* Root reads it, too: for -t, --prepare and the doctor. */
Test(secret_file, a_secret_may_be_of_the_user_who_needs_it_and_of_nobody_else)
{
	struct stat st;
	struct error err;
	uid_t nobody;
	int fd;

	if (geteuid())
		cr_skip("only root can give a file away");
	make_file("hush", 0600);
	cr_assert_eq(account_user("nobody", &nobody, NULL), 0);
	cr_assert_eq(chown(path, nobody, (gid_t)-1), 0);
	cr_assert_eq(path_open_secret(path, "nobody", &fd, &st, &err), 0, "%s", err.text);
	close(fd);
	cr_expect_eq(st.st_uid, nobody);
	cr_expect_eq(path_open_secret(path, "root", &fd, &st, &err), -EPERM);
	cr_expect_eq(path_open_secret(path, "no such user", &fd, &st, &err), -EPERM);
	/* Whoever owns the directory chooses the file. */
	cr_assert_eq(chown(directory, nobody, (gid_t)-1), 0);
	cr_expect_eq(path_open_secret(path, "nobody", &fd, &st, &err), -EPERM);
}

Test(lease_sources, each_file_with_a_secret_is_named_once)
{
	static const struct {
		const char *keys;
		const char *files; /* key=path, with a blank after each */
	} rows[] = {
		{ SECRET, "secret_file=/etc/detnat/radius.secret " },
		{ "\"clients\":[{\"prefix\":\"192.0.2.0/24\",\"secret_file\":\"/a\"},{\"prefix\":\"198.51.100.0/24\","
		  "\"secret_file\":\"/b\"}]",
		  "clients[].secret_file=/a clients[].secret_file=/b " },
		{ "\"clients\":[{\"prefix\":\"192.0.2.0/24\",\"secret_file\":\"/a\"}]," SECRET
		  ",\"forward\":\"192.0.2.20:1813\",\"forward_secret_file\":\"/c\"",
		  "clients[].secret_file=/a secret_file=/etc/detnat/radius.secret forward_secret_file=/c " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[1024], found[256] = "";
		const char *file, *key;
		struct config *c;

		snprintf(text, sizeof(text), LEASES("{" TYPE "," LISTEN ",%s}"), rows[i].keys);
		c = config_of(text);
		for (uint32_t n = 0; (file = config_lease_secret(&c->leases.source[0], n, &key)); n++)
			snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s=%s ", key, file);
		cr_expect_str_eq(found, rows[i].files);
		config_free(c);
	}
}
