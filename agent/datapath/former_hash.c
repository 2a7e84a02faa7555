/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/former_hash.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <detnat/copies.h>

#include "datapath/datapath_private.h"

/* Entries that are read at a time. */
#define BATCH 4096U

static const char *const names[N_FIELDS] = {
	"in_addr",   "out_addr",    "ext_addr", "port",	   "ext_port", "proto",
	"direction", "ratio_shift", "truth",	"in_port", "mark",
};

struct key8 {
	uint32_t in_addr;
	uint32_t out_addr;
	uint32_t ext_addr;
	uint16_t port; /* the inside one, or of an OUT2IN entry the outside one */
	uint16_t ext_port;
	uint16_t block_lo;
	uint16_t block_hi;
	uint8_t proto;
	uint8_t direction;
	uint16_t pad;
};
_Static_assert(sizeof(struct key8) == 24, "as pinned");

struct session8 {
	uint64_t truth;	  /* the state word; 0 in an OUT2IN entry */
	uint16_t in_port; /* in an OUT2IN entry */
	uint16_t mark;	  /* of a copy: former_mark() */
	uint8_t inbound;  /* the outside has opened the session */
	uint8_t pad[3];
};
_Static_assert(sizeof(struct session8) == 16, "as pinned");

#define KEY(name)                                                                               \
	{                                                                                       \
		.offset = offsetof(struct key8, name), .size = sizeof(((struct key8 *)0)->name) \
	}
#define VALUE(name)                                                                                     \
	{                                                                                               \
		.offset = offsetof(struct session8, name), .size = sizeof(((struct session8 *)0)->name) \
	}
static const struct hash_layout of_this_layout = {
	.has_blocks = true,
	.field = { [IN_ADDR] = KEY(in_addr),
		   [OUT_ADDR] = KEY(out_addr),
		   [EXT_ADDR] = KEY(ext_addr),
		   [PORT] = KEY(port),
		   [EXT_PORT] = KEY(ext_port),
		   [PROTO] = KEY(proto),
		   [DIRECTION] = KEY(direction),
		   [BLOCKS] = { .offset = offsetof(struct key8, block_lo), .size = sizeof(uint32_t) },
		   [TRUTH] = VALUE(truth),
		   [IN_PORT] = VALUE(in_port),
		   [MARK] = VALUE(mark),
		   [INBOUND] = VALUE(inbound) },
};
#undef KEY
#undef VALUE

bool hash_is_former(int map)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return !bpf_obj_get_info_by_fd(map, &info, &size) && info.type == BPF_MAP_TYPE_LRU_HASH;
}

void hash_entries_free(struct hash_entries *list)
{
	free(list->entry);
}

bool hash_layout_fits(const struct btf *types)
{
	struct layout_member member;

	for (unsigned i = 0; i < N_FIELDS; i++)
		if (layout_find(types, i < N_KEY_FIELDS ? "overflow_key" : "overflow_session", names[i], &member) ||
		    member.size > sizeof(uint64_t))
			return false;
	return true;
}

/* The map's sizes; whether the fields are within them. */
static int read_sizes(int map, struct hash_layout *l)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(map, &info, &size))
		return -errno;
	for (unsigned i = 0; i < N_ALL_FIELDS; i++)
		if (l->field[i].offset + l->field[i].size > (i < N_KEY_FIELDS ? info.key_size : info.value_size))
			return -EXDEV;
	l->key_size = info.key_size;
	l->value_size = info.value_size;
	return 0;
}

int hash_layout_of_types(const struct btf *types, int map, struct hash_layout *ret)
{
	if (!hash_layout_fits(types))
		return -EXDEV;
	*ret = (struct hash_layout){ 0 };
	for (unsigned i = 0; i < N_FIELDS; i++)
		layout_find(types, i < N_KEY_FIELDS ? "overflow_key" : "overflow_session", names[i], &ret->field[i]);
	return read_sizes(map, ret);
}

int hash_layout_of_8(int map, struct hash_layout *ret)
{
	int r;

	*ret = of_this_layout;
	r = read_sizes(map, ret);
	return r ? r : ret->key_size != sizeof(struct key8) || ret->value_size != sizeof(struct session8);
}

static uint64_t number(const struct hash_layout *l, enum hash_field field, const uint8_t *record)
{
	uint64_t n = 0;

	memcpy(&n, record + l->field[field].offset, l->field[field].size);
	return n;
}

/* The state word of a value, as it is in an extent. */
static uint64_t word_of(const struct hash_layout *l, const uint8_t *value)
{
	uint64_t word = number(l, TRUTH, value);
	uint16_t mark = (uint16_t)number(l, MARK, value);

	return word_owned(word, former_mark_peer(mark, word) ?: word_owner(word), word_turn(word)) |
	       (number(l, INBOUND, value) ? WORD_INBOUND : 0);
}

static struct hash_entry entry_of(const struct hash_layout *l, const uint8_t *key, const uint8_t *value)
{
	return (struct hash_entry){
		.key = { .in_addr = (uint32_t)number(l, IN_ADDR, key),
			 .out_addr = (uint32_t)number(l, OUT_ADDR, key),
			 .ext_addr = (uint32_t)number(l, EXT_ADDR, key),
			 .port = (uint16_t)number(l, PORT, key),
			 .ext_port = (uint16_t)number(l, EXT_PORT, key),
			 .blocks = (uint32_t)number(l, BLOCKS, key),
			 .proto = (uint8_t)number(l, PROTO, key),
			 .direction = (uint8_t)number(l, DIRECTION, key) },
		.word = word_of(l, value),
		.in_port = (uint16_t)number(l, IN_PORT, value),
	};
}

/* Reads all entries, in any order. */
static int read_entries(int map, const struct hash_layout *l, struct hash_entries *ret)
{
	_cleanup_free_ uint8_t *keys = calloc(BATCH, l->key_size), *values = calloc(BATCH, l->value_size);
	uint32_t cursor, *from = NULL;
	int r = keys && values ? 0 : -ENOMEM;
	bool more = true;

	while (!r && more) {
		uint32_t n = BATCH;
		struct hash_entry *grown;

		r = bpf_map_lookup_batch(map, from, &cursor, keys, values, &n, NULL);
		more = r != -ENOENT;
		r = more ? r : 0;
		grown = r || !n ? NULL : reallocarray(ret->entry, ret->n + n, sizeof(*grown));
		if (!r && n && !grown)
			r = -ENOMEM;
		if (grown)
			ret->entry = grown;
		for (uint32_t i = 0; grown && i < n; i++)
			grown[ret->n++] =
				entry_of(l, keys + (size_t)i * l->key_size, values + (size_t)i * l->value_size);
		from = &cursor;
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct hash_entry *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

struct hash_entry *hash_find(const struct hash_entries *list, const struct hash_entry *wanted)
{
	return list->n ? bsearch(wanted, list->entry, list->n, sizeof(*wanted), compare) : NULL;
}

static void sort(struct hash_entries *list)
{
	if (list->n)
		qsort(list->entry, list->n, sizeof(*list->entry), compare);
}

const struct mapping *mapping_at_outside(const struct datapath *d, uint32_t out_addr)
{
	uint16_t entry = d->out_nodes[out_addr >> 24].entry[out_addr >> 16 & 255];

	for (unsigned shift = 8; entry && !(entry & INDEX_LEAF); shift -= 8) {
		entry = d->out_nodes[entry & (INDEX_NODES - 1)].entry[out_addr >> shift & 255];
		if (!shift)
			break;
	}
	return entry & INDEX_LEAF ? &d->mapping[entry & (MAX_MAPPINGS - 1)] : NULL;
}

/* The mapping that could have the session of an OUT2IN entry, or NULL. */
static const struct mapping *mapping_of(const struct datapath *d, const struct hash_layout *l,
					const struct hash_entry *out)
{
	const struct mapping *m = mapping_at_outside(d, out->key.out_addr);
	const struct geometry *g = m ? &m->geo : NULL;
	struct port_block block;

	if (!m || g->out_plen == PLEN_NONE || !mapping_has_inside(g, out->key.in_addr))
		return NULL;
	if (!l->has_blocks)
		return out->key.blocks == g->ratio_shift && mapping_reverse(g, out->key.out_addr, out->key.port) ==
								    mapping_subscriber(g, out->key.in_addr)
			       ? m
			       : NULL;
	block = mapping_forward(g, out->key.in_addr);
	return block.out_addr == out->key.out_addr && out->key.blocks == (block.port_lo | (uint32_t)block.port_hi << 16)
		       ? m
		       : NULL;
}

/* The key of a session's other entry, given its port there. */
static struct hash_entry other_entry(const struct hash_entry *e, uint16_t port)
{
	struct hash_entry other = { .key = e->key };

	other.key.port = port;
	other.key.direction = e->key.direction == IN2OUT ? OUT2IN : IN2OUT;
	return other;
}

/*
 * The IN2OUT entries of the sessions that are there now, to each of which an OUT2IN entry leads; without those that no
 * mapping could have. The caller frees them. 0 or -errno.
 */
int hash_read_sessions(const struct datapath *d, const struct hash_layout *l, int map, struct hash_entries *ret)
{
	__attribute__((cleanup(hash_entries_free))) struct hash_entries all = { 0 };
	int r = read_entries(map, l, &all);

	ret->entry = r ? NULL : calloc(all.n + 1, sizeof(*ret->entry));
	if (!ret->entry)
		return r ? r : -ENOMEM;
	sort(&all);
	for (size_t i = 0; i < all.n; i++) {
		const struct hash_entry *out = &all.entry[i];
		struct hash_entry wanted = other_entry(out, out->in_port);
		const struct hash_entry *in;

		if (out->key.direction != OUT2IN || !mapping_of(d, l, out))
			continue;
		in = hash_find(&all, &wanted);
		if (in && word_out_port(in->word) == out->key.port)
			ret->entry[ret->n++] = *in;
	}
	sort(ret);
	return 0;
}

static void write_key(const struct hash_layout *l, const struct hash_key *key, uint8_t *ret)
{
	const uint64_t numbers[N_KEY_FIELDS] = {
		[IN_ADDR] = key->in_addr,     [OUT_ADDR] = key->out_addr, [EXT_ADDR] = key->ext_addr,
		[PORT] = key->port,	      [EXT_PORT] = key->ext_port, [PROTO] = key->proto,
		[DIRECTION] = key->direction, [BLOCKS] = key->blocks,
	};

	memset(ret, 0, l->key_size);
	for (unsigned i = 0; i < N_KEY_FIELDS; i++)
		memcpy(ret + l->field[i].offset, &numbers[i], l->field[i].size);
}

bool hash_take_out(int map, const struct hash_layout *l, const struct hash_entry *e, uint64_t *ret_word)
{
	uint8_t key[sizeof(struct key8)], value[sizeof(struct session8)];
	struct hash_entry out;

	write_key(l, &e->key, key);
	if (bpf_map_lookup_and_delete_elem(map, key, value))
		return false;
	*ret_word = word_of(l, value);
	out = other_entry(e, word_out_port(*ret_word));
	write_key(l, &out.key, key);
	bpf_map_delete_elem(map, key);
	return true;
}
