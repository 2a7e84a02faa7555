/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that a peer has told and for which there was no room here, to be tried again soon: what is in the way may be
 * about to end. Bounded; what does not fit comes with the next whole copy.
 */
#ifndef DETNAT_WAITING_COPIES_H
#define DETNAT_WAITING_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAITING_MAX 16384U

struct waiting_copy {
	uint64_t key;
	uint32_t subscriber;
	uint16_t mapping; /* number, here */
	uint16_t slot;	  /* at the peer */
	uint16_t out_port;
	uint8_t peer; /* 0: the entry is free */
	uint8_t proto;
	uint8_t state;
	bool inbound;
	bool beyond; /* in the overflow: known by its endpoints, not by the slot */
	uint8_t tries;
	uint8_t turn;
	uint16_t age_s; /* as it was told */
	uint32_t told;	/* tick */
	uint32_t tick;	/* of the last try */
	uint32_t next;	/* number plus one */
};

struct waiting_copies {
	struct waiting_copy *entry; /* WAITING_MAX of them, or NULL */
	uint32_t *head;
	uint32_t n;
	uint32_t free; /* the first of a list, number plus one */
};

void waiting_free(struct waiting_copies *w);

/* Notes one, in place of another that is known by the same; the same session keeps its tries. */
void waiting_add(struct waiting_copies *w, const struct waiting_copy *like);

/* Forgets the one that is known by the same, if there is any. */
void waiting_del(struct waiting_copies *w, const struct waiting_copy *like);

/* Forgets those of which `which` says so. */
void waiting_forget(struct waiting_copies *w, bool (*which)(const struct waiting_copy *e, const void *arg),
		    const void *arg);

static inline size_t waiting_memory(const struct waiting_copies *w)
{
	return w->entry ? WAITING_MAX * (sizeof(*w->entry) + sizeof(*w->head)) : 0;
}

#endif
