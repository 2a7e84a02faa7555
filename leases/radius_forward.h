/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Passes requests on to a further RADIUS server, which gets each until it answers. They wait in their order, up to a
 * limit, in memory and in a file, with which the next agent goes on; identifiers are our own, 256 at a time.
 */
#ifndef DETNAT_RADIUS_FORWARD_H
#define DETNAT_RADIUS_FORWARD_H

#include "base/address.h"
#include "radius.h"

/* The most octets of requests that wait. */
#define FORWARD_ROOM (32U << 20)

/* A server that has not answered for so long is reported. */
#define FORWARD_STALLED_US 10000000ULL

struct radius_forward;

struct forward_figures {
	uint64_t answered; /* requests */
	uint64_t refused;  /* there was no room */
	uint64_t waiting;  /* for room among the identifiers, or for an answer */
};

/*
 * Sends from an address; the secret is copied. Goes on with the requests of the file. times: the monotonic clock, and
 * seconds since 1970. 0 or -errno.
 */
struct forward_times {
	uint64_t now_us;
	int64_t now;
};
int radius_forward_new(uint32_t from, struct endpoint to, const struct radius_secret *secret, const char *path,
		       struct forward_times times, struct radius_forward **ret);
void radius_forward_free(struct radius_forward *f); /* NULL is allowed */

/* A nonblocking socket that becomes readable with responses; -1 for NULL. */
int radius_forward_fd(const struct radius_forward *f);

/*
 * Queues a copy of a sound request that was received at these times. It may be acknowledged once radius_forward_sync()
 * has brought it to the disk. 0, or -errno: -ENOBUFS if too many wait.
 */
int radius_forward_put(struct radius_forward *f, const uint8_t *request, size_t size, struct forward_times received);
int radius_forward_sync(struct radius_forward *f);

/* Writes a sound request as it is put: marked as this program's, if there is room. Returns its length. */
size_t radius_forward_mark(const uint8_t *request, size_t size, uint8_t ret[static RADIUS_MAX]);

/* Whether a sound request was forwarded by this program before, or by too many servers. */
bool radius_forward_loops(const uint8_t *request, size_t size);

/* Takes responses, and sends what is due. NULL is allowed here and below. */
void radius_forward_work(struct radius_forward *f, uint64_t now_us);

/* When something is due; UINT64_MAX: nothing waits. */
uint64_t radius_forward_due(const struct radius_forward *f);

struct forward_figures radius_forward_figures(const struct radius_forward *f);

/* Whether requests wait, and the server has not answered for FORWARD_STALLED_US. */
bool radius_forward_stalled(const struct radius_forward *f, uint64_t now_us);

#endif
