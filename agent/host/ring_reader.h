/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a BPF ring buffer from the event loop, in turns: a turn takes at most `budget` samples, so that a flood in one
 * ring buffer does not starve the rest of the agent. With a pause, the next turn after one that took samples comes
 * pause_ms later, however many are waiting; the ring buffer fills in the meantime, and the datapath counts what it
 * could not add.
 */
#ifndef DETNAT_RING_READER_H
#define DETNAT_RING_READER_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

struct ring_reader;

/* Returned by turn_ended: no turn is needed before there is something to read. */
#define RING_READER_IDLE UINT64_MAX

struct ring_reader_ops {
	unsigned budget;   /* samples per turn; 0: no limit */
	unsigned pause_ms; /* 0: the next turn comes as soon as there is something to read */

	/* Before the samples of a turn; may be NULL. */
	void (*turn_begins)(void *arg);

	/* One sample, valid until it returns. */
	void (*sample)(void *arg, void *data, size_t size);

	/*
	 * After the samples of a turn; may be NULL. Returns in how many milliseconds it wants a turn even if there is
	 * nothing to read, or RING_READER_IDLE.
	 */
	uint64_t (*turn_ended)(void *arg, unsigned taken);
};

/* Reads the ring buffer of a map descriptor, which must outlive the result, as must base, ops and arg. 0 or -errno. */
int ring_reader_new(struct event_base *base, int map, const struct ring_reader_ops *ops, void *arg,
		    struct ring_reader **ret);

/* Takes a turn now. */
void ring_reader_turn(struct ring_reader *r);

/* Leaves unread samples in the ring buffer. r may be NULL. */
void ring_reader_free(struct ring_reader *r);

#endif
