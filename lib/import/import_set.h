/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of addresses as disjoint ranges in order. */
#ifndef DETNAT_IMPORT_SET_H
#define DETNAT_IMPORT_SET_H

#include "import/import.h"

/* Zero-initialised; released by import_ranges_free(). */
struct import_set {
	struct import_ranges list;
	bool failed; /* out of memory */
};

void import_set_add(struct import_set *s, struct import_range r);
void import_set_remove(struct import_set *s, struct import_range r);

/* Adds what of a range is in a set to another one. */
void import_set_common(const struct import_set *s, struct import_range r, struct import_set *to);

#endif
