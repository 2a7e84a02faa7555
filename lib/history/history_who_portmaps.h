/* SPDX-License-Identifier: BSD-2-Clause */
/* Which portmaps an outside endpoint had at a time. */
#ifndef DETNAT_HISTORY_WHO_PORTMAPS_H
#define DETNAT_HISTORY_WHO_PORTMAPS_H

#include "history/history_who.h"

/* A portmap without its pauses: it was from one moment to the other. */
struct who_portmap {
	struct portmap_interval of;
	uint32_t begin, end;
};

/* Zero-initialised: none. */
struct who_portmaps {
	struct who_portmap *held; /* sorted by outside endpoint and protocol, then by time */
	size_t n;
};

/* 0 or -ENOMEM. */
int who_portmaps_new(const struct history_portmaps *from, const struct history_times *times, struct who_portmaps *ret);
void who_portmaps_free(struct who_portmaps *w);

/* Those of an endpoint, in order of time; *ret_n is their number. */
const struct who_portmap *who_portmaps_of(const struct who_portmaps *w, uint8_t proto, struct endpoint out,
					  size_t *ret_n);

/* The protocols of portmaps, in the order of the bits of a holder. */
#define WHO_PROTOS 2U
extern const uint8_t who_protos[WHO_PROTOS];

/* Whether an answer and its portmaps say of each protocol that a holder may have had that it did. */
bool who_portmaps_tell_all(const struct who_answer *a, const struct who_holder *h);

#endif
