// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "plan/plan.h"

static uint32_t in_last(const struct geometry *g)
{
	return g->in_base + g->last_subscriber;
}

static uint32_t out_last(const struct geometry *g)
{
	return g->out_base + g->last_out;
}

static int compare_in(const void *a, const void *b, void *arg)
{
	const struct plan_part *part = arg, *p = &part[*(const uint32_t *)a], *q = &part[*(const uint32_t *)b];
	const struct geometry *x = &p->geo, *y = &q->geo;

	if (p->tenant != q->tenant)
		return p->tenant < q->tenant ? -1 : 1;
	if (x->in_base != y->in_base)
		return x->in_base < y->in_base ? -1 : 1;
	return x->last_subscriber > y->last_subscriber ? -1 : x->last_subscriber < y->last_subscriber;
}

static int compare_out(const void *a, const void *b, void *arg)
{
	const struct plan_part *part = arg;
	const struct geometry *x = &part[*(const uint32_t *)a].geo, *y = &part[*(const uint32_t *)b].geo;

	if (!x->ports_per_host != !y->ports_per_host)
		return !x->ports_per_host - !y->ports_per_host;
	return x->out_base < y->out_base ? -1 : x->out_base > y->out_base;
}

static void free_index(struct plan *p)
{
	free(p->by_in);
	free(p->around);
	free(p->by_out);
	p->by_in = p->around = p->by_out = NULL;
	p->indexed = 0;
}

static const struct plan_part *nth_in(const struct plan *p, size_t i)
{
	return &p->part[p->by_in[i]];
}

/* Whether the kth range begins within the nth, which begins no later, and is of the same tenant. */
static bool is_around(const struct plan *p, size_t n, size_t k)
{
	return nth_in(p, n)->tenant == nth_in(p, k)->tenant && in_last(&nth_in(p, n)->geo) >= nth_in(p, k)->geo.in_base;
}

/* Sorts the parts; those without an outside range come last in by_out. */
static int make_index(struct plan *p)
{
	if (p->indexed == p->n && (p->by_in || !p->n))
		return 0;
	free_index(p);
	p->by_in = calloc(p->n, sizeof(*p->by_in));
	p->around = calloc(p->n, sizeof(*p->around));
	p->by_out = calloc(p->n, sizeof(*p->by_out));
	if (!p->by_in || !p->around || !p->by_out) {
		free_index(p);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->n; i++)
		p->by_in[i] = p->by_out[i] = (uint32_t)i;
	qsort_r(p->by_in, p->n, sizeof(*p->by_in), compare_in, p->part);
	qsort_r(p->by_out, p->n, sizeof(*p->by_out), compare_out, p->part);
	for (size_t i = 1; i < p->n; i++) {
		uint32_t up = (uint32_t)i;

		while (up && !is_around(p, up - 1, i))
			up = p->around[up - 1];
		p->around[i] = up;
	}
	p->indexed = p->n;
	return 0;
}

/* The tenant's part with the smallest range inside around an address. */
static const struct plan_part *find_inside(const struct plan *p, uint32_t tenant, uint32_t addr)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct plan_part *part = nth_in(p, middle);

		if (part->tenant < tenant || (part->tenant == tenant && part->geo.in_base <= addr))
			low = middle + 1;
		else
			high = middle;
	}
	for (; low; low = p->around[low - 1])
		if (nth_in(p, low - 1)->tenant == tenant && mapping_has_inside(&nth_in(p, low - 1)->geo, addr))
			return nth_in(p, low - 1);
	return NULL;
}

static const struct plan_part *find_outside(const struct plan *p, uint32_t addr)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct geometry *g = &p->part[p->by_out[middle]].geo;

		if (g->ports_per_host && g->out_base <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && mapping_has_outside(&p->part[p->by_out[low - 1]].geo, addr) ? &p->part[p->by_out[low - 1]] : NULL;
}

int plan_forward(struct plan *p, uint32_t tenant, uint32_t in_addr, struct plan_place *ret)
{
	int r = make_index(p);
	const struct plan_part *part = r ? NULL : find_inside(p, tenant, in_addr);

	if (!part)
		return r ? r : -ENOENT;
	*ret = (struct plan_place){ .part = part, .in_addr = in_addr, .translated = part->geo.ports_per_host };
	if (ret->translated)
		ret->block = mapping_forward(&part->geo, in_addr);
	return 0;
}

int plan_reverse(struct plan *p, uint32_t out_addr, uint16_t port, struct plan_place *ret, enum mapping_port *ret_kind)
{
	int r = make_index(p);
	const struct plan_part *part = r ? NULL : find_outside(p, out_addr);
	enum mapping_port kind;
	int64_t subscriber;

	if (!part)
		return r ? r : -ENOENT;
	kind = mapping_port_kind(&part->geo, out_addr, port);
	subscriber = mapping_reverse(&part->geo, out_addr, port);
	if (subscriber >= 0 && find_inside(p, part->tenant, part->geo.in_base + (uint32_t)subscriber) != part) {
		subscriber = -1;
		kind = MAPPING_PORT_SPARE;
	}
	if (ret_kind)
		*ret_kind = kind;
	if (subscriber < 0)
		return -EADDRNOTAVAIL;
	*ret = (struct plan_place){ .part = part,
				    .in_addr = part->geo.in_base + (uint32_t)subscriber,
				    .translated = true,
				    .block = mapping_forward(&part->geo, part->geo.in_base + (uint32_t)subscriber) };
	return 0;
}

static int add_part(struct plan *p, const struct geometry *g, uint32_t tenant, size_t part)
{
	struct plan_part *more = p->n < PLAN_MAX_PARTS ? reallocarray(p->part, p->n + 1, sizeof(*more)) : NULL;

	if (p->n == PLAN_MAX_PARTS)
		return -ENOSPC;
	if (!more)
		return -ENOMEM;
	p->part = more;
	p->part[p->n++] = (struct plan_part){ .geo = *g, .mapping = p->n_mappings, .part = part, .tenant = tenant };
	return 0;
}

int plan_add_geometry(struct plan *p, const struct geometry *g)
{
	int r = add_part(p, g, 0, 0);

	if (!r)
		p->n_mappings++;
	return r;
}

/* The first conflict of a record with the plan's. */
static int check_overlap(const struct plan *p, const struct geometry *g, uint32_t tenant, struct error *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct geometry *other = &p->part[i].geo;
		char a[PLAN_RANGE_TEXT], b[PLAN_RANGE_TEXT];

		if (g->ports_per_host && other->ports_per_host && g->out_base <= out_last(other) &&
		    other->out_base <= out_last(g))
			return error_set(err, -EEXIST, "out: %s overlaps %s of another mapping",
					 plan_range_format(g->out_base, out_last(g), a),
					 plan_range_format(other->out_base, out_last(other), b));
		if (p->part[i].tenant != tenant || g->in_base > in_last(other) || other->in_base > in_last(g))
			continue;
		plan_range_format(g->in_base, in_last(g), a);
		plan_range_format(other->in_base, in_last(other), b);
		if (g->in_base == other->in_base && g->last_subscriber == other->last_subscriber)
			return error_set(err, -EEXIST, "in: %s is the inside range of another mapping already", a);
		if (!(g->in_base <= other->in_base && in_last(other) <= in_last(g)) &&
		    !(other->in_base <= g->in_base && in_last(g) <= in_last(other)))
			return error_set(err, -EEXIST,
					 "in: %s overlaps %s of another mapping in part: let one lie within the other",
					 a, b);
	}
	return 0;
}

int plan_add(struct plan *p, const struct plan_mapping *m, struct error *err)
{
	_cleanup_free_ struct geometry *geo = NULL;
	size_t n = 0, before = p->n;
	int r = plan_expand(m, &geo, &n, err);

	for (size_t i = 0; i < n && !r; i++)
		r = check_overlap(p, &geo[i], m->tenant, err);
	for (size_t i = 0; i < n && !r; i++) {
		r = add_part(p, &geo[i], m->tenant, i);
		if (r)
			error_set(err, r, r == -ENOMEM ? "out of memory" : "more than %u records", PLAN_MAX_PARTS);
	}
	if (r)
		p->n = before;
	else
		p->n_mappings++;
	return r;
}

void plan_free(struct plan *p)
{
	free_index(p);
	free(p->part);
	*p = (struct plan){ 0 };
}
