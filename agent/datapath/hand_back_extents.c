/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 1.0.0 has no extents, <detnat/extents.h>: it gets their sessions as entries of its hash. There it only looks for
 * subscribers whose records count sessions in it, and it follows the records of this version. So while the offer
 * stands, these count what is in extents, too. That leads this version's packets to the slow path at worst.
 *
 * How many each record counts so is in a pinned map, for the start that undoes an offer after a kill. At no moment does
 * the map have more than the record: a record that counts too few hides sessions, one that counts too many does not.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <detnat/copies.h>
#include <detnat/extents.h>

#include "datapath/chunk_maps.h"
#include "datapath/former_hash.h"
#include "datapath/hand_back_private.h"
#include "datapath/migration_private.h"
#include "datapath/pinned.h"

static struct hand_back_chunk *chunk_of(struct hand_back *h, uint32_t record)
{
	uint32_t number = record >> SUBSCRIBER_CHUNK_SHIFT;
	struct hand_back_chunk *c;
	char path[PATH_MAX];

	if (!h->chunk)
		h->chunk = calloc(MAX_SUBSCRIBER_CHUNKS, sizeof(*h->chunk));
	if (!h->chunk || number >= MAX_SUBSCRIBER_CHUNKS)
		return NULL;
	c = &h->chunk[number];
	if (c->record)
		return c;

	_cleanup_close_ int fd = outer_chunk(h->datapath->subscribers, number,
					     chunk_pin(h->datapath->pin_dir, CHUNK_SUBSCRIBER, number, path));

	if (!c->counted)
		c->counted = calloc(SUBSCRIBER_CHUNK, sizeof(*c->counted));
	c->record = fd < 0 || !c->counted ? NULL : migration_mmap(fd, &c->octets);
	return c->record ? c : NULL;
}

static int open_counted(const struct datapath *d)
{
	const struct pinned_map map = { PIN_COUNTED, BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(uint32_t),
					(uint32_t)datapath_extent_buckets(d) };

	return pinned_map_open(d->pin_dir, &map);
}

/* Makes a record count `n` sessions as if they were in the hash. 0 or -errno. */
static int count(struct hand_back *h, uint32_t record, uint32_t n)
{
	struct hand_back_chunk *c = chunk_of(h, record);
	uint32_t at = record & (SUBSCRIBER_CHUNK - 1), before = c ? c->counted[at] : 0;
	int r = 0;

	if (!c || n == before)
		return c ? 0 : -ENOMEM;
	if (h->counted < 0)
		h->counted = open_counted(h->datapath);
	if (h->counted < 0)
		return h->counted;
	if (n > before)
		__atomic_fetch_add(&c->record[at].beyond, n - before, __ATOMIC_ACQ_REL);
	r = bpf_map_update_elem(h->counted, &record, &n, BPF_ANY);
	if (!r && n < before)
		__atomic_fetch_sub(&c->record[at].beyond, before - n, __ATOMIC_ACQ_REL);
	if (r && n > before)
		__atomic_fetch_sub(&c->record[at].beyond, n - before, __ATOMIC_ACQ_REL);
	if (!r)
		c->counted[at] = n;
	return r;
}

/* A session as both its entries. A copy is one there, too. */
static int append(struct former_entries *list, const struct geometry *g, uint32_t in_addr, const struct slot *slot,
		  uint64_t word)
{
	struct former_entry *grown = reallocarray(list->entry, list->n + 2, sizeof(*grown));
	uint64_t key = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE);
	struct former_overflow_key in = { .in_addr = in_addr,
					  .out_addr = mapping_forward(g, in_addr).out_addr,
					  .ext_addr = key_ext_addr(key),
					  .port = key_in_port(key),
					  .ext_port = key_ext_port(key),
					  .proto = word_proto(word),
					  .direction = FORMER_IN2OUT,
					  .ratio_shift = g->ratio_shift };
	struct former_overflow_key out = in;

	if (!grown)
		return -ENOMEM;
	list->entry = grown;
	out.port = word_out_port(word);
	out.direction = FORMER_OUT2IN;
	grown[list->n++] =
		(struct former_entry){ in,
				       { .truth = word_owned(word, 0, 0),
					 .mark = word_owner(word) ? former_mark(word_owner(word), word) : 0 } };
	grown[list->n++] = (struct former_entry){ out, { .in_port = key_in_port(key) } };
	return 0;
}

/* Appends the sessions of a subscriber. Those that move to another extent meanwhile are read there. */
static int read_subscriber(struct hand_back *h, const struct mapping *m, uint32_t subscriber,
			   struct former_entries *list)
{
	uint32_t record = m->first_subscriber + subscriber, extent, n;
	struct hand_back_chunk *c = chunk_of(h, record);
	const struct subscriber *s = c ? &c->record[record & (SUBSCRIBER_CHUNK - 1)] : NULL;
	size_t before = list->n;
	int r = s ? 0 : -ENOMEM;

	do {
		const struct slot *slots = NULL;

		extent = s ? subscriber_extent(s) : 0;
		slots = extent ? datapath_extent(h->datapath, extent, &n) : NULL;
		list->n = before;
		for (uint32_t i = 0; !r && slots && i < n; i++) {
			uint64_t word = __atomic_load_n(&slots[i].truth, __ATOMIC_ACQUIRE);

			if (word_is_live(word) && word_state(word) != SESSION_TIME_WAIT)
				r = append(list, &m->geo, m->geo.in_base + subscriber, &slots[i], word);
		}
	} while (!r && s && extent != subscriber_extent(s));
	return r ? r : count(h, record, (uint32_t)(list->n - before) / 2);
}

int hand_back_read_extents(struct hand_back *h, struct former_entries *list)
{
	const struct datapath *d = h->datapath;
	int r = 0;

	if (!d->pool || !d->extent || (!__atomic_load_n(&d->pool->used, __ATOMIC_ACQUIRE) && h->counted < 0))
		return 0;
	for (unsigned i = 0; !r && i < MAX_MAPPINGS; i++) {
		const struct mapping *m = &d->mapping[i];

		if (!mapping_record_valid(m) || !m->geo.in_plen || m->geo.out_plen == PLEN_NONE ||
		    m->first_bucket == NO_BUCKETS)
			continue;
		for (uint64_t k = 0; !r && k <= m->geo.last_subscriber; k++)
			r = read_subscriber(h, m, (uint32_t)k, list);
	}
	return r;
}

void hand_back_free_extents(struct hand_back *h)
{
	for (size_t i = 0; h->chunk && i < MAX_SUBSCRIBER_CHUNKS; i++) {
		if (h->chunk[i].record)
			munmap(h->chunk[i].record, h->chunk[i].octets);
		free(h->chunk[i].counted);
	}
	free(h->chunk);
	close_fd(&h->counted);
}

void hand_back_uncount(const char *pin_dir)
{
	struct datapath d = { .pin_dir = (char *)pin_dir };
	_cleanup_close_ int counted = migration_pin(pin_dir, PIN_COUNTED);
	_cleanup_close_ int subscribers = counted < 0 ? -1 : migration_pin(pin_dir, "subscribers");
	struct hand_back h = { .datapath = &d, .counted = -1 };
	uint32_t record, n;
	char path[PATH_MAX];

	if (counted < 0)
		return;
	d.subscribers = subscribers;
	while (!bpf_map_get_next_key(counted, NULL, &record)) {
		struct hand_back_chunk *c = chunk_of(&h, record);
		bool known = !bpf_map_lookup_elem(counted, &record, &n);

		if (bpf_map_delete_elem(counted, &record))
			break;
		if (c && known)
			__atomic_fetch_sub(&c->record[record & (SUBSCRIBER_CHUNK - 1)].beyond, n, __ATOMIC_ACQ_REL);
	}
	unlink(pin_path_of(&d, PIN_COUNTED, path));
	hand_back_free_extents(&h);
}
