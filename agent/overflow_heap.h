/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of overflow sessions by inside address: gathered in any order, taken out in order, each in logarithmic time, so
 * that there is no moment at which millions have to be sorted. 16 octets a session.
 */
#ifndef DETNAT_OVERFLOW_HEAP_H
#define DETNAT_OVERFLOW_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include <detnat/tables.h>

struct overflow_heap {
	struct overflow_key *key;
	size_t n;
	size_t room;
};

int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key); /* 0 or -ENOMEM */

/* The key of the lowest address, or NULL. */
static inline const struct overflow_key *overflow_heap_top(const struct overflow_heap *h)
{
	return h->n ? &h->key[0] : NULL;
}

/* Takes that one out. */
void overflow_heap_pop(struct overflow_heap *h);

void overflow_heap_free(struct overflow_heap *h);

#endif
