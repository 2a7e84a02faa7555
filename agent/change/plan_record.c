/* SPDX-License-Identifier: BSD-2-Clause */
/* A change of mappings is on disk before it takes effect (RFC 7422). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "change/change_plan_private.h"
#include "guard/guard.h"
#include "recorder/history.h"
#include "recorder/queue.h"
#include "tables/mapping_changes.h"

/* Microseconds that a first start waits for the disk before it continues without the record. */
#define FIRST_PATIENCE_US (20 * 1000000ULL)

static void on_recorded(void *arg, int r, const struct history_change *c, const struct error *err)
{
	struct change_plan *p = arg;

	(void)c;
	p->record = RECORD_ENDED;
	p->record_r = r;
	p->record_err = *err;
}

/* Portmaps as spans. 0 or -ENOMEM. */
static int list_spans(const struct change_plan *p, const struct portmap *list, size_t n, struct fact_list *ret)
{
	struct history_portmap *spans = calloc(n + 1, sizeof(*spans));
	size_t k = 0;

	for (size_t i = 0; spans && i < n; i++)
		if (list[i].origin == PORTMAP_STATIC)
			spans[k++] = history_portmap_of(p->context->mappings, &list[i]);
	*ret = (struct fact_list){ spans, spans ? history_facts_sort(FACT_PORTMAP, spans, k) : 0 };
	return spans ? 0 : -ENOMEM;
}

static const char *name_of(const struct config *c, const struct mapping_spec *spec)
{
	const struct config_mapping *m = config_find_mapping_of(c, tenant_name(c, spec->tenant), spec->in, spec->out);

	return m ? m->name : "";
}

/* The mapping of an addition, with its blocks. */
static struct history_mapping added(const struct config *c, const struct mapping_spec *spec)
{
	struct history_mapping m = { .in = spec->in, .out = spec->out, .open = spec->open };
	struct geometry geo;

	if (!prefix_is_none(spec->out) && !mapping_spec_geometry(spec, &geo))
		m.blocks = plan_blocks_of(&geo);
	/* What the history says of these virtual addresses, they mean from now on. */
	if (mapping_spec_is_ipv6(spec))
		virtual6_keep(spec->in.base);
	snprintf(m.name, sizeof(m.name), "%s", name_of(c, spec));
	snprintf(m.tenant, sizeof(m.tenant), "%s", tenant_name(c, spec->tenant));
	return m;
}

/* A mapping that stays, under its new name or with its new tenant. */
static struct history_mapping renamed(const struct config_mapping *of)
{
	struct history_mapping m = { .in = of->in, .out = of->out, .open = of->inbound == INBOUND_OPEN };
	struct geometry geo;

	if (!prefix_is_none(of->out) && !config_mapping_geometry(of, &geo))
		m.blocks = plan_blocks_of(&geo);
	snprintf(m.name, sizeof(m.name), "%s", of->name);
	snprintf(m.tenant, sizeof(m.tenant), "%s", of->tenant);
	return m;
}

static struct history_mapping deleted(const struct change_plan *p, const struct plan_deletion *d)
{
	struct history_mapping m = { .in = d->in, .out = d->out, .open = d->open, .blocks = plan_blocks_of(&d->geo) };

	snprintf(m.tenant, sizeof(m.tenant), "%s", mappings_tenant_name(p->context->mappings, d->tenant));
	return m;
}

bool plan_is_as_recorded(const struct change_plan *p, struct error *why)
{
	const struct history_queue *q = p->context->history;
	const struct mappings *m = p->context->mappings;
	_cleanup_free_ struct history_mapping *made = calloc(p->n_add + 1, sizeof(*made));
	_cleanup_free_ struct history_mapping *ended = calloc(p->n_del + 1, sizeof(*ended));
	size_t n_made = 0, n_ended = 0;

	for (size_t i = 0; made && i < p->n_add; i++) {
		const struct mapping_spec *s = &p->add[i].spec;

		n_made += history_mapping_in_tables(m, mappings_find_of(m, s->tenant, s->in, s->out), &made[n_made]);
	}
	for (size_t i = 0; ended && i < p->n_del; i++)
		if (!p->del[i].drain_s)
			ended[n_ended++] = deleted(p, &p->del[i]);

	const struct history_change c = { .add[FACT_MAPPING] = { made, n_made },
					  .del[FACT_MAPPING] = { ended, n_ended } };

	return !made || !ended ||
	       (history_queue_holds_change(q, &c, why) &&
		history_queue_holds_portmaps(q, p->portmaps.del, p->portmaps.n_del, why) &&
		history_queue_holds_portmaps(q, p->portmaps.add, p->portmaps.n_add, why));
}

/* Whether a mapping stays under another name, or gets a tenant. A start leaves that to the next change. */
static bool is_renamed(const struct change_plan *p, const struct config_mapping *m)
{
	const struct config *before = p->context->active->config;
	const struct config_mapping *was = before ? config_find_mapping_of(before, m->tenant, m->in, m->out) : NULL;

	return was && (strcmp(was->name, m->name) != 0 || strcmp(was->tenant, m->tenant) != 0) && !plan_adds(p, m);
}

/* Looks once: each step of the change asks. */
static bool renames(struct change_plan *p)
{
	bool any = p->renames == RENAMES_SOME;

	for (size_t i = 0; p->renames == RENAMES_UNKNOWN && !any && i < plan_part(p)->n_mappings; i++)
		any = is_renamed(p, &plan_part(p)->mappings[i]);
	p->renames = any ? RENAMES_SOME : RENAMES_NONE;
	return any;
}

/* 0 or -ENOMEM. */
static int list_mappings(const struct change_plan *p, struct history_change *ret)
{
	const struct config *c = plan_part(p);
	struct history_mapping *add = calloc(p->n_add + c->n_mappings + 1, sizeof(*add));
	struct history_mapping *del = calloc(p->n_del + 1, sizeof(*del));
	size_t n_add = 0, n_del = 0;

	for (size_t i = 0; add && i < p->n_add; i++)
		if (!p->add[i].revives)
			add[n_add++] = added(c, &p->add[i].spec);
	for (size_t i = 0; add && i < c->n_mappings; i++)
		if (is_renamed(p, &c->mappings[i]))
			add[n_add++] = renamed(&c->mappings[i]);
	for (size_t i = 0; del && i < p->n_del; i++)
		if (!p->del[i].drain_s)
			del[n_del++] = deleted(p, &p->del[i]);
	ret->add[FACT_MAPPING] = (struct fact_list){ add, n_add };
	ret->del[FACT_MAPPING] = (struct fact_list){ del, n_del };
	return add && del ? 0 : -ENOMEM;
}

static int begin(struct change_plan *p, struct error *err)
{
	const struct config *c = p->wanted;
	struct history_change change = { .by = *p->options.by.what ? p->options.by : history_by(BY_EXPIRY) };
	int r = list_mappings(p, &change);

	for (size_t i = 0; i < c->n_tenants; i++)
		mappings_name_tenant(p->context->mappings, c->tenants[i].id, c->tenants[i].name);
	if (r || list_spans(p, p->portmaps.del, p->portmaps.n_del, &change.del[FACT_PORTMAP]) ||
	    list_spans(p, p->portmaps.add, p->portmaps.n_add, &change.add[FACT_PORTMAP]) ||
	    plan_retired(p, &change.del[FACT_DRAIN], &change.add[FACT_DRAIN]) ||
	    history_queue_change(p->context->history, &change, on_recorded, p)) {
		history_change_free(&change);
		return error_set(err, -ENOMEM, "out of memory");
	}
	p->record = RECORD_UNDER_WAY;
	p->record_us = monotonic_us();
	return PLAN_WAITS;
}

int plan_record(struct change_plan *p, struct error *err)
{
	bool first_start = !p->context->active->config && !p->context->datapath->reused;

	if (!plan_begins_or_ends(p) && !p->portmaps.n_add && !p->portmaps.n_del && !renames(p))
		return PLAN_READY;
	if (p->record == RECORD_NOT)
		return begin(p, err);
	if (p->record == RECORD_UNDER_WAY) {
		if (!first_start || monotonic_us() - p->record_us < FIRST_PATIENCE_US)
			return PLAN_WAITS;
		history_queue_forget(p->context->history, p);
		p->record = RECORD_ENDED;
		p->record_r = -ETIMEDOUT;
		return PLAN_READY;
	}
	if (!p->record_r || (first_start && (p->record_r == -ETIMEDOUT || error_passes(p->record_r))))
		return PLAN_READY;
	return error_set(err, p->record_r, "%s", p->record_err.text);
}

/*
 * Holds the addresses that several steps of a change touch. The datapath applies each step at once, but not all steps
 * together: in between, the addresses would be in no mapping, or in an unrecorded one.
 */

/* An addition, or a deletion that is not part of an addition. */
struct step {
	const struct plan_addition *add;
	struct prefix in;
	uint8_t tenant;
	bool meets; /* addresses of another step */
};

static size_t list_steps(const struct change_plan *p, struct step *steps)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_add; i++)
		steps[n++] =
			(struct step){ .add = &p->add[i], .in = p->add[i].spec.in, .tenant = p->add[i].spec.tenant };
	for (size_t i = 0; i < p->n_del; i++)
		if (!p->del[i].over && !p->del[i].replaced)
			steps[n++] = (struct step){ .in = p->del[i].in, .tenant = p->del[i].tenant };
	return n;
}

static int by_address(const void *a, const void *b)
{
	const struct step *x = a, *y = b;

	return x->in.base < y->in.base ? -1 : x->in.base > y->in.base;
}

/* Sorts the steps: each is compared with those that begin within it. */
static void find_meetings(struct step *steps, size_t n)
{
	qsort(steps, n, sizeof(*steps), by_address);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = i + 1; k < n && steps[k].in.base <= prefix_last(steps[i].in); k++)
			if (tenants_meet(steps[k].tenant, steps[i].tenant))
				steps[k].meets = steps[i].meets = true;
	}
}

/* The datapath takes an addition that replaces a mapping in a single step. */
static bool replaces(const struct step *s)
{
	return s->add && s->add->how.replaces;
}

int plan_holds(struct change_plan *p)
{
	size_t room = p->n_add + p->n_del + 1, n;
	_cleanup_free_ struct step *steps = calloc(room, sizeof(*steps));

	free(p->held);
	p->held = calloc(room, sizeof(*p->held));
	p->n_held = 0;
	if (!steps || !p->held)
		return -ENOMEM;
	n = list_steps(p, steps);
	find_meetings(steps, n);
	for (size_t i = 0; i < n; i++)
		if (!replaces(&steps[i]) && steps[i].meets)
			p->held[p->n_held++] = (struct plan_hold){ steps[i].in, steps[i].tenant };
	return 0;
}

void plan_hold(const struct change_plan *p)
{
	mappings_begin(p->context->mappings);
	for (size_t i = 0; i < p->n_held; i++)
		mappings_hold(p->context->mappings, p->held[i].tenant, p->held[i].in);
}

void plan_guard_holds(const struct change_plan *p)
{
	_cleanup_free_ struct prefix *in = calloc(p->n_add + p->n_held + 1, sizeof(*in));
	size_t n = 0;

	for (size_t i = 0; in && i < p->n_add; i++)
		if (!p->add[i].how.replaces && p->n_del)
			in[n++] = p->add[i].spec.in;
	for (size_t i = 0; in && i < p->n_held; i++)
		in[n++] = p->held[i].in;
	if (n)
		guard_hold(p->context->guard, in, n);
}

void plan_set_tenants(struct change_plan *p)
{
	struct mappings *m = p->context->mappings;

	for (size_t i = 0; i < p->n_update; i++) {
		struct plan_update *u = &p->update[i];
		int number = mappings_find_of(m, u->spec.tenant, u->spec.in, u->spec.out);
		uint8_t before = number < 0 ? 0 : mappings_get(m, number)->tenant;

		if (number < 0 || before == u->spec.tenant)
			continue;
		u->moved = number + 1;
		u->tenant_before = before;
		mappings_set_tenant(m, number, u->spec.tenant);
	}
}

void plan_restore_tenants(struct change_plan *p)
{
	for (size_t i = 0; i < p->n_update; i++) {
		if (p->update[i].moved)
			mappings_set_tenant(p->context->mappings, p->update[i].moved - 1, p->update[i].tenant_before);
		p->update[i].moved = 0;
	}
}
