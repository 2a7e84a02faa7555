/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the migration. */
#ifndef DETNAT_MIGRATION_PRIVATE_H
#define DETNAT_MIGRATION_PRIVATE_H

#include <inttypes.h>
#include <limits.h>

#include "base/btf_layout.h"
#include "datapath/chunk_maps.h"
#include "datapath/datapath_private.h"
#include "datapath/migration.h"

/* Marks the pins beside it as not in use yet. */
#define PIN_MOVING "moving"

/* Fields of a subscriber that are carried over, as laid out in the old records. */
struct migration_fields {
	struct layout_member sessions;
	struct layout_member overflow;
	struct layout_member refused; /* size 0: not present */
	struct layout_member hairpins;
	struct layout_member way_epoch;
	uint32_t record_size;
};

/* A chunk of subscribers in both layouts. */
struct migration_chunk {
	uint32_t number;
	uint8_t *from;
	size_t from_octets;
	struct subscriber *to;
	size_t to_octets;
	struct migration_seen {
		uint32_t sessions;
		uint32_t overflow;
	} * seen; /* the old counts as carried over so far */
};

/* A session in the overflow, as in its IN2OUT entry. */
struct migration_overflow {
	struct overflow_key key;
	struct overflow_session session;
};

struct migration {
	char pin_dir[PATH_MAX]; /* of the old layout */
	unsigned version;
	uint64_t began_us;
	struct btf *from;
	const struct btf *to; /* of `own` */
	struct hook_object own;
	int mappings; /* descriptors of the old maps */
	int subscribers;
	int counters;
	int overflow; /* -1: both layouts share it */
	void *table;
	size_t table_octets;
	struct migration_fields fields;
	struct migration_chunk *chunk; /* empty if the records are shared */
	size_t n_chunks;
	struct counters counted; /* as carried over so far */
	struct migration_overflow *carried;
	size_t n_carried;
	bool resumed;
	/* Figures for the log. */
	unsigned n_mappings;
	uint64_t n_sessions;
	uint64_t n_overflow;
	uint64_t n_later; /* opened while the copy was being made */
};

/* A map that both layouts share if its types are the same. */
struct migration_shared {
	const char *pin;
	const char *types[2];
	bool needed; /* if not, it is created afresh */
};
extern const struct migration_shared migration_shared[]; /* ends with a NULL pin */
bool migration_shares(const struct migration *m, const struct migration_shared *s);

/* Opens the other layout under d's pin path; *ret is NULL if there is none. -EXDEV with err. */
int migration_open(const struct datapath *d, struct migration **ret, struct error *err);

/* Whether the records of mappings can be taken over, although their arithmetic has other members. */
bool migration_geometry_fits(const struct migration *m);

/* Whether prefix indexes of another size can be taken over. */
bool migration_index_fits(const struct migration *m);

/* Copies the prefix indexes, if they are not shared, to d's, which are empty. 0 or -errno. */
int migration_index_copy(const struct datapath *d, const struct migration *m);

/* Copies the table of mappings. 0 or -errno. */
int migration_copy_mappings(const struct migration *m, struct mapping_table *ret);

/* Opens a pin in a directory: a descriptor, or -errno. */
int migration_pin(const char *pin_dir, const char *name);

/* Creates d's chunks from those of the old layout. 0 or -errno. */
int migration_subscribers_copy(const struct datapath *d, struct migration *m);

/* For shared records: only gathers the figures for the log. */
int migration_subscribers_count(const struct datapath *d, struct migration *m);

/* Maps both copies of each chunk that an earlier agent created. */
int migration_subscribers_map(const struct datapath *d, struct migration *m);

/* Adds the old programs' counts since the last call to the new records. */
void migration_subscribers_bring_over(struct migration *m);

/* Moves counts and marks that the old programs no longer change. Moving them makes the call repeatable. */
void migration_subscribers_move_rest(struct migration *m);

/* Whether an overflow whose records differ can be taken over. */
bool migration_overflow_fits(const struct migration *m);

/* The size of the old map, if it is not shared; else 0. */
uint32_t migration_overflow_entries(const struct migration *m);

/* Copies the sessions of an overflow that is not shared to d's, which is empty. 0 or -errno. */
int migration_overflow_copy(const struct datapath *d, struct migration *m);

/* Carries over changes of the old programs there since the last call. 0 or -errno. */
int migration_overflow_bring_over(const struct datapath *d, struct migration *m);

/* Maps a BPF map into memory; NULL on failure. */
void *migration_mmap(int map, size_t *ret_size);

#endif
