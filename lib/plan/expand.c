// SPDX-License-Identifier: BSD-2-Clause
/* Cuts the lists of a mapping into records of one range each. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/cleanup.h"
#include "plan/plan.h"

#include "plan/figures.h"

/* The records so far. */
struct parts {
	struct geometry *geo;
	size_t n;
};

static void free_parts(struct parts *p)
{
	free(p->geo);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct plan_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Refuses addresses that a list counts twice. */
static int check_once(const struct plan_addresses *a, const char *key, struct error *err)
{
	_cleanup_free_ struct plan_range *sorted = calloc(a->n + 1, sizeof(*sorted));
	char x[PLAN_RANGE_TEXT], y[PLAN_RANGE_TEXT];

	if (!sorted)
		return -ENOMEM;
	if (a->n)
		memcpy(sorted, a->range, a->n * sizeof(*sorted));
	qsort(sorted, a->n, sizeof(*sorted), compare_ranges);
	for (size_t i = 1; i < a->n; i++)
		if (sorted[i].first <= sorted[i - 1].last)
			return error_set(err, -EINVAL, "%s: %s and %s overlap: each address counts once", key,
					 plan_range_format(sorted[i - 1].first, sorted[i - 1].last, x),
					 plan_range_format(sorted[i].first, sorted[i].last, y));
	return 0;
}

/* Appends a range, joined to the last one if it follows that. */
static int join(struct plan_addresses *to, struct plan_range range)
{
	struct plan_range *last = to->n ? &to->range[to->n - 1] : NULL;

	if (!last || last->last == UINT32_MAX || last->last + 1 != range.first)
		return plan_addresses_add(to, range);
	last->last = range.last;
	last->prefix = last->prefix && range.prefix;
	return 0;
}

/* Appends what `exclude`, sorted, leaves of a range. */
static int join_rest(struct plan_addresses *to, struct plan_range range, const struct plan_addresses *exclude)
{
	for (size_t i = 0; i < exclude->n; i++) {
		struct plan_range out = exclude->range[i], before = { range.first, out.first - 1, false };
		int r = 0;

		if (out.last < range.first || out.first > range.last)
			continue;
		if (out.first > range.first)
			r = join(to, before);
		if (r || out.last >= range.last)
			return r;
		range.first = out.last + 1;
		range.prefix = false;
	}
	return join(to, range);
}

/* Checks that `exclude` is of `out`, and writes what is left. */
static int counted(const struct plan_mapping *m, struct plan_addresses *ret, struct error *err)
{
	_cleanup_addresses_ struct plan_addresses exclude = { 0 };
	char text[PLAN_RANGE_TEXT];

	for (size_t i = 0; i < m->exclude.n; i++) {
		struct plan_range x = m->exclude.range[i];
		bool meets = false;

		for (size_t k = 0; k < m->out.n; k++)
			meets |= x.first <= m->out.range[k].last && m->out.range[k].first <= x.last;
		if (!meets)
			return error_set(err, -EINVAL, "exclude: %s is not in out: leave it out",
					 plan_range_format(x.first, x.last, text));
		if (plan_addresses_add(&exclude, x))
			return -ENOMEM;
	}
	if (exclude.n)
		qsort(exclude.range, exclude.n, sizeof(*exclude.range), compare_ranges);
	for (size_t i = 0; i < m->out.n; i++)
		if (join_rest(ret, m->out.range[i], &exclude))
			return -ENOMEM;
	return ret->n ? 0 : error_set(err, -EINVAL, "exclude: no address of out is left");
}

static int append(struct parts *p, const struct geometry *g, struct error *err)
{
	struct geometry *more = p->n < PLAN_MAX_PARTS ? reallocarray(p->geo, p->n + 1, sizeof(*more)) : NULL;

	if (p->n == PLAN_MAX_PARTS)
		return error_set(err, -EINVAL, "its lists would take more than %u records: write longer ranges",
				 PLAN_MAX_PARTS);
	if (!more)
		return -ENOMEM;
	p->geo = more;
	p->geo[p->n++] = *g;
	return 0;
}

static int append_part(struct parts *p, const struct plan_figures *f, uint32_t in, uint64_t n_in, uint32_t out,
		       uint64_t n_out, struct error *err)
{
	const struct mapping_parameters parameters = {
		.in_base = in,
		.last_subscriber = (uint32_t)(n_in - 1),
		.out_base = out,
		.last_out = (uint32_t)(n_out - 1),
		.ratio = f->ratio,
		.first_port = f->first_port,
		.pitch = f->pitch,
		.ports_per_host = f->ports,
		.netmap = f->netmap,
	};
	struct geometry g;

	if (mapping_make(&parameters, &g))
		return error_set(err, -EINVAL, "no plan: more than %llu inside addresses in a range",
				 MAPPING_MAX_SUBSCRIBERS);
	return append(p, &g, err);
}

static uint64_t size_of(struct plan_range r)
{
	return (uint64_t)r.last - r.first + 1;
}

/* Names the subscribers on an outside address of which the first ones end a range inside. */
static int refuse_shared(const struct plan_figures *f, const struct plan_addresses *in, size_t i, uint32_t out,
			 uint64_t on_it, struct error *err)
{
	char from[ADDR_TEXT], last[ADDR_TEXT], next[ADDR_TEXT], addr[ADDR_TEXT];

	return error_set(
		err, -EINVAL,
		"in: %s-%s and %s would share %s, but a range inside, unless it is the last, must fill its outside "
		"addresses: end it %" PRIu64 " addresses earlier, or write a mapping for each range",
		addr_format((uint32_t)(in->range[i].last - (on_it - 1)), from), addr_format(in->range[i].last, last),
		addr_format(in->range[i + 1].first, next), addr_format(out, addr), on_it);
}

/* Sequential order: a record ends where a range ends, inside or outside. */
static int cut(struct parts *p, const struct plan_figures *f, const struct plan_addresses *in,
	       const struct plan_addresses *out, struct error *err)
{
	uint64_t in_at = 0, out_at = 0;
	size_t o = 0;

	for (size_t i = 0; i < in->n;) {
		uint64_t n_in = size_of(in->range[i]) - in_at, n_out = size_of(out->range[o]) - out_at, used;
		uint32_t in_base = (uint32_t)(in->range[i].first + in_at),
			 out_base = (uint32_t)(out->range[o].first + out_at);
		bool last;
		int r;

		if (n_in > n_out * f->ratio)
			n_in = n_out * f->ratio;
		used = (n_in + f->ratio - 1) / f->ratio;
		last = i == in->n - 1 && in_at + n_in == size_of(in->range[i]);
		if (n_in % f->ratio && !last)
			return refuse_shared(f, in, i, (uint32_t)(out_base + used - 1), n_in % f->ratio, err);
		/* The last one has what is left of its range outside, too. */
		r = append_part(p, f, in_base, n_in, out_base, last ? n_out : used, err);
		if (r)
			return r;
		in_at += n_in;
		out_at += used;
		if (in_at == size_of(in->range[i])) {
			in_at = 0;
			i++;
		}
		if (out_at == size_of(out->range[o])) {
			out_at = 0;
			o++;
		}
	}
	return 0;
}

static bool equal_prefixes(const struct plan_addresses *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (!a->range[i].prefix || size_of(a->range[i]) != size_of(a->range[0]))
			return false;
	return true;
}

/* Netmap order: one range inside on a prefix outside, or equal prefixes one by one. */
static int pair(struct parts *p, const struct plan_figures *f, const struct plan_mapping *m,
		const struct plan_addresses *in, const struct plan_addresses *out, struct error *err)
{
	if (m->exclude.n)
		return error_set(err, -EINVAL, "exclude has no place in netmap order: its blocks go by whole prefixes");
	if (!equal_prefixes(&m->in) || !equal_prefixes(&m->out))
		return error_set(err, -EINVAL,
				 "netmap order is for prefixes, or lists of equal prefixes: write a mapping for each");
	if (in->n == 1 && out->n == 1 &&
	    mapping_plen(out->range[0].first, (uint32_t)(size_of(out->range[0]) - 1)) <= 32)
		return append_part(p, f, in->range[0].first, size_of(in->range[0]), out->range[0].first,
				   size_of(out->range[0]), err);
	if (m->in.n != m->out.n)
		return error_set(err, -EINVAL,
				 "netmap order puts each prefix of in on its own of out: %zu inside, %zu outside",
				 m->in.n, m->out.n);
	for (size_t i = 0; i < m->in.n; i++) {
		int r = append_part(p, f, m->in.range[i].first, size_of(m->in.range[i]), m->out.range[i].first,
				    size_of(m->out.range[i]), err);

		if (r)
			return r;
	}
	return 0;
}

static int untranslated(struct parts *p, const struct plan_mapping *m, const struct plan_addresses *in,
			struct error *err)
{
	int r = 0;

	if (m->exclude.n || m->subscribers_per_address || m->ports_per_host || m->block_pitch ||
	    m->first_port != MAPPING_FIRST_PORT || m->order != PLAN_SEQUENTIAL)
		return error_set(err, -EINVAL,
				 "addresses that are not translated have no ports: leave the keys for these out");
	for (size_t i = 0; i < in->n && !r; i++) {
		struct geometry g = mapping_untranslated(in->range[i].first, in->range[i].last - in->range[i].first);

		r = append(p, &g, err);
	}
	return r;
}

int plan_expand(const struct plan_mapping *m, struct geometry **ret_part, size_t *ret_n, struct error *err)
{
	_cleanup_addresses_ struct plan_addresses in = { 0 }, out = { 0 };
	struct parts __attribute__((cleanup(free_parts))) p = { 0 };
	struct plan_figures f;
	int r = m->in.n ? check_once(&m->in, "in", err) : error_set(err, -EINVAL, "in: no addresses");

	for (size_t i = 0; i < m->in.n && !r; i++)
		r = m->apart ? plan_addresses_add(&in, m->in.range[i]) : join(&in, m->in.range[i]);
	if (!r && !m->out.n)
		r = untranslated(&p, m, &in, err);
	else if (!r) {
		r = check_once(&m->out, "out", err);
		if (!r)
			r = check_once(&m->exclude, "exclude", err);
		if (!r)
			r = counted(m, &out, err);
		if (!r)
			r = plan_figures(m, &in, &out, &f, err);
		if (!r)
			r = f.netmap ? pair(&p, &f, m, &in, &out, err) : cut(&p, &f, &in, &out, err);
	}
	if (r)
		return r == -ENOMEM ? error_set(err, r, "out of memory") : r;
	*ret_part = take_pointer(p.geo);
	*ret_n = p.n;
	return 0;
}
