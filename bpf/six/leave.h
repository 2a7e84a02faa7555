/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From IPv4 to IPv6, in place (RFC 7915 section 4): a packet that the slow path has translated, to a virtual address,
 * becomes one of IPv6 to the host. The TTL has been lowered already. The header's checksum is checked here, as behind
 * us nothing checks it again: the slow path keeps a wrong one wrong.
 */
#ifndef DETNAT_LEAVE_H
#define DETNAT_LEAVE_H

#include "packet/frame_sum.h"
#include "six/leave_error.h"
#include "six/protocols6.h"

/* The packet is IPv6 with a fragment header, and to be sent in fragments of record6.lowest_mtu octets. */
#define LEAVE_IN_FRAGMENTS (-1)

/*
 * The reason not to translate a packet, seen before anything is opened or refreshed for it, and before a first fragment
 * lets the others pass; 0: none. p: as it came; src: its source as the host will see it.
 */
SUBPROGRAM int leave_refusal(ctx_t *ctx, const struct packet *p, __u32 src, const struct record6 *r)
{
	__sum16 check;

	if (!p || !r)
		return REASON_drop_error;
	if (protocol_is_foreign_to6(p->proto))
		return REASON_drop_protocol;
	if (p->proto == IPPROTO_ICMP && p->fragment)
		return REASON_drop_fragment;
	if (address_is_nobodys(r, src) &&
	    (p->proto != IPPROTO_ICMP || p->icmp_type == ICMP_ECHO || p->icmp_type == ICMP_ECHOREPLY))
		return REASON_drop_martian;
	if (p->proto != IPPROTO_UDP || p->fragment != FRAGMENT_FIRST)
		return 0;
	if (ctx_load(ctx, p->l4_offset + offsetof(struct udphdr, check), &check, sizeof(check)))
		return REASON_drop_malformed;
	return check ? 0 : REASON_drop_fragment_sum;
}

/* Checksum of a UDP packet that came without; `at` is where its header is. Sums its octets, and none behind it. */
static __always_inline int leave_udp_sum(ctx_t *ctx, __u32 at, __u64 addresses, __sum16 *ret)
{
	__be16 length;
	__u64 sum;

	if (ctx_load(ctx, at + offsetof(struct udphdr, len), &length, sizeof(length)))
		return REASON_drop_malformed;
	sum = frame_sum(ctx, at, at + bpf_ntohs(length));
	if (sum == FRAME_SUM_FAILED)
		return REASON_drop_malformed;
	*ret = ~csum_fold(csum_fold(sum) + addresses + length + bpf_htons(IPPROTO_UDP));
	if (!*ret)
		*ret = 0xffff;
	return 0;
}

/* Translates the type of an echo, in *ret the change. Returns 0, or the reason to drop the packet. */
static __always_inline int leave_echo(ctx_t *ctx, __u32 at, __u64 *ret)
{
	__u8 icmp[2], type;

	if (ctx_load(ctx, at, icmp, sizeof(icmp)))
		return REASON_drop_malformed;
	if (icmp[0] != ICMP_ECHO && icmp[0] != ICMP_ECHOREPLY)
		return REASON_drop_no_session;
	type = icmp[0] == ICMP_ECHO ? ICMP6_ECHO : ICMP6_ECHOREPLY;
	*ret = sum_change(*(__u16 *)icmp, bpf_htons((__u16)(type << 8 | icmp[1])));
	return ctx_store(ctx, at, &type, sizeof(type)) ? REASON_drop_error : 0;
}

/* Translates the upper layer at an offset. Returns 0, or the reason to drop the packet. */
static __always_inline int leave_upper(ctx_t *ctx, const struct leaving *l, const struct ipv6hdr *ip)
{
	__u32 at = upper_check_offset(l->proto);
	__u64 old = l->addresses, now = addresses6_sum((void *)&ip->saddr, (void *)&ip->daddr), content = 0;
	__sum16 check;
	int refused = 0;

	if (l->field & IP_OFFSET_MASK || !at || l->length < at + sizeof(check))
		return 0;
	if (ctx_load(ctx, l->l4 + at, &check, sizeof(check)))
		return REASON_drop_malformed;
	if (l->proto == IPPROTO_ICMP) {
		old = 0;
		now += pseudo6_icmp(l->length);
		refused = leave_echo(ctx, l->l4, &content);
	}
	if (refused)
		return refused;
	if (l->proto == IPPROTO_UDP && !check) {
		refused = l->field ? REASON_drop_fragment_sum : leave_udp_sum(ctx, l->l4, now, &check);
		if (refused)
			return refused;
		return frame_check_put(ctx, l->l4 + at, check) ? REASON_drop_error : 0;
	}
	return frame_check_change(ctx, l->l4 + at, check, sum_change(old, now), content,
				  protocol_check_is_optional(l->proto))
		       ? REASON_drop_error
		       : 0;
}

/* Translates what is no error. */
static __always_inline int leave_plain(ctx_t *ctx, struct packet6 *s, const struct leaving *l, const struct record6 *r,
				       const struct leave_to *to)
{
	struct ipv6hdr *ip = (void *)s->made + ETH_HLEN;
	__u32 headers = sizeof(struct ipv6hdr) + (l->field ? sizeof(struct fragment6) : 0), most = r->lowest_mtu;
	__u32 total = headers + l->sent, before = l->l4 - L3_OFFSET + l->sent + LEAVE_GROWTH;
	int refused, segmented = frame_is_segmented(ctx);
	int cut = !l->df && !segmented && total > (to->mtu6 && to->mtu6 < most ? to->mtu6 : most);

	/* The agent, which makes the fragments, takes no frames of several segments: these have to fit as they are. */
	if ((l->df || segmented) && to->mtu6 && (total > to->mtu6 || before > to->mtu6))
		return REASON_drop_too_big;
	if (cut)
		headers = sizeof(struct ipv6hdr) + sizeof(struct fragment6);
	if (headers - sizeof(struct ipv6hdr) + l->length > 0xffff)
		return REASON_drop_malformed;
	leave_header(ip, l, r, to, headers - sizeof(struct ipv6hdr) + l->length);
	refused = leave_upper(ctx, l, ip);
	if (refused)
		return refused;
	if (headers > sizeof(struct ipv6hdr))
		fragment6_put(ip, l->field, l->ident);
	return leave_resize(ctx, s, l->l4 - L3_OFFSET, headers) ? REASON_drop_error : cut ? LEAVE_IN_FRAGMENTS : 0;
}

/*
 * Translates the packet of the frame, which is to be sent to a host. Returns 0, LEAVE_IN_FRAGMENTS, or the reason to
 * drop it: it may then have been changed in part.
 */
SUBPROGRAM int leave_packet(ctx_t *ctx, const struct record6 *r, const struct leave_to *to)
{
	struct packet6 *s = packet6_get();
	struct leaving *l;
	int refused;

	if (!s || !r || !to)
		return REASON_drop_error;
	l = &s->in4;
	refused = leaving_read(ctx, l);
	if (refused)
		return refused;
	if (protocol_is_foreign_to6(l->proto))
		return REASON_drop_protocol;
	if (l->proto == IPPROTO_ICMP && l->field)
		return REASON_drop_fragment;
	if (!l->is_error && address_is_nobodys(r, l->src))
		return REASON_drop_martian;
	return l->is_error ? leave_error(ctx, s, l, r, to) : leave_plain(ctx, s, l, r, to);
}

#endif
