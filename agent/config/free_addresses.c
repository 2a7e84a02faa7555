/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/free_addresses.h"

/* How much of p the other prefix covers. */
static enum pool_use use_by(struct prefix p, struct prefix other)
{
	return prefix_within(p, other) ? POOL_WHOLE : prefixes_overlap(p, other) ? POOL_IN_PART : POOL_FREE;
}

static void note(enum pool_use *use, enum pool_use also)
{
	if (also > *use)
		*use = also;
}

/* How much of a prefix is in use otherwise, if these inside addresses are to get it. */
static enum pool_use use_of(const struct config *c, const struct address_source *s, struct prefix p, struct prefix in)
{
	enum pool_use use = use_by(p, s->drained);

	for (size_t i = 0; i < c->n_mappings && use != POOL_WHOLE; i++) {
		note(&use, use_by(p, c->mappings[i].in));
		note(&use, use_by(p, c->mappings[i].out));
	}
	if (s->users && use != POOL_WHOLE)
		note(&use, s->users->use(p, s->tenant, in, s->users->arg));
	return use;
}

/* The first free prefix of a length within p, for these inside addresses. */
static bool find_within(const struct config *c, const struct address_source *s, struct prefix p, struct prefix in,
			unsigned plen, struct prefix *ret)
{
	enum pool_use use = p.plen > plen ? POOL_WHOLE : use_of(c, s, p, in);

	if (use == POOL_FREE)
		*ret = (struct prefix){ p.base, (uint8_t)plen };
	if (use != POOL_IN_PART || p.plen == plen)
		return use == POOL_FREE;
	return find_within(c, s, prefix_half(p, 0), in, plen, ret) ||
	       find_within(c, s, prefix_half(p, 1), in, plen, ret);
}

uint64_t count_free_addresses(const struct config *c, const struct address_source *s, struct prefix p, struct prefix in)
{
	enum pool_use use = use_of(c, s, p, in);

	if (use == POOL_IN_PART)
		return count_free_addresses(c, s, prefix_half(p, 0), in) +
		       count_free_addresses(c, s, prefix_half(p, 1), in);
	return use == POOL_FREE ? prefix_count(p) : 0;
}

bool find_free_prefix(const struct config *c, const struct address_source *s, struct prefix in, unsigned plen,
		      struct prefix *ret)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (find_within(c, s, s->from[i], in, plen, ret))
			return true;
	return false;
}
