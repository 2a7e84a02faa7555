/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tracing build: selects the packets to be recorded, and begins their records. */
#ifndef DETNAT_TRACE_BEGIN_H
#define DETNAT_TRACE_BEGIN_H

#include "session/grant.h"
#include "translate/fragment.h"
#include "subscriber/lookup.h"
#include "trace/trace_record.h"
#include "egress/egress_find.h"

_Static_assert((int)HOP_OUT == TRACE_HOP_OUT && (int)HOP_OUT_TAGGED == TRACE_HOP_OUT_TAGGED &&
		       (int)HOP_OUT_KERNEL == TRACE_HOP_OUT_KERNEL && (int)HOP_POOL == TRACE_HOP_POOL &&
		       (int)HOP_LOCAL == TRACE_HOP_LOCAL && (int)HOP_OTHER == TRACE_HOP_OTHER,
	       "the agent knows them by these numbers");
_Static_assert((int)EGRESS_READY == TRACE_EGRESS_READY && (int)EGRESS_KERNEL == TRACE_EGRESS_KERNEL &&
		       (int)EGRESS_REFUSING == TRACE_EGRESS_REFUSING &&
		       (int)EGRESS_UNRESOLVED == TRACE_EGRESS_UNRESOLVED,
	       "the agent knows them by these numbers");

/* Returns 1 if a portmap leads from an outside endpoint to the subscriber with this inside address. */
static __always_inline int trace_portmap_leads_to(__u32 in_addr, __u32 out_addr, __u16 out_port, __u8 proto)
{
	struct portmap_key key = { .addr = out_addr, .port = out_port, .proto = proto, .direction = PORTMAP_OUT2IN };
	const struct portmap_value *v = settings.portmaps ? bpf_map_lookup_elem(&portmaps, &key) : 0;

	return v && v->addr == in_addr;
}

/* Of which tenants a packet is. They have numbers where its way says so, else 0. */
struct trace_tenants {
	__u32 wanted; /* by the filter; 0: any */
	__u32 from;   /* whose interface it came in by */
	__u32 to;     /* whose interface it leaves by; at the ingress, where that is not known: from */
	__u32 pool;   /* whose outside address it is sent to */
};

/* The tenant whose outside address this is; 0: none. */
static __always_inline __u32 trace_tenant_outside(__u32 out_addr)
{
	const struct mapping *m = settings.tenants ? mapping_by_outside(out_addr) : 0;

	return m ? LOAD(m->tenant) : 0;
}

static __always_inline struct trace_tenants trace_tenants_of(const ctx_t *ctx, const struct trace_filter *f,
							     const struct trace_headers *h)
{
	struct trace_tenants t = { .from = packet_tenant(ctx) };

	t.to = t.from;
	if (!settings.tenants)
		return t;
	t.wanted = f->tenant;
	t.pool = trace_tenant_outside(h->dst);
#if !HOOK_XDP
	if (!AT_INGRESS)
		t.to = tenant_at(ctx->ifindex) ?: t.from;
#endif
	return t;
}

static __always_inline int trace_is_wanted(const struct trace_tenants *t, __u32 tenant)
{
	return !t->wanted || t->wanted == tenant;
}

/* Returns 1 if an outside endpoint belongs to the subscriber with this inside address, of the tenant that is wanted. */
static __always_inline int trace_is_owner(const struct trace_tenants *t, __u32 in_addr, __u32 out_addr, __u16 out_port,
					  __u8 proto)
{
	const struct mapping *m = mapping_by_outside(out_addr);

	if (t->wanted && (!m || LOAD(m->tenant) != t->wanted))
		return 0;
	if (trace_portmap_leads_to(in_addr, out_addr, out_port, proto))
		return 1;

	if (m && mapping_is_one_to_one(m))
		return m->geo.in_base + (out_addr - m->geo.out_base) == in_addr;

	__s64 subscriber = m ? port_owner(m, out_addr, out_port) : -1;

	return subscriber >= 0 && m->geo.in_base + (__u32)subscriber == in_addr;
}

/* Returns 1 for a later fragment to a subscriber, which is known once the first fragment has passed. */
static __always_inline int trace_is_fragment_to(__u32 tenant, __u32 in_addr, const struct trace_headers *h, __u8 side)
{
	struct fragment_key key = { .src = h->src, .dst = h->dst, .id = h->id, .proto = h->proto, .side = side };
	const struct fragment *e;

	if (!(h->fragment & IP_OFFSET_MASK))
		return 0;
	if (side == FRAGMENT_FROM_INSIDE)
		key.tenant = (__u8)tenant;
	e = bpf_map_lookup_elem(&fragments, &key);
	return e && LOAD(e->dst) == in_addr;
}

/* Fragments to the subscriber; one from inside is of a hairpin, so all of them are sent to an outside address. */
static __always_inline int trace_is_later_fragment(const struct trace_tenants *t, __u32 in_addr,
						   const struct trace_headers *h)
{
	return trace_is_wanted(t, t->pool) && (trace_is_fragment_to(t->from, in_addr, h, FRAGMENT_FROM_OUTSIDE) ||
					       trace_is_fragment_to(t->from, in_addr, h, FRAGMENT_FROM_INSIDE));
}

/*
 * Returns 1 for a subscriber's packets in both directions and for ICMP errors about them. Errors to others match only
 * if the subscriber sent them. Where several tenants have the address, the one that is wanted is meant.
 */
static __always_inline int trace_matches_in(const struct trace_tenants *t, __u32 in_addr, const struct trace_headers *h)
{
	return (h->src == in_addr && trace_is_wanted(t, t->from)) || (h->dst == in_addr && trace_is_wanted(t, t->to)) ||
	       trace_is_owner(t, in_addr, h->dst, h->dport, h->proto) ||
	       (h->quoted_src && trace_is_owner(t, in_addr, h->quoted_src, h->quoted_sport, h->quoted_proto)) ||
	       trace_is_later_fragment(t, in_addr, h);
}

static __always_inline int trace_matches_out(__u32 tenant, __u32 out_addr, const struct trace_headers *h)
{
	const struct mapping *m = mapping_by_inside(tenant, h->src);

	return h->src == out_addr || h->dst == out_addr ||
	       (m && mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, h->src)) == out_addr);
}

static __always_inline int trace_matches(const struct trace_tenants *t, const struct trace_filter *f,
					 const struct trace_headers *h)
{
	if (f->proto &&
	    ((h->ether_type != ETH_P_IP && (!FAMILY6 || h->ether_type != ETH_P_IPV6)) || h->proto != f->proto))
		return 0;
	if (f->in.addr ? !trace_matches_in(t, f->in.addr, h)
		       : !trace_is_wanted(t, t->from) && !trace_is_wanted(t, t->to) && !trace_is_wanted(t, t->pool))
		return 0;
	if (f->out.addr && !trace_matches_out(t->from, f->out.addr, h))
		return 0;
	return !f->ext.addr || h->src == f->ext.addr || h->dst == f->ext.addr || h->quoted_dst == f->ext.addr;
}

__noinline int trace_begin(ctx_t *ctx)
{
	__u32 zero = 0;
	const struct trace_filter *f = trace_filter_get();
	struct trace_record *r = bpf_map_lookup_elem(&trace_records, &zero);
	const struct trace_headers *h;
	struct trace_tenants t;

	if (!r || !f)
		return 0;
	r->active = 0;
	if (f->left <= 0)
		return 0;
	h = trace_read(ctx);
	if (!h)
		return 0;
	t = trace_tenants_of(ctx, f, h);
	if (!trace_matches(&t, f, h))
		return 0;
	__builtin_memset(r, 0, offsetof(struct trace_record, step));
	r->active = 1;
	r->time_ns = bpf_ktime_get_ns();
	r->generation = f->generation;
	r->hook = HOOK_XDP ? TRACE_HOOK_XDP : AT_INGRESS ? TRACE_HOOK_INGRESS : TRACE_HOOK_TC;
#if HOOK_XDP
	r->ifindex = ctx->ingress_ifindex;
#else
	r->ifindex = ctx->ifindex;
#endif
	r->length = ctx_length(ctx);
	r->ether_type = h->ether_type;
	r->ip_length = h->length;
	r->fragment = h->fragment;
	r->n_tags = h->n_tags;
	r->vlan[0] = h->vlan[0];
	r->vlan[1] = h->vlan[1];
	r->reason = TRACE_NO_REASON;
	r->cpu = bpf_get_smp_processor_id();
	r->proto = h->proto;
	r->ttl = h->ttl;
	r->tcp_flags = h->tcp_flags;
	r->icmp_type = h->icmp_type;
	r->icmp_code = h->icmp_code;
	r->tenant = (__u8)(t.from ?: t.pool ?: t.to);
	trace_add_packet(r, f, h, TRACE_received, 0, 0);
	return 0;
}

#endif
