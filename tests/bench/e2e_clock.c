// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "e2e_netns.h"
#include "util.h"

/* Time on the core, and waited for it, of a thread: the first two numbers of its schedstat. */
struct thread_time {
	uint64_t run, wait;
};

static int own = -1, softirqd = -1;

static struct thread_time thread_time(int schedstat)
{
	char text[96] = "", *end = text;
	struct thread_time t = { 0 };

	/* A kernel that tells nothing of the kind leaves the clock on the wall. */
	if (schedstat >= 0 && pread(schedstat, text, sizeof(text) - 1, 0) > 0) {
		t.run = strtoull(text, &end, 10);
		t.wait = strtoull(end, NULL, 10);
	}
	return t;
}

static int open_schedstat(const char *task)
{
	char path[300];

	snprintf(path, sizeof(path), "/proc/%s/schedstat", task);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int softirqd_of(int cpu)
{
	char wanted[32], path[300], name[32];
	struct dirent *e;
	DIR *d = opendir("/proc");
	int fd = -1;

	snprintf(wanted, sizeof(wanted), "ksoftirqd/%d\n", cpu);
	while (d && fd < 0 && (e = readdir(d))) {
		_cleanup_close_ int comm = -1;
		ssize_t n;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		comm = open(path, O_RDONLY | O_CLOEXEC);
		n = comm < 0 ? 0 : read(comm, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = 0;
		if (!strcmp(name, wanted))
			fd = open_schedstat(e->d_name);
	}
	if (d)
		closedir(d);
	return fd;
}

int core_pin(void)
{
	cpu_set_t cpus, one;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		e2e_die(errno, "sched_getaffinity");
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &cpus))
			cpu = i;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		e2e_die(errno, "sched_setaffinity");
	setpriority(PRIO_PROCESS, 0, -20);
	own = open_schedstat("thread-self");
	softirqd = softirqd_of(cpu);
	return cpu;
}

struct core_time core_now(void)
{
	uint64_t waited = thread_time(own).wait, lent = thread_time(softirqd).run;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (struct core_time){
		.wall = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec,
		.others = waited - lent,
	};
}

uint64_t core_between(struct core_time from, struct core_time to)
{
	uint64_t wall = to.wall - from.wall;
	int64_t others = (int64_t)(to.others - from.others);

	/* ksoftirqd runs while we sleep, too: never more than what passed. */
	return others <= 0 ? wall : (uint64_t)others < wall ? wall - (uint64_t)others : 0;
}
