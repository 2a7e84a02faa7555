// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nokia SR OS: maps of deterministic NAT, in the classic CLI, and in MD-CLI, flat, with the whole context in each line,
 * or in braces. R is the pool's subscriber-limit, P its deterministic port-reservation, F the port after its
 * port-forwarding-range; a map with more than R addresses goes on with the next outside address.
 *
 * Words are taken in their order, with the pool and the map that they are about: so all forms are read alike. What is
 * turned off is known by its place: one level below the object, which is a word of the same line or a deeper indent.
 */
#include <string.h>

#include "base/text.h"
#include "import/format_nokia.h"
#include "import/import_formats.h"
#include "import/import_forward.h"

enum where { ANYWHERE, OUTSIDE, INSIDE, POLICY, ELSEWHERE };

/* What can be turned off: the object that the lines below are about. */
struct object {
	uint32_t *disabled; /* NULL: none; valid until the next object is made */
	size_t indent;	    /* of its line */
	size_t below;	    /* of the first line in it; 0: none was read */
	unsigned next;	    /* the word behind its name, in its own line */
};

struct nokia {
	struct nokia_plan plan;
	struct import *m;
	struct import_lines *l;
	size_t at; /* the pool that is read; n_pools: none */
	enum where where;
	size_t policy;	  /* that is read; n_policies: none */
	bool policy_pool; /* its pool is to be named */
	size_t prefix;	  /* that is read; SIZE_MAX: none */
	bool reserves;	  /* "port-reservation", whose value is in the next line */
	struct object object;
	char service[64]; /* vprn */
	uint32_t alg_line;
};

static const char *word_at(const struct nokia *k, unsigned i)
{
	return i < k->l->n_words ? k->l->word[i] : "";
}

static int fault(const struct nokia *k, const char *key, const char *value, struct error *err)
{
	return import_fault(k->m, k->l->line, err, "%s %s is not understood", key, QUOTED(value));
}

/* Room for one more element; NULL: out of memory. */
static void *more(struct nokia *k, void *list, size_t n, size_t size)
{
	void *larger = realloc(list, (n + 1) * size);

	if (!larger)
		import_fail(k->m, "out of memory");
	return larger;
}

static size_t indent_of(const char *line)
{
	return strspn(line, " \t");
}

static void begin_object(struct nokia *k, uint32_t *disabled, unsigned next)
{
	k->object = (struct object){ disabled, indent_of(k->l->buffer), 0, next };
}

static void take_pool(struct nokia *k, unsigned name)
{
	struct nokia_pool *p = NULL;

	for (k->at = 0; k->at < k->plan.n_pools; k->at++)
		if (!strcmp(k->plan.pool[k->at].name, word_at(k, name)))
			break;
	if (k->at == k->plan.n_pools) {
		p = more(k, k->plan.pool, k->plan.n_pools, sizeof(*p));
		if (!p)
			return;
		k->plan.pool = p;
		p += k->plan.n_pools++;
		*p = (struct nokia_pool){ .line = k->l->line, .forwarded = NOKIA_WELL_KNOWN };
		snprintf(p->name, sizeof(p->name), "%.63s", word_at(k, name));
	}
	k->reserves = false;
	begin_object(k, &k->plan.pool[k->at].disabled, name + 1);
}

/* "prefix P subscriber-type … nat-policy N" and "prefix-map P nat-policy N"; the word of the prefix. */
static void take_prefix(struct nokia *k, unsigned at)
{
	const char *policy = "";
	struct nokia_prefix *p;
	unsigned next = at + 1;
	char name[64];

	for (unsigned i = at + 1; i + 1 < k->l->n_words; i++) {
		if (strcmp(word_at(k, i), "nat-policy") != 0)
			continue;
		policy = word_at(k, i + 1);
		next = i + 2;
		break;
	}
	snprintf(name, sizeof(name), "%.20s %.20s %.20s", k->service, word_at(k, at), policy);
	for (k->prefix = 0; k->prefix < k->plan.n_prefixes; k->prefix++)
		if (!strcmp(k->plan.prefix[k->prefix].name, name))
			break;
	if (k->prefix == k->plan.n_prefixes) {
		p = more(k, k->plan.prefix, k->plan.n_prefixes, sizeof(*p));
		if (!p)
			return;
		k->plan.prefix = p;
		p += k->plan.n_prefixes++;
		*p = (struct nokia_prefix){ 0 };
		memcpy(p->name, name, sizeof(p->name));
	}
	k->where = INSIDE;
	begin_object(k, &k->plan.prefix[k->prefix].disabled, next);
}

/* A map is one by its inside addresses: lines with the whole context name it again and again. */
static struct nokia_map *map_of(struct nokia *k, struct import_range in)
{
	struct nokia_map *map = k->plan.map;

	for (size_t i = k->plan.n_maps; i--;)
		if (map[i].in.first == in.first && map[i].in.last == in.last && map[i].prefix == k->prefix &&
		    !strcmp(map[i].service, k->service))
			return &map[i];
	map = more(k, k->plan.map, k->plan.n_maps, sizeof(*map));
	if (!map)
		return NULL;
	k->plan.map = map;
	map += k->plan.n_maps++;
	*map = (struct nokia_map){ .line = k->l->line, .in = in, .prefix = k->prefix };
	snprintf(map->service, sizeof(map->service), "%s", k->service);
	return map;
}

static int lead(struct nokia *k, struct nokia_map *map, const char *key, const char *value, struct error *err)
{
	uint32_t out;

	if (addr_parse(value, &out))
		return fault(k, key, value, err);
	if (map->complete && map->out != out)
		return import_fault(k->m, k->l->line, err, "the map of line %u has another first outside address",
				    map->line);
	map->out = out;
	map->complete = true;
	return 0;
}

/*
 * "map start A end B to C", "map A to B [first-outside-address C]" and, with the keys named, "map range-start A
 * range-end B"; *at is the word after map, then after what was read. In braces, and with the whole context in each
 * line, the outside address comes later.
 */
static int take_map(struct nokia *k, unsigned *at, struct nokia_map **ret, struct error *err)
{
	bool classic = !strcmp(word_at(k, *at), "start"), named = !strcmp(word_at(k, *at), "range-start");
	const char *first = word_at(k, *at + (classic || named)), *last = word_at(k, *at + 2 + (classic || named));
	struct import_range in;

	if (addr_parse(first, &in.first) || addr_parse(last, &in.last) || in.last < in.first)
		return fault(k, "map", first, err);
	*ret = map_of(k, in);
	if (named && strcmp(word_at(k, *at + 2), "range-end") != 0)
		return fault(k, "range-end", word_at(k, *at + 2), err);
	*at += 3 + (classic || named);
	if (!*ret || !classic)
		return 0;
	*at += 2;
	return strcmp(word_at(k, *at - 2), "to") != 0 ? fault(k, "to", word_at(k, *at - 1), err)
						      : lead(k, *ret, "to", word_at(k, *at - 1), err);
}

/* "address-range A B", "address-range A end B" */
static int take_addresses(struct nokia *k, struct nokia_pool *p, unsigned at, struct error *err)
{
	const char *last = word_at(k, at + 1);
	struct import_range r;

	if (!strcmp(last, "end"))
		last = word_at(k, at + 2);
	if (addr_parse(word_at(k, at), &r.first) || addr_parse(last, &r.last) || r.last < r.first)
		return fault(k, "address-range", word_at(k, at), err);
	for (size_t i = 0; i < p->range.n; i++)
		if (p->range.range[i].first == r.first && p->range.range[i].last == r.last)
			return 0;
	import_ranges_add(k->m, &p->range, r);
	return 0;
}

/* The value of port-reservation: ports of the subscriber's own block, or "ports N" and "blocks N" on demand. */
static int take_reservation(struct nokia *k, struct nokia_pool *p, unsigned at, struct error *err)
{
	const char *value = word_at(k, at);

	if (strcmp(value, "ports") != 0 && strcmp(value, "blocks") != 0)
		return import_number(value, 65535, &p->ports) ? fault(k, "port-reservation", value, err) : 0;
	k->reserves = false;
	p->extends = true;
	p->extends_line = k->l->line;
	if (!strcmp(value, "ports") && import_number(word_at(k, at + 1), 65535, &p->extends_by))
		return fault(k, "port-reservation", word_at(k, at + 1), err);
	return 0;
}

/* A word of a pool, and its value. */
static int take_pool_word(struct nokia *k, struct nokia_pool *p, unsigned at, struct error *err)
{
	const char *key = word_at(k, at), *value = word_at(k, at + 1);

	if (!strcmp(key, "subscriber-limit"))
		return import_number(value, 64512, &p->ratio) ? fault(k, key, value, err) : 0;
	if (!strcmp(key, "port-forwarding-range"))
		return import_number(value, 65535, &p->forwarded) ? fault(k, key, value, err) : 0;
	if (!strcmp(key, "address-range"))
		return take_addresses(k, p, at + 1, err);
	if (!strcmp(key, "port-reservation")) {
		k->reserves = !*value;
		return *value ? take_reservation(k, p, at + 1, err) : 0;
	}
	if (k->reserves && (!strcmp(key, "ports") || !strcmp(key, "blocks")))
		return take_reservation(k, p, at, err);
	return 0;
}

static void take_policy(struct nokia *k, const char *name)
{
	struct nokia_policy *p;

	k->where = POLICY;
	k->policy_pool = false;
	for (k->policy = 0; k->policy < k->plan.n_policies; k->policy++)
		if (!strcmp(k->plan.policy[k->policy].name, name))
			return;
	p = more(k, k->plan.policy, k->plan.n_policies, sizeof(*p));
	if (!p)
		return;
	k->plan.policy = p;
	p += k->plan.n_policies++;
	*p = (struct nokia_policy){ 0 };
	snprintf(p->name, sizeof(p->name), "%.63s", name);
}

/* The pool of a policy, "pool P router R" or "pool router-instance R name P", and what a subscriber may have there. */
static int take_policy_word(struct nokia *k, unsigned *at, struct error *err)
{
	const char *key = word_at(k, *at), *value = word_at(k, *at + 1);
	struct nokia_policy *p;

	if (k->policy >= k->plan.n_policies)
		return 0;
	p = &k->plan.policy[k->policy];
	if (!strcmp(key, "pool")) {
		k->policy_pool = !*value || !strcmp(value, "router-instance") || !strcmp(value, "name");
		if (!k->policy_pool)
			snprintf(p->pool, sizeof(p->pool), "%.63s", value);
		*at += !k->policy_pool;
	} else if (!strcmp(key, "name") && k->policy_pool) {
		snprintf(p->pool, sizeof(p->pool), "%.63s", value);
		++*at;
	} else if (!strcmp(key, "block-limit")) {
		++*at;
		return import_number(value, 65535, &p->block_limit) ? fault(k, key, value, err) : 0;
	} else if (!strcmp(key, "tcp-mss-adjust")) {
		++*at;
		import_mss_take(k->m, value, k->l->line);
	} else if (!strcmp(key, "alg")) {
		k->alg_line = k->alg_line ? k->alg_line : k->l->line;
	}
	return 0;
}

/* "shutdown", "admin-state disable", and what undoes them, directly below the object. */
static void take_state(struct nokia *k, unsigned at)
{
	bool off = !strcmp(word_at(k, at), "shutdown") || !strcmp(word_at(k, at + 1), "disable");
	bool on = at && !strcmp(word_at(k, at - 1), "no");
	unsigned first = on ? at - 1 : at;

	if (!k->object.disabled)
		return;
	if (first == k->object.next || (!first && k->object.below && indent_of(k->l->buffer) == k->object.below))
		*k->object.disabled = off && !on ? k->l->line : 0;
}

/* A word that says where the next ones are. */
static bool take_place(struct nokia *k, const char *word)
{
	static const char *const others[] = {
		"dhcp-server",		"dhcp",		  "dhcpv4", "interface", "local-dhcp-server",
		"subscriber-interface", "subscriber-mgmt"
	};

	if (!strcmp(word, "outside") || !strcmp(word, "inside")) {
		k->where = *word == 'o' ? OUTSIDE : INSIDE;
		k->at = k->plan.n_pools;
		k->object.disabled = NULL;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (strcmp(word, others[i]) != 0)
			continue;
		k->where = ELSEWHERE;
		k->at = k->plan.n_pools;
		k->object.disabled = NULL;
		return true;
	}
	return false;
}

/* A line with the whole context begins anew; another may end the object, by its indent. */
static void begin_line(struct nokia *k)
{
	size_t indent = indent_of(k->l->buffer);

	if (*word_at(k, 0) == '/' || !strcmp(word_at(k, 0), "configure")) {
		k->where = ANYWHERE;
		k->at = k->plan.n_pools;
		k->prefix = SIZE_MAX;
		k->object.disabled = NULL;
	} else if (k->object.disabled && indent <= k->object.indent) {
		k->object.disabled = NULL;
	} else if (!k->object.below) {
		k->object.below = indent;
	}
	k->object.next = UINT32_MAX;
}

static int take_line(struct nokia *k, struct error *err)
{
	struct nokia_map *map = NULL;
	int r = 0;

	begin_line(k);
	for (unsigned i = 0; i < k->l->n_words && !r && !k->m->failed; i++) {
		const char *word = k->l->word[i];

		if (!strcmp(word, "vprn")) {
			snprintf(k->service, sizeof(k->service), "%.63s", word_at(k, ++i));
			k->prefix = SIZE_MAX;
		} else if (!strcmp(word, "shutdown") || !strcmp(word, "admin-state")) {
			take_state(k, i);
		} else if (take_place(k, word)) {
			continue;
		} else if (!strcmp(word, "prefix-map") || (!strcmp(word, "prefix") && strchr(word_at(k, i + 1), '/'))) {
			take_prefix(k, ++i);
		} else if (!strcmp(word, "nat-policy") && k->where == INSIDE) {
			i++;
		} else if (!strcmp(word, "nat-policy")) {
			take_policy(k, word_at(k, ++i));
		} else if (k->where == POLICY) {
			r = take_policy_word(k, &i, err);
		} else if (!strcmp(word, "pool") && k->where != ELSEWHERE) {
			take_pool(k, ++i);
		} else if (!strcmp(word, "map") && *word_at(k, i + 1) && k->where != ELSEWHERE) {
			unsigned at = i + 1;

			r = take_map(k, &at, &map, err);
			i = at - 1;
		} else if ((!strcmp(word, "range-start") || !strcmp(word, "range-end")) && k->where != ELSEWHERE) {
			/* Of a map whose keys stand on lines of their own: it would be left out. */
			r = import_fault(k->m, k->l->line, err,
					 "%s %s on a line of its own: write map A to B, as `info` shows it", word,
					 QUOTED(word_at(k, i + 1)));
		} else if (!strcmp(word, "first-outside-address")) {
			map = map ? map : k->plan.n_maps ? &k->plan.map[k->plan.n_maps - 1] : NULL;
			i++;
			r = map ? lead(k, map, word, word_at(k, i), err) : fault(k, word, word_at(k, i), err);
		} else if (k->at < k->plan.n_pools) {
			r = take_pool_word(k, &k->plan.pool[k->at], i, err);
		}
	}
	return r;
}

int import_read_nokia(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct nokia k = { .plan = { .m = m }, .m = m, .l = l, .prefix = SIZE_MAX };
	int r = 0;

	if (!l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !m->failed && import_lines_next(l)) {
		import_lines_words(l, "{}", '#');
		if (l->n_words)
			r = take_line(&k, err);
	}
	r = r ? r : nokia_expand(&k.plan, err);
	if (!r && k.alg_line)
		import_note(m, IMPORT_ALG, k.alg_line, "application-level gateways: not kept, there are none here");
	for (size_t i = 0; i < k.plan.n_pools; i++)
		import_ranges_free(&k.plan.pool[i].range);
	free(k.plan.policy);
	free(k.plan.pool);
	free(k.plan.prefix);
	free(k.plan.map);
	import_lines_end(l);
	return r;
}
