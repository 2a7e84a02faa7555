// SPDX-License-Identifier: BSD-2-Clause
/*
 * Compares configurations, whatever the order of their lists. Only the order of `spare` matters: `pool drain` takes the
 * first that fits.
 */
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "config/port_pairs.h"

static int by_number(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

static int by_endpoint(struct endpoint a, struct endpoint b)
{
	return a.addr != b.addr ? by_number(a.addr, b.addr) : by_number(a.port, b.port);
}

static int by_span(struct port_span a, struct port_span b)
{
	if (a.addr != b.addr)
		return by_number(a.addr, b.addr);
	return a.first != b.first ? by_number(a.first, b.first) : by_number(a.last, b.last);
}

static int compare_prefixes(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;

	if (x->base != y->base)
		return by_number(x->base, y->base);
	return x->plen != y->plen ? by_number(x->plen, y->plen) : by_number(x->last, y->last);
}

static int compare_mappings(const void *a, const void *b)
{
	const struct config_mapping *x = a, *y = b;
	int order = compare_prefixes(&x->in, &y->in);

	return order ? order : strcmp(x->tenant, y->tenant);
}

static int compare_portmaps(const void *a, const void *b)
{
	const struct config_portmap *x = a, *y = b;
	int order = by_span(x->in, y->in);

	if (!order)
		order = by_number(x->protos, y->protos);
	if (!order)
		order = by_span(x->out, y->out);
	return order ? order : strcmp(x->tenant, y->tenant);
}

static int compare_interfaces(const void *a, const void *b)
{
	const struct config_interface *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int compare_collectors(const void *a, const void *b)
{
	const struct collector_endpoint *x = a, *y = b;
	int order = by_endpoint(x->at, y->at);

	return order ? order : by_number(x->transport, y->transport);
}

static int compare_endpoints(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;

	return by_endpoint(*x, *y);
}

static int compare_addresses(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return by_number(*x, *y);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void sort(void *list, size_t n, size_t size, int (*compare)(const void *a, const void *b))
{
	if (n > 1)
		qsort(list, n, size, compare);
}

#define SORT(list, n, compare) sort(list, n, sizeof(*(list)), compare)

/* The text of a configuration with all lists sorted; NULL: out of memory. */
static char *ordered(const struct config *c)
{
	_cleanup_config_ struct config *o = config_clone(c);

	if (!o || config_own_portmaps(o))
		return NULL;
	SORT(o->interfaces, o->n_interfaces, compare_interfaces);
	SORT(o->mappings, o->n_mappings, compare_mappings);
	config_mappings_changed(o);
	SORT(o->portmaps, o->n_portmaps, compare_portmaps);
	SORT(o->bypass, o->n_bypass, compare_prefixes);
	SORT(o->ipfix.collectors, o->ipfix.n_collectors, compare_collectors);
	SORT(o->pcp.listen, o->pcp.n_listen, compare_addresses);
	SORT(o->pcp.mappings, o->pcp.n_mappings, compare_names);
	SORT(o->pcp.third_party, o->pcp.n_third_party, compare_prefixes);
	SORT(o->replication.peers, o->replication.n_peers, compare_endpoints);
	SORT(o->replication.mappings, o->replication.n_mappings, compare_names);
	return config_to_json(o);
}

int config_same(const struct config *a, const struct config *b)
{
	_cleanup_free_ char *x = ordered(a), *y = ordered(b);

	return x && y ? !strcmp(x, y) : -ENOMEM;
}
