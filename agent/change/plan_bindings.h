/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to change/: which inside addresses a plan takes from a mapping, and which it gives to one. */
#ifndef DETNAT_PLAN_BINDINGS_H
#define DETNAT_PLAN_BINDINGS_H

#include "change/plan_private.h"

/*
 * What a committed plan changes, what is taken first: an exception takes its addresses from the mapping around it, and
 * gives them back. What drains is taken when that is over; of a mapping that is retired, this says so of all its
 * addresses, those of former exceptions included. *ret is the caller's. Returns the number, or -ENOMEM.
 */
ssize_t plan_bindings(const struct plan *p, struct plan_binding **ret);

/* Appends what drains in the tables. 0 or -ENOMEM. */
int plan_binding_drains(const struct mappings *m, struct plan_binding_list *ret);

int plan_binding_append(struct plan_binding_list *l, const struct plan_binding *b);

/* Appends the addresses of one that others of the same mapping, a list of n, do not have. 0 or -ENOMEM. */
int plan_binding_append_rest(struct plan_binding_list *l, const struct plan_binding *b,
			     const struct plan_binding *minus, size_t n);

#endif
