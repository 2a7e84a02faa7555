/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file with the requests that wait for a further server, so that those acknowledged here reach it although the
 * program was killed. Requests and their ends are appended; the file is emptied when nothing waits, and written anew
 * when most of it has ended. An end that a crash takes back makes the server get a request twice.
 */
#ifndef DETNAT_REQUEST_SPOOL_H
#define DETNAT_REQUEST_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The file is written anew beyond so many octets, and takes no more at twice as many. */
#define SPOOL_MAX (64U << 20)

struct request_spool;

struct spooled {
	uint64_t number;
	int64_t received; /* seconds since 1970 */
	const uint8_t *request;
	size_t size;
};

/* Nonzero ends the walk. */
typedef int (*spool_take)(void *arg, const struct spooled *x);

/*
 * Opens or makes a file, and gives what waits in it, in its order. What a crash left incomplete at its end is removed.
 * 0, -errno, or what take returned.
 */
int spool_open(const char *path, spool_take take, void *arg, struct request_spool **ret);
void spool_free(struct request_spool *s); /* NULL is allowed; the file stays */

/* Adds a request of at most 4096 octets; it is on the disk after spool_sync(). 0 or -errno. */
int spool_add(struct request_spool *s, const uint8_t *request, size_t size, int64_t received, uint64_t *ret_number);
int spool_sync(struct request_spool *s);

/* A request needs no longer to be kept. */
void spool_end(struct request_spool *s, uint64_t number);

/* Whether the file is beyond SPOOL_MAX; writes it anew with all that waits. 0 or -errno, the file being as it was. */
bool spool_is_long(const struct request_spool *s);
int spool_renew(struct request_spool *s, const struct spooled *waiting, size_t n);

#endif
