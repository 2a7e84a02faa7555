// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sends a UDP packet every millisecond from one network namespace to another until standard input ends, and prints as
 * JSON how many were lost and how long they took, from before the system call that sends to the time at which the
 * kernel had it for the receiver. The sender runs at real-time priority: what is measured is not its own waiting.
 *
 *	stream FROM_NETNS TO_NETNS DESTINATION PORT
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_PACKETS (1U << 20)

static double took_us[MAX_PACKETS];
static size_t received;
static volatile int ending;

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

static int socket_in(const char *netns)
{
	int there = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (there < 0 || setns(there, CLONE_NEWNET))
		die(netns);
	close(there);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	return fd;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *receive(void *arg)
{
	int fd = *(int *)arg;
	struct pollfd input = { .fd = fd, .events = POLLIN };

	while (poll(&input, 1, ending ? 200 : 50) > 0 || !ending) {
		char control[128];
		int64_t sent;
		struct iovec iov = { &sent, sizeof(sent) };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 128 };

		if (recvmsg(fd, &m, MSG_DONTWAIT) != sizeof(sent))
			continue;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			struct timespec t;

			if (c->cmsg_type != SCM_TIMESTAMPNS || received == MAX_PACKETS)
				continue;
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			took_us[received++] = (double)((int64_t)t.tv_sec * 1000000000 + t.tv_nsec - sent) / 1e3;
		}
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	struct pollfd waits[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
	const struct itimerspec every = { { 0, 1000000 }, { 0, 1000000 } };
	struct sockaddr_in to = { .sin_family = AF_INET }, any = { .sin_family = AF_INET };
	int in, out, on = 1;
	size_t sent = 0;
	pthread_t receiver;

	if (argc != 5 || inet_pton(AF_INET, argv[3], &to.sin_addr) != 1) {
		fputs("usage: stream FROM_NETNS TO_NETNS DESTINATION PORT\n", stderr);
		return 2;
	}
	any.sin_port = to.sin_port = htons((uint16_t)atoi(argv[4]));
	out = socket_in(argv[2]);
	if (bind(out, (struct sockaddr *)&any, sizeof(any)) ||
	    setsockopt(out, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		die("bind");
	in = socket_in(argv[1]);
	if (bind(in, (struct sockaddr *)&any, sizeof(any)) || connect(in, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	pthread_create(&receiver, NULL, receive, &out);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	waits[1].fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	timerfd_settime(waits[1].fd, 0, &every, NULL);
	while (poll(waits, 2, -1) >= 0 && !waits[0].revents && sent < MAX_PACKETS) {
		uint64_t expirations;
		int64_t stamp;

		if (read(waits[1].fd, &expirations, sizeof(expirations)) < 0)
			die("timer");
		stamp = now_ns();
		if (send(in, &stamp, sizeof(stamp), 0) == sizeof(stamp))
			sent++;
	}
	ending = 1;
	pthread_join(receiver, NULL);
	qsort(took_us, received, sizeof(took_us[0]), by_value);
	printf("{\"sent\":%zu,\"lost\":%zu,\"median_us\":%.1f,\"p99_us\":%.1f,\"worst_us\":%.1f}\n", sent,
	       sent - received, received ? took_us[received / 2] : 0, received ? took_us[received * 99 / 100] : 0,
	       received ? took_us[received - 1] : 0);
	return 0;
}
