/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The program that gives a subscriber a larger extent. Of its own, as there are openings of several kinds, and its
 * instructions are walked by the verifier once; it need not look at the packet.
 */
#ifndef DETNAT_EXTENT_PROGRAM_H
#define DETNAT_EXTENT_PROGRAM_H

#include "base/tail_call.h"
#include "session/extent_grow.h"

/* Leaves the packet to PROG_extent; `resume` goes on with it, whether its subscriber has a larger extent then or not.
 */
static __always_inline int extent_wait(ctx_t *ctx, const struct mapping *m, __u32 in_addr, enum prog resume)
{
	volatile struct arguments *n = arguments_get();

	if (!n)
		return drop(REASON_drop_busy);
	n->crowded = in_addr;
	n->tenant = LOAD(m->tenant);
	n->resume = resume;
	return tail_call(ctx, PROG_extent);
}

/* PROG_extent: provides what extent_wait() names. */
static __always_inline int extent_program(ctx_t *ctx)
{
	const volatile struct arguments *n = arguments_get();
	const struct mapping *m;
	struct subscriber *s;
	__u32 subscriber;

	if (!n)
		return drop(REASON_drop_busy);
	/* The mapping may have changed since. */
	m = mapping_by_inside(n->tenant, n->crowded);
	subscriber = m ? mapping_subscriber(&m->geo, n->crowded) : 0;
	s = m ? subscriber_get(m, subscriber) : 0;
	if (s)
		extent_provide(m, s, subscriber);
	return tail_call(ctx, (enum prog)n->resume);
}

#endif
