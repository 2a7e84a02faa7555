// SPDX-License-Identifier: BSD-2-Clause
/*
 * MikroTik RouterOS: /ip firewall nat of exports, of scripts, and as print shows it. The chain srcnat, and those that
 * it jumps to, are walked. Address lists of the same file are read first, as rules may come before them.
 */
#include <string.h>

#include "base/text.h"
#include "import/format_routeros.h"
#include "import/import_formats.h"

static bool is_number(const char *word)
{
	return *word && word[strspn(word, "0123456789")] == '\0';
}

static bool is_command(const char *word)
{
	static const char *const commands[] = { "add",	"set",	 "remove", "print", "export", "enable", "disable",
						"move", "unset", "edit",   "find",  "get",    "comment" };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(word, commands[i]))
			return true;
	return false;
}

static void add_path(char path[static 96], const char *part, size_t n)
{
	size_t used = strlen(path);

	snprintf(path + used, 96 - used, "%s%.*s", used ? " " : "", (int)(n < 40 ? n : 40), part);
}

/*
 * "/ip firewall nat", "/ip/firewall/nat", "/ip/firewall/nat/add …", "/ip firewall" and then "nat add …": the words from
 * *at on that name a section. A command behind its last / is left as the word at *at.
 */
static void take_path(struct routeros *r, unsigned *at)
{
	struct import_lines *l = r->l;

	for (; *at < l->n_words; ++*at) {
		char *word = l->word[*at];

		if (is_command(word) || is_number(word) || strchr(word, '='))
			return;
		for (char *part = word; part; part = strchr(part, '/')) {
			size_t n = strcspn(part += *part == '/', "/");

			if (!part[n] && is_command(part)) {
				l->word[*at] = part;
				return;
			}
			if (n)
				add_path(r->section, part, n);
		}
	}
}

/* "[admin@MikroTik] /ip firewall nat> add …": the word behind the prompt, which may name a section. */
static unsigned skip_prompt(struct routeros *r)
{
	struct import_lines *l = r->l;
	unsigned end = 0;

	if (l->word[0][0] != '[')
		return 0;
	while (end < l->n_words && l->word[end][strlen(l->word[end]) - 1] != '>')
		end++;
	if (end == l->n_words)
		return 0;
	l->word[end][strlen(l->word[end]) - 1] = '\0';
	for (unsigned i = 1; i <= end; i++) {
		if (*l->word[i] != '/')
			continue;
		r->path[0] = '\0';
		for (; i <= end; i++)
			for (char *part = l->word[i]; *part; part += strcspn(part, "/")) {
				part += *part == '/';
				if (*part)
					add_path(r->path, part, strcspn(part, "/"));
			}
	}
	return end + 1;
}

/* The section in which the words from *at on are. A command behind a path is one of that section, alone. */
static void find_section(struct routeros *r, unsigned *at)
{
	struct import_lines *l = r->l;
	const char *word = *at < l->n_words ? l->word[*at] : "";
	bool whole =
		*word == '/' || (!strcmp(word, "ip") && *at + 2 < l->n_words && !strcmp(l->word[*at + 1], "firewall"));

	memcpy(r->section, r->path, sizeof(r->section));
	if (!whole && (strcmp(r->path, "ip firewall") != 0 || !*word || is_command(word) || strchr(word, '=')))
		return;
	if (whole)
		r->section[0] = '\0';
	take_path(r, at);
	if (*at == l->n_words)
		memcpy(r->path, r->section, sizeof(r->path));
}

/* The words of an entry as print shows it: behind its number and its flags. */
static unsigned skip_flags(const struct routeros *r, unsigned at, bool *ret_disabled)
{
	const struct import_lines *l = r->l;

	for (at++; at < l->n_words && !strchr(l->word[at], '='); at++)
		*ret_disabled |= strchr(l->word[at], 'X') && strlen(l->word[at]) <= 3;
	return at;
}

static int take_nat(struct routeros *r, unsigned at, struct error *err)
{
	static const char *const changes[] = { "set", "remove", "move", "enable", "disable", "unset" };
	const char *word = r->l->word[at];

	if (!strcmp(word, "add"))
		return routeros_rule(r, at + 1, false, err);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (!strcmp(word, changes[i]))
			import_note(r->m, IMPORT_UNKNOWN, r->l->line,
				    "%.10s in the list of rules: not taken; export the list as it is", word);
	if (*word == ':' || *word == '{')
		import_note(r->m, IMPORT_UNKNOWN, r->l->line,
			    "%.10s of a script: not run; import what /ip firewall nat export prints", word);
	return 0;
}

static int take_line(struct routeros *r, bool lists, struct error *err)
{
	struct import_lines *l = r->l;
	unsigned at = skip_prompt(r);
	bool flagged = false, nat, printed;

	find_section(r, &at);
	if (at >= l->n_words)
		return 0;
	printed = is_number(l->word[at]);
	if (printed)
		at = skip_flags(r, at, &flagged);
	if (at >= l->n_words)
		return 0;
	if (lists) {
		/* Entries of print need no section: only they have a list and an address. */
		if (!strcmp(r->section, "ip firewall address-list") || printed)
			routeros_list_take(r, flagged ? l->n_words : at);
		return 0;
	}
	/* The title of the section may be lost. */
	nat = !strcmp(r->section, "ip firewall nat") || (!*r->section && routeros_value(l, at, "chain"));
	if (printed && routeros_value(l, at, "chain") && nat)
		return routeros_rule(r, at, flagged, err);
	if (!strcmp(r->section, "ip firewall mangle") && (printed || !strcmp(l->word[at], "add")) && !flagged)
		routeros_mangle(r, at);
	return nat && !printed ? take_nat(r, at, err) : 0;
}

/* Each line once. */
static int walk(struct routeros *r, const struct import_text *text, bool lists, struct error *err)
{
	int e = 0;

	if (import_lines_begin(r->l, text, true))
		return error_set(err, -ENOMEM, "out of memory");
	r->l->joins = true;
	r->path[0] = '\0';
	while (!e && !r->m->failed && import_lines_next(r->l)) {
		import_lines_words(r->l, "", '#');
		if (r->l->n_words)
			e = take_line(r, lists, err);
	}
	import_lines_end(r->l);
	return e;
}

int import_read_routeros(struct import *m, const struct import_text *text, const struct import_options *options,
			 struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct routeros r = { .m = m, .rules = { .m = m }, .l = l };
	int e;

	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	e = walk(&r, text, true, err);
	e = e ? e : walk(&r, text, false, err);
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
	for (size_t i = 0; i < r.n_lists; i++)
		import_ranges_free(&r.list[i].range);
	free(r.list);
	return e;
}
