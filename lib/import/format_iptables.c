// SPDX-License-Identifier: BSD-2-Clause
/*
 * iptables: the table nat as iptables-save prints it, and shell scripts of iptables' commands. The chain POSTROUTING,
 * and those that it jumps to, are walked.
 */
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"
#include "import/import_forward.h"
#include "import/import_rules.h"

struct reader {
	struct import *m;
	struct import_rules rules;
	struct import_lines *l;
	bool other_table; /* the section is of another one than nat */
	/* Of the rule that is read: */
	struct import_dnat dnat;
	struct import_set src; /* if `sourced` */
	bool sourced;
	bool but; /* has destinations or interfaces that it is not for */
};

static const struct word targets[] = { { "SNAT", RULE_SNAT },	  { "NETMAP", RULE_NETMAP },
				       { "ACCEPT", RULE_ACCEPT }, { "MASQUERADE", RULE_MASQUERADE },
				       { "RETURN", RULE_RETURN }, { "DNAT", RULE_DNAT },
				       { "REDIRECT", RULE_DNAT }, { "LOG", RULE_PASS },
				       { "NFLOG", RULE_PASS },	  { "MARK", RULE_PASS },
				       { "CONNMARK", RULE_PASS }, {} };

/* Options without a value, and those whose value says nothing of who is translated to what. */
static const char *const flags[] = { "-w", "--wait", "--random", "--random-fully", "--persistent" };
static const char *const harmless[] = { "--comment",  "-c",	     "--log-prefix", "--log-level",
					"--to-ports", "--set-xmark", "--nflog-group" };

static bool one_of(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], word))
			return true;
	return false;
}

static void partial(struct reader *r, struct import_rule *rule, const char *key, const char *value)
{
	if (!rule->partial)
		import_note(r->m, IMPORT_UNKNOWN, rule->line, "%s %s: not understood, so the rule is not taken",
			    QUOTED(key), QUOTED(value));
	rule->partial = true;
	r->dnat.other = true;
}

/* "A", "A:P" and "A:P-Q" behind --to-destination. */
static void take_inside(struct reader *r, struct import_rule *rule, const char *key, const char *text)
{
	size_t n = strcspn(text, ":");
	uint32_t lo = 0, hi = 0;
	char addr[64];

	snprintf(addr, sizeof(addr), "%.*s", n < sizeof(addr) ? (int)n : 0, text);
	if (import_range_parse(addr, &r->dnat.to) || (text[n] && import_ports_parse(text + n + 1, &lo, &hi)))
		partial(r, rule, key, text);
	r->dnat.tos++;
	r->dnat.to_lo = (uint16_t)lo;
	r->dnat.to_hi = (uint16_t)hi;
}

/* "80", "80,443", "8000:8009" of what comes from outside. */
static void take_ports(struct reader *r, const char *text)
{
	snprintf(r->dnat.ports, sizeof(r->dnat.ports), "%s", text);
	for (char *c = r->dnat.ports; *c; c++)
		*c = (char)(*c == ':' ? '-' : *c);
}

/* "A", "A-B" or a prefix, with ":LO-HI" or without. */
static int take_target(const char *text, struct import_rule *rule)
{
	size_t n = strcspn(text, ":");
	char addr[64];
	uint32_t lo, hi;

	if (n >= sizeof(addr))
		return -EINVAL;
	snprintf(addr, sizeof(addr), "%.*s", (int)n, text);
	if (import_range_parse(addr, &rule->to) || (text[n] && import_ports_parse(text + n + 1, &lo, &hi)))
		return -EINVAL;
	if (text[n]) {
		rule->ported = true;
		rule->lo = (uint16_t)lo;
		rule->hi = (uint16_t)hi;
	}
	return 0;
}

static bool is(const char *word, const char *a, const char *b)
{
	return !strcmp(word, a) || !strcmp(word, b);
}

static bool is_source(const char *key)
{
	return is(key, "-s", "--source") || is(key, "--src", "--src-range");
}

/* What is left of all sources so far. */
static void take_source(struct reader *r, struct import_rule *rule, const char *key, char *value, bool negated)
{
	struct import_set left = {};

	if (!r->sourced)
		import_set_add(&r->src, (struct import_range){ 0, UINT32_MAX });
	r->sourced = true;
	for (char *one = strtok(value, ","); one; one = strtok(NULL, ",")) {
		struct import_range range;

		if (import_range_parse(one, &range))
			partial(r, rule, key, one);
		else if (negated)
			import_set_remove(&r->src, range);
		else
			import_set_common(&r->src, range, &left);
	}
	if (negated)
		return;
	import_ranges_free(&r->src.list);
	r->src = left;
}

static void take_jump(struct reader *r, struct import_rule *rule, const char *key, const char *value)
{
	uint32_t action;

	if (!word_number(targets, value, &action)) {
		rule->action = action;
		return;
	}
	rule->action = is(key, "-g", "--goto") ? RULE_GOTO : RULE_JUMP;
	rule->target = import_chain(&r->rules, value);
}

/* An option and its value. */
static void take_option(struct reader *r, struct import_rule *rule, const char *key, char *value)
{
	if (is_source(key)) {
		r->dnat.other = true;
		take_source(r, rule, key, value, false);
	} else if (is(key, "--dport", "--dports") || !strcmp(key, "--destination-port")) {
		take_ports(r, value);
	} else if (is(key, "--ctstate", "--state") && strstr(value, "NEW")) {
		/* All packets that the table sees have it. */
		return;
	} else if (!strcmp(key, "--to-destination")) {
		take_inside(r, rule, key, value);
	} else if (is(key, "-d", "--destination") || !strcmp(key, "--dst")) {
		rule->outwards = true;
		if (import_range_parse(value, &rule->dst))
			partial(r, rule, key, value);
		r->dnat.out = rule->dst;
		r->dnat.outs++;
	} else if (is(key, "-p", "--protocol")) {
		rule->protos = strcmp(value, "all") != 0 ? import_protocol(value) : IMPORT_ALL | IMPORT_OTHER;
		r->dnat.protos = rule->protos;
	} else if (is(key, "-o", "--out-interface") || is(key, "-i", "--in-interface")) {
		size_t n = strlen(value);

		/* "ppp+" is "ppp*" here. */
		if (n > 1 && value[n - 1] == '+')
			value[n - 1] = '*';
		import_rules_via(&r->rules, rule, value, is(key, "-o", "--out-interface"));
	} else if (is(key, "-m", "--match")) {
		if (!is(value, "tcp", "udp") && !is(value, "icmp", "iprange") && !is(value, "comment", "limit") &&
		    !is(value, "conntrack", "state") && strcmp(value, "multiport") != 0)
			partial(r, rule, key, value);
	} else if (is(key, "--to-source", "--to")) {
		if (take_target(value, rule))
			partial(r, rule, key, value);
	} else if (!one_of(harmless, ARRAY_SIZE(harmless), key)) {
		partial(r, rule, key, value);
	}
}

/* "! OPTION VALUE" */
static void take_negated(struct reader *r, struct import_rule *rule, const char *key, char *value)
{
	r->dnat.other = true;
	if (is_source(key))
		take_source(r, rule, key, value, true);
	else if (is(key, "-d", "--destination") || is(key, "-o", "--out-interface"))
		r->but = true;
	else
		partial(r, rule, "!", key);
}

static bool negated(const char *key)
{
	return !strcmp(key, "!");
}

/* Of a rule that keeps packets from the plan it must be known which ones; a jump is to the plan of all others. */
static void settle_but(struct reader *r, struct import_rule *rule)
{
	if (!r->but || rule->action == RULE_DNAT || rule->action == RULE_PASS)
		return;
	if (rule->action >= RULE_MASQUERADE && rule->action != RULE_JUMP && rule->action != RULE_GOTO)
		partial(r, rule, "!", "-d or -o");
	else
		import_note(r->m, IMPORT_EXCEPTION, rule->line,
			    "! -d or ! -o: what goes there is not treated by this rule: not kept; if nothing else "
			    "translates it, write the addresses as bypass");
}

/* The words from..n of a line are a rule of a chain. */
static void take_rule(struct reader *r, unsigned from, uint32_t chain)
{
	struct import_rule rule = { .line = r->l->line,
				    .chain = chain,
				    .target = IMPORT_CHAIN_NONE,
				    .action = RULE_PASS,
				    .protos = IMPORT_ALL | IMPORT_OTHER,
				    .src = r->rules.sources.n,
				    .via = r->rules.n_via };
	size_t notes = r->m->n_notes;

	r->dnat = (struct import_dnat){};
	r->src = (struct import_set){};
	r->sourced = r->but = false;
	for (unsigned i = from; i < r->l->n_words; i++) {
		char *key = r->l->word[i], *value = i + 1 < r->l->n_words ? r->l->word[i + 1] : NULL;

		if (is(key, "-j", "--jump") || is(key, "-g", "--goto")) {
			if (value)
				take_jump(r, &rule, key, value);
			i++;
		} else if (one_of(flags, ARRAY_SIZE(flags), key)) {
			i += !strcmp(key, "-w") && value && *value >= '0' && *value <= '9';
		} else if (negated(key) && i + 2 < r->l->n_words) {
			take_negated(r, &rule, value, r->l->word[i + 2]);
			i += 2;
		} else if (!value || *key != '-') {
			partial(r, &rule, key, value ? value : "");
		} else if (!strcmp(key, "-t")) {
			i++;
		} else {
			take_option(r, &rule, key, value);
			i++;
		}
	}
	if (rule.action == RULE_DNAT || rule.action == RULE_PASS)
		import_notes_cut(r->m, notes);
	if (rule.action == RULE_DNAT)
		import_dnat_take(r->m, &r->dnat, rule.line);
	else if (*r->dnat.ports && rule.action != RULE_PASS)
		partial(r, &rule, "--dport", r->dnat.ports);
	settle_but(r, &rule);
	import_rules_add_each(&r->rules, &rule, r->sourced ? &r->src : NULL, NULL);
	if (r->src.failed)
		import_fail(r->m, "out of memory");
	import_ranges_free(&r->src.list);
}

static bool of_other_table(const struct import_lines *l)
{
	for (unsigned i = 0; i + 1 < l->n_words; i++)
		if (is(l->word[i], "-t", "--table"))
			return strcmp(l->word[i + 1], "nat") != 0;
	return false;
}

/* Of any table: "-j TCPMSS --clamp-mss-to-pmtu" and "--set-mss 1440". */
static void take_mss(struct reader *r)
{
	struct import_lines *l = r->l;
	bool mss = false;

	for (unsigned i = 0; i + 1 < l->n_words; i++)
		mss |= is(l->word[i], "-j", "--jump") && !strcmp(l->word[i + 1], "TCPMSS");
	for (unsigned i = 0; mss && i < l->n_words; i++) {
		if (!strcmp(l->word[i], "--clamp-mss-to-pmtu"))
			import_mss_take(r->m, "clamp", l->line);
		else if (!strcmp(l->word[i], "--set-mss") && i + 1 < l->n_words)
			import_mss_take(r->m, l->word[i + 1], l->line);
	}
}

static void take_line(struct reader *r)
{
	struct import_lines *l = r->l;

	take_mss(r);
	if (l->word[0][0] == '*') {
		r->other_table = strcmp(l->word[0], "*nat") != 0;
		return;
	}
	if (r->other_table || of_other_table(l))
		return;
	for (unsigned i = 0; i + 1 < l->n_words; i++) {
		if (is(l->word[i], "-A", "--append")) {
			uint32_t chain = import_chain(&r->rules, l->word[i + 1]);

			take_rule(r, i + 2, chain);
			return;
		}
		if (is(l->word[i], "-I", "--insert") || is(l->word[i], "-R", "--replace")) {
			import_note(r->m, IMPORT_UNKNOWN, l->line,
				    "%.10s puts a rule before others: not taken; import the output of iptables-save",
				    l->word[i]);
			return;
		}
	}
}

int import_read_iptables(struct import *m, const struct import_text *text, const struct import_options *options,
			 struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct reader r = { .m = m, .rules = { .m = m }, .l = l };

	if (!l || import_lines_begin(l, text, true))
		return error_set(err, -ENOMEM, "out of memory");
	while (!m->failed && import_lines_next(l)) {
		import_lines_words(l, "", '#');
		if (l->n_words)
			take_line(&r);
	}
	for (uint32_t c = 0; c < r.rules.n_chains; c++)
		r.rules.chain[c].base = !strcmp(r.rules.chain[c].name, "POSTROUTING");
	import_rules_walk(&r.rules);
	import_rules_free(&r.rules);
	import_lines_end(l);
	return 0;
}
