/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that the kernel has routed to an inside interface of a tenant, at tc egress there. */
#ifndef DETNAT_TENANT_TC_H
#define DETNAT_TENANT_TC_H

#include "egress/tenant.h"

/* Of a receiver whose address several tenants have: no tenant's number. */
#define TENANT_AMBIGUOUS 256U

/*
 * The tenant of a packet's receiver, by its address; 0: none, or TENANT_AMBIGUOUS. A hairpin has a pool address as its
 * source. Of several tenants that have the receiver's address, it is for that of the interface to which tc at the
 * ingress has redirected it, by the pool address that it was sent to. to: that tenant.
 */
static __always_inline __u32 tenant_of_receiver(ctx_t *ctx, int hairpin, __u32 to)
{
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;
	const struct mapping *m;
	__u32 entry;

	if (ctx->protocol != bpf_htons(ETH_P_IP) || (void *)(ip + 1) > ctx_data_end(ctx))
		return 0;
	if (hairpin && !leaf_outside(bpf_ntohl(ip->saddr)))
		return 0;
	entry = leaf_inside(bpf_ntohl(ip->daddr));
	if (entry & INDEX_SHARED)
		return hairpin && index_leaf_of(entry, to) ? to : TENANT_AMBIGUOUS;
	m = mapping_of_leaf(mapping_table_get(), entry);
	if (!m && settings.drains)
		m = drain_any(bpf_ntohl(ip->daddr));
	return m ? LOAD(m->tenant) : 0;
}

/* Returns 1 if a tenant has no VRF. Of those, one alone has an address. */
static __always_inline int tenant_is_routed_by_main(__u32 tenant)
{
	const struct device_table *t = device_table_get();

	return t && LOAD(t->way[tenant & (MAX_TENANT_NUMBERS - 1)]) == WAY_MAIN;
}

/*
 * Returns 1 if a packet may leave through an inside interface: from an interface of the same tenant; a hairpin, which
 * tc at the ingress has redirected; or from elsewhere, unless it is to another tenant's subscriber. Of any protocol.
 */
SUBPROGRAM int tenant_forwards(ctx_t *ctx)
{
	__u32 from = tenant_at(ctx_ingress(ctx)), to = tenant_at(ctx->ifindex), receiver;

	/* The gateway's own. */
	if (!ctx_ingress(ctx) || from == to)
		return 1;
	receiver = tenant_of_receiver(ctx, from != 0, to);
	/* What comes from outside for a tenant's subscriber in a VRF has been routed by that, so `from` is the VRF's.
	 */
	if (receiver == TENANT_AMBIGUOUS && !from)
		return tenant_is_routed_by_main(to);
	return from ? receiver == to : !receiver || receiver == to;
}

#endif
