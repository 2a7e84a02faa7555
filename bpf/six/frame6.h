/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hook does to a frame that changes its family. At tc the kernel has to know of it: of the protocol, of the
 * segments of a GSO frame, and of a sum that the device has made of the packet (CHECKSUM_COMPLETE). A checksum that is
 * still to be computed (CHECKSUM_PARTIAL) has only the sum of the pseudo header, which differs between the families.
 */
#ifndef DETNAT_FRAME6_H
#define DETNAT_FRAME6_H

#include "packet/checksum.h"
#include "packet/parse.h"
#if !HOOK_XDP
#include "packet/offload.h"
#endif

/* Octets by which a packet without options grows on its way to IPv6, but for a fragment header. */
#define LEAVE_GROWTH (sizeof(struct ipv6hdr) - sizeof(struct iphdr))

/* The change that takes words of one sum away and adds those of another. */
static __always_inline __u64 sum_change(__u64 from, __u64 to)
{
	return (__u16)~csum_fold(from) + (__u64)csum_fold(to);
}

/* The same in a checksum that may be absent, or not; a computed 0 is sent as ffff where 0 means none. */
static __always_inline __sum16 check_changed(__sum16 check, __u64 change, int optional)
{
	if (optional && !check)
		return 0;
	check = csum_update(check, change);
	return optional && !check ? 0xffff : check;
}

#if HOOK_XDP

/*
 * Has the frame begin `shift` octets later, or earlier: all in front of its upper layer is to be written anew, with an
 * EtherType of `proto` (network byte order). Returns 0, or -1.
 */
static __always_inline int frame_shift(ctx_t *ctx, int shift, __be16 proto)
{
	return bpf_xdp_adjust_head(ctx, shift) ? -1 : 0;
}

/* Makes the frame one of `length` octets, all of which are to be written anew. Returns 0, or -1. */
static __always_inline int frame_renew(ctx_t *ctx, __u32 length, __be16 proto)
{
	return bpf_xdp_adjust_head(ctx, (int)((__s64)ctx_length(ctx) - length)) ? -1 : 0;
}

/*
 * Writes the first octets of a frame. size: more than an Ethernet header, at most most + 1, which is a power of two.
 * Returns 0, or -1.
 */
static __always_inline int frame_put(ctx_t *ctx, void *from, __u64 size, const __u32 most)
{
	barrier_var(size);
	size = KNOWN_LENGTH(size, most);
	return ctx_store(ctx, 0, from, (__u32)size) ? -1 : 0;
}

/* Writes a checksum of the upper layer where there was none. Returns 0, or -1. */
static __always_inline int frame_check_put(ctx_t *ctx, __u32 at, __sum16 check)
{
	return ctx_store(ctx, at, &check, sizeof(check)) ? -1 : 0;
}

/*
 * Changes the checksum of the upper layer at an offset. pseudo: change of what it covers besides the packet, content:
 * of octets of the packet, both of sum_change(). Returns 0, or -1.
 */
static __always_inline int frame_check_change(ctx_t *ctx, __u32 at, __sum16 check, __u64 pseudo, __u64 content,
					      int optional)
{
	check = check_changed(check, pseudo + content, optional);
	return ctx_store(ctx, at, &check, sizeof(check)) ? -1 : 0;
}

/* Octets of the upper layer in the longest packet that leaves. at: its offset; length: octets of the upper layer. */
static __always_inline __u32 frame_upper_sent(ctx_t *ctx, __u8 proto, __u32 at, __u32 length)
{
	return length;
}

/* Returns 1 if the kernel makes several packets of the frame. */
static __always_inline int frame_is_segmented(const ctx_t *ctx)
{
	return 0;
}

#else

/* The size of segments stays: what is segmented grows or shrinks with each header. */
static __always_inline int frame_shift(ctx_t *ctx, int shift, __be16 proto)
{
	int rest = shift - (proto == bpf_htons(ETH_P_IP) ? (int)LEAVE_GROWTH : -(int)LEAVE_GROWTH);

	if (bpf_skb_change_proto(ctx, proto, 0))
		return -1;
	if (rest &&
	    bpf_skb_adjust_room(ctx, -rest, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return -1;
	bpf_csum_level(ctx, BPF_CSUM_LEVEL_RESET);
	return 0;
}

static __always_inline int frame_renew(ctx_t *ctx, __u32 length, __be16 proto)
{
	if (bpf_skb_change_proto(ctx, proto, 0) || bpf_skb_change_tail(ctx, length, 0))
		return -1;
	bpf_csum_level(ctx, BPF_CSUM_LEVEL_RESET);
	return 0;
}

/* The sum of a device covers the packet, without its Ethernet header. */
static __always_inline int frame_put(ctx_t *ctx, void *from, __u64 size, const __u32 most)
{
	__u64 rest = size - ETH_HLEN;

	barrier_var(rest);
	rest = KNOWN_LENGTH(rest, most);
	if (ctx_store(ctx, 0, from, ETH_HLEN))
		return -1;
	return bpf_skb_store_bytes(ctx, ETH_HLEN, from + ETH_HLEN, (__u32)rest, BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

static __always_inline int frame_check_put(ctx_t *ctx, __u32 at, __sum16 check)
{
	return bpf_skb_store_bytes(ctx, at, &check, sizeof(check), BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

/* The kernel knows whether the checksum is there, and what of the change is the pseudo header's. */
static __always_inline int frame_check_change(ctx_t *ctx, __u32 at, __sum16 check, __u64 pseudo, __u64 content,
					      int optional)
{
	__u64 flags = optional ? BPF_F_MARK_MANGLED_0 : 0;

	if (bpf_l4_csum_replace(ctx, at, 0, csum_fold(pseudo), flags | BPF_F_PSEUDO_HDR))
		return -1;
	return content && bpf_l4_csum_replace(ctx, at, 0, csum_fold(content), flags) ? -1 : 0;
}

static __always_inline __u32 frame_upper_sent(ctx_t *ctx, __u8 proto, __u32 at, __u32 length)
{
	return upper_sent(ctx, proto, at, length);
}

static __always_inline int frame_is_segmented(const ctx_t *ctx)
{
	return !!ctx_gso_size(ctx);
}

#endif
#endif
