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

struct history_mapping *history_tables(const struct mappings *m, size_t *ret_n)
{
	struct history_mapping *list = calloc(MAX_MAPPINGS, sizeof(*list));
	size_t n = 0;

	/* Draining mappings are in the tables, too: their outside addresses are their subscribers'. */
	for (int number = 0; list && number < (int)MAX_MAPPINGS; number++)
		n += history_mapping_in_tables(m, number, &list[n]);
	*ret_n = n;
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

struct history_portmap *history_portmap_tables(const struct mappings *of, const struct portmaps *p, size_t *ret_n)
{
	struct history_portmap *list = calloc(portmaps_count(p, PORTMAP_STATIC) + 1, sizeof(*list));
	size_t n = 0;

	for (const struct portmap *m = portmaps_next(p, NULL); list && m; m = portmaps_next(p, m))
		if (m->origin == PORTMAP_STATIC)
			list[n++] = history_portmap_of(of, m);
	*ret_n = list ? history_portmaps_merge(list, n) : 0;
	return list;
}

struct history_grant *history_grant_tables(const struct grants *g, size_t *ret_n)
{
	struct grant_figures figures = { 0 };
	struct history_grant *list;
	uint32_t at = 0;
	size_t n = 0;

	if (g)
		grants_count(g, &figures);
	list = calloc((size_t)figures.grants + 1, sizeof(*list));
	for (const struct grant *i; list && n < figures.grants && (i = grants_walk(g, &at));)
		if (i->state == GRANT_OPEN || i->state == GRANT_CLOSED)
			list[n++] = (struct history_grant){ .in = i->in_addr,
							    .out = i->out_addr,
							    .port_lo = i->port_lo,
							    .ports = i->ports,
							    .from = TIME_NONE };
	*ret_n = n;
	return list;
}

struct history_drain *history_drain_tables(const struct mappings *m, size_t *ret_n)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(m, &drain);
	struct history_drain *list = calloc(n + 1, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		const struct geometry *g = &mappings_get(m, drain[i].number)->geo;

		list[i] = (struct history_drain){
			.in = geometry_in(g), .out = geometry_out(g), .of = drain[i].in, .from = TIME_NONE
		};
	}
	*ret_n = list ? n : 0;
	return list;
}

int history_new_tables(const char *dir, const struct datapath *d, const struct mappings *m, const struct portmaps *p,
		       const struct grants *g, struct history **ret, struct error *err)
{
	size_t n = 0, n_portmaps = 0, n_drains = 0, n_grants = 0;
	_cleanup_free_ struct history_mapping *list = history_tables(m, &n);
	_cleanup_free_ struct history_portmap *portmaps = history_portmap_tables(m, p, &n_portmaps);
	_cleanup_free_ struct history_drain *drains = history_drain_tables(m, &n_drains);
	_cleanup_free_ struct history_grant *grants = history_grant_tables(g, &n_grants);
	int pin = history_pin_open(d->pin_dir);
	struct history *h;
	int r;

	if (pin < 0)
		log_warning("%s/history: cannot be created: %s", d->pin_dir, strerror(-pin));
	if (!list || !portmaps || !drains || !grants) {
		close_fd(&pin);
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = history_new(dir, pin < 0 ? -1 : pin, &h, err);
	if (r)
		return r;
	r = history_portmaps_present(h, portmaps, n_portmaps);
	if (!r)
		r = history_drains_present(h, drains, n_drains);
	if (!r)
		r = history_grants_present(h, grants, n_grants);
	if (!r)
		r = history_begin(h, d->reused, list, n);
	if (r) {
		history_close(h);
		return error_set(err, r, "out of memory");
	}
	*ret = h;
	return 0;
}
