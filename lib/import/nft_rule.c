// SPDX-License-Identifier: BSD-2-Clause
/* nftables: rules. */
#include <string.h>

#include "base/text.h"
#include "import/format_nft.h"
#include "import/import_build.h"

static void partial(struct nft *r, struct nft_reading *g, const char *what)
{
	if (!g->rule.partial)
		import_note(r->m, IMPORT_UNKNOWN, g->rule.line, "%s: not understood, so the rule is not taken",
			    QUOTED(what));
	g->rule.partial = true;
	g->dnat.other = true;
}

/* Skips what a condition has behind != that is not taken. */
static void skip_value(struct nft *r)
{
	if (import_token_is(&r->t, "{"))
		nft_skip_braces(r);
}

/* Whether the condition is one with "!=", which are two tokens, or "!"; then they are read. */
static bool take_not(struct nft *r)
{
	if (!import_token_is(&r->t, "!"))
		return false;
	nft_next(r);
	if (import_token_is(&r->t, "="))
		nft_next(r);
	return true;
}

/* A map behind "map" or "vmap", inline or by its name. */
static void take_map(struct nft *r, struct nft_reading *g)
{
	bool named = *r->t.word == '@';

	if (import_token_is(&r->t, "{"))
		nft_elements(r, &g->map);
	else if (named && nft_map_find(r, r->t.word + 1))
		g->map = *nft_map_find(r, r->t.word + 1);
	if (!g->map.n)
		partial(r, g, named ? "a map that is not filled above" : "an empty map");
}

/* The word after "ip saddr": what is left of all sources so far. */
static void take_sources(struct nft *r, struct nft_reading *g)
{
	bool negated = take_not(r);
	struct import_set named = {}, left = {};

	if (!nft_set_take(r, &named)) {
		partial(r, g, r->t.word);
		skip_value(r);
		import_ranges_free(&named.list);
		return;
	}
	if (!g->sourced)
		import_set_add(&g->src, (struct import_range){ 0, UINT32_MAX });
	g->sourced = true;
	for (size_t i = 0; i < named.list.n; i++) {
		if (negated)
			import_set_remove(&g->src, named.list.range[i]);
		else
			import_set_common(&g->src, named.list.range[i], &left);
	}
	if (!negated) {
		import_ranges_free(&g->src.list);
		g->src = left;
	}
	import_ranges_free(&named.list);
	g->dnat.other = true;
}

static void take_destinations(struct nft *r, struct nft_reading *g)
{
	bool negated = take_not(r);
	struct import_set but = {};

	g->rule.outwards |= !negated;
	g->but |= negated;
	g->dnat.other |= negated;
	if (!nft_set_take(r, negated ? &but : &g->dst)) {
		partial(r, g, "ip daddr");
		skip_value(r);
	}
	import_ranges_free(&but.list);
	g->dnat.outs++;
	if (g->dst.list.n == 1)
		g->dnat.out = g->dst.list.range[0];
}

static void take_protocols(struct nft *r, struct nft_reading *g)
{
	uint8_t protos = 0;

	if (take_not(r)) {
		partial(r, g, "a protocol with !=");
		skip_value(r);
		return;
	}
	if (import_token_is(&r->t, "{")) {
		while (nft_next(r) && !import_token_is(&r->t, "}"))
			if (!nft_between(r))
				protos |= import_protocol(r->t.word);
		r->set_end = true;
	} else {
		protos = import_protocol(r->t.word);
	}
	g->rule.protos &= protos;
	g->dnat.protos = g->rule.protos;
}

/* The interfaces by which the rule's packets leave or come. That they do not by one tells nothing of it. */
static void take_names(struct nft *r, struct nft_reading *g, bool leave)
{
	if (take_not(r)) {
		g->not_via = true;
		skip_value(r);
		return;
	}
	if (!import_token_is(&r->t, "{")) {
		import_rules_via(&r->rules, &g->rule, nft_value(r, r->t.word), leave);
		return;
	}
	while (nft_next(r) && !import_token_is(&r->t, "}"))
		if (!import_token_is(&r->t, ","))
			import_rules_via(&r->rules, &g->rule, nft_value(r, r->t.word), leave);
	r->set_end = true;
}

/* "ADDRESS", "ADDRESS:PORTS" or "A-B" of a translation, with a definition before the colon or without. */
static int take_target(struct nft *r, const char *word, struct import_range *ret, uint16_t ports[static 2])
{
	const char *colon = strchr(word, ':');
	char addr[IMPORT_TOKEN];
	uint32_t lo = 0, hi = 0;

	snprintf(addr, sizeof(addr), "%.*s", colon ? (int)(colon - word) : 255, word);
	if (import_range_parse(nft_value(r, addr), ret) || (colon && import_ports_parse(colon + 1, &lo, &hi)))
		return -EINVAL;
	ports[0] = (uint16_t)lo;
	ports[1] = (uint16_t)hi;
	return 0;
}

/* After "snat": "[ip] [prefix] to TARGET", or "... to ip saddr map @NAME" or "map { … }". */
static void take_snat(struct nft *r, struct nft_reading *g)
{
	struct import_rule *rule = &g->rule;
	uint16_t ports[2];

	rule->action = RULE_SNAT;
	while (import_token_is(&r->t, "ip") || import_token_is(&r->t, "prefix") || import_token_is(&r->t, "addr") ||
	       import_token_is(&r->t, ".") || import_token_is(&r->t, "port") || import_token_is(&r->t, "to") ||
	       import_token_is(&r->t, "interval")) {
		if (import_token_is(&r->t, "prefix"))
			rule->action = RULE_NETMAP;
		nft_next(r);
	}
	if (import_token_is(&r->t, "saddr")) {
		nft_next(r);
		if (!import_token_is(&r->t, "map")) {
			partial(r, g, "snat to ip saddr");
			return;
		}
		nft_next(r);
		take_map(r, g);
		return;
	}
	if (take_target(r, nft_value(r, r->t.word), &rule->to, ports)) {
		partial(r, g, r->t.word);
		return;
	}
	rule->ported = strchr(r->t.word, ':') || strchr(nft_value(r, r->t.word), ':');
	rule->lo = ports[0];
	rule->hi = ports[1];
}

/* After "dnat": "[ip] to TARGET". */
static void take_dnat(struct nft *r, struct nft_reading *g)
{
	uint16_t ports[2];

	g->rule.action = RULE_DNAT;
	while (import_token_is(&r->t, "ip") || import_token_is(&r->t, "to"))
		nft_next(r);
	if (take_target(r, nft_value(r, r->t.word), &g->dnat.to, ports)) {
		g->dnat.other = true;
	} else {
		g->dnat.tos++;
		g->dnat.to_lo = ports[0];
		g->dnat.to_hi = ports[1];
	}
	nft_skip(r);
}

/* "tcp dport 80", "udp dport { 53, 8000-8009 }": ports of destinations. */
static void take_port(struct nft *r, struct nft_reading *g, const char *proto)
{
	size_t n = 0;

	nft_next(r);
	if (import_token_is(&r->t, "option") || import_token_is(&r->t, "flags"))
		return;
	if (!import_token_is(&r->t, "dport")) {
		partial(r, g, proto);
		return;
	}
	if (strcmp(proto, "th") != 0) {
		g->rule.protos &= import_protocol(proto);
		g->dnat.protos = g->rule.protos;
	}
	nft_next(r);
	if (!import_token_is(&r->t, "{")) {
		snprintf(g->dnat.ports, sizeof(g->dnat.ports), "%.100s", nft_value(r, r->t.word));
		return;
	}
	while (nft_next(r) && !import_token_is(&r->t, "}"))
		if (!nft_between(r) && n + strlen(r->t.word) + 2 < sizeof(g->dnat.ports))
			n += (size_t)snprintf(g->dnat.ports + n, sizeof(g->dnat.ports) - n, "%s%s", n ? "," : "",
					      r->t.word);
		else if (!nft_between(r))
			g->dnat.other = true;
	r->set_end = true;
}

/* A key of the kind "ip saddr", and its value. */
static void take_ip(struct nft *r, struct nft_reading *g)
{
	char key[IMPORT_TOKEN];

	nft_next(r);
	snprintf(key, sizeof(key), "%s", r->t.word);
	nft_next(r);
	if (import_token_is(&r->t, "vmap") && (!strcmp(key, "saddr") || !strcmp(key, "protocol"))) {
		nft_next(r);
		take_map(r, g);
	} else if (!strcmp(key, "saddr")) {
		take_sources(r, g);
	} else if (!strcmp(key, "daddr")) {
		take_destinations(r, g);
	} else if (!strcmp(key, "protocol")) {
		take_protocols(r, g);
	} else {
		partial(r, g, key);
		skip_value(r);
	}
}

/* "meta l4proto …" */
static void take_meta(struct nft *r, struct nft_reading *g)
{
	if (import_token_is(&r->t, "meta"))
		nft_next(r);
	if (!import_token_is(&r->t, "l4proto")) {
		partial(r, g, r->t.word);
		return;
	}
	nft_next(r);
	if (import_token_is(&r->t, "vmap")) {
		nft_next(r);
		take_map(r, g);
	} else {
		take_protocols(r, g);
	}
}

/* "counter packets 0 bytes 0", "counter name "x"", "log prefix "x" group 1", "limit rate 5/second" are for no packet's
 * way but the last. */
static void take_values(struct nft *r, const char *const *keys)
{
	nft_next(r);
	for (bool known = true; known && !nft_ends(r);) {
		known = false;
		for (const char *const *key = keys; *key && !known; key++)
			known = import_token_is(&r->t, *key);
		if (known && nft_next(r))
			nft_next(r);
	}
}

static void take_jump(struct nft *r, struct nft_reading *g)
{
	g->rule.action = import_token_is(&r->t, "jump") ? RULE_JUMP : RULE_GOTO;
	nft_next(r);
	g->rule.target = nft_chain(r, r->t.word);
}

/* "maxseg size set 1440", "maxseg size set rt mtu" */
static void take_mss(struct nft *r, struct nft_reading *g)
{
	while (!nft_ends(r) && !import_token_is(&r->t, "set"))
		nft_next(r);
	if (nft_ends(r) || !nft_next(r))
		return;
	snprintf(g->mss, sizeof(g->mss), "%.15s", import_token_is(&r->t, "rt") ? "clamp" : nft_value(r, r->t.word));
	if (import_token_is(&r->t, "rt"))
		nft_next(r);
}

/* "ct state new", which all packets have that such chains see, alone or among others. */
static void take_state(struct nft *r, struct nft_reading *g)
{
	bool fresh = false, more = true;

	nft_next(r);
	if (!import_token_is(&r->t, "state")) {
		partial(r, g, "ct");
		return;
	}
	nft_next(r);
	if (import_token_is(&r->t, "{"))
		nft_next(r);
	while (more && !nft_ends(r)) {
		fresh |= import_token_is(&r->t, "new");
		nft_next(r);
		more = import_token_is(&r->t, ",");
		if (more)
			nft_next(r);
	}
	if (!fresh)
		partial(r, g, "ct state");
	r->set_end = import_token_is(&r->t, "}");
}

/* A word that is one alone. */
static void take_other(struct nft *r, struct nft_reading *g)
{
	static const struct word verdicts[] = { { "masquerade", RULE_MASQUERADE },
						{ "accept", RULE_ACCEPT },
						{ "return", RULE_RETURN },
						{ "redirect", RULE_DNAT },
						{} };
	static const char *const harmless[] = { "random", "fully-random", "persistent", "ip", "continue" };
	uint32_t action;

	if (!word_number(verdicts, r->t.word, &action)) {
		g->rule.action = action;
		if (action == RULE_DNAT)
			nft_skip(r);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (import_token_is(&r->t, harmless[i]))
			return;
	if (g->rule.action != RULE_DNAT)
		partial(r, g, r->t.word);
}

/* A word of a rule, and those that belong to it; the next one is then in r->t. */
static void take_word(struct nft *r, struct nft_reading *g)
{
	static const char *const counters[] = { "packets", "bytes", "name", NULL };
	static const char *const logs[] = { "prefix", "group", "level", "snaplen", "queue-threshold", "flags", NULL };
	struct import_tokens *t = &r->t;

	if (import_token_is(t, "counter") || import_token_is(t, "log")) {
		take_values(r, import_token_is(t, "log") ? logs : counters);
		return;
	}
	if (import_token_is(t, "ct")) {
		take_state(r, g);
		if (r->set_end)
			nft_next(r);
		return;
	}
	if (import_token_is(t, "ip")) {
		take_ip(r, g);
	} else if (import_token_is(t, "meta") || import_token_is(t, "l4proto")) {
		take_meta(r, g);
	} else if (import_token_is(t, "tcp") || import_token_is(t, "udp") || import_token_is(t, "th")) {
		char proto[4];

		snprintf(proto, sizeof(proto), "%.3s", t->word);
		take_port(r, g, proto);
	} else if (import_token_is(t, "maxseg")) {
		take_mss(r, g);
	} else if (import_token_is(t, "oifname") || import_token_is(t, "oif")) {
		nft_next(r);
		take_names(r, g, true);
	} else if (import_token_is(t, "iifname") || import_token_is(t, "iif")) {
		nft_next(r);
		take_names(r, g, false);
	} else if (import_token_is(t, "comment") || import_token_is(t, "handle")) {
		nft_next(r);
	} else if (import_token_is(t, "snat")) {
		nft_next(r);
		take_snat(r, g);
	} else if (import_token_is(t, "dnat")) {
		nft_next(r);
		take_dnat(r, g);
	} else if (import_token_is(t, "jump") || import_token_is(t, "goto")) {
		take_jump(r, g);
	} else {
		take_other(r, g);
	}
	if (!nft_ends(r))
		nft_next(r);
}

/* A rule for an element of a map, with the other conditions of its rule. */
static void add_element(struct nft *r, const struct nft_reading *g, const struct nft_element *e)
{
	struct import_rule one = g->rule;
	struct import_set src = {};

	one.line = e->line;
	if (e->verdict) {
		one.action = e->action;
		one.target = e->target;
	} else {
		one.map = g->rule.line;
		one.action = g->rule.action == RULE_NETMAP ? RULE_NETMAP : RULE_SNAT;
		one.to = e->to;
		one.ported = e->ported;
		one.lo = e->lo;
		one.hi = e->hi;
	}
	if (e->protos)
		one.protos &= e->protos;
	else if (g->sourced)
		import_set_common(&g->src, e->from, &src);
	else
		import_set_add(&src, e->from);
	/* A key that is a protocol has the sources of its rule. */
	import_rules_add_each(&r->rules, &one, e->protos ? (g->sourced ? &g->src : NULL) : &src, NULL);
	import_ranges_free(&src.list);
}

/* "*" is what the others leave: it comes last. */
static void add_elements(struct nft *r, const struct nft_reading *g)
{
	for (unsigned rest = 0; rest < 2; rest++)
		for (size_t i = g->map.first; i < g->map.first + g->map.n && !r->m->failed; i++)
			if (r->element[i].rest == !!rest)
				add_element(r, g, &r->element[i]);
}

/* Of a rule that keeps packets from the plan it must be known which ones. */
static bool keeps_away(const struct import_rule *rule)
{
	return rule->action >= RULE_MASQUERADE && rule->action != RULE_JUMP && rule->action != RULE_GOTO;
}

/* What the conditions say together; the notes before those of the rule are `notes`. */
static void finish(struct nft *r, struct nft_reading *g, size_t notes)
{
	struct import_rule *rule = &g->rule;
	bool decides = rule->action != RULE_DNAT && (rule->action != RULE_PASS || g->map.n);

	if (!decides)
		import_notes_cut(r->m, notes);
	if (*g->mss)
		import_mss_take(r->m, g->mss, rule->line);
	if (rule->action == RULE_DNAT) {
		import_dnat_take(r->m, &g->dnat, rule->line);
		rule->outwards = false;
	} else if (decides && *g->dnat.ports) {
		partial(r, g, "dport");
	} else if (decides && g->not_via && keeps_away(rule)) {
		partial(r, g, "an interface with !=");
	} else if (decides && g->but) {
		if (keeps_away(rule))
			partial(r, g, "ip daddr !=");
		else
			import_note(
				r->m, IMPORT_EXCEPTION, rule->line,
				"ip daddr !=: what goes there is not treated by this rule: not kept; if nothing else "
				"translates it, write the addresses as bypass");
	}
}

/* A rule, whose first word was read. */
void nft_rule(struct nft *r, uint32_t chain)
{
	struct nft_reading g = { .rule = { .line = r->t.line,
					   .chain = chain,
					   .target = IMPORT_CHAIN_NONE,
					   .action = RULE_PASS,
					   .protos = IMPORT_ALL | IMPORT_OTHER,
					   .via = r->rules.n_via } };
	size_t notes = r->m->n_notes;

	while (!nft_ends(r) && !r->m->failed)
		take_word(r, &g);
	finish(r, &g, notes);
	if (g.map.n && !g.rule.partial)
		add_elements(r, &g);
	else
		import_rules_add_each(&r->rules, &g.rule, g.sourced ? &g.src : NULL,
				      g.rule.outwards && g.dst.list.n ? &g.dst : NULL);
	if (g.src.failed || g.dst.failed)
		import_fail(r->m, "out of memory");
	import_ranges_free(&g.src.list);
	import_ranges_free(&g.dst.list);
}
