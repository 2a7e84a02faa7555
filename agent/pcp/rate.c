/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/rate.h"

struct source {
	struct hash_entry entry;
	uint32_t addr;
	uint32_t ifindex;
	uint32_t taken;
};

static uint64_t hash(const void *entry)
{
	const struct source *s = entry;

	return HASH_OF((uint64_t)s->ifindex << 32 | s->addr);
}

static bool same(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return x->addr == y->addr && x->ifindex == y->ifindex;
}

static const struct hash_type sources = { sizeof(struct source), PCP_PER_SECOND, hash, same };

bool pcp_rate_take(struct pcp_rate *r, uint32_t addr, uint32_t ifindex, uint64_t second)
{
	const struct source like = { .addr = addr, .ifindex = ifindex };
	struct source *s;

	if (second != r->second) {
		r->second = second;
		r->taken = 0;
		hash_clear(&r->sources);
	}
	s = hash_find(&sources, &r->sources, &like);
	if (r->taken >= PCP_PER_SECOND || (s && s->taken >= PCP_PER_SOURCE))
		return false;
	if (!s)
		s = hash_add(&sources, &r->sources, &like);
	if (!s)
		return false;
	s->taken++;
	r->taken++;
	return true;
}

void pcp_rate_free(struct pcp_rate *r)
{
	hash_free(&r->sources);
}
