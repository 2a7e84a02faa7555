// SPDX-License-Identifier: BSD-2-Clause
#include "plan/blocks.h"

struct plan_blocks plan_blocks_of(const struct geometry *g)
{
	struct plan_blocks b = { .ratio = g->ratio,
				 .first_port = g->first_port,
				 .pitch = g->pitch,
				 .ports_per_host = g->ports_per_host,
				 .netmap = (g->flags & MAPPING_NETMAP) != 0 };
	struct geometry usual;

	if (!g->ports_per_host)
		return (struct plan_blocks){ 0 };
	/* With one block on each address the pitch means nothing, and with one address the order. */
	if (b.ratio == 1)
		b.pitch = b.ports_per_host;
	if (b.ratio == 1 || !g->last_out)
		b.netmap = 0;
	if (mapping_geometry(g->in_base, g->in_plen, g->out_base, g->out_plen, &usual))
		return b;
	if (b.ratio == usual.ratio && b.first_port == usual.first_port && b.pitch == usual.pitch &&
	    b.ports_per_host == usual.ports_per_host && !b.netmap)
		return (struct plan_blocks){ 0 };
	return b;
}

int plan_blocks_geometry(struct prefix in, struct prefix out, const struct plan_blocks *b, struct geometry *ret)
{
	struct mapping_parameters p = { .ratio = b->ratio,
					.first_port = b->first_port,
					.pitch = b->pitch,
					.ports_per_host = b->ports_per_host,
					.netmap = b->netmap };

	if (plan_blocks_default(b))
		return mapping_geometry(in.base, in.plen, out.base, out.plen, ret);
	if (prefix_is_none(in) || prefix_is_none(out))
		return -1;
	p.in_base = in.base;
	p.last_subscriber = prefix_last(in) - in.base;
	p.out_base = out.base;
	p.last_out = prefix_last(out) - out.base;
	return mapping_make(&p, ret);
}
