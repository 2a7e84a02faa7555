/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of the pipeline for every translated packet: it is rewritten, counted and sent. */
#ifndef DETNAT_TRANSLATE_H
#define DETNAT_TRANSLATE_H

#include "base/subprogram.h"
#include "translate/forward.h"
#include "translate/fragment.h"
#include "translate/into_vrf.h"
#include "translate/mss.h"
#include "translate/rewrite.h"
#include "translate/transmit_ring.h"
#if AT_INGRESS && !HOOK_XDP
#include "packet/offload.h"
#endif
#if FAMILY6
#include "six/leave.h"
#endif

/* The sender of a translated packet; SENDER_VRF: the kernel, by the table of a VRF. */
enum sender { SENDER_PROGRAM, SENDER_KERNEL, SENDER_VRF, SENDER_AGENT };

/* Returns 1 if the program lowers the TTL, as the kernel does not forward the packet. */
static __always_inline int sender_lowers_ttl(enum sender sender)
{
	return sender == SENDER_PROGRAM || sender == SENDER_AGENT;
}

#if AT_INGRESS && !STAGE2

static __always_inline enum sender sender_kernel(enum direction direction)
{
	return goes_into_vrf(direction) ? SENDER_VRF : SENDER_KERNEL;
}

#endif

#if STAGE2

static __always_inline enum sender egress_sender(ctx_t *ctx, const struct egress *e, const struct packet *p,
						 enum direction direction)
{
	return SENDER_PROGRAM;
}

/* The frame waits in its interface's queue, which sends it if this program passes it. */
static __always_inline int deliver(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	struct ethhdr *eth = ctx_data(ctx);

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return XDP_ABORTED;
	ether_addresses_set(eth, &e->mac);
	TRACE_STEP(redirect, e->ifindex, 0);
	return XDP_PASS;
}

static __always_inline __u32 egress_mss_mtu(ctx_t *ctx, const struct egress *e, enum direction direction)
{
	return e->longest;
}

#elif HOOK_XDP

/*
 * Outbound packets are sent by XDP, which egress_check_out() has made sure of; inbound ones by the kernel if XDP
 * cannot. A translated hairpin never goes to the kernel, which drops packets from inside with an outside source: the
 * agent sends it, fragmented if it is too long (RFC 791 section 3.2).
 */
static __always_inline enum sender egress_sender(ctx_t *ctx, const struct egress *e, const struct packet *p,
						 enum direction direction)
{
	int ready = direction == DIRECTION_OUT ||
		    ((settings.redirect || direction == DIRECTION_HAIRPIN) && e->state == EGRESS_READY &&
		     p->length <= e->longest && takes_frame(ctx, e->ifindex));

	return ready ? SENDER_PROGRAM : direction == DIRECTION_HAIRPIN ? SENDER_AGENT : sender_kernel(direction);
}

/* Has a packet sent by its sender. */
static __always_inline int deliver_by(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	struct ethhdr *eth = ctx_data(ctx);

	if (sender == SENDER_KERNEL)
		return CTX_PASS;
	if (sender == SENDER_VRF)
		return pass_into_vrf(ctx);
	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return XDP_ABORTED;
	ether_addresses_set(eth, &e->mac);
	if (sender == SENDER_PROGRAM)
		return send_by(ctx, e->ifindex);
	TRACE_STEP(redirect, e->ifindex, 0);
	return transmit(ctx, e->ifindex, e->mtu);
}

static __always_inline int deliver(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	if (six_goes_inwards(ctx, sender))
		return tail_call(ctx, PROG_six_leave);
	return deliver_by(ctx, e, sender);
}

/* MTU of an egress in octets, for the MSS of a SYN; 0: unknown. */
static __always_inline __u32 egress_mss_mtu(ctx_t *ctx, const struct egress *e, enum direction direction)
{
	return direction == DIRECTION_OUT || e->state == EGRESS_READY ? e->longest : 0;
}

#elif AT_INGRESS

/*
 * Hands the packet to the agent, which sends it in fragments of at most `mtu` octets; if the ring buffer is full, as it
 * is without an agent, the packet is lost and counted. Returns the verdict.
 */
SUBPROGRAM int transmit_packet(ctx_t *ctx, __u32 ifindex, __u32 mtu)
{
	struct transmission *t = transmission_get();
	struct packet p;
	__u64 length;

	__builtin_memset(&p, 0, sizeof(p));
	parse_packet(ctx, &p);
	/* 64 bits: of 32 that were extended, the 6.1 verifier forgets the lower bound. */
	length = p.length;
	barrier_var(length);
	if (!t || OUTSIDE(length, sizeof(struct iphdr), TRANSMIT_PACKET_MAX) ||
	    ctx_load(ctx, L3_OFFSET, t->frame, length)) {
		count_add(REASON_redirect_errors, 1);
		return CTX_DROP;
	}
	if ((p.proto == IPPROTO_TCP || p.proto == IPPROTO_UDP) && !p.fragment)
		checksum_finish(ctx, (void *)t->frame + ((p.l4_offset - L3_OFFSET) & 127), &p, (__u32)length);
	if (!transmission_send(t, TRANSMISSION_PACKET, length, ifindex, mtu))
		TRACE_STEP(agent, ifindex, 0);
	return CTX_DROP;
}

/*
 * A hairpin is redirected; the agent sends in fragments one that is longer than its egress takes. egress_check_in() has
 * judged the segments of a GSO frame.
 */
static __always_inline enum sender hairpin_sender(ctx_t *ctx, const struct egress *e, const struct packet *p)
{
	return p->length <= e->mtu || ctx_gso_size(ctx) ? SENDER_PROGRAM : SENDER_AGENT;
}

#if FORWARDS

/*
 * As at XDP, but the segments of a GSO frame must fit, and the kernel finds the addresses of a next hop that is not
 * resolved.
 */
static __always_inline enum sender egress_sender(ctx_t *ctx, const struct egress *e, const struct packet *p,
						 enum direction direction)
{
	if (direction == DIRECTION_OUT)
		return SENDER_PROGRAM;
	if (direction == DIRECTION_HAIRPIN)
		return hairpin_sender(ctx, e, p);
	return settings.redirect && e->state == EGRESS_READY &&
			       (p->length <= e->longest || segment_length(ctx, p) <= e->longest)
		       ? SENDER_PROGRAM
		       : sender_kernel(direction);
}

/* Sends a packet to its next hop. Returns the verdict. */
SUBPROGRAM int redirect_egress(ctx_t *ctx, const struct egress *e)
{
	struct device *out = e ? device_get(e->ifindex) : 0;
	__u8 first[2]; /* version and length of the header, type of service */

	if (!e || !out || ctx_load(ctx, L3_OFFSET, first, sizeof(first)))
		return drop(REASON_drop_error);
	/* Of IPv6 the kernel's forwarding gives none. */
	if (!FAMILY6 || first[0] >> 4 == 4)
		sent_priority_set(ctx, first[1]);
	TRACE_STEP(redirect, e->ifindex, 0);
	if (e->neighbour.nh_family && !(out->flags & DEVICE_BARE)) {
		sent_mark_set(ctx, e->ifindex);
		count_add(REASON_redirect_unresolved, 1);
		return (int)bpf_redirect_neigh(e->ifindex, (void *)&e->neighbour, sizeof(e->neighbour), 0);
	}
	if (ctx_store(ctx, 0, (void *)&e->mac, sizeof(e->mac)))
		return drop(REASON_drop_error);
	return redirect_to(ctx, e->ifindex);
}

static __always_inline __u32 egress_mss_mtu(ctx_t *ctx, const struct egress *e, enum direction direction)
{
	return direction == DIRECTION_OUT || e->state == EGRESS_READY ? e->longest : 0;
}

#else

/*
 * Sends a packet past the kernel's routing, which would drop a hairpin for its outside source; the kernel finds the
 * neighbour. Returns the verdict.
 */
static __always_inline int redirect_egress(ctx_t *ctx, const struct egress *e)
{
	struct device *out = device_get(e->ifindex);

	TRACE_STEP(redirect, e->ifindex, 0);
	if (out && out->flags & DEVICE_BARE)
		return (int)bpf_redirect(e->ifindex, 0);
	return (int)bpf_redirect_neigh(e->ifindex, 0, 0, 0);
}

/* The kernel sends all but hairpins. */
static __always_inline enum sender egress_sender(ctx_t *ctx, const struct egress *e, const struct packet *p,
						 enum direction direction)
{
	if (direction != DIRECTION_HAIRPIN)
		return sender_kernel(direction);
	return hairpin_sender(ctx, e, p);
}

static __always_inline __u32 egress_mss_mtu(ctx_t *ctx, const struct egress *e, enum direction direction)
{
	return e->state == EGRESS_READY || e->state == EGRESS_REFUSING ? e->longest : 0;
}

#endif

/* Has a packet sent by its sender. */
static __always_inline int deliver_by(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	if (sender == SENDER_KERNEL)
		return CTX_PASS;
	if (sender == SENDER_VRF)
		return pass_into_vrf(ctx);
	return sender == SENDER_PROGRAM ? redirect_egress(ctx, e) : transmit_packet(ctx, e->ifindex, e->mtu);
}

static __always_inline int deliver(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	if (six_goes_inwards(ctx, sender))
		return tail_call(ctx, PROG_six_leave);
	return deliver_by(ctx, e, sender);
}

#else

static __always_inline enum sender egress_sender(ctx_t *ctx, const struct egress *e, const struct packet *p,
						 enum direction direction)
{
	return SENDER_KERNEL;
}

static __always_inline int deliver(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	return CTX_PASS;
}

static __always_inline __u32 egress_mss_mtu(ctx_t *ctx, const struct egress *e, enum direction direction)
{
	struct device *out = device_get(ctx->ifindex);

	return out ? out->mtu : 0;
}

#endif

static __always_inline enum reason translated(enum direction direction)
{
	return direction == DIRECTION_OUT  ? REASON_in2out_translated
	       : direction == DIRECTION_IN ? REASON_out2in_translated
					   : REASON_hairpin_translated;
}

/* Rewrites a hairpin as two gateways would, the source first, so that a trace of XDP shows both steps. */
static __always_inline int rewrite_in_steps(ctx_t *ctx, const struct packet *p, enum packet_kind kind,
					    const struct rewrite *to, enum direction direction, int lower_ttl)
{
	struct rewrite source = *to;

	if (!HOOK_XDP || direction != DIRECTION_HAIRPIN || kind == PACKET_FRAGMENT)
		return rewrite(ctx, p, kind, to, lower_ttl);
	source.dst = p->dst;
	source.dport = p->dport;
	return rewrite(ctx, p, kind, &source, lower_ttl) || rewrite(ctx, p, kind, to, 0) ? -1 : 0;
}

/* Rewrites and sends a packet whose egress has been checked. kind: see rewrite(). */
static __always_inline int translate(ctx_t *ctx, const struct packet *p, enum packet_kind kind,
				     const struct rewrite *to, const struct egress *e, enum direction direction)
{
	enum sender sender = egress_sender(ctx, e, p, direction);

	if (rewrite_in_steps(ctx, p, kind, to, direction, sender_lowers_ttl(sender)))
		return drop(kind == PACKET_PROTOCOL ? REASON_drop_malformed : REASON_drop_error);
	count_translated(translated(direction), p->length);
	return deliver(ctx, e, sender);
}

#if FAMILY6

/*
 * What is kept for a session's packet before it is translated: of a first fragment, the entry for the others; nothing
 * for one that its receiver could not get. Returns 0, or the reason to drop it.
 */
SUBPROGRAM int session_begin(ctx_t *ctx, const struct packet *p, const struct rewrite *to, __u32 in_addr)
{
	const struct six *x = six_get();
	int refused;

	if (!p || !to || !x)
		return REASON_drop_error;
	refused = addr_is_virtual(to->dst) ? leave_refusal(ctx, p, to->src, record6_of(LOAD(x->leaf))) : 0;
	return !refused && p->fragment ? fragment_begin(ctx, p, to->src, to->dst, in_addr) : refused;
}

#else

static __always_inline int session_begin(ctx_t *ctx, const struct packet *p, const struct rewrite *to, __u32 in_addr)
{
	return fragment_begin(ctx, p, to->src, to->dst, in_addr);
}

#endif

/* translate() for a session's packet, whole or a first fragment. in_addr: the subscriber that fragments count for. */
static __always_inline int translate_session(ctx_t *ctx, const struct packet *p, const struct rewrite *to,
					     const struct egress *e, enum direction direction, __u32 in_addr)
{
	if (p->fragment || FAMILY6) {
		int refused = session_begin(ctx, p, to, in_addr);

		if (refused)
			return drop(refused);
	}
	mss_clamp(ctx, p, egress_mss_mtu(ctx, e, direction));
	return translate(ctx, p, PACKET_SESSION, to, e, direction);
}

#endif
