/* SPDX-License-Identifier: BSD-2-Clause */
/* Dumps of the kernel's tables, read from the event loop a slice at a time. */
#ifndef DETNAT_FIB_DUMP_H
#define DETNAT_FIB_DUMP_H

#include <event2/event.h>
#include <libmnl/libmnl.h>

struct fib_dump;

struct fib_dump_calls {
	void (*message)(const struct nlmsghdr *h, void *arg);
	/*
	 * The dump has ended: 0; -EINTR: a change interrupted it, and entries may be missing; or -errno. May begin
	 * another dump.
	 */
	void (*ended)(int r, void *arg);
	void *arg;
};

/* 0 or -errno. */
int fib_dump_new(struct event_base *base, const struct fib_dump_calls *calls, struct fib_dump **ret);
void fib_dump_free(struct fib_dump *d);

/* Begins a dump, and abandons one that is under way. type: RTM_GET..., family: AF_... 0 or -errno. */
int fib_dump_begin(struct fib_dump *d, uint16_t type, uint8_t family);

#endif
