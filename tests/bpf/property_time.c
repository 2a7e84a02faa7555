// SPDX-License-Identifier: BSD-2-Clause
/*
 * Time as sessions see it passes by property_skip() alone. What has passed otherwise is taken back before each packet:
 * stamps and the limits of the current tick move along with the datapath's clock. So a history is the same each time,
 * however long a busy machine lets the test wait.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/binding.h>

#include "property.h"
#include "tables/mapping_tables.h"

static double seconds_of(uint32_t ticks)
{
	return (double)ticks * (1U << TICK_SHIFT) / datapath.hz;
}

/* A clock that moves on by so many ticks; modulo 2^32, so that all may become younger. */
struct ageing {
	uint32_t ticks;
	uint32_t now;	      /* no stamp is later */
	uint32_t first, last; /* limits of these ticks become those of now, others those of none */
};

static uint32_t aged(const struct ageing *a, uint32_t seen)
{
	seen -= a->ticks;
	return (int32_t)(seen - a->now) > 0 ? a->now : seen;
}

/* Also of a tick whose lower half alone is kept. */
static uint32_t aged_limit(const struct ageing *a, uint32_t tick, uint32_t mask)
{
	return ((tick - a->first) & mask) <= a->last - a->first ? a->now : a->now - 2;
}

static void age_bindings(const struct property_tables *of, const struct mapping *m, const struct ageing *a)
{
	struct binding_header *h = (struct binding_header *)of->bindings;
	size_t header = (size_t)binding_header_lines(m->bucket_shift) * PORT_GROUP;

	h->counted_tick = aged_limit(a, h->counted_tick, UINT32_MAX);
	for (size_t i = header; i < of->n_bindings; i++) {
		uint64_t entry = of->bindings[i];

		if (binding_is_bound(entry))
			of->bindings[i] = binding_entry(binding_in_port(entry), binding_flags(entry),
							aged(a, binding_seen(entry)));
	}
}

static void age_slots(int number, uint32_t in_addr, const struct ageing *a)
{
	struct property_tables of;

	if (!property_tables_of(number, in_addr, &of))
		return;
	for (size_t i = 0; i < of.slots; i++) {
		uint64_t word = of.slot[i][1];

		if (word_is_live(word))
			of.slot[i][1] = word_with(word, word_state(word), aged(a, word_seen(word)));
	}
	/* The agent's sweep looks at all of them again. */
	if (mappings_sweep_due(mappings, number))
		mappings_sweep_due(mappings, number)[in_addr - mappings_get(mappings, number)->geo.in_base] -= a->ticks;
	of.record->search_tick = (__u16)aged_limit(a, of.record->search_tick, UINT16_MAX);
	of.record->growth_vain = aged_limit(a, of.record->growth_vain >> GROWTH_MARK_TICK, GROWTH_MARK_TICKS)
					 << GROWTH_MARK_TICK |
				 (of.record->growth_vain & ((1U << GROWTH_MARK_TICK) - 1));
	if (of.line)
		of.line->pass_tick = (__u16)aged_limit(a, of.line->pass_tick, UINT16_MAX);
	if (of.n_bindings)
		age_bindings(&of, mappings_get(mappings, number), a);
}

/* In all mappings that may have some of it. */
static void age_subscriber(uint32_t in_addr, const struct ageing *a)
{
	for (int k = 0; k < (int)MAX_MAPPINGS; k++) {
		const struct mapping *m = mappings_get(mappings, k);

		if (m && prefix_contains(m->geo.in_base, m->geo.in_plen, in_addr))
			age_slots(k, in_addr, a);
	}
}

static void age_granted(const struct ageing *a)
{
	struct grant_binding_key key, *at = NULL;

	while (!bpf_map_get_next_key(datapath.grant_bindings, at, &key)) {
		struct grant_binding b;

		at = &key;
		if (key.direction != GRANT_BOUND_INSIDE || bpf_map_lookup_elem(datapath.grant_bindings, &key, &b))
			continue;
		b.seen = aged(a, b.seen);
		cr_assert_eq(bpf_map_update_elem(datapath.grant_bindings, &key, &b, BPF_EXIST), 0);
	}
}

static void age_all(const struct ageing *a)
{
	for (size_t i = 0; i < property_scene->n_subscribers; i++)
		age_subscriber(property_scene->subscriber[i], a);
	age_beyond(a->ticks);
	if (property_scene->growing)
		age_granted(a);
}

void property_time_resume(struct property *t)
{
	uint32_t now = datapath_ticks(&datapath);

	if (now != t->resumed)
		age_all(&(struct ageing){ t->resumed - now, now, t->resumed, t->stopped });
	t->resumed = t->stopped = now;
}

void property_time_stop(struct property *t)
{
	t->stopped = datapath_ticks(&datapath);
}

bool property_time_is_late(const struct property *t)
{
	return datapath_ticks(&datapath) != t->resumed;
}

static bool searched_now(const struct property *t, const struct subscriber *record)
{
	return (__u16)(record->search_tick - t->resumed) <= t->stopped - t->resumed;
}

static bool searched_granted_now(const struct property *t, const struct subscriber *record)
{
	uint32_t tick = record->growth_vain >> GROWTH_MARK_TICK;

	return record->growth_vain && ((tick - t->resumed) & GROWTH_MARK_TICKS) <= t->stopped - t->resumed;
}

bool property_searched_in_vain(const struct property *t, uint32_t in_addr)
{
	struct property_tables of;

	if (!property_tables(in_addr, &of))
		return false;
	return (of.record->exhausted && searched_now(t, of.record)) || searched_granted_now(t, of.record);
}

bool property_searches_spent(const struct property *t, uint32_t in_addr)
{
	struct property_tables of;

	return property_tables(in_addr, &of) && of.record->searched >= 240 && searched_now(t, of.record);
}

bool property_inbound_counted(const struct property *t, uint32_t in_addr)
{
	struct property_tables of;

	return property_tables(in_addr, &of) && of.n_bindings &&
	       ((struct binding_header *)of.bindings)->counted_tick - t->resumed <= t->stopped - t->resumed;
}

void property_sweep(struct property *t)
{
	struct session_sweep *s;

	property_events_apply();
	property_time_resume(t);
	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000000, property_closed, NULL) > 0)
		;
	session_sweep_free(s);
	property_time_stop(t);
	model_remove_expired(&t->model);
}

static void skip(struct property *t, unsigned seconds)
{
	uint32_t ticks = ticks_of_seconds(seconds, datapath.hz), now = datapath_ticks(&datapath);

	model_use_bindings(&t->model);
	/* No limit is of that tick. */
	age_all(&(struct ageing){ ticks, now, now + 2, now + 2 });
	t->model.now += seconds_of(ticks);
	model_use_bindings(&t->model);
}

void property_skip(struct property *t, unsigned seconds)
{
	property_time_resume(t);
	if (seconds)
		skip(t, seconds);
	while (model_is_unsure(&t->model, 2) || model_bindings_are_unsure(&t->model, 2))
		skip(t, 5);
	/* The agent is late as often as not. */
	if (seconds && random_once(&t->r, 2))
		property_sweep(t);
}
