// SPDX-License-Identifier: BSD-2-Clause
#include "tables/mapping_limits.h"

#include <errno.h>
#include <string.h>

/* Lines marked between two looks at the clock. */
#define LOOK_INTERVAL 1024U

static bool wants(const struct mapping_job *t, const struct limit_layout *wanted)
{
	return limit_layout_any(wanted) && mapping_has_slots(&t->record);
}

int mapping_limits_alloc(struct mapping_job *t, const struct limit_layout *wanted)
{
	uint32_t first;
	int r;

	if (!wants(t, wanted) || t->limits.count)
		return 0;
	r = chunks_alloc(&t->m->subscribers, t->n_subscribers, 1, &first);
	if (!r)
		t->limits = (struct line_range){ .first = first, .count = t->n_subscribers };
	return r;
}

int mapping_limits_make_step(struct mapping_job *t, const struct limit_layout *wanted)
{
	return wants(t, wanted) ? chunks_make_step(&t->m->subscribers, t->limits.first, t->limits.count) : 0;
}

int mapping_limits_take(struct mapping_job *t)
{
	int r = t->record.limited ? chunks_take(&t->m->subscribers, t->record.limit.first, t->n_subscribers) : 0;

	if (!r && t->record.limited)
		t->limits = (struct line_range){ .first = t->record.limit.first, .count = t->n_subscribers };
	return r;
}

void mapping_limits_give(struct mapping_job *t)
{
	if (t->limits.count)
		chunks_give(&t->m->subscribers, t->limits.first, t->limits.count);
}

bool mapping_limits_complete(const struct mapping_job *t)
{
	return !t->limits.count || chunks_complete(&t->m->subscribers, t->limits.first, t->limits.count);
}

void mapping_limits_release_unused(struct mapping_job *t)
{
	if (t->limits.count)
		chunks_release_unused(&t->m->subscribers, t->limits.first, t->limits.count);
}

void mapping_limits_retire(struct mapping_job *t)
{
	if (t->limits.count)
		chunks_retire(&t->m->subscribers, t->limits.first, t->limits.count);
}

enum chunks_release mapping_limits_release_step(struct mapping_job *t)
{
	enum chunks_release r;

	if (!t->limits.count)
		return CHUNKS_RELEASED;
	r = chunks_release_step(&t->m->subscribers, t->limits.first, t->limits.count, &t->limits.done);
	if (r == CHUNKS_RELEASED)
		t->limits = (struct line_range){ 0 };
	return r;
}

struct limit_layout mapping_limits_layout(const struct mapping_job *t, const struct limit_layout *wanted,
					  uint8_t *ret_limited)
{
	struct limit_layout l = *wanted;

	*ret_limited = wants(t, wanted);
	l.first = *ret_limited ? t->limits.first : 0;
	return l;
}

int mapping_limits_prepare(struct mapping_job *t, const struct limit_layout *wanted, uint64_t deadline_us)
{
	if (t->record.limited || !wants(t, wanted))
		return 0;
	while (t->limits.marked < t->limits.count) {
		struct limit_line *line = chunks_at(&t->m->subscribers, t->limits.first + (uint32_t)t->limits.marked++);

		*line = (struct limit_line){ .uncounted = 1 };
		if (!(t->limits.marked % LOOK_INTERVAL) && monotonic_us() >= deadline_us)
			return t->limits.marked < t->limits.count;
	}
	return 0;
}

/* The programs look at the other values only where `limited` is set. */
void mapping_limits_update(struct mapping_job *t, const struct limit_layout *wanted)
{
	struct mapping *shared = &t->m->d->mapping[t->number];
	uint8_t limited;
	struct limit_layout l = mapping_limits_layout(t, wanted, &limited);

	if (limited && !t->record.limited) {
		mapping_limits_prepare(t, wanted, UINT64_MAX);
		t->m->uncounted = true;
	}
	t->limits.marked = 0;
	if (limited)
		__atomic_store_n(&shared->limit.first, l.first, __ATOMIC_RELAXED);
	else
		l.first = t->record.limit.first;
	for (unsigned i = 0; i < N_LIMITS; i++)
		__atomic_store_n(&shared->limit.sessions[i], l.sessions[i], __ATOMIC_RELAXED);
	__atomic_store_n(&shared->limit.burst, l.burst, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->limit.rate, l.rate, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->limit.interval_ns, l.interval_ns, __ATOMIC_RELEASE);
	__atomic_store_n(&shared->limited, limited, __ATOMIC_RELEASE);
	t->record.limit = l;
	t->record.limited = limited;
}

void mapping_limits_returned(struct mappings *m, int number)
{
	m->uncounted |= number >= 0 && m->table[number]->record.limited;
}

struct limit_line *mappings_limit_line(const struct mappings *m, int number, uint32_t subscriber)
{
	const struct mapping_job *t = m->table[number];

	return t->record.limited ? chunks_at(&m->subscribers, t->record.limit.first + subscriber) : NULL;
}
