// SPDX-License-Identifier: BSD-2-Clause
#include "guard/guarded.h"

#include <errno.h>
#include <stdlib.h>

#include "base/address_ranges.h"
#include "base/inside_runs.h"
#include "base/virtual6.h"
/* The place of a mapping's tenant in the list, from 1; 0: none. `--guard` reads a file whose tenants have no numbers.
 */
static uint8_t place_of(const struct config *c, const struct config_mapping *m)
{
	const struct config_tenant *t = config_find_tenant(c, m->tenant);

	return t ? (uint8_t)(t - c->tenants + 1) : 0;
}

/*
 * Appends the inside addresses that a configuration translates, and those that drain and belong to no mapping. Returns
 * how many ranges there are then, or -ENOMEM.
 */
static ssize_t append_inside(const struct config *c, struct address_range *in, size_t n)
{
	_cleanup_free_ struct inside_range *prefix = calloc(c->n_mappings + 1, sizeof(*prefix));
	_cleanup_free_ struct inside_run *run = calloc(INSIDE_RUNS(c->n_mappings) + 1, sizeof(*run));
	size_t n_runs;

	if (!prefix || !run)
		return -ENOMEM;
	for (size_t k = 0; k < c->n_mappings; k++)
		prefix[k] = inside_range_of(place_of(c, &c->mappings[k]), c->mappings[k].in, (unsigned)k);
	n_runs = inside_runs(prefix, c->n_mappings, run);
	for (size_t k = 0; k < n_runs; k++)
		if (!prefix_is_none(c->mappings[run[k].number].out) && !config_is_ipv6(&c->mappings[run[k].number]))
			in[n++] = (struct address_range){ inside_addr(run[k].first), inside_addr(run[k].last) };
	for (size_t k = 0; k < c->n_draining; k++) {
		struct prefix drained = c->draining[k].in;

		const char *tenant = c->draining[k].tenant;

		if (!c->draining[k].six.subscriber_plen && !config_find_inside_of(c, tenant, drained) &&
		    !config_find_around(c, tenant, drained))
			in[n++] = address_range_of(drained);
	}
	return (ssize_t)n;
}

static bool covers(const struct guard_six *a, const struct guard_six *b)
{
	return a->in_plen <= b->in_plen && prefix6_contains(&a->in, a->in_plen, &b->in) &&
	       a->nat64_plen == b->nat64_plen && address6_equal(&a->nat64, &b->nat64);
}

/* Appends an inside prefix, unless it is of IPv4 or among the others already; returns how many there are then. */
static size_t append_one_six(struct prefix in, const struct config_six *of, struct guard_six *six, size_t n)
{
	struct prefixes6 p;

	if (!of->subscriber_plen || !virtual6_prefixes(in, &p))
		return n;
	six[n] = (struct guard_six){ .in.hi = p.hi,
				     .in_plen = (uint8_t)(p.plen - (32 - in.plen)),
				     .nat64 = of->nat64,
				     .nat64_plen = (uint8_t)of->nat64_plen };
	for (size_t i = 0; i < n; i++)
		if (covers(&six[i], &six[n]))
			return n;
	return n + 1;
}

/* Appends the inside prefixes of IPv6 subscribers, also those that drain; returns how many there are then. */
static size_t append_six(const struct config *c, struct guard_six *six, size_t n)
{
	for (size_t k = 0; c && k < c->n_mappings; k++)
		n = append_one_six(c->mappings[k].in, &c->mappings[k].six, six, n);
	for (size_t k = 0; c && k < c->n_draining; k++)
		n = append_one_six(c->draining[k].in, &c->draining[k].six, six, n);
	return n;
}

static int set_six(struct guard_rules *r, const struct config *running, const struct config *wanted)
{
	size_t room = (running ? running->n_mappings + running->n_draining : 0) +
		      (wanted ? wanted->n_mappings + wanted->n_draining : 0);
	struct guard_six *six = calloc(room + 1, sizeof(*six));

	if (!six)
		return -ENOMEM;
	free(r->six);
	r->six = six;
	r->n_six = append_six(wanted, six, append_six(running, six, 0));
	return 0;
}

static int set_ipv4(struct guard_rules *r, const struct config *running, const struct config *wanted)
{
	const struct config *from[] = { running, wanted };
	const struct config *bypass = wanted ? wanted : running;
	_cleanup_free_ struct address_range *in = NULL, *by = NULL;
	ssize_t n = 0;
	size_t room = 0;

	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		room += from[i] ? INSIDE_RUNS(from[i]->n_mappings) + from[i]->n_draining : 0;
	in = calloc(room + 1, sizeof(*in));
	by = calloc(bypass->n_bypass + 1, sizeof(*by));
	if (!in || !by)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		n = from[i] ? append_inside(from[i], in, (size_t)n) : n;
		if (n < 0)
			return -ENOMEM;
	}
	for (size_t k = 0; k < bypass->n_bypass; k++)
		by[k] = address_range_of(bypass->bypass[k]);
	free(r->inside);
	free(r->bypass);
	r->n_inside = address_ranges_merge(in, (size_t)n);
	r->inside = take_pointer(in);
	r->n_bypass = address_ranges_merge(by, bypass->n_bypass);
	r->bypass = take_pointer(by);
	return 0;
}

int guarded_prefixes(struct guard_rules *r, const struct config *running, const struct config *wanted)
{
	int failed = set_ipv4(r, running, wanted);

	return failed ? failed : set_six(r, running, wanted);
}
