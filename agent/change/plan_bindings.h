/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to change/: which inside addresses a plan takes from a mapping, and which it gives to one. */
#ifndef DETNAT_PLAN_BINDINGS_H
#define DETNAT_PLAN_BINDINGS_H

#include "change/plan_private.h"

/* Addresses of a mapping that had, or have, its translation. */
struct plan_binding {
	struct prefix in;
	struct prefix out;
	struct address_range of;
	bool made;
};

/*
 * What a committed plan changes, what is taken first: an exception takes its addresses from the mapping around it, and
 * gives them back. *ret is the caller's. Returns the number, or -ENOMEM.
 */
ssize_t plan_bindings(const struct plan *p, struct plan_binding **ret);

#endif
