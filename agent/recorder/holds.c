/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the history with the tables. `check` names the first difference. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/address.h"
#include "recorder/history_private.h"

enum side { NOT_RECORDED, NOT_IN_TABLES };

static bool differs(struct error *why, enum side side, const char *kind, const char *from, const char *to)
{
	error_set(why, 0, "%s %s to %s is in the %s", kind, from, to,
		  side == NOT_RECORDED ? "tables, and not in the history" : "history, and not in the tables");
	return false;
}

/* Whether the history cannot be compared: it is not open, or one of its records has yet to be written. */
static bool is_silent(const struct history *h)
{
	return !h->opened || h->owes_start || h->owes_undo;
}

static bool mapping_differs(struct error *why, enum side side, const struct history_mapping *m)
{
	char in[ADDR_TEXT], out[ADDR_TEXT];

	return differs(why, side, "mapping", prefix_text(m->in, in),
		       prefix_is_none(m->out) ? "none" : prefix_text(m->out, out));
}

/* Whether one of a list is this mapping; without a tenant's name it may be any tenant's. */
static bool is_listed(const struct history_mapping *list, size_t n, const struct history_interval *v)
{
	const struct history_mapping known = history_mapping_of(v);

	return history_list_has(list, n, &known);
}

bool history_holds(const struct history *h, const struct history_mapping *present, size_t n, struct error *why)
{
	const struct history_index *x = &h->file.index;
	_cleanup_free_ bool *seen = calloc(x->n_intervals + 1, sizeof(*seen));

	if (is_silent(h) || !seen)
		return true;
	for (size_t i = 0; i < n; i++) {
		const struct history_interval *v = history_index_find_open(x, &present[i]);

		if (!v)
			return mapping_differs(why, NOT_RECORDED, &present[i]);
		seen[v - x->intervals] = true;
	}
	for (size_t k = 0; k < x->n_open; k++) {
		const struct history_interval *v = &x->intervals[x->open[k]];
		const struct history_mapping known = history_mapping_of(v);

		if (!seen[x->open[k]] && !is_listed(present, n, v))
			return mapping_differs(why, NOT_IN_TABLES, &known);
	}
	return true;
}

bool history_holds_change(const struct history *h, const struct history_mapping *made, size_t n_made,
			  const struct history_mapping *ended, size_t n_ended, struct error *why)
{
	const struct history_index *x = &h->file.index;

	if (is_silent(h))
		return true;
	for (size_t i = 0; i < n_made; i++)
		if (!history_index_find_open(x, &made[i]))
			return mapping_differs(why, NOT_RECORDED, &made[i]);
	for (size_t i = 0; i < n_ended; i++)
		if (history_index_find_open(x, &ended[i]) && !history_list_has(made, n_made, &ended[i]))
			return mapping_differs(why, NOT_IN_TABLES, &ended[i]);
	return true;
}

static bool portmap_differs(struct error *why, enum side side, const struct history_portmap *m)
{
	char in[SPAN_TEXT], out[SPAN_TEXT];

	return differs(why, side, m->proto == IPPROTO_TCP ? "portmap tcp" : "portmap udp", span_format(m->out, out),
		       span_format(m->in, in));
}

bool history_holds_portmap(const struct history *h, uint8_t proto, struct endpoint out,
			   const struct history_portmap *present, struct error *why)
{
	const struct history_portmap at = { .out = { out.addr, out.port, out.port }, .proto = proto };
	const struct portmap_interval *v = history_facts_at(FACT_PORTMAP, &h->file.index.portmaps.facts, &at);
	struct history_portmap known;

	if (is_silent(h))
		return true;
	if (!v)
		return !present || portmap_differs(why, NOT_RECORDED, present);
	known = history_portmap_of_port(v);
	if (!present)
		return portmap_differs(why, NOT_IN_TABLES, &known);
	return (known.in.addr == present->in.addr && known.in.first == present->in.first &&
		history_same_tenant(known.tenant, present->tenant)) ||
	       portmap_differs(why, NOT_RECORDED, present);
}

static bool fact_differs(struct error *why, enum side side, enum fact_kind kind, const void *interval)
{
	char in[ADDR_TEXT], out[SPAN_TEXT];
	const struct history_grant *g = &((const struct grant_interval *)interval)->grant;

	if (kind == FACT_PORTMAP) {
		const struct history_portmap m = history_portmap_of_port(interval);

		return portmap_differs(why, side, &m);
	}
	if (kind == FACT_DRAIN) {
		const struct history_drain *d = &((const struct drain_interval *)interval)->drain;

		return differs(why, side, "the drain of", prefix_text(d->of, in), prefix_text(d->out, out));
	}
	span_format((struct port_span){ g->out, g->port_lo, (uint16_t)(g->port_lo + g->ports - 1) }, out);
	return differs(why, side, "the grant of", out, addr_format(g->in, in));
}

/* Whether the same facts are open in the history and in a list of what the tables have. */
static bool holds_all(const struct history *h, enum fact_kind kind, const void *present, size_t n, struct error *why)
{
	const struct history_facts *known = &h->file.index.facts[kind];
	struct history_facts there = { 0 };
	const void *more = NULL, *less = NULL;

	if (is_silent(h))
		return true;
	if (!history_take_all(kind, &there, present, n)) {
		more = history_facts_missing(kind, &there, known);
		less = more ? NULL : history_facts_missing(kind, known, &there);
	}
	if (more || less)
		fact_differs(why, more ? NOT_RECORDED : NOT_IN_TABLES, kind, more ? more : less);
	history_facts_free(&there);
	return !more && !less;
}

bool history_holds_portmaps(const struct history *h, const struct history_portmap *present, size_t n, struct error *why)
{
	return holds_all(h, FACT_PORTMAP, present, n, why);
}

bool history_holds_grants(const struct history *h, const struct history_grant *present, size_t n, struct error *why)
{
	return holds_all(h, FACT_GRANT, present, n, why);
}

bool history_holds_drains(const struct history *h, const struct history_drain *present, size_t n, struct error *why)
{
	return holds_all(h, FACT_DRAIN, present, n, why);
}
