// SPDX-License-Identifier: BSD-2-Clause
/* MikroTik RouterOS: a rule of /ip firewall nat. */
#include <string.h>

#include "base/text.h"
#include "import/format_routeros.h"
#include "import/import_forward.h"

struct reading {
	struct routeros *r;
	struct import_rule rule;
	struct import_set src; /* if `sourced`: what the conditions leave of all sources */
	bool sourced;
	struct import_set dst;	   /* if `rule.outwards` */
	const char *but, *but_key; /* destinations to which it does not apply, or an interface; NULL: none */
	bool disabled;
	struct import_dnat dnat;
};

/* Keys that say nothing of who is translated to what. */
static const char *const harmless[] = { "comment",
					"log",
					"log-prefix",
					"out-interface-list",
					"randomise-ports",
					"same-not-by-dst",
					"place-before",
					"nat-events",
					"bytes",
					"packets",
					"numbers",
					"action",
					"in-interface-list" };

static int fault(const struct reading *g, const char *key, const char *value, struct error *err)
{
	return import_fault(g->r->m, g->rule.line, err, "%.30s=%s is not understood", key, QUOTED(value));
}

static void note_partial(struct reading *g, const char *key, const char *value, const char *why)
{
	if (!g->rule.partial)
		import_note(g->r->m, IMPORT_UNKNOWN, g->rule.line, "%.30s=%s: %s, so the rule is not taken", key,
			    QUOTED(value), why);
	g->rule.partial = true;
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

/* The addresses that a condition names, of a key or of a list; false: they are not known, which was noted. */
static bool addresses_of(struct reading *g, const char *key, const char *value, bool listed, struct import_set *ret,
			 struct error *err, int *ret_fault)
{
	const char *name = value + (*value == '!');
	const struct routeros_list *list = listed ? routeros_list_find(g->r, name) : NULL;
	struct import_range range;

	if (listed && !list) {
		if (g->rule.action != RULE_DNAT && g->rule.action != RULE_PASS)
			note_partial(g, key, value,
				     "the file does not have that address list, or not all of it (export /ip firewall "
				     "address-list, too)");
		return false;
	}
	if (!listed && import_range_parse(name, &range)) {
		*ret_fault = fault(g, key, value, err);
		return false;
	}
	if (!listed)
		import_set_add(ret, range);
	for (size_t i = 0; list && i < list->range.n; i++)
		import_set_add(ret, list->range.range[i]);
	return true;
}

static int take_source(struct reading *g, const char *key, const char *value, bool listed, struct error *err)
{
	struct import_set named = {}, left = {};
	int r = 0;

	if (!addresses_of(g, key, value, listed, &named, err, &r))
		return r;
	if (!g->sourced)
		import_set_add(&g->src, (struct import_range){ 0, UINT32_MAX });
	g->sourced = true;
	for (size_t i = 0; i < named.list.n; i++) {
		if (*value == '!')
			import_set_remove(&g->src, named.list.range[i]);
		else
			import_set_common(&g->src, named.list.range[i], &left);
	}
	if (*value != '!') {
		import_ranges_free(&g->src.list);
		g->src = left;
	}
	g->src.failed |= named.failed;
	import_ranges_free(&named.list);
	return 0;
}

static int take_destination(struct reading *g, const char *key, const char *value, bool listed, struct error *err)
{
	struct import_set named = {};
	int r = 0;

	if (g->rule.action == RULE_DNAT) {
		g->dnat.other |= listed || *value == '!' || import_range_parse(value, &g->dnat.out);
		g->dnat.outs++;
		return 0;
	}
	if (!listed && *value == '!' && import_range_parse(value + 1, &(struct import_range){}))
		return fault(g, key, value, err);
	if (*value == '!') {
		g->but = value;
		g->but_key = key;
		return 0;
	}
	if (!addresses_of(g, key, value, listed, &named, err, &r))
		return r;
	g->rule.outwards = true;
	for (size_t i = 0; i < named.list.n; i++)
		import_set_add(&g->dst, named.list.range[i]);
	import_ranges_free(&named.list);
	return 0;
}

static int take_target(struct reading *g, const char *key, const char *value, struct error *err)
{
	uint32_t lo, hi;

	if (strcmp(key, "to-ports") != 0) {
		if (import_range_parse(value, &g->rule.to))
			return fault(g, key, value, err);
		g->dnat.to = g->rule.to;
		g->dnat.tos++;
		return 0;
	}
	if (import_ports_parse(value, &lo, &hi))
		return fault(g, key, value, err);
	g->rule.ported = true;
	g->rule.lo = g->dnat.to_lo = (uint16_t)lo;
	g->rule.hi = g->dnat.to_hi = (uint16_t)hi;
	return 0;
}

static void take_interface(struct reading *g, const char *key, const char *value)
{
	bool leaves = *key == 'o';

	if (*value == '!') {
		g->but = g->but ? g->but : value;
		g->but_key = g->but_key ? g->but_key : key;
		return;
	}
	import_rules_via(&g->r->rules, &g->rule, value, leaves);
	if (!leaves && g->rule.action != RULE_DNAT)
		note_partial(g, key, value, "not understood");
}

/* A key of a rule that translates destinations, beside those of all rules. */
static void take_inbound(struct reading *g, const char *key, const char *value)
{
	if (!strcmp(key, "dst-port"))
		snprintf(g->dnat.ports, sizeof(g->dnat.ports), "%s", value);
	else if (strcmp(key, "dst-address-type") != 0 && strcmp(key, "in-interface-list") != 0)
		g->dnat.other = true;
}

/* "!local" is all that is not for the router itself, and "out,none" all that no IPsec is for. */
static bool is_harmless(const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (!strcmp(key, harmless[i]))
			return true;
	return (!strcmp(key, "dst-address-type") && (!strcmp(value, "!local") || !strcmp(value, "unicast"))) ||
	       (!strcmp(key, "connection-state") && strstr(value, "new") && *value != '!') ||
	       (!strcmp(key, "ipsec-policy") && !strcmp(value, "out,none"));
}

static int take_key(struct reading *g, const char *key, const char *value, struct error *err)
{
	bool list = strlen(key) > 5 && !strcmp(key + strlen(key) - 5, "-list");

	if (is_harmless(key, value))
		return 0;
	if (!strcmp(key, "chain")) {
		g->rule.chain = import_chain(&g->r->rules, value);
	} else if (!strcmp(key, "jump-target")) {
		g->rule.target = import_chain(&g->r->rules, value);
	} else if (!strcmp(key, "protocol")) {
		g->rule.protos = g->dnat.protos = *value == '!' ? 0 : import_protocol(value);
		if (strpbrk(value, "!,"))
			note_partial(g, key, value, "not understood");
	} else if (!strcmp(key, "src-address") || !strcmp(key, "src-address-list")) {
		g->dnat.other = true;
		return take_source(g, key, value, list, err);
	} else if (!strcmp(key, "dst-address") || !strcmp(key, "dst-address-list")) {
		return take_destination(g, key, value, list, err);
	} else if (!strcmp(key, "to-addresses") || !strcmp(key, "to-address") || !strcmp(key, "to-ports")) {
		return take_target(g, key, value, err);
	} else if (!strcmp(key, "out-interface") || !strcmp(key, "in-interface")) {
		take_interface(g, key, value);
	} else if (!strcmp(key, "disabled")) {
		g->disabled |= !strcmp(value, "yes") || !strcmp(value, "true");
	} else if (g->rule.action == RULE_DNAT) {
		take_inbound(g, key, value);
	} else {
		note_partial(g, key, value, "not understood");
	}
	return 0;
}

/* What the keys say together. */
static int check(struct reading *g, struct error *err)
{
	struct import_rule *rule = &g->rule;

	if (rule->chain == IMPORT_CHAIN_NONE)
		return import_fault(g->r->m, rule->line, err, "the rule has no chain");
	if (rule->action == RULE_JUMP && rule->target == IMPORT_CHAIN_NONE)
		return import_fault(g->r->m, rule->line, err, "the jump has no jump-target");
	if (rule->action <= RULE_NETMAP && !rule->to.last) {
		import_note(g->r->m, IMPORT_UNKNOWN, rule->line, "the rule has no to-addresses: not taken");
		rule->partial = true;
	}
	/*
	 * A jump to the plan is to the plan of all but these. Of a rule that keeps packets from the plan it is not
	 * known which ones, as addresses outside are no part of it.
	 */
	if (g->but && rule->action >= RULE_MASQUERADE && rule->action != RULE_JUMP)
		note_partial(g, g->but_key, g->but, "not understood");
	else if (g->but && *g->but_key == 'd')
		import_note(
			g->r->m, IMPORT_EXCEPTION, rule->line,
			"%.30s=%s: what goes there is not treated by this rule: not kept; if nothing else translates "
			"it, write the addresses as bypass",
			g->but_key, QUOTED(g->but));
	if (g->sourced && !g->src.list.n && !g->src.failed) {
		import_note(g->r->m, IMPORT_UNREACHED, rule->line,
			    "no source has all that the rule asks for: not taken");
		rule->partial = true;
	}
	return 0;
}

static int finish(struct reading *g, size_t notes, struct error *err)
{
	struct routeros *r = g->r;
	int e;

	if (g->disabled) {
		import_notes_cut(r->m, notes);
		r->rules.n_via = g->rule.via;
		if (!r->n_disabled++)
			r->disabled_line = g->rule.line;
		return 0;
	}
	e = check(g, err);
	if (e)
		return e;
	if (g->src.failed || g->dst.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (g->rule.action == RULE_DNAT) {
		import_notes_cut(r->m, notes);
		g->dnat.protos = g->dnat.protos ? g->dnat.protos : IMPORT_OTHER;
		import_dnat_take(r->m, &g->dnat, g->rule.line);
		g->rule.outwards = false;
	}
	import_rules_add_each(&r->rules, &g->rule, g->sourced ? &g->src : NULL, g->rule.outwards ? &g->dst : NULL);
	return 0;
}

int routeros_rule(struct routeros *r, unsigned from, bool flagged, struct error *err)
{
	struct reading g = { .r = r,
			     .disabled = flagged,
			     .rule = { .line = r->l->line,
				       .chain = IMPORT_CHAIN_NONE,
				       .target = IMPORT_CHAIN_NONE,
				       .action = RULE_ACCEPT,
				       .protos = IMPORT_ALL | IMPORT_OTHER,
				       .via = r->rules.n_via } };
	const char *action = routeros_value(r->l, from, "action");
	size_t notes = r->m->n_notes;
	int e = 0;

	/* The action first: it says how the other keys are meant. */
	if (action && take_action(&g.rule, action))
		note_partial(&g, "action", action, "not understood");
	for (unsigned i = from; i < r->l->n_words && !e; i++) {
		char *equals = strchr(r->l->word[i], '=');

		if (!equals)
			continue;
		*equals = '\0';
		e = take_key(&g, r->l->word[i], equals + 1, err);
	}
	e = e ? e : finish(&g, notes, err);
	import_ranges_free(&g.src.list);
	import_ranges_free(&g.dst.list);
	return e;
}

void routeros_mangle(struct routeros *r, unsigned from)
{
	const char *action = routeros_value(r->l, from, "action"), *mss = routeros_value(r->l, from, "new-mss");
	const char *disabled = routeros_value(r->l, from, "disabled");

	if (!action || strcmp(action, "change-mss") != 0 || !mss || (disabled && !strcmp(disabled, "yes")))
		return;
	import_mss_take(r->m, strcmp(mss, "clamp-to-pmtu") ? mss : "clamp", r->l->line);
}
