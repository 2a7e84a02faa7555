/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients of a RADIUS server: the longest prefix counts, and the kernel's filter takes the same packets. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/base.h"
#include "identity/radius_clients.h"

static char directory[] = "/tmp/detnat-clients-XXXXXX";
static struct config_lease_source source;
static struct radius_clients clients;

static void add(uint32_t base, uint8_t plen, const char *secret)
{
	struct config_radius_client *c = &source.client[source.n_clients];
	int fd;

	c->from = (struct prefix){ base, plen, 0 };
	snprintf(c->secret_file, sizeof(c->secret_file), "%s/%u", directory, source.n_clients++);
	fd = open(c->secret_file, O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, secret, strlen(secret)), (ssize_t)strlen(secret));
	close(fd);
}

static void begin(void)
{
	const char *key;

	cr_assert(mkdtemp(directory));
	add(0x7f000000, 8, "all");
	add(0x7f000200, 24, "net");
	add(0x7f000203, 32, "one");
	cr_assert_eq(radius_clients_read(&source, &clients, &key, NULL), 0);
}

static void end(void)
{
	for (uint32_t i = 0; i < source.n_clients; i++)
		unlink(source.client[i].secret_file);
	rmdir(directory);
}

TestSuite(radius_clients, .init = begin, .fini = end);

static const char *secret_of(uint32_t addr)
{
	int n = radius_clients_find(&clients, addr);

	return n < 0 ? NULL : (const char *)clients.client[n].secret.octet;
}

Test(radius_clients, the_longest_prefix_counts)
{
	cr_expect_str_eq(secret_of(0x7f000001), "all");
	cr_expect_str_eq(secret_of(0x7f000202), "net");
	cr_expect_str_eq(secret_of(0x7f000203), "one");
	cr_expect_null(secret_of(0x0a000001));
}

Test(radius_clients, one_secret_that_cannot_be_read_leaves_all_as_they_were)
{
	struct radius_clients before = clients;
	struct error err = { 0 };
	const char *key;

	cr_assert_eq(chmod(source.client[1].secret_file, 0640), 0);
	cr_expect_eq(radius_clients_read(&source, &clients, &key, &err), -EPERM);
	cr_expect(strstr(err.text, "chmod 0600"), "%s", err.text);
	cr_expect_str_eq(key, "clients");
	cr_expect_arr_eq(&before, &clients, sizeof(before));
}

/* Sends an octet from one address to another. */
static void tell(const struct sockaddr_in *to, uint32_t from)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(from) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(sendto(fd, "x", 1, 0, (const struct sockaddr *)to, sizeof(*to)), 1);
	close(fd);
}

Test(radius_clients, the_kernel_discards_what_is_from_no_client)
{
	static const uint32_t from[] = { 0x7f000001, 0x7f000202, 0x7f000203, 0x7f000204 };
	struct radius_clients some = clients;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, who;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(at);
	char octet;

	cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	/* Without the shortest prefix. */
	some.n = 2;
	cr_assert_eq(radius_clients_filter(&some, fd), 0);
	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		tell(&at, from[i]);
	for (size_t i = 1; i < ARRAY_SIZE(from); i++) {
		size = sizeof(who);
		cr_assert_eq(recvfrom(fd, &octet, 1, 0, (struct sockaddr *)&who, &size), 1);
		cr_expect_eq(ntohl(who.sin_addr.s_addr), from[i]);
	}
	cr_expect_lt(recv(fd, &octet, 1, 0), 0);
	close(fd);
}
