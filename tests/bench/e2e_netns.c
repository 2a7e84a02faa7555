// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/base.h"

/* What children may run on, whatever this process is pinned to. */
static cpu_set_t all_cpus;

void e2e_die(int r, const char *format, ...)
{
	va_list ap;

	fputs("bench-e2e: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, r ? ": %s\n" : "\n", strerror(r < 0 ? -r : r));
	exit(1);
}

/* To an agent, these mounts are those of the first process: it attaches by links that are pinned, as on a host. */
static void show_mounts(void)
{
	char own[48];

	snprintf(own, sizeof(own), "/proc/%d/mountinfo", getpid());
	if (mount(own, "/proc/1/mountinfo", NULL, MS_BIND, NULL))
		e2e_die(errno, "showing the agents where their pins are");
}

void netns_isolate(void)
{
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		e2e_die(errno, "sched_getaffinity");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) || mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL))
		e2e_die(errno, "making a mount namespace");
	show_mounts();
}

static int own_netns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		e2e_die(errno, "/proc/self/ns/net");
	return fd;
}

void netns_enter(int netns)
{
	if (setns(netns, CLONE_NEWNET))
		e2e_die(errno, "entering a network namespace");
}

int netns_new(void)
{
	_cleanup_close_ int before = own_netns();
	static const struct {
		const char *name;
		uint64_t value;
	} sysctls[] = {
		{ "net/ipv6/conf/all/disable_ipv6", 1 },
		{ "net/ipv6/conf/default/disable_ipv6", 1 },
		{ "net/ipv4/conf/all/rp_filter", 0 },
		{ "net/ipv4/conf/default/rp_filter", 0 },
		{ "net/ipv4/ip_forward", 1 },
	};
	int netns;

	if (unshare(CLONE_NEWNET))
		e2e_die(errno, "making a network namespace");
	netns = own_netns();
	netns_enter(before);
	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++) {
		int r = netns_sysctl_write(netns, sysctls[i].name, sysctls[i].value);

		if (r && r != -ENOENT) /* no IPv6 in this kernel */
			e2e_die(r, "%s", sysctls[i].name);
	}
	netns_command(netns, "ip link set lo up");
	return netns;
}

/* What a child does before it becomes another program. */
static void become_child(int netns)
{
	sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
	setpriority(PRIO_PROCESS, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	netns_enter(netns);
}

pid_t netns_fork(int netns)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		e2e_die(errno, "fork");
	if (!pid)
		become_child(netns);
	return pid;
}

void netns_command(int netns, const char *format, ...)
{
	_cleanup_free_ char *command = NULL;
	int status;
	va_list ap;
	pid_t pid;

	va_start(ap, format);
	if (vasprintf(&command, format, ap) < 0)
		e2e_die(ENOMEM, "a command");
	va_end(ap);
	pid = netns_fork(netns);
	if (!pid) {
		/* The commands' chatter (ethtool tells what it changed) is nobody's business, their errors are. */
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-ec", command, NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			e2e_die(errno, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		e2e_die(0, "failed: %s", command);
}

pid_t netns_spawn(int netns, const char *errors, char *const argv[], int *ret_out)
{
	int out[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC))
		e2e_die(errno, "pipe");
	pid = netns_fork(netns);
	if (!pid) {
		int err = open(errors, O_WRONLY | O_CREAT | O_APPEND, 0600);

		if (err < 0 || dup2(err, STDERR_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0)
			_exit(127);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	*ret_out = out[0];
	return pid;
}

static int sysctl_open(int netns, const char *name, int flags)
{
	_cleanup_close_ int before = own_netns();
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	netns_enter(netns);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	netns_enter(before);
	return fd;
}

uint64_t netns_sysctl_read(int netns, const char *name)
{
	_cleanup_close_ int fd = sysctl_open(netns, name, O_RDONLY);
	char text[32] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		e2e_die(fd < 0 ? fd : errno, "%s", name);
	return strtoull(text, NULL, 10);
}

int netns_sysctl_write(int netns, const char *name, uint64_t value)
{
	_cleanup_close_ int fd = sysctl_open(netns, name, O_WRONLY);

	if (fd < 0)
		return fd;
	return dprintf(fd, "%lu\n", value) < 0 ? -errno : 0;
}
