/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans of any geometry: what a mapping's keys mean, expanded into records of <detnat/mapping.h>.
 *
 * Pure code without the machine, shared by the agent and the command line. Addresses and ports are in host byte order.
 * A mapping is read with plan_addresses_read() for each of its texts, expanded with plan_add(), and asked with
 * plan_forward() and plan_reverse():
 *
 *	struct plan_mapping m = PLAN_MAPPING;
 *	_cleanup_plan_ struct plan plan = { 0 };
 *
 *	plan_addresses_read("100.64.56.1-100.64.63.254", &m.in, err);
 *	plan_addresses_read("143.208.72.193-143.208.72.254", &m.out, err);
 *	m.ports_per_host = 1954;
 *	plan_add(&plan, &m, err);
 *	plan_mapping_free(&m);
 */
#ifndef DETNAT_PLAN_H
#define DETNAT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/mapping.h>

#include "base/error.h"

/* The most records that one mapping, or a plan, is cut into. */
#define PLAN_MAX_PARTS 4096U

/* Addresses first..last, both included. */
struct plan_range {
	uint32_t first;
	uint32_t last;
	bool prefix; /* written as a prefix */
};

/* Ranges in the order in which they are counted; initialised with zeros, freed with plan_addresses_free(). */
struct plan_addresses {
	struct plan_range *range;
	size_t n;
};

enum plan_order { PLAN_SEQUENTIAL, PLAN_NETMAP };

/* A mapping as it is written. */
struct plan_mapping {
	struct plan_addresses in;
	struct plan_addresses out;	  /* empty: the addresses are not translated */
	struct plan_addresses exclude;	  /* of `out`: not counted */
	uint32_t subscribers_per_address; /* 0: not given */
	uint32_t ports_per_host;	  /* 0: not given */
	uint32_t block_pitch;		  /* 0: not given */
	uint32_t first_port;
	enum plan_order order;
	uint32_t tenant; /* 0: none; inside ranges of different tenants may be the same */
	bool apart;	 /* ranges inside that follow each other are not joined */
	bool grows;	 /* not as many blocks as fit, but as many as are needed: the rest is the shared range */
};

/* Defaults of a mapping. */
#define PLAN_MAPPING ((struct plan_mapping){ .first_port = MAPPING_FIRST_PORT })

/* A record, and the mapping that it is a part of. */
struct plan_part {
	struct geometry geo;
	size_t mapping; /* number, as added, from 0 */
	size_t part;	/* number among the parts of its mapping, from 0 */
	uint32_t tenant;
};

struct plan {
	struct plan_part *part; /* in the order of the mappings, and of their addresses */
	size_t n;
	size_t n_mappings;
	/* Private: orders for the lookups, made by the first one. */
	uint32_t *by_in;
	uint32_t *around; /* of each in by_in, 1 + the place of the range around it; 0: none */
	uint32_t *by_out;
	size_t indexed;
};

/* What is found: a subscriber, his address and block. */
struct plan_place {
	const struct plan_part *part;
	uint32_t in_addr;
	bool translated;	 /* false: the rest has no meaning */
	struct port_block block; /* port 0 left out */
};

/*
 * Appends a text to a list: "a.b.c.d/len", "a.b.c.d-e.f.g.h", "a.b.c.d", or several of these separated by commas, with
 * blanks or without. Host bits of a prefix are cleared. 0, -ENOMEM, or -EINVAL with the text that is wrong in err and
 * the list as it was.
 */
int plan_addresses_read(const char *text, struct plan_addresses *a, struct error *err);

/* Appends a range: 0, or -ENOMEM. */
int plan_addresses_add(struct plan_addresses *a, struct plan_range range);

/* Number of addresses in a list. */
uint64_t plan_addresses_count(const struct plan_addresses *a);

void plan_addresses_free(struct plan_addresses *a);
void plan_mapping_free(struct plan_mapping *m);

/* Writes "a.b.c.d/len" if a range is a prefix, else "a.b.c.d-e.f.g.h", and returns text. */
#define PLAN_RANGE_TEXT 64
const char *plan_range_format(uint32_t first, uint32_t last, char text[static PLAN_RANGE_TEXT]);

/*
 * Expands a mapping: fills in what is not given, and cuts its lists into ranges. On success *ret_part is an array of
 * *ret_n records, the caller's to free. Returns 0, -ENOMEM, or -EINVAL, with err saying what is wrong and the figures
 * with which it would be right.
 */
int plan_expand(const struct plan_mapping *m, struct geometry **ret_part, size_t *ret_n, struct error *err);

/*
 * Adds a mapping to a plan. Errors as for plan_expand(), with the plan as it was; also -EEXIST if addresses outside
 * belong to an earlier mapping, or if addresses inside do to one of its tenant, unless the one range lies within the
 * other and is not equal. plan_forward() then finds the smaller range.
 */
int plan_add(struct plan *p, const struct plan_mapping *m, struct error *err);

/*
 * Adds a record to a plan as a mapping of its own, without a check of what it overlaps. 0, -ENOMEM, or -ENOSPC if there
 * are PLAN_MAX_PARTS.
 */
int plan_add_geometry(struct plan *p, const struct geometry *g);

/* The subscriber of a tenant with an inside address: 0, -ENOENT if no mapping covers it, or -ENOMEM. */
int plan_forward(struct plan *p, uint32_t tenant, uint32_t in_addr, struct plan_place *ret);

/*
 * The subscriber that owns an outside address and port: 0, -ENOENT if no mapping has the address, -EADDRNOTAVAIL if the
 * port is of no block, or of no subscriber, or -ENOMEM. Of two mappings with nested inside ranges the smaller one has
 * an inside address, and its outside endpoint of the larger is of no subscriber. *ret_kind (may be NULL) is written
 * unless the result is -ENOENT or -ENOMEM.
 */
int plan_reverse(struct plan *p, uint32_t out_addr, uint16_t port, struct plan_place *ret, enum mapping_port *ret_kind);

void plan_free(struct plan *p);

#define _cleanup_plan_	       __attribute__((cleanup(plan_free)))
#define _cleanup_plan_mapping_ __attribute__((cleanup(plan_mapping_free)))
#define _cleanup_addresses_    __attribute__((cleanup(plan_addresses_free)))

#endif
