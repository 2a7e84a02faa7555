// SPDX-License-Identifier: BSD-2-Clause
/*
 * VyOS on VPP, `vpp nat cgnat`: det44's maps, a rule each, and addresses that are excluded. An excluded address, or one
 * port of it, keeps its inside address.
 */
#include <string.h>

#include "base/text.h"
#include "import/format_vpp.h"
#include "import/import_set.h"
#include "import/import_tree.h"

#define RULES 4096U

/* A rule of maps, or one that excludes. */
struct rule {
	char number[16];
	char inside[IMPORT_RANGE_TEXT];
	char outside[IMPORT_RANGE_TEXT];
	bool port; /* a port alone is excluded */
	uint32_t line;
};

struct rules {
	struct rule *rule;
	size_t n;
};

struct reading {
	struct import_vpp *v;
	struct rules maps;
	struct rules excluded;
	struct import_set set; /* of whole addresses that are excluded */
};

static struct rule *rule_of(struct rules *rules, const char *number, uint32_t line)
{
	for (size_t i = rules->n; i-- > 0;)
		if (!strcmp(rules->rule[i].number, number))
			return &rules->rule[i];
	if (rules->n == RULES)
		return NULL;
	rules->rule[rules->n] = (struct rule){ .line = line };
	snprintf(rules->rule[rules->n].number, sizeof(rules->rule->number), "%s", number);
	return &rules->rule[rules->n++];
}

static int too_many(const struct reading *r, uint32_t line, struct error *err)
{
	return import_fault(r->v->m, line, err, "there are more than %u rules", RULES);
}

static int take_map(struct reading *r, const struct import_tree *t, const struct import_statement *s, struct error *err)
{
	const char *w[IMPORT_TREE_WORDS];
	bool in = import_tree_is(t, s, "nat cgnat rule * inside-prefix *", w);
	struct rule *rule;

	if (!in && !import_tree_is(t, s, "nat cgnat rule * outside-prefix *", w))
		return 0;
	rule = rule_of(&r->maps, w[0], s->line);
	if (!rule)
		return too_many(r, s->line, err);
	snprintf(in ? rule->inside : rule->outside, sizeof(rule->inside), "%s", w[1]);
	return 0;
}

static int take_excluded(struct reading *r, const struct import_tree *t, const struct import_statement *s,
			 struct error *err)
{
	const char *w[IMPORT_TREE_WORDS];
	bool address = import_tree_is(t, s, "nat cgnat exclude rule * local-address *", w);
	struct rule *rule;

	if (!address && !import_tree_is(t, s, "nat cgnat exclude rule * local-port *", w) &&
	    !import_tree_is(t, s, "nat cgnat exclude rule * protocol *", w))
		return 0;
	rule = rule_of(&r->excluded, w[0], s->line);
	if (!rule)
		return too_many(r, s->line, err);
	if (address)
		snprintf(rule->inside, sizeof(rule->inside), "%s", w[1]);
	else
		rule->port = true;
	return 0;
}

static void take_timeout(struct import *m, const char *word, const char *value, uint32_t line)
{
	static const struct {
		const char *word;
		enum timeout timeout;
	} words[] = { { "udp", TIMEOUT_UDP },
		      { "tcp-established", TIMEOUT_TCP_ESTABLISHED },
		      { "tcp-transitory", TIMEOUT_TCP_TRANSITORY },
		      { "icmp", TIMEOUT_ICMP } };
	uint32_t seconds;

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].word, word) && !import_number(value, 604800, &seconds) && seconds) {
			m->timeouts[words[i].timeout] = seconds;
			return;
		}
	import_note(m, IMPORT_TIMEOUT, line, "timeout %s %s: no counterpart", QUOTED(word), QUOTED(value));
}

static int take(struct reading *r, const struct import_tree *t, const struct import_statement *s, struct error *err)
{
	const char *w[IMPORT_TREE_WORDS];
	struct import *m = r->v->m;
	int ret;

	if (s->inactive)
		return 0;
	if (import_tree_is(t, s, "nat cgnat interface inside *", w))
		import_names_add(m, &m->inside, w[0]);
	else if (import_tree_is(t, s, "nat cgnat interface outside *", w))
		import_names_add(m, &m->outside, w[0]);
	else if (import_tree_is(t, s, "nat cgnat timeout * *", w))
		take_timeout(m, w[0], w[1], s->line);
	ret = take_map(r, t, s, err);
	return ret ? ret : take_excluded(r, t, s, err);
}

/* Whether an address is in one of the maps. */
static bool translated(const struct reading *r, uint32_t addr)
{
	for (size_t i = 0; i < r->maps.n; i++) {
		struct import_range in;

		if (!import_range_parse(r->maps.rule[i].inside, &in) && import_range_has(in, addr))
			return true;
	}
	return false;
}

static int exclude(struct reading *r, const struct rule *rule, struct error *err)
{
	struct import *m = r->v->m;
	struct import_range in;

	if (import_range_parse(rule->inside, &in))
		return import_fault(m, rule->line, err, "exclude rule %s: needs a local-address, not %s",
				    QUOTED(rule->number), QUOTED(rule->inside));
	if (rule->port)
		import_note(m, IMPORT_EXCEPTION, rule->line,
			    "exclude rule %s: a port or protocol of %.40s keeps its address there, and not here",
			    rule->number, rule->inside);
	else if (!translated(r, in.first) && !translated(r, in.last))
		import_note(m, IMPORT_TAKEN, rule->line,
			    "exclude rule %s: %.40s is in no inside-prefix, so that nothing is to be done",
			    rule->number, rule->inside);
	else
		import_set_add(&r->set, in);
	return r->set.failed ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int expand(struct reading *r, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < r->excluded.n && !ret; i++)
		ret = exclude(r, &r->excluded.rule[i], err);
	r->v->excluded = r->set.list;
	for (size_t i = 0; i < r->maps.n && !ret && !r->v->m->failed; i++) {
		const struct rule *rule = &r->maps.rule[i];

		if (!*rule->inside || !*rule->outside)
			return import_fault(r->v->m, rule->line, err, "rule %s has no %s; is the file whole?",
					    QUOTED(rule->number), *rule->inside ? "outside-prefix" : "inside-prefix");
		ret = import_vpp_map(r->v, rule->inside, rule->outside, rule->line, err);
	}
	return ret;
}

int import_vpp_read_vyos(struct import_vpp *v, const struct import_text *text, struct error *err)
{
	_cleanup_free_ struct rule *maps = calloc(RULES, sizeof(*maps)), *excluded = calloc(RULES, sizeof(*maps));
	struct reading r = { .v = v, .maps = { maps, 0 }, .excluded = { excluded, 0 } };
	struct import_tree t = {};
	int ret;

	if (!maps || !excluded)
		return error_set(err, -ENOMEM, "out of memory");
	ret = import_tree_read(v->m, text, &t, err);
	for (size_t i = 0; i < t.n && !ret; i++)
		ret = take(&r, &t, &t.statement[i], err);
	ret = ret ? ret : expand(&r, err);
	import_tree_free(&t);
	return ret;
}
