/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which slots of a mapping hold copies, and until when they have been vouched for: in a mapped file, so that they
 * outlive the agent as the slots do. The file grows by segments, for as many subscribers as have copies.
 *
 * A copy's last-seen tick is the tick at which its peer was last vouched for. A slot with another tick has been
 * refreshed by a packet, and is no longer a copy.
 */
#ifndef DETNAT_COPY_MARKS_H
#define DETNAT_COPY_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "copies/copying.h"

/*
 * Low halves of ticks: of the last time and of the time before, which a subscriber's copies may still have if the agent
 * was killed during the last one.
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
	bool cut;		  /* the file is shorter or longer than it was */
	struct mapped_file *file; /* NULL: in memory only */
	int fd;			  /* -1 likewise */
	char *path;		  /* where the file is, or should be; NULL: intentionally in memory */
	uint32_t n_slots;
	uint32_t per_segment; /* subscribers */
	uint32_t n_segments;
	uint32_t n_present;
	size_t header;	/* octets */
	size_t segment; /* octets */
};

/* The tables to which marks belong: a file with marks of other tables is discarded. */
struct marked_tables {
	uint64_t digest;
	uint32_t first_bucket;
	uint32_t first_subscriber;
	uint32_t n_subscribers;
	uint32_t n_slots; /* of a subscriber */
};

/*
 * path: NULL for memory, which is also used if the file cannot be. 0 or -ENOMEM; a file that does not fit is logged and
 * ignored.
 */
int copy_marks_open(struct copy_marks *k, const char *path, const struct marked_tables *of);

/* Removes the file as well if `remove`. */
void copy_marks_close(struct copy_marks *k, bool remove);

/* Whether marks have been lost, as another program has truncated or overwritten the file. */
bool copy_marks_lost(const struct copy_marks *k);

/* Moves the remaining marks to a new file, or else to memory. 0, or -errno with the marks unchanged. */
int copy_marks_mend(struct copy_marks *k, const struct marked_tables *of);

/* Makes marks for a subscriber. -ENOSPC: the file system is full; -ESTALE: until the file is mended. */
int copy_marks_make(struct copy_marks *k, uint32_t subscriber);

/* Moves the marks to memory, as the file cannot be written. 0, or -ENOMEM with the marks unchanged. */
int copy_marks_to_memory(struct copy_marks *k, const struct marked_tables *of);

/* Whether the marks are only in memory and should be in a file. */
static inline bool copy_marks_astray(const struct copy_marks *k)
{
	return k->base && k->path && !k->file;
}

/* Moves the marks back to a file, if there is room for all. 0, or -errno with the marks unchanged. */
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

/* By peer, from 1; the subscriber must have marks. */
static inline struct vouched *copy_vouched(const struct copy_marks *k, uint32_t subscriber, unsigned peer)
{
	uint32_t segment = subscriber / k->per_segment;
	uint8_t *after = k->base + k->header + segment * k->segment + (size_t)k->per_segment * k->n_slots * 2;

	return (struct vouched *)after + (size_t)(subscriber % k->per_segment) * COPYING_PEERS + peer - 1;
}

/* Octets in use. */
uint64_t copy_marks_memory(const struct copy_marks *k);

#endif
