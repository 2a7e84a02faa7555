/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorder/history.h"

#include <errno.h>
#include <string.h>

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
static void *list_mappings(const struct history_tables *t, size_t *ret_n)
{
	struct history_mapping *list = calloc(MAX_MAPPINGS, sizeof(*list));

	for (int number = 0; list && number < (int)MAX_MAPPINGS; number++)
		*ret_n += history_mapping_in_tables(t->mappings, number, &list[*ret_n]);
	return list;
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

/* Those of the configuration, as spans. Leases are in their subscriber's own block. */
static void *list_portmaps(const struct history_tables *t, size_t *ret_n)
{
	struct history_portmap *list = calloc(portmaps_count(t->portmaps, PORTMAP_STATIC) + 1, sizeof(*list));
	size_t n = 0;

	for (const struct portmap *m = portmaps_next(t->portmaps, NULL); list && m; m = portmaps_next(t->portmaps, m))
		if (m->origin == PORTMAP_STATIC)
			list[n++] = history_portmap_of(t->mappings, m);
	*ret_n = list ? history_facts_sort(FACT_PORTMAP, list, n) : 0;
	return list;
}

/* In the order of their beginning. */
static void *list_drains(const struct history_tables *t, size_t *ret_n)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(t->mappings, &drain);
	struct history_drain *list = calloc(n + 1, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		const struct geometry *g = &mappings_get(t->mappings, drain[i].number)->geo;

		list[(*ret_n)++] = (struct history_drain){
			.in = geometry_in(g), .out = geometry_out(g), .of = drain[i].in, .from = TIME_NONE
		};
	}
	return list;
}

static void *list_grants(const struct history_tables *t, size_t *ret_n)
{
	struct grant_figures figures = { 0 };
	struct history_grant *list;
	uint32_t at = 0;

	if (t->grants)
		grants_count(t->grants, &figures);
	list = calloc((size_t)figures.grants + 1, sizeof(*list));
	for (const struct grant *i; list && *ret_n < figures.grants && (i = grants_walk(t->grants, &at));)
		if (i->state == GRANT_OPEN || i->state == GRANT_CLOSED)
			list[(*ret_n)++] = (struct history_grant){ .in = i->in_addr,
								   .out = i->out_addr,
								   .port_lo = i->port_lo,
								   .ports = i->ports,
								   .from = TIME_NONE };
	return list;
}

static struct history_by grant_by(const void *fact)
{
	return history_by(((const struct history_grant *)fact)->replicated ? BY_REPLICATION : BY_GROWTH);
}

const struct history_kind history_kinds[FACT_KINDS] = {
	[FACT_MAPPING] = { .list = list_mappings, .text = "mapping <in> to <out>" },
	[FACT_PORTMAP] = { .list = list_portmaps, .text = "portmap <proto> <out> to <in>" },
	[FACT_DRAIN] = { .list = list_drains, .text = "the drain of <of> to <out>" },
	[FACT_GRANT] = { .list = list_grants,
			 .text = "the grant of <out>:<port_lo>-<port_hi> to <in>",
			 .by = grant_by,
			 .dated = true },
};

int history_take_tables(const struct history_tables *t, struct history_change *ret)
{
	history_change_free(ret);
	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		ret->add[k].of = history_kinds[k].list(t, &ret->add[k].n);
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
