// SPDX-License-Identifier: BSD-2-Clause
#include "hashing.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"

#define DRAWN 1000000

/* 32 bits, as a router's hash has. */
static uint32_t hash_of(const struct options *o, uint64_t what, uint64_t salt)
{
	return (uint32_t)(random_mix(random_mix((uint64_t)o->seed + salt) ^ what * 0x9e3779b97f4a7c15ULL) >> 32);
}

static uint32_t by_threshold(uint32_t hash, uint32_t gateways)
{
	return (uint32_t)((uint64_t)hash * gateways >> 32);
}

double hashing_fullest(const struct options *o, uint32_t gateways)
{
	uint64_t subscribers = (uint64_t)o->subscribers, most = 0;
	uint64_t *count = calloc(gateways, sizeof(*count));

	if (!count)
		return NAN;
	for (uint64_t i = 0; i < subscribers; i++)
		count[by_threshold(hash_of(o, i, 0), gateways)]++;
	for (uint32_t i = 0; i < gateways; i++)
		most = count[i] > most ? count[i] : most;
	free(count);
	return (double)most * gateways / (double)subscribers;
}

double hashing_moved(const struct options *o, uint32_t gateways, uint32_t k)
{
	enum rehash rehash = (enum rehash)o->rehash;
	uint64_t subscribers = (uint64_t)o->subscribers, moved = 0, others = 0;

	if (gateways < 2 || rehash == REHASH_RESILIENT)
		return 0;
	for (uint64_t i = 0; i < subscribers; i++) {
		uint32_t hash = hash_of(o, i, 0);
		uint32_t before = rehash == REHASH_MODULO ? hash % gateways : by_threshold(hash, gateways);
		uint32_t after = rehash == REHASH_MODULO ? hash % (gateways - 1) : by_threshold(hash, gateways - 1);

		if (before == k)
			continue;
		others++;
		moved += before != after + (after >= k);
	}
	return others ? (double)moved / (double)others : 0;
}

double hashing_scattered(const struct options *o, uint32_t gateways)
{
	uint64_t subscribers = (uint64_t)fmin(o->subscribers, DRAWN), scattered = 0;
	uint64_t flows = (uint64_t)((enum hash)o->hash == HASH_PORTS ? o->sessions : o->destinations);

	if ((enum hash)o->hash == HASH_SOURCE)
		return 0;
	for (uint64_t i = 0; i < subscribers; i++) {
		uint32_t first = by_threshold(hash_of(o, i << 17, 1), gateways);

		for (uint64_t flow = 1; flow < flows; flow++) {
			if (by_threshold(hash_of(o, i << 17 | flow, 1), gateways) != first) {
				scattered++;
				break;
			}
		}
	}
	return (double)scattered / (double)subscribers;
}

double hashing_met(const struct options *o, uint32_t gateways)
{
	uint64_t met = 0;

	for (uint64_t i = 0; i < DRAWN; i++)
		met += by_threshold(hash_of(o, i, 2), gateways) == by_threshold(hash_of(o, i, 3), gateways);
	return (double)met / DRAWN;
}
