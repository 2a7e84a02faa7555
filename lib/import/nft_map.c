// SPDX-License-Identifier: BSD-2-Clause
/* nftables: words of a statement, and the elements of maps. */
#include <string.h>

#include "base/text.h"
#include "import/format_nft.h"
#include "import/import_build.h"

bool nft_next(struct nft *r)
{
	r->set_end = false;
	return import_tokens_next(&r->t);
}

uint32_t nft_chain(struct nft *r, const char *name)
{
	char both[IMPORT_NFT_TABLE + 96];

	snprintf(both, sizeof(both), "%s %.90s", r->table, name);
	return import_chain(&r->rules, both);
}

bool nft_ends(const struct nft *r)
{
	return r->t.over || import_token_is(&r->t, ";") || (import_token_is(&r->t, "}") && !r->set_end);
}

bool nft_between(const struct nft *r)
{
	return import_token_is(&r->t, ",") || import_token_is(&r->t, ";");
}

/* Skips what is between braces, the first of which was read. */
void nft_skip_braces(struct nft *r)
{
	for (unsigned depth = 1; depth && nft_next(r);) {
		depth += import_token_is(&r->t, "{");
		depth -= import_token_is(&r->t, "}");
	}
	r->set_end = true;
}

/* Skips the rest of a statement, with what is between braces in it. */
void nft_skip(struct nft *r)
{
	while (!nft_ends(r)) {
		if (import_token_is(&r->t, "{"))
			nft_skip_braces(r);
		nft_next(r);
	}
}

struct nft_map *nft_map_find(struct nft *r, const char *name)
{
	for (size_t i = r->n_maps; i--;)
		if (!strcmp(r->map[i].name, name))
			return &r->map[i];
	return NULL;
}

struct nft_map *nft_map_of(struct nft *r, const char *name)
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

		if (nft_between(r)) {
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
				    "an element of map %s at %s is not understood: not taken", QUOTED(map->name),
				    QUOTED(r->t.word));
		told = true;
		while (!r->t.over && !nft_between(r) && !import_token_is(&r->t, "}"))
			nft_next(r);
	}
	r->set_end = true;
}
