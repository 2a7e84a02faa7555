/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The context of an XDP program. ctx_tc.h implements the same functions for tc. */
#ifndef DETNAT_CTX_XDP_H
#define DETNAT_CTX_XDP_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

/*
 * HOOK_XDP: which primitives a program has; AT_INGRESS: where it sees packets; FORWARDS: whether it routes and sends
 * them itself, by the steps of XDP, or leaves that to the kernel; SENDS_BY_TC: FORWARDS at tc, where the kernel takes
 * frames for any interface, and resolves neighbours.
 */
#define HOOK_XDP    1
#define AT_INGRESS  1
#define FORWARDS    1
#define SENDS_BY_TC 0
#define L3_OFFSET   ETH_HLEN
#define BARE	    0
#define CTX_PASS    XDP_PASS
#define CTX_DROP    XDP_DROP

/* Set by the objects with stages, see <detnat/stages.h>: stage 1 defines STAGED, stage 2 defines STAGE2. */
#ifndef STAGED
#define STAGED 0
#endif
#ifndef STAGE2
#define STAGE2 0
#endif

typedef struct xdp_md ctx_t;

static __always_inline void *ctx_data(const ctx_t *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *ctx_data_end(const ctx_t *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* Index of the ingress interface; in stage 2 use packet_ingress(). */
static __always_inline __u32 ctx_ingress(const ctx_t *ctx)
{
#if STAGE2
	return 0;
#else
	return ctx->ingress_ifindex;
#endif
}

/* Length of the whole frame in octets, including the part outside the linear buffer. */
static __always_inline __u64 ctx_length(ctx_t *ctx)
{
	return bpf_xdp_get_buff_len(ctx);
}

/* Unknown to XDP. */
static __always_inline __u32 ctx_gso_size(const ctx_t *ctx)
{
	return 0;
}

/* Copy `size` octets from or to the frame, in any buffer. Return 0, or -errno if the frame is too short. */
static __always_inline long ctx_load(ctx_t *ctx, __u32 offset, void *to, __u32 size)
{
	return bpf_xdp_load_bytes(ctx, offset, to, size);
}

static __always_inline long ctx_store(ctx_t *ctx, __u32 offset, void *from, __u32 size)
{
	return bpf_xdp_store_bytes(ctx, offset, from, size);
}

#endif
