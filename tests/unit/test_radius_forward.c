/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that are passed on to a further server: again and again, until it answers. Times are the tests' own. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "radius_forward.h"

#define SECOND 1000000ULL

static const struct radius_secret secret = { "testing123", 10 };
static struct radius_forward *forward;
static struct endpoint further;
static char path[] = "/tmp/detnat-forward-XXXXXX";
static int server;

#define NOW 1795690800

/* The agent starts, with what waits in the file. */
static void start(int64_t now)
{
	cr_assert_eq(
		radius_forward_new(INADDR_LOOPBACK, further, &secret, path, (struct forward_times){ 0, now }, &forward),
		0);
}

static void begin(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	const int room = 1 << 20;

	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(server, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(server, (struct sockaddr *)&at, &size), 0);
	setsockopt(server, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	further = (struct endpoint){ INADDR_LOOPBACK, ntohs(at.sin_port) };
	close(mkstemp(path));
	start(NOW);
}

static void end(void)
{
	radius_forward_free(forward);
	unlink(path);
	close(server);
}

TestSuite(radius_forward, .init = begin, .fini = end);

/* A request with a session of two octets. */
static void put(unsigned number, uint64_t now_us)
{
	const uint8_t request[] = { 4,
				    1,
				    0,
				    24,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    0,
				    44,
				    4,
				    (uint8_t)(number >> 8),
				    (uint8_t)number };

	cr_assert_eq(radius_forward_put(forward, request, sizeof(request), (struct forward_times){ now_us, NOW }), 0);
}

/* Receives a packet, and answers it with a secret; NULL: does not. Returns its octets, or -1. */
static ssize_t take(uint8_t packet[static RADIUS_MAX], const struct radius_secret *with)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(server, packet, RADIUS_MAX, 0, (struct sockaddr *)&from, &size);
	uint8_t response[RADIUS_MAX];

	if (n > 0 && with)
		cr_assert_gt(sendto(server, response, radius_answer(packet, (size_t)n, with, response), 0,
				    (struct sockaddr *)&from, size),
			     0);
	return n;
}

Test(radius_forward, no_more_than_the_identifiers_are_under_way_and_all_arrive_in_their_order)
{
	uint8_t packet[RADIUS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < 300; i++)
		put(i, 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		radius_forward_work(forward, turn);
		for (; take(packet, &secret) > 0; n++) {
			cr_expect(radius_request_genuine(packet, 24, &secret));
			cr_expect_eq(packet[1], n % 256);
			cr_expect_eq(packet[22] << 8 | packet[23], (int)n);
		}
		cr_expect_eq(n, turn ? 300 : 256);
	}
	radius_forward_work(forward, 2);
	cr_expect_eq(radius_forward_figures(forward).answered, 300);
	cr_expect_eq(radius_forward_figures(forward).waiting, 0);
	cr_expect_eq(radius_forward_due(forward), UINT64_MAX);
}

Test(radius_forward, a_request_is_repeated_as_it_is_and_then_with_its_delay)
{
	static const uint64_t due[] = { 0, 1, 3, 7, 11 };
	uint8_t first[RADIUS_MAX], packet[RADIUS_MAX];

	put(7, 0);
	for (size_t i = 0; i < ARRAY_SIZE(due); i++) {
		cr_expect_eq(radius_forward_due(forward), due[i] * SECOND);
		if (due[i])
			radius_forward_work(forward, due[i] * SECOND - 1);
		cr_expect_lt(take(packet, NULL), 0);
		radius_forward_work(forward, due[i] * SECOND);
		cr_assert_eq(take(packet, NULL), 24);
		if (!i)
			memcpy(first, packet, 24);
		cr_expect_arr_eq(packet, first, 24);
	}
	cr_expect(radius_forward_stalled(forward, 11 * SECOND));
	radius_forward_work(forward, 15 * SECOND);
	cr_assert_eq(take(packet, &secret), 30);
	cr_expect_eq(packet[1], 1);
	cr_expect_arr_eq(packet + 24, ((const uint8_t[]){ 41, 6, 0, 0, 0, 15 }), 6);
	radius_forward_work(forward, 15 * SECOND);
	cr_expect_eq(radius_forward_figures(forward).answered, 1);
	cr_expect_not(radius_forward_stalled(forward, 99 * SECOND));
}

Test(radius_forward, a_forged_response_answers_nothing)
{
	static const struct radius_secret other = { "testing124", 10 };
	uint8_t packet[RADIUS_MAX];

	put(7, 0);
	radius_forward_work(forward, 0);
	cr_assert_eq(take(packet, &other), 24);
	radius_forward_work(forward, 1);
	cr_expect_eq(radius_forward_figures(forward).waiting, 1);
	radius_forward_work(forward, SECOND);
	cr_assert_eq(take(packet, &secret), 24);
	radius_forward_work(forward, SECOND + 1);
	cr_expect_eq(radius_forward_figures(forward).waiting, 0);
}

Test(radius_forward, what_has_no_room_is_refused)
{
	static uint8_t request[RADIUS_MAX] = { 4, 1, 16, 0 };

	for (size_t at = RADIUS_HEADER; at < sizeof(request); at += 4)
		memcpy(request + at, ((const uint8_t[]){ 33, 4, 1, 2 }), 4);
	for (unsigned i = 0; i < FORWARD_ROOM / RADIUS_MAX + 3; i++)
		cr_expect_eq(radius_forward_put(forward, request, sizeof(request), (struct forward_times){ 0, NOW }),
			     i < FORWARD_ROOM / RADIUS_MAX ? 0 : -ENOBUFS);
	cr_expect_eq(radius_forward_figures(forward).refused, 3);
	cr_expect_eq(radius_forward_figures(forward).waiting, FORWARD_ROOM / RADIUS_MAX);
}

/* Ends as a kill does, and starts again. */
static void start_again(int64_t now)
{
	radius_forward_free(forward);
	start(now);
}

static off_t file_size(void)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	return st.st_size;
}

Test(radius_forward, what_was_not_answered_is_sent_by_the_next_agent_with_its_delay)
{
	uint8_t packet[RADIUS_MAX];

	for (unsigned i = 0; i < 3; i++)
		put(i, 0);
	cr_assert_eq(radius_forward_sync(forward), 0);
	radius_forward_work(forward, 0);
	cr_assert_eq(take(packet, &secret), 24);
	cr_assert_eq(take(packet, NULL), 24);
	cr_assert_eq(take(packet, NULL), 24);
	radius_forward_work(forward, 1);
	start_again(NOW + 90);
	cr_expect_eq(radius_forward_figures(forward).waiting, 2);
	radius_forward_work(forward, 2 * SECOND);
	for (unsigned i = 1; i < 3; i++) {
		cr_assert_eq(take(packet, &secret), 30);
		cr_expect_eq(packet[23], i);
		cr_expect_arr_eq(packet + 24, ((const uint8_t[]){ 41, 6, 0, 0, 0, 92 }), 6);
	}
	radius_forward_work(forward, 2 * SECOND);
	cr_expect_eq(radius_forward_figures(forward).waiting, 0);
	cr_expect_eq(file_size(), 0);
	start_again(NOW);
	cr_expect_eq(radius_forward_figures(forward).waiting, 0);
}

Test(radius_forward, a_clock_set_back_adds_no_delay)
{
	uint8_t packet[RADIUS_MAX];

	put(7, 0);
	start_again(NOW - 5000);
	radius_forward_work(forward, 0);
	cr_expect_eq(take(packet, &secret), 24);
}

Test(radius_forward, an_end_that_a_crash_cut_off_or_damaged_is_left_out)
{
	uint8_t packet[RADIUS_MAX];
	off_t size;
	int fd;

	put(1, 0);
	size = file_size();
	put(2, 0);
	cr_assert_eq(truncate(path, file_size() - 1), 0);
	start_again(NOW);
	cr_expect_eq(radius_forward_figures(forward).waiting, 1);
	cr_expect_eq(file_size(), size);
	put(3, 0);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "x", 1, file_size() - 1), 1);
	close(fd);
	start_again(NOW);
	radius_forward_work(forward, 0);
	cr_assert_eq(take(packet, &secret), 24);
	cr_expect_eq(packet[23], 1);
	cr_expect_lt(take(packet, NULL), 0);
}

Test(radius_forward, the_file_is_written_anew_when_most_of_it_has_ended)
{
	static uint8_t request[RADIUS_MAX] = { 4, 1, 16, 0 };
	uint8_t packet[RADIUS_MAX];

	for (size_t at = RADIUS_HEADER; at < sizeof(request); at += 4)
		memcpy(request + at, ((const uint8_t[]){ 33, 4, 1, 2 }), 4);
	put(1, 0);
	/* The first is never answered. */
	for (uint64_t now = 0; now < (80U << 20) / RADIUS_MAX; now++) {
		cr_assert_eq(radius_forward_put(forward, request, sizeof(request), (struct forward_times){ 0, NOW }),
			     0);
		radius_forward_work(forward, 0);
		while (recv(server, packet, sizeof(packet), MSG_PEEK) > 0)
			take(packet, packet[3] == 24 ? NULL : &secret);
		radius_forward_work(forward, 0);
	}
	cr_expect_eq(radius_forward_figures(forward).waiting, 1);
	cr_expect_lt(file_size(), 64 << 20);
	start_again(NOW);
	cr_expect_eq(radius_forward_figures(forward).waiting, 1);
}

Test(radius_forward, of_a_hundred_thousand_that_have_ended_none_is_sent_again)
{
	uint8_t packet[RADIUS_MAX];

	put(1, 0);
	/* The first is never answered. */
	for (unsigned i = 2; i < 100000; i++) {
		put(i, 0);
		radius_forward_work(forward, 0);
		while (recv(server, packet, sizeof(packet), MSG_PEEK) > 0)
			take(packet, packet[22] << 8 == 0 && packet[23] == 1 ? NULL : &secret);
		radius_forward_work(forward, 0);
	}
	start_again(NOW);
	/* Sessions have two octets, so the 65,537th is as the first. */
	cr_expect_eq(radius_forward_figures(forward).waiting, 2);
}
