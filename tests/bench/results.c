// SPDX-License-Identifier: BSD-2-Clause
/* From samples to figures. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

const char *path_text(enum path path)
{
	static const char *const texts[] = {
#define X(name, json, text) text,
		PATHS(X)
#undef X
	};

	return texts[path];
}

const char *path_json(enum path path)
{
	static const char *const names[] = {
#define X(name, json, text) json,
		PATHS(X)
#undef X
	};

	return names[path];
}

typedef double (*property)(const struct sample *s);

static double ns_of(const struct sample *s)
{
	return s->ns;
}

static double net_of(const struct sample *s)
{
	return s->ns - s->generator;
}

static double floor_of(const struct sample *s)
{
	return s->floor;
}

static double generator_of(const struct sample *s)
{
	return s->generator;
}

static double ratio_of(const struct sample *s)
{
	return s->ns / s->floor;
}

static double speedup_of(const struct sample *s)
{
	return s->speedup;
}

static double median_of(const struct series *s, property of)
{
	double values[MAX_SAMPLES];

	for (unsigned i = 0; i < s->n; i++)
		values[i] = of(&s->sample[i]);
	return median(values, s->n);
}

static bool figures_of_series(const struct series *s, struct figures *ret)
{
	if (!s->n)
		return false;
	*ret = (struct figures){
		.ns = median_of(s, ns_of),
		.net = median_of(s, net_of),
		.floor = median_of(s, floor_of),
		.generator = median_of(s, generator_of),
		.ratio = median_of(s, ratio_of),
		.speedup = median_of(s, speedup_of),
	};
	return true;
}

bool figures_of(const struct result *r, enum path path, struct figures *ret)
{
	return figures_of_series(&r->path[path], ret);
}

double route_read_of(const struct result *r)
{
	return r->route.n ? median_of(&r->route, ns_of) : 0;
}

bool figures_of_direct(const struct result *r, enum path path, struct figures *ret)
{
	return figures_of_series(&r->direct[path], ret);
}

bool compared(const struct result *r, enum path path, struct ratio *ret)
{
	return !r->wrong && ratio_of_pairs(&r->path[path], &r->beside[path], ret);
}

double vpp_of(const struct row *row, enum path path)
{
	switch (path) {
	case PATH_IN:
		return row->vpp_in;
	case PATH_OUT:
		return row->vpp_out;
	case PATH_OPEN:
		return row->vpp_open;
	default:
		return 0;
	}
}
