// SPDX-License-Identifier: BSD-2-Clause
#include "base/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* An impossible user changes nothing; the answer is who the thread is. */
static uid_t current_user(void)
{
	return (uid_t)setfsuid((uid_t)-1);
}

static gid_t current_group(void)
{
	return (gid_t)setfsgid((gid_t)-1);
}

bool port_needs_right(uint16_t port)
{
	_cleanup_close_ int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_RDONLY | O_CLOEXEC);
	char text[16] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && port < strtoul(text, NULL, 10);
}

bool rights_are_roots(void)
{
	return !current_user();
}

static void __attribute__((noreturn)) give_up(uid_t uid)
{
	fprintf(stderr,
		"a directory belongs to uid %u, and root cannot take that user's rights: CAP_SETUID and "
		"CAP_SETGID are needed\n",
		uid);
	_exit(1);
}

/* The library's setgroups() would change those of all threads. */
static void become(uid_t uid, gid_t gid, const gid_t *groups, int n)
{
	/* As root, whom the kernel lets set groups. */
	if (uid) {
		if (syscall(SYS_setgroups, n, groups))
			give_up(uid);
		setfsgid(gid);
		setfsuid(uid);
	} else {
		setfsuid(uid);
		setfsgid(gid);
		if (syscall(SYS_setgroups, n, groups))
			give_up(uid);
	}
	if (current_user() != uid || current_group() != gid)
		give_up(uid);
}

static struct rights now(void)
{
	struct rights r = { .set = true, .uid = current_user(), .gid = current_group() };
	int n = getgroups(0, NULL);

	r.groups = calloc(n > 0 ? (size_t)n : 1, sizeof(*r.groups));
	r.n_groups = r.groups ? getgroups(n, r.groups) : -1;
	if (r.n_groups < 0)
		give_up(r.uid);
	return r;
}

/* Whether root's power over the files of others is there, which the agent drops for good once it runs. */
static bool is_powerful(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	const uint32_t power = 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER;

	return syscall(SYS_capget, &header, data) || data[0].effective & power;
}

struct rights rights_take(uid_t uid, gid_t gid)
{
	struct rights before;

	if (!uid || !rights_are_roots() || !is_powerful())
		return (struct rights){ 0 };
	before = now();
	become(uid, gid, NULL, 0);
	return before;
}

struct rights rights_of(int dir)
{
	struct stat st;

	if (fstat(dir, &st))
		return (struct rights){ 0 };
	return rights_take(st.st_uid, st.st_gid);
}

struct rights rights_full(void)
{
	struct rights before;

	if (rights_are_roots() || geteuid())
		return (struct rights){ 0 };
	before = now();
	become(0, getegid(), NULL, 0);
	return before;
}

void rights_restore(struct rights *r)
{
	int before = errno;

	if (r->set)
		become(r->uid, r->gid, r->groups, r->n_groups);
	free(take_pointer(r->groups));
	r->set = false;
	errno = before;
}
