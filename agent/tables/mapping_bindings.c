// SPDX-License-Identifier: BSD-2-Clause
#include "tables/mapping_bindings.h"

#include <errno.h>

static uint64_t buckets_of(const struct mapping_job *t, uint8_t protocols)
{
	return binding_buckets(t->n_subscribers, protocols, t->record.geo.ports_per_host, t->record.bucket_shift);
}

/* The range for this many protocols; only their number determines its size. */
static struct bucket_range *range_of(struct mapping_job *t, uint8_t protocols)
{
	return &t->bindings[binding_count(protocols) - 1];
}

/* Protocols that have entries, and those that will. */
static uint8_t with(const struct mapping_job *t, uint8_t protocols)
{
	return t->record.bindings.protocols | protocols;
}

uint64_t mappings_binding_memory(const struct geometry *g, uint32_t session_slots, uint8_t protocols)
{
	if (!protocols || !session_slots)
		return 0;

	uint32_t shift = (uint32_t)__builtin_ctz(session_slots) - BUCKET_SLOTS_SHIFT;

	return binding_buckets(g->last_subscriber + 1ULL, protocols, g->ports_per_host, shift) * sizeof(struct bucket);
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

/* Prepares the tables of bindings that a change turns on or extends. */

/* Slots and ports read, or subscribers passed over, between two looks at the clock: a few microseconds. */
#define LOOK_INTERVAL 4096U

/* Leaves empty pages untouched. */
static void carry_line(const struct binding_line *from, struct binding_line *to)
{
	for (uint32_t k = 0; k < PORT_GROUP; k++) {
		uint64_t entry = LOAD(from->entry[k]);

		if (to->entry[k] != entry)
			to->entry[k] = entry;
	}
}

/* Copies from the previous table the sessions opened from outside, and the bindings of protocols that keep them. */
static void carry(const struct mapping_job *t, const struct mapping *next, uint32_t subscriber)
{
	const struct mapping *r = &t->record;
	uint32_t groups = binding_groups(r->geo.ports_per_host), kept = r->bindings.mapping & next->bindings.mapping;

	for (uint32_t i = 0; i < binding_header_lines(r->bucket_shift); i++)
		carry_line(mapping_binding_line(t->m, r, subscriber, i),
			   mapping_binding_line(t->m, next, subscriber, i));
	for (uint32_t protocol = 1; protocol & BINDING_PROTOCOLS; protocol <<= 1) {
		if (!(kept & protocol))
			continue;
		for (uint32_t i = 0; i < groups; i++)
			carry_line(mapping_binding_group(t->m, r, subscriber, protocol, i),
				   mapping_binding_group(t->m, next, subscriber, protocol, i));
	}
}

/* Frees ports bound before a protocol was turned off, or by an earlier look. */
static void forget(const struct mapping_job *t, const struct mapping *next, uint32_t subscriber, uint32_t protocols)
{
	static const struct binding_line nothing;
	uint32_t groups = binding_groups(next->geo.ports_per_host);

	for (uint32_t protocol = 1; protocol & BINDING_PROTOCOLS; protocol <<= 1)
		for (uint32_t i = 0; i < groups && protocols & protocol; i++)
			carry_line(&nothing, mapping_binding_group(t->m, next, subscriber, protocol, i));
}

/* As binding_import_slot() of the datapath. */
static void bind_session(const struct mapping_job *t, const struct mapping *next, uint32_t subscriber, uint64_t key,
			 uint64_t word)
{
	uint32_t at = word_out_port(word) - mapping_port_lo(&next->geo, subscriber);
	struct binding_line *line;
	uint64_t entry;

	if (at >= next->geo.ports_per_host || !word_out_port(word))
		return;
	line = mapping_binding_group(t->m, next, subscriber, binding_protocol(word_proto(word)),
				     at >> PORT_GROUP_SHIFT);
	for (uint32_t k = 0; k < PORT_GROUP; k++)
		if (binding_is_of(line->entry[k], key_in_port(key)))
			return;
	at &= PORT_GROUP - 1;
	entry = line->entry[at];
	if (!binding_is_bound(entry))
		line->entry[at] =
			binding_entry(key_in_port(key), BINDING_BOUND | binding_flags(entry), word_seen(word));
}

/* Binds the ports of a subscriber's sessions of some protocols. */
static void bind_sessions(const struct mapping_job *t, const struct mapping *next, uint32_t subscriber,
			  uint32_t protocols, uint32_t now)
{
	const struct bucket *bucket =
		chunks_at(&t->m->buckets, next->first_bucket + (subscriber << next->bucket_shift));

	for (uint32_t i = 0; i < BUCKET_SLOTS << next->bucket_shift; i++) {
		const struct slot *slot = &bucket[i / BUCKET_SLOTS].slot[i % BUCKET_SLOTS];
		uint64_t word = LOAD(slot->truth), key = LOAD(slot->key);

		if (word_is_live(word) && word_same(LOAD(slot->truth), word) &&
		    protocols & binding_protocol(word_proto(word)) && !word_expired(word, now, next->timeout_ticks))
			bind_session(t, next, subscriber, key, word);
	}
}

/* The context of a pass. */
struct pass {
	struct mapping next; /* the next record */
	uint32_t begun;	     /* protocols */
	uint32_t now;	     /* tick */
	bool carries;	     /* from another table, not in the one in use */
	bool repeats;	     /* skips subscribers that have not changed */
};

static void prepare(const struct mapping_job *t, const struct pass *p, uint32_t subscriber, uint32_t sessions)
{
	struct binding_header *h = (void *)mapping_binding_line(t->m, &p->next, subscriber, 0);

	if (p->carries)
		carry(t, &p->next, subscriber);
	forget(t, &p->next, subscriber, p->begun);
	/* The datapath binds sessions opened meanwhile. */
	if (h->imported)
		__atomic_store_n(&h->imported, 0, __ATOMIC_RELAXED);
	if (sessions)
		bind_sessions(t, &p->next, subscriber, p->begun, p->now);
}

/*
 * Prepares a subscriber, unless that was done and no session or binding has been made since. Returns the number of
 * slots and ports read.
 */
static uint32_t visit(struct mapping_job *t, const struct pass *p, uint32_t subscriber)
{
	const struct subscriber *s = chunks_at(&t->m->subscribers, p->next.first_subscriber + subscriber);
	uint32_t lock = __atomic_load_n(&s->lock, __ATOMIC_ACQUIRE), *seen = t->preparation.lock;

	if (p->repeats && lock == seen[subscriber] && !(lock & 1))
		return 1;
	if (seen)
		seen[subscriber] = lock;
	prepare(t, p, subscriber, LOAD(s->sessions));
	return (BUCKET_SLOTS << p->next.bucket_shift) +
	       p->next.geo.ports_per_host * binding_count(p->next.bindings.protocols);
}

static bool same_layout(const struct binding_layout *a, const struct binding_layout *b)
{
	return a->first == b->first && a->protocols == b->protocols && a->mapping == b->mapping;
}

/* 1: more to do, 0: the pass has ended. */
static int go_on(struct mapping_job *t, const struct binding_layout *wanted, uint64_t deadline_us)
{
	struct binding_preparation *b = &t->preparation;
	struct pass p = {
		.next = t->record,
		.begun = wanted->mapping & ~t->record.bindings.mapping,
		.now = datapath_ticks(t->m->d),
		.carries = t->record.bindings.protocols && wanted->first != t->record.bindings.first,
		.repeats = b->passes > 0,
	};
	uint32_t cost = 0;

	p.next.bindings = *wanted;
	while (p.begun && b->next < t->n_subscribers) {
		cost += visit(t, &p, b->next++);
		if (cost < LOOK_INTERVAL)
			continue;
		cost = 0;
		if (monotonic_us() >= deadline_us && b->next < t->n_subscribers)
			return 1;
	}
	b->next = 0;
	b->passes++;
	return 0;
}

int binding_preparation_step(struct mapping_job *t, const struct binding_layout *wanted, uint64_t deadline_us)
{
	struct binding_preparation *b = &t->preparation;

	if (!(wanted->mapping & ~t->record.bindings.mapping))
		return 0;
	if (b->lock && !same_layout(&b->wanted, wanted))
		binding_preparation_end(t);
	if (!b->lock) {
		b->lock = calloc(t->n_subscribers, sizeof(*b->lock));
		if (!b->lock)
			return -ENOMEM;
		b->wanted = *wanted;
	}
	return go_on(t, wanted, deadline_us);
}

void binding_preparation_finish(struct mapping_job *t, const struct binding_layout *wanted)
{
	struct binding_preparation *b = &t->preparation;

	if (b->lock && !same_layout(&b->wanted, wanted))
		binding_preparation_end(t);
	/* Subscribers that a pass has visited may have changed since. */
	if (b->next)
		go_on(t, wanted, UINT64_MAX);
	go_on(t, wanted, UINT64_MAX);
	binding_preparation_end(t);
}

void binding_preparation_end(struct mapping_job *t)
{
	free(t->preparation.lock);
	t->preparation = (struct binding_preparation){ 0 };
}
