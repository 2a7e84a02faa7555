/* SPDX-License-Identifier: BSD-2-Clause */
/* Which portmap held an outside endpoint at a time. */
#ifndef DETNAT_HISTORY_WHO_PORTMAPS_H
#define DETNAT_HISTORY_WHO_PORTMAPS_H

#include "proto/history_portmaps.h"

/* Zero-initialised: none. */
struct who_portmaps {
	struct portmap_interval *held; /* sorted by outside endpoint and protocol, then by time */
	size_t n;
};

/* 0 or -ENOMEM. */
int who_portmaps_new(const struct history_portmaps *from, struct who_portmaps *ret);
void who_portmaps_free(struct who_portmaps *w);

/* The last to begin of those that held the endpoint for from <= t < to; NULL: none did. */
const struct portmap_interval *who_portmap(const struct who_portmaps *w, uint8_t proto, struct endpoint out, int64_t t);

/*
 * The last to begin of those that held the endpoint in the second t and ended within it, and led to none of the n
 * addresses; NULL: none did.
 */
const struct portmap_interval *who_portmap_ended(const struct who_portmaps *w, uint8_t proto, struct endpoint out,
						 int64_t t, const uint32_t *addrs, size_t n);

#endif
