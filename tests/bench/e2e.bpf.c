// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The world around a gateway, in XDP: a generator of live frames, and at both ends of the wires what counts, answers
 * and drops. Beside them two gateways to compare with: one that only forwards by redirect, one that leaves all to the
 * kernel.
 *
 * Pages of live frames are used again, with whatever the receivers made of them, so every header is written each time.
 */
#include "base/ctx_xdp.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "packet/checksum.h"
#include "e2e_flow.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, E2E_MAX_FLOWS);
	__type(key, __u32);
	__type(value, struct e2e_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, E2E_MAX_FLOWS);
	__type(key, __u32);
	__type(value, struct e2e_endpoint);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} samples SEC(".maps");

struct e2e_orders orders;
struct e2e_tally tally;
__u32 next_turn; /* of the pattern */
/* Interface and next station of the redirecting gateway, by the interface that a frame comes in by. */
struct {
	__u32 ifindex;
	__u8 mac[6];
	__u8 pad[2];
} redirects[64];

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_ACK 16

#define L4_OFFSET (ETH_HLEN + sizeof(struct iphdr))

/* Ethernet and IPv4 headers of a flow's next frame. */
static __always_inline void write_l2l3(struct ethhdr *eth, const struct e2e_flow *f, __u32 length, __u8 proto,
				       __u32 ip_sum)
{
	struct iphdr *ip = (void *)(eth + 1);

	__builtin_memcpy(eth->h_dest, orders.dst_mac, 6);
	__builtin_memcpy(eth->h_source, orders.src_mac, 6);
	eth->h_proto = bpf_htons(ETH_P_IP);
	*(__u16 *)ip = bpf_htons(0x4500);
	ip->tot_len = bpf_htons((__u16)(length - ETH_HLEN));
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = E2E_TTL;
	ip->protocol = proto;
	ip->check = ~csum_fold((__u64)ip_sum + f->src + f->dst);
	ip->saddr = f->src;
	ip->daddr = f->dst;
}

struct sched_info {
	unsigned long long run_delay;
} __attribute__((preserve_access_index));

struct task_struct {
	struct sched_info sched_info;
} __attribute__((preserve_access_index));

/* Who sends: the last packet may arrive in another's context. */
struct task_struct *sender;

/*
 * Time is taken here, between first packet and last, as a test run itself waits for several grace periods of RCU before
 * and after. Waits for the core are the scheduler's own figure.
 */
static __always_inline struct e2e_moment moment(void)
{
	struct e2e_moment m = { .at = bpf_ktime_get_ns() };

	if (bpf_core_field_exists(((struct task_struct *)0)->sched_info.run_delay))
		m.waited = BPF_CORE_READ(sender, sched_info.run_delay);
	return m;
}

static __always_inline const struct e2e_flow *next_flow(__u32 *ret_at)
{
	*ret_at = (__u32)tally.sent;
	return bpf_map_lookup_elem(&flows, ret_at);
}

static __always_inline int send(__u32 at)
{
	__u32 way = at >> E2E_BATCH_SHIFT & (orders.ways - 1) & (E2E_MAX_WAYS - 1);

	if (!tally.sent) {
		sender = (void *)bpf_get_current_task();
		tally.first = moment();
	}
	if (++tally.sent == orders.expected)
		tally.last = moment();
	return bpf_redirect(orders.ifindex[way], 0);
}

/* UDP, of the sizes ordered. The frame comes in as the longest of them. */
static __always_inline int make_udp(struct xdp_md *ctx)
{
	__u32 at, turn;
	const struct e2e_flow *f = next_flow(&at);

	if (!f)
		return XDP_ABORTED;
	turn = next_turn;
	next_turn = turn + 1 < orders.pattern ? turn + 1 : 0;
	if (turn >= E2E_MAX_PATTERN)
		return XDP_ABORTED;

	const struct e2e_shape *s = &orders.shape[turn];
	__s32 cut = (__s32)(ctx->data_end - ctx->data) - (__s32)s->length;

	if (cut > 0 && bpf_xdp_adjust_tail(ctx, -cut))
		return XDP_ABORTED;

	struct ethhdr *eth = ctx_data(ctx);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 *number = (void *)(udp + 1);
	__u32 ports = f->sport | (__u32)f->dport << 16;

	if ((void *)(number + 1) > ctx_data_end(ctx))
		return XDP_ABORTED;
	write_l2l3(eth, f, s->length, IPPROTO_UDP, s->ip_sum);
	udp->source = f->sport;
	udp->dest = f->dport;
	udp->len = bpf_htons((__u16)(s->length - L4_OFFSET));
	udp->check = ~csum_fold(s->l4_sum + f->src + f->dst + ports + f->number);
	if (!udp->check)
		udp->check = 0xffff;
	*number = f->number;
	return send(at);
}

SEC("xdp.frags")
int generate_udp(struct xdp_md *ctx)
{
	return make_udp(ctx);
}

/* Frames that go no further: what the generator itself costs. */
SEC("xdp.frags")
int generate_nothing(struct xdp_md *ctx)
{
	int verdict = make_udp(ctx);

	return verdict == XDP_ABORTED ? verdict : XDP_DROP;
}

/* Sum of a TCP header without options, and of its pseudo header. */
static __always_inline __u64 tcp_sum(const struct iphdr *ip, const struct tcphdr *tcp)
{
	const __u32 *w = (const void *)tcp;

	return (__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp)) + w[0] + w[1] + w[2] +
	       w[3] + w[4];
}

static __always_inline void write_tcp(const struct iphdr *ip, struct tcphdr *tcp, __be32 seq, __be32 ack, __u8 flags)
{
	tcp->seq = seq;
	tcp->ack_seq = ack;
	((__u16 *)tcp)[6] = bpf_htons(0x5000 | flags);
	tcp->window = bpf_htons(0x7fff);
	tcp->check = 0;
	tcp->urg_ptr = 0;
	tcp->check = ~csum_fold(tcp_sum(ip, tcp));
}

/* The first SYN of a connection; all that follows is answers. */
SEC("xdp.frags")
int generate_syn(struct xdp_md *ctx)
{
	__u32 at;
	const struct e2e_flow *f = next_flow(&at);
	struct ethhdr *eth = ctx_data(ctx);
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);

	if (!f || (void *)(tcp + 1) > ctx_data_end(ctx))
		return XDP_ABORTED;
	write_l2l3(eth, f, L4_OFFSET + sizeof(*tcp), IPPROTO_TCP, orders.shape[0].ip_sum);
	tcp->source = f->sport;
	tcp->dest = f->dport;
	write_tcp(ip, tcp, bpf_htonl(f->number << E2E_SEQ_SHIFT), 0, TCP_SYN);
	return send(at);
}

static __always_inline void sample(struct xdp_md *ctx, __u32 side)
{
	__u32 length = (__u32)(ctx->data_end - ctx->data);
	struct e2e_sample *s;

	if (length < ETH_HLEN || length > E2E_MAX_FRAME)
		return;
	s = bpf_ringbuf_reserve(&samples, sizeof(*s), 0);
	if (!s) {
		tally.samples_lost++;
		return;
	}
	s->side = side;
	s->length = length;
	bpf_xdp_load_bytes(ctx, 0, s->frame, length);
	bpf_ringbuf_submit(s, BPF_RB_NO_WAKEUP);
}

/* Sends the frame back to whom it came from, as the next segment of the connection. */
static __always_inline int answer(struct xdp_md *ctx, struct ethhdr *eth, struct tcphdr *tcp, __be32 seq, __be32 ack,
				  __u8 flags)
{
	struct iphdr *ip = (void *)(eth + 1);
	__be32 addr = ip->saddr;
	__be16 port = tcp->source;
	__u8 mac[6];

	__builtin_memcpy(mac, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, mac, 6);
	ip->saddr = ip->daddr;
	ip->daddr = addr;
	ip->check = csum_update(ip->check, csum_change16(0, *(__u16 *)&ip->ttl, bpf_htons(E2E_TTL << 8 | IPPROTO_TCP)));
	ip->ttl = E2E_TTL;
	tcp->source = tcp->dest;
	tcp->dest = port;
	write_tcp(ip, tcp, seq, ack, flags);
	/* Not XDP_TX, which a veth takes only where the other end has an XDP program, too. */
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

static __always_inline __be32 seq_after(__be32 seq)
{
	return bpf_htonl(bpf_ntohl(seq) + 1);
}

/*
 * Both ends of a connection, with no state: SYN, SYN/ACK, ACK, the server's FIN, the host's FIN, the last ACK. Each is
 * the only possible answer to the one before.
 */
static __always_inline int arrived_tcp(struct xdp_md *ctx, struct ethhdr *eth, __u32 side)
{
	struct tcphdr *tcp = (void *)((struct iphdr *)(eth + 1) + 1);

	if ((void *)(tcp + 1) > ctx_data_end(ctx))
		return XDP_DROP;
	if (side == SIDE_INTERNET) {
		if (tcp->syn)
			return answer(ctx, eth, tcp, tcp->seq | bpf_htonl(E2E_SEQ_SERVER), seq_after(tcp->seq),
				      TCP_SYN | TCP_ACK);
		if (tcp->fin)
			return answer(ctx, eth, tcp, tcp->ack_seq, seq_after(tcp->seq), TCP_ACK);
		return answer(ctx, eth, tcp, tcp->ack_seq, tcp->seq, TCP_FIN | TCP_ACK);
	}
	if (tcp->syn)
		return answer(ctx, eth, tcp, tcp->ack_seq, seq_after(tcp->seq), TCP_ACK);
	if (tcp->fin)
		return answer(ctx, eth, tcp, tcp->ack_seq, seq_after(tcp->seq), TCP_FIN | TCP_ACK);
	if (++tally.completed == orders.expected)
		tally.last = moment();
	return XDP_DROP;
}

static __always_inline void learn(const struct iphdr *ip, const struct udphdr *udp, __u32 number)
{
	struct e2e_endpoint *e = bpf_map_lookup_elem(&endpoints, &number);

	if (e)
		*e = (struct e2e_endpoint){ .addr = ip->saddr, .port = udp->source, .known = 1 };
}

static __always_inline int arrived(struct xdp_md *ctx, __u32 side)
{
	struct ethhdr *eth = ctx_data(ctx);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 *number = (void *)(udp + 1);

	if ((void *)(number + 1) > ctx_data_end(ctx) || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_DROP;
	if (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP) {
		tally.strange++;
		return XDP_DROP;
	}
	if (!(tally.arrived[side]++ & orders.sample_mask))
		sample(ctx, side);
	eth = ctx_data(ctx);
	ip = (void *)(eth + 1);
	udp = (void *)(ip + 1);
	number = (void *)(udp + 1);
	if ((void *)(number + 1) > ctx_data_end(ctx))
		return XDP_DROP;
	if (ip->protocol == IPPROTO_TCP)
		return arrived_tcp(ctx, eth, side);
	if (orders.learn)
		learn(ip, udp, *number);
	if (tally.arrived[SIDE_HOSTS] + tally.arrived[SIDE_INTERNET] == orders.expected)
		tally.last = moment();
	return XDP_DROP;
}

SEC("xdp.frags")
int hosts(struct xdp_md *ctx)
{
	return arrived(ctx, SIDE_HOSTS);
}

SEC("xdp.frags")
int internet(struct xdp_md *ctx)
{
	return arrived(ctx, SIDE_INTERNET);
}

/* Gateways to compare with. */

SEC("xdp.frags")
int gateway_kernel(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* The least that a gateway does: TTL, addresses of the stations, out by the other interface. */
SEC("xdp.frags")
int gateway_redirect(struct xdp_md *ctx)
{
	struct ethhdr *eth = ctx_data(ctx);
	struct iphdr *ip = (void *)(eth + 1);
	__u32 in = ctx->ingress_ifindex & 63;

	if ((void *)(ip + 1) > ctx_data_end(ctx) || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ttl <= 1)
		return XDP_PASS;
	ip->check = csum_update(ip->check, csum_change16(0, bpf_htons(0x100), 0));
	ip->ttl--;
	__builtin_memcpy(eth->h_source, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, redirects[in].mac, 6);
	return bpf_redirect(redirects[in].ifindex, 0);
}
