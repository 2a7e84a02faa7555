// SPDX-License-Identifier: BSD-2-Clause
/* nftables: rules. */
#include <string.h>

#include "base/text.h"
#include "import/format_nft.h"
#include "import/import_build.h"

static const struct word protocols[] = { { "tcp", IMPORT_TCP },
					 { "6", IMPORT_TCP },
					 { "udp", IMPORT_UDP },
					 { "17", IMPORT_UDP },
					 { "icmp", IMPORT_ICMP },
					 { "1", IMPORT_ICMP },
					 {} };

static const char *value_of(struct nft *r, const char *word)
{
	if (*word != '$')
		return word;
	for (size_t i = r->n_defines; i--;)
		if (!strcmp(r->define[i].name, word + 1))
			return r->define[i].value;
	return word;
}

static void partial(struct nft *r, struct import_rule *rule, const char *what)
{
	if (!rule->partial)
		import_note(r->m, IMPORT_UNKNOWN, rule->line, "%s: not understood, so the rule is not taken",
			    QUOTED(what));
	rule->partial = true;
}

/* "define NAME = VALUE" */
void nft_define(struct nft *r)
{
	struct nft_define *d;

	nft_next(r);
	d = realloc(r->define, (r->n_defines + 1) * sizeof(*d));
	if (!d) {
		import_fail(r->m, "out of memory");
		return;
	}
	r->define = d;
	d += r->n_defines;
	snprintf(d->name, sizeof(d->name), "%.63s", r->t.word);
	nft_next(r);
	if (import_token_is(&r->t, "="))
		nft_next(r);
	if (strlen(r->t.word) < sizeof(d->value) && !nft_ends(r) && !import_token_is(&r->t, "{")) {
		snprintf(d->value, sizeof(d->value), "%.63s", r->t.word);
		r->n_defines++;
	}
	nft_skip(r);
}

/* The word after a key: an address, a prefix, a range, or several between braces, as the rule's sources. */
static void take_sources(struct nft *r, struct import_rule *rule)
{
	struct import_range range;

	if (import_token_is(&r->t, "{")) {
		while (nft_next(r) && !import_token_is(&r->t, "}")) {
			if (import_token_is(&r->t, ",") || import_token_is(&r->t, ";"))
				continue;
			if (import_range_parse(value_of(r, r->t.word), &range))
				partial(r, rule, r->t.word);
			else
				import_ranges_add(r->m, &r->rules.sources, range);
		}
		r->set_end = true;
	} else if (import_range_parse(value_of(r, r->t.word), &range)) {
		partial(r, rule, r->t.word);
	} else {
		import_ranges_add(r->m, &r->rules.sources, range);
	}
}

static void take_protocols(struct nft *r, struct import_rule *rule)
{
	uint32_t proto;

	rule->protos = 0;
	if (!import_token_is(&r->t, "{")) {
		rule->protos = word_number(protocols, r->t.word, &proto) ? IMPORT_OTHER : (uint8_t)proto;
		return;
	}
	while (nft_next(r) && !import_token_is(&r->t, "}"))
		if (!import_token_is(&r->t, ",") && !import_token_is(&r->t, ";"))
			rule->protos |= word_number(protocols, r->t.word, &proto) ? IMPORT_OTHER : (uint8_t)proto;
	r->set_end = true;
}

/* The interfaces by which the rule's packets leave or come. That they do not by one tells nothing of it. */
static void take_names(struct nft *r, struct import_rule *rule, bool leave)
{
	if (import_token_is(&r->t, "!=")) {
		partial(r, rule, "an interface with !=");
		nft_next(r);
		if (import_token_is(&r->t, "{"))
			nft_skip_braces(r);
		return;
	}
	if (!import_token_is(&r->t, "{")) {
		import_rules_via(&r->rules, rule, value_of(r, r->t.word), leave);
		return;
	}
	while (nft_next(r) && !import_token_is(&r->t, "}"))
		if (!import_token_is(&r->t, ","))
			import_rules_via(&r->rules, rule, value_of(r, r->t.word), leave);
	r->set_end = true;
}

/* "ADDRESS", "ADDRESS:PORTS" or "A-B" of a translation. */
static int take_target(const char *text, struct import_rule *rule)
{
	const char *colon = strchr(text, ':');
	char addr[64];
	uint32_t lo, hi;

	if ((colon ? (size_t)(colon - text) : strlen(text)) >= sizeof(addr))
		return -EINVAL;
	snprintf(addr, sizeof(addr), "%.*s", colon ? (int)(colon - text) : 63, text);
	if (import_range_parse(addr, &rule->to) || (colon && import_ports_parse(colon + 1, &lo, &hi)))
		return -EINVAL;
	if (colon) {
		rule->ported = true;
		rule->lo = (uint16_t)lo;
		rule->hi = (uint16_t)hi;
	}
	return 0;
}

/* A rule for each element of a map, with the other conditions of its rule. */
static void add_elements(struct nft *r, const struct import_rule *rule, const struct nft_map *map)
{
	for (size_t i = map->first; i < map->first + map->n && !r->m->failed; i++) {
		const struct nft_element *e = &r->element[i];
		struct import_rule one = *rule;

		one.src = r->rules.sources.n;
		one.line = e->line;
		one.map = rule->line;
		one.action = rule->action == RULE_NETMAP ? RULE_NETMAP : RULE_SNAT;
		one.to = e->to;
		one.ported = e->ported;
		one.lo = e->lo;
		one.hi = e->hi;
		import_ranges_add(r->m, &r->rules.sources, e->from);
		import_rules_add(&r->rules, &one);
	}
}

/* After "snat": "[ip] [prefix] to TARGET", or "... to ip saddr map @NAME" or "map { … }". */
static void take_snat(struct nft *r, struct import_rule *rule, struct nft_map *ret_map)
{
	bool prefix = false;

	rule->action = RULE_SNAT;
	while (import_token_is(&r->t, "ip") || import_token_is(&r->t, "prefix") || import_token_is(&r->t, "addr") ||
	       import_token_is(&r->t, ".") || import_token_is(&r->t, "port") || import_token_is(&r->t, "to") ||
	       import_token_is(&r->t, "interval")) {
		prefix |= import_token_is(&r->t, "prefix");
		nft_next(r);
	}
	if (prefix)
		rule->action = RULE_NETMAP;
	if (import_token_is(&r->t, "saddr")) {
		nft_next(r);
		if (!import_token_is(&r->t, "map")) {
			partial(r, rule, "snat to ip saddr");
			return;
		}
		nft_next(r);
		if (import_token_is(&r->t, "{"))
			nft_elements(r, ret_map);
		else if (r->t.word[0] == '@' && nft_map_find(r, r->t.word + 1))
			*ret_map = *nft_map_find(r, r->t.word + 1);
		if (!ret_map->n)
			partial(r, rule, r->t.word[0] == '@' ? "a map that is not filled above" : "an empty map");
		return;
	}
	if (take_target(value_of(r, r->t.word), rule)) {
		char text[IMPORT_TOKEN + 8];
		const char *colon = r->t.word[0] == '$' ? strchr(r->t.word, ':') : NULL;

		/* "$NAME:1024-4095" */
		if (colon) {
			char name[IMPORT_TOKEN];

			snprintf(name, sizeof(name), "%.*s", (int)(colon - r->t.word), r->t.word);
			snprintf(text, sizeof(text), "%.100s%.100s", value_of(r, name), colon);
			if (!take_target(text, rule))
				return;
		}
		partial(r, rule, r->t.word);
	}
}

/* A key of the kind "ip saddr", and its value. */
static void take_ip(struct nft *r, struct import_rule *rule)
{
	char key[IMPORT_TOKEN];

	nft_next(r);
	snprintf(key, sizeof(key), "%s", r->t.word);
	nft_next(r);
	if (import_token_is(&r->t, "!=") || import_token_is(&r->t, "!")) {
		partial(r, rule, "!=");
		return;
	}
	if (!strcmp(key, "saddr")) {
		take_sources(r, rule);
	} else if (!strcmp(key, "daddr")) {
		rule->outwards = true;
		if (import_range_parse(value_of(r, r->t.word), &rule->dst))
			partial(r, rule, "ip daddr");
	} else if (!strcmp(key, "protocol")) {
		take_protocols(r, rule);
	} else {
		partial(r, rule, key);
	}
	if (import_token_is(&r->t, "{"))
		nft_skip_braces(r);
}

static void take_counter(struct nft *r)
{
	while (nft_next(r) && (import_token_is(&r->t, "packets") || import_token_is(&r->t, "bytes")))
		nft_next(r);
}

/* A word of a rule, and those that belong to it; the next one is then in r->t. */
static void take_word(struct nft *r, struct import_rule *rule, struct nft_map *map)
{
	static const struct word verdicts[] = { { "masquerade", RULE_MASQUERADE }, { "accept", RULE_ACCEPT },
						{ "return", RULE_RETURN },	   { "dnat", RULE_DNAT },
						{ "redirect", RULE_DNAT },	   {} };
	static const char *const harmless[] = { "random", "fully-random", "persistent", "ip" };
	uint32_t action;

	if (import_token_is(&r->t, "counter")) {
		take_counter(r);
		return;
	}
	if (import_token_is(&r->t, "ip")) {
		take_ip(r, rule);
	} else if (import_token_is(&r->t, "meta") || import_token_is(&r->t, "l4proto")) {
		if (import_token_is(&r->t, "meta"))
			nft_next(r);
		if (!import_token_is(&r->t, "l4proto")) {
			partial(r, rule, r->t.word);
			return;
		}
		nft_next(r);
		take_protocols(r, rule);
	} else if (import_token_is(&r->t, "oifname") || import_token_is(&r->t, "oif")) {
		nft_next(r);
		take_names(r, rule, true);
	} else if (import_token_is(&r->t, "iifname") || import_token_is(&r->t, "iif")) {
		nft_next(r);
		take_names(r, rule, false);
	} else if (import_token_is(&r->t, "comment") || import_token_is(&r->t, "handle")) {
		nft_next(r);
	} else if (import_token_is(&r->t, "snat")) {
		nft_next(r);
		take_snat(r, rule, map);
	} else if (import_token_is(&r->t, "jump") || import_token_is(&r->t, "goto")) {
		rule->action = import_token_is(&r->t, "jump") ? RULE_JUMP : RULE_GOTO;
		nft_next(r);
		rule->target = nft_chain(r, r->t.word);
	} else if (!word_number(verdicts, r->t.word, &action)) {
		rule->action = action;
		if (action == RULE_DNAT)
			nft_skip(r);
	} else {
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
			known |= import_token_is(&r->t, harmless[i]);
		if (!known && rule->action != RULE_DNAT)
			partial(r, rule, r->t.word);
	}
	if (!nft_ends(r))
		nft_next(r);
}

/* A rule, whose first word was read. */
void nft_rule(struct nft *r, uint32_t chain)
{
	struct import_rule rule = { .line = r->t.line,
				    .chain = chain,
				    .target = IMPORT_CHAIN_NONE,
				    .action = RULE_PASS,
				    .protos = IMPORT_ALL | IMPORT_OTHER,
				    .src = r->rules.sources.n,
				    .via = r->rules.n_via };
	struct nft_map map = {};
	size_t notes = r->m->n_notes;

	while (!nft_ends(r) && !r->m->failed)
		take_word(r, &rule, &map);
	if (rule.action == RULE_DNAT || rule.action == RULE_PASS)
		import_notes_cut(r->m, notes);
	if (rule.action == RULE_DNAT)
		import_note(r->m, IMPORT_INBOUND, rule.line, "dnat or redirect: not kept (see portmaps)");
	if (map.n && !rule.partial && r->rules.sources.n == rule.src)
		add_elements(r, &rule, &map);
	else if (map.n && !rule.partial)
		import_note(r->m, IMPORT_UNKNOWN, rule.line, "a map with other conditions on the source: not taken");
	else
		import_rules_add(&r->rules, &rule);
}
