/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/inside_runs.h"
#include "tables/prefix_index.h"

#include "tables/prefix_index_private.h"

enum node_usage { NODE_FREE, NODE_LINKED, NODE_LEAVING };

static int find_free(const struct prefix_index *x, uint32_t from)
{
	for (uint32_t node = from; node < INDEX_NODES; node++)
		if (x->usage[node] == NODE_FREE)
			return (int)node;
	return -ENOSPC;
}

/* A node with the meaning of the leaf or empty entry that it will replace. */
static uint16_t new_node(struct prefix_index *x, uint16_t entry)
{
	uint16_t node = (uint16_t)find_free(x, INDEX_ROOTS);

	x->usage[node] = NODE_LINKED;
	for (uint32_t i = 0; i < 256; i++) {
		x->own[node].entry[i] = entry;
		x->nodes[node].entry[i] = published(x, entry);
	}
	return node;
}

/* Depth of entries: 0 at the root, 1 in nodes of the third octet, 2 in nodes of the fourth. */
static unsigned open_node(struct prefix_index *x, uint32_t node, unsigned depth)
{
	unsigned cleared = 0;

	x->own[node] = x->nodes[node];
	for (uint32_t i = 0; i < 256; i++) {
		uint16_t entry = get(x, node, i);

		if (!entry)
			continue;
		if (is_leaf(entry)) {
			if ((entry & ~INDEX_LEAF) < MAX_MAPPINGS)
				continue;
		} else if (depth < 2 && entry >= INDEX_ROOTS && entry < INDEX_NODES && x->usage[entry] == NODE_FREE) {
			x->usage[entry] = NODE_LINKED;
			cleared += open_node(x, entry, depth + 1);
			if (uniform(x, entry))
				continue;
			x->usage[entry] = NODE_LEAVING;
		}
		set(x, node, i, 0);
		cleared++;
	}
	return cleared;
}

unsigned prefix_index_open(struct prefix_index *x, struct index_node *nodes, bool nests)
{
	unsigned cleared = 0;

	/* Not assigned: without optimization the whole index would be made on the stack first. */
	memset(x, 0, sizeof(*x));
	x->nodes = nodes;
	x->nests = nests;
	memset(x->usage, NODE_LINKED, INDEX_ROOTS);
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		cleared += open_node(x, root, 0);
	return cleared;
}

static void walk_node(const struct prefix_index *x, uint32_t node, uint32_t base, unsigned plen,
		      prefix_index_visit visit, void *arg)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint16_t entry = __atomic_load_n(&x->nodes[node].entry[i], __ATOMIC_ACQUIRE);
		uint32_t addr = base | i << (32 - plen);

		if (is_leaf(entry))
			visit(addr, plen, entry & ~INDEX_LEAF, arg);
		else if (entry >= INDEX_ROOTS && entry < INDEX_NODES && plen < 32)
			walk_node(x, entry, addr, plen + 8, visit, arg);
	}
}

void prefix_index_walk(const struct prefix_index *x, prefix_index_visit visit, void *arg)
{
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		walk_node(x, root, root << 24, 16, visit, arg);
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

/* Whether enough nodes are free: one for each 2^16 addresses of which a part is needed, and the same for 2^8. */
static int check_room(const struct prefix_index *x, struct prefix p)
{
	uint64_t second_of = UINT64_MAX, third_of = UINT64_MAX;
	struct pieces s = pieces_of(p);
	int needed = 0, node = INDEX_ROOTS - 1;

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
		node = find_free(x, (uint32_t)node + 1);
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

/* The number below `end`, from `number` on, that has exactly these addresses, or -ENOENT. */
static int find_equal(const struct prefix_index *x, struct prefix p, unsigned number, unsigned end)
{
	uint32_t last = prefix_last(p);

	for (; number < end; number++)
		if (x->of[number].used && x->of[number].first == p.base && x->of[number].last == last)
			return (int)number;
	return -ENOENT;
}

static int find_mapping(const struct prefix_index *x, struct prefix p)
{
	return find_equal(x, p, 0, MAX_MAPPINGS);
}

static int find_hold(const struct prefix_index *x, struct prefix p)
{
	return find_equal(x, p, MAX_MAPPINGS, 2 * MAX_MAPPINGS);
}

int prefix_index_check(const struct prefix_index *x, struct prefix p)
{
	int r = !x->nests ? check_empty(x, p) : find_mapping(x, p) < 0 ? 0 : -EEXIST;

	return r ? r : check_room(x, p);
}

/* Addresses less 1. */
static uint32_t size_of(const struct index_prefix *p)
{
	return p->last - p->first;
}

/* Whether an entry's prefix is larger, so that another of this size, less 1, hides it. */
static bool gives_way(const struct prefix_index *x, uint16_t entry, uint32_t size)
{
	return !entry || !x->nests || size_of(&x->of[number_of(entry)]) > size || !x->of[number_of(entry)].used;
}

/* Sets the entries first..last of a node, and all those of the nodes behind them, wherever they give way. */
static void paint(struct prefix_index *x, uint32_t node, uint32_t first, uint32_t last, uint16_t leaf, uint32_t size)
{
	for (uint32_t i = first; i <= last; i++) {
		uint16_t entry = get(x, node, i);

		if (entry && !is_leaf(entry))
			paint(x, entry, 0, 255, leaf, size);
		else if (gives_way(x, entry, size))
			set(x, node, i, leaf);
	}
}

static bool is_link(uint16_t entry)
{
	return entry && !is_leaf(entry);
}

/* Paints one of the prefixes of a range of this size, less 1. New nodes are linked when they are complete. */
static void paint_piece(struct prefix_index *x, struct prefix p, uint16_t leaf, uint32_t size)
{
	uint32_t base = p.base, last = prefix_last(p);
	unsigned plen = p.plen;

	if (plen <= 16) {
		for (uint32_t i = base >> 16; i <= last >> 16; i++)
			paint(x, i >> 8, i & 255, i & 255, leaf, size);
		return;
	}

	uint16_t linked = get(x, octet(base, 0), octet(base, 1));
	uint16_t second = is_link(linked) ? linked : new_node(x, linked);

	if (plen <= 24) {
		paint(x, second, octet(base, 2), octet(last, 2), leaf, size);
	} else {
		uint16_t below = get(x, second, octet(base, 2));
		uint16_t third = is_link(below) ? below : new_node(x, below);

		paint(x, third, octet(base, 3), octet(last, 3), leaf, size);
		if (third != below)
			set(x, second, octet(base, 2), third);
	}
	if (second != linked)
		set(x, octet(base, 0), octet(base, 1), second);
}

/* Paints addresses for which there is room. */
static void paint_prefix(struct prefix_index *x, struct prefix p, uint16_t leaf)
{
	struct pieces s = pieces_of(p);

	for (struct prefix piece; next_piece(&s, &piece);)
		paint_piece(x, piece, leaf, prefix_last(p) - p.base);
}

void prefix_index_own(struct prefix_index *x, unsigned number, struct prefix p, bool hidden)
{
	x->of[number] =
		(struct index_prefix){ .first = p.base, .last = prefix_last(p), .used = true, .hidden = hidden };
}

/* The smallest range with more than these addresses around them, or with these alone, among the numbers below `end`. */
static int find_around(const struct prefix_index *x, uint32_t first, uint32_t last, bool equal, unsigned end)
{
	int found = -ENOENT;

	for (unsigned number = 0; number < end; number++) {
		const struct index_prefix *p = &x->of[number];

		if (p->used && p->first <= first && p->last >= last && (equal || size_of(p) > last - first) &&
		    (found < 0 || size_of(p) < size_of(&x->of[found])))
			found = (int)number;
	}
	return found;
}

int prefix_index_around(const struct prefix_index *x, struct prefix p)
{
	return find_around(x, p.base, prefix_last(p), false, MAX_MAPPINGS);
}

/* A number being removed, and the entry that replaces its leaves. */
struct removal {
	uint16_t leaf;
	uint16_t instead;
};

/* Replaces the link to a node whose entries are all the same. */
static void fold(struct prefix_index *x, uint32_t node, uint32_t i)
{
	uint16_t entry = get(x, node, i), same = uniform(x, entry);

	if (same != entry) {
		set(x, node, i, same);
		x->usage[entry] = NODE_LEAVING;
	}
}

/* Takes from a number the entries first..last of a node, and those of the nodes behind them. */
static void clear(struct prefix_index *x, uint32_t node, uint32_t first, uint32_t last, struct removal r)
{
	for (uint32_t i = first; i <= last; i++) {
		uint16_t entry = get(x, node, i);

		if (entry == r.leaf) {
			set(x, node, i, r.instead);
		} else if (is_link(entry)) {
			clear(x, entry, 0, 255, r);
			fold(x, node, i);
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
			fold(x, second, octet(base, 2));
		}
	}
	fold(x, octet(base, 0), octet(base, 1));
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

	clear_prefix(x, prefix_of(p->first, p->last), (struct removal){ leaf_of(number), leaf_of(to) });
}

static int insert(struct prefix_index *x, struct prefix p, unsigned number, bool hidden)
{
	int r = prefix_index_check(x, p), hold = x->nests ? find_hold(x, p) : -ENOENT;

	if (r < 0)
		return r;
	if (x->nests)
		prefix_index_own(x, number, p, hidden);
	if (hold < 0) {
		paint_prefix(x, p, leaf_of(number));
	} else {
		give(x, (unsigned)hold, number);
		x->of[hold].used = false;
	}
	return 0;
}

int prefix_index_insert(struct prefix_index *x, struct prefix p, unsigned number)
{
	return insert(x, p, number, false);
}

int prefix_index_insert_hidden(struct prefix_index *x, struct prefix p, unsigned number)
{
	return insert(x, p, number, true);
}

static struct removal removal_of(struct prefix_index *x, unsigned number)
{
	struct index_prefix *p = &x->of[number];
	int around = x->nests && p->used ? find_around(x, p->first, p->last, false, 2 * MAX_MAPPINGS) : -ENOENT;

	p->used = false;
	return (struct removal){ leaf_of(number), around < 0 ? 0 : leaf_of((unsigned)around) };
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

int prefix_index_hold(struct prefix_index *x, struct prefix p)
{
	int mapping = find_mapping(x, p), r = check_room(x, p);
	unsigned hold = MAX_MAPPINGS;

	if (find_hold(x, p) >= 0)
		return 0;
	while (hold < 2 * MAX_MAPPINGS && x->of[hold].used)
		hold++;
	if (r < 0 || hold == 2 * MAX_MAPPINGS)
		return -ENOSPC;
	prefix_index_own(x, hold, p, true);
	if (mapping < 0)
		paint_prefix(x, p, leaf_of(hold));
	else
		give(x, (unsigned)mapping, hold);
	return 0;
}

void prefix_index_release(struct prefix_index *x)
{
	for (unsigned hold = MAX_MAPPINGS; hold < 2 * MAX_MAPPINGS; hold++) {
		const bool used = x->of[hold].used;
		const struct prefix p = prefix_of(x->of[hold].first, x->of[hold].last);
		int mapping = used ? find_mapping(x, p) : -ENOENT;

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
	prefix_index_own(x, by, prefix_of(x->of[number].first, x->of[number].last), hidden);
	give(x, number, by);
	x->of[number].used = false;
}

/* The runs of all prefixes in use. */
struct runs {
	struct inside_run run[INSIDE_RUNS(MAX_MAPPINGS)];
	size_t n;
	unsigned changed;
};

/* Sets the leaves of a node to the longest prefix around each; plen is the length of an entry's own prefix. */
static void repaint_node(struct prefix_index *x, struct runs *r, uint32_t node, uint32_t base, unsigned plen)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t addr = base | i << (32 - plen);
		uint16_t entry = get(x, node, i), wanted = 0;
		int around;

		if (is_link(entry)) {
			repaint_node(x, r, entry, addr, plen + 8);
			fold(x, node, i);
			continue;
		}

		size_t at = inside_run_at(r->run, r->n, addr);

		if (at == r->n || r->run[at].first > last_addr(addr, plen)) {
			around = -ENOENT;
		} else if (r->run[at].first <= addr && r->run[at].last >= last_addr(addr, plen)) {
			around = r->run[at].number;
		} else {
			around = find_around(x, addr, last_addr(addr, plen), true, MAX_MAPPINGS);
		}
		if (around >= 0)
			wanted = leaf_of((unsigned)around);
		r->changed += entry != wanted;
		set(x, node, i, wanted);
	}
}

static int larger_first(const void *a, const void *b)
{
	const struct inside_range *x = a, *y = b;
	uint32_t x_size = x->last - x->first, y_size = y->last - y->first;

	return x_size > y_size ? -1 : x_size < y_size;
}

unsigned prefix_index_repaint(struct prefix_index *x)
{
	static struct inside_range range[MAX_MAPPINGS];
	static struct runs r;
	size_t n = 0;

	for (unsigned number = 0; number < MAX_MAPPINGS; number++)
		if (x->of[number].used)
			range[n++] = (struct inside_range){ x->of[number].first, x->of[number].last, (uint16_t)number };
	r.n = inside_runs(range, n, r.run);
	r.changed = 0;
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		repaint_node(x, &r, root, root << 24, 16);
	/* In order of size: missing entries need nodes, and smaller ranges do not give way. */
	if (n)
		qsort(range, n, sizeof(*range), larger_first);
	for (size_t i = 0; i < n; i++) {
		struct prefix p = prefix_of(range[i].first, range[i].last);

		if (!check_room(x, p))
			paint_prefix(x, p, leaf_of(range[i].number));
	}
	return r.changed;
}

void prefix_index_settle(struct prefix_index *x)
{
	for (uint32_t node = INDEX_ROOTS; node < INDEX_NODES; node++)
		if (x->usage[node] == NODE_LEAVING)
			x->usage[node] = NODE_FREE;
}

int prefix_index_find(const struct prefix_index *x, uint32_t addr)
{
	uint16_t entry = get(x, octet(addr, 0), octet(addr, 1));

	for (unsigned n = 2; entry && !is_leaf(entry); n++)
		entry = get(x, entry, octet(addr, n));
	return entry && number_of(entry) < MAX_MAPPINGS ? (int)number_of(entry) : -ENOENT;
}
