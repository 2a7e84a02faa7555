/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An exception takes addresses out of the mapping around it. The tables of the outer mapping keep their records and
 * slots for these addresses, empty, for the time after the exception is deleted.
 */
#include <string.h>

#include <detnat/extents.h>

#include "tables/mapping_tables.h"

#define PART_BUDGET_US 2000U

void mappings_part(struct mappings *m, int enclosing, const struct geometry *exception)
{
	struct mapping_job *of = enclosing < 0 ? NULL : m->table[enclosing], *t;

	if (!of || !mapping_has_slots(&of->record) || mappings_drains_of(m, geometry_in(exception), enclosing))
		return;
	t = calloc(1, sizeof(*t));
	/* The next start ends the rest. */
	if (!t)
		return;
	*t = (struct mapping_job){
		.m = m,
		.number = enclosing,
		.record = of->record,
		.n_subscribers = exception->last_subscriber + 1ULL,
		.part_of = of,
		.part_first = mapping_subscriber(&of->record.geo, exception->in_base),
	};
	mappings_leave(m, t, TABLE_UNLINKED);
}

static void end_slot(struct mapping_job *t, uint32_t in_addr, struct subscriber *s, struct slot *slot)
{
	struct limit_line *line = mappings_limit_line(t->m, t->number, mapping_subscriber(&t->record.geo, in_addr));

	__u64 word;

	/* A packet from outside may still change it. */
	while (!word_is_free(word = __atomic_load_n(&slot->truth, __ATOMIC_ACQUIRE))) {
		uint64_t key = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE);

		if (!__atomic_compare_exchange_n(&slot->truth, &word, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		if (!word_is_live(word))
			continue;
		session_uncount(s, line, word);
		if (t->m->ending)
			t->m->ending->report_slot(t, in_addr, key, word);
	}
}

static void end_subscriber(struct mapping_job *t, uint32_t n)
{
	struct mappings *m = t->m;
	uint32_t n_slots = BUCKET_SLOTS << t->record.bucket_shift, in_addr = t->record.geo.in_base + n;
	struct subscriber *s = mappings_subscriber(m, t->number, n);
	struct slot *slots = (struct slot *)mappings_buckets(m, t->number, n), *beyond;
	uint32_t n_beyond;

	for (uint32_t i = 0; i < n_slots; i++)
		end_slot(t, in_addr, s, &slots[i]);
	/* Its extent stays the subscriber's, for the time after the exception. */
	beyond = datapath_extent(m->d, subscriber_extent(s), &n_beyond);
	for (uint32_t i = 0; i < n_beyond; i++)
		end_slot(t, in_addr, s, &beyond[i]);
	__atomic_store_n(&s->displaced, 0, __ATOMIC_RELAXED);
	/* Incomplete datagrams are subtracted when they end, from the mapping that then has the address. */
	__atomic_store_n(&s->datagrams, 0, __ATOMIC_RELAXED);
}

bool mapping_part_step(struct mapping_job *t)
{
	struct mappings *m = t->m;
	uint64_t deadline_us = monotonic_us() + PART_BUDGET_US;

	/* A mapping that has been deleted meanwhile ends its sessions itself. */
	while (t->told < t->n_subscribers && m->table[t->number] == t->part_of && t->part_of->stage == TABLE_LIVE) {
		uint32_t n = t->part_first + (uint32_t)t->told++;

		/* If the exception has been deleted meanwhile, the sessions belong to the mapping again. */
		if (mappings_find_inside(m, t->part_of->record.tenant, t->record.geo.in_base + n) != t->number)
			end_subscriber(t, n);
		if (monotonic_us() >= deadline_us)
			return t->told == t->n_subscribers;
	}
	return true;
}
