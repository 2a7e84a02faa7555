/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits for ICMP errors of the datapath (RFC 1812 sections 4.3.2.7 and 4.3.2.8): which packets may cause one, and how
 * many all cores together may send. Callers apply the limit per subscriber, rate_allows() on its record.
 */
#ifndef DETNAT_ICMP_LIMIT_H
#define DETNAT_ICMP_LIMIT_H

#include "subscriber/classify.h"

#define ICMP_PER_SECOND	 10000U
#define ICMP_BURST	 1000U /* messages at once after a pause */
#define ICMP_INTERVAL_NS (1000000000ULL / ICMP_PER_SECOND)

/*
 * Returns 1 if an ICMP error may be sent about a packet: it is not about another ICMP error or an unknown ICMP type,
 * nor about or to anything but a single host. parse() has filled in *p. crossed: it is a hairpin whose source is an
 * outside endpoint already.
 */
static __always_inline int icmp_may_answer_from(ctx_t *ctx, const struct packet *p, int crossed)
{
	struct ethhdr *eth = ctx_data(ctx);
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;

	if ((void *)(ip + 1) > ctx_data_end(ctx) || (!BARE && (eth->h_dest[0] & 1 || eth->h_source[0] & 1)))
		return 0;
	if (ip->frag_off & bpf_htons(IP_OFFSET_MASK))
		return 0;
	if ((source_is_martian(p->src) && !crossed) || address_is_martian(p->dst))
		return 0;
	if (p->proto != IPPROTO_ICMP)
		return 1;

	/* Read here because parse() does not read it for fragments. */
	__u8 *type = (void *)ip + ip->ihl * 4U;

	return (void *)(type + 1) <= ctx_data_end(ctx) && (*type == ICMP_ECHO || *type == ICMP_ECHOREPLY);
}

static __always_inline int icmp_may_answer(ctx_t *ctx, const struct packet *p)
{
	return icmp_may_answer_from(ctx, p, 0);
}

/*
 * Takes one token from the budget shared by all cores (GCRA): each message moves the theoretical send time forward by
 * one interval; it may run ahead of the clock by at most one burst. Returns 1 if the message may be sent. ICMP errors
 * and TCP resets have separate budgets in struct shared_limits, so that traffic from outside cannot use up the errors
 * for subscribers.
 */
static __always_inline int budget_allows(__u64 *due_ns)
{
	__u64 now = bpf_ktime_get_ns();

	for (int i = 0; i < 4; i++) {
		__u64 due = LOAD(*due_ns), from = due > now ? due : now;

		if (from - now > (ICMP_BURST - 1) * ICMP_INTERVAL_NS)
			break;
		if (__sync_val_compare_and_swap(due_ns, due, from + ICMP_INTERVAL_NS) == due)
			return 1;
	}
	count_add(REASON_icmp_withheld, 1);
	return 0;
}

static __always_inline int icmp_budget_allows(void)
{
	struct mapping_table *t = mapping_table_get();

	return t && budget_allows(&t->limits.icmp_due_ns);
}

static __always_inline int reset_budget_allows(void)
{
	struct mapping_table *t = mapping_table_get();

	return t && budget_allows(&t->limits.reset_due_ns);
}

#endif
