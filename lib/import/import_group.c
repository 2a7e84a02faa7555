// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_group.h"

static uint32_t size_of(const struct import_row *r)
{
	return (uint32_t)r->hi - r->lo + 1;
}

/* First port of a row, with the port 0 that a first block leaves out. */
static uint32_t first_of(const struct import_group *g, const struct import_row *r)
{
	return g->n > 1 && r->lo == 1 && size_of(r) + 1 == g->ports ? 0 : r->lo;
}

static uint32_t ports_of(const struct import_group *g, const struct import_row *r)
{
	return size_of(r) + (r->lo != first_of(g, r));
}

/* Whether block numbers, for this first port and pitch, put inside addresses at equal steps; then it has them. */
static bool number(const struct import_outside *o, struct import_group *g)
{
	const struct import_row *first = import_outside_row(o, g->first);
	uint32_t block0 = (first_of(g, first) - g->first_port) / g->pitch;

	g->step = 1;
	for (uint32_t i = 1; i < g->n; i++) {
		const struct import_row *r = import_outside_row(o, g->first + i);
		uint32_t block = (first_of(g, r) - g->first_port) / g->pitch;

		if (r->in <= first->in || block <= block0)
			return false;
		if (i == 1)
			g->step = (r->in - first->in) / (block - block0);
		if (!g->step || (uint64_t)g->step * (block - block0) != r->in - first->in)
			return false;
		g->blocks = block + 1;
	}
	if (g->n == 1)
		g->blocks = block0 + 1;
	if ((uint64_t)g->step * block0 > first->in)
		return false;
	g->in = first->in - g->step * block0;
	return g->first_port + g->pitch * (g->blocks - 1) + g->ports <= 65536;
}

static bool on_grid(const struct import_outside *o, const struct import_group *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct import_row *r = import_outside_row(o, g->first + i);
		uint32_t lo = first_of(g, r);

		if (ports_of(g, r) != g->ports || lo < g->first_port || (lo - g->first_port) % g->pitch)
			return false;
	}
	return true;
}

void import_group_find(const struct import_outside *o, struct import_group *g)
{
	uint32_t last = 0;

	g->ports = 0;
	for (uint32_t i = 0; i < g->n; i++)
		if (size_of(import_outside_row(o, g->first + i)) > g->ports)
			g->ports = size_of(import_outside_row(o, g->first + i));
	g->first_port = first_of(g, import_outside_row(o, g->first));
	g->pitch = 0;
	g->step = 1;
	g->blocks = 1;
	g->in = import_outside_row(o, g->first)->in;
	g->shape = SHAPE_BY_ADDRESS;
	if (g->n == 1)
		return;
	for (uint32_t i = 1; i < g->n; i++) {
		uint32_t lo = import_outside_row(o, g->first + i)->lo;

		if (i == 1)
			last = g->first_port;
		if (!g->pitch || lo - last < g->pitch)
			g->pitch = lo - last;
		last = lo;
	}
	if (g->pitch < g->ports || !on_grid(o, g))
		g->shape = SHAPE_IRREGULAR;
	else if (!number(o, g))
		g->shape = SHAPE_OTHER;
	else
		g->shape = g->step == 1 ? SHAPE_BY_ADDRESS : SHAPE_BY_BLOCK;
}

bool import_group_like(const struct import_outside *o, struct import_group *g, const struct import_group *model)
{
	struct import_group like = *g;

	if (model->shape > SHAPE_BY_BLOCK || !model->pitch)
		return false;
	like.first_port = model->first_port;
	like.pitch = model->pitch;
	like.ports = model->ports;
	if (!on_grid(o, &like) || !number(o, &like) || like.blocks > model->blocks)
		return false;
	like.shape = like.step == 1 ? SHAPE_BY_ADDRESS : SHAPE_BY_BLOCK;
	if (like.n == 1 && model->shape == SHAPE_BY_BLOCK) {
		uint32_t block0 = (import_outside_row(o, g->first)->lo - like.first_port) / like.pitch;

		if ((uint64_t)block0 * model->step > import_outside_row(o, g->first)->in)
			return false;
		like.in = import_outside_row(o, g->first)->in - block0 * model->step;
		like.step = model->step;
		like.shape = SHAPE_BY_BLOCK;
	}
	if (like.shape != model->shape)
		return false;
	*g = like;
	return true;
}

/* For a pitch: the first port, and the ports of the smallest block; none: 0. */
static uint32_t ports_at(const struct import_outside *o, const struct import_group *g, uint32_t pitch,
			 uint32_t *ret_first)
{
	int64_t first = 0, last = INT64_MAX;

	for (uint32_t k = 0; k < g->n; k++) {
		const struct import_row *r = import_outside_row(o, g->first + k);
		int64_t lo = (int64_t)r->lo - (int64_t)pitch * k, hi = (int64_t)r->hi - (int64_t)pitch * k;

		first = lo > first ? lo : first;
		last = hi < last ? hi : last;
	}
	if (last < first)
		return 0;
	*ret_first = (uint32_t)first;
	last = last - first + 1 > pitch ? first + pitch - 1 : last;
	return (uint32_t)(last - first + 1);
}

static bool in_order(const struct import_outside *o, struct import_group *g)
{
	const struct import_row *first = import_outside_row(o, g->first);

	g->in = first->in;
	g->step = g->n > 1 ? import_outside_row(o, g->first + 1)->in - first->in : 1;
	for (uint32_t k = 0; k < g->n; k++)
		if (import_outside_row(o, g->first + k)->in != first->in + k * g->step)
			return false;
	return g->step && first->in + (uint64_t)g->step * (g->n - 1) <= UINT32_MAX;
}

bool import_group_shrink(const struct import_outside *o, struct import_group *g, const struct import_group *model)
{
	uint32_t best = 0, first = 0, at, ports;

	if (!in_order(o, g))
		return false;
	if (model) {
		ports = ports_at(o, g, model->pitch, &at);
		if (ports && g->n <= model->blocks && at <= model->first_port &&
		    at + ports >= model->first_port + model->ports) {
			best = model->ports;
			first = model->first_port;
			g->pitch = model->pitch;
		}
	}
	/* A regular plan's pitch is near the mean distance. */
	uint32_t mean = g->n > 1 ? (uint32_t)(import_outside_row(o, g->first + g->n - 1)->lo -
					      import_outside_row(o, g->first)->lo) /
					   (g->n - 1)
				 : 1;
	for (uint32_t pitch = mean > 64 ? mean - 64 : 1; !best && pitch <= mean + 64; pitch++) {
		ports = ports_at(o, g, pitch, &at);
		if (ports > (first ? g->ports : 0) || !first) {
			if (!ports)
				continue;
			first = at ? at : 1;
			g->ports = ports - !at;
			g->pitch = pitch;
		}
	}
	if (best)
		g->ports = best;
	else if (!first || !g->ports)
		return false;
	g->first_port = first;
	g->blocks = g->n;
	g->shape = g->step == 1 ? SHAPE_BY_ADDRESS : SHAPE_BY_BLOCK;
	g->shrunk = true;
	return true;
}
