// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A generator that writes the next flow of a list into the frame and tail-calls the program to be measured, and the two
 * programs that it is measured against: one that does nothing, and the floor, the least that any NAT does (parses
 * Ethernet, IPv4 and UDP, rewrites both addresses and a port). All three for XDP, and for tc.
 */
#include "base/ctx_xdp.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "packet/checksum.h"
#include "flow.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define UDP_LENGTH (FRAME - sizeof(struct ethhdr) - sizeof(struct iphdr))

/* max_entries is set by the benchmark: the longest list that its rows need. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_tuple);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct position);
} positions SEC(".maps");

/* By enum target; a program array holds programs of one hook. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, N_TARGETS);
	__type(key, __u32);
	__type(value, __u32);
} xdp_targets SEC(".maps"), tc_targets SEC(".maps");

/*
 * Writes the next flow. UDP and TCP have their ports in the same place; the rest of the frame is as it was given.
 * Returns the target.
 */
static __always_inline __u32 next_frame(void *data, void *data_end)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 zero = 0, at;
	struct position *p = bpf_map_lookup_elem(&positions, &zero);
	struct flow_tuple *f;

	if (!p || (void *)(udp + 1) > data_end)
		return N_TARGETS;
	at = p->next;
	p->next = at + 1 >= p->count ? 0 : at + 1;
	f = bpf_map_lookup_elem(&flows, &at);
	if (!f)
		return N_TARGETS;
	/* The redirects before rewrote the addresses of the frame; the receiver is asked for by the program. */
	__builtin_memset(eth->h_dest, 2, 6);
	ip->ttl = 64;
	ip->saddr = bpf_htonl(f->src);
	ip->daddr = bpf_htonl(f->dst);
	udp->source = bpf_htons(f->sport);
	udp->dest = bpf_htons(f->dport);
	return p->target;
}

SEC("xdp.frags")
int generate(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &xdp_targets, next_frame(ctx_data(ctx), ctx_data_end(ctx)));
	return XDP_ABORTED;
}

/*
 * The same with a constant index for each target, which the kernel compiles to a jump: without retpolines' cost, and
 * the processor reads ahead from one frame into the next, as it does from one frame of a driver's bulk into the next.
 */
SEC("xdp.frags")
int generate_direct(struct xdp_md *ctx)
{
	switch (next_frame(ctx_data(ctx), ctx_data_end(ctx))) {
	case TARGET_FLOOR:
		bpf_tail_call_static(ctx, &xdp_targets, TARGET_FLOOR);
		break;
	case TARGET_EMPTY:
		bpf_tail_call_static(ctx, &xdp_targets, TARGET_EMPTY);
		break;
	case TARGET_INSIDE:
		bpf_tail_call_static(ctx, &xdp_targets, TARGET_INSIDE);
		break;
	case TARGET_OUTSIDE:
		bpf_tail_call_static(ctx, &xdp_targets, TARGET_OUTSIDE);
		break;
	}
	return XDP_ABORTED;
}

/*
 * What is in front of the length stays as it was given: of words that are written in other pieces than the programs
 * read them in, reads wait until they are in the cache, as those of a frame from a card do not.
 */
static __always_inline void put_six(void *data, const struct flow_tuple *f)
{
	__u32 host = flow_host(f->sport);
	struct ipv6hdr *ip = data + sizeof(struct ethhdr);
	__u64 *addresses = (void *)&ip->saddr;

	*(__be32 *)&ip->payload_len = bpf_htonl(UDP_LENGTH << 16 | IPPROTO_UDP << 8 | 64);
	addresses[0] = bpf_cpu_to_be64(flow_host_hi(f->src, host));
	addresses[1] = flow_host_lo(f->src, host);
	addresses[2] = bpf_cpu_to_be64(FLOW_PREFIX_HI);
	addresses[3] = bpf_cpu_to_be64(f->dst);
}

/* Of these nothing stays. What makes IPv6 of it checks the header's sum. */
static __always_inline void put_four(void *data, const struct flow_tuple *f)
{
	__be32 src = bpf_htonl(f->src), dst = bpf_htonl(f->dst), hops = bpf_htonl(64U << 8 | IPPROTO_UDP);
	__be16 *half = data + sizeof(struct ethhdr), length = bpf_htons(UDP_LENGTH + sizeof(struct iphdr));

	*(__be32 *)(half - 1) = bpf_htonl(ETH_P_IP << 16 | 0x4500);
	half[1] = length;
	half[2] = 0;
	*(__be32 *)(half + 3) = hops;
	half[5] = (__be16)~csum_fold((__u64)src + dst + hops + bpf_htons(0x4500) + length);
	*(__be32 *)(half + 6) = src;
	*(__be32 *)(half + 8) = dst;
}

/* As next_frame(), where the programs make frames of one family of those of the other. */
static __always_inline __u32 next_of_either(struct xdp_md *ctx)
{
	__u32 zero = 0, at;
	struct position *p = bpf_map_lookup_elem(&positions, &zero);
	__s32 length = ctx->data_end - ctx->data, wanted;
	struct flow_tuple *f;
	struct udphdr *udp;
	void *data;

	if (!p)
		return N_TARGETS;
	at = p->next;
	p->next = at + 1 >= p->count ? 0 : at + 1;
	f = bpf_map_lookup_elem(&flows, &at);
	wanted = p->six ? FRAME_SIX : FRAME;
	if (!f || (length != wanted && bpf_xdp_adjust_head(ctx, length - wanted)))
		return N_TARGETS;
	data = ctx_data(ctx);
	if (data + FRAME > ctx_data_end(ctx) || (p->six && data + FRAME_SIX > ctx_data_end(ctx)))
		return N_TARGETS;
	__builtin_memset(data, 2, 6);
	if (p->six) {
		put_six(data, f);
		udp = data + sizeof(struct ethhdr) + sizeof(struct ipv6hdr);
	} else {
		put_four(data, f);
		udp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
	}
	udp->source = bpf_htons(f->sport);
	udp->dest = bpf_htons(f->dport);
	udp->len = bpf_htons(UDP_LENGTH);
	udp->check = 1;
	return p->target;
}

SEC("xdp.frags")
int generate_six(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &xdp_targets, next_of_either(ctx));
	return XDP_ABORTED;
}

/* Does nothing but what such programs do to a frame's length, of which the generator takes as much back. */
SEC("xdp.frags")
int moved(struct xdp_md *ctx)
{
	__s32 by = ctx->data_end - ctx->data > FRAME ? FRAME_GROWTH : -FRAME_GROWTH;

	return bpf_xdp_adjust_head(ctx, by) ? XDP_ABORTED : XDP_PASS;
}

SEC("tc")
int generate_tc(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &tc_targets, next_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end));
	return TC_ACT_UNSPEC;
}

/* Whether the frame was the UDP packet that it must be. */
static __always_inline int rewrite_least(void *data, void *data_end)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_UDP)
		return 0;

	__be32 src = bpf_htonl(0xcb007101), dst = bpf_htonl(0xc6336407);
	__be16 port = bpf_htons(2000);
	__u64 sum = csum_change32(csum_change32(0, ip->saddr, src), ip->daddr, dst);

	ip->check = csum_update(ip->check, sum);
	udp->check = csum_update(udp->check, csum_change16(sum, udp->source, port));
	ip->saddr = src;
	ip->daddr = dst;
	udp->source = port;
	return 1;
}

SEC("xdp.frags")
int empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp.frags")
int floor_program(struct xdp_md *ctx)
{
	return rewrite_least(ctx_data(ctx), ctx_data_end(ctx)) ? XDP_TX : XDP_PASS;
}

SEC("tc")
int empty_tc(struct __sk_buff *ctx)
{
	return TC_ACT_OK;
}

SEC("tc")
int floor_tc(struct __sk_buff *ctx)
{
	return rewrite_least((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? TC_ACT_OK : TC_ACT_SHOT;
}
