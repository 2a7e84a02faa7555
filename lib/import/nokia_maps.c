// SPDX-License-Identifier: BSD-2-Clause
/* Nokia SR OS: the maps that are in force, by the pools that they lead to. */
#include <string.h>

#include <detnat/growth.h>

#include "base/text.h"
#include "import/format_nokia.h"

/* The least that a policy with this pool says; 0: none says anything. */
static uint32_t block_limit_of(const struct nokia_plan *k, const struct nokia_pool *pool)
{
	uint32_t least = 0;

	for (size_t i = 0; i < k->n_policies; i++) {
		const struct nokia_policy *p = &k->policy[i];

		if (!strcmp(p->pool, pool->name) && p->block_limit && (!least || p->block_limit < least))
			least = p->block_limit;
	}
	return least;
}

/* Blocks on demand: `growth` is the same, if the size and the number of blocks are told, and nothing else needs the
 * ports. */
static void take_extension(struct nokia_plan *k, const struct nokia_pool *p)
{
	uint32_t limit = block_limit_of(k, p);
	struct import_growth *more = NULL;

	if (p->extends_by < GROWTH_MIN_BLOCK || p->extends_by > GROWTH_MAX_BLOCK || limit < 2 ||
	    limit - 1 > GROWTH_MAX_BLOCKS || p->forwarded != NOKIA_WELL_KNOWN) {
		import_note(k->m, IMPORT_EXTENSION, p->extends_line,
			    "pool %s: blocks on demand beside the subscriber's own: not kept%s", p->name,
			    p->forwarded != NOKIA_WELL_KNOWN ? ", as growth would take its ports for forwarding" : "");
		return;
	}
	for (size_t i = 0; i < p->range.n; i++) {
		more = realloc(k->m->growth, (k->m->n_growths + 1) * sizeof(*more));
		if (!more) {
			import_fail(k->m, "out of memory");
			return;
		}
		k->m->growth = more;
		k->m->growth[k->m->n_growths++] = (struct import_growth){ p->range.range[i], p->extends_by, limit - 1 };
	}
	import_note(k->m, IMPORT_TAKEN, p->extends_line,
		    "pool %s: up to %u blocks of %u ports on demand: taken as growth", p->name, limit - 1,
		    p->extends_by);
}

static const struct nokia_pool *pool_with(const struct nokia_plan *k, uint32_t addr)
{
	for (size_t i = 0; i < k->n_pools; i++)
		for (size_t j = 0; j < k->pool[i].range.n; j++)
			if (import_range_has(k->pool[i].range.range[j], addr))
				return &k->pool[i];
	return NULL;
}

/* A map of a prefix or to a pool that is turned off translates nothing. */
static bool in_force(const struct nokia_plan *k, const struct nokia_map *map)
{
	const struct nokia_pool *p = map->complete ? pool_with(k, map->out) : NULL;
	const struct nokia_prefix *prefix = map->prefix < k->n_prefixes ? &k->prefix[map->prefix] : NULL;
	char from[IMPORT_RANGE_TEXT];

	if (prefix && prefix->disabled)
		import_note(k->m, IMPORT_DISABLED, prefix->disabled,
			    "the prefix of the map of %s is turned off: not taken", import_range_format(map->in, from));
	else if (p && p->disabled)
		import_note(k->m, IMPORT_DISABLED, p->disabled,
			    "pool %s is turned off: the map of %s to it is not taken", QUOTED(p->name),
			    import_range_format(map->in, from));
	return !(prefix && prefix->disabled) && !(p && p->disabled);
}

static int expand(struct nokia_plan *k, const struct nokia_map *map, struct error *err)
{
	const struct nokia_pool *p = map->complete ? pool_with(k, map->out) : NULL;
	uint64_t n = import_range_size(map->in), outs;
	char addr[ADDR_TEXT];

	if (!map->complete)
		return import_fault(k->m, map->line, err, "the map has no first outside address; is the file whole?");
	addr_format(map->out, addr);
	if (!p)
		return import_fault(k->m, map->line, err, "no pool has the address-range of %s; is the file whole?",
				    addr);
	if (!p->ratio || !p->ports)
		return import_fault(k->m, p->line, err,
				    "pool %s lacks subscriber-limit or deterministic port-reservation", p->name);
	if (p->forwarded + 1ULL + (uint64_t)p->ratio * p->ports > 65536)
		return import_fault(k->m, p->line, err, "pool %s: %u blocks of %u ports from %u end above 65535",
				    QUOTED(p->name), p->ratio, p->ports, p->forwarded + 1);
	outs = (n + p->ratio - 1) / p->ratio;
	if (n > IMPORT_MAX_ROWS || map->out + outs - 1 > UINT32_MAX ||
	    pool_with(k, (uint32_t)(map->out + outs - 1)) != p)
		return import_fault(k->m, map->line, err,
				    "the map needs %llu outside addresses from %s: pool %s ends before",
				    (unsigned long long)outs, addr, p->name);
	import_by_address(
		k->m, &(struct import_formula){
			      .in = &(struct import_ranges){ (struct import_range[]){ map->in }, 1, 0 },
			      .out = &(struct import_ranges){ (struct import_range[]){
								      { map->out, (uint32_t)(map->out + outs - 1) } },
							      1, 0 },
			      .ratio = p->ratio,
			      .first_port = p->forwarded + 1,
			      .ports = p->ports,
			      .pitch = p->ports,
			      .protos = IMPORT_ALL,
			      .line = map->line });
	return 0;
}

int nokia_expand(struct nokia_plan *k, struct error *err)
{
	bool services = false;
	size_t first = SIZE_MAX;
	int r = 0;

	for (size_t i = 0; i < k->n_maps && !r && !k->m->failed; i++) {
		if (!in_force(k, &k->map[i]))
			continue;
		first = first < i ? first : i;
		if (strcmp(k->map[i].service, k->map[first].service) != 0 && !services) {
			import_note(
				k->m, IMPORT_VRF, k->map[i].line,
				"maps of several services (%.30s, %.30s): not kept apart, inside addresses are those "
				"of one network",
				k->map[first].service, k->map[i].service);
			services = true;
		}
		r = expand(k, &k->map[i], err);
	}
	for (size_t i = 0; i < k->n_pools && !r; i++)
		if (k->pool[i].extends && k->pool[i].ports && !k->pool[i].disabled)
			take_extension(k, &k->pool[i]);
	if (!r && first < k->n_maps)
		import_note(
			k->m, IMPORT_ASSUMED, k->map[first].line,
			"blocks of an address ascend with inside addresses: the documents imply it; compare a table");
	return r;
}
