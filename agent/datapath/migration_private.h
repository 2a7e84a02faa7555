/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the migration. */
#ifndef DETNAT_MIGRATION_PRIVATE_H
#define DETNAT_MIGRATION_PRIVATE_H

#include <inttypes.h>
#include <limits.h>

#include "base/btf_layout.h"
#include "datapath/chunk_maps.h"
#include "datapath/datapath_private.h"
#include "datapath/former_sessions.h"
#include "datapath/migration.h"

/* Marks the pins beside it as not in use yet. */
#define PIN_MOVING "moving"

/* Marks the pins beside it as those that 1.0.0 is to take over (datapath/hand_back.h). */
#define PIN_OFFERED "offered"

/* How many sessions in extents each record counts as if they were in the hash of 1.0.0, while the offer stands. */
#define PIN_COUNTED "counted"

/* Fields of a subscriber that are carried over, as laid out in the old records. */
struct migration_fields {
	struct layout_member sessions;
	struct layout_member refused; /* size 0: not present */
	struct layout_member hairpins;
	bool extents; /* their places are in hairpins, and both layouts share them */
	struct layout_member datagrams;
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
		uint32_t datagrams;
		uint32_t hairpins;
	} * seen; /* the old counts as carried over so far */
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
	void *table;
	size_t table_octets;
	struct migration_fields fields;
	struct migration_chunk *chunk; /* empty if the records are shared */
	size_t n_chunks;
	struct counters counted;	/* as carried over so far */
	int64_t datagrams;		/* likewise */
	struct former_sessions *beyond; /* of the old layout's hash; NULL: it has none */
	bool resumed;
	/* Figures for the log. */
	unsigned n_mappings;
	uint64_t n_sessions;
	uint64_t n_beyond;
	uint64_t n_later; /* opened while the copy was being made */
};

/* The layouts of 1.0.0. What came before them was never released, and is not taken over. */
#define LAYOUT_OLDEST 5U

/* What becomes of a pinned map. All but the last three keep what is in it, or else the takeover is refused. */
enum migration_way {
	MIGRATION_SHARED,	     /* programs of both layouts work on it */
	MIGRATION_SHARED_OR_COPIED,  /* if its records differ, they are copied by name */
	MIGRATION_COPIED,	     /* each layout has its own */
	MIGRATION_SHARED_OR_REBUILT, /* if its records differ, made again from other tables before the switch */
	MIGRATION_REBUILT,
	MIGRATION_SHARED_OR_EMPTY, /* if its records differ, it starts empty, which loses nothing that matters */
	MIGRATION_EMPTY,
};

struct migration_row {
	const char *pin;
	enum migration_way way;
	const char *types[3]; /* of its records; all must fit for it to be shared */
	bool sized;	      /* its number of entries depends on the configuration */
	/* Of maps that are not in the XDP object. */
	uint32_t key_size;
	uint32_t value_size;
	uint32_t entries; /* 0: any number */
	bool (*fits)(const struct migration *m);
	/* Is called once d's maps are open, for a map that is shared, too. 0 or -errno. */
	int (*copy)(struct datapath *d, struct migration *m, const struct migration_row *row);
};

extern const struct migration_row migration_rows[]; /* ends with a NULL pin */

/* The row of a pin, or NULL. */
const struct migration_row *migration_row_of(const char *pin);

/* Whether the map of a row can be pinned for both layouts; false, too, if the old one has none. */
bool migration_shares(const struct migration *m, const struct migration_row *row);

/* Whether the same map is pinned for both layouts. */
bool migration_is_shared(const struct datapath *d, const struct migration *m, const char *pin);

/* -EXDEV with err if a map can neither be shared nor copied nor spared, and has entries. */
int migration_judge(const struct migration *m, struct error *err);

/* Opens the other layout under d's pin path; *ret is NULL if there is none. -EXDEV with err. */
int migration_open(const struct datapath *d, struct migration **ret, struct error *err);

/* Whether the records of mappings can be taken over, although their arithmetic has other members. */
bool migration_geometry_fits(const struct migration *m);

/* Copies the records of mappings. 0 or -errno. */
int migration_copy_mappings(const struct migration *m, struct mapping_table *ret);

/* Whether the pins in a directory are offered to 1.0.0, and not a datapath in use. */
bool migration_is_offer(const char *pin_dir);

/* Opens a pin in a directory: a descriptor, or -errno. */
int migration_pin(const char *pin_dir, const char *name);

/* In rows: whether records that differ can be copied, and copy them. */
int migration_table_copy(struct datapath *d, struct migration *m, const struct migration_row *row);
bool migration_index_fits(const struct migration *m);
int migration_index_copy(struct datapath *d, struct migration *m, const struct migration_row *row);
int migration_buckets_pin(struct datapath *d, struct migration *m, const struct migration_row *row);
bool migration_subscribers_fit(const struct migration *m);
int migration_subscribers_copy(struct datapath *d, struct migration *m, const struct migration_row *row);
bool migration_beyond_fits(const struct migration *m);
int migration_beyond_copy(struct datapath *d, struct migration *m, const struct migration_row *row);
bool migration_devices_fit(const struct migration *m);
int migration_devices_copy(struct datapath *d, struct migration *m, const struct migration_row *row);
int migration_ports_copy(struct datapath *d, struct migration *m, const struct migration_row *row);
int migration_counters_copy(struct datapath *d, struct migration *m, const struct migration_row *row);
int migration_running_copy(struct datapath *d, struct migration *m, const struct migration_row *row);

/* Pins the chunks of a range of records that both layouts share. 0 or -errno. */
int migration_pin_chunks(const struct datapath *d, const struct migration *m, int outer, const char *name,
			 uint64_t first, uint64_t count, unsigned shift);

/* Maps both copies of each chunk that an earlier agent created. */
int migration_subscribers_map(const struct datapath *d, struct migration *m);

/* Opens the hash of the old layout, if it has one. 0 or -errno. */
int migration_beyond_open(struct migration *m);

/* Adds the old programs' counts since the last call to the new records. */
void migration_subscribers_bring_over(struct migration *m);
void migration_counters_bring_over(const struct datapath *d, struct migration *m);
void migration_datagrams_bring_over(const struct datapath *d, struct migration *m);

/* What an earlier agent may have carried over is not carried over again. */
void migration_counts_resume(const struct datapath *d, struct migration *m);

/* Moves counts and marks that the old programs no longer change. Moving them makes the call repeatable. */
void migration_subscribers_move_rest(struct migration *m);

/* Maps a BPF map into memory; NULL on failure. */
void *migration_mmap(int map, size_t *ret_size);

#endif
