/* SPDX-License-Identifier: BSD-2-Clause */
/* The proof of an import: the arithmetic of detnat itself, run on every subscriber. */
#ifndef DETNAT_IMPORT_PROVE_H
#define DETNAT_IMPORT_PROVE_H

#include "import/import.h"
#include "plan/plan.h"

struct import_proof {
	uint64_t subscribers;	 /* there */
	uint64_t kept;		 /* address and all ports */
	uint64_t shrunk;	 /* address, and a block within theirs */
	uint64_t unkept;	 /* the others; no port of another's block is theirs */
	struct import_row wrong; /* the first that got ports of which it has none there, if `foreign` */
	uint64_t foreign;	 /* must be 0 */
};

/* A part as a mapping, which plan_mapping_free() releases. 0, or -errno with err. */
int import_mapping(const struct import_part *p, struct plan_mapping *ret, struct error *err);

/* The plan that detnat makes of the parts; plan_free() releases it. 0, or -errno with err. */
int import_plan(const struct import *m, struct plan *ret, struct error *err);

/* 0, or -ENOMEM. */
int import_prove(const struct import *m, struct plan *plan, struct import_proof *ret);

/* Whether a plan gives a subscriber the ports of the row: 1, 0: it gives none, -EADDRINUSE: it gives others, or
 * -ENOMEM. */
int import_row_kept(struct plan *plan, const struct import_row *row);

#endif
