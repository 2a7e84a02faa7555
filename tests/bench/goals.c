// SPDX-License-Identifier: BSD-2-Clause
/* What the figures are meant to reach. A goal that is missed fails nothing: it is printed. */
#include "bench.h"

#include <string.h>

/* Octets an inside address of VPP's det44, at any scale. */
#define VPP_MEMORY 24000.0

enum measure {
	RATIO,	/* to the floor, both as run */
	OF_VPP, /* net, of VPP's graph */
	OF_ROW, /* ratio to the floor, of another row's */
	/*
	 * Net, less the read of the destination's route on the way out, of another row's; both in units of their
	 * floors. Ratios as run would hide differences behind what the generator takes.
	 */
	OF_NET,
	SPEEDUP,  /* of two cores */
	OVERFLOW, /* % of sessions beyond the slots or refused */
	MEMORY,	  /* octets of all tables */
	MEMORY_EACH,
	MEMORY_OF_VPP, /* of a subscriber, all tables counted */
};

struct goal {
	const char *text;
	const char *row;
	enum path path;
	enum measure measure;
	double limit;
	const char *other;
};

#define BOTH_WAYS(name, row, measure, limit, other)                              \
	{ name ", inside to outside", row, PATH_IN, measure, limit, other },     \
	{                                                                        \
		name ", outside to inside", row, PATH_OUT, measure, limit, other \
	}

#define DESTINATIONS(name, row)                                              \
	BOTH_WAYS(name, row, OF_NET, 1.1, "dest-1"),                         \
	{                                                                    \
		name ", new session", row, PATH_OPEN, OF_NET, 1.15, "dest-1" \
	}

static const struct goal goals[] = {
	{ "h1024-p63 of floor, inside to outside", "h1024-p63", PATH_IN, RATIO, 2.0, NULL },
	{ "h1024-p63 of floor, outside to inside", "h1024-p63", PATH_OUT, RATIO, 2.1, NULL },
	{ "h16384-p63 of floor, inside to outside", "h16384-p63", PATH_IN, RATIO, 4.5, NULL },
	{ "h16384-p63 of floor, outside to inside", "h16384-p63", PATH_OUT, RATIO, 4.7, NULL },
	BOTH_WAYS("h262144-p63 of floor", "h262144-p63", RATIO, 8, NULL),
	BOTH_WAYS("h1048576-p63 of floor", "h1048576-p63", RATIO, 9, NULL),
	{ "new session at h1024-p63, of floor", "h1024-p63", PATH_OPEN, RATIO, 3.5, NULL },
	{ "new session at h16384-p63, of floor", "h16384-p63", PATH_OPEN, RATIO, 6, NULL },
	{ "quota refusal, of floor", "h1024-p63", PATH_REFUSE, RATIO, 2.7, NULL },
	BOTH_WAYS("h1024-p63 of VPP's graph", "h1024-p63", OF_VPP, 0.9, NULL),
	BOTH_WAYS("h16384-p63 of VPP's graph", "h16384-p63", OF_VPP, 0.5, NULL),
	BOTH_WAYS("h65536-p63 of VPP's graph", "h65536-p63", OF_VPP, 0.5, NULL),
	BOTH_WAYS("h262144-p63 of VPP's graph", "h262144-p63", OF_VPP, 0.5, NULL),
	BOTH_WAYS("h1024, 1000 sessions each, of VPP's graph", "h1024-p1000", OF_VPP, 0.4, NULL),
	{ "new session at h1024-p63, of VPP's", "h1024-p63", PATH_OPEN, OF_VPP, 0.1, NULL },
	{ "new session at h16384-p63, of VPP's", "h16384-p63", PATH_OPEN, OF_VPP, 0.1, NULL },
	{ "new session at h262144-p63, of VPP's", "h262144-p63", PATH_OPEN, OF_VPP, 0.1, NULL },
	BOTH_WAYS("1000 mappings against 1", "mappings-1000", OF_ROW, 1.1, "mappings-1"),
	BOTH_WAYS("4096 mappings against 1", "mappings-4096", OF_ROW, 1.1, "h65536-p63"),
	BOTH_WAYS("33 subscribers an address against 32", "ratio-33", OF_ROW, 1.03, "ratio-32"),
	BOTH_WAYS("33 subscribers an address against 64", "ratio-33", OF_ROW, 1.03, "ratio-64"),
	BOTH_WAYS("1000 sessions a subscriber against 8", "h1024-p1000", OF_ROW, 2, "h1024-p8"),
	BOTH_WAYS("blocks that grow against others", "growth-h1024-p63", OF_NET, 1.01, "h1024-p63"),
	BOTH_WAYS("granted ports against overflow sessions", "granted-h1024-p63", OF_NET, 1.05, "beyond-h1024-p63"),
	BOTH_WAYS("two tenants against none", "tenants-h1024-p63", OF_NET, 1.05, "h1024-p63"),
	{ "new session with limits against without", "limits-h1024-p63", PATH_OPEN, OF_ROW, 1.25, "h1024-p63" },
	DESTINATIONS("100,000 destinations against 1", "dest-100k"),
	DESTINATIONS("100,000 by Zipf against 1", "dest-100k-zipf"),
	DESTINATIONS("1 destination with a million routes against 1", "dest-1-routes-1m"),
	DESTINATIONS("100,000 with a million routes against 1", "dest-100k-routes-1m"),
	DESTINATIONS("100,000 by Zipf with a million routes against 1", "dest-100k-zipf-routes-1m"),
	{ "2 cores against 1, inside to outside", "h1024-p63", PATH_IN_2, SPEEDUP, 1.95, NULL },
	{ "2 cores against 1, outside to inside", "h1024-p63", PATH_OUT_2, SPEEDUP, 1.95, NULL },
	{ "2 cores against 1, one for each direction", "h1024-p63", PATH_CROSS_2, SPEEDUP, 1.95, NULL },
	{ "2 cores against 1, 5 % of packets opening", "h1024-p63", PATH_MIXED_2, SPEEDUP, 1.95, NULL },
	{ "2 cores against 1, inside to outside, h16384", "h16384-p63", PATH_IN_2, SPEEDUP, 1.95, NULL },
	{ "2 cores against 1, outside to inside, h16384", "h16384-p63", PATH_OUT_2, SPEEDUP, 1.95, NULL },
	{ "2 cores against 1, one for each direction, h16384", "h16384-p63", PATH_CROSS_2, SPEEDUP, 1.95, NULL },
	{ "2 cores against 1, 5 % of packets opening, h16384", "h16384-p63", PATH_MIXED_2, SPEEDUP, 1.95, NULL },
	{ "% beyond the slots, 63 sessions to 100 destinations", "mix-uniform", PATH_OPEN, OVERFLOW, 0.1, NULL },
	{ "% beyond the slots, 100 sessions to Zipf destinations", "mix-zipf", PATH_OPEN, OVERFLOW, 1, NULL },
	{ "octets a subscriber at h262144-p63", "h262144-p63", PATH_OPEN, MEMORY_EACH, 2253, NULL },
	{ "octets a subscriber at h1048576-p63", "h1048576-p63", PATH_OPEN, MEMORY_EACH, 2253, NULL },
	{ "memory a subscriber at h262144-p63, of VPP's", "h262144-p63", PATH_OPEN, MEMORY_OF_VPP, 0.1, NULL },
	{ "GB of tables at h1048576-p63", "h1048576-p63", PATH_OPEN, MEMORY, 2.4, NULL },
};

static const struct result *result_of(const char *row, const struct result *results, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(results[i].row->name, row) && !results[i].wrong && !results[i].skipped[0])
			return &results[i];
	return NULL;
}

/* False where something that it takes was not measured. */
static bool value_of(const struct goal *g, const struct result *results, unsigned n, double *ret)
{
	const struct result *r = result_of(g->row, results, n);
	const struct result *other = g->other ? result_of(g->other, results, n) : NULL;
	struct figures f, f_other;

	if (!r || !figures_of(r, g->path, &f) || (g->other && (!other || !figures_of(other, g->path, &f_other))))
		return false;
	switch (g->measure) {
	case RATIO:
		*ret = f.ratio;
		break;
	case OF_VPP:
		*ret = f.net / vpp_of(r->row, g->path);
		break;
	case OF_ROW:
		*ret = f.ratio / f_other.ratio;
		break;
	case OF_NET:
		*ret = (f.net - (g->path == PATH_OUT ? 0 : route_read_of(r))) / f.floor / (f_other.net / f_other.floor);
		break;
	case SPEEDUP:
		*ret = f.speedup;
		break;
	case OVERFLOW:
		*ret = 100.0 * (double)(r->overflowed + r->refused) / (double)r->sessions;
		break;
	case MEMORY:
		*ret = (double)r->memory / 1e9;
		break;
	case MEMORY_EACH:
		*ret = (double)r->memory / r->row->hosts;
		break;
	case MEMORY_OF_VPP:
		*ret = (double)r->memory / r->row->hosts / VPP_MEMORY;
		break;
	}
	return true;
}

bool goal_judge(unsigned n, const struct result *results, unsigned n_results, struct verdict *ret)
{
	if (n >= ARRAY_SIZE(goals))
		return false;

	const struct goal *g = &goals[n];
	double value = 0;
	bool measured = value_of(g, results, n_results, &value);

	*ret = (struct verdict){
		.text = g->text,
		.limit = g->limit,
		.value = value,
		.measured = measured,
		.at_least = g->measure == SPEEDUP,
	};
	ret->met = measured && (ret->at_least ? value >= g->limit : value <= g->limit);
	return true;
}

double goal_of_ratio(const struct row *row, enum path path)
{
	for (size_t i = 0; i < ARRAY_SIZE(goals); i++)
		if (goals[i].measure == RATIO && goals[i].path == path && !strcmp(goals[i].row, row->name))
			return goals[i].limit;
	return 0;
}
