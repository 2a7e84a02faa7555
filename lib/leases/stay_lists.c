// SPDX-License-Identifier: BSD-2-Clause
#include "leases/stay_lists.h"

#include <stdlib.h>

#include "base/array_grow.h"

struct head {
	struct hash_entry entry;
	struct stay_names names;
	uint32_t first;
	/* Of a list that ascends and has any: the last link, and one beside which more are likely to be added. */
	uint32_t last, near;
};

static uint64_t hash_head(const void *entry)
{
	const struct head *h = entry;

	return HASH_OF((uint64_t)h->names.of << 32 | h->names.since, (uint64_t)h->names.id << 32 | h->names.mac);
}

static bool same_head(const void *pa, const void *pb)
{
	const struct head *a = pa, *b = pb;

	return a->names.of == b->names.of && a->names.id == b->names.id && a->names.mac == b->names.mac &&
	       a->names.since == b->names.since;
}

static const struct hash_type type = { .size = sizeof(struct head), .hash = hash_head, .same = same_head };

static struct head *find_head(const struct stay_lists *x, struct stay_names names)
{
	return hash_find(&type, &x->heads, &(struct head){ .names = names });
}

uint32_t *stay_list(const struct stay_lists *x, struct stay_names names)
{
	struct head *h = find_head(x, names);

	return h ? &h->first : NULL;
}

static struct head *make_head(struct stay_lists *x, struct stay_names names)
{
	struct head *h = find_head(x, names);

	return h ? h : hash_add(&type, &x->heads, &(struct head){ .names = names, .first = LIST_END });
}

uint32_t *stay_list_make(struct stay_lists *x, struct stay_names names)
{
	struct head *h = make_head(x, names);

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

/* Where a number belongs in a list that ascends. */
static uint32_t *place_of(struct stay_lists *x, struct head *h, uint32_t number)
{
	uint32_t *at = &h->first;

	if (*at != LIST_END && x->link[h->last].number < number)
		return &x->link[h->last].next;
	if (*at != LIST_END && x->link[h->near].number < number)
		at = &x->link[h->near].next;
	while (*at != LIST_END && x->link[*at].number < number)
		at = &x->link[*at].next;
	return at;
}

int stay_list_append(struct stay_lists *x, struct stay_names names, uint32_t number)
{
	struct head *h = make_head(x, names);
	uint32_t *at;

	if (!h || array_grow(&x->link, x->n, &x->room, sizeof(*x->link)))
		return -ENOMEM;
	at = place_of(x, h, number);
	x->link[x->n] = (struct stay_link){ number, *at };
	*at = h->near = (uint32_t)x->n++;
	if (x->link[h->near].next == LIST_END)
		h->last = h->near;
	return 0;
}

void stay_list_visit(struct stay_lists *x, struct stay_names names,
		     enum stay_visit (*visit)(void *arg, uint32_t number), void *arg)
{
	struct head *h = find_head(x, names);
	uint32_t *at = h ? &h->first : NULL, kept = LIST_END;
	bool dropped = false;

	while (at && *at != LIST_END) {
		struct stay_link *link = &x->link[*at];
		enum stay_visit said = visit(arg, link->number);

		if (said == VISIT_ENOUGH) {
			h->near = dropped ? *at : h->near;
			return;
		}
		if (said == VISIT_KEEP) {
			kept = *at;
			at = &link->next;
		} else {
			*at = link->next;
			dropped = true;
		}
	}
	if (h)
		h->last = h->near = kept;
}

void stay_lists_free(struct stay_lists *x)
{
	hash_free(&x->heads);
	free(x->link);
}
