/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the guard's table in the kernel with the one that is wanted. */
#ifndef DETNAT_AUDIT_H
#define DETNAT_AUDIT_H

#include "base/findings.h"
#include "guard/nft.h"

/*
 * Adds each difference to the findings; *ret_parts: how many parts are wanted. 0; 1 if other programs keep changing
 * tables; or -errno.
 */
int guard_compare(struct guard_nft *n, const struct guard_rules *rules, struct findings *findings, size_t *ret_parts);

/* The number of differences, or -errno. */
int guard_differs(struct guard_nft *n, const struct guard_rules *rules);

#endif
