/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a program at tc ingress sends by itself passes the tc program at the egress of its way out, which must not judge
 * it once more: to that, it would be a packet from inside with a source in no mapping. So it is marked, in the part of
 * the packet's control block that belongs to tc, and that nothing writes between the two hooks. The mark names the
 * interface. What comes from the kernel's forwarding cannot have it by chance or a sender's choice: IPv4's own part of
 * the control block has flags in the low half of the first word, never all of them.
 */
#ifndef DETNAT_SENT_MARK_H
#define DETNAT_SENT_MARK_H

#include <linux/bpf.h>

#define SENT_MARK	    0x6e61ffffU
#define SENT_MARK_INTERFACE 0x64740000U

static __always_inline void sent_mark_set(struct __sk_buff *ctx, __u32 ifindex)
{
	ctx->cb[3] = SENT_MARK;
	ctx->cb[4] = SENT_MARK_INTERFACE ^ ifindex;
}

/* Gives a packet the priority that the kernel's forwarding would, by its type of service (rt_tos2priority()). */
static __always_inline void sent_priority_set(struct __sk_buff *ctx, __u8 tos)
{
	ctx->priority = 0x4620U >> (tos >> 1 & 0xc) & 7;
}

/* Returns 1 if a packet at the egress has the mark, which it loses. */
static __always_inline int sent_mark_take(struct __sk_buff *ctx)
{
	if (ctx->cb[3] != SENT_MARK || ctx->cb[4] != (SENT_MARK_INTERFACE ^ ctx->ifindex))
		return 0;
	ctx->cb[3] = 0;
	ctx->cb[4] = 0;
	return 1;
}

#endif
