/* SPDX-License-Identifier: BSD-2-Clause */
/* The blocks of one outside address: whether they are regular, and who has them. */
#ifndef DETNAT_IMPORT_GROUP_H
#define DETNAT_IMPORT_GROUP_H

#include "import/import.h"

enum import_shape {
	SHAPE_BY_ADDRESS, /* the k-th block is of the k-th inside address; one block alone, too */
	SHAPE_BY_BLOCK,	  /* inside addresses at a distance */
	SHAPE_IRREGULAR,  /* blocks of unequal size or distance */
	SHAPE_OTHER,	  /* regular, but inside addresses in no order */
};

struct import_group {
	size_t first; /* among the rows in their outside order */
	uint32_t n;
	uint32_t out;
	uint32_t in;	     /* of block 0 */
	uint32_t step;	     /* from one block's inside address to the next one's */
	uint32_t first_port; /* F */
	uint32_t pitch;	     /* S; 0: one block alone */
	uint32_t ports;	     /* P */
	uint32_t blocks;     /* the highest number of a block, and one */
	enum import_shape shape;
	bool shrunk;
};

/* The rows in their outside order: NULL in `order`, as they are. */
struct import_outside {
	const struct import *m;
	const uint32_t *order;
};

static inline const struct import_row *import_outside_row(const struct import_outside *o, size_t i)
{
	return &o->m->row[o->order ? o->order[i] : i];
}

/* Port 0 is given to no subscriber, so a first block of 1..P-1 is one of 0..P-1. */
void import_group_find(const struct import_outside *o, struct import_group *g);

/* Whether the blocks are some of those of another address' plan; then the group has its figures. */
bool import_group_like(const struct import_outside *o, struct import_group *g, const struct import_group *model);

/*
 * The largest regular blocks within the irregular ones of a group whose inside addresses are in order; false: there are
 * none. model: NULL, or a shrunk group whose figures serve this one, too, if they do.
 */
bool import_group_shrink(const struct import_outside *o, struct import_group *g, const struct import_group *model);

#endif
