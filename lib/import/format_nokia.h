/* SPDX-License-Identifier: BSD-2-Clause */
/* Nokia SR OS: what its reader finds, and what becomes of it. */
#ifndef DETNAT_FORMAT_NOKIA_H
#define DETNAT_FORMAT_NOKIA_H

#include "base/error.h"
#include "import/import_build.h"

#define NOKIA_WELL_KNOWN 1023U

struct nokia_pool {
	char name[64];
	uint32_t line;
	struct import_ranges range;
	uint32_t ratio;
	uint32_t ports;
	uint32_t forwarded;   /* the last port of the static range */
	bool extends;	      /* has blocks on demand */
	uint32_t extends_by;  /* of so many ports; 0: not told */
	uint32_t block_limit; /* of its policy: a subscriber's blocks, with its own; 0: not told */
	uint32_t extends_line;
	uint32_t disabled; /* line that says so; 0: none */
};

/* A prefix whose addresses are mapped. */
struct nokia_prefix {
	char name[64]; /* with its service and policy */
	uint32_t disabled;
};

struct nokia_map {
	uint32_t line;
	char service[64];
	size_t prefix; /* SIZE_MAX: none is named */
	struct import_range in;
	uint32_t out;
	bool complete;
};

struct nokia_policy {
	char name[64], pool[64];
	uint32_t block_limit;
};

struct nokia_plan {
	struct import *m;
	struct nokia_pool *pool;
	size_t n_pools;
	struct nokia_prefix *prefix;
	size_t n_prefixes;
	struct nokia_map *map;
	size_t n_maps;
	struct nokia_policy *policy;
	size_t n_policies;
};

/* Adds the rows of the maps that are in force. 0, or -EINVAL with err. */
int nokia_expand(struct nokia_plan *k, struct error *err);

#endif
