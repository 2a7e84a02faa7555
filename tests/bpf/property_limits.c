// SPDX-License-Identifier: BSD-2-Clause
/* Limits of the property test: set, changed and taken away at random, and compared with the sessions in the tables. */
#include <time.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "property.h"
#include "sessions/limit_count.h"
#include "update_fixture.h"

uint64_t property_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void property_settle_limits(struct property *t, const struct property_tables *of, bool tokens, bool due)
{
	const struct limit_layout *l;
	uint64_t now = property_clock_ns();
	uint32_t later = (datapath_ticks(&datapath) << TICK_SHIFT) + datapath.hz;

	if (!of->line)
		return;
	l = &mappings_get(mappings, of->number)->limit;
	t->no_token = l->interval_ns && !tokens;
	of->line->full_ns = t->no_token ? now + (uint64_t)(l->burst + 1) * l->interval_ns : 0;
	of->line->protocol_event_next = of->line->rate_event_next = due ? 0 : later;
}

/* A place that was given back leaves the time of its opening behind; the coarse clock may be a jiffy late. */
bool property_token_taken(const struct property_tables *of, uint64_t start_ns)
{
	const struct limit_layout *l;

	if (!of->line)
		return false;
	l = &mappings_get(mappings, of->number)->limit;
	return l->interval_ns && of->line->full_ns + 20000000U >= start_ns + l->interval_ns &&
	       of->line->full_ns < start_ns + 2ULL * l->interval_ns;
}

bool property_limit_counted(uint32_t in_addr, uint8_t proto)
{
	struct property_tables of;
	uint32_t limit;

	if (!property_tables(in_addr, &of) || !of.line)
		return false;
	limit = mappings_get(mappings, of.number)->limit.sessions[limit_protocol_of(proto)];
	return limit && of.line->sessions[limit_protocol_of(proto)] >= limit;
}

void property_random_limits(struct property *t, struct model_mapping *m)
{
	bool none = random_once(&t->r, 4);

	for (unsigned i = 0; i < 3; i++)
		m->limit[i] = none || random_once(&t->r, 3) ? 0 : 1 + random_below(&t->r, m->quota);
	m->rated = !none && random_once(&t->r, 2);
}

void property_change_limits(struct property *t)
{
	size_t at = random_below(&t->r, (uint32_t)property_scene->n_mappings);
	struct model_mapping *m = property_mapping(at);
	struct mapping_spec spec;
	struct error err;
	int r;

	if (m->former || m->kind != MODEL_SESSIONS_KEPT)
		return;
	property_random_limits(t, m);
	property_spec_of(m, &spec);
	property_events_apply();
	begin_update(&spec);
	while ((r = mappings_update_prepare(mappings, &spec, &err)) > 0)
		;
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(mappings_update(mappings, &spec), 0);
	count_limits();
	/* Searches in vain were so at the former limits. */
	property_skip(t, 1);
	t->limits_changed++;
}

/* The sessions of a subscriber in a mapping that stand beyond the slots. */
static void count_beyond(int number, uint32_t in_addr, uint32_t found[N_LIMITS])
{
	uint32_t n, there[N_LIMITS];
	const struct slot *slots = slots_beyond(number, in_addr, &n);

	limit_count_slots(slots, n, there);
	for (unsigned i = 0; i < N_LIMITS; i++)
		found[i] += there[i];
}

void property_compare_limits(uint32_t in_addr)
{
	for (int k = 0; property_scene->limited && k < (int)MAX_MAPPINGS; k++) {
		const struct mapping *m = mappings_get(mappings, k);
		uint32_t found[N_LIMITS];
		struct property_tables of;

		if (!m || !prefix_contains(m->geo.in_base, m->geo.in_plen, in_addr) ||
		    !property_tables_of(k, in_addr, &of) || !of.line)
			continue;
		/* Those of an exception are counted when they come back. */
		if (of.line->uncounted && mappings_find_any(mappings, in_addr) != k)
			continue;
		limit_count_slots((const struct slot *)of.slot, (uint32_t)of.slots, found);
		count_beyond(k, in_addr, found);
		for (unsigned i = 0; i < N_LIMITS; i++)
			cr_assert_eq(of.line->sessions[i], found[i], "%08x: %d counted of protocol %u, where %u are",
				     in_addr, (int)of.line->sessions[i], i, found[i]);
		cr_assert_eq(of.line->uncounted, 0);
	}
}
