/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tail calls. The called program parses the packet again: that and the lookups are cheap while their cache lines are
 * warm, and no state between programs can go stale. Struct arguments passes only facts that are not in the packet.
 */
#ifndef DETNAT_TAIL_CALL_H
#define DETNAT_TAIL_CALL_H

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>

#include <detnat/programs.h>

#include "base/count.h"
#include "base/settings.h"

/* The tail-call programs, indexed by enum prog. The names are kept for compatibility with existing pins. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, N_PROGS);
	__type(key, __u32);
	__type(value, __u32);
#if STAGE2
} stage2_leaves SEC(".maps");
#define programs stage2_leaves
#elif FAMILY6 && !HOOK_XDP
} six_tc_leaves SEC(".maps");
#define programs six_tc_leaves
#elif FAMILY6
} six_leaves SEC(".maps");
#define programs six_leaves
#elif HOOK_XDP
} xdp_leaves SEC(".maps");
#define programs xdp_leaves
#elif FORWARDS
} redirect_leaves SEC(".maps");
#define programs redirect_leaves
#elif AT_INGRESS
} ingress_leaves SEC(".maps");
#define programs ingress_leaves
#else
} tc_leaves SEC(".maps");
#define programs tc_leaves
#endif

/*
 * Arguments of PROG_refuse: reason; of PROG_icmp_error: all up to code; of PROG_search: bound and binder; of
 * PROG_extent: crowded to resume.
 */
struct arguments {
	__u32 reason; /* enum reason that counts the packet */
	__u32 sent;   /* enum reason that counts the ICMP error */
	__u32 mtu;
	__u8 type;
	__u8 code;
	__u8 crossed; /* 1: of PROG_icmp_error, the packet is a hairpin between families, see slow/turned.h */
	__u8 pad;
	__u32 bound;   /* see slow/open.h */
	__u32 binder;  /* the subscriber whose port that is, numbered across all mappings */
	__u32 crowded; /* inside address of the subscriber that wants a larger extent */
	__u32 tenant;  /* and its tenant */
	__u32 resume;  /* enum prog that goes on with the packet */
	/* VLAN interface that the frame came in through, while its tags are removed; in stage 2 any interface; else 0
	 */
	__u32 ingress;
	/* At tc, of a hairpin to the other family: its source as its sender sent it, see slow/turned.h */
	__u32 sender;
	__u16 sender_port;
	__u16 pad2;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arguments);
} arguments SEC(".maps");

static __always_inline struct arguments *arguments_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&arguments, &zero);
}

/* Says for PROG_icmp_error whether the sender of the packet in hand is of the other family: see slow/turned.h. */
static __always_inline void arguments_crossed(__u8 crossed)
{
	struct arguments *n = arguments_get();

	if (n)
		*(volatile __u8 *)&n->crossed = crossed;
}

#if !HOOK_XDP && AT_INGRESS

/*
 * Carries the arguments of PROG_icmp_error to the programs of the other family, which have arguments of their own, in
 * the part of the packet's control block that belongs to tc.
 */
static __always_inline void arguments_carry(ctx_t *ctx, const struct arguments *n)
{
	ctx->cb[0] = n->reason;
	ctx->cb[1] = n->sent;
	ctx->cb[2] = n->mtu;
	ctx->cb[3] = (__u32)n->type << 8 | n->code;
}

static __always_inline void arguments_carried(const ctx_t *ctx, volatile struct arguments *n)
{
	n->reason = ctx->cb[0];
	n->sent = ctx->cb[1];
	n->mtu = ctx->cb[2];
	n->type = (__u8)(ctx->cb[3] >> 8);
	n->code = (__u8)ctx->cb[3];
}

#endif

/* Index of the ingress interface. For the slow path; the fast path sees no tagged frames. */
static __always_inline __u32 packet_ingress(const ctx_t *ctx)
{
#if HOOK_XDP
	struct arguments *n = arguments_get();
	__u32 vlan = n ? *(volatile __u32 *)&n->ingress : 0;

	if (vlan)
		return vlan;
#endif
	return ctx_ingress(ctx);
}

/* Sets the arguments of PROG_icmp_error. Volatile: clang 14 dropped a store that only another program reads. */
static __always_inline void arguments_set(volatile struct arguments *n, __u32 reason, __u32 sent, __u8 type, __u8 code,
					  __u32 mtu)
{
	n->reason = reason;
	n->sent = sent;
	n->type = type;
	n->code = code;
	n->mtu = mtu;
}

/* Returns only if the called program is missing: then counts the packet and returns `missing`. */
static __always_inline int tail_call_or(ctx_t *ctx, enum prog prog, int missing)
{
	TRACE_STEP(tail_call, prog, 0);
	bpf_tail_call(ctx, &programs, prog);
	return finish(missing, REASON_no_program);
}

/*
 * If the program is missing, the packet passes to the kernel at ingress. At egress and in stage 2 it is dropped, as it
 * could leak an inside address.
 */
static __always_inline int tail_call(ctx_t *ctx, enum prog prog)
{
	return tail_call_or(ctx, prog, AT_INGRESS && !STAGE2 ? CTX_PASS : CTX_DROP);
}

/* Makes the tail call that a subprogram's verdict asks for, if any; else returns the verdict. */
static __always_inline int verdict_resume(ctx_t *ctx, int verdict)
{
	return verdict < CONTINUE ? tail_call(ctx, (enum prog)(TAIL_CALL(0) - verdict)) : verdict;
}

/* Returns 1 for a packet of IPv6, if programs for such are loaded: PROG_six_out has all of them. */
static __always_inline int is_for_six(ctx_t *ctx)
{
#if FORWARDS && !STAGED && !STAGE2 && !FAMILY6
	const struct ethhdr *eth = ctx_data(ctx);

#if !HOOK_XDP
	/* A tag aside is of another interface. */
	if (settings.six && ctx->vlan_present)
		return 0;
#endif
	return settings.six && (void *)(eth + 1) <= ctx_data_end(ctx) && eth->h_proto == bpf_htons(ETH_P_IPV6);
#else
	return 0;
#endif
}

/* The slow path of a direction, for packets that its fast path has left alone. */
static __always_inline int or_slow(ctx_t *ctx, int verdict, enum prog slow)
{
	return __builtin_expect(FINAL(verdict), 1) ? verdict : tail_call(ctx, slow);
}

/* Refuses a session: counted under the reason, answered and reported as often as the rate limits allow. */
static __always_inline int refuse(ctx_t *ctx, enum reason reason)
{
	struct arguments *n = arguments_get();

	if (!n)
		return drop(reason);
	*(volatile __u32 *)&n->reason = reason;
	return tail_call(ctx, PROG_refuse);
}

#endif
