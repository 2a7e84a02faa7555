/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables/assignments.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/map_keys.h"

#define KEY(name)    _Alignas(uint64_t) uint8_t name[ASSIGNMENT_KEY_MAX]
#define VALUE(name)  _Alignas(uint64_t) uint8_t name[ASSIGNMENT_VALUE_MAX]
#define RECORD(name) _Alignas(uint64_t) uint8_t name[ASSIGNMENT_MAX]

static uint64_t endpoint_key(uint8_t proto, struct endpoint e)
{
	return (uint64_t)e.addr << 32 | (uint64_t)e.port << 8 | proto;
}

static uint64_t key_out(const void *record)
{
	const struct assignment *a = record;

	return endpoint_key(a->proto, a->out);
}

int assignments_order(const void *a, const void *b)
{
	return key_out(a) < key_out(b) ? -1 : key_out(a) > key_out(b);
}

static uint64_t hash(const void *record)
{
	return HASH_OF(key_out(record));
}

static bool same(const void *a, const void *b)
{
	return key_out(a) == key_out(b);
}

static uint64_t assigned_to(const void *record)
{
	return ((const struct assignment *)record)->in.addr;
}

static uint64_t assigned_by(const void *record)
{
	const struct assignment *a = record;

	return a->proto ? endpoint_key(a->proto, a->in) : a->out.addr;
}

void *assignments_add(struct assignments *s, const void *like)
{
	void *record = hash_add(&s->type, &s->records, like);
	unsigned i = 0;

	if (!record)
		return NULL;
	while (i < ASSIGNMENT_LISTS && !hash_multimap_add(&s->list[i], record))
		i++;
	if (i == ASSIGNMENT_LISTS) {
		s->kind->count(s, record, 1);
		return record;
	}
	while (i--)
		hash_multimap_del(&s->list[i], record);
	hash_del(&s->type, &s->records, record);
	return NULL;
}

void assignments_del(struct assignments *s, void *record)
{
	s->kind->count(s, record, -1);
	for (unsigned i = 0; i < ASSIGNMENT_LISTS; i++)
		hash_multimap_del(&s->list[i], record);
	hash_del(&s->type, &s->records, record);
}

void assignments_leave(struct assignments *s, void *record)
{
	hash_multimap_del(&s->list[ASSIGNED_TO], record);
	((struct assignment *)record)->in_addr = 0;
}

void *assignments_find(const struct assignments *s, uint8_t proto, struct endpoint out)
{
	return hash_find(&s->type, &s->records, &(struct assignment){ .proto = proto, .out = out });
}

bool assignments_has_other(const struct assignments *s, uint32_t addr)
{
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&s->others, HASH_OF(addr), &step, &number);)
		if (number == addr)
			return true;
	return false;
}

void assignments_close(struct assignments *s)
{
	hash_free(&s->records);
	for (unsigned i = 0; i < ASSIGNMENT_LISTS; i++)
		hash_index_free(&s->list[i].first);
	hash_index_free(&s->others);
	free(s);
}

static unsigned direction_of(const struct assignments *s, const void *key)
{
	return ((const uint8_t *)key)[s->kind->direction_at] & s->kind->direction_bits;
}

static bool wants(const struct assignments *s, const void *record, unsigned direction)
{
	return !s->kind->wants || s->kind->wants(record, direction);
}

void *assignments_inside(const struct assignments *s, uint8_t tenant, uint8_t proto, struct endpoint in)
{
	enum assignment_list list = proto ? ASSIGNED_BY : ASSIGNED_TO;
	const uint64_t key = proto ? endpoint_key(proto, in) : in.addr;
	struct assignment *a = NULL;

	while ((a = assignments_next(s, list, key, a)))
		if (endpoint_equal(a->in, in) && (!tenant || a->tenant == tenant) && wants(s, a, s->kind->inside))
			break;
	return a;
}

static int erase(const struct assignments *s, const void *key)
{
	int r = bpf_map_delete_elem(s->map, key);

	if (!r && s->kind->erased)
		s->kind->erased(s, key);
	return r;
}

int assignments_erase(const struct assignments *s, const void *record, unsigned direction)
{
	KEY(key);

	s->kind->key_of(record, direction, key);
	return erase(s, key);
}

/* Reads one side of a record from the map. False: there is none, or it is invalid. */
static bool read_entry(const struct assignments *s, const void *key, void *ret)
{
	VALUE(value);

	return !bpf_map_lookup_elem(s->map, key, value) && s->kind->read(key, value, ret);
}

/* Whether what is read from an entry is so; a block's number has only that of the inside. */
static bool agrees(const struct assignments *s, const struct assignment *a, const struct assignment *there,
		   unsigned direction)
{
	return endpoint_equal(a->out, there->out) && a->in.addr == there->in.addr &&
	       (!a->proto || a->in.port == there->in.port) &&
	       (!s->kind->agrees || s->kind->agrees(a, there, direction));
}

static bool map_has(const struct assignments *s, const void *record, unsigned direction)
{
	KEY(key);
	RECORD(there);

	s->kind->key_of(record, direction, key);
	return read_entry(s, key, there) && agrees(s, record, (void *)there, direction);
}

/* A kill may have left those of two tenants. */
static int take_inside(struct assignments *s, struct assignment *a)
{
	struct assignment *known = assignments_find(s, a->proto, a->out);
	const uint8_t tenant = a->tenant;

	if (!known || !known->half || !agrees(s, known, a, s->kind->inside))
		return 0;
	a->tenant = s->kind->tenant(s, a);
	if (a->tenant != tenant && map_has(s, a, s->kind->inside))
		return 0;
	known->in = a->in;
	known->tenant = tenant;
	known->half = false;
	return 1;
}

/* 1; 0: the entry is part of nothing; or -ENOMEM. */
static int take(struct assignments *s, const void *key, unsigned direction)
{
	const uint32_t addr = *(const uint32_t *)key;
	RECORD(record);
	struct assignment *a = (void *)record;

	if (direction > 1)
		return hash_index_add(&s->others, HASH_OF(addr), addr) ? -ENOMEM : 1;
	if (!read_entry(s, key, a))
		return 0;
	if (direction == s->kind->inside)
		return take_inside(s, a);
	if (!s->kind->fits(s, key, a))
		return 0;
	a->half = wants(s, a, s->kind->inside);
	return assignments_add(s, a) ? 1 : -ENOMEM;
}

/* Takes over the entries of the inside, or all others. Returns the number of those removed, or -ENOMEM. */
static int take_entries(struct assignments *s, const uint8_t *keys, size_t n, bool inside)
{
	int removed = 0, r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		const void *key = keys + i * s->kind->key_size;
		unsigned direction = direction_of(s, key);

		if ((direction == s->kind->inside) != inside)
			continue;
		r = take(s, key, direction);
		if (!r)
			removed += !erase(s, key);
	}
	return r < 0 ? r : removed;
}

/* Records whose inside entry has not been found. Returns their number. */
static int drop_halves(struct assignments *s)
{
	uint32_t at = 0;
	int n = 0;

	for (struct assignment *a; (a = assignments_walk(s, &at));) {
		if (!a->half)
			continue;
		assignments_erase(s, a, !s->kind->inside);
		assignments_del(s, a);
		n++;
	}
	return n;
}

/* 0 or -ENOMEM. */
static int take_over(struct assignments *s)
{
	size_t n;
	_cleanup_free_ uint8_t *keys = map_keys(s->map, s->kind->key_size, &n);
	int halves = 0, r = keys ? 0 : -ENOMEM;

	/* Records are made of the entries of the outside, to which those of the inside must lead. */
	for (unsigned inside = 0; r >= 0 && inside < 2; inside++) {
		r = take_entries(s, keys, n, inside);
		halves += r;
	}
	if (r < 0)
		return r;
	halves += drop_halves(s);
	if (halves)
		log_warning("removed %d incomplete %s left by a killed agent", halves, s->kind->many);
	return s->kind->opened ? s->kind->opened(s) : 0;
}

struct assignments *assignments_open(const struct assignment_kind *kind, struct mappings *m, int map, struct error *err)
{
	struct assignments *s = calloc(1, kind->table_size);

	if (s) {
		s->kind = kind;
		s->m = m;
		s->map = map;
		s->type = (struct hash_type){ kind->size, kind->max, hash, same };
		for (unsigned i = 0; i < ASSIGNMENT_LISTS; i++)
			s->list[i] = (struct hash_multimap){ .type = &s->type,
							     .table = &s->records,
							     .links = offsetof(struct assignment, links[i]),
							     .key = i == ASSIGNED_TO ? assigned_to : assigned_by };
		if (!take_over(s))
			return s;
		assignments_close(s);
	}
	error_set(err, -ENOMEM, "%s cannot be read: %s", kind->all, strerror(ENOMEM));
	return NULL;
}

void assignments_settle_tenants(struct assignments *s)
{
	uint32_t at = 0;

	for (struct assignment *a; (a = assignments_walk(s, &at));) {
		uint8_t tenant = s->kind->tenant(s, a);
		KEY(before);

		if (tenant == a->tenant || !wants(s, a, s->kind->inside))
			continue;
		s->kind->key_of(a, s->kind->inside, before);
		a->tenant = tenant;
		/* The datapath finds it by the one key or the other at any time. */
		if (s->kind->write(s, a, s->kind->inside))
			log_error("%s is not its tenant's yet; `detnatctl check --repair` tries again", s->kind->one);
		erase(s, before);
	}
}

static void compare(const struct assignments *s, const void *record, bool repair, struct findings *findings)
{
	for (unsigned d = 0; d < 2; d++)
		if (wants(s, record, d) && !map_has(s, record, d))
			s->kind->missing(record, d, repair && !s->kind->write(s, record, d), findings);
	if (s->kind->compare)
		s->kind->compare(s, record, repair, findings);
}

static bool is_known(const struct assignments *s, const void *key)
{
	const unsigned d = direction_of(s, key);
	VALUE(nowhere) = { 0 };
	RECORD(there);
	const struct assignment *a = (void *)there, *known;

	if (d > 1)
		return assignments_has_other(s, *(const uint32_t *)key);
	/* Where it leads has been compared. */
	s->kind->read(key, nowhere, there);
	if (d != s->kind->inside)
		return (known = assignments_find(s, a->proto, a->out)) && wants(s, known, d);
	known = assignments_inside(s, a->tenant, a->proto, a->in);
	return known && known->tenant == a->tenant;
}

size_t assignments_audit(const struct assignments *s, bool repair, struct findings *findings)
{
	size_t n;
	_cleanup_free_ uint8_t *keys = map_keys(s->map, s->kind->key_size, &n);
	uint32_t at = 0;

	for (const void *record; (record = assignments_walk(s, &at));)
		compare(s, record, repair, findings);
	for (size_t i = 0; keys && i < n; i++) {
		const void *key = keys + i * s->kind->key_size;

		if (!is_known(s, key))
			s->kind->stray(key, repair && !erase(s, key), findings);
	}
	return s->records.n;
}
