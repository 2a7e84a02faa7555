// SPDX-License-Identifier: BSD-2-Clause
/*
 * A PCP client (RFC 6887) for the guests, in a static program:
 *
 *	pcp map SRC SERVER    asks for a lease of UDP for SRC (ADDR:PORT), and prints the outside endpoint; "result N"
 *if it is refused pcp hear FILE         appends the sender's address of each announcement to FILE, a line each, until
 *it is killed; the first line is "ready"
 *
 * Each request for the same endpoint has the same nonce, so a second one renews. Failures print one word, as those of
 *peer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define SERVER_PORT 5351
#define CLIENT_PORT 5350
#define TRIES	    8 /* a second each */

#define ANNOUNCE 0U
#define MAP	 1U
#define RESPONSE 0x80U

struct header {
	uint8_t version, opcode, reserved, result;
	uint32_t lifetime;
	union {
		uint8_t client[16];
		uint32_t epoch;
	};
};

struct map_message {
	struct header header;
	uint8_t nonce[12];
	uint8_t proto, reserved[3];
	uint16_t in_port, out_port;
	uint8_t out[16];
};
_Static_assert(sizeof(struct map_message) == 60, "as RFC 6887 section 11.1 draws it");

static int fail(const char *why)
{
	printf("%s\n", why);
	return 1;
}

static int fail_errno(void)
{
	return fail(errno == EAGAIN ? "timeout" : strerrorname_np(errno));
}

static void mapped(struct in_addr addr, uint8_t ret[16])
{
	memset(ret, 0, 10);
	memset(ret + 10, 0xff, 2);
	memcpy(ret + 12, &addr, sizeof(addr));
}

static int print_answer(const struct map_message *q, const struct map_message *a)
{
	struct in_addr out;

	if (a->header.result)
		return printf("result %u\n", a->header.result), 1;
	if (memcmp(a->nonce, q->nonce, sizeof(q->nonce)) || a->proto != q->proto || a->in_port != q->in_port)
		return fail("garbled");
	memcpy(&out, a->out + 12, sizeof(out));
	printf("%s:%u\n", inet_ntoa(out), ntohs(a->out_port));
	return 0;
}

static int map(const char *src, const char *server)
{
	struct sockaddr_in from = { .sin_family = AF_INET },
			   to = { .sin_family = AF_INET, .sin_port = htons(SERVER_PORT) };
	struct map_message q = { .header = { .version = 2, .opcode = MAP, .lifetime = htonl(3600) },
				 .nonce = "of the guest",
				 .proto = IPPROTO_UDP };
	struct timeval second = { .tv_sec = 1 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char addr[INET_ADDRSTRLEN];
	unsigned port;

	if (sscanf(src, "%15[0-9.]:%u", addr, &port) != 2 || !inet_aton(addr, &from.sin_addr) ||
	    !inet_aton(server, &to.sin_addr))
		return fail("usage");
	mapped(from.sin_addr, q.header.client);
	mapped((struct in_addr){ 0 }, q.out);
	q.in_port = htons((uint16_t)port);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return fail_errno();
	for (int i = 0; i < TRIES; i++) {
		struct map_message a;

		if (send(fd, &q, sizeof(q), 0) < 0 && errno != ECONNREFUSED)
			return fail_errno();
		if (recv(fd, &a, sizeof(a), 0) == sizeof(a) && a.header.opcode == (MAP | RESPONSE))
			return print_answer(&q, &a);
	}
	return fail("timeout");
}

static int hear(const char *file)
{
	const struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(CLIENT_PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	FILE *log = fopen(file, "w");

	if (fd < 0 || !log || bind(fd, (const struct sockaddr *)&here, sizeof(here)))
		return fail_errno();
	fprintf(log, "ready\n");
	for (;;) {
		struct header h;
		struct sockaddr_in from;
		socklen_t size = sizeof(from);

		fflush(log);
		if (recvfrom(fd, &h, sizeof(h), 0, (struct sockaddr *)&from, &size) == sizeof(h) &&
		    h.opcode == (ANNOUNCE | RESPONSE) && ntohs(from.sin_port) == SERVER_PORT)
			fprintf(log, "%s\n", inet_ntoa(from.sin_addr));
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "map") == 0)
		return map(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "hear") == 0)
		return hear(argv[2]);
	return fail("usage");
}
