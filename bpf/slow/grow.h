/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Refuses an opening for which no port is left, and asks the agent for a block, <detnat/growth.h>. */
#ifndef DETNAT_GROW_H
#define DETNAT_GROW_H

#include "base/notify.h"
#include "base/tail_call.h"
#include "session/grant.h"

/*
 * subscriber.growth_asked: the jiffy before which the agent is not asked again, rounded up | GROWTH_ASKED_AGAIN | the
 * grants that the subscriber had then, GROWTH_ASKED_GRANTS. 0: not asked yet.
 */
#define GROWTH_ASKED_AGAIN 0x20U
#define GROWTH_ASKED_FLAGS 0x3fU
_Static_assert(GROWTH_MAX_BLOCKS <= GROWTH_ASKED_GRANTS + 1, "all but the last number leave room for one more");

/* So long after a request that was in vain, the next one is a first one. */
#define GROWTH_FORGOTTEN_S 60U

/*
 * Asks the agent for a block, four times a second at most. Returns 1 while the first request for this block is under
 * way; 0: it was in vain so far.
 */
static __always_inline int growth_ask(const struct flow *f, struct subscriber *s, __u32 grants)
{
	__u32 now = (__u32)bpf_jiffies64(), old = LOAD(s->growth_asked), next = old & ~GROWTH_ASKED_FLAGS;
	int waits = next - now - 1 < settings.hz;
	int first = !old || (old & GROWTH_ASKED_GRANTS) != grants ||
		    (!waits && now - next > GROWTH_FORGOTTEN_S * settings.hz);

	if (!first && waits)
		return !(old & GROWTH_ASKED_AGAIN);
	next = (now + settings.hz / 4 + GROWTH_ASKED_FLAGS) & ~GROWTH_ASKED_FLAGS;
	next |= grants | (first ? 0 : GROWTH_ASKED_AGAIN);
	if (__sync_val_compare_and_swap(&s->growth_asked, old, next) == old)
		flow_notify(f, EVENT_GROWTH, 0);
	return first;
}

/*
 * Refuses a flow without a port. In silence while the agent is on its way to grant a block, as the retransmission will
 * find it; if that does not come, the refusals after it are answered.
 */
static __always_inline int open_grow(ctx_t *ctx, const struct flow *f, struct subscriber *s)
{
	__u32 grants;

	if (!mapping_grows(f->m))
		return refuse(ctx, REASON_drop_ports_exhausted);
	grants = grants_of(f->m, f->p.src);
	if (grants >= LOAD(f->m->growth.max_blocks) || grants_none_left(f->m, f->p.src))
		return refuse(ctx, REASON_drop_growth_exhausted);
	if (!growth_is_served(f->now) || !growth_ask(f, s, grants & GROWTH_ASKED_GRANTS))
		return refuse(ctx, REASON_drop_ports_exhausted);
	__sync_fetch_and_add(&s->refused, 1);
	return drop(REASON_drop_ports_exhausted);
}

#endif
