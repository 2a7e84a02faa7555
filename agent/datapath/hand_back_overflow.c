/* SPDX-License-Identifier: BSD-2-Clause */
/* Carries sessions beyond the slots over to the map of 1.0.0, in whose keys is the sharing ratio instead of the block.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "datapath/hand_back_private.h"

static int compare(const void *a, const void *b)
{
	const struct former_entry *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

static const struct former_entry *find(const struct former_entries *list, const struct former_entry *wanted)
{
	return list->n ? bsearch(wanted, list->entry, list->n, sizeof(*wanted), compare) : NULL;
}

static bool translate(const struct datapath *d, const struct overflow_entry *from, struct former_entry *ret)
{
	const struct mapping *m = mapping_at_outside(d, from->key.out_addr);
	const struct geometry *g = m ? &m->geo : NULL;

	if (!g || !overflow_key_is_of(g, &from->key))
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->key = (struct former_overflow_key){ .in_addr = from->key.in_addr,
						 .out_addr = from->key.out_addr,
						 .ext_addr = from->key.ext_addr,
						 .port = from->key.port,
						 .ext_port = from->key.ext_port,
						 .proto = from->key.proto,
						 .direction = from->key.direction,
						 .ratio_shift = g->ratio_shift };
	ret->session = (struct former_overflow_session){ .truth = from->session.truth,
							 .in_port = from->session.in_port,
							 .mark = from->session.mark };
	return true;
}

/* What is in the map and in extents now; the caller frees it. */
static int read_now(struct hand_back *h, struct former_entries *ret)
{
	__attribute__((cleanup(overflow_entries_free))) struct overflow_entries all = { 0 };
	const struct datapath *d = h->datapath;
	int r = overflow_entries_read(d->overflow, &all);

	if (!r)
		r = hand_back_read_extents(h, &all);
	if (r)
		return r;
	ret->entry = calloc(all.n + 1, sizeof(*ret->entry));
	if (!ret->entry)
		return -ENOMEM;
	for (size_t i = 0; i < all.n; i++)
		ret->n += translate(d, &all.entry[i], &ret->entry[ret->n]);
	if (ret->n)
		qsort(ret->entry, ret->n, sizeof(*ret->entry), compare);
	return 0;
}

/* Whether 1.0.0 has left an entry as it was carried over. */
static bool is_untouched(int map, const struct former_entry *before)
{
	struct former_overflow_session there;

	return !bpf_map_lookup_elem(map, &before->key, &there) && !memcmp(&there, &before->session, sizeof(there));
}

int hand_back_carry_overflow(struct hand_back *h)
{
	struct former_entries now = { 0 };
	int r = read_now(h, &now);

	if (r)
		return r;
	for (size_t i = 0; i < h->carried.n; i++)
		if (!find(&now, &h->carried.entry[i]) && is_untouched(h->overflow, &h->carried.entry[i]))
			bpf_map_delete_elem(h->overflow, &h->carried.entry[i].key);
	for (size_t i = 0; i < now.n; i++) {
		const struct former_entry *e = &now.entry[i], *before = find(&h->carried, e);

		/* A session that 1.0.0 has opened in that place stays. */
		if (!before)
			bpf_map_update_elem(h->overflow, &e->key, &e->session, BPF_NOEXIST);
		else if (memcmp(&before->session, &e->session, sizeof(e->session)) && is_untouched(h->overflow, before))
			bpf_map_update_elem(h->overflow, &e->key, &e->session, BPF_EXIST);
	}
	h->table->globals.overflow = __atomic_load_n(&h->datapath->global->overflow, __ATOMIC_RELAXED) + h->n_extents;
	free(h->carried.entry);
	h->carried = now;
	return 0;
}
