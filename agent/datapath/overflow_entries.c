/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what an earlier build has left in the map `overflow`. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "datapath/datapath_private.h"

#define BATCH 4096U

static int compare_entries(const void *a, const void *b)
{
	const struct overflow_entry *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

static int append(struct overflow_entries *list, const struct overflow_key *keys, const struct overflow_session *values,
		  uint32_t n)
{
	struct overflow_entry *grown = reallocarray(list->entry, list->n + n, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->entry = grown;
	for (uint32_t i = 0; i < n; i++)
		grown[list->n++] = (struct overflow_entry){ keys[i], values[i] };
	return 0;
}

int overflow_entries_read(int map, struct overflow_entries *ret)
{
	_cleanup_free_ struct overflow_key *keys = calloc(BATCH, sizeof(*keys));
	_cleanup_free_ struct overflow_session *values = calloc(BATCH, sizeof(*values));
	struct overflow_entries list = { 0 };
	uint32_t cursor, *from = NULL;
	int r = keys && values ? 0 : -ENOMEM;
	bool more = true;

	while (!r && more) {
		uint32_t n = BATCH;

		r = bpf_map_lookup_batch(map, from, &cursor, keys, values, &n, NULL);
		more = r != -ENOENT;
		if (!r || r == -ENOENT)
			r = n ? append(&list, keys, values, n) : 0;
		from = &cursor;
	}
	if (r) {
		overflow_entries_free(&list);
		return r;
	}
	if (list.n)
		qsort(list.entry, list.n, sizeof(*list.entry), compare_entries);
	*ret = list;
	return 0;
}

void overflow_entries_free(struct overflow_entries *list)
{
	free(list->entry);
	*list = (struct overflow_entries){ 0 };
}
