/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "tables/prefix_index.h"

#include "tables/prefix_index_private.h"

/* A node with the meaning of the leaf or empty entry that it will replace. */
static uint16_t new_node(struct prefix_index *x, uint16_t entry)
{
	uint16_t node = (uint16_t)index_find_free(x, INDEX_ROOTS);

	x->usage[node] = NODE_LINKED;
	count_entries(x, entry, 256);
	for (uint32_t i = 0; i < 256; i++) {
		x->own[node].entry[i] = entry;
		x->nodes[node].entry[i] = published(x, entry);
	}
	return node;
}

/* The prefixes that a prefix or range is cut into, in order; ends when they are used up. */
struct pieces {
	uint64_t next;
	uint32_t last;
};

static struct pieces pieces_of(struct prefix p)
{
	return (struct pieces){ p.base, prefix_last(p) };
}

static bool next_piece(struct pieces *s, struct prefix *ret)
{
	if (s->next > s->last)
		return false;
	*ret = prefix_first_of((uint32_t)s->next, s->last);
	s->next = (uint64_t)prefix_last(*ret) + 1;
	return true;
}

/* Entries of which a tenant's leaf will be another one besides those of other tenants: each value needs a set. */
struct shared_values {
	const struct prefix_index *x;
	uint8_t tenant;
	uint32_t size; /* of the prefix, less 1 */
	uint8_t seen[(UINT16_MAX + 1) / 8];
	int n;
};

static bool gives_way(const struct prefix_index *x, uint16_t entry, uint32_t size);

static void note_value(struct shared_values *v, uint16_t entry)
{
	uint8_t bit = (uint8_t)(1U << entry % 8);

	if (!entry || v->seen[entry / 8] & bit || (!is_shared(entry) && tenant_of(v->x, entry) == v->tenant) ||
	    !gives_way(v->x, leaf_for(v->x, entry, v->tenant), v->size))
		return;
	v->seen[entry / 8] |= bit;
	v->n++;
}

/* The entries first..last of a node, and all those of the nodes behind them. */
static void note_values(struct shared_values *v, uint32_t node, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i <= last; i++) {
		uint16_t entry = get(v->x, node, i);

		if (is_link(entry))
			note_values(v, entry, 0, 255);
		else
			note_value(v, entry);
	}
}

static void note_values_of_piece(struct shared_values *v, struct prefix p)
{
	uint32_t last = prefix_last(p);
	uint16_t second, third;

	if (p.plen <= 16) {
		for (uint32_t i = p.base >> 16; i <= last >> 16; i++)
			note_values(v, i >> 8, i & 255, i & 255);
		return;
	}
	second = get(v->x, octet(p.base, 0), octet(p.base, 1));
	if (!is_link(second)) {
		note_value(v, second);
		return;
	}
	if (p.plen <= 24) {
		note_values(v, second, octet(p.base, 2), octet(last, 2));
		return;
	}
	third = get(v->x, second, octet(p.base, 2));
	if (is_link(third))
		note_values(v, third, octet(p.base, 3), octet(last, 3));
	else
		note_value(v, third);
}

/* How many sets painting a tenant's prefix may need. */
static int sets_needed(const struct prefix_index *x, uint8_t tenant, struct prefix p)
{
	struct shared_values v = { .x = x, .tenant = tenant, .size = prefix_last(p) - p.base };
	struct pieces s = pieces_of(p);

	for (struct prefix piece; x->nests && next_piece(&s, &piece);)
		note_values_of_piece(&v, piece);
	return v.n;
}

/*
 * Whether enough nodes are free: one for each 2^16 addresses of which a part is needed, the same for 2^8, and those for
 * sets.
 */
int index_check_room(const struct prefix_index *x, uint8_t tenant, struct prefix p)
{
	uint64_t second_of = UINT64_MAX, third_of = UINT64_MAX;
	struct pieces s = pieces_of(p);
	int needed = sets_needed(x, tenant, p), node = INDEX_ROOTS - 1;

	for (struct prefix piece; next_piece(&s, &piece);) {
		uint16_t second = get(x, octet(piece.base, 0), octet(piece.base, 1));
		bool has_second = second && !is_leaf(second);
		uint16_t third = has_second ? get(x, second, octet(piece.base, 2)) : 0;

		needed += piece.plen > 16 && !has_second && piece.base >> 16 != second_of;
		if (piece.plen > 16)
			second_of = piece.base >> 16;
		needed += piece.plen > 24 && (!third || is_leaf(third)) && piece.base >> 8 != third_of;
		if (piece.plen > 24)
			third_of = piece.base >> 8;
	}
	for (; needed && node >= 0; needed--)
		node = index_find_free(x, (uint32_t)node + 1);
	return node < 0 ? node : 0;
}

static int check_empty_piece(const struct prefix_index *x, uint32_t base, unsigned plen)
{
	uint32_t last = last_addr(base, plen);

	if (plen <= 16) {
		for (uint32_t i = base >> 16; i <= last >> 16; i++)
			if (get(x, i >> 8, i & 255))
				return -EEXIST;
		return 0;
	}

	uint16_t second = get(x, octet(base, 0), octet(base, 1));

	if (is_leaf(second))
		return -EEXIST;
	if (plen <= 24) {
		for (uint32_t i = octet(base, 2); second && i <= octet(last, 2); i++)
			if (get(x, second, i))
				return -EEXIST;
		return 0;
	}

	uint16_t third = second ? get(x, second, octet(base, 2)) : 0;

	if (is_leaf(third))
		return -EEXIST;
	for (uint32_t i = octet(base, 3); third && i <= octet(last, 3); i++)
		if (get(x, third, i))
			return -EEXIST;
	return 0;
}

/* Whether nothing conflicts with a prefix that must not overlap any other. */
static int check_empty(const struct prefix_index *x, struct prefix p)
{
	struct pieces s = pieces_of(p);
	int r = 0;

	for (struct prefix piece; !r && next_piece(&s, &piece);)
		r = check_empty_piece(x, piece.base, piece.plen);
	return r;
}

/* The number of the tenant below `end`, from `number` on, that has exactly these addresses, or -ENOENT. */
static int find_equal(const struct prefix_index *x, uint8_t tenant, struct prefix p, unsigned number, unsigned end)
{
	uint32_t last = prefix_last(p);

	for (; number < end; number++)
		if (x->of[number].used && x->of[number].tenant == tenant && x->of[number].first == p.base &&
		    x->of[number].last == last)
			return (int)number;
	return -ENOENT;
}

static int find_mapping(const struct prefix_index *x, uint8_t tenant, struct prefix p)
{
	return find_equal(x, tenant, p, 0, MAX_MAPPINGS);
}

static int find_hold(const struct prefix_index *x, uint8_t tenant, struct prefix p)
{
	return find_equal(x, tenant, p, MAX_MAPPINGS, 2 * MAX_MAPPINGS);
}

int prefix_index_check(const struct prefix_index *x, uint8_t tenant, struct prefix p)
{
	int r = !x->nests ? check_empty(x, p) : find_mapping(x, tenant, p) < 0 ? 0 : -EEXIST;

	return r ? r : index_check_room(x, tenant, p);
}

/* Addresses less 1. */
static uint32_t size_of(const struct index_prefix *p)
{
	return p->last - p->first;
}

/* Whether a leaf's prefix is larger, so that another of this size, less 1, hides it. */
static bool gives_way(const struct prefix_index *x, uint16_t entry, uint32_t size)
{
	return !entry || !x->nests || size_of(&x->of[number_of(entry)]) > size || !x->of[number_of(entry)].used;
}

/* A number being painted. The entry found last, and what it became: neighbours are often the same. */
struct painting {
	uint16_t leaf;
	uint8_t tenant;
	uint32_t size; /* of the whole range, less 1 */
	uint16_t from;
	uint16_t to;
};

static void paint_entry(struct prefix_index *x, uint32_t node, uint32_t i, struct painting *p)
{
	uint16_t entry = get(x, node, i);

	if (!gives_way(x, leaf_for(x, entry, p->tenant), p->size))
		return;
	if (entry != p->from || !p->to) {
		p->to = index_entry_adding(x, entry, p->leaf);
		p->from = entry;
	}
	/* 0: no node, for which index_check_room() has looked. */
	if (p->to)
		set(x, node, i, p->to);
}

/* Sets the entries first..last of a node, and all those of the nodes behind them, wherever they give way. */
static void paint(struct prefix_index *x, uint32_t node, uint32_t first, uint32_t last, struct painting *p)
{
	for (uint32_t i = first; i <= last; i++) {
		uint16_t entry = get(x, node, i);

		if (is_link(entry))
			paint(x, entry, 0, 255, p);
		else
			paint_entry(x, node, i, p);
	}
}

/* Paints one of the prefixes of a range. New nodes are linked when they are complete. */
static void paint_piece(struct prefix_index *x, struct prefix p, struct painting *of)
{
	uint32_t base = p.base, last = prefix_last(p);
	unsigned plen = p.plen;

	if (plen <= 16) {
		for (uint32_t i = base >> 16; i <= last >> 16; i++)
			paint(x, i >> 8, i & 255, i & 255, of);
		return;
	}

	uint16_t linked = get(x, octet(base, 0), octet(base, 1));
	uint16_t second = is_link(linked) ? linked : new_node(x, linked);

	if (plen <= 24) {
		paint(x, second, octet(base, 2), octet(last, 2), of);
	} else {
		uint16_t below = get(x, second, octet(base, 2));
		uint16_t third = is_link(below) ? below : new_node(x, below);

		paint(x, third, octet(base, 3), octet(last, 3), of);
		if (third != below)
			set(x, second, octet(base, 2), third);
	}
	if (second != linked)
		set(x, octet(base, 0), octet(base, 1), second);
}

void index_paint_prefix(struct prefix_index *x, struct prefix p, unsigned number)
{
	struct painting of = { leaf_of(number), x->of[number].tenant, prefix_last(p) - p.base, 0, 0 };
	struct pieces s = pieces_of(p);

	for (struct prefix piece; next_piece(&s, &piece);)
		paint_piece(x, piece, &of);
}

void prefix_index_own(struct prefix_index *x, unsigned number, uint8_t tenant, struct prefix p, bool hidden)
{
	x->of[number] = (struct index_prefix){
		.first = p.base, .last = prefix_last(p), .used = true, .hidden = hidden, .tenant = tenant
	};
}

int index_find_around(const struct prefix_index *x, uint8_t tenant, struct prefix within, bool equal, unsigned end)
{
	uint32_t first = within.base, last = prefix_last(within);
	int found = -ENOENT;

	for (unsigned number = 0; number < end; number++) {
		const struct index_prefix *p = &x->of[number];

		if (p->used && p->tenant == tenant && p->first <= first && p->last >= last &&
		    (equal || size_of(p) > last - first) && (found < 0 || size_of(p) < size_of(&x->of[found])))
			found = (int)number;
	}
	return found;
}

int prefix_index_around(const struct prefix_index *x, uint8_t tenant, struct prefix p)
{
	return index_find_around(x, tenant, p, false, MAX_MAPPINGS);
}

/* A number being removed, and the leaf that replaces its own. */
struct removal {
	uint16_t leaf;
	uint16_t instead;
	uint8_t tenant;
};

void index_fold(struct prefix_index *x, uint32_t node, uint32_t i)
{
	uint16_t entry = get(x, node, i), same = uniform(x, entry);

	if (same != entry) {
		set(x, node, i, same);
		x->usage[entry] = NODE_LEAVING;
		count_entries(x, same, -256);
	}
}

/* Takes from a number the entries first..last of a node, and those of the nodes behind them. */
static void clear(struct prefix_index *x, uint32_t node, uint32_t first, uint32_t last, struct removal r)
{
	for (uint32_t i = first; i <= last; i++) {
		uint16_t entry = get(x, node, i);

		if (is_link(entry)) {
			clear(x, entry, 0, 255, r);
			index_fold(x, node, i);
		} else if (leaf_for(x, entry, r.tenant) == r.leaf) {
			set(x, node, i, index_entry_replacing(x, entry, r.tenant, r.instead));
		}
	}
}

static void clear_piece(struct prefix_index *x, struct prefix p, struct removal r)
{
	uint32_t base = p.base, last = prefix_last(p);
	unsigned plen = p.plen;

	if (plen <= 16) {
		for (uint32_t i = base >> 16; i <= last >> 16; i++)
			clear(x, i >> 8, i & 255, i & 255, r);
		return;
	}

	uint16_t second = get(x, octet(base, 0), octet(base, 1));

	if (!is_link(second))
		return;
	if (plen <= 24) {
		clear(x, second, octet(base, 2), octet(last, 2), r);
	} else {
		uint16_t third = get(x, second, octet(base, 2));

		if (is_link(third)) {
			clear(x, third, octet(base, 3), octet(last, 3), r);
			index_fold(x, second, octet(base, 2));
		}
	}
	index_fold(x, octet(base, 0), octet(base, 1));
}

static void clear_prefix(struct prefix_index *x, struct prefix p, struct removal r)
{
	struct pieces s = pieces_of(p);

	for (struct prefix piece; next_piece(&s, &piece);)
		clear_piece(x, piece, r);
}

/* Gives the leaves of a prefix in the index from one number to another, which has the same prefix. */
static void give(struct prefix_index *x, unsigned number, unsigned to)
{
	const struct index_prefix *p = &x->of[number];

	clear_prefix(x, prefix_of(p->first, p->last), (struct removal){ leaf_of(number), leaf_of(to), p->tenant });
}

static int insert(struct prefix_index *x, uint8_t tenant, struct prefix p, unsigned number, bool hidden)
{
	int r = prefix_index_check(x, tenant, p), hold = x->nests ? find_hold(x, tenant, p) : -ENOENT;

	if (r < 0)
		return r;
	if (x->nests)
		prefix_index_own(x, number, tenant, p, hidden);
	if (hold < 0) {
		index_paint_prefix(x, p, number);
	} else {
		give(x, (unsigned)hold, number);
		x->of[hold].used = false;
	}
	return 0;
}

int prefix_index_insert(struct prefix_index *x, uint8_t tenant, struct prefix p, unsigned number)
{
	return insert(x, tenant, p, number, false);
}

int prefix_index_insert_hidden(struct prefix_index *x, uint8_t tenant, struct prefix p, unsigned number)
{
	return insert(x, tenant, p, number, true);
}

static struct removal removal_of(struct prefix_index *x, unsigned number)
{
	struct index_prefix *p = &x->of[number];
	int around = x->nests && p->used
			     ? index_find_around(x, p->tenant, prefix_of(p->first, p->last), false, 2 * MAX_MAPPINGS)
			     : -ENOENT;

	p->used = false;
	return (struct removal){ leaf_of(number), around < 0 ? 0 : leaf_of((unsigned)around), p->tenant };
}

void prefix_index_remove(struct prefix_index *x, struct prefix p, unsigned number)
{
	clear_prefix(x, p, removal_of(x, number));
}

void prefix_index_remove_number(struct prefix_index *x, unsigned number)
{
	struct removal r = removal_of(x, number);

	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		clear(x, root, 0, 255, r);
}

int prefix_index_hold(struct prefix_index *x, uint8_t tenant, struct prefix p)
{
	int mapping = find_mapping(x, tenant, p), r = index_check_room(x, tenant, p);
	unsigned hold = MAX_MAPPINGS;

	if (find_hold(x, tenant, p) >= 0)
		return 0;
	while (hold < 2 * MAX_MAPPINGS && x->of[hold].used)
		hold++;
	if (r < 0 || hold == 2 * MAX_MAPPINGS)
		return -ENOSPC;
	prefix_index_own(x, hold, tenant, p, true);
	if (mapping < 0)
		index_paint_prefix(x, p, hold);
	else
		give(x, (unsigned)mapping, hold);
	return 0;
}

void prefix_index_release(struct prefix_index *x)
{
	for (unsigned hold = MAX_MAPPINGS; hold < 2 * MAX_MAPPINGS; hold++) {
		const bool used = x->of[hold].used;
		const struct prefix p = prefix_of(x->of[hold].first, x->of[hold].last);
		int mapping = used ? find_mapping(x, x->of[hold].tenant, p) : -ENOENT;

		if (!used)
			continue;
		if (mapping >= 0) {
			give(x, hold, (unsigned)mapping);
			x->of[hold].used = false;
		} else {
			prefix_index_remove(x, p, hold);
		}
	}
}

void prefix_index_replace(struct prefix_index *x, unsigned number, unsigned by, bool hidden)
{
	prefix_index_own(x, by, x->of[number].tenant, prefix_of(x->of[number].first, x->of[number].last), hidden);
	give(x, number, by);
	x->of[number].used = false;
}

void prefix_index_settle(struct prefix_index *x)
{
	for (uint32_t node = INDEX_ROOTS; node < INDEX_NODES; node++)
		if (x->usage[node] == NODE_LEAVING)
			x->usage[node] = NODE_FREE;
}

bool prefix_index_unsettled(const struct prefix_index *x)
{
	return memchr(x->usage, NODE_LEAVING, sizeof(x->usage));
}

static uint16_t entry_at(const struct prefix_index *x, uint32_t addr)
{
	uint16_t entry = get(x, octet(addr, 0), octet(addr, 1));

	for (unsigned n = 2; is_link(entry); n++)
		entry = get(x, entry, octet(addr, n));
	return entry;
}

static int mapping_of(uint16_t leaf)
{
	return leaf && number_of(leaf) < MAX_MAPPINGS ? (int)number_of(leaf) : -ENOENT;
}

int prefix_index_find_inside(const struct prefix_index *x, uint8_t tenant, uint32_t addr)
{
	return mapping_of(leaf_for(x, entry_at(x, addr), tenant));
}

int prefix_index_find(const struct prefix_index *x, uint32_t addr)
{
	uint16_t entry = entry_at(x, addr);
	int found = -ENOENT;

	if (!is_shared(entry))
		return mapping_of(entry);
	for (uint32_t i = 0; i < 256; i++) {
		int number = mapping_of(get(x, set_of(entry), i));

		if (number >= 0 && found >= 0)
			return -EEXIST;
		found = number >= 0 ? number : found;
	}
	return found;
}
