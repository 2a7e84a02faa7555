/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard's table as the kernel holds it, against the one that is wanted. */
#ifndef DETNAT_AUDIT_H
#define DETNAT_AUDIT_H

#include "guard/nft.h"
#include "base/findings.h"

/* Adds each difference; *ret_parts: things that are wanted. 0, 1 where others change tables all the time, or -errno. */
int guard_compare(struct guard_nft *n, const struct guard_rules *rules, struct findings *findings, size_t *ret_parts);

/* How many differences there are, or -errno. */
int guard_differs(struct guard_nft *n, const struct guard_rules *rules);

#endif
