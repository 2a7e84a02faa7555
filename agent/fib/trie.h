/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paints prefixes into the trie that the datapath reads (<detnat/fib.h>). An entry carries the rank of the prefix that
 * wrote it, so that a change never has to look at other routes: a prefix overwrites entries of its rank or a lower one,
 * and a removed prefix gives entries of its rank to the next shorter one.
 *
 * Readers see the old or the new entry of each address at any time. A node that is no longer needed, because all its
 * entries are the same, is used again only after fib_trie_settle().
 */
#ifndef DETNAT_FIB_TRIE_H
#define DETNAT_FIB_TRIE_H

#include <detnat/fib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rank of an entry whose range needs a node when none is free: the kernel's until the trie is rebuilt. */
#define FIB_RANK_FULL 63U

struct fib_trie_calls {
	/* Adds a zeroed chunk; the datapath must be able to read it on return. NULL: there is no room. */
	struct fib_node *(*add_chunk)(uint32_t number, void *arg);
	/* A prefix of a rank of routes met the leaf of a neighbour (FIB_RANK_NEIGHBOUR). Must not call the trie. */
	void (*met_neighbour)(uint32_t addr, void *arg);
	void *arg;
};

struct fib_trie {
	struct fib *fib;
	struct fib_trie_calls calls;
	struct fib_node *chunk[MAX_FIB_CHUNKS];
	uint32_t n_chunks, max_chunks;
	uint32_t *free; /* numbers of nodes, n_free of them */
	uint32_t *left; /* unlinked since the last fib_trie_settle() and before, in this order */
	size_t n_free, n_left, n_settling;
	size_t full; /* entries that got FIB_RANK_FULL since the trie was emptied */
};

/* fib must be zeroed; max_chunks: at most MAX_FIB_CHUNKS. */
void fib_trie_init(struct fib_trie *t, struct fib *fib, uint32_t max_chunks, const struct fib_trie_calls *calls);
void fib_trie_done(struct fib_trie *t); /* the chunks belong to the caller */

/*
 * base: host byte order, with no bits beyond plen. Gives the next hop to all addresses of the prefix whose entry has
 * this rank or a lower one.
 */
void fib_trie_set(struct fib_trie *t, uint32_t base, unsigned plen, unsigned rank, uint32_t hop);

/* Gives entries of this rank in the prefix to another one. */
void fib_trie_clear(struct fib_trie *t, uint32_t base, unsigned plen, unsigned rank, unsigned cover_rank,
		    uint32_t cover_hop);

/* The leaf of an address. */
uint32_t fib_trie_entry(const struct fib_trie *t, uint32_t addr);

/*
 * Call the first, then wait until no program can still read nodes unlinked before, then the second. Not more than one
 * at a time.
 */
void fib_trie_settle_begin(struct fib_trie *t);
void fib_trie_settle_end(struct fib_trie *t);

/* Makes every address lead to next hop 0. No program may be reading the trie. */
void fib_trie_empty(struct fib_trie *t);

/* Nodes in use, and nodes still available. */
size_t fib_trie_nodes(const struct fib_trie *t);
size_t fib_trie_room(const struct fib_trie *t);

#endif
