// SPDX-License-Identifier: BSD-2-Clause
/*
 * MikroTik RouterOS: /ip firewall nat of exports, of scripts, and as print (terse) shows it. The chain srcnat, and
 * those that it jumps to, are walked.
 */
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"
#include "import/import_rules.h"

struct reader {
	struct import *m;
	struct import_rules rules;
	struct import_lines *l;
	bool in_section;
	uint32_t n_disabled;
	uint32_t disabled_line;
};

/* Keys that say nothing of who is translated to what. */
static const char *const harmless[] = { "comment",	   "log",
					"log-prefix",	   "out-interface-list",
					"randomise-ports", "same-not-by-dst",
					"place-before",	   "nat-events",
					"bytes",	   "packets",
					"numbers" };

static int fault(const struct reader *r, const char *key, const char *value, struct error *err)
{
	return import_fault(r->m, r->l->line, err, "%.30s=%s is not understood", key, QUOTED(value));
}

static void note_partial(struct reader *r, struct import_rule *rule, const char *key, const char *value)
{
	if (!rule->partial)
		import_note(r->m, IMPORT_UNKNOWN, rule->line, "%.30s=%s: not understood, so the rule is not taken", key,
			    QUOTED(value));
	rule->partial = true;
}

static int take_action(struct import_rule *rule, const char *value)
{
	static const struct word actions[] = {
		{ "src-nat", RULE_SNAT },
		{ "netmap", RULE_NETMAP },
		{ "masquerade", RULE_MASQUERADE },
		{ "accept", RULE_ACCEPT },
		{ "jump", RULE_JUMP },
		{ "return", RULE_RETURN },
		{ "dst-nat", RULE_DNAT },
		{ "passthrough", RULE_PASS },
		{ "log", RULE_PASS },
		{ "redirect", RULE_DNAT },
		{ "add-src-to-address-list", RULE_PASS },
		{ "add-dst-to-address-list", RULE_PASS },
		{},
	};
	uint32_t action;

	if (word_number(actions, value, &action))
		return -EINVAL;
	rule->action = action;
	return 0;
}

static uint8_t protocol_of(const char *value)
{
	static const struct word protocols[] = { { "tcp", IMPORT_TCP },
						 { "6", IMPORT_TCP },
						 { "udp", IMPORT_UDP },
						 { "17", IMPORT_UDP },
						 { "icmp", IMPORT_ICMP },
						 { "1", IMPORT_ICMP },
						 {} };
	uint32_t proto;

	return word_number(protocols, value, &proto) ? IMPORT_OTHER : (uint8_t)proto;
}

static int take_key(struct reader *r, struct import_rule *rule, bool *ret_disabled, const char *key, const char *value,
		    struct error *err)
{
	struct import_range range;

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (!strcmp(key, harmless[i]))
			return 0;
	if (!strcmp(key, "chain")) {
		rule->chain = import_chain(&r->rules, value);
	} else if (!strcmp(key, "action")) {
		if (take_action(rule, value))
			note_partial(r, rule, key, value);
	} else if (!strcmp(key, "jump-target")) {
		rule->target = import_chain(&r->rules, value);
	} else if (!strcmp(key, "protocol")) {
		rule->protos = protocol_of(value);
	} else if (!strcmp(key, "src-address") && *value != '!') {
		if (import_range_parse(value, &range))
			return fault(r, key, value, err);
		import_ranges_add(r->m, &r->rules.sources, range);
	} else if (!strcmp(key, "dst-address") && *value != '!') {
		if (import_range_parse(value, &rule->dst))
			return fault(r, key, value, err);
		rule->outwards = true;
	} else if (!strcmp(key, "to-addresses") || !strcmp(key, "to-address")) {
		if (import_range_parse(value, &rule->to))
			return fault(r, key, value, err);
	} else if (!strcmp(key, "to-ports")) {
		uint32_t lo, hi;

		if (import_ports_parse(value, &lo, &hi))
			return fault(r, key, value, err);
		rule->ported = true;
		rule->lo = (uint16_t)lo;
		rule->hi = (uint16_t)hi;
	} else if ((!strcmp(key, "out-interface") || !strcmp(key, "in-interface")) && *value != '!') {
		import_rules_via(&r->rules, rule, value, *key == 'o');
		if (*key == 'i' && rule->action != RULE_DNAT)
			note_partial(r, rule, key, value);
	} else if (!strcmp(key, "disabled")) {
		*ret_disabled = !strcmp(value, "yes") || !strcmp(value, "true");
	} else if (strcmp(key, "dst-port") != 0 || rule->action != RULE_DNAT) {
		note_partial(r, rule, key, value);
	}
	return 0;
}

static void note_dnat(struct reader *r, const struct import_rule *rule, const char *ports)
{
	char to[IMPORT_RANGE_TEXT];

	import_note(r->m, IMPORT_INBOUND, rule->line, "dst-nat of ports %s to %s: not kept (see portmaps)",
		    *ports ? QUOTED(ports) : "of all kinds", import_range_format(rule->to, to));
}

/* The words from..n of a line: key=value. */
static int take_rule(struct reader *r, unsigned from, bool flagged, struct error *err)
{
	struct import_rule rule = { .line = r->l->line,
				    .chain = IMPORT_CHAIN_NONE,
				    .target = IMPORT_CHAIN_NONE,
				    .action = RULE_ACCEPT,
				    .protos = IMPORT_ALL | IMPORT_OTHER,
				    .src = r->rules.sources.n,
				    .via = r->rules.n_via };
	const char *ports = "";
	size_t notes = r->m->n_notes;
	bool disabled = flagged;
	int e = 0;

	/* The action first: it says how the other keys are meant. */
	for (unsigned i = from; i < r->l->n_words; i++)
		if (import_begins(r->l->word[i], "action=") && take_action(&rule, r->l->word[i] + 7))
			break;
	for (unsigned i = from; i < r->l->n_words && !e; i++) {
		char *equals = strchr(r->l->word[i], '=');

		if (!equals)
			continue;
		*equals = '\0';
		if (rule.action == RULE_DNAT &&
		    (!strcmp(r->l->word[i], "dst-port") || !strcmp(r->l->word[i], "dst-address"))) {
			if (!strcmp(r->l->word[i], "dst-port"))
				ports = equals + 1;
			continue;
		}
		e = take_key(r, &rule, &disabled, r->l->word[i], equals + 1, err);
	}
	if (e)
		return e;
	if (disabled) {
		import_notes_cut(r->m, notes);
		r->rules.sources.n = rule.src;
		r->rules.n_via = rule.via;
		if (!r->n_disabled++)
			r->disabled_line = rule.line;
		return 0;
	}
	if (rule.chain == IMPORT_CHAIN_NONE)
		return import_fault(r->m, rule.line, err, "the rule has no chain");
	if (rule.action == RULE_JUMP && rule.target == IMPORT_CHAIN_NONE)
		return import_fault(r->m, rule.line, err, "the jump has no jump-target");
	if (rule.action <= RULE_NETMAP && !rule.to.last) {
		import_note(r->m, IMPORT_UNKNOWN, rule.line, "the rule has no to-addresses: not taken");
		rule.partial = true;
	}
	if (rule.action == RULE_DNAT)
		note_dnat(r, &rule, ports);
	import_rules_add(&r->rules, &rule);
	return 0;
}

static bool is_number(const char *word)
{
	return *word && word[strspn(word, "0123456789")] == '\0';
}

static int take_line(struct reader *r, struct error *err)
{
	struct import_lines *l = r->l;
	unsigned at = 0;
	bool flagged = false;

	if (l->word[0][0] == '/') {
		r->in_section = (l->n_words >= 3 && !strcmp(l->word[0], "/ip") && !strcmp(l->word[1], "firewall") &&
				 !strcmp(l->word[2], "nat")) ||
				!strcmp(l->word[0], "/ip/firewall/nat");
		at = !strcmp(l->word[0], "/ip/firewall/nat") ? 1 : 3;
		if (at >= l->n_words)
			return 0;
	}
	if (at < l->n_words && is_number(l->word[at])) {
		/* A line of print: its number, its flags, its keys. */
		for (at++; at < l->n_words && !strchr(l->word[at], '='); at++)
			flagged |= strchr(l->word[at], 'X') && strlen(l->word[at]) <= 3;
		return at < l->n_words ? take_rule(r, at, flagged, err) : 0;
	}
	if (!r->in_section || at >= l->n_words)
		return 0;
	if (!strcmp(l->word[at], "add"))
		return take_rule(r, at + 1, false, err);
	if (!strcmp(l->word[at], "set") || !strcmp(l->word[at], "remove"))
		import_note(r->m, IMPORT_UNKNOWN, l->line,
			    "%.10s in the list of rules: not taken; export the list as it is", l->word[at]);
	return 0;
}

int import_read_routeros(struct import *m, const struct import_text *text, const struct import_options *options,
			 struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct reader r = { .m = m, .rules = { .m = m }, .l = l };
	int e = 0;

	if (!l || import_lines_begin(l, text, true))
		return error_set(err, -ENOMEM, "out of memory");
	while (!e && !m->failed && import_lines_next(l)) {
		import_lines_words(l, "", '#');
		if (l->n_words)
			e = take_line(&r, err);
	}
	for (uint32_t c = 0; c < r.rules.n_chains; c++)
		r.rules.chain[c].base = !strcmp(r.rules.chain[c].name, "srcnat");
	if (!e && r.n_disabled == 1)
		import_note(m, IMPORT_DISABLED, r.disabled_line, "this rule is disabled: not taken");
	else if (!e && r.n_disabled)
		import_note(m, IMPORT_DISABLED, r.disabled_line, "%u rules are disabled, this one first: not taken",
			    r.n_disabled);
	if (!e)
		import_rules_walk(&r.rules);
	import_rules_free(&r.rules);
	import_lines_end(l);
	return e;
}
