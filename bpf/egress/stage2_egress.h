/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The egress of the frame that a program of stage 2 handles. */
#ifndef DETNAT_STAGE2_EGRESS_H
#define DETNAT_STAGE2_EGRESS_H

#include "egress/egress.h"
#include "egress/fib_lookup.h"
#include "egress/stage_list.h"

static __always_inline const struct stage_entry *stage2_current(void)
{
	struct stage_list *list = stage_list_get();

	return list ? stage_entry_of(list, list->current) : 0;
}

/* Never NULL, except to the verifier. */
static __always_inline const struct egress *stage2_egress(void)
{
	struct egress *ret = egress_get();
	const struct stage_entry *e = stage2_current();
	const struct fib_hop *hop;

	if (!ret || !e)
		return 0;
	hop = &fib.hop[e->hop];
	egress_of_hop(ret, hop, hop->mtu);
	return ret;
}

#endif
