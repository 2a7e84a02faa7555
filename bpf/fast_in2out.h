/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside to outside on the fast path. Checks are in the same order as in in2out.h. */
#ifndef DETNAT_FAST_IN2OUT_H
#define DETNAT_FAST_IN2OUT_H

#include "fast_path.h"
#include "fast_open.h"
#include "source.h"

/*
 * Handles a packet whose session is not in the preferred slot, or must be refreshed, opened or changed. Returns
 * CONTINUE with the state word in *ret_word, or a verdict.
 */
static __always_inline int fast_in2out_session(ctx_t *ctx, const struct globals *g, const struct flow *f,
					       struct slot *s, __u64 *ret_word)
{
	const struct mapping *m = f->m;

	if (unlikely(!source_is_vouched(g, f->p.src, f->now))) {
		const struct subscriber *sender = subscriber_get(m, f->subscriber);

		if (!sender || !source_is_known(sender, g, ctx_ingress(ctx), f->now))
			return TO_SLOW_PATH;
	}
	*ret_word = slot_match_in(s, f->key, f->p.proto, f->now, m->timeout_ticks);
	if (!*ret_word) {
		struct subscriber *sub = subscriber_get(m, f->subscriber);
		__u32 home = home_bit(
			session_buckets(f->p.dst, f->p.dport, f->p.proto, f->port_offset, m->bucket_shift).first);
		struct slot *elsewhere;

		if (!sub)
			return TO_SLOW_PATH;
		elsewhere = LOAD(sub->displaced) & home ? slot_lookup_in2out(f, ret_word) : 0;
		if (!elsewhere)
			return fast_open(f, sub, s, home, ret_word);
		s = elsewhere;
	}
	if (session_reopens(*ret_word, &f->p))
		return TO_SLOW_PATH;
	session_hit(s, *ret_word, &f->p, 1, f->now, m, f->subscriber);
	return CONTINUE;
}

/*
 * Returns a verdict, or TO_SLOW_PATH with nothing changed. by_source: routing depends on the source; each_source: the
 * source of every packet is checked.
 */
static __always_inline int fast_in2out_with(ctx_t *ctx, int by_source, int each_source)
{
	const struct mapping_table *t = mapping_table_get();
	struct fast_packet q;

	if (!t || !fast_parse(ctx, &q))
		return TO_SLOW_PATH;

	__u32 now = now_ticks(), src = bpf_ntohl(q.ip->saddr), dst = bpf_ntohl(q.ip->daddr);
	const struct next_hop *nh = next_hop_cached(&t->globals, ctx_ingress(ctx), by_source ? src : 0, dst, now);

	_Static_assert(HOP_OUT == 0, "the octets behind the address are 0");
	if (unlikely(!nh || nh->station != fast_station(q.eth) || bpf_ntohs(q.ip->tot_len) > nh->egress.mtu))
		return TO_SLOW_PATH;

	TRACE_NEXT_HOP(nh);

	__u32 leaf = index_find(&in_index, src);

	if (unlikely(!leaf))
		return TO_SLOW_PATH;

	const struct mapping *m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];
	__u32 subscriber = mapping_subscriber(&m->geo, src);
	__u16 sport = bpf_ntohs(q.l4->sport), dport = bpf_ntohs(q.l4->dport);
	__u32 port_offset = mapping_first_choice(&m->geo, sport);
	struct slot *s = fast_slot(m, subscriber, dst, dport, q.proto, port_offset);

	if (unlikely(!s))
		return TO_SLOW_PATH;
	TRACE_SUBSCRIBER(m, subscriber);
	if (each_source) {
		const struct subscriber *sender = subscriber_get(m, subscriber);

		if (!sender || !source_is_known(sender, &t->globals, ctx_ingress(ctx), now))
			return TO_SLOW_PATH;
	}

	/* A hit if the packet leaves the state word unchanged; the slot is read by rule 3 of <detnat/session.h>. */
	__u64 word = LOAD(s->truth), steady = (__u64)q.steady << 32 | now;

	if (unlikely((word ^ steady) << 16 || LOAD(s->key) != slot_key(dst, dport, sport) || LOAD(s->truth) != word)) {
		struct flow f = { .m = m, .subscriber = subscriber, .port_offset = port_offset, .now = now };
		int verdict;

		f.p = fast_parsed(&q, bpf_ntohl(q.ip->saddr), dst, sport, dport);
		f.key = slot_key(dst, dport, sport);
		verdict = fast_in2out_session(ctx, &t->globals, &f, s, &word);
		if (verdict != CONTINUE)
			return verdict;
	}
	TRACE_STEADY(word);
	count_translated(REASON_in2out_translated, bpf_ntohs(q.ip->tot_len));
	fast_rewrite(&q, 1, mapping_out_addr(&m->geo, subscriber), word_out_port(word));
	ether_addresses_set(q.eth, &nh->egress.mac);
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, nh->egress.ifindex, 0);
	return bpf_redirect(nh->egress.ifindex, 0);
}

/* For settings where sources matter only when a session opens or is refreshed. */
static __always_inline int fast_in2out(ctx_t *ctx)
{
	const __u32 mask = EACH_PACKET(redirect, 0xff) | EACH_PACKET(policy_routing, 0xff) |
			   EACH_PACKET(source_check, SOURCES_STRICT_EACH);

	return (settings.each_packet & mask) == EACH_PACKET(redirect, 1) ? fast_in2out_with(ctx, 0, 0) : TO_SLOW_PATH;
}

/* For settings where every packet's source matters: for routing, or because there are several inside interfaces. */
static __always_inline int fast_in2out_each(ctx_t *ctx)
{
	if (!settings.redirect)
		return TO_SLOW_PATH;
	return fast_in2out_with(ctx, settings.policy_routing, settings.source_check == SOURCES_STRICT_EACH);
}

#endif
