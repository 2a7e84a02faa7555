// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Entry programs of interfaces with XDP. */
#include "base/ctx_xdp.h"

#define ENTRIES	      entries
#define ENTRY_SECTION "xdp.frags"
#include "programs/entry.h"

ENTRY_PROGRAM(xdp_inside, ENTRY_INSIDE)
ENTRY_PROGRAM(xdp_outside, ENTRY_OUTSIDE)
ENTRY_PROGRAM(xdp_both, ENTRY_BOTH)
