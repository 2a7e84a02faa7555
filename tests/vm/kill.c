// SPDX-License-Identifier: BSD-2-Clause
/*
 * Preloaded into detnat-xdp: ends it, as SIGKILL does, before its KILL_ATth system call that changes something: what it
 * loads, links, pins, tells the kernel by netlink, and does in the bpffs.
 */
#include <dlfcn.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void step(void)
{
	static int calls;
	const char *at = getenv("KILL_AT");

	if (at && ++calls == atoi(at))
		raise(SIGKILL);
}

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_bpf && (a[0] == BPF_PROG_LOAD || a[0] == BPF_LINK_CREATE || a[0] == BPF_OBJ_PIN ||
				  a[0] == BPF_MAP_UPDATE_ELEM || a[0] == BPF_MAP_FREEZE))
		step();
	return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	step();
	return NEXT(send)(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	step();
	return NEXT(sendmsg)(fd, m, flags);
}

int mkdir(const char *path, mode_t mode)
{
	step();
	return NEXT(mkdir)(path, mode);
}

int unlink(const char *path)
{
	step();
	return NEXT(unlink)(path);
}

int rmdir(const char *path)
{
	step();
	return NEXT(rmdir)(path);
}
