// SPDX-License-Identifier: BSD-2-Clause
#include "model.h"

#include <math.h>

static double mean_life(const struct options *o)
{
	double part = o->long_percent / 100;

	return part * o->long_life + (1 - part) * o->short_life;
}

struct model model_of(const struct options *o)
{
	struct model m = {
		.packets = o->subscribers * o->mbit * 1e6 / (8 * o->octets),
		.openings = o->subscribers * o->sessions / mean_life(o),
	};
	double capacity = o->cores * o->load_percent / 100;

	m.cores = m.packets / (o->mpps * 1e6);
	m.needed = fmax(ceil(m.cores / capacity), 1);
	switch ((enum layout)o->layout) {
	case LAYOUT_PAIR:
		m.groups = m.needed;
		m.gateways = 2 * m.needed;
		m.mapped = o->subscribers / m.groups;
		break;
	case LAYOUT_RING:
		/* With the neighbour's group a gateway has twice its own. */
		m.gateways = fmax(ceil(2 * m.cores / capacity), 3);
		m.groups = m.gateways;
		m.mapped = 2 * o->subscribers / m.groups;
		break;
	case LAYOUT_ECMP:
		m.gateways = fmax(m.needed + o->spare, 2);
		m.groups = m.gateways;
		/* Any subscriber may come to any gateway. */
		m.mapped = o->subscribers;
		break;
	}
	m.group = o->subscribers / m.groups;
	return m;
}

double model_younger(const struct options *o, double age)
{
	double of_long = o->long_percent / 100 * o->long_life / mean_life(o);

	return of_long * -expm1(-age / o->long_life) + (1 - of_long) * -expm1(-age / o->short_life);
}

double model_lost(const struct options *o)
{
	return 1 - (1 - o->silent_percent / 100) * (1 - o->displaced_percent / 100);
}

double model_lost_copied(const struct options *o, double age)
{
	return model_lost(o) * model_younger(o, age);
}

double model_down(const struct options *o)
{
	return o->repair / (o->mtbf + o->repair);
}

/*
 * Threshold: gateway i of n has the hashes from i/n to (i+1)/n, and afterwards from i/(n-1) on where i < k; what of its
 * old part is not in its new one moves (RFC 2992 section 3). Without the share that gateway k had itself.
 */
double model_moved(enum rehash rehash, unsigned n, unsigned k)
{
	double all = n, before = k, after = all - 1 - before;

	if (n < 2)
		return 0;
	switch (rehash) {
	case REHASH_THRESHOLD:
		return (before * (before - 1) + after * (after - 1)) / 2 / (all * (all - 1)) * all / (all - 1);
	case REHASH_MODULO:
		/* A hash keeps its gateway if it is the same modulo n and modulo n - 1, counted without k. */
		return 1 - 1 / (all - 1);
	case REHASH_RESILIENT:
		return 0;
	}
	return 0;
}

double model_scattered(const struct options *o, double n)
{
	double flows = (enum hash)o->hash == HASH_PORTS ? o->sessions : o->destinations;

	return (enum hash)o->hash == HASH_SOURCE ? 0 : 1 - pow(n, 1 - flows);
}
