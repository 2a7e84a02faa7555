// SPDX-License-Identifier: BSD-2-Clause
/* What the figures are meant to reach. A goal that is missed fails nothing: it is printed. */
#include "bench.h"

#include <string.h>

enum measure {
	OF_VPP,	 /* net, of VPP's graph */
	OF_ROW,	 /* net, of the row that it is measured in turn with: as run, the generator would hide what they differ
		    by */
	SPEEDUP, /* of two cores */
	BEYOND,	 /* % of sessions beyond the slots or refused */
	MEMORY_EACH, /* octets of all tables, of a subscriber */
};

struct goal {
	const char *text;
	const char *row;
	enum path path;
	enum measure measure;
	double limit;
};

#define BOTH_WAYS(name, row, measure, limit)                              \
	{ name ", inside to outside", row, PATH_IN, measure, limit },     \
	{                                                                 \
		name ", outside to inside", row, PATH_OUT, measure, limit \
	}

#define DESTINATIONS(name, row)                                    \
	BOTH_WAYS(name, row, OF_ROW, 1.1),                         \
	{                                                          \
		name ", new session", row, PATH_OPEN, OF_ROW, 1.15 \
	}

static const struct goal goals[] = {
	BOTH_WAYS("h1024-p63 of VPP's graph", "h1024-p63", OF_VPP, 0.9),
	BOTH_WAYS("h16384-p63 of VPP's graph", "h16384-p63", OF_VPP, 1),
	BOTH_WAYS("h65536-p63 of VPP's graph", "h65536-p63", OF_VPP, 1),
	BOTH_WAYS("h262144-p63 of VPP's graph", "h262144-p63", OF_VPP, 1),
	BOTH_WAYS("h1024, 1000 sessions each, of VPP's graph", "h1024-p1000", OF_VPP, 1),
	{ "new session at h1024-p63, of VPP's", "h1024-p63", PATH_OPEN, OF_VPP, 0.5 },
	{ "new session at h16384-p63, of VPP's", "h16384-p63", PATH_OPEN, OF_VPP, 0.5 },
	{ "new session at h262144-p63, of VPP's", "h262144-p63", PATH_OPEN, OF_VPP, 0.5 },
	BOTH_WAYS("sessions beyond the slots against plain ones", "beyond-h1024-p63", OF_ROW, 2),
	BOTH_WAYS("sessions on granted ports against plain ones", "granted-h1024-p63", OF_ROW, 2),
	BOTH_WAYS("the same of 65,536 subscribers", "beyond-h65536-p63", OF_ROW, 2),
	BOTH_WAYS("the same on granted ports", "granted-h65536-p63", OF_ROW, 2),
	BOTH_WAYS("4032 portmaps against sessions", "portmap-h64", OF_ROW, 2),
	BOTH_WAYS("64,512 portmaps against sessions", "portmap-h1024", OF_ROW, 2.5),
	BOTH_WAYS("open mapping against sessions", "open-h1024", OF_ROW, 1.3),
	BOTH_WAYS("endpoint-independent mapping against plain", "eim-h1024-p63", OF_ROW, 1.1),
	{ "its new session against a plain one", "eim-h1024-p63", PATH_OPEN, OF_ROW, 1.6 },
	BOTH_WAYS("two tenants against none", "tenants-h1024-p63", OF_ROW, 1.03),
	BOTH_WAYS("NAT64 against IPv4, h1024", "nat64-h1024-p63", OF_ROW, 1.8),
	BOTH_WAYS("NAT64 against IPv4, h16384", "nat64-h16384-p63", OF_ROW, 1.35),
	BOTH_WAYS("NAT64 against IPv4, h65536", "nat64-h65536-p63", OF_ROW, 1.3),
	BOTH_WAYS("IPv4 beside NAT64 against without", "beside-nat64-h1024-p63", OF_ROW, 1.01),
	BOTH_WAYS("blocks that grow against others", "growth-h1024-p63", OF_ROW, 1.03),
	{ "new session with limits against without", "limits-h1024-p63", PATH_OPEN, OF_ROW, 1.25 },
	BOTH_WAYS("1000 mappings against 1", "mappings-1000", OF_ROW, 1.1),
	BOTH_WAYS("4096 mappings against 1", "mappings-4096", OF_ROW, 1.1),
	BOTH_WAYS("33 subscribers an address against 32", "ratio-33", OF_ROW, 1.03),
	DESTINATIONS("100,000 destinations against 1", "dest-100k"),
	DESTINATIONS("100,000 by Zipf against 1", "dest-100k-zipf"),
	DESTINATIONS("1 destination with a million routes against 1", "dest-1-routes-1m"),
	{ "2 cores against 1, inside to outside", "h1024-p63", PATH_IN_2, SPEEDUP, 1.95 },
	{ "2 cores against 1, outside to inside", "h1024-p63", PATH_OUT_2, SPEEDUP, 1.95 },
	{ "2 cores against 1, one for each direction", "h1024-p63", PATH_CROSS_2, SPEEDUP, 1.95 },
	{ "2 cores against 1, 5 % of packets opening", "h1024-p63", PATH_MIXED_2, SPEEDUP, 1.95 },
	{ "2 cores against 1, inside to outside, h16384", "h16384-p63", PATH_IN_2, SPEEDUP, 1.95 },
	{ "2 cores against 1, outside to inside, h16384", "h16384-p63", PATH_OUT_2, SPEEDUP, 1.95 },
	{ "2 cores against 1, one for each direction, h16384", "h16384-p63", PATH_CROSS_2, SPEEDUP, 1.95 },
	{ "2 cores against 1, 5 % of packets opening, h16384", "h16384-p63", PATH_MIXED_2, SPEEDUP, 1.95 },
	{ "% beyond the slots, 63 sessions to 100 destinations", "mix-uniform", PATH_OPEN, BEYOND, 0.1 },
	{ "% beyond the slots, 100 sessions to Zipf destinations", "mix-zipf", PATH_OPEN, BEYOND, 1 },
	{ "octets a subscriber at h262144-p63", "h262144-p63", PATH_OPEN, MEMORY_EACH, 1800 },
	{ "octets a subscriber at h1048576-p63", "h1048576-p63", PATH_OPEN, MEMORY_EACH, 2253 },
};

/* A row that was to be measured, even if it could not be. */
static const struct result *result_of(const char *row, const struct result *results, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(results[i].row->name, row))
			return &results[i];
	return NULL;
}

/* The figure of a goal, and how far it lies apart; false where it was not measured. */
static bool value_of(const struct goal *g, const struct result *r, double *ret, double *ret_spread)
{
	struct ratio ratio;
	struct figures f;

	if (r->wrong || r->skipped[0] || !figures_of(r, g->path, &f) ||
	    (g->measure == OF_ROW && !compared(r, g->path, &ratio)))
		return false;
	switch (g->measure) {
	case OF_VPP:
		*ret = f.net / vpp_of(r->row, g->path);
		break;
	case OF_ROW:
		*ret = ratio.value;
		*ret_spread = ratio.spread;
		break;
	case SPEEDUP:
		*ret = f.speedup;
		break;
	case BEYOND:
		*ret = 100.0 * (double)(r->beyond + r->refused) / (double)r->sessions;
		break;
	case MEMORY_EACH:
		*ret = (double)r->memory / r->row->hosts;
		break;
	}
	return true;
}

bool goal_judge(unsigned n, const struct result *results, unsigned n_results, struct verdict *ret)
{
	if (n >= ARRAY_SIZE(goals))
		return false;

	const struct goal *g = &goals[n];
	const struct result *r = result_of(g->row, results, n_results);
	struct verdict v = {
		.text = g->text,
		.limit = g->limit,
		.word = VERDICT_UNMEASURED,
		.at_least = g->measure == SPEEDUP,
		.asked = r,
	};

	if (r && value_of(g, r, &v.value, &v.spread))
		v.word = verdict_of(v.value, v.limit, v.at_least, v.spread);
	*ret = v;
	return true;
}

bool goal_compares(const struct row *row, enum path path)
{
	for (size_t i = 0; i < ARRAY_SIZE(goals); i++)
		if (goals[i].measure == OF_ROW && goals[i].path == path && !strcmp(goals[i].row, row->name))
			return true;
	return false;
}
