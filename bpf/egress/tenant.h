/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tenants do not reach each other's inside: a packet from inside uses the mappings of its interface's tenant alone, and
 * one to a subscriber leaves by an interface of the subscriber's tenant. Outside interfaces have no tenant. All of it
 * is compiled away while there are no tenants.
 */
#ifndef DETNAT_TENANT_H
#define DETNAT_TENANT_H

#include "egress/egress.h"
#include "egress/route.h"
#include "subscriber/drain_lookup.h"
#include "subscriber/stateless.h"

/*
 * A packet to a subscriber of m that came in through in_ifindex is routed as one that came in through this interface:
 * the VRF of its tenant, or in_ifindex if that has none; WAY_NONE if the VRF does not exist. m NULL: to a host without
 * a mapping, which only its own tenant reaches.
 */
static __always_inline __u32 way_inwards(const struct mapping *m, __u32 in_ifindex)
{
	const struct device_table *t = settings.tenants && m ? device_table_get() : 0;
	__u32 way = t ? LOAD(t->way[LOAD(m->tenant)]) : WAY_MAIN;

	return way == WAY_MAIN ? in_ifindex : way;
}

/* The loopback interface's index: it is in no VRF. */
#define WAY_BY_MAIN 1U

/*
 * The way inwards of a hairpin, given way_inwards(). To a tenant without a VRF from one in a VRF it is the main
 * table's, and not the sender's, which knows the sender's subscribers.
 */
static __always_inline __u32 way_of_hairpin(const struct mapping *m, __u32 in_ifindex, __u32 way)
{
	const struct device_table *t = settings.tenants && settings.vrf && m ? device_table_get() : 0;
	__u32 from = t ? tenant_at(in_ifindex) : 0;

	if (!t || way != in_ifindex || from == LOAD(m->tenant) ||
	    LOAD(t->way[from & (MAX_TENANT_NUMBERS - 1)]) == WAY_MAIN)
		return way;
	return WAY_BY_MAIN;
}

/* Returns 1 if a packet came in through an inside interface that is not of the mapping's tenant. */
static __always_inline int tenant_differs(const ctx_t *ctx, const struct mapping *m)
{
	return settings.tenants && tenant_at(packet_ingress(ctx)) != LOAD(m->tenant);
}

/* The same for a packet to a pool address, which may come from outside. */
static __always_inline int tenant_intrudes(const ctx_t *ctx, const struct mapping *m)
{
	__u32 from = packet_tenant(ctx);

	return from && from != LOAD(m->tenant);
}

/*
 * Returns 1 if the source of a packet from inside is another tenant's address, and no mapping of its own tenant's,
 * which it may not even leave untranslated.
 */
static __always_inline int tenant_is_alien(const ctx_t *ctx, __u32 src)
{
	return settings.tenants && leaf_inside(src) && !is_untranslated(packet_tenant(ctx), src);
}

/*
 * Returns 1 if an egress towards an inside host is an inside interface of another tenant. m: the mapping of a
 * subscriber; NULL: to a host without a mapping, only its own tenant sends. Where the egress is not known, the kernel
 * routes the packet, and tenant_forwards() judges it.
 */
SUBPROGRAM int tenant_strays(ctx_t *ctx, const struct egress *e, const struct mapping *m)
{
	const struct device *out;

	if (!settings.tenants || !e ||
	    !(e->state == EGRESS_READY || e->state == EGRESS_REFUSING || e->state == EGRESS_UNRESOLVED))
		return 0;
	out = device_get(e->ifindex);
	if (!out || !(out->roles & DEVICE_INSIDE))
		return 0;
	return out->tenant != (m ? LOAD(m->tenant) : tenant_at(packet_ingress(ctx)));
}

#endif
