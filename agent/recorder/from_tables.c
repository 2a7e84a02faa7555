/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorder/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/log.h"
#include "recorder/history_private.h"
#include "tables/mapping_drains.h"

bool history_mapping_in_tables(const struct mappings *m, int number, struct history_mapping *ret)
{
	const struct mapping *record = number < 0 ? NULL : mappings_get(m, number);
	const struct geometry *g = record ? &record->geo : NULL;

	if (!g)
		return false;
	*ret = (struct history_mapping){
		.in = geometry_in(g),
		.out = geometry_out(g),
		.open = g->flags & MAPPING_OPEN,
		.blocks = plan_blocks_of(g),
		.from = TIME_NONE,
	};
	snprintf(ret->tenant, sizeof(ret->tenant), "%s", mappings_tenant_name(m, record->tenant));
	return true;
}

/* Draining mappings are in the tables, too: their outside addresses are their subscribers'. */
static bool mapping_by_number(const struct history_tables *t, struct history_place *at, void *ret)
{
	while (at->number < MAX_MAPPINGS)
		if (history_mapping_in_tables(t->mappings, (int)at->number++, ret))
			return true;
	return false;
}

struct history_portmap history_portmap_of(const struct mappings *m, const struct portmap *portmap)
{
	struct history_portmap of = { .in = { portmap->in.addr, portmap->in.port, portmap->in.port },
				      .out = { portmap->out.addr, portmap->out.port, portmap->out.port },
				      .proto = portmap->proto,
				      .from = TIME_NONE };

	snprintf(of.tenant, sizeof(of.tenant), "%s", mappings_tenant_name(m, portmap->tenant));
	return of;
}

/* Those of the configuration. Leases are in their subscriber's own block. */
static bool next_static(const struct history_tables *t, struct history_place *at, void *ret)
{
	do
		at->portmap = portmaps_next(t->portmaps, at->portmap);
	while (at->portmap && at->portmap->origin != PORTMAP_STATIC);
	if (at->portmap)
		*(struct history_portmap *)ret = history_portmap_of(t->mappings, at->portmap);
	return at->portmap;
}

/* In the order of their beginning. */
static bool drain_by_number(const struct history_tables *t, struct history_place *at, void *ret)
{
	const struct mapping_drain *drain;
	const struct geometry *g;

	if (at->number == mappings_drains(t->mappings, &drain))
		return false;
	drain += at->number++;
	g = &mappings_get(t->mappings, drain->number)->geo;
	*(struct history_drain *)ret = (struct history_drain){ geometry_in(g), geometry_out(g), drain->in, 0 };
	return true;
}

static bool next_granted(const struct history_tables *t, struct history_place *at, void *ret)
{
	const struct grant *g = t->grants ? grants_walk(t->grants, &at->number) : NULL;

	while (g && g->state != GRANT_OPEN && g->state != GRANT_CLOSED)
		g = grants_walk(t->grants, &at->number);
	if (g)
		*(struct history_grant *)ret = (struct history_grant){
			.in = g->in_addr, .out = g->out_addr, .port_lo = g->port_lo, .ports = g->ports
		};
	return g;
}

static struct history_by grant_by(const void *fact)
{
	return history_by(((const struct history_grant *)fact)->replicated ? BY_REPLICATION : BY_GROWTH);
}

const struct history_kind history_kinds[FACT_KINDS] = {
	[FACT_MAPPING] = { .next = mapping_by_number, .text = "mapping <in> to <out>" },
	[FACT_PORTMAP] = { .next = next_static, .text = "portmap <proto> <out> to <in>" },
	[FACT_DRAIN] = { .next = drain_by_number, .text = "the drain of <of> to <out>" },
	[FACT_GRANT] = { .next = next_granted,
			 .text = "the grant of <out>:<port_lo>-<port_hi> to <in>",
			 .by = grant_by,
			 .dated = true },
};

/* Single ports become spans. */
void *history_list_tables(enum fact_kind kind, const struct history_tables *t, size_t *ret_n)
{
	const struct fact_row *row = &fact_rows[kind];
	struct history_place at = { 0 };
	char *list = NULL;
	size_t room = 0;

	for (*ret_n = 0;; ++*ret_n) {
		if (array_grow(&list, *ret_n, &room, row->size)) {
			free(list);
			return NULL;
		}
		if (!history_kinds[kind].next(t, &at, list + *ret_n * row->size))
			break;
		*history_fact_from(kind, list + *ret_n * row->size) = TIME_NONE;
	}
	if (row->join)
		*ret_n = history_facts_sort(kind, list, *ret_n);
	return list;
}

int history_take_tables(const struct history_tables *t, struct history_change *ret)
{
	history_change_free(ret);
	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		ret->add[k].of = history_list_tables(k, t, &ret->add[k].n);
		if (!ret->add[k].of)
			return -ENOMEM;
	}
	return 0;
}

int history_new_tables(const char *dir, const struct datapath *d, const struct history_tables *t, struct history **ret,
		       struct error *err)
{
	int pin = history_pin_open(d->pin_dir), r;
	struct history_change there = { 0 };
	struct history *h;

	if (pin < 0)
		log_warning("%s/history: cannot be created: %s", d->pin_dir, strerror(-pin));
	r = history_new(dir, pin < 0 ? -1 : pin, &h, err);
	if (r)
		return r;
	r = history_take_tables(t, &there);
	for (enum fact_kind k = FACT_MAPPING + 1; k < FACT_KINDS && !r; k++)
		r = history_present(h, k, there.add[k].of, there.add[k].n);
	if (!r)
		r = history_begin(h, d->reused, there.add[FACT_MAPPING].of, there.add[FACT_MAPPING].n);
	history_change_free(&there);
	if (r) {
		history_close(h);
		return error_set(err, r, "out of memory");
	}
	*ret = h;
	return 0;
}
