/* SPDX-License-Identifier: BSD-2-Clause */
/* Carries sessions beyond the slots over to the hash of 1.0.0. */
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

/* Whether 1.0.0 has left an entry as it was carried over. */
static bool is_untouched(int map, const struct former_entry *before)
{
	struct former_overflow_session there;

	return !bpf_map_lookup_elem(map, &before->key, &there) && !memcmp(&there, &before->session, sizeof(there));
}

int hand_back_carry_sessions(struct hand_back *h)
{
	struct former_entries now = { 0 };
	int r = hand_back_read_extents(h, &now);

	if (r) {
		free(now.entry);
		return r;
	}
	if (now.n)
		qsort(now.entry, now.n, sizeof(*now.entry), compare);
	for (size_t i = 0; i < h->carried.n; i++)
		if (!find(&now, &h->carried.entry[i]) && is_untouched(h->hash, &h->carried.entry[i]))
			bpf_map_delete_elem(h->hash, &h->carried.entry[i].key);
	for (size_t i = 0; i < now.n; i++) {
		const struct former_entry *e = &now.entry[i], *before = find(&h->carried, e);

		/* A session that 1.0.0 has opened in that place stays. */
		if (!before)
			bpf_map_update_elem(h->hash, &e->key, &e->session, BPF_NOEXIST);
		else if (memcmp(&before->session, &e->session, sizeof(e->session)) && is_untouched(h->hash, before))
			bpf_map_update_elem(h->hash, &e->key, &e->session, BPF_EXIST);
	}
	h->table->globals.overflow = (int64_t)now.n / 2;
	free(h->carried.entry);
	h->carried = now;
	return 0;
}
