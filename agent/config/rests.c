/* SPDX-License-Identifier: BSD-2-Clause */
/* Outside addresses of mappings that have drained rest before others get them. */
#include <detnat/mapping.h>

#include "config/config.h"

unsigned config_rest_left(const struct config_rest *r)
{
	uint64_t now = monotonic_us();

	return r->until_us > now ? (unsigned)((r->until_us - now + 999999) / 1000000) : 0;
}

/* Whether the same mapping is meant, whose ports are the same subscribers'. */
static bool is_same(const struct config_rest *r, struct prefix in, struct prefix out)
{
	return r->in.base == in.base && r->in.plen == in.plen && r->out.base == out.base && r->out.plen == out.plen;
}

const struct config_rest *config_find_rest(const struct config *c, struct prefix in, struct prefix out)
{
	for (size_t i = 0; i < c->n_rests; i++) {
		const struct config_rest *r = &c->rests[i];

		if (!prefix_is_none(out) && prefix_overlaps(r->out.base, r->out.plen, out.base, out.plen) &&
		    !is_same(r, in, out) && config_rest_left(r))
			return r;
	}
	return NULL;
}
