/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/mapping_digest.h"

uint64_t digest_add(uint64_t digest, uint64_t value)
{
	/* Murmur's finaliser, a bijection. */
	digest = (digest ^ value) + 0x9e3779b97f4a7c15ULL;
	digest = (digest ^ digest >> 33) * 0xff51afd7ed558ccdULL;
	digest = (digest ^ digest >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return digest ^ digest >> 33;
}

uint64_t mapping_digest(const struct mapping *record)
{
	const struct geometry *g = &record->geo;
	uint64_t digest = digest_add(0, (uint64_t)g->in_base << 32 | g->out_base);

	digest = digest_add(digest, (uint64_t)g->in_plen << 8 | g->out_plen);
	digest = digest_add(digest, g->ports_per_host);
	digest = digest_add(digest, record->bucket_shift);
	return digest_add(digest, (uint64_t)record->bindings.mapping << 8 | record->bindings.filtering);
}
