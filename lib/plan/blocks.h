/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a mapping between two prefixes or ranges divides the ports of its outside addresses, in a form that records and
 * messages keep. Pure.
 */
#ifndef DETNAT_BLOCKS_H
#define DETNAT_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/mapping.h>

#include "base/address.h"

/*
 * All zero: the defaults of the two prefixes, and of a mapping without translation. Blocks that are equal to the
 * defaults are always written so, so that two of them are compared member by member.
 */
struct plan_blocks {
	uint16_t ratio;
	uint16_t first_port;
	uint16_t pitch;
	uint16_t ports_per_host;
	uint16_t netmap; /* 1: netmap order */
};

static inline bool plan_blocks_default(const struct plan_blocks *b)
{
	return !b->ratio;
}

static inline bool plan_blocks_same(const struct plan_blocks *a, const struct plan_blocks *b)
{
	return a->ratio == b->ratio && a->first_port == b->first_port && a->pitch == b->pitch &&
	       a->ports_per_host == b->ports_per_host && a->netmap == b->netmap;
}

/* The first and the last port of blocks that are not the defaults. */
static inline unsigned plan_blocks_lowest(const struct plan_blocks *b)
{
	return b->first_port ? b->first_port : 1U;
}

static inline unsigned plan_blocks_last(const struct plan_blocks *b)
{
	return b->first_port + b->pitch * (b->ratio - 1U) + b->ports_per_host - 1U;
}

/* The blocks of a record. */
struct plan_blocks plan_blocks_of(const struct geometry *g);

/* The record of a mapping that is translated: 0, or -1 with nothing written if the blocks do not fit. */
int plan_blocks_geometry(struct prefix in, struct prefix out, const struct plan_blocks *b, struct geometry *ret);

#endif
