/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps of maps behind the tables `subscribers`, `buckets` and `hosts6`: their inner maps, the chunks, the pins of
 * these, and changes of several elements at a time.
 */
#ifndef DETNAT_CHUNK_MAPS_H
#define DETNAT_CHUNK_MAPS_H

#include <limits.h>
#include <stdint.h>

/* Chunks added to an outer map, or removed from it, together. */
#define CHUNKS_BATCH 16U

struct outer_change {
	int outer;
	uint32_t index;
	int fd; /* -1: delete the element */
	int r;	/* 0 or -errno */
};

/*
 * Applies up to CHUNKS_BATCH changes of outer maps. The kernel makes each change wait for a grace period of about
 * 10 ms. Changes made at the same time from short-lived threads share one; newer kernels do the same for batch
 * updates, but none does it for deletions.
 */
void outer_apply(struct outer_change *changes, unsigned n);

/* The tables' names in the names of chunks and of their pins. */
#define CHUNK_SUBSCRIBER "subscriber"
#define CHUNK_BUCKET	 "bucket"
#define CHUNK_HOST6	 "host6"

/* Path of the pin of a chunk; returns text. */
const char *chunk_pin(const char *pin_dir, const char *name, uint32_t chunk, char text[static PATH_MAX]);

/*
 * A descriptor of a chunk that is expected to be pinned at path (NULL: not pinned). -ENOENT if the outer map has no
 * chunk of that number, -ESTALE if another map is pinned there, or another -errno.
 */
int outer_chunk(int outer, uint32_t chunk, const char *path);

#endif
