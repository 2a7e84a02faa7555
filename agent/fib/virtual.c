/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/virtual.h"

#include <string.h>

/* The metric's lower bits are the kernel's; above them, how much shorter than the inside prefix a route is. */
#define METRIC_BITS 25U
#define METRIC_MOST ((1U << METRIC_BITS) - 1)

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Routes that the store would take for one are told apart by their tags. */
static uint16_t tag_of(const struct fib_told_route *told)
{
	uint64_t hash = (told->dst6.hi * 31 + told->dst6.lo) * 0x9e3779b97f4a7c15ULL + told->plen6;
	uint32_t tag = told->route.tag * 0x9e35U;

	return (uint16_t)(tag ^ (uint32_t)(hash >> 48));
}

static struct fib_told_route left_to_kernel(struct fib_told_route told, enum fib_kept kept)
{
	told.route.kept = (uint8_t)kept;
	told.way = (struct fib_way){ .kind = FIB_WAY_KERNEL };
	return told;
}

bool virtual_route_of(const struct virtual_range *r, const struct fib_told_route *told, struct fib_told_route *ret)
{
	const struct address6 inside = { .hi = r->first };
	struct fib_route *route = &ret->route;

	if (!prefix6_overlaps(&inside, r->plen, &told->dst6, told->plen6))
		return false;
	*ret = *told;
	route->tag = tag_of(told);
	ret->own = false;
	if (told->plen6 <= r->plen) {
		route->dst = r->virt;
		route->plen = (uint8_t)virtual_plen(r);
		route->metric = (r->plen - told->plen6) << METRIC_BITS | smaller(route->metric, METRIC_MOST);
	} else {
		bool within = told->plen6 > r->subscriber_plen;
		unsigned plen = within ? r->subscriber_plen : told->plen6;

		route->dst = r->virt + (uint32_t)((told->dst6.hi - r->first) >> (64 - r->subscriber_plen));
		route->plen = (uint8_t)(32 - (r->subscriber_plen - plen));
		if (within) {
			route->metric = 0;
			*ret = left_to_kernel(*ret, FIB_KEPT_OTHER);
		}
	}
	/* The gateway's own addresses: packets to them are the kernel's. */
	if (route->flags & FIB_ROUTE_LOCAL) {
		route->flags &= (uint8_t)~FIB_ROUTE_LOCAL;
		*ret = left_to_kernel(*ret, FIB_KEPT_TYPE);
	}
	if (ret->way.kind == FIB_WAY_VIA)
		ret->way.growth = VIRTUAL_GROWTH;
	return true;
}

struct fib_told_route virtual_route_none(const struct virtual_range *r)
{
	return (struct fib_told_route){
		.route = { .dst = r->virt, .plen = (uint8_t)virtual_plen(r), .metric = UINT32_MAX },
		.way.kind = FIB_WAY_KERNEL,
	};
}
