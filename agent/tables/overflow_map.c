/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables/overflow_map.h"

#include <bpf/bpf.h>
#include <errno.h>

static int make_room(struct overflow_scan *s, uint32_t room)
{
	struct overflow_key *keys = realloc(s->keys, room * sizeof(*keys));

	if (keys)
		s->keys = keys;

	struct overflow_session *sessions = keys ? realloc(s->sessions, room * sizeof(*sessions)) : NULL;

	if (!sessions)
		return -ENOMEM;
	s->sessions = sessions;
	s->room = room;
	return 0;
}

int overflow_scan_step(struct overflow_scan *s, const struct datapath *d)
{
	s->n = 0;
	return s->started || overflow_any(d) ? overflow_scan_any(s, d) : 0;
}

int overflow_scan_any(struct overflow_scan *s, const struct datapath *d)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t room = s->room ? s->room : OVERFLOW_BATCH;

	s->n = 0;
	if (s->started && s->map != d->overflow)
		return -EAGAIN;
	s->map = d->overflow;
	for (;;) {
		uint32_t next = 0, n = room;
		int r = s->room < room ? make_room(s, room) : 0;

		if (r < 0)
			return r;
		r = bpf_map_lookup_batch(d->overflow, s->started ? &s->cursor : NULL, &next, s->keys, s->sessions, &n,
					 &opts);
		if (r == -ENOSPC) { /* more entries in one hash bucket than the batch holds */
			room = 2 * s->room;
			continue;
		}
		if (r < 0 && r != -ENOENT)
			return r;
		s->started = true;
		s->cursor = next;
		s->n = n;
		return r < 0 ? 0 : 1;
	}
}

void overflow_scan_end(struct overflow_scan *s)
{
	free(s->keys);
	free(s->sessions);
	*s = (struct overflow_scan){};
}

int overflow_word(const struct datapath *d, const struct overflow_key *in2out, uint64_t *ret_word)
{
	struct overflow_session session;
	int r = bpf_map_lookup_elem(d->overflow, in2out, &session);

	if (!r)
		*ret_word = session.truth;
	return r;
}

/* Deletes through a program of the datapath, because sessions come and go under the opener's lock. */
static bool remove_under_lock(const struct datapath *d, const struct overflow_removal *removal)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = removal, .ctx_size_in = sizeof(*removal));

	/* A packet holds the lock at most. */
	for (int tries = 0; tries < 100; tries++) {
		if (bpf_prog_test_run_opts(d->overflow_removal, &run))
			return false;
		if (run.retval != OVERFLOW_BUSY)
			return run.retval == OVERFLOW_REMOVED;
	}
	return false;
}

bool overflow_delete_orphan(const struct datapath *d, const struct overflow_key *out2in,
			    const struct overflow_key *in2out)
{
	struct overflow_removal removal = { .in2out = *in2out, .out2in = *out2in };

	if (d->overflow_removal >= 0)
		return remove_under_lock(d, &removal);
	return !bpf_map_delete_elem(d->overflow, out2in);
}

bool overflow_delete(struct datapath *d, const struct overflow_key *in2out, uint64_t word,
		     struct subscriber *subscriber, struct limit_line *line)
{
	struct overflow_key out2in = overflow_key_reverse(in2out, word_out_port(word));

	if (subscriber && d->overflow_removal >= 0)
		return remove_under_lock(d, &(struct overflow_removal){ *in2out, out2in, word });

	/* The datapath no longer knows the subscriber, so nothing else changes its entries. */
	if (bpf_map_delete_elem(d->overflow, in2out))
		return false;
	bpf_map_delete_elem(d->overflow, &out2in);
	if (subscriber) {
		limit_line_ended(line, in2out->proto);
		count_down(&subscriber->sessions);
		count_down(&subscriber->overflow);
	}
	__atomic_fetch_sub(&d->global->overflow, 1, __ATOMIC_ACQ_REL);
	return true;
}

bool overflow_delete_entry(struct datapath *d, const struct overflow_key *key)
{
	if (bpf_map_delete_elem(d->overflow, key))
		return false;
	if (key->direction == OVERFLOW_IN2OUT)
		__atomic_fetch_sub(&d->global->overflow, 1, __ATOMIC_ACQ_REL);
	return true;
}

size_t overflow_heap_max = 256U << 10;

static int compare_addresses(const void *a, const void *b)
{
	const struct overflow_key *x = a, *y = b;

	return (overflow_heap_place(x) > overflow_heap_place(y)) - (overflow_heap_place(x) < overflow_heap_place(y));
}

static const struct heap_type keys = { .item_size = sizeof(struct overflow_key), .compare = compare_addresses };
_Static_assert(sizeof(struct overflow_key) <= HEAP_ITEM_MAX, "fits into a heap");

/* The median of the places, found by quickselect, which reorders the keys. */
static uint64_t median_place(struct overflow_key *key, size_t n)
{
	size_t low = 0, high = n - 1, middle = n / 2;

	while (low < high) {
		uint64_t pivot = overflow_heap_place(&key[(low + high) / 2]);
		size_t i = low, j = high;

		for (;; i++, j--) {
			while (overflow_heap_place(&key[i]) < pivot)
				i++;
			while (overflow_heap_place(&key[j]) > pivot)
				j--;
			if (i >= j)
				break;

			struct overflow_key other = key[i];

			key[i] = key[j];
			key[j] = other;
		}
		if (middle <= j)
			high = j;
		else
			low = j + 1;
	}
	return overflow_heap_place(&key[middle]);
}

/* Drops the upper half of the places. */
static void cut(struct overflow_heap *h)
{
	struct overflow_key *key = h->heap.items;
	size_t kept = 0;

	h->end = median_place(key, h->heap.n);
	h->cut = true;
	for (size_t i = 0; i < h->heap.n; i++)
		if (overflow_heap_place(&key[i]) < h->end)
			key[kept++] = key[i];
	h->heap.n = kept;
	heap_rebuild(&keys, &h->heap);
}

int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key)
{
	if (h->heap.n == overflow_heap_max)
		cut(h);
	if (h->cut && overflow_heap_place(key) >= h->end)
		return 0;
	return heap_push(&keys, &h->heap, key);
}

void overflow_heap_pop(struct overflow_heap *h)
{
	heap_pop(&keys, &h->heap);
}

void overflow_heap_clear(struct overflow_heap *h)
{
	h->heap.n = 0;
	h->cut = false;
}

void overflow_heap_free(struct overflow_heap *h)
{
	heap_free(&h->heap);
	*h = (struct overflow_heap){ 0 };
}
