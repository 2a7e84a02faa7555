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
#include <unistd.h>

#include "base/base.h"
#include "e2e_netns.h"

static int softirqd = -1;

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
		if (strcmp(name, wanted))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
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
	softirqd = softirqd_of(cpu);
	return cpu;
}

uint64_t core_softirqd_ns(void)
{
	char text[96] = "";

	/* A kernel that tells nothing of the kind has what ksoftirqd does left out. */
	if (softirqd < 0 || pread(softirqd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtoull(text, NULL, 10);
}

double cores_busy_s(void)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	FILE *f = fopen("/proc/stat", "re");
	int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
			   &softirq)
		  : 0;

	if (f)
		fclose(f);
	if (n != 7)
		e2e_die(0, "/proc/stat does not begin with seven times of all processors");
	return (double)(user + nice + system + irq + softirq) / (double)sysconf(_SC_CLK_TCK);
}
