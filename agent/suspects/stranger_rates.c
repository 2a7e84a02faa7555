/* SPDX-License-Identifier: BSD-2-Clause */
#include "suspects/stranger_rates.h"

#include <detnat/strangers.h>

#include "base/base.h"
#include "tables/mapping_tables.h"

/* Counters read between two looks at the clock. */
#define COUNTERS 4096U

void stranger_rates_begin(struct stranger_rates *i)
{
	i->number = 0;
	i->next = 0;
	i->begun = false;
}

void stranger_rates_forget(struct stranger_rates *i)
{
	i->read_us = 0;
	stranger_rates_begin(i);
}

static void begin_reading(struct stranger_rates *i, uint64_t now_us)
{
	i->begun = true;
	i->elapsed_us = i->read_us ? now_us - i->read_us : 0;
	i->read_us = now_us;
	i->pass++;
}

/* Whether the last pass has set this mapping's counters to 0. */
static bool was_seen(const struct stranger_rates *i, const struct mapping *m)
{
	return i->seen[i->number].pass == i->pass - 1 && i->seen[i->number].in_base == m->geo.in_base &&
	       i->seen[i->number].first_subscriber == m->first_subscriber;
}

static void mark_seen(struct stranger_rates *i, const struct mapping *m)
{
	i->seen[i->number].pass = i->pass;
	i->seen[i->number].in_base = m->geo.in_base;
	i->seen[i->number].first_subscriber = m->first_subscriber;
}

static uint32_t rate_of(uint32_t packets, uint64_t elapsed_us)
{
	uint64_t rate = ((uint64_t)packets * 1000000 + elapsed_us / 2) / elapsed_us;

	return rate < SURVEY_NEVER ? (uint32_t)rate : SURVEY_NEVER - 1;
}

/* The counters of the mapping's subscribers first to end - 1. */
static void read_counters(const struct stranger_rates *i, const struct mapping *m, uint32_t first, uint64_t end,
			  void (*report)(void *, const struct surveyed *), void *arg)
{
	struct stranger_line *lines = mappings_datapath(i->mappings)->stranger_host;
	bool known = i->elapsed_us && was_seen(i, m);

	for (uint32_t n = first; n < end && (uint64_t)m->first_subscriber + n < STRANGER_HOSTS; n++) {
		uint32_t number = m->first_subscriber + n, packets;
		uint32_t *counter = &lines[number >> STRANGER_LINE_SHIFT].packets[number & (STRANGER_LINE - 1)];
		struct surveyed found = { .in_addr = m->geo.in_base + n, .tenant = m->tenant };

		/* Most are 0: no write to their cache lines. */
		if (!__atomic_load_n(counter, __ATOMIC_RELAXED))
			continue;
		packets = __atomic_exchange_n(counter, 0, __ATOMIC_RELAXED);
		if (!known)
			continue;
		found.n[SURVEY_INBOUND] = rate_of(packets, i->elapsed_us);
		report(arg, &found);
	}
}

/* Some subscribers of the mapping i->number. True: it has no more. */
static bool read_some(struct stranger_rates *i, void (*report)(void *, const struct surveyed *), void *arg)
{
	const struct mapping *m = mappings_get(i->mappings, i->number);
	uint64_t all = (uint64_t)m->geo.last_subscriber + 1;

	if (!mapping_has_slots(m))
		return true;
	if (i->next + (uint64_t)COUNTERS < all) {
		read_counters(i, m, i->next, i->next + COUNTERS, report, arg);
		i->next += COUNTERS;
		return false;
	}
	read_counters(i, m, i->next, all, report, arg);
	mark_seen(i, m);
	return true;
}

int stranger_rates_step(struct stranger_rates *i, uint64_t now_us, unsigned budget_us,
			void (*report)(void *arg, const struct surveyed *found), void *arg)
{
	uint64_t deadline_us = now_us + budget_us;

	if (!mappings_datapath(i->mappings)->stranger_host)
		return 0;
	if (!i->begun)
		begin_reading(i, now_us);
	while ((i->number = mappings_next(i->mappings, i->number)) >= 0) {
		if (read_some(i, report, arg)) {
			i->number++;
			i->next = 0;
		}
		if (monotonic_us() >= deadline_us)
			return 1;
	}
	i->number = MAX_MAPPINGS;
	return 0;
}
