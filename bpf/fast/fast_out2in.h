/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Outside to inside on the fast path. Checks are in the same order as in out2in.h. */
#ifndef DETNAT_FAST_OUT2IN_H
#define DETNAT_FAST_OUT2IN_H

#include "egress/tenant.h"
#include "fast/fast_extent.h"
#include "fast/fast_path.h"
#include "fast/fast_portmap.h"
#include "fast/fast_stateless.h"
#include "session/grant.h"

/*
 * Handles a packet to an inside address whose session is not in the preferred slot, or may change its state, or that a
 * portmap takes. not_preferred: EXT_NOT_PREFERRED or 0. Returns CONTINUE with the inside port in *ret_key, as in a
 * slot's key, or TO_SLOW_PATH.
 */
static __always_inline int fast_out2in_session(const struct mapping *m, __u32 subscriber, __u32 in_addr,
					       const struct packet *p, __u32 now, __u64 not_preferred, __u64 *ret_key)
{
	struct slot *s;
	__u64 word;

	/* A port that is granted is no portmap's while it has a session, which is looked for first. */
	if (settings.portmaps &&
	    (!settings.growth || p->dport - mapping_port_lo(&m->geo, subscriber) < m->geo.ports_per_host)) {
		int in_port = fast_portmap_in(m, in_addr, not_preferred | (__u64)p->src << 16 | p->sport,
					      (__u64)p->dst << 24 | (__u32)p->dport << 8 | p->proto);

		if (in_port >= 0) {
			*ret_key = slot_key(0, 0, (__u16)in_port);
			return CONTINUE;
		}
	}
	if (settings.extent_buckets) {
		int in_port = fast_packet_out2in(m, subscriber, (__u64)p->src << 16 | p->sport,
						 (__u32)p->dport << 16 | (__u32)p->flags << 8 | p->proto);

		*ret_key = slot_key(0, 0, (__u16)in_port);
		return in_port < 0 ? TO_SLOW_PATH : CONTINUE;
	}
	s = own_lookup_out2in(m, subscriber, p, now, &word, ret_key);
	if (!s)
		return TO_SLOW_PATH;
	session_hit_fast(s, word, p, 0, now, m, subscriber);
	return CONTINUE;
}

/* Such a source may be a hairpin's peer, whose packets come from inside: see out2in.h. */
static __always_inline int source_is_in_pool(const struct globals *g, __u32 src)
{
	return src - g->pool_first <= g->pool_last - g->pool_first && index_find(&out_index, src);
}

/* What tells whether mappings may be open: the settings, or one of 0 and 1. */
#define OPEN_BY_SETTINGS 2

static __always_inline int fast_may_be_open(int open)
{
	return open == OPEN_BY_SETTINGS ? settings.open_mappings : open;
}

/*
 * Returns a verdict, or TO_SLOW_PATH with nothing changed. told: by the agent's copy of the routes; where that does not
 * hold, calls the program that does as well with the kernel's answers, which the slow path has cached. tenants: there
 * may be tenants; six: and mappings of IPv6 subscribers, whose packets are for other programs.
 */
static __always_inline int fast_out2in(ctx_t *ctx, int told, int open, int tenants, int six)
{
	const __u32 mask = EACH_PACKET(redirect, 0xff) | EACH_PACKET(outside_strict, 0xff) |
			   (told ? EACH_PACKET(policy_routing, 0xff) : 0);
	const struct mapping_table *t = mapping_table_get();
	struct fast_packet q;

	if ((settings.each_packet & mask) != EACH_PACKET(redirect, 1) || !t || !fast_parse(ctx, &q))
		return TO_SLOW_PATH;

	__u32 src = bpf_ntohl(q.ip->saddr), dst = bpf_ntohl(q.ip->daddr);
	__u32 leaf = fib_find_mapping(&fib.outside, &out_index, dst);

	if (unlikely(!leaf))
		return TO_SLOW_PATH;

	const struct mapping *m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];

	if (six && unlikely(LOAD(m->geo.flags) & MAPPING_IPV6))
		return tail_call(ctx, PROG_six_in);
	/* Fewer registers are spilled. */
	barrier_var(m);
	if (unlikely(!fib_is_for_us(q.eth, ctx_ingress(ctx))))
		return TO_SLOW_PATH;

	__u32 now = now_ticks();

	if (told && unlikely(!fib_holds(&t->globals, now)))
		return tail_call(ctx, PROG_out2in_cached);

	__u16 sport = bpf_ntohs(q.l4->sport), dport = bpf_ntohs(q.l4->dport);
	__u32 port_offset;
	__s64 reverse = mapping_reverse_at(&m->geo, dst, dport, &port_offset);

	if (unlikely(reverse < 0)) {
		/* A granted port: its session is in the subscriber's extent, and in none of its own slots. */
		if (told && settings.growth && settings.extent_buckets)
			reverse = grant_owner_hinted(m, dst, dport);
		if (reverse < 0)
			return fast_may_be_open(open) ? fast_stateless_in(ctx) : TO_SLOW_PATH;
	}

	__u32 subscriber = (__u32)reverse, length = bpf_ntohs(q.ip->tot_len);
	const struct slot *s = fast_slot(m, subscriber, src, sport, q.proto, port_offset);
	struct fib_hop *hop, cached;

	if (unlikely(!s))
		return fast_may_be_open(open) ? fast_stateless_in(ctx) : TO_SLOW_PATH;
	if (unlikely(!fast_hop(&t->globals, told, tenants ? way_inwards(m, ctx_ingress(ctx)) : ctx_ingress(ctx), src,
			       m->geo.in_base + subscriber, now, &cached, &hop) ||
		     !fib_takes(hop, FIB_SENDS_IN, fast_sent_length(ctx, &q)) || source_is_in_pool(&t->globals, src)))
		return TO_SLOW_PATH;
	if (tenants && settings.tenants && unlikely(tenant_at(hop->ifindex) != LOAD(m->tenant)))
		return TO_SLOW_PATH;
	if (told)
		fib_used(hop, now);
	TRACE_SUBSCRIBER(m, subscriber);

	/* A hit if the packet leaves the state word unchanged; the slot is read by rule 3 of <detnat/session.h>. */
	const struct slot *again = s;
	__u64 word = LOAD(s->truth), key = slot_key_after(&again, word);
	__u64 steady = (__u64)dport << 48 | (__u64)q.steady << 32;

	if (unlikely((word & WORD_OF_PORT) != steady || (key ^ slot_key(src, sport, 0)) >> 16 ||
		     LOAD(again->truth) != word || word_expired(word, now, m->timeout_ticks) ||
		     (settings.udp_inbound_refresh && q.proto == IPPROTO_UDP && word_seen(word) != now))) {
		struct packet p = fast_parsed(&q, src, dst, sport, dport, fast_flags(&q));

		/* Another flow's, or free: a word that another core changes meanwhile is of this flow before or after.
		 */
		__u64 not_preferred =
			settings.portmaps && (word_out_port(word) != dport || (key ^ slot_key(src, sport, 0)) >> 16)
				? EXT_NOT_PREFERRED
				: 0;

		if (fast_out2in_session(m, subscriber, m->geo.in_base + subscriber, &p, now, not_preferred, &key) !=
		    CONTINUE)
			return TO_SLOW_PATH;
	}
	TRACE_STEP(egress, (__u64)hop->ifindex << 32, hop->mtu);
	TRACE_STEADY(word);
	count_translated(REASON_out2in_translated, length);
	return fast_send(ctx, &q, 0, m->geo.in_base + subscriber, key_in_port(key), hop);
}

#endif
