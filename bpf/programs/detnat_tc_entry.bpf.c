// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Entry programs at the tc ingress of interfaces without XDP. Where they find no element, packets from inside are
 * translated at the egress, and for those to the pool there is a blackhole route.
 */
#define AT_INGRESS 1
#include "base/ctx_tc.h"

#define ENTRIES	      tc_entries
#define ENTRY_SECTION "tc"
#include "programs/entry.h"

ENTRY_PROGRAM(tc_from_inside, ENTRY_INSIDE)
ENTRY_PROGRAM(tc_from_outside, ENTRY_OUTSIDE)
ENTRY_PROGRAM(tc_from_both, ENTRY_BOTH)
