/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies the records of subscribers from one layout to the other. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include <detnat/extents.h>

#include "datapath/migration_private.h"
#include "datapath/pinned.h"
#include "datapath/table_types.h"

static uint32_t load(const uint8_t *record, struct layout_member member)
{
	return __atomic_load_n((const uint32_t *)(record + member.offset), __ATOMIC_RELAXED);
}

/* Whether a number of any size is not 0. */
static bool is_set(const uint8_t *record, struct layout_member member)
{
	for (uint32_t i = 0; i < member.size; i++)
		if (record[member.offset + i])
			return true;
	return false;
}

static uint8_t *old_record(const struct migration *m, const struct migration_chunk *c, uint32_t i)
{
	return c->from + (size_t)i * m->fields.record_size;
}

/*
 * Whether a subscriber may have peers at pool addresses, yes if the old layout does not record it; and the place of its
 * extent.
 */
static uint32_t hairpins(const struct migration *m, const uint8_t *from)
{
	if (m->fields.extents)
		return load(from, m->fields.hairpins);
	return !m->fields.hairpins.size || is_set(from, m->fields.hairpins) ? HAIRPINS_SEEN : 0;
}

/* The old counts, as they are now. */
static struct migration_seen look(const struct migration *m, const uint8_t *from)
{
	return (struct migration_seen){
		.sessions = load(from, m->fields.sessions),
		.datagrams = m->fields.datagrams.size ? load(from, m->fields.datagrams) : 0,
		.hairpins = hairpins(m, from),
	};
}

/*
 * Copies members that outlive a packet. Limits and next hops start as in a new record. Until the bits of displaced
 * sessions are recomputed from the slots, any session may be in any slot.
 */
static void copy_subscriber(struct migration *m, struct migration_chunk *c, uint32_t i)
{
	uint8_t *from = old_record(m, c, i);
	struct subscriber *to = &c->to[i];
	struct migration_seen seen = look(m, from);

	c->seen[i] = seen;
	to->sessions = seen.sessions;
	to->datagrams = seen.datagrams;
	to->displaced = ~0U;
	to->hairpins = seen.hairpins;
	m->n_sessions += seen.sessions;
}

static int read_fields(const struct datapath *d, struct migration *m)
{
	struct layout_member all;
	const struct btf_type *t;
	int id = btf__find_by_name_kind(m->from, "subscriber", BTF_KIND_STRUCT);

	if (id < 0 || layout_find(m->from, "subscriber", "sessions", &m->fields.sessions))
		return -EXDEV;
	t = btf__type_by_id(m->from, (uint32_t)id);
	m->fields.record_size = (t->size + 7) & ~7U;
	if (!layout_find(m->from, "subscriber", "refused", &all) && all.size == sizeof(uint64_t))
		m->fields.refused = all;
	if (!layout_find(m->from, "subscriber", "hairpins", &all))
		m->fields.hairpins = all;
	m->fields.extents = m->fields.hairpins.size == sizeof(uint32_t) && migration_is_shared(d, m, PIN_EXTENTS);
	/* They count entries of the map `fragments`, if that is shared. */
	if (migration_is_shared(d, m, "fragments") && !layout_find(m->from, "subscriber", "datagrams", &all) &&
	    all.size == sizeof(uint32_t))
		m->fields.datagrams = all;
	return 0;
}

bool migration_subscribers_fit(const struct migration *m)
{
	static const char *const needed[] = { "sessions", "lock" };
	struct layout_member member;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (layout_find(m->from, "subscriber", needed[i], &member) || member.size != sizeof(uint32_t))
			return false;
	return true;
}

/*
 * Adds a chunk of that number and maps the old one. 0 if it was added before or does not exist, 1 if added, or -errno.
 */
static int add_chunk(struct migration *m, uint32_t number)
{
	struct migration_chunk *grown, *c;
	char path[PATH_MAX];

	for (size_t i = 0; i < m->n_chunks; i++)
		if (m->chunk[i].number == number)
			return 0;

	_cleanup_close_ int fd =
		outer_chunk(m->subscribers, number, chunk_pin(m->pin_dir, CHUNK_SUBSCRIBER, number, path));

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	grown = reallocarray(m->chunk, m->n_chunks + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	m->chunk = grown;
	c = &grown[m->n_chunks];
	*c = (struct migration_chunk){ .number = number };
	c->from = migration_mmap(fd, &c->from_octets);
	if (!c->from)
		return -errno;
	m->n_chunks++;
	if (c->from_octets < (size_t)m->fields.record_size * SUBSCRIBER_CHUNK)
		return -EXDEV;
	c->seen = calloc(SUBSCRIBER_CHUNK, sizeof(*c->seen));
	return c->seen ? 1 : -ENOMEM;
}

/* Finds chunks by the records of the mappings: on 6.1 each lookup in an outer map takes about 10 ms. */
static int find_chunks(const struct datapath *d, struct migration *m)
{
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < MAX_MAPPINGS; i++) {
		const struct mapping *record = &d->mapping[i];
		uint64_t last;

		if (!mapping_record_valid(record) || !record->geo.in_plen || record->geo.out_plen == PLEN_NONE)
			continue;
		m->n_mappings++;
		last = record->first_subscriber + (record->geo.last_subscriber + 1ULL) - 1;
		for (uint64_t chunk = record->first_subscriber >> SUBSCRIBER_CHUNK_SHIFT;
		     r >= 0 && chunk <= last >> SUBSCRIBER_CHUNK_SHIFT && chunk < MAX_SUBSCRIBER_CHUNKS; chunk++)
			r = add_chunk(m, (uint32_t)chunk);
	}
	return r < 0 ? r : 0;
}

/* Creates new chunks for some of the old ones, as many as share one grace period. */
static int make_batch(const struct datapath *d, struct migration *m, const struct table_types *types, size_t first)
{
	struct outer_change changes[CHUNKS_BATCH];
	unsigned n = 0;
	int r = 0;

	for (size_t i = first; !r && i < m->n_chunks && n < CHUNKS_BATCH; i++) {
		struct migration_chunk *c = &m->chunk[i];
		char name[BPF_OBJ_NAME_LEN], path[PATH_MAX];
		int fd;

		snprintf(name, sizeof(name), "subscriber.%u", c->number % 10000);
		fd = table_types_array(types, name, types->subscriber, sizeof(struct subscriber), SUBSCRIBER_CHUNK);
		r = fd < 0 ? fd : 0;
		if (r)
			break;
		changes[n++] = (struct outer_change){ .outer = d->subscribers, .index = c->number, .fd = fd };
		c->to = migration_mmap(fd, &c->to_octets);
		r = c->to ? bpf_obj_pin(fd, chunk_pin(d->pin_dir, CHUNK_SUBSCRIBER, c->number, path)) : -errno;
		for (uint32_t k = 0; !r && k < SUBSCRIBER_CHUNK; k++)
			copy_subscriber(m, c, k);
	}
	if (!r)
		outer_apply(changes, n);
	for (unsigned i = 0; i < n; i++) {
		if (!r)
			r = changes[i].r;
		close(changes[i].fd);
	}
	return r;
}

/* For shared records: pins their chunks, and gathers the figures for the log. */
static int count(const struct datapath *d, struct migration *m)
{
	int r = 0;

	for (unsigned i = 0; !r && i < MAX_MAPPINGS; i++)
		if (mapping_record_valid(&d->mapping[i]) && d->mapping[i].limited)
			r = migration_pin_chunks(d, m, d->subscribers, CHUNK_SUBSCRIBER, d->mapping[i].limit.first,
						 d->mapping[i].geo.last_subscriber + 1ULL, SUBSCRIBER_CHUNK_SHIFT);
	for (size_t i = 0; !r && i < m->n_chunks; i++) {
		r = migration_pin_chunks(d, m, d->subscribers, CHUNK_SUBSCRIBER,
					 (uint64_t)m->chunk[i].number << SUBSCRIBER_CHUNK_SHIFT, 1,
					 SUBSCRIBER_CHUNK_SHIFT);
		for (uint32_t k = 0; k < SUBSCRIBER_CHUNK; k++) {
			struct migration_seen seen = look(m, old_record(m, &m->chunk[i], k));

			m->n_sessions += seen.sessions;
		}
	}
	return r;
}

int migration_subscribers_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	struct table_types types;
	int r = read_fields(d, m);

	if (!r)
		r = find_chunks(d, m);
	if (r || migration_is_shared(d, m, row->pin))
		return r ? r : count(d, m);
	types = table_types_load();
	for (size_t first = 0; !r && first < m->n_chunks; first += CHUNKS_BATCH)
		r = make_batch(d, m, &types, first);
	table_types_close(&types);
	return r;
}

/* Not if the new programs have given the subscriber another extent since: then that one is the subscriber's. */
static void bring_over_hairpins(struct subscriber *to, uint32_t before, uint32_t now)
{
	uint32_t there = __atomic_load_n(&to->hairpins, __ATOMIC_ACQUIRE), wanted;

	do {
		wanted = there >> EXTENT_AT == before >> EXTENT_AT ? now | (there & HAIRPINS_SEEN)
								   : there | (now & HAIRPINS_SEEN);
	} while (
		!__atomic_compare_exchange_n(&to->hairpins, &there, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

void migration_subscribers_bring_over(struct migration *m)
{
	for (size_t i = 0; i < m->n_chunks; i++) {
		struct migration_chunk *c = &m->chunk[i];

		for (uint32_t k = 0; c->to && k < SUBSCRIBER_CHUNK; k++) {
			uint8_t *from = old_record(m, c, k);
			struct migration_seen now = look(m, from), before = c->seen[k];

			if (!memcmp(&now, &before, sizeof(now)))
				continue;
			c->seen[k] = now;
			__atomic_fetch_add(&c->to[k].sessions, now.sessions - before.sessions, __ATOMIC_ACQ_REL);
			__atomic_fetch_add(&c->to[k].datagrams, now.datagrams - before.datagrams, __ATOMIC_ACQ_REL);
			bring_over_hairpins(&c->to[k], before.hairpins, now.hairpins);
			if (now.sessions > before.sessions)
				m->n_later += now.sessions - before.sessions;
		}
	}
}

void migration_subscribers_move_rest(struct migration *m)
{
	for (size_t i = 0; i < m->n_chunks; i++) {
		struct migration_chunk *c = &m->chunk[i];

		/* Records that both layouts share count what was in the hash. */
		for (uint32_t k = 0; m->beyond && !c->to && k < SUBSCRIBER_CHUNK; k++)
			__atomic_fetch_and(&((struct subscriber *)old_record(m, c, k))->beyond, SUBSCRIBER_FLAGS,
					   __ATOMIC_ACQ_REL);
		for (uint32_t k = 0; c->to && k < SUBSCRIBER_CHUNK; k++) {
			uint8_t *from = old_record(m, c, k);
			uint32_t now = hairpins(m, from);

			bring_over_hairpins(&c->to[k], now, now);
			if (m->fields.refused.size) {
				uint64_t *old = (uint64_t *)(from + m->fields.refused.offset);
				uint64_t refused = __atomic_exchange_n(old, 0, __ATOMIC_ACQ_REL);

				if (refused)
					__atomic_fetch_add(&c->to[k].refused, refused, __ATOMIC_ACQ_REL);
			}
		}
	}
}

int migration_subscribers_map(const struct datapath *d, struct migration *m)
{
	int r = read_fields(d, m);

	if (!r)
		r = find_chunks(d, m);
	for (size_t i = 0; !r && i < m->n_chunks; i++) {
		struct migration_chunk *c = &m->chunk[i];
		char path[PATH_MAX];
		_cleanup_close_ int fd = outer_chunk(d->subscribers, c->number,
						     chunk_pin(d->pin_dir, CHUNK_SUBSCRIBER, c->number, path));

		c->to = fd < 0 ? NULL : migration_mmap(fd, &c->to_octets);
		for (uint32_t k = 0; c->to && k < SUBSCRIBER_CHUNK; k++)
			c->seen[k] = look(m, old_record(m, c, k));
	}
	return r;
}
