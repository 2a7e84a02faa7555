/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lets 1.0.0 take the datapath over again, while packets are translated.
 *
 * 1.0.0 takes over what other layouts have in the shape of its own records, and copies counts by name. So its tables
 * are offered in a directory of their own, as those of layout 7: maps whose records have not changed are pinned there a
 * second time, the others are copies (<detnat/former.h>). Until it has taken them over, sessions beyond the slots are
 * carried over to its map again and again, and after its programs are in place those that were being opened. The pins
 * of this layout are marked as unused meanwhile, so that 1.0.0 does not find them. It removes both directories when it
 * is done; before that everything can be undone.
 */
#ifndef DETNAT_HAND_BACK_H
#define DETNAT_HAND_BACK_H

#include "datapath/datapath.h"

/* The layout as which the tables are offered; it has never been one of a release. */
#define HAND_BACK_LAYOUT 7U

struct hand_back;

/* What 1.0.0 could not take over of the tables: -EXDEV with all of it in err; 0: nothing. */
int hand_back_judge(const struct datapath *d, struct error *err);

/*
 * Offers d's tables. json: the running configuration, in words of 1.0.0. Call it with d's lock; from then on 1.0.0 can
 * start. d stays open until hand_back_free().
 */
int hand_back_begin(struct datapath *d, const char *json, uint64_t file_hash, struct hand_back **ret,
		    struct error *err);

enum hand_back_state {
	HAND_BACK_OFFERED,
	HAND_BACK_STARTING, /* 1.0.0 makes its tables and loads its programs, or has put them in place */
	HAND_BACK_DONE,	    /* it has removed what was offered */
};
enum hand_back_state hand_back_state(const struct hand_back *h);

/* Carries over what the programs of this version have changed since the last call. 0 or -errno. */
int hand_back_carry(struct hand_back *h);

void hand_back_free(struct hand_back *h);

/*
 * Takes back what was offered under a pin path, and 1.0.0 has not taken over: the datapath of this version is in use
 * again. Call it with the lock. Whether anything was offered.
 */
bool hand_back_undo(const char *pin_path);

#endif
