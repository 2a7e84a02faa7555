/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside to outside on the quick path. The order of checks is that of in2out.h. */
#ifndef DETNAT_QUICK_IN2OUT_H
#define DETNAT_QUICK_IN2OUT_H

#include "quick.h"
#include "quick_open.h"
#include "source.h"

/*
 * Off the straight way: the session is not in its preferred slot, has to be refreshed, changes its state, or is to be
 * opened.
 */
static __always_inline enum quick_session quick_in2out_session(ctx_t *ctx, const struct globals *g,
							       const struct flow *f, struct slot *s, __u64 *ret_truth)
{
	const struct mapping *m = f->m;

	if (unlikely(!source_is_vouched(g, f->p.src, f->now))) {
		const struct subscriber *sender = subscriber_get(m, f->subscriber);

		if (!sender || !source_is_known(sender, g, ctx_ingress(ctx), f->now))
			return QUICK_UNDECIDED;
	}
	*ret_truth = slot_match_in(s, f->key, f->p.proto, f->now, m->timeout_ticks);
	if (!*ret_truth) {
		struct subscriber *sub = subscriber_get(m, f->subscriber);
		__u32 home = home_bit(
			session_buckets(f->p.dst, f->p.dport, f->p.proto, f->port_offset, m->bucket_shift).first);
		struct slot *elsewhere;

		if (!sub)
			return QUICK_UNDECIDED;
		elsewhere = LOAD(sub->displaced) & home ? flow_find(f, ret_truth) : 0;
		if (!elsewhere)
			return quick_open(f, sub, s, home, ret_truth);
		s = elsewhere;
	}
	if (session_reopens(*ret_truth, &f->p))
		return QUICK_UNDECIDED;
	session_hit(s, *ret_truth, &f->p, 1, f->now, m, f->subscriber);
	return QUICK_FOUND;
}

/* A verdict, or TO_SLOW_PATH with nothing changed. by_source, each_source: whether each packet's source matters. */
static __always_inline int quick_in2out_with(ctx_t *ctx, int by_source, int each_source)
{
	const struct mapping_table *t = mapping_table_get();
	struct quick q;

	if (!t || !quick_parse(ctx, &q))
		return TO_SLOW_PATH;

	__u32 now = now_ticks(), src = bpf_ntohl(q.ip->saddr), dst = bpf_ntohl(q.ip->daddr);
	const struct next_hop *nh = next_hop_cached(&t->globals, ctx_ingress(ctx), by_source ? src : 0, dst, now);

	_Static_assert(WAY_OUT == 0, "the octets behind the address are 0");
	if (unlikely(!nh || nh->station != quick_station(q.eth) || bpf_ntohs(q.ip->tot_len) > nh->mtu))
		return TO_SLOW_PATH;

	TRACE_NEXT_HOP(nh);

	__u32 leaf = index_find(&in_index, src);

	if (unlikely(!leaf))
		return TO_SLOW_PATH;

	const struct mapping *m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];
	__u32 subscriber = mapping_subscriber(&m->geo, src);
	__u16 sport = bpf_ntohs(q.l4->sport), dport = bpf_ntohs(q.l4->dport);
	__u32 port_offset = mapping_first_choice(&m->geo, sport);
	struct slot *s = quick_slot(m, subscriber, dst, dport, q.proto, port_offset);

	if (unlikely(!s))
		return TO_SLOW_PATH;
	TRACE_SUBSCRIBER(m, subscriber);
	if (each_source) {
		const struct subscriber *sender = subscriber_get(m, subscriber);

		if (!sender || !source_is_known(sender, &t->globals, ctx_ingress(ctx), now))
			return TO_SLOW_PATH;
	}

	/* A truth in which nothing is to be changed, the outside port apart; read as rule 3 of session.h says. */
	__u64 truth = LOAD(s->truth), steady = (__u64)q.steady << 32 | now;

	if (unlikely((truth ^ steady) << 16 || LOAD(s->key) != slot_key(dst, dport, sport) ||
		     LOAD(s->truth) != truth)) {
		struct flow f = { .m = m, .subscriber = subscriber, .port_offset = port_offset, .now = now };
		enum quick_session found;

		f.p = quick_packet(&q, bpf_ntohl(q.ip->saddr), dst, sport, dport);
		f.key = slot_key(dst, dport, sport);
		found = quick_in2out_session(ctx, &t->globals, &f, s, &truth);
		if (found != QUICK_FOUND)
			return found == QUICK_REFUSED ? CTX_DROP : TO_SLOW_PATH;
	}
	TRACE_STEADY(truth);
	count_translated(REASON_in2out_translated, bpf_ntohs(q.ip->tot_len));
	quick_rewrite(&q, 1, mapping_out_addr(&m->geo, subscriber), truth_out_port(truth));
	ether_addresses_set(q.eth, &nh->mac);
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, nh->out_ifindex, 0);
	return bpf_redirect(nh->out_ifindex, 0);
}

/* Where sources matter only as a session opens or is refreshed. */
static __always_inline int quick_in2out(ctx_t *ctx)
{
	const __u32 mask = EACH_PACKET(redirect, 0xff) | EACH_PACKET(policy_routing, 0xff) |
			   EACH_PACKET(source_check, SOURCES_STRICT_EACH);

	return (settings.each_packet & mask) == EACH_PACKET(redirect, 1) ? quick_in2out_with(ctx, 0, 0) : TO_SLOW_PATH;
}

/* Where each packet's source matters: for routing, or as there are several inside interfaces. */
static __always_inline int quick_in2out_each(ctx_t *ctx)
{
	if (!settings.redirect)
		return TO_SLOW_PATH;
	return quick_in2out_with(ctx, settings.policy_routing, settings.source_check == SOURCES_STRICT_EACH);
}

#endif
