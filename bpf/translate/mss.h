/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lowers the MSS option of TCP SYNs (RFC 9293 section 3.7.1) to the limit of the configuration, or of the MTUs of both
 * directions. It never raises or adds the option. SYNs of both sides are treated alike, as each limits what the other
 * side sends.
 */
#ifndef DETNAT_MSS_H
#define DETNAT_MSS_H

#include "packet/checksum.h"
#include "egress/route.h"
#include "packet/options.h"

#define TCP_OPTION_MSS	    2
#define TCP_OPTION_MSS_SIZE 4
/* There is no room for more; one of another length is passed over, and may take the place of one. */
#define MSS_OPTIONS (MAX_OPTIONS / TCP_OPTION_MSS_SIZE)
/* IPv4 and TCP headers without options (RFC 6691). */
#define MSS_HEADERS 40U

static const volatile struct option_kinds mss_option = { { [TCP_OPTION_MSS / 64] = OPTION_BIT(TCP_OPTION_MSS) } };

/* Octets by which packets of IPv6 subscribers are longer inside. */
#define MSS_GROWTH 20U

/* By how much packets are longer on the interface that this one came in by than they are in IPv4. */
static __always_inline __u32 mss_growth(void)
{
	return FAMILY6 && six_has_entered() ? MSS_GROWTH : 0;
}

/* Highest MSS that may pass, host byte order. mtu: MTU of the egress, 0 if unknown. */
static __always_inline __u32 mss_limit(ctx_t *ctx, __u32 mtu)
{
	struct device *in;

	/* Packets are longer inside, where the configured limit holds for the shorter segments. */
	if (settings.tcp_mss_clamp != MSS_CLAMP_MTU)
		return settings.tcp_mss_clamp - (FAMILY6 && !six_has_entered() ? MSS_GROWTH : 0);
	/* The segments that this SYN permits come from the other direction. */
	in = device_get(packet_ingress(ctx));
	if (in && in->mtu - mss_growth() && (!mtu || in->mtu - mss_growth() < mtu))
		mtu = in->mtu - mss_growth();
	return mtu > MSS_HEADERS ? mtu - MSS_HEADERS : ~0U;
}

/* Stores the new MSS. from, to: its change as the checksum sees it. On failure nothing changes. */
static __always_inline void mss_store(ctx_t *ctx, __u32 offset, __be16 mss, __u32 check_offset, __be16 from, __be16 to)
{
#if HOOK_XDP
	__sum16 check;

	if (ctx_load(ctx, check_offset, &check, sizeof(check)))
		return;
	check = csum_update(check, csum_change16(0, from, to));
	if (ctx_store(ctx, offset, &mss, sizeof(mss)))
		return;
	ctx_store(ctx, check_offset, &check, sizeof(check));
#else
	if (!bpf_l4_csum_replace(ctx, check_offset, from, to, sizeof(mss)))
		ctx_store(ctx, offset, &mss, sizeof(mss));
#endif
}

/* Lowers one MSS option, which begins at o->at of the options at an offset. */
static __always_inline void mss_lower(ctx_t *ctx, const struct options *o, __u32 options_offset, __u32 check_offset,
				      __u32 limit)
{
	__u32 at = LOAD(o->at) & 63;
	__be16 mss, from, to;

	if (o->octet[(at + 1) & 63] != TCP_OPTION_MSS_SIZE)
		return;
	mss = bpf_htons((__u16)(o->octet[(at + 2) & 63] << 8 | o->octet[(at + 3) & 63]));
	if (bpf_ntohs(mss) <= limit)
		return;
	TRACE_STEP(mss_clamped, bpf_ntohs(mss), limit);
	from = mss;
	mss = to = bpf_htons((__u16)limit);
	/* At an odd offset the value spans two of the words that the checksum adds up. */
	if (at & 1) {
		from = __builtin_bswap16(from);
		to = __builtin_bswap16(to);
	}
	mss_store(ctx, options_offset + at + 2, mss, check_offset, from, to);
}

/*
 * Lowers the MSS of a SYN; `tcp` is the offset of its TCP header, mtu as in mss_limit(). Of several such options hosts
 * take the first or, as Linux, the last: all are lowered. Returns 0.
 */
SUBPROGRAM int mss_clamp_syn(ctx_t *ctx, __u32 tcp, __u32 mtu)
{
	__u32 options_offset, limit;
	enum options_verdict verdict;
	struct options *o;
	__u8 words;

	tcp &= 127;
	options_offset = tcp + sizeof(struct tcphdr);
	if (ctx_load(ctx, tcp + 12, &words, sizeof(words)))
		return 0;
	words >>= 4;
	if (words <= sizeof(struct tcphdr) / 4)
		return 0;
	verdict = options_find(ctx, options_offset, words * 4U - sizeof(struct tcphdr), (const void *)&mss_option, &o);
	if (verdict != OPTIONS_FOUND)
		return 0;
	limit = mss_limit(ctx, mtu);
	for (__u32 i = 0; i < MSS_OPTIONS && verdict == OPTIONS_FOUND; i++) {
		mss_lower(ctx, o, options_offset, tcp + offsetof(struct tcphdr, check), limit);
		verdict = options_find_next(o, (const void *)&mss_option);
	}
	return 0;
}

/* Lowers the MSS if the packet, which is being translated, is a SYN and the configuration says so. */
static __always_inline void mss_clamp(ctx_t *ctx, const struct packet *p, __u32 mtu)
{
	if (settings.tcp_mss_clamp && p->proto == IPPROTO_TCP && p->flags & TCP_SYN)
		mss_clamp_syn(ctx, p->l4_offset, mtu);
}

#endif
