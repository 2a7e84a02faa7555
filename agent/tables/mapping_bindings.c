// SPDX-License-Identifier: BSD-2-Clause
#include "tables/mapping_bindings.h"

#include <errno.h>

static uint64_t buckets_of(const struct mapping_job *t, uint8_t protocols)
{
	return binding_buckets(t->n_subscribers, protocols, t->record.geo.ports_per_host, t->record.bucket_shift);
}

/* The range for so many protocols; which they are does not matter to its size. */
static struct bucket_range *range_of(struct mapping_job *t, uint8_t protocols)
{
	return &t->bindings[binding_count(protocols) - 1];
}

/* Protocols that have entries, and are to have some. */
static uint8_t with(const struct mapping_job *t, uint8_t protocols)
{
	return t->record.bindings.protocols | protocols;
}

uint64_t mappings_binding_memory(const struct geometry *g, uint32_t session_slots, uint8_t protocols)
{
	if (!protocols || !session_slots)
		return 0;

	uint32_t shift = (uint32_t)__builtin_ctz(session_slots) - BUCKET_SLOTS_SHIFT;

	return binding_buckets(prefix_size(g->in_plen), protocols, g->ports_per_host, shift) * sizeof(struct bucket);
}

int mapping_bindings_alloc(struct mapping_job *t, uint8_t protocols)
{
	struct bucket_range range;
	int r;

	protocols = with(t, protocols);
	if (!protocols || range_of(t, protocols)->count)
		return 0;
	range.count = buckets_of(t, protocols);
	r = chunks_alloc(&t->m->buckets, range.count, 1, &range.first);
	if (r < 0)
		return r;
	*range_of(t, protocols) = range;
	return 0;
}

int mapping_bindings_make_step(struct mapping_job *t, uint8_t protocols)
{
	const struct bucket_range *range;

	protocols = with(t, protocols);
	if (!protocols)
		return 0;
	range = range_of(t, protocols);
	return chunks_make_step(&t->m->buckets, range->first, range->count);
}

int mapping_bindings_take(struct mapping_job *t)
{
	const struct binding_layout *l = &t->record.bindings;
	struct bucket_range range = { .first = l->first };
	int r;

	if (!l->protocols)
		return 0;
	range.count = buckets_of(t, l->protocols);
	r = chunks_take(&t->m->buckets, range.first, range.count);
	if (r < 0)
		return r;
	*range_of(t, l->protocols) = range;
	return 0;
}

void mapping_bindings_give(struct mapping_job *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->bindings); i++)
		if (t->bindings[i].count)
			chunks_give(&t->m->buckets, t->bindings[i].first, t->bindings[i].count);
}

bool mapping_bindings_complete(const struct mapping_job *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->bindings); i++)
		if (t->bindings[i].count &&
		    !chunks_complete(&t->m->buckets, t->bindings[i].first, t->bindings[i].count))
			return false;
	return true;
}

void mapping_bindings_release_unused(struct mapping_job *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->bindings); i++)
		if (t->bindings[i].count)
			chunks_release_unused(&t->m->buckets, t->bindings[i].first, t->bindings[i].count);
}

void mapping_bindings_retire(struct mapping_job *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->bindings); i++)
		if (t->bindings[i].count)
			chunks_retire(&t->m->buckets, t->bindings[i].first, t->bindings[i].count);
}

enum chunks_release mapping_bindings_release_step(struct mapping_job *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->bindings); i++) {
		struct bucket_range *range = &t->bindings[i];
		enum chunks_release r;

		if (!range->count)
			continue;
		r = chunks_release_step(&t->m->buckets, range->first, range->count, &t->bindings_done);
		if (r != CHUNKS_RELEASED)
			return r;
		*range = (struct bucket_range){ 0 };
		t->bindings_done = 0;
	}
	return CHUNKS_RELEASED;
}

struct binding_layout mapping_bindings_layout(const struct mapping_job *t, const struct binding_layout *wanted)
{
	struct binding_layout l = *wanted;

	l.protocols = with(t, wanted->mapping);
	l.first = l.protocols ? t->bindings[binding_count(l.protocols) - 1].first : 0;
	return l;
}

struct binding_line *mapping_binding_line(const struct mappings *m, const struct mapping *r, uint32_t subscriber,
					  uint32_t line)
{
	uint32_t at = subscriber * binding_lines(r->bindings.protocols, r->geo.ports_per_host, r->bucket_shift) + line;
	struct binding_line *pair = chunks_at(&m->buckets, r->bindings.first + at / 2);

	return &pair[at % 2];
}

struct binding_line *mapping_binding_group(const struct mappings *m, const struct mapping *r, uint32_t subscriber,
					   uint32_t protocol, uint32_t group)
{
	return mapping_binding_line(
		m, r, subscriber,
		binding_line_of(r->bindings.protocols, protocol, r->geo.ports_per_host, r->bucket_shift, group));
}

uint64_t *mappings_binding(const struct mappings *m, int number, uint32_t subscriber, uint8_t proto,
			   uint32_t port_offset)
{
	const struct mapping *r = &m->table[number]->record;
	uint32_t protocol = binding_protocol(proto);
	struct binding_line *line;

	if (!(r->bindings.protocols & protocol))
		return NULL;
	line = mapping_binding_group(m, r, subscriber, protocol, port_offset >> PORT_GROUP_SHIFT);
	return (uint64_t *)&line->entry[port_offset & (PORT_GROUP - 1)];
}

uint32_t mappings_inbound(const struct mappings *m, int number, uint32_t subscriber)
{
	const struct mapping *r = &m->table[number]->record;
	const struct binding_header *h =
		r->bindings.protocols ? (void *)mapping_binding_line(m, r, subscriber, 0) : NULL;

	return h ? __atomic_load_n(&h->inbound, __ATOMIC_RELAXED) : 0;
}

bool mappings_slot_inbound(const struct mappings *m, int number, uint32_t subscriber, uint32_t slot)
{
	const struct mapping *r = &m->table[number]->record;
	uint32_t at = (uint32_t)sizeof(struct binding_header) + slot / BUCKET_SLOTS;
	const uint8_t *h;

	if (!r->bindings.protocols)
		return false;
	h = (void *)mapping_binding_line(m, r, subscriber, at / (uint32_t)sizeof(struct binding_line));
	return __atomic_load_n(&h[at % sizeof(struct binding_line)], __ATOMIC_RELAXED) >> slot % BUCKET_SLOTS & 1;
}
