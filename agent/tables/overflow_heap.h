/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of overflow sessions by inside address: gathered in any order, taken out in order, each in logarithmic time, so
 * that there is no moment at which all have to be sorted. 16 octets a session, and no more than overflow_heap_max: of
 * more sessions those of the lowest addresses are kept, and the others have to be gathered again when these are gone.
 */
#ifndef DETNAT_OVERFLOW_HEAP_H
#define DETNAT_OVERFLOW_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/tables.h>

/* At least twice as many as one subscriber may have; tests lower it. */
extern size_t overflow_heap_max;

/* Zeroed to begin with. */
struct overflow_heap {
	struct overflow_key *key;
	size_t n;
	size_t room;
	bool cut; /* sessions of addresses from end on were left out */
	uint32_t end;
};

/* Takes a key in, or leaves it out. 0 or -ENOMEM. */
int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key);

/* The key of the lowest address, or NULL. */
static inline const struct overflow_key *overflow_heap_top(const struct overflow_heap *h)
{
	return h->n ? &h->key[0] : NULL;
}

/* Takes that one out. */
void overflow_heap_pop(struct overflow_heap *h);

void overflow_heap_free(struct overflow_heap *h);

#endif
