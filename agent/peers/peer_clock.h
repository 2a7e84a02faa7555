/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far a peer's wall clock is ahead of this gateway's, by its signs of life. They take a time on their way, which
 * makes the clock look slow: of the last ones, the one that took the shortest time counts.
 */
#ifndef DETNAT_PEER_CLOCK_H
#define DETNAT_PEER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define PEER_CLOCK_SIGNS 8U

/* From this difference on, operators are told. */
#define PEER_CLOCK_MAX_MS 5000

/* Zero-initialised. */
struct peer_clock {
	int64_t ahead_ms[PEER_CLOCK_SIGNS]; /* a ring */
	unsigned n;			    /* signs noted */
};

/* Notes a sign of life, sent at `there_ms` of the peer's clock and read at `here_ms` of this one's. */
void peer_clock_note(struct peer_clock *c, uint64_t there_ms, uint64_t here_ms);

/* False: nothing is known. */
bool peer_clock_ahead(const struct peer_clock *c, int64_t *ret_ms);

/* Whether operators are to be told of a difference. */
static inline bool peer_clock_differs(int64_t ahead_ms)
{
	return ahead_ms >= PEER_CLOCK_MAX_MS || ahead_ms <= -PEER_CLOCK_MAX_MS;
}

/* The nearest number of seconds. */
static inline int64_t peer_clock_seconds(int64_t ahead_ms)
{
	return (ahead_ms + (ahead_ms < 0 ? -500 : 500)) / 1000;
}

#endif
