/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loaded before the programs of a world: shifts CLOCK_REALTIME by the seconds in the file $CLOCK_SHIFT, and tells a
 * timer set with TFD_TIMER_CANCEL_ON_SET of each step, as the kernel would: the world writes into the eventfd that
 * stands for the timer. The boot id is what $BOOT_ID has.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* The file: seconds, and the descriptor of the timer's eventfd in the process that has one, plus 1. */
struct page {
	int64_t shift;
	int64_t timer;
};

static struct page none;
static volatile struct page *page = &none;

static void __attribute__((constructor)) setup(void)
{
	const char *path = getenv("CLOCK_SHIFT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED : mmap(0, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		page = p;
	if (fd >= 0)
		close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	int r;

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	r = real(clock, ret);
	if (!r && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ret->tv_sec += page->shift;
	return r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

/* The kernel's time of a packet is shifted, too. */
static void shift_packet(struct msghdr *m)
{
	struct timespec t;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		t.tv_sec += page->shift;
		memcpy(CMSG_DATA(c), &t, sizeof(t));
	}
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout)
{
	static int (*real)(int, struct mmsghdr *, unsigned, int, struct timespec *);
	int r;

	if (!real)
		real = (int (*)(int, struct mmsghdr *, unsigned, int, struct timespec *))dlsym(RTLD_NEXT, "recvmmsg");
	r = real(fd, messages, n, flags, timeout);
	for (int i = 0; i < r; i++)
		shift_packet(&messages[i].msg_hdr);
	return r;
}

/* Files are as old as by the shifted clock. */
int fstat(int fd, struct stat *ret)
{
	int (*real)(int, struct stat *) = (int (*)(int, struct stat *))dlsym(RTLD_NEXT, "fstat");
	int r = real(fd, ret);

	if (!r)
		ret->st_mtim.tv_sec += page->shift;
	return r;
}

int stat(const char *restrict path, struct stat *restrict ret)
{
	int (*real)(const char *, struct stat *) = (int (*)(const char *, struct stat *))dlsym(RTLD_NEXT, "stat");
	int r = real(path, ret);

	if (!r)
		ret->st_mtim.tv_sec += page->shift;
	return r;
}

int timerfd_create(int clock, int flags)
{
	int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "timerfd_create");
	int fd;

	if (clock != CLOCK_REALTIME)
		return real(clock, flags);
	fd = eventfd(0, (flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0) | (flags & TFD_CLOEXEC ? EFD_CLOEXEC : 0));
	if (fd >= 0)
		page->timer = fd + 1;
	return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	int (*real)(int, int, const struct itimerspec *, struct itimerspec *) =
		(int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");

	return fd + 1 == page->timer ? 0 : real(fd, flags, new, old);
}

ssize_t read(int fd, void *octets, size_t length)
{
	static ssize_t (*real)(int, void *, size_t);
	ssize_t r;

	if (!real)
		real = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	r = real(fd, octets, length);
	if (r > 0 && fd + 1 == page->timer) {
		errno = ECANCELED;
		return -1;
	}
	return r;
}

int open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	const char *instead = getenv("BOOT_ID");
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
	va_end(more);
	if (!real)
		real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	return real(instead && !strcmp(path, "/proc/sys/kernel/random/boot_id") ? instead : path, flags, mode);
}
