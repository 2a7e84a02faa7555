/* SPDX-License-Identifier: BSD-2-Clause */
/* Small things every module uses: cleanup attributes, error texts, clocks. */
#ifndef DETNAT_UTIL_H
#define DETNAT_UTIL_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void free_pointer(void *p)
{
	free(*(void **)p);
}

static inline void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Frees, or closes, when the variable goes out of scope. */
#define _cleanup_free_	__attribute__((cleanup(free_pointer)))
#define _cleanup_close_ __attribute__((cleanup(close_fd)))

/* Hands the pointer over and leaves NULL, so that the cleanup attribute frees nothing. */
#define take_pointer(p)                 \
	({                              \
		typeof(p) _taken = (p); \
		(p) = NULL;             \
		_taken;                 \
	})

/* Hands the descriptor over and leaves -1. */
#define take_fd(fd)             \
	({                      \
		int _fd = (fd); \
		(fd) = -1;      \
		_fd;            \
	})

/* Why something was refused, for a person to read: says what is wrong, where, and what to do. */
struct error {
	char text[512];
};

/* Stores a text and returns r, so that a caller can write `return error_set(err, -EINVAL, "…")`. err may be NULL. */
static inline int __attribute__((format(printf, 3, 4))) error_set(struct error *err, int r, const char *format, ...)
{
	if (err) {
		va_list ap;

		va_start(ap, format);
		vsnprintf(err->text, sizeof(err->text), format, ap);
		va_end(ap);
	}
	return r;
}

/* The errno that libbpf and libevent leave, as -errno; where they leave none, -otherwise. */
static inline int errno_or(int otherwise)
{
	return errno ? -errno : -otherwise;
}

/* Nanoseconds of a clock. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Microseconds of CLOCK_MONOTONIC. */
static inline uint64_t monotonic_us(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000;
}

#endif
