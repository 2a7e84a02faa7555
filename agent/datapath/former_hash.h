/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hash in which versions before had sessions beyond the slots, with an entry for each direction, as each layout
 * laid its keys and values out. former_sessions.c moves what is in it.
 */
#ifndef DETNAT_FORMER_HASH_H
#define DETNAT_FORMER_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/btf_layout.h"
#include "datapath/datapath.h"

/*
 * The mark of a copy in the hash: the number of the peer that announced it, and the low bits of last seen when it was
 * stored. If last seen differs, a packet has refreshed the session since, and it is not a copy any more.
 */
#define FORMER_MARK_BITS 13U
#define FORMER_MARK_MASK ((1U << FORMER_MARK_BITS) - 1)

static inline uint16_t former_mark(uint32_t peer, uint64_t word)
{
	return (uint16_t)(peer << FORMER_MARK_BITS | (word_seen(word) & FORMER_MARK_MASK));
}

/* 0: it is no copy. */
static inline uint32_t former_mark_peer(uint16_t mark, uint64_t word)
{
	return (mark ^ word_seen(word)) & FORMER_MARK_MASK ? 0 : mark >> FORMER_MARK_BITS;
}

/* Fields of the keys and values. Keys have a number for the layout of the blocks, which many layouts share, or a block.
 */
enum hash_field {
	IN_ADDR,
	OUT_ADDR,
	EXT_ADDR,
	PORT,
	EXT_PORT,
	PROTO,
	DIRECTION,
	BLOCKS, /* ratio_shift of the mapping, or the first and the last port */
	N_KEY_FIELDS,
	TRUTH = N_KEY_FIELDS,
	IN_PORT,
	MARK,
	N_FIELDS,
	INBOUND = N_FIELDS, /* only beside a block */
	N_ALL_FIELDS,
};

/* Where they are. */
struct hash_layout {
	struct layout_member field[N_ALL_FIELDS];
	bool has_blocks;
	uint32_t key_size;
	uint32_t value_size;
};

/* Direction of an entry. */
enum hash_direction { IN2OUT, OUT2IN };

/* An entry. Without gaps, as keys are compared octet by octet. */
struct hash_entry {
	struct hash_key {
		uint32_t in_addr;
		uint32_t out_addr;
		uint32_t ext_addr;
		uint16_t port;
		uint16_t ext_port;
		uint32_t blocks;
		uint8_t proto;
		uint8_t direction;
		uint16_t pad;
	} key;
	uint64_t word; /* as in an extent, with owner and side */
	uint16_t in_port;
	uint8_t result; /* the last one, enum copy_result */
	bool placed;
};
_Static_assert(sizeof(struct hash_key) == 24, "no hidden padding");

struct hash_entries {
	struct hash_entry *entry;
	size_t n;
};

/* Whether what is pinned in its place is that hash: this version pins a mark there, pins_mark_in_use(). */
bool hash_is_former(int map);

void hash_entries_free(struct hash_entries *list);

/*
 * Whether these types have the fields of a hash; its layout by them, or as layout 8 had it. 0; 1: it is of other sizes
 * than that; -EXDEV: the fields are not within its entries; or -errno.
 */
bool hash_layout_fits(const struct btf *types);
int hash_layout_of_types(const struct btf *types, int map, struct hash_layout *ret);
int hash_layout_of_8(int map, struct hash_layout *ret);

/* In a list that is sorted by key, as those of hash_read_sessions() are; or NULL. */
struct hash_entry *hash_find(const struct hash_entries *list, const struct hash_entry *wanted);

/*
 * The IN2OUT entries of the sessions that are there now, to each of which an OUT2IN entry leads; without those that no
 * mapping could have. The caller frees them. 0 or -errno.
 */
int hash_read_sessions(const struct datapath *d, const struct hash_layout *l, int map, struct hash_entries *ret);

/* Takes both entries of a session out. False: it was not there any more; else *ret_word is its last word. */
bool hash_take_out(int map, const struct hash_layout *l, const struct hash_entry *e, uint64_t *ret_word);

#endif
