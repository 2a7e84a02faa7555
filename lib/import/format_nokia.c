// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nokia SR OS: maps of deterministic NAT, in the classic CLI, and in MD-CLI, flat or in braces. R is the pool's
 * subscriber-limit, P its deterministic port-reservation, F the port after its port-forwarding-range; a map with more
 * than R addresses goes on with the next outside address.
 *
 * Words are taken in their order, with the pool and the map that they are about: so all three forms are read alike.
 */
#include <string.h>

#include <detnat/growth.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"

#define WELL_KNOWN 1023U

struct pool {
	char name[64];
	uint32_t line;
	struct import_ranges range;
	uint32_t ratio;
	uint32_t ports;
	uint32_t forwarded;   /* the last port of the static range */
	bool extends;	      /* has blocks on demand */
	uint32_t extends_by;  /* of so many ports; 0: not told */
	uint32_t block_limit; /* of its policy: a subscriber's blocks, with its own; 0: not told */
	uint32_t extends_line;
};

struct map {
	uint32_t line;
	char service[64];
	struct import_range in;
	uint32_t out;
	bool complete;
};

struct nokia {
	struct import *m;
	struct import_lines *l;
	struct pool *pool;
	size_t n_pools;
	struct map *map;
	size_t n_maps;
	size_t at;	 /* the pool that is read; n_pools: none */
	bool in_policy;	 /* a pool is named there, not described */
	char policy[64]; /* the policy that is read */
	struct policy {
		char name[64], pool[64];
		uint32_t block_limit;
	} * policies;
	size_t n_policies;
	char service[64]; /* vprn */
};

static void take_pool(struct nokia *k, const char *name)
{
	struct pool *p;

	for (k->at = 0; k->at < k->n_pools; k->at++)
		if (!strcmp(k->pool[k->at].name, name))
			return;
	p = realloc(k->pool, (k->n_pools + 1) * sizeof(*p));
	if (!p) {
		import_fail(k->m, "out of memory");
		return;
	}
	k->pool = p;
	p += k->n_pools++;
	*p = (struct pool){ .line = k->l->line, .forwarded = WELL_KNOWN };
	snprintf(p->name, sizeof(p->name), "%.63s", name);
}

static struct map *new_map(struct nokia *k)
{
	struct map *map = realloc(k->map, (k->n_maps + 1) * sizeof(*map));

	if (!map) {
		import_fail(k->m, "out of memory");
		return NULL;
	}
	k->map = map;
	map += k->n_maps++;
	*map = (struct map){ .line = k->l->line };
	snprintf(map->service, sizeof(map->service), "%s", k->service);
	return map;
}

static const char *word_at(const struct nokia *k, unsigned i)
{
	return i < k->l->n_words ? k->l->word[i] : "";
}

static int fault(const struct nokia *k, const char *key, const char *value, struct error *err)
{
	return import_fault(k->m, k->l->line, err, "%s %s is not understood", key, QUOTED(value));
}

/* "map start A end B to C" and "map A to B [first-outside-address C]"; *at is the word after map, then after it. */
static int take_map(struct nokia *k, unsigned *at, struct error *err)
{
	bool classic = !strcmp(word_at(k, *at), "start");
	const char *first = word_at(k, *at + classic), *last = word_at(k, *at + 2 + classic);
	struct map *map = new_map(k);

	if (!map)
		return 0;
	if (addr_parse(first, &map->in.first) || addr_parse(last, &map->in.last) || map->in.last < map->in.first)
		return fault(k, "map", first, err);
	*at += 3 + classic;
	if (!classic)
		return 0;
	if (strcmp(word_at(k, *at), "to") != 0 || addr_parse(word_at(k, *at + 1), &map->out))
		return fault(k, "to", word_at(k, *at + 1), err);
	map->complete = true;
	*at += 2;
	return 0;
}

static int take_first_outside(struct nokia *k, const char *value, struct error *err)
{
	struct map *map = k->n_maps ? &k->map[k->n_maps - 1] : NULL;

	if (!map || map->complete || addr_parse(value, &map->out))
		return fault(k, "first-outside-address", value, err);
	map->complete = true;
	return 0;
}

/* "address-range A B", "address-range A end B" */
static int take_addresses(struct nokia *k, struct pool *p, unsigned at, struct error *err)
{
	const char *last = word_at(k, at + 1);
	struct import_range r;

	if (!strcmp(last, "end"))
		last = word_at(k, at + 2);
	if (addr_parse(word_at(k, at), &r.first) || addr_parse(last, &r.last) || r.last < r.first)
		return fault(k, "address-range", word_at(k, at), err);
	import_ranges_add(k->m, &p->range, r);
	return 0;
}

/* A word of a pool, and its value. */
static int take_pool_word(struct nokia *k, struct pool *p, unsigned at, struct error *err)
{
	const char *key = word_at(k, at), *value = word_at(k, at + 1);

	if (!strcmp(key, "subscriber-limit"))
		return import_number(value, 64512, &p->ratio) ? fault(k, key, value, err) : 0;
	if (!strcmp(key, "port-forwarding-range"))
		return import_number(value, 65535, &p->forwarded) ? fault(k, key, value, err) : 0;
	if (!strcmp(key, "address-range"))
		return take_addresses(k, p, at + 1, err);
	if (strcmp(key, "port-reservation") != 0)
		return 0;
	if (!strcmp(value, "ports") || !strcmp(value, "blocks")) {
		p->extends = true;
		p->extends_line = k->l->line;
		if (!strcmp(value, "ports") && import_number(word_at(k, at + 2), 65535, &p->extends_by))
			return fault(k, key, word_at(k, at + 2), err);
		return 0;
	}
	return import_number(value, 65535, &p->ports) ? fault(k, key, value, err) : 0;
}

static void take_policy(struct nokia *k, const char *name)
{
	struct policy *p;

	snprintf(k->policy, sizeof(k->policy), "%.63s", name);
	for (size_t i = 0; i < k->n_policies; i++)
		if (!strcmp(k->policies[i].name, k->policy))
			return;
	p = realloc(k->policies, (k->n_policies + 1) * sizeof(*p));
	if (!p) {
		import_fail(k->m, "out of memory");
		return;
	}
	k->policies = p;
	p += k->n_policies++;
	*p = (struct policy){ 0 };
	memcpy(p->name, k->policy, sizeof(p->name));
}

/* The pool of a policy, and how many blocks a subscriber may have there. */
static int take_policy_word(struct nokia *k, const char *key, const char *value, struct error *err)
{
	for (size_t i = 0; i < k->n_policies; i++) {
		struct policy *p = &k->policies[i];

		if (strcmp(p->name, k->policy) != 0)
			continue;
		if (!strcmp(key, "pool"))
			snprintf(p->pool, sizeof(p->pool), "%.63s", value);
		else if (import_number(value, 65535, &p->block_limit))
			return fault(k, key, value, err);
	}
	return 0;
}

/* The least that a policy with this pool says; 0: none says anything. */
static uint32_t block_limit_of(const struct nokia *k, const struct pool *pool)
{
	uint32_t least = 0;

	for (size_t i = 0; i < k->n_policies; i++) {
		const struct policy *p = &k->policies[i];

		if (!strcmp(p->pool, pool->name) && p->block_limit && (!least || p->block_limit < least))
			least = p->block_limit;
	}
	return least;
}

/* Blocks on demand: `growth` is the same, if the size and the number of blocks are told, and nothing else needs the
 * ports. */
static void take_extension(struct nokia *k, const struct pool *p)
{
	uint32_t limit = block_limit_of(k, p);
	struct import_growth *more = NULL;

	if (p->extends_by < GROWTH_MIN_BLOCK || p->extends_by > GROWTH_MAX_BLOCK || limit < 2 ||
	    limit - 1 > GROWTH_MAX_BLOCKS || p->forwarded != WELL_KNOWN) {
		import_note(k->m, IMPORT_EXTENSION, p->extends_line,
			    "pool %s: blocks on demand beside the subscriber's own: not kept%s", p->name,
			    p->forwarded != WELL_KNOWN ? ", as growth would take its ports for forwarding" : "");
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

static int take_line(struct nokia *k, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; i < k->l->n_words && !r && !k->m->failed; i++) {
		const char *word = k->l->word[i];

		if (!strcmp(word, "vprn")) {
			snprintf(k->service, sizeof(k->service), "%.63s", word_at(k, ++i));
		} else if (!strcmp(word, "nat-policy")) {
			k->in_policy = true;
			take_policy(k, word_at(k, ++i));
		} else if (k->in_policy && (!strcmp(word, "pool") || !strcmp(word, "block-limit"))) {
			r = take_policy_word(k, word, word_at(k, i + 1), err);
			i++;
		} else if (!strcmp(word, "outside") || !strcmp(word, "inside")) {
			k->in_policy = false;
			k->at = k->n_pools;
		} else if (!strcmp(word, "pool") && !k->in_policy) {
			take_pool(k, word_at(k, ++i));
		} else if (!strcmp(word, "map")) {
			unsigned at = i + 1;

			r = take_map(k, &at, err);
			i = at - 1;
		} else if (!strcmp(word, "first-outside-address")) {
			r = take_first_outside(k, word_at(k, ++i), err);
		} else if (k->at < k->n_pools) {
			r = take_pool_word(k, &k->pool[k->at], i, err);
		}
	}
	return r;
}

static const struct pool *pool_with(const struct nokia *k, uint32_t addr)
{
	for (size_t i = 0; i < k->n_pools; i++)
		for (size_t j = 0; j < k->pool[i].range.n; j++)
			if (import_range_has(k->pool[i].range.range[j], addr))
				return &k->pool[i];
	return NULL;
}

static int expand(struct nokia *k, const struct map *map, struct error *err)
{
	const struct pool *p = map->complete ? pool_with(k, map->out) : NULL;
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

static int expand_all(struct nokia *k, struct error *err)
{
	bool services = false;
	int r = 0;

	for (size_t i = 0; i < k->n_maps && !r && !k->m->failed; i++) {
		if (strcmp(k->map[i].service, k->map[0].service) != 0 && !services) {
			import_note(
				k->m, IMPORT_VRF, k->map[i].line,
				"maps of several services (%.30s, %.30s): not kept apart, inside addresses are those "
				"of one network",
				k->map[0].service, k->map[i].service);
			services = true;
		}
		r = expand(k, &k->map[i], err);
	}
	for (size_t i = 0; i < k->n_pools && !r; i++)
		if (k->pool[i].extends && k->pool[i].ports)
			take_extension(k, &k->pool[i]);
	if (!r && k->n_maps)
		import_note(
			k->m, IMPORT_ASSUMED, k->map[0].line,
			"blocks of an address ascend with inside addresses: the documents imply it; compare a table");
	return r;
}

int import_read_nokia(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct nokia k = { .m = m, .l = l };
	int r = 0;

	if (!l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !m->failed && import_lines_next(l)) {
		import_lines_words(l, "{}", '#');
		if (l->n_words)
			r = take_line(&k, err);
	}
	r = r ? r : expand_all(&k, err);
	for (size_t i = 0; i < k.n_pools; i++)
		import_ranges_free(&k.pool[i].range);
	free(k.policies);
	free(k.pool);
	free(k.map);
	import_lines_end(l);
	return r;
}
