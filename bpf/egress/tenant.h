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

/* Number of the tenant that an interface is inside of; 0: none. In a VRF, tc sees the VRF's record. */
static __always_inline __u32 tenant_at(__u32 ifindex)
{
	const struct device *d = device_get(ifindex);

	return d ? d->tenant : 0;
}

/* Returns 1 if a packet came in through an inside interface that is not of the mapping's tenant. */
static __always_inline int tenant_differs(const ctx_t *ctx, const struct mapping *m)
{
	return settings.tenants && tenant_at(packet_ingress(ctx)) != LOAD(m->tenant);
}

/* The same for a packet to a pool address, which may come from outside. */
static __always_inline int tenant_intrudes(const ctx_t *ctx, const struct mapping *m)
{
	__u32 from = settings.tenants ? tenant_at(packet_ingress(ctx)) : 0;

	return from && from != LOAD(m->tenant);
}

/*
 * Returns 1 if an egress towards an inside address (host byte order) is an inside interface of another tenant. Where
 * the egress is not known, the kernel routes the packet, and tenant_forwards() judges it.
 */
SUBPROGRAM int tenant_strays(ctx_t *ctx, const struct egress *e, __u32 in_addr)
{
	const struct mapping *m;
	const struct device *out;

	NEEDS_CONTEXT(ctx);
	if (!settings.tenants || !e ||
	    !(e->state == EGRESS_READY || e->state == EGRESS_REFUSING || e->state == EGRESS_UNRESOLVED))
		return 0;
	out = device_get(e->ifindex);
	if (!out || !(out->roles & DEVICE_INSIDE))
		return 0;
	m = mapping_of_inside(in_addr);
	/* To a host without a mapping only its own tenant sends. */
	return out->tenant != (m ? LOAD(m->tenant) : tenant_at(packet_ingress(ctx)));
}

#endif
