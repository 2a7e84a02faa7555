/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_HAND_BACK_PRIVATE_H
#define DETNAT_HAND_BACK_PRIVATE_H

#include <detnat/former.h>

#include "datapath/datapath_private.h"
#include "datapath/hand_back.h"

/* An entry of the hash in which 1.0.0 has the sessions beyond the slots; each session has two. */
struct former_entry {
	struct former_overflow_key key;
	struct former_overflow_session session;
};

struct former_entries {
	struct former_entry *entry;
	size_t n;
};

/* Records of subscribers, and how many sessions in extents each counts as if they were in the hash. */
struct hand_back_chunk {
	struct subscriber *record;
	size_t octets;
	uint32_t *counted;
};

struct hand_back {
	struct datapath *datapath;
	char pin_dir[PATH_MAX];
	int mappings; /* descriptors of the maps that are copies */
	int hash;
	struct former_mapping_table *table;
	int64_t datagrams;	       /* entered, and not counted yet */
	struct hand_back_chunk *chunk; /* MAX_SUBSCRIBER_CHUNKS; NULL: none was read */
	int counted;		       /* descriptor of the map PIN_COUNTED, or -1 */
	struct former_entries carried; /* into the hash so far, sorted by key */
};

/* Makes and pins the tables that are copies. 0 or -errno. */
int hand_back_copy_tables(struct hand_back *h);

/* Enters in the maps of 1.0.0, in its directory, what must be there before its programs are. */
void hand_back_help(struct hand_back *h, const char *former);

/* Counts the datagrams that were entered, once 1.0.0 has set its counts. */
void hand_back_count_datagrams(struct hand_back *h, const char *former);

/* Appends the sessions in extents, as entries of the hash, and makes the subscribers' records count them there. */
int hand_back_read_extents(struct hand_back *h, struct former_entries *list);
void hand_back_free_extents(struct hand_back *h);

/* Makes the records in a directory of this version count their sessions as before. */
void hand_back_uncount(const char *pin_dir);

/* Carries over what has changed of sessions beyond the slots. 0 or -errno. */
int hand_back_carry_sessions(struct hand_back *h);

#endif
