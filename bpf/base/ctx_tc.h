/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The context of a tc program; see ctx_xdp.h. The objects at ingress define AT_INGRESS as 1, and the one that sends
 * packets itself FORWARDS as well.
 */
#ifndef DETNAT_CTX_TC_H
#define DETNAT_CTX_TC_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define HOOK_XDP 0
#ifndef AT_INGRESS
#define AT_INGRESS 0
#endif
#ifndef FORWARDS
#define FORWARDS 0
#endif
#define SENDS_BY_TC FORWARDS
#define STAGED	    0
#define STAGE2	    0
/* Not TC_ACT_OK, which would keep the packet from the programs and filters of others behind this one. */
#define CTX_PASS TC_ACT_UNSPEC
#define CTX_DROP TC_ACT_SHOT

typedef struct __sk_buff ctx_t;

#if AT_INGRESS
#define L3_OFFSET ETH_HLEN
#else
/* Where packets begin with the IPv4 header (PPP, WireGuard, tunnels) the agent sets this to 0 before it loads them. */
const volatile __u32 l3_offset = ETH_HLEN;
#define L3_OFFSET l3_offset
#endif
#define BARE (!L3_OFFSET)

static __always_inline void *ctx_data(const ctx_t *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *ctx_data_end(const ctx_t *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* Index of the ingress interface; 0 for packets that the gateway itself sends. */
static __always_inline __u32 ctx_ingress(const ctx_t *ctx)
{
	return AT_INGRESS ? ctx->ifindex : ctx->ingress_ifindex;
}

static __always_inline __u64 ctx_length(ctx_t *ctx)
{
	return ctx->len;
}

/* Octets of payload in each segment of a GSO frame; 0 if the frame is not segmented. */
static __always_inline __u32 ctx_gso_size(const ctx_t *ctx)
{
	return ctx->gso_size;
}

static __always_inline long ctx_load(ctx_t *ctx, __u32 offset, void *to, __u32 size)
{
	return bpf_skb_load_bytes(ctx, offset, to, size);
}

static __always_inline long ctx_store(ctx_t *ctx, __u32 offset, void *from, __u32 size)
{
	return bpf_skb_store_bytes(ctx, offset, from, size, 0);
}

#endif
