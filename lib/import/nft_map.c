// SPDX-License-Identifier: BSD-2-Clause
/* nftables: words of a statement, definitions, and the elements of sets and maps. */
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

/* A definition's name begins with $ and is of no table. */
static void name_of(const struct nft *r, const char *name, char both[static IMPORT_NFT_TABLE + 64])
{
	snprintf(both, IMPORT_NFT_TABLE + 64, "%s %.60s", *name == '$' ? "" : r->table, name);
}

struct nft_map *nft_map_find(struct nft *r, const char *name)
{
	char both[sizeof(r->map->name)];

	name_of(r, name, both);
	for (size_t i = r->n_maps; i--;)
		if (!strcmp(r->map[i].name, both))
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
	name_of(r, name, map->name);
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

const char *nft_value(struct nft *r, const char *word)
{
	if (*word != '$')
		return word;
	for (size_t i = r->n_defines; i--;)
		if (!strcmp(r->define[i].name, word + 1))
			return r->define[i].value;
	return word;
}

/* What counts or ends elements: "counter packets 0 bytes 0", "timeout 1h expires 5m", "comment "…"". */
static void skip_state(struct nft *r)
{
	static const char *const with_value[] = {
		"packets", "bytes", "name", "timeout", "expires", "comment", "quota"
	};

	for (bool known = true; known;) {
		known = import_token_is(&r->t, "counter");
		if (known)
			nft_next(r);
		for (size_t i = 0; i < ARRAY_SIZE(with_value) && !known; i++) {
			known = import_token_is(&r->t, with_value[i]);
			if (known && nft_next(r))
				nft_next(r);
		}
	}
}

/* "jump CHAIN", "accept" and the like behind a key; false: it is no verdict. */
static bool take_verdict(struct nft *r, struct nft_element *e)
{
	static const struct word verdicts[] = { { "accept", RULE_ACCEPT }, { "return", RULE_RETURN },
						{ "continue", RULE_PASS }, { "jump", RULE_JUMP },
						{ "goto", RULE_GOTO },	   {} };
	uint32_t action;

	if (word_number(verdicts, r->t.word, &action))
		return false;
	e->verdict = true;
	e->action = action;
	if (action == RULE_JUMP || action == RULE_GOTO) {
		nft_next(r);
		e->target = nft_chain(r, r->t.word);
	}
	nft_next(r);
	return true;
}

/* "KEY", "KEY : ADDRESS [. PORTS]", "KEY : VERDICT"; the key was read. */
static bool take_element(struct nft *r, struct nft_element *e)
{
	size_t n = strlen(r->t.word);
	bool colon = n > 1 && r->t.word[n - 1] == ':';
	uint32_t lo, hi;

	/* "KEY: …" */
	if (colon)
		r->t.word[n - 1] = '\0';
	*e = (struct nft_element){ .line = r->t.line, .target = IMPORT_CHAIN_NONE, .action = RULE_PASS };
	e->rest = import_token_is(&r->t, "*");
	if (e->rest)
		e->from = (struct import_range){ 0, UINT32_MAX };
	else if (import_range_parse(nft_value(r, r->t.word), &e->from))
		e->protos = import_protocol(r->t.word);
	if (!e->rest && !e->from.last && !(e->protos & IMPORT_ALL))
		return false;
	nft_next(r);
	skip_state(r);
	if (!colon && !import_token_is(&r->t, ":"))
		return true;
	if (!colon)
		nft_next(r);
	if (take_verdict(r, e))
		return true;
	if (import_range_parse(nft_value(r, r->t.word), &e->to))
		return false;
	nft_next(r);
	e->action = RULE_SNAT;
	if (!import_token_is(&r->t, "."))
		return true;
	if (!nft_next(r) || import_ports_parse(r->t.word, &lo, &hi))
		return false;
	e->ported = true;
	e->lo = (uint16_t)lo;
	e->hi = (uint16_t)hi;
	nft_next(r);
	skip_state(r);
	return true;
}

static bool add_range(struct nft *r, struct import_set *ret)
{
	struct import_range range;

	if (import_range_parse(nft_value(r, r->t.word), &range))
		return false;
	import_set_add(ret, range);
	return true;
}

bool nft_set_take(struct nft *r, struct import_set *ret)
{
	const struct nft_map *map = *r->t.word == '@'	? nft_map_find(r, r->t.word + 1)
				    : *r->t.word == '$' ? nft_map_find(r, r->t.word)
							: NULL;
	bool ok = true;

	if (map) {
		for (size_t i = map->first; i < map->first + map->n; i++) {
			ok &= !r->element[i].protos && !r->element[i].rest;
			import_set_add(ret, r->element[i].from);
		}
		return ok && map->n && !map->cut;
	}
	if (!import_token_is(&r->t, "{"))
		return add_range(r, ret);
	while (nft_next(r) && !import_token_is(&r->t, "}"))
		if (!nft_between(r))
			ok &= *r->t.word == '$' && nft_map_find(r, r->t.word) ? nft_set_take(r, ret)
									      : add_range(r, ret);
	r->set_end = true;
	return ok;
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
		map->cut = true;
		if (!told)
			import_note(r->m, IMPORT_UNKNOWN, r->t.line,
				    "an element of %s at %s is not understood: not taken", QUOTED(map->name),
				    QUOTED(r->t.word));
		told = true;
		while (!r->t.over && !nft_between(r) && !import_token_is(&r->t, "}"))
			nft_next(r);
	}
	r->set_end = true;
}

/* "define NAME = VALUE", "define NAME = { VALUES }" */
void nft_define(struct nft *r)
{
	struct nft_define *d;
	char name[64];

	nft_next(r);
	snprintf(name, sizeof(name), "$%.62s", r->t.word);
	nft_next(r);
	if (import_token_is(&r->t, "="))
		nft_next(r);
	if (import_token_is(&r->t, "{")) {
		struct nft_map *set = nft_map_of(r, name);
		size_t notes = r->m->n_notes;

		if (set) {
			/* A later definition takes the place of an earlier one. */
			set->first = r->n_elements;
			set->n = 0;
			set->cut = false;
			nft_elements(r, set);
		}
		/* It may be one of interfaces: what is not understood is said where it is used. */
		import_notes_cut(r->m, notes);
		nft_skip(r);
		return;
	}
	d = realloc(r->define, (r->n_defines + 1) * sizeof(*d));
	if (!d) {
		import_fail(r->m, "out of memory");
		return;
	}
	r->define = d;
	d += r->n_defines;
	snprintf(d->name, sizeof(d->name), "%.63s", name + 1);
	if (strlen(r->t.word) < sizeof(d->value) && !nft_ends(r)) {
		snprintf(d->value, sizeof(d->value), "%.63s", r->t.word);
		r->n_defines++;
	}
	nft_skip(r);
}
