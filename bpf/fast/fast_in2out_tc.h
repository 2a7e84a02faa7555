/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside to outside on the fast path of tc at the egress: unfragmented TCP and UDP packets with a plain 20-octet IPv4
 * header, whose session is in a slot or opens in the simplest case. As at XDP, it never decides differently from the
 * slow path (in2out.h, in2out_tc.h), and leaves every packet that it does not recognise at once to it, unchanged.
 */
#ifndef DETNAT_FAST_IN2OUT_TC_H
#define DETNAT_FAST_IN2OUT_TC_H

#include "egress/source.h"
#include "egress/tenant.h"
#include "fast/fast_packet.h"
#include "fast/fast_session.h"
#include "fast/fast_tc.h"
#include "subscriber/bypass.h"

/* Sets flags and steady state of a segment whose header is in reach. Returns 1 if it is for the fast path. */
static __always_inline int fast_parse_tcp(struct fast_packet *q, __u32 length, __u8 *ret_flags)
{
	__u32 flags = fast_tcp_flags(q), headers = q->l4->tcp.doff * 4U;

	if (headers < sizeof(struct tcphdr) || (settings.tcp_mss_clamp && flags & TCP_SYN))
		return 0;
	*ret_flags = (__u8)flags;
	q->steady = flags & (TCP_FIN | TCP_SYN | TCP_RST) ? STEADY_NEVER : STEADY_TCP;
	return headers + sizeof(struct iphdr) <= length;
}

static __always_inline int fast_parse_udp(struct fast_packet *q, __u32 length)
{
	__u32 announced = bpf_ntohs(q->l4->udp.len);

	q->steady = STEADY_UDP;
	return announced >= sizeof(struct udphdr) && announced + sizeof(struct iphdr) <= length;
}

/*
 * Returns 1 and sets *q and the flags of TCP, or 0, if the packet is one for the fast path. Only its headers need be in
 * reach, and it may be a GSO frame: no length changes. More of TCP's are than of UDP's, which older verifiers do not
 * derive from the protocol later: what lies there is read here. l3: L3_OFFSET as a constant.
 */
static __always_inline int fast_parse_tc(ctx_t *ctx, struct fast_packet *q, __u32 l3, __u8 *ret_flags)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	__u32 length;

	q->ip = data + l3;
	q->l4 = data + l3 + sizeof(struct iphdr);
	if ((void *)(&q->l4->udp + 1) > data_end)
		return 0;
	/* A tag that is still in the frame shows here, too. */
	if ((l3 ? *(__be16 *)(data + offsetof(struct ethhdr, h_proto)) : (__be16)ctx->protocol) != bpf_htons(ETH_P_IP))
		return 0;
	if (*(__u8 *)q->ip != 0x45 || q->ip->frag_off & bpf_htons(IP_FLAG_MF | IP_OFFSET_MASK))
		return 0;
	length = bpf_ntohs(q->ip->tot_len);
	if (l3 + length > ctx->len)
		return 0;
	q->proto = q->ip->protocol;
	*ret_flags = 0;
	if (q->proto == IPPROTO_UDP)
		return fast_parse_udp(q, length);
	return q->proto == IPPROTO_TCP && (void *)(q->l4 + 1) <= data_end && fast_parse_tcp(q, length, ret_flags);
}

/* Returns 1 if a packet came from inside and leaves by an interface that is an outside one only. */
static __always_inline int fast_crosses(ctx_t *ctx)
{
	struct device_table *t = device_table_get();

	return t && !ctx->vlan_present && device_at(t, ctx_ingress(ctx))->roles & DEVICE_INSIDE &&
	       !(device_at(t, ctx->ifindex)->roles & DEVICE_INSIDE);
}

/* Returns 1 if a packet has addresses that are never translated, or dropped; the slow path knows which. */
static __always_inline int fast_addresses_are_special(__u32 src, __u32 dst)
{
	return address_is_martian(dst) || address_is_link_local(dst) || address_is_link_local(src) || is_bypassed(dst);
}

/* l3: L3_OFFSET as a constant. Returns a verdict, or TO_SLOW_PATH with nothing changed. */
static __always_inline int fast_in2out_tc(ctx_t *ctx, __u32 l3)
{
	const struct mapping_table *t = mapping_table_get();
	struct fast_packet q = {};
	__u8 flags;

	if (!t || !fast_crosses(ctx) || !fast_parse_tc(ctx, &q, l3, &flags))
		return TO_SLOW_PATH;

	__u32 src = bpf_ntohl(q.ip->saddr), dst = bpf_ntohl(q.ip->daddr), now = now_ticks();
	__u32 leaf = fib_find_inside(t, packet_tenant(ctx), src), length = bpf_ntohs(q.ip->tot_len);

	if (!leaf || fast_addresses_are_special(src, dst))
		return TO_SLOW_PATH;

	const struct mapping *m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];

	if (tenant_differs(ctx, m))
		return TO_SLOW_PATH;

	__u16 sport = bpf_ntohs(q.l4->sport), dport = bpf_ntohs(q.l4->dport);
	struct flow f = { .m = m,
			  .subscriber = mapping_subscriber(&m->geo, src),
			  .port_offset = mapping_first_choice(&m->geo, sport),
			  .now = now,
			  .key = slot_key(dst, dport, sport) };
	struct slot *s = fast_slot(m, f.subscriber, dst, dport, q.proto, f.port_offset);

	if (!s)
		return TO_SLOW_PATH;

	/* A hit if the packet leaves the state word unchanged; the slot is read by rule 3 of <detnat/session.h>. */
	__u64 word = LOAD(s->truth), steady = (__u64)q.steady << 32 | now;
	const struct slot *again = s;
	int changes =
		(word & WORD_IN_TICK) != steady || slot_key_after(&again, word) != f.key || LOAD(again->truth) != word;

	if (changes && !source_is_vouched(&t->globals, src, now))
		return TO_SLOW_PATH;
	TRACE_SUBSCRIBER(m, f.subscriber);
	if (changes) {
		int verdict;

		f.p = fast_parsed(&q, src, dst, sport, dport, flags);
		verdict = fast_session_of(&f, s, &word);
		if (verdict != CONTINUE)
			return verdict;
	}
	TRACE_STEADY(word);
	if (fast_rewrite_tc(ctx, &q, l3, 1, mapping_out_addr(&m->geo, f.subscriber), word_out_port(word), 0))
		return drop(REASON_drop_error);
	TRACE_LOOK(ctx, rewritten, 0, 0);
	count_translated(REASON_in2out_translated, length);
	return CTX_PASS;
}

#endif
