// SPDX-License-Identifier: BSD-2-Clause
/* Findings about outside ports that belong to an inside port for all destinations: portmaps and bindings. */
#include <netinet/in.h>

#include <detnat/binding.h>

#include "config/active.h"
#include "base/virtual6.h"
#include "config/config.h"
#include "diagnosis/explain_private.h"
#include "pcp/pcp.h"
#include "proto/words.h"
#include "sessions/bound_ports.h"
#include "tables/portmap_table.h"

/* One for each protocol that has ports or identifiers. */
#define MATCHES 3U

static const uint8_t protocols[MATCHES] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };

struct bound {
	const struct explanation *e;
	uint32_t n[MATCHES];
	struct binding match[MATCHES];
	bool matches[MATCHES];
};

static int count(const struct binding *b, void *arg)
{
	struct bound *all = arg;
	const struct explanation *e = all->e;

	for (unsigned i = 0; i < MATCHES; i++) {
		if (b->proto != protocols[i])
			continue;
		all->n[i]++;
		if (!e->with_port || e->asked.port != (e->side == EXPLAIN_INSIDE ? b->in_port : b->out_port))
			continue;
		all->match[i] = *b;
		all->matches[i] = true;
	}
	return 0;
}

static void read_bindings(struct bound *all)
{
	struct binding_walk *walk;

	if (binding_walk_new_subscriber(all->e->context->mappings, explain_place(all->e), &walk))
		return;
	/* Only one subscriber: a fraction of a millisecond. */
	while (binding_walk_step(walk, 1000, count, NULL, all) > 0)
		;
	binding_walk_free(walk);
}

static bool add_binding(const struct explanation *e, cJSON *list, const struct binding *b)
{
	bool open = e->mapping->bindings.filtering & binding_protocol(b->proto);
	char in[INSIDE_TEXT], out[INSIDE_TEXT];

	explain_add(list, false, "binding", "", "%s %s:%u has %s:%u for all destinations%s",
		    word_text(proto_words, b->proto), inside_text(b->in_addr, in), b->in_port,
		    addr_format(b->out_addr, out), b->out_port,
		    open ? ", and packets from anyone there open a session" : "");
	return open;
}

static void add_full(const struct explanation *e, cJSON *list, unsigned i, uint32_t n)
{
	if (e->mapping->bindings.mapping & binding_protocol(protocols[i]) && n >= e->mapping->geo.ports_per_host)
		explain_add(list, true, "drop_ports_exhausted",
			    "a mapping to more outside addresses gives each subscriber more ports; a binding ends with "
			    "its sessions and the timeout",
			    "all %u ports of the block are bound for %s: sessions of further inside ports are refused",
			    n, word_text(proto_words, protocols[i]));
}

static void add_inbound(const struct explanation *e, cJSON *list)
{
	const struct mapping *m = e->mapping;
	const struct mappings *tables = e->context->mappings;
	uint32_t inbound, limit = inbound_limit(m->bindings.inbound, m->sessions_per_user, m->bucket_shift);

	if (!m->bindings.filtering)
		return;
	inbound = mappings_inbound(tables, e->number, mapping_subscriber(&m->geo, e->in_addr));
	if (inbound >= limit)
		explain_add(list, false, "drop_inbound_limit",
			    "inbound_sessions in endpoint_independent is the share of the quota",
			    "all %u sessions that may be opened from outside may be in use: strangers are dropped "
			    "until some end",
			    limit);
}

/* Room for all filters of a portmap. */
#define FILTERS_TEXT ((size_t)MAX_PORTMAP_FILTERS * PORTMAP_FILTER_TEXT)

static const char *filters_text(const struct portmap_filters *f, char text[static FILTERS_TEXT])
{
	char one[PORTMAP_FILTER_TEXT];
	size_t n = 0;

	for (uint32_t i = 0; i < f->n && n < FILTERS_TEXT; i++)
		n += (size_t)snprintf(text + n, FILTERS_TEXT - n, "%s%s", i ? ", " : "",
				      portmap_filter_format(&f->filter[i], one));
	return text;
}

static bool add_portmap(const struct explanation *e, cJSON *list, uint8_t proto)
{
	const struct portmaps *p = e->context->portmaps;
	const struct portmap *m = !p			      ? NULL
				  : e->side == EXPLAIN_INSIDE ? portmaps_by_in(p, e->tenant, proto, e->asked)
							      : portmaps_by_out(p, proto, e->asked);
	char in[INSIDE_TEXT], out[INSIDE_TEXT], filters[FILTERS_TEXT];

	if (!m)
		return false;
	addr_format(m->out.addr, out);
	addr_format(m->in.addr, in);
	if (m->filters.n)
		explain_add(list, false, "drop_portmap_filter",
			    "the subscriber sets the filters through PCP; detnatctl portmap del ends the lease",
			    "a portmap leads %s %s:%u to %s:%u: only packets from %s are let in, without a session",
			    word_text(proto_words, proto), out, m->out.port, in, m->in.port,
			    filters_text(&m->filters, filters));
	else
		explain_add(list, false, "portmap", "",
			    "a portmap leads %s %s:%u to %s:%u: anyone is let in, without a session",
			    word_text(proto_words, proto), out, m->out.port, in, m->in.port);
	return true;
}

/* The reason why the subscriber gets no further lease. */
static void add_leases(const struct explanation *e, cJSON *list)
{
	const struct config_pcp *pcp = &e->context->active->config->pcp;
	const struct portmaps *p = e->context->portmaps;
	struct pcp_figures f;
	unsigned n = 0;

	if (!pcp->enabled || !e->context->pcp || !p || !e->subscriber)
		return;
	for (const struct portmap *m = portmaps_of(p, explain_place(e), NULL); m;
	     m = portmaps_of(p, explain_place(e), m))
		n += m->origin == PORTMAP_PCP;
	pcp_figures(e->context->pcp, &f);
	if (n >= pcp->max_per_subscriber)
		explain_add(list, false, "pcp",
			    "max_per_subscriber in pcp is the limit; detnatctl portmap del ends a lease",
			    "the subscriber has %u leases of PCP, as many as it may have: further ones are refused", n);
	else if (f.leases >= (n < f.assured ? f.limit : f.common))
		explain_add(
			list, false, "pcp",
			"detnatctl portmap list --origin pcp shows them; max_leases in pcp is the limit",
			"the subscriber has %u leases of PCP and gets no further one: all have %zu of %u, and each is "
			"assured %u",
			n, f.leases, f.limit, f.assured);
}

bool explain_add_reachable(const struct explanation *e, cJSON *list)
{
	struct bound all = { .e = e };
	bool reached = false;

	add_leases(e, list);
	for (unsigned i = 0; e->with_port && i < MATCHES; i++)
		reached |= add_portmap(e, list, protocols[i]);
	if (!e->mapping->bindings.mapping)
		return reached;
	read_bindings(&all);
	for (unsigned i = 0; i < MATCHES; i++) {
		if (all.matches[i])
			reached |= add_binding(e, list, &all.match[i]);
		add_full(e, list, i, all.n[i]);
	}
	add_inbound(e, list);
	return reached;
}
