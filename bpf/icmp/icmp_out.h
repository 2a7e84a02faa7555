/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Outbound ICMP errors (RFC 5508 REQ-5), from a subscriber, from an inside router or from the gateway itself, about a
 * packet that came in through a session and is quoted as the inside saw it. The quoted destination becomes the outside
 * endpoint, the source the sender's outside address or the gateway's.
 */
#ifndef DETNAT_ICMP_OUT_H
#define DETNAT_ICMP_OUT_H

#include "session/drain.h"
#include "icmp/icmp_quote.h"
#include "session/portmap.h"

/* An ICMP error from inside, and the flow from inside that it is about. */
struct icmp_from_inside {
	struct packet p;
	struct icmp_quote q;
	struct flow f;		      /* p: reply tuple of the quote; m: NULL if in no mapping; subscriber */
	const struct mapping *sender; /* mapping of the error's sender, or NULL */
	enum quote_kind kind;
	__u32 tenant; /* that it comes from */
};

/* Fills in *e, which must be zeroed; the packet's headers are in reach. Returns 0 if it is no ICMP message. */
static __always_inline int icmp_from_inside_parse(ctx_t *ctx, struct icmp_from_inside *e)
{
	if (parse(ctx, &e->p) != PACKET_ICMP_OTHER)
		return 0;
	e->kind = quote_parse(ctx, &e->p, ICMP_ECHOREPLY, &e->q);
	e->tenant = packet_tenant(ctx);
	e->sender = mapping_by_inside(e->tenant, e->p.src);
	if (e->kind == QUOTE_MALFORMED)
		return 1;
	e->f.p = e->q.reply;
	e->f.m = mapping_by_inside(e->tenant, e->f.p.src);
	/* Covered by no mapping now, but it may have a session in one that drains. */
	if (settings.drains && !e->f.m && e->kind == QUOTE_SESSION)
		drain_take(e->tenant, &e->f, SESSION_QUOTE);
	return 1;
}

/*
 * Outside port of the session or portmap that the error is about; 0 if there is none, or if the error is not addressed
 * to the sender of the quoted packet.
 */
static __always_inline int icmp_from_inside_port(struct icmp_from_inside *e)
{
	int port;

	if (e->kind == QUOTE_MALFORMED || e->kind == QUOTE_OTHER || !e->f.m || e->p.dst != e->f.p.dst)
		return 0;
	flow_from_inside(&e->f);
	port = session_quote_in2out(e->f.m, &e->f.p);
	if (!port && e->kind == QUOTE_SESSION)
		port = drain_take(e->tenant, &e->f, SESSION_QUOTE);
	/* The address by which the other side knows the sender. */
	if (settings.drains && port && e->p.src == e->f.p.src)
		e->sender = e->f.m;
	return port ? port : portmap_quote_in2out(e->f.m, &e->f.p);
}

static __always_inline enum reason icmp_from_inside_reason(const struct icmp_from_inside *e)
{
	return e->kind == QUOTE_MALFORMED ? quote_malformed_reason(&e->p) : REASON_drop_no_session;
}

/* The sender's outside address, or the gateway's on interface ifindex for other senders. Never an inside address. */
static __always_inline __u32 icmp_from_inside_source(const struct icmp_from_inside *e, __u32 ifindex)
{
	struct device *out = device_get(ifindex);

	if (e->sender)
		return mapping_out_addr(&e->sender->geo, mapping_subscriber(&e->sender->geo, e->p.src));
	return out && out->addr ? out->addr : mapping_out_addr(&e->f.m->geo, e->f.subscriber);
}

/*
 * Returns 1 if no mapping covers the error: neither its sender nor the flow that it is about. The barriers keep the
 * compiler from testing two pointers at once, which the verifier forbids.
 */
static __always_inline int icmp_from_inside_is_foreign(const struct icmp_from_inside *e)
{
	int sender = e->sender != 0, quoted = e->f.m != 0;

	barrier_var(sender);
	barrier_var(quoted);
	return !(sender | quoted);
}

/* Checks the sender and the header of an error. out_ifindex: its egress. Returns CONTINUE if it may be translated. */
static __always_inline int icmp_out_check(ctx_t *ctx, const struct icmp_from_inside *e, __u32 out_ifindex)
{
	enum reason refused;
	int source;

	if (source_is_martian(e->p.src))
		return drop(REASON_drop_martian);
	if (icmp_from_inside_is_foreign(e)) {
		/* Treated like any other packet from this sender. */
		if (e->kind == QUOTE_MALFORMED && unmatched_is_dropped(e->tenant, e->p.src))
			return drop(quote_malformed_reason(&e->p));
		return source_unmatched(ctx, &e->p);
	}
	if ((e->sender && tenant_differs(ctx, e->sender)) || (e->f.m && tenant_differs(ctx, e->f.m)))
		return drop(REASON_drop_tenant);
	source = source_check(ctx, e->p.src, e->p.dst, out_ifindex);
	if (source == SOURCE_REFUSED)
		return drop(REASON_drop_martian);
	refused = options_refusal(ctx, &e->p);
	if (refused)
		return drop(refused);
	return FORWARDS && source == SOURCE_KERNEL ? pass_untranslated() : CONTINUE;
}

/* Translates and sends the error, given the outside port of its session. src: the new source. */
static __always_inline int icmp_out_finish(ctx_t *ctx, const struct icmp_from_inside *e, __u16 out_port, __u32 src,
					   const struct egress *egress)
{
	struct rewrite to = rewrite_of(&e->p), quoted = rewrite_of_quote(&e->q);
	enum reason refused = quote_options_refusal(ctx, &e->q);

	if (refused)
		return drop(refused);
	to.src = src;
	quoted.dst = mapping_out_addr(&e->f.m->geo, e->f.subscriber);
	quoted.dport = out_port;
	return icmp_translate(ctx, &e->p, &to, &e->q, &quoted, egress, DIRECTION_OUT, e->sender, e->p.src);
}

#if FORWARDS

/* PROG_icmp_out. */
static __always_inline int icmp_out(ctx_t *ctx)
{
	struct icmp_from_inside e = {};
	struct egress *to = egress_get();
	enum hop_kind kind;
	int out_port, verdict;

	if (!icmp_from_inside_parse(ctx, &e))
		return drop(REASON_drop_malformed);
	if (!to)
		return drop(REASON_drop_error);
	egress_find(ctx, e.p.src, e.p.dst, packet_ingress(ctx), to);
	kind = hop_kind(to, e.p.dst);
	TRACE_NEXT_HOP(to, kind);
	/* As in in2out_admit(), which has already looked up this egress. */
	if (kind > HOP_OUT_KERNEL)
		return pass_untranslated();
	verdict = icmp_out_check(ctx, &e, to->ifindex);
	if (verdict == CONTINUE)
		verdict = egress_check_out(ctx, &e.p, to, e.f.m, e.f.p.src);
	if (verdict != CONTINUE)
		return verdict;
	out_port = icmp_from_inside_port(&e);
	if (!out_port)
		return drop(icmp_from_inside_reason(&e));
	return icmp_out_finish(ctx, &e, (__u16)out_port, icmp_from_inside_source(&e, to->ifindex), to);
}

#elif !AT_INGRESS

/*
 * Returns 1 if an ICMP message of the kernel would reveal an inside address. An error about a packet without a session
 * quotes the subscriber's address; any message may come from an inside address, and a redirect may name one. Messages
 * to destinations reached without translation reveal nothing.
 */
SUBPROGRAM int own_error_shows_inside(ctx_t *ctx, const struct packet *p)
{
	struct device *out = device_get(ctx->ifindex);
	__be32 quoted[2], gateway;
	__u32 icmp;

	if (!p || is_bypassed(p->dst))
		return 0;
	/* NAT on a stick: the message goes to a subscriber. */
	if (out && out->roles & DEVICE_INSIDE && address_is_inside(p->dst))
		return 0;
	icmp = p->l4_offset & 127;
	if (ctx_load(ctx, icmp + offsetof(struct icmphdr, id), &gateway, sizeof(gateway)) ||
	    ctx_load(ctx, icmp + sizeof(struct icmphdr) + offsetof(struct iphdr, saddr), quoted, sizeof(quoted)))
		return 1;
	if (p->icmp_type == ICMP_REDIRECT && address_is_inside(bpf_ntohl(gateway)))
		return 1;
	return address_is_inside(p->src) || address_is_inside(bpf_ntohl(quoted[0])) ||
	       address_is_inside(bpf_ntohl(quoted[1]));
}

/* An ICMP message of the gateway itself that belongs to no session. */
static __always_inline int icmp_out_own(ctx_t *ctx, const struct packet *p)
{
	if ((is_icmp_error(p) || p->icmp_type == ICMP_REDIRECT) && own_error_shows_inside(ctx, p))
		return drop(REASON_drop_own_error);
	return pass_untranslated();
}

/*
 * An ICMP error of the kernel: about a packet that it was to forward, which is translated already, or about any other.
 */
static __always_inline int icmp_out_of_kernel(ctx_t *ctx)
{
	struct icmp_from_inside e = {};
	__u32 src;
	int out_port;

	if (!icmp_from_inside_parse(ctx, &e))
		return pass_untranslated();
	out_port = icmp_from_inside_port(&e);
	/* A redirect is never translated: its gateway address is of use only to its receiver. */
	if (!out_port || !is_icmp_error(&e.p))
		return icmp_out_own(ctx, &e.p);
	/* The source is the kernel's own address and must not be an inside one. */
	e.sender = 0;
	src = address_is_inside(e.p.src) ? icmp_from_inside_source(&e, ctx->ifindex) : e.p.src;
	return icmp_out_finish(ctx, &e, (__u16)out_port, src, 0);
}

/* A forwarded ICMP error. */
static __always_inline int icmp_out_forwarded(ctx_t *ctx)
{
	struct icmp_from_inside e = {};
	int out_port, verdict;

	if (!icmp_from_inside_parse(ctx, &e))
		return drop(REASON_drop_malformed);
	verdict = icmp_out_check(ctx, &e, ctx->ifindex);
	if (verdict != CONTINUE)
		return verdict;
	out_port = icmp_from_inside_port(&e);
	if (!out_port)
		return drop(icmp_from_inside_reason(&e));
	return icmp_out_finish(ctx, &e, (__u16)out_port, icmp_from_inside_source(&e, ctx->ifindex), 0);
}

/* PROG_icmp_out. */
static __always_inline int icmp_out(ctx_t *ctx)
{
	if (pull_headers(ctx, ICMP_QUOTE_HEADERS))
		return drop(REASON_drop_error);
	return ctx_ingress(ctx) ? icmp_out_forwarded(ctx) : icmp_out_of_kernel(ctx);
}

#endif
#endif
