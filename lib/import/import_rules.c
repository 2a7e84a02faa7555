// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_rules.h"

#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_roles.h"
#include "import/import_unreached.h"

#define MAX_DEPTH 32U

struct walk {
	struct import_rules *rules;
	struct import *m;
	uint32_t proto;
	bool too_deep;
};

static uint64_t hash_name(const char *name)
{
	uint64_t h = 14695981039346656037ULL;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211ULL;
	return HASH_OF(h);
}

uint32_t import_chain(struct import_rules *rules, const char *name)
{
	char text[sizeof(rules->chain->name)];
	struct import_chain *chain;
	uint64_t hash;
	uint32_t number;

	snprintf(text, sizeof(text), "%s", name);
	hash = hash_name(text);
	for (uint32_t step = 0; hash_index_next(&rules->names, hash, &step, &number);)
		if (!strcmp(rules->chain[number].name, text))
			return number;
	chain = rules->chain;
	if (!(rules->n_chains & (rules->n_chains - 1)))
		chain = realloc(chain, (rules->n_chains ? 2UL * rules->n_chains : 1) * sizeof(*chain));
	if (chain)
		rules->chain = chain;
	if (!chain || hash_index_add(&rules->names, hash, rules->n_chains)) {
		import_fail(rules->m, "out of memory");
		return IMPORT_CHAIN_NONE;
	}
	chain[rules->n_chains] = (struct import_chain){};
	memcpy(chain[rules->n_chains].name, text, sizeof(text));
	return rules->n_chains++;
}

void import_rules_add(struct import_rules *rules, const struct import_rule *r)
{
	if (rules->n == rules->room) {
		size_t room = rules->room ? 2 * rules->room : 256;
		struct import_rule *rule = realloc(rules->rule, room * sizeof(*rule));

		if (!rule) {
			import_fail(rules->m, "out of memory");
			return;
		}
		rules->rule = rule;
		rules->room = room;
	}
	if (r->chain == IMPORT_CHAIN_NONE)
		return;
	rules->rule[rules->n] = *r;
	rules->rule[rules->n].n_via = rules->n_via - r->via;
	rules->rule[rules->n++].n_src = rules->sources.n - r->src;
}

void import_rules_add_each(struct import_rules *rules, const struct import_rule *r, const struct import_set *src,
			   const struct import_set *dst)
{
	size_t n = src && !src->list.n ? 0 : dst ? dst->list.n : 1, n_via = rules->n_via - r->via;

	for (size_t i = 0; i < n && !rules->m->failed; i++) {
		struct import_rule one = *r;

		one.src = rules->sources.n;
		if (dst)
			one.dst = dst->list.range[i];
		for (size_t k = 0; src && k < src->list.n; k++)
			import_ranges_add(rules->m, &rules->sources, src->list.range[k]);
		/* The interfaces are those from its `via` on: each copy needs its own. */
		if (i)
			one.via = rules->n_via;
		for (size_t k = 0; i && k < n_via && !rules->m->failed; k++) {
			struct import_via v = rules->via[r->via + k];

			import_rules_via(rules, &one, rules->interfaces.name[v.name], v.leaves);
		}
		import_rules_add(rules, &one);
	}
}

/* Numbers of the rules, chain by chain. */
static int order_rules(struct import_rules *rules)
{
	uint32_t sum = 0;

	rules->by_chain = calloc(rules->n + 1, sizeof(*rules->by_chain));
	if (!rules->by_chain)
		return -ENOMEM;
	for (size_t i = 0; i < rules->n; i++)
		rules->chain[rules->rule[i].chain].n_rules++;
	for (uint32_t c = 0; c < rules->n_chains; c++) {
		rules->chain[c].first = sum;
		sum += rules->chain[c].n_rules;
		rules->chain[c].n_rules = 0;
	}
	for (size_t i = 0; i < rules->n; i++) {
		struct import_chain *c = &rules->chain[rules->rule[i].chain];

		rules->by_chain[c->first + c->n_rules++] = (uint32_t)i;
	}
	return 0;
}

static void add_all(struct import_set *to, const struct import_set *from)
{
	for (size_t i = 0; i < from->list.n; i++)
		import_set_add(to, from->list.range[i]);
	to->failed |= from->failed;
}

static void remove_all(struct import_set *from, const struct import_set *what)
{
	for (size_t i = 0; i < what->list.n; i++)
		import_set_remove(from, what->list.range[i]);
	from->failed |= what->failed;
}

/* What of a set a rule has. */
static void matched(const struct import_rules *rules, const struct import_rule *r, const struct import_set *s,
		    struct import_set *ret)
{
	if (!r->n_src)
		add_all(ret, s);
	for (size_t i = 0; i < r->n_src; i++)
		import_set_common(s, rules->sources.range[r->src + i], ret);
}

/* One address alone comes to a rule: by its own condition, or by that of the jump that leads to it. */
static bool is_host(const struct import_set *s)
{
	return s->list.n == 1 && import_range_size(s->list.range[0]) == 1;
}

/* Address by address. The source of a netmap is one range, as long as what it is translated to. */
static void add_netmap(struct walk *w, const struct import_rule *r, const struct import_set *s)
{
	struct import_range src =
		r->n_src == 1 ? w->rules->sources.range[r->src] : (struct import_range){ 0, UINT32_MAX };

	for (size_t i = 0; i < s->list.n; i++)
		for (uint64_t in = s->list.range[i].first; in <= s->list.range[i].last && !w->m->failed; in++)
			import_add(w->m, (uint32_t)in, r->to.first + ((uint32_t)in - src.first), r->ported ? r->lo : 1,
				   r->ported ? r->hi : 65535, w->proto, r->line);
}

static void describe(const struct import_set *s, char *text, size_t size)
{
	char one[IMPORT_RANGE_TEXT];

	if (s->list.n == 1 && import_range_size(s->list.range[0]) == 1ULL << 32)
		snprintf(text, size, "all others");
	else
		snprintf(text, size, "%s%s", import_range_format(s->list.range[0], one),
			 s->list.n > 1 ? " and others" : "");
}

/* A rule that decides has a set of sources. */
static void translate(struct walk *w, struct import_rule *r, const struct import_set *s)
{
	bool netmap = r->action == RULE_NETMAP, one = is_host(s);
	uint64_t from = r->n_src == 1 ? import_range_size(w->rules->sources.range[r->src]) : 0;
	char who[IMPORT_RANGE_TEXT + 16], to[IMPORT_RANGE_TEXT];

	describe(s, who, sizeof(who));
	import_range_format(r->to, to);
	if (netmap && from == import_range_size(r->to) && (w->proto & IMPORT_PORTS || r->ported) &&
	    from <= IMPORT_MAX_ROWS) {
		add_netmap(w, r, s);
		return;
	}
	if (r->action == RULE_SNAT && one && r->ported && import_range_size(r->to) == 1) {
		import_add(w->m, s->list.range[0].first, r->to.first, r->lo, r->hi, w->proto, r->line);
		return;
	}
	if (r->action == RULE_SNAT && one && !r->ported && import_range_size(r->to) == 1 && r->protos & IMPORT_PORTS &&
	    w->proto & IMPORT_PORTS) {
		import_add(w->m, s->list.range[0].first, r->to.first, 1, 65535, w->proto, r->line);
		return;
	}
	/* Once for a rule, whatever its protocols, and once for a map. */
	if (r->reached || (r->map && r->map == w->rules->noted_map && !(w->proto & IMPORT_PORTS)))
		return;
	if (r->map && !(w->proto & IMPORT_PORTS)) {
		snprintf(who, sizeof(who), "all in a map");
		snprintf(to, sizeof(to), "its addresses");
		w->rules->noted_map = r->map;
	}
	if (r->action == RULE_MASQUERADE)
		import_note(w->m, IMPORT_DYNAMIC, r->line, "masquerade of %s: not kept, no rule names its address",
			    who);
	else if (w->proto == IMPORT_OTHER)
		import_note(
			w->m, IMPORT_PROTOCOLS, r->line,
			"everything but tcp, udp and icmp of %s leaves by %s there: not kept where several share an "
			"address (GRE, ESP ...)",
			who, to);
	else if (w->proto == IMPORT_ICMP)
		import_note(w->m, IMPORT_ICMP_BLOCK, r->line,
			    "icmp of %s leaves by %s there, with any identifier; here with those of the block", who,
			    to);
	else if (netmap)
		import_note(w->m, IMPORT_DYNAMIC, r->line, "netmap of %s to %s: not kept, ranges of unequal length",
			    who, to);
	else
		import_note(w->m, IMPORT_DYNAMIC, r->line,
			    "%s share%s %s%s: not kept, nothing determines who has which ports", who, one ? "s" : "",
			    to, r->ported ? " and its ports" : "");
}

/* Walks a chain with a set of sources. What is left of it, undecided, stays in the set. */
static void walk_chain(struct walk *w, uint32_t number, struct import_set *s, unsigned depth)
{
	struct import_chain *chain = &w->rules->chain[number];
	struct import_set returned = {};

	if (depth > MAX_DEPTH || chain->walking) {
		w->too_deep = true;
		return;
	}
	chain->walking = true;
	for (uint32_t i = 0; i < chain->n_rules && s->list.n && !s->failed && !w->m->failed; i++) {
		struct import_rule *r = &w->rules->rule[w->rules->by_chain[chain->first + i]];
		struct import_set m = {};

		if (!(r->protos & w->proto) || r->partial || (r->loopback && !r->n_via) || r->outwards ||
		    r->action == RULE_DNAT || r->action == RULE_PASS)
			continue;
		matched(w->rules, r, s, &m);
		if (m.list.n) {
			remove_all(s, &m);
			if (r->action == RULE_JUMP || r->action == RULE_GOTO) {
				walk_chain(w, r->target, &m, depth + 1);
				add_all(r->action == RULE_JUMP ? s : &returned, &m);
			} else if (r->action == RULE_RETURN) {
				add_all(&returned, &m);
			} else if (r->action != RULE_ACCEPT) {
				translate(w, r, &m);
			}
			r->reached = true;
			r->served |= (w->proto & IMPORT_PORTS) != 0;
		}
		s->failed |= m.failed;
		import_ranges_free(&m.list);
	}
	add_all(s, &returned);
	import_ranges_free(&returned.list);
	chain->walking = false;
}

/* Exceptions by destination: towards these nothing is translated. */
static void take_bypass(struct import_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct import_rule *r = &rules->rule[i];
		char dst[IMPORT_RANGE_TEXT];

		if (!r->outwards || r->partial || r->action == RULE_DNAT || r->action == RULE_PASS)
			continue;
		import_range_format(r->dst, dst);
		if (rules->chain[r->chain].base && !r->n_src &&
		    (r->action == RULE_ACCEPT || r->action == RULE_RETURN) && !strchr(dst, '-') &&
		    r->protos == (IMPORT_ALL | IMPORT_OTHER)) {
			import_ranges_add(rules->m, &rules->m->bypass, r->dst);
			import_note(rules->m, IMPORT_TAKEN, r->line, "not translated towards %s: taken as bypass", dst);
		} else {
			import_note(rules->m, IMPORT_EXCEPTION, r->line,
				    "what goes to %s is treated otherwise there: not kept", dst);
		}
	}
}

void import_rules_walk(struct import_rules *rules)
{
	static const uint8_t protos[] = { IMPORT_TCP, IMPORT_UDP, IMPORT_OTHER, IMPORT_ICMP };
	struct walk w = { .rules = rules, .m = rules->m };

	if (rules->m->failed || order_rules(rules)) {
		import_fail(rules->m, "out of memory");
		return;
	}
	for (unsigned p = 0; p < ARRAY_SIZE(protos); p++) {
		w.proto = protos[p];
		for (uint32_t c = 0; c < rules->n_chains; c++) {
			struct import_set all = {};

			if (!rules->chain[c].base)
				continue;
			import_set_add(&all, (struct import_range){ 0, UINT32_MAX });
			walk_chain(&w, c, &all, 0);
			if (all.failed)
				import_fail(rules->m, "out of memory");
			import_ranges_free(&all.list);
		}
	}
	if (w.too_deep)
		import_note(rules->m, IMPORT_UNKNOWN, 0,
			    "chains jump in a circle, or too deep: what is beyond is not taken");
	/* Rows of other protocols are those of whole addresses, which have them anyway. */
	take_bypass(rules);
	import_rules_roles(rules);
	import_rules_unreached(rules);
}

uint8_t import_protocol(const char *word)
{
	static const struct word protocols[] = { { "tcp", IMPORT_TCP },
						 { "6", IMPORT_TCP },
						 { "udp", IMPORT_UDP },
						 { "17", IMPORT_UDP },
						 { "icmp", IMPORT_ICMP },
						 { "1", IMPORT_ICMP },
						 {} };
	uint32_t proto;

	return word_number(protocols, word, &proto) ? IMPORT_OTHER : (uint8_t)proto;
}

void import_rules_free(struct import_rules *rules)
{
	free(rules->rule);
	free(rules->chain);
	free(rules->by_chain);
	hash_index_free(&rules->names);
	import_ranges_free(&rules->sources);
	free(rules->interfaces.name);
	free(rules->via);
}
