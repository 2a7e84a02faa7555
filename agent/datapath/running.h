/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The running configuration, saved in the pinned map `running` so that a restart takes it over.
 *
 * The map has two places, written in turn, each with a generation and a checksum: an agent killed in the middle of a
 * save leaves the former state valid. What is saved is the configuration as JSON and the hash of the file that was last
 * applied.
 */
#ifndef DETNAT_RUNNING_H
#define DETNAT_RUNNING_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* Octets of one place, header included; the map is an ARRAY of RUNNING_PLACES such values. */
#define RUNNING_PLACE_SIZE (512U << 10)
#define RUNNING_PLACES	   2U
#define RUNNING_SIZE	   ((size_t)RUNNING_PLACE_SIZE * RUNNING_PLACES)

struct running_header {
	uint32_t magic;
	uint32_t length; /* octets of JSON that follow */
	uint64_t generation;
	uint64_t file_hash;
	uint64_t checksum; /* of the above and the JSON */
};

/* Longest JSON that can be saved. */
#define RUNNING_MAX_LENGTH (RUNNING_PLACE_SIZE - sizeof(struct running_header))

/* `map` is the whole map in memory. -EFBIG where the JSON is too long: nothing is written then. */
int running_save(void *map, const char *json, uint64_t file_hash, struct error *err);

/*
 * Latest state saved, a string that the caller frees; -ENOENT where there is none, -EAGAIN where
 * another process wrote it meanwhile.
 */
int running_load(const void *map, char **ret_json, uint64_t *ret_file_hash);

#endif
