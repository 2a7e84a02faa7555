/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which slots of a mapping hold copies, and until when they have been vouched for: in a file that is mapped, so that
 * they outlive the agent as the slots do. It grows by segments, for as many subscribers as have copies.
 *
 * A copy is stored with the tick at which its peer was last vouched for as last seen, so a slot with another one has
 * been refreshed by a packet: it is no copy any more.
 */
#ifndef DETNAT_COPY_MARKS_H
#define DETNAT_COPY_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "copies/copying.h"

/*
 * Low halves of ticks: of the last time, and of the time before, which a subscriber's copies may still have if the
 * agent was killed at it.
 */
struct vouched {
	uint16_t now;
	uint16_t before;
};

struct mapped_file;

struct copy_marks {
	uint8_t *base; /* NULL: not open */
	size_t size;
	uint8_t *present;	  /* one bit for each segment, as in the file, which may lose it */
	bool cut;		  /* the file is not as long as it was */
	struct mapped_file *file; /* NULL: in memory alone */
	int fd;			  /* -1 likewise */
	char *path;		  /* where the file is, or should be; NULL: in memory by intent */
	uint32_t n_slots;
	uint32_t per_segment; /* subscribers */
	uint32_t n_segments;
	uint32_t n_present;
	size_t header;	/* octets */
	size_t segment; /* octets */
};

/* What the marks are about: if it is another than that of a file, the file is discarded. */
struct marked_tables {
	uint64_t digest;
	uint32_t first_bucket;
	uint32_t first_subscriber;
	uint32_t n_subscribers;
	uint32_t n_slots; /* of a subscriber */
};

/*
 * path: NULL for memory, which is used as well where the file cannot be. 0 or -ENOMEM; nothing is taken from a file
 * that does not fit, which is logged.
 */
int copy_marks_open(struct copy_marks *k, const char *path, const struct marked_tables *of);

/* Removes the file as well if `remove`. */
void copy_marks_close(struct copy_marks *k, bool remove);

/* Whether marks have been lost, as the file has been cut off or written to by another program. */
bool copy_marks_lost(const struct copy_marks *k);

/* Has what is left of them in a file of its own again, or else in memory. 0 or -errno: they are as they were. */
int copy_marks_mend(struct copy_marks *k, const struct marked_tables *of);

/* Has marks for a subscriber. -ENOSPC: the file system is full; -ESTALE: until the file is mended. */
int copy_marks_make(struct copy_marks *k, uint32_t subscriber);

/* Goes on in memory, as the file cannot be written. 0 or -ENOMEM: they are as they were. */
int copy_marks_to_memory(struct copy_marks *k, const struct marked_tables *of);

/* Whether they are in memory alone and should be in a file. */
static inline bool copy_marks_astray(const struct copy_marks *k)
{
	return k->base && k->path && !k->file;
}

/* Goes back to a file, if there is room for all. 0 or -errno: they are as they were. */
int copy_marks_to_file(struct copy_marks *k, const struct marked_tables *of);

static inline bool copy_marks_has(const struct copy_marks *k, uint32_t segment)
{
	return k->base && k->present[segment / 8] >> (segment % 8) & 1;
}

/* The n_slots marks of a subscriber, or NULL. */
static inline uint16_t *copy_marks_of(const struct copy_marks *k, uint32_t subscriber)
{
	uint32_t segment = subscriber / k->per_segment;

	if (!copy_marks_has(k, segment))
		return NULL;
	return (uint16_t *)(k->base + k->header + segment * k->segment) +
	       (size_t)(subscriber % k->per_segment) * k->n_slots;
}

/* By peer, from 1 on; the subscriber has marks. */
static inline struct vouched *copy_vouched(const struct copy_marks *k, uint32_t subscriber, unsigned peer)
{
	uint32_t segment = subscriber / k->per_segment;
	uint8_t *after = k->base + k->header + segment * k->segment + (size_t)k->per_segment * k->n_slots * 2;

	return (struct vouched *)after + (size_t)(subscriber % k->per_segment) * COPYING_PEERS + peer - 1;
}

/* Octets in use. */
uint64_t copy_marks_memory(const struct copy_marks *k);

#endif
