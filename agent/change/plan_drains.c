/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of a plan about sessions that may continue: see struct change_options and struct mapping_drain. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <detnat/drains.h>

#include "base/log.h"
#include "base/virtual6.h"
#include "change/change_plan_private.h"
#include "config/six.h"
#include "datapath/datapath.h"
#include "recorder/queue.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"

/* Seconds for which sessions drain that the mapping `m` of the configuration ends, or that end with it. */
static uint32_t seconds_for(const struct change_plan *p, const struct config_mapping *m)
{
	if (p->options.drain_given)
		return p->options.drain;
	return p->name && m ? m->drain : 0;
}

static const struct config_mapping *inside_of(const struct config *c, uint8_t tenant, struct prefix in)
{
	const char *name = tenant_name(c, tenant);

	/* Where the tenant is gone, so are its mappings. */
	return tenant && c->n_tenants && !*name ? NULL : config_find_inside_of(c, name, in);
}

/*
 * Whether a change removes the tenant with that number. Then its sessions end at once, as it has no interface that they
 * could drain through, and the number may become another tenant's.
 */
static bool is_gone(const struct change_plan *p, uint8_t tenant)
{
	const char *was = mappings_tenant_name(p->context->mappings, tenant);
	const char *name = tenant_name(p->wanted, tenant);

	return tenant && p->wanted->n_tenants && (!*name || (*was && strcmp(was, name) != 0));
}

/* What a mapping of the tables has of IPv6; all 0: nothing. */
static struct config_six six_of(const struct mappings *m, int number)
{
	const struct mapping *record = mappings_get(m, number);
	const struct datapath *d = mappings_datapath(m);

	return record && mapping_is_ipv6(record) && d->record6
		       ? config_six_of(&d->record6[record->record6 & (MAX_RECORDS6 - 1)])
		       : (struct config_six){ 0 };
}

/*
 * Whether hosts of a mapping reach its sessions while they drain: packets of IPv6 subscribers are known by the length
 * of their prefixes and by the NAT64 prefix of what has them then.
 */
static bool can_go_on(const struct change_plan *p, uint8_t tenant, struct prefix in, struct prefix out)
{
	const struct mappings *m = p->context->mappings;
	const struct config_six six = six_of(m, mappings_find_of(m, tenant, in, out));

	return !six.subscriber_plen || config_six_goes_on(p->wanted, in, &six);
}

static uint32_t deletion_seconds(const struct change_plan *p, const struct plan_deletion *d)
{
	const struct config *active = p->context->active->config, *before = active ? active : p->options.before;
	const struct config_mapping *m = inside_of(p->wanted, d->tenant, d->in);

	if (is_gone(p, d->tenant) || !can_go_on(p, d->tenant, d->in, d->out))
		return 0;
	if (!m && before)
		m = inside_of(before, d->tenant, d->in);
	return seconds_for(p, m);
}

static bool has_exceptions(const struct config *c, uint8_t tenant, struct prefix in)
{
	for (size_t i = 0; i < c->n_mappings; i++)
		if (prefix_inside(c->mappings[i].in, in) && config_may_be_of(&c->mappings[i], tenant_name(c, tenant)))
			return true;
	return false;
}

/* The drain whose end the options change. */
static const struct mapping_drain *find_timed(const struct change_plan *p)
{
	const struct change_options *o = &p->options;

	if (!o->timed || config_find_mapping(p->wanted, o->timed_in, o->timed_out))
		return NULL;
	return mappings_find_drain(p->context->mappings, o->timed_in, o->timed_out);
}

static bool is_over(const struct change_plan *p, const struct mapping_drain *d, const struct mapping_drain *timed)
{
	return mapping_drain_over(d) || (d == timed && !p->options.drain) ||
	       is_gone(p, mappings_get(p->context->mappings, d->number)->tenant);
}

/* Retired mappings that have drained are deleted unless they are taken into use again. */
static void find_ended(struct change_plan *p)
{
	const struct mappings *m = p->context->mappings;
	const struct mapping_drain *drain, *timed = find_timed(p);
	size_t n = mappings_drains(m, &drain);

	if (timed && p->options.drain) {
		p->has_timed = true;
		p->timed = (struct plan_end){ timed->in, timed->number };
	}
	for (size_t i = 0; i < n; i++) {
		const struct geometry *g = &mappings_get(m, drain[i].number)->geo;
		struct prefix in = geometry_in(g), out = geometry_out(g);
		bool revived = false;

		for (size_t k = 0; k < p->n_add; k++) {
			struct plan_addition *add = &p->add[k];

			if (!add->revives || !prefix_equal(add->spec.in, in) || !prefix_equal(add->spec.out, out))
				continue;
			revived = true;
			add->left_s = mapping_drain_left(&drain[i]);
		}
		/* Exceptions within it continue to drain. */
		if (revived && drain[i].whole) {
			p->drains |= has_exceptions(p->wanted, mappings_get(m, drain[i].number)->tenant, in);
			continue;
		}
		if (!is_over(p, &drain[i], timed))
			p->drains = true;
		else if (drain[i].whole)
			p->del[p->n_del++] =
				(struct plan_deletion){ .in = in,
							.out = out,
							.over = true,
							.geo = *g,
							.tenant = mappings_get(m, drain[i].number)->tenant };
		else
			p->end[p->n_end++] = (struct plan_end){ drain[i].in, drain[i].number };
	}
}

/* Whether a retired mapping stays retired. */
static bool stays_retired(const struct change_plan *p, const struct geometry *g)
{
	for (size_t i = 0; i < p->n_add; i++)
		if (p->add[i].revives && prefix_equal(p->add[i].spec.in, geometry_in(g)) &&
		    prefix_equal(p->add[i].spec.out, geometry_out(g)))
			return false;
	for (size_t i = 0; i < p->n_del; i++)
		if (p->del[i].over && prefix_equal(p->del[i].in, geometry_in(g)) &&
		    prefix_equal(p->del[i].out, geometry_out(g)))
			return false;
	return true;
}

/* As can_go_on(), of the sessions that an exception takes from the mapping around it. */
static bool exception_can_go_on(const struct change_plan *p, const struct mapping_spec *spec)
{
	const struct mappings *m = p->context->mappings;
	struct config_six six = { 0 };

	if (mapping_spec_is_ipv6(spec))
		six = six_of(m, mappings_around(m, spec->tenant, spec->in));
	return !six.subscriber_plen || config_six_goes_on(p->wanted, spec->in, &six);
}

/* Marks deletions to drain; those that an addition replaces drain through its commit. */
static void find_retired(struct change_plan *p)
{
	for (size_t i = 0; i < p->n_del; i++) {
		struct plan_deletion *d = &p->del[i];

		if (d->over || d->open || prefix_is_none(d->out))
			continue;
		d->drain_s = deletion_seconds(p, d);
		p->drains |= d->drain_s > 0;
	}
	for (size_t i = 0; i < p->n_add; i++) {
		struct plan_addition *add = &p->add[i];

		add->how.drain_s = exception_can_go_on(p, &add->spec)
					   ? seconds_for(p, inside_of(p->wanted, add->spec.tenant, add->spec.in))
					   : 0;
		for (size_t k = 0; k < p->n_del; k++) {
			struct plan_deletion *d = &p->del[k];

			if (!d->drain_s || !tenants_meet(d->tenant, add->spec.tenant) ||
			    !prefix_equal(d->in, add->spec.in))
				continue;
			d->replaced = true;
			add->how = (struct mapping_handover){ true, d->out, d->drain_s };
		}
	}
}

static int refuse_overlap(const struct change_plan *p, struct prefix out, const struct config_drain *d, bool now,
			  struct error *err)
{
	char out_text[INSIDE_TEXT], in_text[INSIDE_TEXT], former[INSIDE_TEXT];

	prefix_text(out, out_text);
	inside_prefix_text(d->in, in_text);
	prefix_text(d->out, former);
	if (now)
		return config_refuse(
			err, -EEXIST, p->name, 0, "",
			"%s cannot be an outside prefix while sessions of %s drain from %s, which it overlaps; "
			"choose other addresses, or do without a drain, which ends these sessions",
			out_text, in_text, former);
	return config_refuse(
		err, -EEXIST, p->name, 0, "",
		"%s cannot be an outside prefix yet: sessions of %s are draining from %s; wait, or end them "
		"with `detnatctl mapping del %s %s`",
		out_text, in_text, former, in_text, former);
}

/*
 * The remaining rest of a drain of an earlier agent, by the history's times. A clock that was set back makes no rest
 * longer.
 */
static struct config_rest rest_of(const struct history_rest *r)
{
	int64_t left = r->ended + CONFIG_REST_S - history_now();
	uint64_t left_s = left < 0 ? 0 : left > CONFIG_REST_S ? CONFIG_REST_S : (uint64_t)left;

	struct config_rest rest = { .in = r->in, .out = r->out, .until_us = monotonic_us() + left_s * 1000000 };

	memcpy(rest.tenant, r->tenant, sizeof(rest.tenant));
	if (plan_blocks_geometry(r->in, r->out, &r->blocks, &rest.geo))
		rest.geo = (struct geometry){ 0 };
	return rest;
}

/* The rest of a mapping that has drained now. */
static struct config_rest rest_begun(const struct change_plan *p, const struct plan_deletion *d)
{
	struct config_rest rest = {
		.in = d->in, .out = d->out, .until_us = monotonic_us() + CONFIG_REST_S * 1000000ULL, .geo = d->geo
	};

	snprintf(rest.tenant, sizeof(rest.tenant), "%s", mappings_tenant_name(p->context->mappings, d->tenant));
	return rest;
}

/* Lists the mappings that have drained, now or lately. */
static int list_rests(struct change_plan *p)
{
	const struct config *before = p->context->active->config;
	struct config *c = p->wanted;
	size_t n_earlier = 0;
	const struct history_rest *earlier = before ? NULL : history_queue_rests(p->context->history, &n_earlier);

	free(c->rests);
	c->n_rests = 0;
	c->rests = calloc((before ? before->n_rests : n_earlier) + p->n_del + 1, sizeof(*c->rests));
	if (!c->rests)
		return -ENOMEM;
	for (size_t i = 0; i < n_earlier; i++)
		c->rests[c->n_rests++] = rest_of(&earlier[i]);
	for (size_t i = 0; before && i < before->n_rests; i++)
		if (config_rest_left(&before->rests[i]))
			c->rests[c->n_rests++] = before->rests[i];
	for (size_t i = 0; i < p->n_del; i++)
		if (p->del[i].over)
			c->rests[c->n_rests++] = rest_begun(p, &p->del[i]);
	return 0;
}

static int refuse_rest(const struct change_plan *p, struct prefix out, const struct config_rest *rest,
		       struct error *err)
{
	char out_text[INSIDE_TEXT], in_text[INSIDE_TEXT], former[INSIDE_TEXT];

	return config_refuse(
		err, -EEXIST, p->name, 0, "",
		"%s cannot be an outside prefix yet: sessions of %s have drained from %s, whose ports rest "
		"before other subscribers get them; wait %u s",
		prefix_text(out, out_text), inside_prefix_text(rest->in, in_text), prefix_text(rest->out, former),
		config_rest_left(rest));
}

static void tell_rest(const struct mapping_spec *spec, const struct config_rest *rest)
{
	char in[INSIDE_TEXT], out[INSIDE_TEXT], former[INSIDE_TEXT];

	log_warning("mapping %s to %s: sessions of %s have drained from its addresses, whose ports were to rest for "
		    "another %u s",
		    inside_prefix_text(spec->in, in), prefix_text(spec->out, out), inside_prefix_text(rest->in, former),
		    config_rest_left(rest));
}

/* No outside endpoint ever belongs to two mappings. A start, which must continue, ends those in the way. */
static int check_overlaps(struct change_plan *p, struct error *err)
{
	struct config *c = p->wanted;

	for (size_t i = 0; i < p->n_add; i++) {
		const struct mapping_spec *spec = &p->add[i].spec;
		const struct config_rest *rest =
			config_find_rest(c, tenant_name(c, spec->tenant), spec->in, spec->out, &spec->geo);

		if (rest && p->context->active->config)
			return refuse_rest(p, spec->out, rest, err);
		if (rest)
			tell_rest(spec, rest);
		for (size_t k = 0; k < c->n_draining; k++) {
			const struct config_drain *d = &c->draining[k];
			bool now = mappings_find_retired(p->context->mappings, d->in, d->out) < 0;

			if (prefixes_overlap(p->add[i].spec.out, d->out))
				return refuse_overlap(p, p->add[i].spec.out, d, now, err);
		}
	}
	return 0;
}

/* At a start: drains that are under way or would begin give way to the configuration. */
static void give_way(struct change_plan *p)
{
	const struct mappings *m = p->context->mappings;

	for (size_t i = 0; i < p->n_add; i++) {
		struct prefix out = p->add[i].spec.out;

		for (size_t k = 0; k < p->n_del; k++) {
			struct plan_deletion *d = &p->del[k];

			if (!d->drain_s || !prefixes_overlap(out, d->out))
				continue;
			d->drain_s = 0;
			for (size_t n = 0; d->replaced && n < p->n_add; n++)
				if (tenants_meet(p->add[n].spec.tenant, d->tenant) &&
				    prefix_equal(p->add[n].spec.in, d->in))
					p->add[n].how = (struct mapping_handover){ 0 };
			d->replaced = false;
		}
		for (int k = mappings_next_retired(m, 0); k >= 0; k = mappings_next_retired(m, k + 1)) {
			const struct geometry *g = &mappings_get(m, k)->geo;

			if (stays_retired(p, g) && prefixes_overlap(out, geometry_out(g)))
				p->del[p->n_del++] = (struct plan_deletion){ .in = geometry_in(g),
									     .out = geometry_out(g),
									     .geo = *g,
									     .over = true,
									     .tenant = mappings_get(m, k)->tenant };
		}
	}
}

static void add_draining(struct config *c, const struct plan_deletion *of, struct config_six six)
{
	struct config_drain *d = &c->draining[c->n_draining++];

	*d = (struct config_drain){ .in = of->in, .out = of->out, .six = six };
	snprintf(d->tenant, sizeof(d->tenant), "%s", tenant_name(c, of->tenant));
}

/* Lists the mappings that drain once the plan is carried out. */
static int list_draining(struct change_plan *p)
{
	const struct mappings *m = p->context->mappings;
	struct config *c = p->wanted;

	free(c->draining);
	c->n_draining = 0;
	c->draining = calloc(mappings_retired(m) + p->n_del + 1, sizeof(*c->draining));
	if (!c->draining)
		return -ENOMEM;
	for (int k = mappings_next_retired(m, 0); k >= 0; k = mappings_next_retired(m, k + 1)) {
		const struct geometry *g = &mappings_get(m, k)->geo;

		if (stays_retired(p, g))
			add_draining(c,
				     &(struct plan_deletion){ .in = geometry_in(g),
							      .out = geometry_out(g),
							      .tenant = mappings_get(m, k)->tenant },
				     six_of(m, k));
	}
	for (size_t i = 0; i < p->n_del; i++)
		if (p->del[i].drain_s)
			add_draining(c, &p->del[i],
				     six_of(m, mappings_find_of(m, p->del[i].tenant, p->del[i].in, p->del[i].out)));
	return 0;
}

/* The same as a drain, for mappings_drains_check(); a mapping that is not in the tables yet has none of theirs. */
static struct mapping_drain as_drain(const struct change_plan *p, const struct history_drain *d, size_t at)
{
	int number = mappings_find(p->context->mappings, d->in, d->out);

	if (number < 0)
		number = mappings_find_retired(p->context->mappings, d->in, d->out);
	return (struct mapping_drain){ .in = d->of, .number = number < 0 ? (int)MAX_MAPPINGS + (int)at : number };
}

static int refuse_drains(const struct change_plan *p, int r, const struct fact_list *begin, size_t failed,
			 struct error *err)
{
	const struct mapping_drain *drain;
	char text[INSIDE_TEXT];

	if (r == -ENOMEM)
		return error_set(err, r, "out of memory");
	if (r == -EMLINK)
		return config_refuse(err, r, p->name, 0, "",
				     "sessions of %s would drain from more than %u mappings at a time; wait until some "
				     "have ended, or do without a drain",
				     prefix_text(((const struct history_drain *)begin->of)[failed].of, text),
				     DRAIN_DEPTH);
	return config_refuse(
		err, r, p->name, 0, "",
		"%zu drains are under way and %zu would begin, of at most %u at a time; wait until some end, "
		"or do without a drain",
		mappings_drains(p->context->mappings, &drain), begin->n, MAX_DRAINS);
}

/*
 * Whether everything that is to drain can, so that no commit fails there. A mapping that is taken into use again drains
 * until its addresses are its own; finished drains end first only where mappings are deleted.
 */
static int check_room(const struct change_plan *p, struct error *err)
{
	struct fact_list end, begin;
	_cleanup_free_ struct mapping_drain *ended = NULL, *begun = NULL;
	size_t n_ended = 0, failed = 0;
	const struct history_drain *first;
	int r = plan_retired(p, &end, &begin);

	first = begin.of;
	ended = calloc(p->n_end + p->n_del + 1, sizeof(*ended));
	begun = calloc(begin.n + 1, sizeof(*begun));
	r = !r && ended && begun ? 0 : -ENOMEM;
	for (size_t i = 0; i < p->n_end && p->n_del && !r; i++)
		ended[n_ended++] = (struct mapping_drain){ .in = p->end[i].in, .number = p->end[i].number };
	for (size_t i = 0; i < p->n_del && !r; i++)
		if (p->del[i].over)
			ended[n_ended++] =
				as_drain(p, &(struct history_drain){ p->del[i].in, p->del[i].out, p->del[i].in, 0 }, i);
	for (size_t i = 0; i < begin.n && !r; i++)
		begun[i] = as_drain(p, &first[i], i);
	if (!r)
		r = mappings_drains_check(p->context->mappings, ended, n_ended, begun, begin.n, &failed);
	if (r)
		r = refuse_drains(p, r, &begin, failed, err);
	free(begin.of);
	free(end.of);
	return r;
}

/*
 * Refuses that addresses drain from a mapping of one tenant while another has them, and both are routed by the main
 * table: answers to the sessions would go to the other's subscribers.
 */
static int refuse_tenants(const struct change_plan *p, struct prefix in, uint8_t tenant, struct error *err)
{
	const struct config *c = p->wanted;
	char text[INSIDE_TEXT], own[INSIDE_TEXT];

	for (size_t i = 0; tenant && i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];
		uint8_t now = config_mapping_tenant(c, m);

		if (now && now != tenant && prefixes_overlap(m->in, in) &&
		    !config_tenants_apart(c, m->tenant, tenant_name(c, tenant)))
			return error_set(err, -EBUSY,
					 "%s cannot be of the tenant %s while sessions of %s drain, which were another "
					 "tenant's; wait, or do without a drain, which ends these sessions",
					 inside_prefix_text(m->in, text), m->tenant, inside_prefix_text(in, own));
	}
	return 0;
}

static int check_tenants(const struct change_plan *p, struct error *err)
{
	const struct mappings *m = p->context->mappings;
	const struct mapping_drain *drain;
	size_t n = mappings_drains(m, &drain);
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		if (!mapping_drain_over(&drain[i]))
			r = refuse_tenants(p, drain[i].in, mappings_get(m, drain[i].number)->tenant, err);
	for (size_t i = 0; !r && i < p->n_del; i++) {
		int number = p->del[i].drain_s ? mappings_find(m, p->del[i].in, p->del[i].out) : -1;

		if (number >= 0)
			r = refuse_tenants(p, p->del[i].in, mappings_get(m, number)->tenant, err);
	}
	return r;
}

int plan_drains(struct change_plan *p, struct error *err)
{
	int r;

	p->end = calloc(MAX_DRAINS, sizeof(*p->end));
	if (!p->end || plan_binding_drains(p->context->mappings, &p->drained))
		return error_set(err, -ENOMEM, "out of memory");
	find_ended(p);
	find_retired(p);
	if (plan_forget_needless(p))
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->n_add; i++)
		p->drains |= p->add[i].how.drain_s > 0;
	if (!p->context->active->config)
		give_way(p);
	if (list_draining(p) || list_rests(p))
		return error_set(err, -ENOMEM, "out of memory");
	r = check_tenants(p, err);
	if (!r)
		r = check_room(p, err);
	return r ? r : check_overlaps(p, err);
}

void plan_end_drains(struct change_plan *p)
{
	struct mappings *m = p->context->mappings;

	for (size_t i = 0; i < p->n_end; i++)
		mappings_end_drain(m, p->end[i].in, p->end[i].number);
	for (size_t i = 0; i < p->n_del; i++)
		if (p->del[i].over)
			mappings_del_of(m, p->del[i].tenant, p->del[i].in, p->del[i].out);
}
