/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that a peer has announced and for which there was no room here, to be tried again soon: the obstacle may be
 * about to end. Bounded; for the rest, a whole copy is asked for once fewer wait.
 */
#ifndef DETNAT_WAITING_COPIES_H
#define DETNAT_WAITING_COPIES_H

#include "base/hash.h"

#define WAITING_MAX 16384U

struct waiting_copy {
	struct hash_entry entry;
	uint32_t subscriber;
	uint64_t key;
	uint16_t mapping; /* number, here */
	uint16_t slot;	  /* at the peer */
	uint16_t out_port;
	uint8_t peer;
	uint8_t proto;
	uint8_t state;
	bool inbound;
	bool behalf;
	bool beyond; /* not in a slot, there: its key is its endpoints, not the slot */
	bool room;   /* there was no place for it, or its port is not granted yet */
	bool clash;  /* another session has its flow or its port */
	uint8_t tries;
	uint8_t turn;
	uint16_t age_s; /* as announced */
	uint32_t told;	/* tick */
	uint32_t round; /* copying_peer.round when it was announced last */
	uint32_t tick;	/* of the last try */
};

extern const struct hash_type waiting_copies;

/* Notes one, replacing another with the same key; the same session keeps its tries. False: so many wait. */
bool waiting_add(struct hash_table *w, const struct waiting_copy *like);

/* Forgets the one with the same key, if there is any. */
void waiting_del(struct hash_table *w, const struct waiting_copy *like);

/* Forgets those for which `which` returns true. */
void waiting_forget(struct hash_table *w, bool (*which)(const struct waiting_copy *e, const void *arg),
		    const void *arg);

#endif
