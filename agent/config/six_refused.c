/* SPDX-License-Identifier: BSD-2-Clause */
/* What mappings of IPv6 subscribers cannot have: overlapping prefixes, and the features that know IPv4 ones alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/inside_runs.h"
#include "base/interface_pattern.h"
#include "base/virtual6.h"
#include "config/fields.h"
#include "config/six.h"

struct six_check {
	const struct config *config;
	const char *name; /* of the file; NULL: from a request */
	struct error *err;
};

#define NOT_SIX "is not possible with IPv6 subscribers"

static int __attribute__((format(printf, 5, 6))) refuse(const struct six_check *v, const struct config_mapping *m,
							unsigned line, const char *key, const char *format, ...)
{
	char path[64], text[192];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "mappings[%zu].%s", config_mapping_number(v->config, m), key);
	return config_refuse(v->err, -EINVAL, v->name, line ? line : m->line, v->name ? path : key, "%s", text);
}

/* What a mapping has that such subscribers cannot have. */
static int check_keys(const struct six_check *v, const struct config_mapping *m)
{
	if (!m->six.nat64_plen)
		return refuse(v, m, 0, "nat64_prefix", "is missing: IPv6 subscribers need one, as \"64:ff9b::/96\"");
	if (prefix_is_range(m->in))
		return refuse(
			v, m, m->in_line, "in",
			"a part of the list that has addresses of `out` of its own is no prefix: write a mapping for "
			"each prefix");
	if (prefix_is_none(m->out))
		return refuse(v, m, m->out_line, "out", NOT_SIX ": they need outside addresses, and it is null");
	if (m->inbound == INBOUND_OPEN)
		return refuse(v, m, 0, "inbound", "\"open\" " NOT_SIX);
	if (*m->tenant)
		return refuse(v, m, 0, "tenant", NOT_SIX);
	if (config_mapping_independence(v->config, m).mapping)
		return refuse(v, m, m->independence_line, "endpoint_independent",
			      NOT_SIX ": give the mapping one with an empty `mapping`");
	if (m->growth.given)
		return refuse(v, m, m->growth_line, "growth", NOT_SIX);
	if (m->limits.given)
		return refuse(v, m, m->limits_line, "limits", NOT_SIX);
	if (m->n_spare)
		return refuse(v, m, m->spare_line, "spare", NOT_SIX);
	if (config_pcp_serves(v->config, m))
		return refuse(v, m, m->in_line, "in",
			      "IPv6 subscribers have no PCP: name the mappings that it serves in `pcp.mappings`");
	return 0;
}

static int refuse_all(const struct six_check *v, const char *key, const char *text)
{
	return config_refuse(v->err, -EINVAL, v->name, config_line(v->config, key), key, "%s", text);
}

/* What a configuration has that cannot be beside such mappings. */
static int check_beside(const struct six_check *v)
{
	const struct config *c = v->config;

	if (c->n_tenants)
		return refuse_all(v, "tenants", NOT_SIX);
	if (c->replication.enabled)
		return refuse_all(v, "replication", NOT_SIX);
	if (c->ipfix.enabled)
		return refuse_all(v, "ipfix", NOT_SIX);
	if (c->syslog.enabled)
		return refuse_all(v, "syslog", NOT_SIX);
	if (c->stages == 2)
		return refuse_all(v, "stages", "2 " NOT_SIX ": set it to 1, or leave it out");
	if (c->forwarding == FORWARDING_KERNEL)
		return refuse_all(v, "forwarding", "\"kernel\" " NOT_SIX);
	if (c->xdp_mode == XDP_MODE_NONE)
		return refuse_all(v, "xdp_mode", "\"none\" " NOT_SIX ": set it to \"tc\", or leave it out");
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct config_interface *x = &c->interfaces[i];

		if (interface_is_any(x->name) || config_interface_mode(c, x) == XDP_MODE_NONE)
			return config_refuse(v->err, -EINVAL, v->name, x->line, "interfaces",
					     "%s: an interface whose packets the kernel forwards " NOT_SIX, x->name);
	}
	return 0;
}

/* An inside prefix, or a part of one, of a mapping. */
struct six_side {
	struct prefixes6 of;
	const struct config_mapping *mapping;
};

static uint64_t last_of(const struct prefixes6 *p)
{
	return p->hi + ((uint64_t)p->last << (64 - p->plen)) + ~mask64(p->plen);
}

static int by_begin(const void *a, const void *b)
{
	const struct six_side *x = a, *y = b;

	if (x->of.hi != y->of.hi)
		return x->of.hi < y->of.hi ? -1 : 1;
	if (last_of(&x->of) != last_of(&y->of))
		return last_of(&x->of) > last_of(&y->of) ? -1 : 1;
	return x->mapping < y->mapping ? -1 : x->mapping > y->mapping;
}

/*
 * Refuses prefixes within each other whose subscribers' are of different lengths. Those of one length share a range of
 * virtual addresses, where config_validate() has compared them.
 */
static int check_nesting(const struct six_check *v, const struct six_side *side, size_t n)
{
	for (size_t i = 1, around = 0; i < n; i++) {
		const struct six_side *a = &side[around], *b = &side[i];
		const struct config_mapping *later = a->mapping > b->mapping ? a->mapping : b->mapping;
		char x[INSIDE_TEXT], y[INSIDE_TEXT];

		if (b->of.hi > last_of(&a->of)) {
			around = i;
			continue;
		}
		if (a->of.plen != b->of.plen)
			return refuse(v, later, later->subscriber_line, "subscriber_plen",
				      "%s with subscribers of /%u lies in %s with those of /%u: they must be alike",
				      prefixes6_text(&b->of, x), b->of.plen, prefixes6_text(&a->of, y), a->of.plen);
	}
	return 0;
}

static bool covers_nat64(const struct six_side *s, const struct config_six *six)
{
	uint64_t first = six->nat64.hi, last = first | (six->nat64_plen < 64 ? ~mask64(six->nat64_plen) : 0);

	return s->of.hi <= last && first <= last_of(&s->of);
}

/* Refuses NAT64 prefixes that overlap an inside prefix, or another one in part. */
static int check_nat64(const struct six_check *v, const struct config_mapping *m, const struct six_side *side, size_t n)
{
	char x[INSIDE_TEXT], y[INSIDE_TEXT];

	config_nat64_text(&m->six, x);
	for (size_t i = 0; i < n; i++) {
		const struct config_mapping *other = side[i].mapping;
		const struct config_six *six = &other->six;

		if (covers_nat64(&side[i], &m->six))
			return refuse(v, m, m->nat64_line, "nat64_prefix", "%s overlaps the inside prefix %s", x,
				      prefixes6_text(&side[i].of, y));
		if ((six->nat64_plen != m->six.nat64_plen || !address6_equal(&six->nat64, &m->six.nat64)) &&
		    prefix6_overlaps(&six->nat64, six->nat64_plen, &m->six.nat64, m->six.nat64_plen))
			return refuse(v, m, m->nat64_line, "nat64_prefix",
				      "%s overlaps %s, of another mapping: it must be the same, or another", x,
				      config_nat64_text(six, y));
	}
	return 0;
}

/* How many pieces the index of the datapath has: a prefix around others is cut by them. */
static int check_pieces(const struct six_check *v, const struct six_side *side, size_t n)
{
	_cleanup_free_ struct inside_range *range = calloc(n, sizeof(*range));
	_cleanup_free_ struct inside_run *run = calloc(INSIDE_RUNS(n), sizeof(*run));
	size_t pieces;

	if (!range || !run)
		return error_set(v->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		range[i] = inside_range_of(0, side[i].mapping->in, (unsigned)i);
	pieces = inside_runs(range, n, run);
	if (pieces <= MAX_RANGES6)
		return 0;
	return refuse(v, side[n - 1].mapping, side[n - 1].mapping->in_line, "in",
		      "the inside prefixes of IPv6 come to %zu pieces, with those that lie within others: at most %u",
		      pieces, MAX_RANGES6);
}

static int check_prefixes(const struct six_check *v, struct six_side *side, size_t n)
{
	const struct config_mapping *before = NULL;
	int r;

	qsort(side, n, sizeof(*side), by_begin);
	r = check_nesting(v, side, n);
	if (!r)
		r = check_pieces(v, side, n);
	for (size_t i = 0; i < v->config->n_mappings && !r; i++) {
		const struct config_mapping *m = &v->config->mappings[i];
		bool same = before && before->six.nat64_plen == m->six.nat64_plen &&
			    address6_equal(&before->six.nat64, &m->six.nat64);

		if (!config_is_ipv6(m) || same)
			continue;
		r = check_nat64(v, m, side, n);
		before = m;
	}
	return r;
}

int validate_six(const struct config *c, const char *name, struct error *err)
{
	const struct six_check v = { .config = c, .name = name, .err = err };
	_cleanup_free_ struct six_side *side = NULL;
	size_t n = 0;
	int r;

	if (!config_has_ipv6(c))
		return 0;
	side = calloc(c->n_mappings, sizeof(*side));
	if (!side)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		if (!config_is_ipv6(m))
			continue;
		r = check_keys(&v, m);
		if (r)
			return r;
		side[n] = (struct six_side){ .mapping = m };
		n += virtual6_prefixes(m->in, &side[n].of);
	}
	r = check_beside(&v);
	return r || !n ? r : check_prefixes(&v, side, n);
}

bool config_six_goes_on(const struct config *c, struct prefix in, const struct config_six *six)
{
	struct prefixes6 was, is;

	if (!virtual6_prefixes(in, &was))
		return false;
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		if (!config_is_ipv6(m) || !virtual6_prefixes(m->in, &is) || is.hi > last_of(&was) ||
		    was.hi > last_of(&is))
			continue;
		if (is.plen != was.plen || m->six.nat64_plen != six->nat64_plen ||
		    !address6_equal(&m->six.nat64, &six->nat64))
			return false;
	}
	return true;
}

/* A mapping whose subscribers among those of `in` have other virtual addresses than there. NULL: there is none. */
static const struct config_mapping *find_moving(const struct config *c, struct prefix in)
{
	struct prefixes6 was, is;

	if (!virtual6_prefixes(in, &was))
		return NULL;
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];
		unsigned shift = 64U - was.plen;

		if (config_is_ipv6(m) && virtual6_prefixes(m->in, &is) && is.plen == was.plen &&
		    is.hi <= last_of(&was) && was.hi <= last_of(&is) &&
		    was.hi + ((uint64_t)m->in.base << shift) != is.hi + ((uint64_t)in.base << shift))
			return m;
	}
	return NULL;
}

int config_check_virtual(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	const struct six_check v = { .config = c, .name = name, .err = err };
	char text[INSIDE_TEXT], around[INSIDE_TEXT];

	for (size_t i = 0; i < running->n_mappings + running->n_draining; i++) {
		struct prefix in = i < running->n_mappings ? running->mappings[i].in
							   : running->draining[i - running->n_mappings].in;
		const struct config_mapping *m = find_moving(c, in);

		if (m)
			return refuse(&v, m, m->in_line, "in",
				      "%s cannot be with %s while that has sessions: the tables have no room for both "
				      "without other numbers for it; delete it before",
				      inside_prefix_text(m->in, around), inside_prefix_text(in, text));
	}
	return 0;
}
