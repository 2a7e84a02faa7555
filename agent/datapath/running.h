/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The running configuration, saved in the pinned map `running` for the next start.
 *
 * The map has two places, each half of it, written in turn, with a generation and a checksum: if an agent is killed
 * during a save, the former state stays valid. Saved are the configuration as JSON and the hash of the file that was
 * last applied.
 */
#ifndef DETNAT_RUNNING_H
#define DETNAT_RUNNING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base.h"

/* Octets of one place, header included; the map is an ARRAY of RUNNING_PLACES such values. */
#define RUNNING_PLACE_SIZE (512U << 10)
#define RUNNING_PLACES	   2U
#define RUNNING_SIZE	   ((size_t)RUNNING_PLACE_SIZE * RUNNING_PLACES)

/* Octets at the beginning of a place by which 1.0.0 sees that there is a state. */
#define RUNNING_SIGN 40U

struct running_header {
	uint32_t magic;
	uint32_t length; /* octets of JSON that follow */
	uint64_t generation;
	uint64_t file_hash;
	uint64_t checksum; /* of the above and the JSON */
};

/*
 * The longest JSON that fits into a map of the usual size, and the longest of all: see running_reserve(). It has keys
 * with their defaults, which a file may omit, and is longer than the longest file.
 */
#define RUNNING_MAX_LENGTH (RUNNING_PLACE_SIZE - RUNNING_SIGN - sizeof(struct running_header))
#define RUNNING_LONGEST	   ((32U << 20) - RUNNING_SIGN - sizeof(struct running_header))

/*
 * `map` is the whole map in memory, of size octets; the JSON has `length`. -EFBIG if that is too long; nothing is
 * written then.
 */
int running_save_to(void *map, size_t size, const char *json, size_t length, uint64_t file_hash, struct error *err);

/* The same for an agent of 1.0.0, which knows no other checksum. */
int running_save_former(void *map, size_t size, const char *json, uint64_t file_hash, struct error *err);

/*
 * The latest saved state, a string that the caller frees; -ENOENT if there is none, -EAGAIN if another process was
 * writing it.
 */
int running_load_from(const void *map, size_t size, char **ret_json, uint64_t *ret_file_hash);

/* The same for a map of the usual size. */
static inline int running_save(void *map, const char *json, uint64_t file_hash, struct error *err)
{
	return running_save_to(map, RUNNING_SIZE, json, strlen(json), file_hash, err);
}

static inline int running_load(const void *map, char **ret_json, uint64_t *ret_file_hash)
{
	return running_load_from(map, RUNNING_SIZE, ret_json, ret_file_hash);
}

struct datapath;

/*
 * Makes room for a JSON of that length: the saved state moves to a larger map, which at once replaces the pinned one. 0
 * or -errno with err and nothing changed.
 */
int running_reserve(struct datapath *d, size_t length, struct error *err);

#endif
