/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the migration share among themselves. */
#ifndef DETNAT_MIGRATION_PRIVATE_H
#define DETNAT_MIGRATION_PRIVATE_H

#include <inttypes.h>
#include <limits.h>

#include "datapath/chunk_maps.h"
#include "datapath/datapath_private.h"
#include "base/btf_layout.h"
#include "datapath/migration.h"

/* Says that the pins beside it are not used yet. */
#define PIN_MOVING "moving"

/* Members of a subscriber that are brought over, as they stand in the old records. */
struct migration_fields {
	struct layout_member sessions;
	struct layout_member overflow;
	struct layout_member refused; /* size 0: there is none */
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
	} * seen; /* the old counts, as they were brought over */
};

struct migration {
	char pin_dir[PATH_MAX]; /* of the old layout */
	unsigned version;
	uint64_t began_us;
	struct btf *from;
	const struct btf *to; /* of `own` */
	struct hook_object own;
	int mappings; /* the old maps */
	int subscribers;
	int counters;
	void *table;
	size_t table_octets;
	struct migration_fields fields;
	struct migration_chunk *chunk; /* none where the records are shared */
	size_t n_chunks;
	struct counters counted; /* as they were brought over */
	bool resumed;
	/* Figures to tell. */
	unsigned n_mappings;
	uint64_t n_sessions;
	uint64_t n_overflow;
	uint64_t n_later; /* opened while the copy was made */
};

/* A map that both layouts share where its types are the same. */
struct migration_shared {
	const char *pin;
	const char *types[2];
	bool needed; /* else it is made anew */
};
extern const struct migration_shared migration_shared[]; /* ends with a NULL */
bool migration_shares(const struct migration *m, const struct migration_shared *s);

/* Opens the other layout under d's pin path; *ret is NULL where there is none. -EXDEV with err. */
int migration_open(const struct datapath *d, struct migration **ret, struct error *err);

/* Makes d's chunks of those of the old layout. 0 or -errno. */
int migration_subscribers_copy(const struct datapath *d, struct migration *m);

/* The records are shared: there are only figures to tell. */
int migration_subscribers_count(const struct datapath *d, struct migration *m);

/* Maps both copies of each chunk that an earlier agent has made. */
int migration_subscribers_map(const struct datapath *d, struct migration *m);

/* What the old programs have counted since the last time goes to the new records. */
void migration_subscribers_bring_over(struct migration *m);

/* Figures and marks that no old program changes any more. They are moved, so that it can be done again. */
void migration_subscribers_move_rest(struct migration *m);

/* A map in memory, or NULL. */
void *migration_mmap(int map, size_t *ret_size);

#endif
