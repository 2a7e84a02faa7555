/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory and descriptors released at the end of a scope, and ways to keep them beyond it. */
#ifndef DETNAT_CLEANUP_H
#define DETNAT_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void free_pointer(void *p)
{
	free(*(void **)p);
}

static inline void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Frees or closes the variable when it goes out of scope. */
#define _cleanup_free_	__attribute__((unused, cleanup(free_pointer)))
#define _cleanup_close_ __attribute__((cleanup(close_fd)))

/* Evaluates to the pointer and sets the variable to NULL, so that the cleanup attribute frees nothing. */
#define take_pointer(p)                 \
	({                              \
		typeof(p) _taken = (p); \
		(p) = NULL;             \
		_taken;                 \
	})

/* Evaluates to the descriptor and sets the variable to -1. */
#define take_fd(fd)             \
	({                      \
		int _fd = (fd); \
		(fd) = -1;      \
		_fd;            \
	})

#endif
