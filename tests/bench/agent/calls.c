// SPDX-License-Identifier: BSD-2-Clause
/*
 * Asks the agent something every few milliseconds until standard input ends, one request after the other, and prints as
 * JSON how long the answers took: all of it, and less the time that the agent was ready to run and got no processor,
 * which is other programs' doing. Beside it how late a thread woke up that does nothing else.
 *
 *	calls SOCKET AGENT_PID INTERVAL_MS REQUEST...		a request is a line of the control protocol
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_CALLS    (1U << 20)
#define MAX_REQUESTS 64

struct timings {
	double *ms;
	size_t n;
	double worst_own;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Milliseconds that the agent's main thread has waited for a processor so far. */
static double agent_waited_ms(int schedstat)
{
	unsigned long long ran, waited = 0;
	char text[128] = "";

	if (pread(schedstat, text, sizeof(text) - 1, 0) > 0)
		sscanf(text, "%llu %llu", &ran, &waited);
	return (double)waited / 1e6;
}

static void record(struct timings *t, double ms, double own_ms)
{
	if (own_ms > t->worst_own)
		t->worst_own = own_ms;
	if (!t->ms)
		t->ms = malloc(MAX_CALLS * sizeof(*t->ms));
	if (t->ms && t->n < MAX_CALLS)
		t->ms[t->n++] = ms;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *name, struct timings *t)
{
	if (t->n)
		qsort(t->ms, t->n, sizeof(*t->ms), by_value);
	printf("\"%s\":{\"calls\":%zu,\"median_ms\":%.3f,\"p99_ms\":%.3f,\"worst_ms\":%.3f,\"worst_own_ms\":%.3f}",
	       name, t->n, t->n ? t->ms[t->n / 2] : 0, t->n ? t->ms[t->n * 99 / 100] : 0, t->n ? t->ms[t->n - 1] : 0,
	       t->worst_own);
}

static struct timings woken;
static volatile int ending;

static void *wake(void *arg)
{
	while (!ending) {
		double from = now_ms();

		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		record(&woken, now_ms() - from - 1, 0);
	}
	return NULL;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* Sends a line and reads one that is not empty. */
static void call(int fd, const char *request)
{
	static char reply[1 << 20];
	size_t n = 0;

	if (dprintf(fd, "%s\n", request) < 0) {
		perror("calls: write");
		exit(1);
	}
	do {
		ssize_t r = read(fd, reply + n, sizeof(reply) - n);

		if (r <= 0) {
			fputs("calls: the agent has closed the connection\n", stderr);
			exit(1);
		}
		n += (size_t)r;
		while (n && reply[0] == '\n')
			memmove(reply, reply + 1, --n);
	} while (!n || reply[n - 1] != '\n');
	if (strncmp(reply, "{\"ok\":true", 10)) {
		fprintf(stderr, "calls: %.*s", (int)n, reply);
		exit(1);
	}
}

static int open_schedstat(const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* The first of the requests that is the same as this one. */
static int first_like(char **requests, int i)
{
	int first = 0;

	while (strcmp(requests[first], requests[i]))
		first++;
	return first;
}

int main(int argc, char **argv)
{
	struct timings timings[MAX_REQUESTS] = { 0 };
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int n = argc - 4, fd, schedstat, interval;
	char **requests = argv + 4;
	pthread_t waker;

	if (n < 1 || n > MAX_REQUESTS) {
		fputs("usage: calls SOCKET AGENT_PID INTERVAL_MS REQUEST...\n", stderr);
		return 2;
	}
	fd = connect_to(argv[1]);
	schedstat = open_schedstat(argv[2]);
	interval = atoi(argv[3]);
	pthread_create(&waker, NULL, wake, NULL);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	for (int i = 0; !poll(&input, 1, interval); i = (i + 1) % n) {
		double waited = agent_waited_ms(schedstat), from = now_ms(), took;

		call(fd, requests[i]);
		took = now_ms() - from;
		record(&timings[first_like(requests, i)], took, took - (agent_waited_ms(schedstat) - waited));
	}
	ending = 1;
	pthread_join(waker, NULL);
	printf("{");
	for (int i = 0; i < n; i++) {
		char verb[64] = "";

		if (first_like(requests, i) != i)
			continue;
		sscanf(requests[i], "{\"verb\":\"%63[^\"]", verb);
		print(verb, &timings[i]);
		printf(",");
	}
	print("waking", &woken);
	printf("}\n");
	return 0;
}
