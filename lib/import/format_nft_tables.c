// SPDX-License-Identifier: BSD-2-Clause
/* nftables: tables, chains and maps, and commands that add to them. */
#include <string.h>

#include "import/format_nft.h"
#include "import/import_build.h"

struct nft_map *nft_map_find(struct nft *r, const char *name)
{
	for (size_t i = r->n_maps; i--;)
		if (!strcmp(r->map[i].name, name))
			return &r->map[i];
	return NULL;
}

static struct nft_map *map_of(struct nft *r, const char *name)
{
	struct nft_map *map = nft_map_find(r, name);

	if (map)
		return map;
	map = realloc(r->map, (r->n_maps + 1) * sizeof(*map));
	if (!map) {
		import_fail(r->m, "out of memory");
		return NULL;
	}
	r->map = map;
	map += r->n_maps++;
	*map = (struct nft_map){ .first = r->n_elements };
	snprintf(map->name, sizeof(map->name), "%.63s", name);
	return map;
}

static struct nft_element *new_element(struct nft *r)
{
	if (r->n_elements == r->elements_room) {
		size_t room = r->elements_room ? 2 * r->elements_room : 1024;
		struct nft_element *e = realloc(r->element, room * sizeof(*e));

		if (!e) {
			import_fail(r->m, "out of memory");
			return NULL;
		}
		r->element = e;
		r->elements_room = room;
	}
	r->element[r->n_elements] = (struct nft_element){};
	return &r->element[r->n_elements++];
}

/* "KEY : ADDRESS [. PORTS]"; the key was read. */
static bool take_element(struct nft *r, struct nft_element *e)
{
	uint32_t lo, hi;

	e->line = r->t.line;
	if (import_range_parse(r->t.word, &e->from) || !nft_next(r) || !import_token_is(&r->t, ":") || !nft_next(r) ||
	    import_range_parse(r->t.word, &e->to) || !nft_next(r))
		return false;
	if (!import_token_is(&r->t, "."))
		return true;
	if (!nft_next(r) || import_ports_parse(r->t.word, &lo, &hi))
		return false;
	e->ported = true;
	e->lo = (uint16_t)lo;
	e->hi = (uint16_t)hi;
	nft_next(r);
	return true;
}

static bool between(const struct nft *r)
{
	return import_token_is(&r->t, ",") || import_token_is(&r->t, ";");
}

void nft_elements(struct nft *r, struct nft_map *map)
{
	bool told = false;

	/* Elements of a map are side by side; those that come later follow copies of the earlier ones. */
	if (map->first + map->n != r->n_elements) {
		size_t first = r->n_elements;

		for (size_t i = 0; i < map->n; i++) {
			struct nft_element *e = new_element(r);

			if (!e)
				return;
			*e = r->element[map->first + i];
		}
		map->first = first;
	}
	nft_next(r);
	while (!r->t.over && !import_token_is(&r->t, "}") && !r->m->failed) {
		struct nft_element *e;

		if (between(r)) {
			nft_next(r);
			continue;
		}
		e = new_element(r);
		if (!e)
			return;
		if (take_element(r, e)) {
			map->n++;
			continue;
		}
		r->n_elements--;
		if (!told)
			import_note(r->m, IMPORT_UNKNOWN, r->t.line,
				    "an element of map %.40s at \"%.40s\" is not understood: not taken", map->name,
				    r->t.word);
		told = true;
		while (!r->t.over && !between(r) && !import_token_is(&r->t, "}"))
			nft_next(r);
	}
	r->set_end = true;
}

static void skip_block(struct nft *r)
{
	for (unsigned depth = 1; depth && nft_next(r);) {
		depth += import_token_is(&r->t, "{");
		depth -= import_token_is(&r->t, "}");
	}
}

/* The statements of a block, whose brace was read, up to the closing one. */
static void chain_block(struct nft *r, uint32_t chain)
{
	while (nft_next(r) && !import_token_is(&r->t, "}") && !r->m->failed) {
		if (between(r))
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
	struct nft_map *map = map_of(r, name);

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

		if (between(r))
			continue;
		snprintf(kind, sizeof(kind), "%s", r->t.word);
		nft_next(r);
		snprintf(name, sizeof(name), "%s", r->t.word);
		to_brace(r);
		if (!import_token_is(&r->t, "{"))
			continue;
		if (!strcmp(kind, "chain"))
			chain_block(r, import_chain(&r->rules, name));
		else if (!strcmp(kind, "map"))
			map_block(r, name);
		else
			skip_block(r);
	}
}

/* "add rule [ip] TABLE CHAIN …" and the like; the word after add was read. */
static void take_command(struct nft *r)
{
	char kind[IMPORT_TOKEN], name[IMPORT_TOKEN];

	snprintf(kind, sizeof(kind), "%s", r->t.word);
	nft_next(r);
	if (import_token_is(&r->t, "ip") || import_token_is(&r->t, "inet"))
		nft_next(r);
	nft_next(r);
	snprintf(name, sizeof(name), "%s", r->t.word);
	if (!strcmp(kind, "rule")) {
		uint32_t chain = import_chain(&r->rules, name);

		nft_next(r);
		nft_rule(r, chain);
		return;
	}
	to_brace(r);
	if (!import_token_is(&r->t, "{"))
		return;
	if (!strcmp(kind, "chain")) {
		chain_block(r, import_chain(&r->rules, name));
	} else if (!strcmp(kind, "map")) {
		map_block(r, name);
	} else if (!strcmp(kind, "element")) {
		struct nft_map *map = map_of(r, name);

		if (map)
			nft_elements(r, map);
	} else {
		skip_block(r);
	}
}

int nft_file(struct nft *r, struct error *err)
{
	while (nft_next(r) && !r->m->failed) {
		if (between(r))
			continue;
		while (import_token_is(&r->t, "nft") || import_token_is(&r->t, "sudo"))
			nft_next(r);
		if (import_token_is(&r->t, "define")) {
			nft_define(r);
		} else if (import_token_is(&r->t, "table")) {
			uint32_t line = r->t.line;

			to_brace(r);
			if (import_token_is(&r->t, "{"))
				table_block(r);
			if (r->t.over)
				return import_fault(r->m, line, err, "the table does not end; is the file whole?");
		} else if (import_token_is(&r->t, "add")) {
			nft_next(r);
			take_command(r);
		} else if (import_token_is(&r->t, "insert") || import_token_is(&r->t, "include")) {
			import_note(r->m, IMPORT_UNKNOWN, r->t.line,
				    "%.10s: not taken; import the output of nft list ruleset", r->t.word);
			nft_skip(r);
		} else {
			nft_skip(r);
		}
	}
	return 0;
}
