/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves overflow sessions to a map of another size while the datapath runs. */
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

static const struct overflow_entry *find_entry(const struct overflow_entries *list, const struct overflow_key *key)
{
	struct overflow_entry wanted = { .key = *key };

	return list->n ? bsearch(&wanted, list->entry, list->n, sizeof(wanted), compare_entries) : NULL;
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

int overflow_copy(int from, int to, struct overflow_entries *ret)
{
	__attribute__((cleanup(overflow_entries_free))) struct overflow_entries source = { 0 }, stale = { 0 };
	int r = overflow_entries_read(from, &source);

	if (!r)
		r = overflow_entries_read(to, &stale);
	for (size_t i = 0; !r && i < stale.n; i++) {
		if (!find_entry(&source, &stale.entry[i].key))
			bpf_map_delete_elem(to, &stale.entry[i].key);
	}
	for (size_t i = 0; !r && i < source.n; i++)
		r = bpf_map_update_elem(to, &source.entry[i].key, &source.entry[i].session, BPF_ANY);
	if (r)
		return r;
	*ret = source;
	source = (struct overflow_entries){ 0 };
	return 0;
}

int overflow_catch_up(int from, int to, const struct overflow_entries *copied)
{
	__attribute__((cleanup(overflow_entries_free))) struct overflow_entries now = { 0 };
	int r = overflow_entries_read(from, &now);

	if (r)
		return r;
	for (size_t i = 0; i < now.n; i++) {
		const struct overflow_entry *entry = &now.entry[i], *before = find_entry(copied, &entry->key);
		struct overflow_session there;

		if (!before)
			bpf_map_update_elem(to, &entry->key, &entry->session, BPF_NOEXIST);
		else if (before->session.truth != entry->session.truth &&
			 !bpf_map_lookup_elem(to, &entry->key, &there) && there.truth == before->session.truth)
			bpf_map_update_elem(to, &entry->key, &entry->session, BPF_EXIST);
	}
	for (size_t i = 0; i < copied->n; i++) {
		const struct overflow_entry *before = &copied->entry[i];

		if (!find_entry(&now, &before->key))
			bpf_map_delete_elem(to, &before->key);
	}
	return 0;
}

int overflow_pin(const struct datapath *d, int overflow)
{
	char fresh[PATH_MAX], path[PATH_MAX];
	int r;

	pin_path_of(d, PIN_OVERFLOW "_new", fresh);
	unlink(fresh);
	r = bpf_obj_pin(overflow, fresh);
	if (r)
		return r;
	return rename(fresh, pin_path_of(d, PIN_OVERFLOW, path)) ? -errno : 0;
}

int overflow_wanted(const struct datapath *d, uint32_t sessions, uint32_t *ret_entries)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	int64_t live = __atomic_load_n(&d->global->overflow, __ATOMIC_RELAXED);
	int r = bpf_obj_get_info_by_fd(d->overflow, &info, &size);

	if (r)
		return r;
	/* A smaller map must still hold the present sessions. */
	if (live > (int64_t)sessions && live <= (1 << 24))
		sessions = (uint32_t)live;
	*ret_entries = overflow_room(sessions, datapath_extent_buckets(d));
	/* One from before there were extents stays: no move is without risk. */
	return info.max_entries != *ret_entries && info.max_entries != OVERFLOW_ENTRIES(sessions);
}
