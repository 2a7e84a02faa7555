/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path of IPv6 subscribers, as fast_path.h is that of IPv4 ones: whole TCP and UDP packets without extension
 * headers, and next hops that the copy of the routes has. The first program has packets of sessions in their preferred
 * slots, which they do not change but for last seen. The next one, that of the slow path, begins with the same for
 * sessions in other slots, and for packets that change the state of their session or open it (fast_find6.h). All others
 * are the slow path's, unchanged.
 *
 * The first lines of a subscriber's hosts are asked for before the slot is read, so that both misses of the cache are
 * one wait.
 */
#ifndef DETNAT_PASSAGE_FAST_H
#define DETNAT_PASSAGE_FAST_H

#include "fast/fast_out2in.h"
#include "passage/fast_find6.h"
#include "passage/fast_send6.h"
#include "passage/outwards.h"
#include "slow/out2in.h"

/* elsewhere: as in fast_six_out(). */
static __always_inline int fast_six_transport(struct fast_six *q, int elsewhere)
{
	__u32 headers;
	__u8 flags;

	if (likely(q->proto == IPPROTO_UDP)) {
		headers = bpf_ntohs(q->l4->udp.len);
		q->steady = STEADY_UDP;
		return headers >= sizeof(struct udphdr) && headers <= q->length && q->l4->udp.check;
	}
	if (q->proto != IPPROTO_TCP)
		return 0;
	headers = q->l4->tcp.doff * 4U;
	flags = ((const __u8 *)&q->l4->tcp)[13];
	q->steady = STEADY_TCP;
	if (headers < sizeof(struct tcphdr) || headers > q->length)
		return 0;
	return elsewhere ? !(settings.tcp_mss_clamp && flags & TCP_SYN) : !(flags & (TCP_FIN | TCP_SYN | TCP_RST));
}

/* Returns 1 and sets *q if the packet is one for the fast path. */
static __always_inline int fast_six_parse(ctx_t *ctx, struct fast_six *q, int elsewhere)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	__u32 word, length;

	q->eth = data;
	q->ip = data + L3_OFFSET;
	q->l4 = data + L3_OFFSET + sizeof(struct ipv6hdr);
	if (unlikely((void *)(q->l4 + 1) > data_end))
		return 0;
	if (unlikely((*(__be32 *)(data + 12) & bpf_htonl(0xfffff000)) != bpf_htonl(ETH_P_IPV6 << 16 | 0x6000)))
		return 0;
	/* Length, next header and hop limit in one word. */
	word = bpf_ntohl(LOAD(*(__be32 *)&q->ip->payload_len));
	length = word >> 16;
	barrier_var(length);
	length &= 0xffff;
	q->length = length;
	q->proto = (__u8)(word >> 8);
	q->hop_limit = (__u8)word;
	if (unlikely(q->hop_limit <= 1 || !fast_frame_holds(ctx, data, data_end, sizeof(struct ipv6hdr) + length)))
		return 0;
	return fast_six_transport(q, elsewhere);
}

/* As fast_flags(). */
static __always_inline __u8 fast_six_flags(const struct fast_six *q)
{
	return q->proto == IPPROTO_TCP ? ((const __u8 *)&q->l4->tcp)[13] : 0;
}

/* The lines of a subscriber's hosts are in one chunk, aligned. first: number of the first one, here and below. */
static __always_inline void *fast_six_lines(__u32 first)
{
	__u32 chunk = first >> HOST6_CHUNK_SHIFT;

	return bpf_map_lookup_elem(&hosts6, &chunk);
}

static __always_inline const struct host6 *fast_six_host(void *lines, __u32 first, __u32 host)
{
	__u32 within = (first & (HOST6_CHUNK - 1)) + host;

	return bpf_map_lookup_elem(lines, &within);
}

/* Has the line of a subscriber's first hosts on its way. */
static __always_inline void fast_six_touch(void *lines, __u32 first)
{
	const struct host6 *h = fast_six_host(lines, first, 0);

	if (h)
		(void)LOAD(h->lo);
}

/*
 * State word of the session that a packet of a host has in a slot, read by rule 3, if the packet changes no more of it
 * than last seen, which may be refreshed; else 0.
 */
static __always_inline __u64 fast_six_word(const struct globals *g, const struct mapping *m, struct slot *s,
					   const struct fast_six *q, __u64 key, void *lines, __u32 first, __u64 lo,
					   __u32 bits, __u32 virt, __u32 now)
{
	const struct slot *again = s;
	__u64 word = LOAD(s->truth), found = slot_key_after(&again, word);
	const struct host6 *h;

	if (unlikely((word >> 32 & WORD_KIND) != q->steady || found != key))
		return 0;
	h = fast_six_host(lines, first, word_host(word));
	if (unlikely(!h || LOAD(h->lo) != lo || LOAD(h->hi) != bits))
		return 0;
	order_reads();
	if (unlikely(LOAD(again->truth) != word))
		return 0;
	if (likely(word_seen(word) == (now & WORD_SEEN)))
		return word;
	if (unlikely(!source_is_vouched(g, virt, now) || word_owner(word) ||
		     word_expired(word, now, m->timeout_ticks) || !slot_change(s, word, word_seen_at(word, now))))
		return 0;
	return word;
}

/*
 * Returns a verdict, or another value with nothing changed but a session's last seen. elsewhere: 0: looks for the
 * session in its preferred slot, 1: in all others. Two programs, so that the first one has all registers to itself.
 */
static __always_inline int fast_six_out(ctx_t *ctx, int elsewhere)
{
	const __u32 mask = EACH_PACKET(redirect, 0xff) | EACH_PACKET(policy_routing, 0xff);
	const struct mapping_table *t = mapping_table_get();
	const struct record6 *r;
	const struct range6 *range;
	const struct mapping *m;
	struct fib_hop *hop;
	struct fast_six q;
	struct slot *s;
	void *lines;

	if ((settings.each_packet & mask) != EACH_PACKET(redirect, 1) || settings.source_check == SOURCES_STRICT_EACH ||
	    !t || !fast_six_parse(ctx, &q, elsewhere))
		return TO_SLOW_PATH;

	__u32 now = now_ticks();
	__u64 *src = (__u64 *)&q.ip->saddr, *to = (__u64 *)&q.ip->daddr, hi = be64_number(src[0]), lo = src[1];

	range = range6_find(hi);
	if (unlikely(!range))
		return TO_SLOW_PATH;

	__u32 virt = range6_virtual(range, hi), leaf = LOAD(range->leaf), dst;
	__u32 bits = (__u32)hi & ((1U << (range->shift & 31)) - 1);

	barrier_var(virt);
	barrier_var(bits);

	if (unlikely(!fib_holds(&t->globals, now) || !fib_is_for_us(q.eth, ctx_ingress(ctx))))
		return TO_SLOW_PATH;

	r = record6_of(leaf);
	if (unlikely(!r || !nat64_has(r, to)))
		return TO_SLOW_PATH;
	m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];
	dst = likely(r->nat64_plen == 96) ? bpf_ntohl(((__be32 *)to)[3]) : nat64_address4(r, to);
	hop = fib_find(dst);
	if (unlikely(!fib_takes(hop, FIB_SENDS_OUT, fast_six_sent(ctx, &q) + sizeof(struct iphdr))))
		return TO_SLOW_PATH;

	__u32 subscriber = mapping_subscriber(&m->geo, virt), first = host6_number(r, m->host_shift, subscriber, 0);
	__u16 sport = bpf_ntohs(q.l4->sport), dport = bpf_ntohs(q.l4->dport);

	barrier_var(first);
	s = fast_slot(m, subscriber, dst, dport, q.proto, mapping_first_choice(&m->geo, sport));
	if (unlikely(!s))
		return TO_SLOW_PATH;

	__u64 key = slot_key(dst, dport, sport), word;

	if (elsewhere) {
		if (address_is_nobodys(r, dst))
			return TO_SLOW_PATH;
		__u64 flow = (__u64)subscriber << 32 | (__u32)fast_six_flags(&q) << 8 | q.proto;

		word = fast_six_find_out(m, key, flow, hi, lo);
		if (word == EXTENT_LEAVE)
			return TO_SLOW_PATH;
		if (word == EXTENT_NONE)
			word = fast_six_open(m, key, flow);
		if (IS_NO_WORD(word))
			return (int)word;
	} else {
		lines = fast_six_lines(first);
		if (unlikely(!lines))
			return TO_SLOW_PATH;
		fast_six_touch(lines, first);
		word = fast_six_word(&t->globals, m, s, &q, key, lines, first, lo, bits, virt, now);
		if (unlikely(!word))
			return TO_SLOW_PATH;
		TRACE_SUBSCRIBER(m, subscriber);
		TRACE_STEADY(word);
	}
	TRACE_STEP(next_hop, (__u64)hop->ifindex << 32 | HOP_OUT, hop->mtu);
	fib_used(hop, now);

	__u64 count = count_translated(REASON_in2out_translated, q.length + sizeof(struct iphdr));
	__u32 out = mapping_out_addr(&m->geo, subscriber);
	__be16 port = bpf_htons(word_out_port(word));

	return fast_six_send4(ctx, &q, out, dst, port, identification_of_whole(word, count), hop);
}

/* Returns 1 if the checksum of a header without options is right: nothing behind us would find it wrong. */
static __always_inline int fast_six_header_holds(const struct iphdr *ip)
{
	const __u32 *word = (const void *)ip;

	return !csum_update_short(0xffff, csum_fold_once((__u64)word[0] + word[1] + word[2] + word[3] + word[4]));
}

/*
 * The receiver of a packet from outside whose session is in a slot, read by rule 3, if the packet changes nothing of
 * it. Returns 1 and sets its address, octets as in a packet, and the slot's key. ext: slot_key() with any inside port.
 */
static __always_inline int fast_six_receiver(const struct mapping *m, const struct record6 *r, const struct slot *s,
					     const struct fast_packet *q, __u64 ext, __u16 dport, __u32 subscriber,
					     void *lines, __u32 first, __u32 now, const struct fib_hop *hop,
					     __u64 to[2], __u64 *ret_key)
{
	const struct slot *again = s;
	__u64 word = LOAD(s->truth), key = slot_key_after(&again, word);
	const struct host6 *h;

	if (unlikely((word & WORD_OF_PORT) != ((__u64)dport << 48 | (__u64)q->steady << 32) || (key ^ ext) >> 16))
		return 0;
	h = fast_six_host(lines, first, word_host(word));
	if (unlikely(!h))
		return 0;
	to[0] = be64_number(subscriber6_hi(r, subscriber) | LOAD(h->hi));
	to[1] = LOAD(h->lo);
	order_reads();
	if (unlikely(LOAD(again->truth) != word || word_expired(word, now, m->timeout_ticks) ||
		     (settings.udp_inbound_refresh && q->proto == IPPROTO_UDP && word_seen(word) != (now & WORD_SEEN))))
		return 0;
	TRACE_SUBSCRIBER(m, subscriber);
	TRACE_STEP(egress, (__u64)hop->ifindex << 32, hop->mtu + LEAVE_GROWTH);
	TRACE_STEADY(word);
	*ret_key = key;
	return 1;
}

/* The same of one whose session is in another slot, or may change. */
static __always_inline int fast_six_receiver_elsewhere(const struct mapping *m, const struct fast_packet *q, __u64 ext,
						       __u16 dport, __u32 subscriber, __u64 to[2], __u64 *ret_key)
{
	int port =
		fast_six_find_in(m, subscriber, ext >> 16, (__u32)dport << 16 | (__u32)fast_flags(q) << 8 | q->proto);
	const struct six *x = six_get();

	if (port < 0 || !x)
		return 0;
	to[0] = be64_number(LOAD(x->hi));
	to[1] = LOAD(x->lo);
	*ret_key = (__u64)port;
	return 1;
}

/* As fast_six_out(). */
static __always_inline int fast_six_in(ctx_t *ctx, int elsewhere)
{
	const __u32 mask =
		EACH_PACKET(redirect, 0xff) | EACH_PACKET(outside_strict, 0xff) | EACH_PACKET(policy_routing, 0xff);
	const struct mapping_table *t = mapping_table_get();
	const struct record6 *r;
	const struct slot *s;
	struct fast_packet q;
	struct fib_hop *hop;
	void *lines;

	if ((settings.each_packet & mask) != EACH_PACKET(redirect, 1) || !t || !fast_parse(ctx, &q) ||
	    (!elsewhere && q.steady == STEADY_NEVER) || !fast_six_header_holds(q.ip))
		return TO_SLOW_PATH;

	__u32 now = now_ticks(), src = bpf_ntohl(q.ip->saddr), dst = bpf_ntohl(q.ip->daddr), port_offset;
	__u32 leaf = fib_find_mapping(&fib.outside, &out_index, dst), length = bpf_ntohs(q.ip->tot_len);
	const struct mapping *m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];
	__u16 sport = bpf_ntohs(q.l4->sport), dport = bpf_ntohs(q.l4->dport);

	if (unlikely(!leaf || !(LOAD(m->geo.flags) & MAPPING_IPV6) || !fib_holds(&t->globals, now) ||
		     !fib_is_for_us(q.eth, ctx_ingress(ctx)) || (q.proto == IPPROTO_UDP && !q.l4->udp.check)))
		return TO_SLOW_PATH;

	/* Kept: the compiler would work it out anew each time. */
	barrier_var(m);

	__s64 reverse = mapping_reverse_at(&m->geo, dst, dport, &port_offset);
	__u32 subscriber = (__u32)reverse;

	r = record6_of(LOAD(m->record6));
	if (unlikely(reverse < 0 || !r))
		return TO_SLOW_PATH;
	/* What has no DF may have to be cut. */
	if (unlikely(!(q.ip->frag_off & bpf_htons(IP_FLAG_DF)) && !frame_is_segmented(ctx) &&
		     length + LEAVE_GROWTH > r->lowest_mtu))
		return TO_SLOW_PATH;

	__u32 first = host6_number(r, m->host_shift, subscriber, 0);

	barrier_var(first);
	hop = fib_find(m->geo.in_base + subscriber);
	s = fast_slot(m, subscriber, src, sport, q.proto, port_offset);
	if (unlikely(!s || !fib_takes(hop, FIB_SENDS_IN, fast_sent_length(ctx, &q)) ||
		     source_is_in_pool(&t->globals, src)))
		return TO_SLOW_PATH;

	__u64 ext = slot_key(src, sport, 0), key, to[2], from[2];

	if (elsewhere) {
		if (!fast_six_receiver_elsewhere(m, &q, ext, dport, subscriber, to, &key))
			return TO_SLOW_PATH;
		TRACE_STEP(egress, (__u64)hop->ifindex << 32, hop->mtu + LEAVE_GROWTH);
	} else {
		lines = fast_six_lines(first);
		if (unlikely(!lines))
			return TO_SLOW_PATH;
		fast_six_touch(lines, first);
		if (unlikely(!fast_six_receiver(m, r, s, &q, ext, dport, subscriber, lines, first, now, hop, to, &key)))
			return TO_SLOW_PATH;
	}
	fib_used(hop, now);
	count_translated(REASON_out2in_translated, length);
	if (likely(r->nat64_plen == 96)) {
		from[0] = r->nat64[0];
		from[1] = r->nat64[1] | (__u64)q.ip->saddr << 32;
	} else {
		nat64_address(r, src, from);
	}

	return fast_six_send6(ctx, &q, from, to, bpf_htons(key_in_port(key)), hop);
}

/* PROG_six_out and PROG_six_in. */

static __always_inline int six_out(ctx_t *ctx)
{
	int verdict = fast_six_out(ctx, 0);

	return FINAL(verdict) ? verdict : tail_call(ctx, PROG_six_out_slow);
}

static __always_inline int six_in(ctx_t *ctx)
{
	int verdict = fast_six_in(ctx, 0);

	return FINAL(verdict) ? verdict : tail_call(ctx, PROG_six_in_slow);
}

/* PROG_six_out_slow and PROG_six_in_slow. */

static __always_inline int six_out_later(ctx_t *ctx)
{
	int verdict = fast_six_out(ctx, 1);

	return FINAL(verdict) ? verdict : six_out_slow(ctx);
}

static __always_inline int six_in_later(ctx_t *ctx)
{
	int verdict = fast_six_in(ctx, 1);

	return FINAL(verdict) ? verdict : out2in(ctx);
}

#endif
