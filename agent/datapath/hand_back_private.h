/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_HAND_BACK_PRIVATE_H
#define DETNAT_HAND_BACK_PRIVATE_H

#include <detnat/former.h>

#include "datapath/datapath_private.h"
#include "datapath/hand_back.h"

/* An entry of the overflow, as 1.0.0 has it. */
struct former_entry {
	struct former_overflow_key key;
	struct former_overflow_session session;
};

struct former_entries {
	struct former_entry *entry;
	size_t n;
};

struct hand_back {
	struct datapath *datapath;
	char pin_dir[PATH_MAX];
	int mappings; /* descriptors of the maps that are copies */
	int overflow;
	struct former_mapping_table *table;
	struct former_entries carried; /* the overflow as carried over so far, sorted by key */
};

/* Makes and pins the tables that are copies. 0 or -errno. */
int hand_back_copy_tables(struct hand_back *h);

/* Carries over what has changed in the overflow. 0 or -errno. */
int hand_back_carry_overflow(struct hand_back *h);

#endif
