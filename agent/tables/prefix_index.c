/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "tables/prefix_index.h"

enum node_usage { NODE_FREE, NODE_LINKED, NODE_LEAVING };

static uint16_t get(const struct prefix_index *x, uint32_t node, uint32_t i)
{
	return __atomic_load_n(&x->nodes[node].entry[i], __ATOMIC_ACQUIRE);
}

static void set(struct prefix_index *x, uint32_t node, uint32_t i, uint16_t value)
{
	__atomic_store_n(&x->nodes[node].entry[i], value, __ATOMIC_RELEASE);
}

static bool is_leaf(uint16_t entry)
{
	return entry & INDEX_LEAF;
}

static bool is_empty(const struct prefix_index *x, uint32_t node)
{
	static const struct index_node empty;

	return !memcmp(&x->nodes[node], &empty, sizeof(empty));
}

/* The octets of an address as the trie uses them: the first two at the root. */
static uint32_t octet(uint32_t addr, unsigned n)
{
	return addr >> (24 - 8 * n) & 255;
}

static uint32_t last_addr(uint32_t base, unsigned plen)
{
	return base | ~prefix_mask(plen);
}

static int find_free(const struct prefix_index *x, uint32_t from)
{
	for (uint32_t node = from; node < INDEX_NODES; node++)
		if (x->usage[node] == NODE_FREE)
			return (int)node;
	return -ENOSPC;
}

static int new_node(struct prefix_index *x)
{
	int node = find_free(x, INDEX_ROOTS);

	if (node >= 0) {
		memset(&x->nodes[node], 0, sizeof(x->nodes[node]));
		x->usage[node] = NODE_LINKED;
	}
	return node;
}

/* Depth of entries: 0 at the root, 1 in nodes of the third octet, 2 in nodes of the fourth. */
static unsigned open_node(struct prefix_index *x, uint32_t node, unsigned depth)
{
	unsigned cleared = 0;

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
			if (!is_empty(x, entry))
				continue;
			x->usage[entry] = NODE_LEAVING;
		}
		set(x, node, i, 0);
		cleared++;
	}
	return cleared;
}

unsigned prefix_index_open(struct prefix_index *x, struct index_node *nodes)
{
	unsigned cleared = 0;

	*x = (struct prefix_index){ .nodes = nodes };
	memset(x->usage, NODE_LINKED, INDEX_ROOTS);
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		cleared += open_node(x, root, 0);
	return cleared;
}

static void walk_node(const struct prefix_index *x, uint32_t node, uint32_t base, unsigned plen,
		      prefix_index_visit visit, void *arg)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint16_t entry = get(x, node, i);
		uint32_t addr = base | i << (32 - plen);

		if (is_leaf(entry))
			visit(addr, plen, entry & ~INDEX_LEAF, arg);
		else if (entry)
			walk_node(x, entry, addr, plen + 8, visit, arg);
	}
}

void prefix_index_walk(const struct prefix_index *x, prefix_index_visit visit, void *arg)
{
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		walk_node(x, root, root << 24, 16, visit, arg);
}

int prefix_index_check(const struct prefix_index *x, uint32_t base, unsigned plen)
{
	if (plen <= 16) {
		for (uint32_t i = base >> 16; i <= last_addr(base, plen) >> 16; i++)
			if (get(x, i >> 8, i & 255))
				return -EEXIST;
		return 0;
	}

	uint16_t second = get(x, octet(base, 0), octet(base, 1));

	if (is_leaf(second))
		return -EEXIST;
	if (plen <= 24) {
		for (uint32_t i = octet(base, 2); second && i <= octet(last_addr(base, plen), 2); i++)
			if (get(x, second, i))
				return -EEXIST;
		return second || find_free(x, INDEX_ROOTS) >= 0 ? 0 : -ENOSPC;
	}

	uint16_t third = second ? get(x, second, octet(base, 2)) : 0;

	if (is_leaf(third))
		return -EEXIST;
	for (uint32_t i = octet(base, 3); third && i <= octet(last_addr(base, plen), 3); i++)
		if (get(x, third, i))
			return -EEXIST;
	if (third)
		return 0;

	int node = find_free(x, INDEX_ROOTS);

	if (node >= 0 && !second)
		node = find_free(x, (uint32_t)node + 1);
	return node < 0 ? node : 0;
}

int prefix_index_insert(struct prefix_index *x, uint32_t base, unsigned plen, unsigned number)
{
	uint16_t leaf = (uint16_t)(INDEX_LEAF | number);
	uint32_t last = last_addr(base, plen);
	int r = prefix_index_check(x, base, plen);

	if (r < 0)
		return r;
	if (plen <= 16) {
		for (uint32_t i = base >> 16; i <= last >> 16; i++)
			set(x, i >> 8, i & 255, leaf);
		return 0;
	}

	uint16_t linked = get(x, octet(base, 0), octet(base, 1));
	uint16_t second = linked ? linked : (uint16_t)new_node(x);

	if (plen <= 24) {
		for (uint32_t i = octet(base, 2); i <= octet(last, 2); i++)
			set(x, second, i, leaf);
	} else {
		uint16_t third = get(x, second, octet(base, 2));

		if (!third)
			third = (uint16_t)new_node(x);
		for (uint32_t i = octet(base, 3); i <= octet(last, 3); i++)
			set(x, third, i, leaf);
		set(x, second, octet(base, 2), third);
	}
	if (!linked)
		set(x, octet(base, 0), octet(base, 1), second);
	return 0;
}

static void clear(struct prefix_index *x, uint32_t node, uint32_t i, uint16_t leaf)
{
	if (get(x, node, i) == leaf)
		set(x, node, i, 0);
}

/* Clears the link to a node that has become empty. */
static void unlink_empty(struct prefix_index *x, uint32_t node, uint32_t i)
{
	uint16_t entry = get(x, node, i);

	if (entry && !is_leaf(entry) && is_empty(x, entry)) {
		set(x, node, i, 0);
		x->usage[entry] = NODE_LEAVING;
	}
}

void prefix_index_remove(struct prefix_index *x, uint32_t base, unsigned plen, unsigned number)
{
	uint16_t leaf = (uint16_t)(INDEX_LEAF | number);
	uint32_t last = last_addr(base, plen);

	if (plen <= 16) {
		for (uint32_t i = base >> 16; i <= last >> 16; i++)
			clear(x, i >> 8, i & 255, leaf);
		return;
	}

	uint16_t second = get(x, octet(base, 0), octet(base, 1));

	if (!second || is_leaf(second))
		return;
	if (plen <= 24) {
		for (uint32_t i = octet(base, 2); i <= octet(last, 2); i++)
			clear(x, second, i, leaf);
	} else {
		uint16_t third = get(x, second, octet(base, 2));

		if (third && !is_leaf(third)) {
			for (uint32_t i = octet(base, 3); i <= octet(last, 3); i++)
				clear(x, third, i, leaf);
			unlink_empty(x, second, octet(base, 2));
		}
	}
	unlink_empty(x, octet(base, 0), octet(base, 1));
}

static void remove_in_node(struct prefix_index *x, uint32_t node, uint16_t leaf)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint16_t entry = get(x, node, i);

		clear(x, node, i, leaf);
		if (entry && !is_leaf(entry)) {
			remove_in_node(x, entry, leaf);
			unlink_empty(x, node, i);
		}
	}
}

void prefix_index_remove_number(struct prefix_index *x, unsigned number)
{
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		remove_in_node(x, root, (uint16_t)(INDEX_LEAF | number));
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
	return entry ? (int)(entry & ~INDEX_LEAF) : -ENOENT;
}
