// SPDX-License-Identifier: BSD-2-Clause
/*
 * nftables: rules of chains at postrouting, a rule a subscriber or a map from source to address and ports, as
 * `nft list ruleset` prints them and as files of commands have them.
 */
#include <string.h>

#include "import/format_nft.h"
#include "import/import_build.h"
#include "import/import_formats.h"

/* The statements of a block, whose brace was read, up to the closing one. */
static void chain_block(struct nft *r, uint32_t chain)
{
	while (nft_next(r) && !import_token_is(&r->t, "}") && !r->m->failed) {
		if (nft_between(r))
			continue;
		if (import_token_is(&r->t, "type")) {
			bool nat = false;

			for (; nft_next(r) && !import_token_is(&r->t, ";") && !import_token_is(&r->t, "}");) {
				nat |= import_token_is(&r->t, "nat");
				if (nat && import_token_is(&r->t, "postrouting") && chain < r->rules.n_chains)
					r->rules.chain[chain].base = true;
			}
		} else if (import_token_is(&r->t, "policy") || import_token_is(&r->t, "comment") ||
			   import_token_is(&r->t, "flags")) {
			nft_skip(r);
		} else {
			nft_rule(r, chain);
		}
		if (import_token_is(&r->t, "}"))
			return;
	}
}

static void map_block(struct nft *r, const char *name)
{
	struct nft_map *map = nft_map_of(r, name);

	while (map && nft_next(r) && !import_token_is(&r->t, "}") && !r->m->failed) {
		if (!import_token_is(&r->t, "elements"))
			continue;
		while (nft_next(r) && !import_token_is(&r->t, "{") && !import_token_is(&r->t, ";"))
			;
		if (import_token_is(&r->t, "{"))
			nft_elements(r, map);
	}
}

static void to_brace(struct nft *r)
{
	while (!r->t.over && !import_token_is(&r->t, "{") && !import_token_is(&r->t, ";"))
		nft_next(r);
}

static void table_block(struct nft *r)
{
	while (nft_next(r) && !import_token_is(&r->t, "}") && !r->m->failed) {
		char kind[IMPORT_TOKEN], name[IMPORT_TOKEN];

		if (nft_between(r))
			continue;
		snprintf(kind, sizeof(kind), "%s", r->t.word);
		nft_next(r);
		snprintf(name, sizeof(name), "%s", r->t.word);
		to_brace(r);
		if (!import_token_is(&r->t, "{"))
			continue;
		if (!strcmp(kind, "chain") && !r->sets)
			chain_block(r, nft_chain(r, name));
		else if ((!strcmp(kind, "map") || !strcmp(kind, "set")) && r->sets)
			map_block(r, name);
		else
			nft_skip_braces(r);
	}
}

/* "[FAMILY] TABLE", whose first word was read; the last of them is then the token. */
static void take_table(struct nft *r)
{
	static const char *const families[] = { "ip", "inet", "ip6", "arp", "bridge", "netdev" };
	char family[8] = "ip";

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (!import_token_is(&r->t, families[i]))
			continue;
		snprintf(family, sizeof(family), "%s", families[i]);
		nft_next(r);
		break;
	}
	snprintf(r->table, sizeof(r->table), "%s %.80s", family, r->t.word);
}

/* "add rule [ip] TABLE CHAIN …" and the like; the word after add was read. */
static void take_command(struct nft *r)
{
	char kind[IMPORT_TOKEN], name[IMPORT_TOKEN];

	snprintf(kind, sizeof(kind), "%s", r->t.word);
	nft_next(r);
	take_table(r);
	nft_next(r);
	snprintf(name, sizeof(name), "%s", r->t.word);
	if (!strcmp(kind, "rule") && r->sets) {
		nft_skip(r);
		return;
	}
	if (!strcmp(kind, "rule")) {
		uint32_t chain = nft_chain(r, name);

		nft_next(r);
		nft_rule(r, chain);
		return;
	}
	to_brace(r);
	if (!import_token_is(&r->t, "{"))
		return;
	if (!strcmp(kind, "chain") && !r->sets) {
		chain_block(r, nft_chain(r, name));
	} else if ((!strcmp(kind, "map") || !strcmp(kind, "set")) && r->sets) {
		map_block(r, name);
	} else if (!strcmp(kind, "element") && r->sets) {
		struct nft_map *map = nft_map_of(r, name);

		if (map)
			nft_elements(r, map);
	} else {
		nft_skip_braces(r);
	}
}

static int read_file(struct nft *r, struct error *err)
{
	while (nft_next(r) && !r->m->failed) {
		if (nft_between(r))
			continue;
		while (import_token_is(&r->t, "nft") || import_token_is(&r->t, "sudo"))
			nft_next(r);
		if (import_token_is(&r->t, "define")) {
			nft_define(r);
		} else if (import_token_is(&r->t, "table")) {
			uint32_t line = r->t.line;

			nft_next(r);
			take_table(r);
			to_brace(r);
			if (import_token_is(&r->t, "{"))
				table_block(r);
			if (r->t.over)
				return import_fault(r->m, line, err, "the table does not end; is the file whole?");
		} else if (import_token_is(&r->t, "add")) {
			nft_next(r);
			take_command(r);
		} else if (import_token_is(&r->t, "insert") || import_token_is(&r->t, "include")) {
			if (!r->sets)
				import_note(r->m, IMPORT_UNKNOWN, r->t.line,
					    "%.10s: not taken; import the output of nft list ruleset", r->t.word);
			nft_skip(r);
		} else {
			nft_skip(r);
		}
	}
	return 0;
}

int import_read_nft(struct import *m, const struct import_text *text, const struct import_options *options,
		    struct error *err)
{
	struct nft r = { .m = m, .rules = { .m = m }, .sets = true };
	int e;

	import_tokens_begin(&r.t, text);
	e = read_file(&r, err);
	/* Values of definitions are those above a rule. */
	r.n_defines = 0;
	r.sets = false;
	import_tokens_begin(&r.t, text);
	e = e ? e : read_file(&r, err);
	if (!e)
		import_rules_walk(&r.rules);
	import_rules_free(&r.rules);
	free(r.define);
	free(r.element);
	free(r.map);
	return e;
}
