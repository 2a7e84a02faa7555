// SPDX-License-Identifier: BSD-2-Clause
#include "leases/stay_lists.h"

#include <stdlib.h>

#include "base/array_grow.h"

struct head {
	struct hash_entry entry;
	struct stay_names names;
	uint32_t first;
};

static uint64_t hash_head(const void *entry)
{
	const struct head *h = entry;

	return HASH_OF(h->names.of, (uint64_t)h->names.id << 32 | h->names.mac);
}

static bool same_head(const void *pa, const void *pb)
{
	const struct head *a = pa, *b = pb;

	return a->names.of == b->names.of && a->names.id == b->names.id && a->names.mac == b->names.mac;
}

static const struct hash_type type = { .size = sizeof(struct head), .hash = hash_head, .same = same_head };

uint32_t *stay_list(const struct stay_lists *x, struct stay_names names)
{
	struct head *h = hash_find(&type, &x->heads, &(struct head){ .names = names });

	return h ? &h->first : NULL;
}

uint32_t *stay_list_make(struct stay_lists *x, struct stay_names names)
{
	struct head like = { .names = names, .first = LIST_END }, *h;
	uint32_t *there = stay_list(x, names);

	if (there)
		return there;
	h = hash_add(&type, &x->heads, &like);
	return h ? &h->first : NULL;
}

int stay_list_add(struct stay_lists *x, struct stay_names names, uint32_t number)
{
	uint32_t *at = stay_list_make(x, names);

	if (!at || array_grow(&x->link, x->n, &x->room, sizeof(*x->link)))
		return -ENOMEM;
	while (*at != LIST_END && x->link[*at].number > number)
		at = &x->link[*at].next;
	x->link[x->n] = (struct stay_link){ number, *at };
	*at = (uint32_t)x->n++;
	return 0;
}

void stay_lists_free(struct stay_lists *x)
{
	hash_free(&x->heads);
	free(x->link);
}
