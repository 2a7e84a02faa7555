/* SPDX-License-Identifier: BSD-2-Clause */
#include "known_leases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/array_grow.h"

static uint64_t hash_addr(const struct lease_addr *a)
{
	uint64_t words[2];

	memcpy(words, a->octet, sizeof(words));
	return HASH_OF(words[0], words[1], a->plen);
}

struct known_lease *known_lease_get(struct known_leases *k, const struct lease_addr *addr)
{
	uint64_t hash = hash_addr(addr);
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&k->index, hash, &step, &number);)
		if (!memcmp(&k->lease[number].addr, addr, sizeof(*addr)))
			return &k->lease[number];
	if (k->n >= KNOWN_LEASES || array_grow(&k->lease, k->n, &k->room, sizeof(*k->lease)) ||
	    hash_index_add(&k->index, hash, (uint32_t)k->n))
		return NULL;
	k->lease[k->n] = (struct known_lease){ .addr = *addr, .gone = TIME_NONE };
	return &k->lease[k->n++];
}

int known_lease_set(struct known_lease *x, const struct lease_line *l, uint64_t content)
{
	size_t size;
	char *body = lease_line_text(l, &size);

	if (!body)
		return -ENOMEM;
	free(x->body);
	x->body = body;
	x->content = content;
	x->ended = l->event == LEASE_STOP;
	x->gone = TIME_NONE;
	return 0;
}

bool known_lease_line(const struct known_lease *x, struct lease_line *ret)
{
	return x->body && !lease_line_read(x->body, strlen(x->body), ret, NULL);
}

uint64_t known_lease_hash(const struct lease_line *l, bool timed)
{
	uint64_t texts = lease_texts_hash(l);

	return timed ? HASH_OF(texts, l->event, (uint64_t)l->time, (uint64_t)l->from, (uint64_t)l->to)
		     : HASH_OF(texts, (uint64_t)l->to);
}

void known_leases_free(struct known_leases *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->lease[i].body);
	free(k->lease);
	hash_index_free(&k->index);
	*k = (struct known_leases){ 0 };
}
