/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's route to a host of an IPv6 subscriber, which stands for that to the subscriber's virtual address. It is
 * asked as of an inside interface: the outside ones may not forward IPv6.
 */
#ifndef DETNAT_SIX_ROUTE6_H
#define DETNAT_SIX_ROUTE6_H

#include "six/packet6.h"
#include "six/state.h"

#ifndef AF_INET6
#define AF_INET6 10
#endif

/* Makes a question about the packet's host of one about its subscriber's virtual address. */
static __always_inline void route6_ask(struct bpf_fib_lookup *fib, __u32 in_ifindex)
{
	const struct six *x = six_get();
	const struct record6 *r = x ? record6_of(LOAD(x->leaf)) : 0;
	const struct indices6 *indices;
	__be32 src = fib->ipv4_src;
	__u32 zero = 0, inside;
	__u64 addr[2];

	if (!r)
		return;
	indices = bpf_map_lookup_elem(&indices6, &zero);
	inside = indices ? LOAD(indices->inside) : 0;
	fib->family = AF_INET6;
	fib->ifindex = inside ? inside : in_ifindex;
	fib->flowinfo = 0;
	nat64_address(r, bpf_ntohl(src), addr);
	__builtin_memcpy(fib->ipv6_src, addr, sizeof(fib->ipv6_src));
	addr[0] = be64_number(LOAD(x->hi));
	addr[1] = LOAD(x->lo);
	__builtin_memcpy(fib->ipv6_dst, addr, sizeof(fib->ipv6_dst));
}

/* Returns 1 if the answer says that the host itself is on the link, which others of its subscriber need not be. */
static __always_inline int route6_is_on_link(const struct bpf_fib_lookup *fib)
{
	const struct six *x = six_get();
	__u64 addr[2];

	if (!x || fib->family != AF_INET6)
		return 0;
	addr[0] = be64_number(LOAD(x->hi));
	addr[1] = LOAD(x->lo);
	return !(((__u64)fib->ipv6_dst[0] | (__u64)fib->ipv6_dst[1] << 32) ^ addr[0]) &&
	       !(((__u64)fib->ipv6_dst[2] | (__u64)fib->ipv6_dst[3] << 32) ^ addr[1]);
}

#endif
