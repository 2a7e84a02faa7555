/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Unsolicited TCP to a pool address (at ingress), if `unsolicited_tcp` is "answer": segments are answered with a reset,
 * as by a host without the connection (RFC 9293 section 3.10.7.1), and SYNs go to the agent (RFC 5382 REQ-4). The
 * segment's checksum is not checked: in a frame from another namespace of the same machine it may not be computed yet.
 */
#ifndef DETNAT_RESET_H
#define DETNAT_RESET_H

#include "base/subprogram.h"
#include "packet/checksum.h"
#include "session/endpoint.h"
#include "translate/forward.h"
#include "answer/icmp_limit.h"
#include "translate/transmit_ring.h"

struct reset_frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

/* Number of 16-bit words in the headers of a reset. */
#define RESET_IP_WORDS	(sizeof(struct iphdr) / 2)
#define RESET_TCP_WORDS (sizeof(struct tcphdr) / 2)

/* The fields of a segment that its reset depends on, in host byte order. */
struct reset_cause {
	__u32 seq;
	__u32 ack;
	__u32 length; /* octets of text, plus one each for SYN and FIN */
};

/* Reads a segment that parse() has checked. Returns 0, or -1. */
static __always_inline int reset_cause_get(ctx_t *ctx, const struct packet *p, struct reset_cause *ret)
{
	struct tcphdr *tcp = ctx_data(ctx) + (p->l4_offset & 127);

	if ((void *)(tcp + 1) > ctx_data_end(ctx))
		return -1;
	ret->seq = bpf_ntohl(tcp->seq);
	ret->ack = bpf_ntohl(tcp->ack_seq);
	ret->length = p->length - (p->l4_offset - L3_OFFSET) - tcp->doff * 4U + !!(p->flags & TCP_SYN) +
		      !!(p->flags & TCP_FIN);
	return 0;
}

/* Fills in the headers of the reset about a segment, checksums included. */
static __always_inline void reset_write(void *headers, const struct packet *p, const struct reset_cause *cause)
{
	struct iphdr *ip = headers;
	struct tcphdr *tcp = (void *)(ip + 1);
	int acknowledges = !!(p->flags & TCP_ACK);

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp)),
		.frag_off = bpf_htons(IP_FLAG_DF),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
		.saddr = bpf_htonl(p->dst),
		.daddr = bpf_htonl(p->src),
	};
	*tcp = (struct tcphdr){
		.source = bpf_htons(p->dport),
		.dest = bpf_htons(p->sport),
		.seq = acknowledges ? bpf_htonl(cause->ack) : 0,
		.ack_seq = acknowledges ? 0 : bpf_htonl(cause->seq + cause->length),
		.doff = sizeof(*tcp) / 4,
		.rst = 1,
		.ack = !acknowledges,
	};

	__u64 ip_sum = 0, tcp_sum = 0;
	const __u16 *word = (void *)ip;

	for (__u32 i = 0; i < RESET_IP_WORDS; i++)
		ip_sum += word[i];
	word = (void *)tcp;
	for (__u32 i = 0; i < RESET_TCP_WORDS; i++)
		tcp_sum += word[i];
	/* The pseudo header of TCP. */
	tcp_sum += (__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp));
	ip->check = ~csum_fold(ip_sum);
	tcp->check = ~csum_fold(tcp_sum);
	count_add(REASON_drop_no_session, 1);
	count_add(REASON_sent_tcp_reset, 1);
}

#if HOOK_XDP

/* Truncates the frame to a reset, but not below Ethernet's minimum. Returns NULL if there is no room. */
static __always_inline struct reset_frame *reset_frame_get(ctx_t *ctx)
{
	struct reset_frame *f;

	if (frame_cut(ctx, ETH_ZLEN))
		return 0;
	f = ctx_data(ctx);
	if ((void *)(f + 1) > ctx_data_end(ctx))
		return 0;
	/* Clears the padding, which holds octets of the segment. */
	if ((void *)f + ETH_ZLEN <= ctx_data_end(ctx))
		__builtin_memset(f + 1, 0, ETH_ZLEN - sizeof(*f));
	return f;
}

/* Turns the segment into its reset and sends it back. */
static __always_inline int reset_send(ctx_t *ctx, const struct packet *p)
{
	struct reset_cause cause;
	struct reset_frame *f;
	__u8 sender[6];

	if (reset_cause_get(ctx, p, &cause) || !reset_budget_allows())
		return drop(REASON_drop_no_session);
	f = reset_frame_get(ctx);
	if (!f)
		return drop(REASON_drop_no_session);
	__builtin_memcpy(sender, f->eth.h_source, 6);
	__builtin_memcpy(f->eth.h_source, f->eth.h_dest, 6);
	__builtin_memcpy(f->eth.h_dest, sender, 6);
	reset_write((void *)f + offsetof(struct reset_frame, ip), p, &cause);
	return send_by(ctx, packet_ingress(ctx));
}

#else

/* Hands the reset to the agent: a segment with its checksum left to the card cannot be turned into another one. */
static __always_inline int reset_send(ctx_t *ctx, const struct packet *p)
{
	struct transmission *t = transmission_get();
	struct reset_cause cause;

	if (!t || reset_cause_get(ctx, p, &cause) || !reset_budget_allows())
		return drop(REASON_drop_no_session);
	reset_write(t->frame, p, &cause);
	if (!transmission_send(t, TRANSMISSION_PACKET, sizeof(struct iphdr) + sizeof(struct tcphdr),
			       packet_ingress(ctx), 0))
		TRACE_STEP(agent, packet_ingress(ctx), 0);
	return CTX_DROP;
}

#endif

/*
 * Hands a SYN to the agent, which may answer it later; without an agent the ring buffer fills up and the SYN is lost.
 */
static __always_inline int reset_hand_over(ctx_t *ctx, const struct packet *p)
{
	__u64 length = p->length < UNSOLICITED_QUOTE_MAX ? p->length : UNSOLICITED_QUOTE_MAX;
	struct unsolicited_syn *syn = bpf_ringbuf_reserve(&unsolicited_syns, sizeof(*syn), 0);

	if (!syn)
		return drop(REASON_drop_no_session);
	syn->time_ns = bpf_ktime_get_ns();
	syn->of = (struct session_question){
		.ext_addr = p->src,
		.out_addr = p->dst,
		.ext_port = p->sport,
		.out_port = p->dport,
		.proto = p->proto,
	};
	syn->ifindex = packet_ingress(ctx);
	syn->length = (__u32)length;
	/* 64 bits, as in icmp_error_send(). */
	barrier_var(length);
	if (OUTSIDE(length, UNSOLICITED_QUOTE_MIN, UNSOLICITED_QUOTE_MAX) ||
	    ctx_load(ctx, L3_OFFSET, syn->packet, (__u32)length))
		bpf_ringbuf_discard(syn, 0);
	else
		bpf_ringbuf_submit(syn, 0);
	return drop(REASON_drop_no_session);
}

static __always_inline int tcp_reset(ctx_t *ctx)
{
	struct packet p;
	enum packet_kind kind = parse(ctx, &p);

	if (kind != PACKET_SESSION || p.proto != IPPROTO_TCP || p.fragment || p.flags & TCP_RST ||
	    address_is_inside(p.src) || address_is_local(ctx, p.dst, p.src) || !icmp_may_answer(ctx, &p))
		return drop(REASON_drop_no_session);
	if ((p.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return reset_hand_over(ctx, &p);
	return reset_send(ctx, &p);
}

/* Returns 1 if a packet from outside with these endpoints would find a session or a portmap. */
static __always_inline int session_is_held(const struct session_question *q)
{
	struct packet p = {
		.src = q->ext_addr, .dst = q->out_addr, .sport = q->ext_port, .dport = q->out_port, .proto = q->proto
	};
	struct receiver r;

	return endpoint_owner(&p, SESSION_SEEK, &r) >= 0;
}

#endif
