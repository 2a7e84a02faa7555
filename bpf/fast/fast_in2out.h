/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside to outside on the fast path. Checks are in the same order as in in2out.h. */
#ifndef DETNAT_FAST_IN2OUT_H
#define DETNAT_FAST_IN2OUT_H

#include "fast/fast_path.h"
#include "fast/fast_session.h"
#include "fast/fast_stateless.h"
#include "egress/source.h"
#include "egress/tenant.h"

/*
 * Returns 1 if the source of a packet that opens or refreshes a session is one that the slow path would let pass;
 * see source_check().
 */
static __always_inline int fast_source_is_good(ctx_t *ctx, const struct globals *g, const struct flow *f, int told,
					       __u32 out_ifindex)
{
	if (likely(source_is_vouched(g, f->p.src, f->now)))
		return 1;
	if (told)
		return source_is_told(fib_find(f->p.src), ctx_ingress(ctx));
	return source_is_known(g, f->p.src, f->p.dst, ctx_ingress(ctx), out_ifindex, f->now);
}

/*
 * fast_session_of() for any source. A flow for which that does not find or open a session has none in its slots, so
 * the program that opens one is called at once.
 */
static __always_inline int fast_in2out_session(ctx_t *ctx, const struct globals *g, const struct flow *f, int told,
					       __u32 out_ifindex, struct slot *s, __u64 *ret_word)
{
	int verdict;

	if (unlikely(!fast_source_is_good(ctx, g, f, told, out_ifindex)))
		return TO_SLOW_PATH;
	verdict = fast_session_of(f, s, ret_word);
	return unlikely(verdict == TO_SLOW_PATH) ? tail_call(ctx, PROG_open) : verdict;
}

/* The rest of the way of a packet whose next hop is known. */
static __always_inline int fast_in2out_to(ctx_t *ctx, const struct mapping_table *t, const struct fast_packet *q,
					  struct fib_hop *hop, int told, __u32 now, enum source_check check, int open,
					  int tenants)
{
	__u32 src = bpf_ntohl(q->ip->saddr), dst = bpf_ntohl(q->ip->daddr);
	__u32 tenant = tenants && settings.tenants ? tenant_at(ctx_ingress(ctx)) : 0;
	__u32 leaf = tenants ? fib_find_inside(t, tenant, src) : fib_find_mapping(&fib.inside, &in_index, src);

	if (unlikely(!leaf))
		return TO_SLOW_PATH;

	const struct mapping *m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];

	if (tenants && settings.tenants && unlikely(tenant != LOAD(m->tenant)))
		return TO_SLOW_PATH;

	__u32 subscriber = mapping_subscriber(&m->geo, src);
	__u16 sport = bpf_ntohs(q->l4->sport), dport = bpf_ntohs(q->l4->dport);
	__u32 port_offset = mapping_first_choice(&m->geo, sport);
	struct slot *s = fast_slot(m, subscriber, dst, dport, q->proto, port_offset);

	if (unlikely(!s))
		return open ? fast_stateless_out(ctx) : TO_SLOW_PATH;
	TRACE_SUBSCRIBER(m, subscriber);
	if (check == SOURCES_STRICT_EACH &&
	    !source_is_known(&t->globals, src, dst, ctx_ingress(ctx), hop->ifindex, now))
		return TO_SLOW_PATH;

	/* A hit if the packet leaves the state word unchanged; the slot is read by rule 3 of <detnat/session.h>. */
	__u64 word = LOAD(s->truth), steady = (__u64)q->steady << 32 | now;
	const struct slot *again = s;

	if (unlikely((word & WORD_IN_TICK) != steady || slot_key_after(&again, word) != slot_key(dst, dport, sport) ||
		     LOAD(again->truth) != word)) {
		struct flow f = { .m = m, .subscriber = subscriber, .port_offset = port_offset, .now = now };
		int verdict;

		/* Each session comes this way once a tick. */
		if (told)
			fib_used(hop, now);
		f.p = fast_parsed(q, bpf_ntohl(q->ip->saddr), dst, sport, dport, fast_flags(q));
		f.key = slot_key(dst, dport, sport);
		verdict = fast_in2out_session(ctx, &t->globals, &f, told, hop->ifindex, s, &word);
		if (verdict != CONTINUE)
			return verdict;
	}
	TRACE_STEADY(word);
	count_translated(REASON_in2out_translated, bpf_ntohs(q->ip->tot_len));
	return fast_send(ctx, q, 1, mapping_out_addr(&m->geo, subscriber), word_out_port(word), hop);
}

/*
 * told: by the agent's copy of the routes; where that does not hold, calls the program that does as well with the
 * kernel's answers, which the slow path has cached. each: the source of every packet is checked by that copy;
 * open: mappings may be open; tenants: there may be tenants. Returns a verdict, or TO_SLOW_PATH with nothing changed.
 */
static __always_inline int fast_in2out(ctx_t *ctx, int told, int each, int open, int tenants)
{
	const __u32 mask = EACH_PACKET(redirect, 0xff) | (told ? EACH_PACKET(policy_routing, 0xff) : 0);
	const struct mapping_table *t = mapping_table_get();
	struct fib_hop *hop, cached;
	struct fast_packet q;

	if ((settings.each_packet & mask) != EACH_PACKET(redirect, 1) || !t || !fast_parse(ctx, &q))
		return TO_SLOW_PATH;

	__u32 now = now_ticks(), src = bpf_ntohl(q.ip->saddr);

	if (told && unlikely(!fib_holds(&t->globals, now)))
		return tail_call(ctx, PROG_in2out_cached);
	if (unlikely(!fast_hop(&t->globals, told, ctx_ingress(ctx), src, bpf_ntohl(q.ip->daddr), now, &cached, &hop) ||
		     !fib_takes(hop, FIB_SENDS_OUT, fast_sent_length(ctx, &q)) ||
		     !fib_is_for_us(q.eth, ctx_ingress(ctx))))
		return TO_SLOW_PATH;
	if (each && !source_is_told(fib_find(src), ctx_ingress(ctx)))
		return TO_SLOW_PATH;
	TRACE_STEP(next_hop, (__u64)hop->ifindex << 32 | HOP_OUT, hop->mtu);
	return fast_in2out_to(ctx, t, &q, hop, told, now, told ? SOURCES_ROUTED : settings.source_check, open, tenants);
}

#endif
