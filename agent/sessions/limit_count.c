/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the sessions that subscribers had when their mapping got its first limit, <detnat/limits.h>.
 *
 * The datapath has counted all changes since then. Sessions begin only under the subscriber's lock, whose values do not
 * repeat; and a session that ends lowers the count of its protocol before that of the subscriber. So if the lock and
 * both counts are the same before and after a look at all sessions, and these are as many as the subscriber's count
 * says, no change was under way that the line has yet to see: the line lacks what was found less what it has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/background.h"
#include "sessions/limit_count.h"
#include "sessions/sessions_private.h"

/* Passes, with a grace period before the first, until a subscriber that never rests is counted as well as can be. */
#define PASSES_MAX 8U

struct limit_count {
	struct mappings *m;
	struct background grace;
	bool in_grace, grace_over;
	struct subscriber_iterator it;
	bool failed; /* some subscriber did not rest */
	unsigned passes;
};

static void wait_for_programs(void *arg)
{
	datapath_grace_period(arg);
}

struct limit_count *limit_count_new(struct mappings *m)
{
	struct limit_count *c = m->uncounted ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	m->uncounted = false;
	c->m = m;
	subscriber_iterator_init(&c->it, m);
	return c;
}

void limit_count_free(struct limit_count *c)
{
	if (!c)
		return;
	background_wait(&c->grace);
	free(c);
}

static struct limit_line *uncounted_line(const struct subscriber_iterator *it)
{
	struct limit_line *line =
		mappings_limit_line(it->m, it->number, mapping_subscriber(&it->map->geo, it->in_addr));

	return line && __atomic_load_n(&line->uncounted, __ATOMIC_ACQUIRE) ? line : NULL;
}

static uint32_t lock_of(const struct subscriber *s)
{
	return __atomic_load_n(&s->lock, __ATOMIC_ACQUIRE);
}

static uint32_t sum(const uint32_t n[N_LIMITS])
{
	return n[LIMIT_TCP] + n[LIMIT_UDP] + n[LIMIT_ICMP];
}

static void read_line(const struct limit_line *line, uint32_t ret[N_LIMITS])
{
	for (unsigned i = 0; i < N_LIMITS; i++)
		ret[i] = __atomic_load_n(&line->sessions[i], __ATOMIC_ACQUIRE);
}

void limit_count_slots(const struct slot *slots, uint32_t n, uint32_t ret[N_LIMITS])
{
	memset(ret, 0, N_LIMITS * sizeof(*ret));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t word = __atomic_load_n(&slots[i].truth, __ATOMIC_ACQUIRE);

		if (word_is_live(word) && word_state(word) != SESSION_TIME_WAIT)
			ret[limit_protocol_of(word_proto(word))]++;
	}
}

/* One look at a subscriber. anyway: takes what it finds. */
static bool count(const struct subscriber_iterator *it, struct limit_line *line, bool anyway)
{
	const struct subscriber *s = it->subscriber;
	uint32_t lock = lock_of(s), found[N_LIMITS], beyond[N_LIMITS], before[N_LIMITS], after[N_LIMITS], sessions;

	sessions = __atomic_load_n(&s->sessions, __ATOMIC_ACQUIRE);
	read_line(line, before);
	limit_count_slots(it->slots, it->n_slots, found);
	limit_count_slots(it->beyond, it->n_beyond, beyond);
	for (unsigned i = 0; i < N_LIMITS; i++)
		found[i] += beyond[i];
	read_line(line, after);
	if (!anyway && (lock & 1 || sum(found) != sessions || memcmp(before, after, sizeof(before)) != 0 ||
			__atomic_load_n(&s->sessions, __ATOMIC_ACQUIRE) != sessions || lock_of(s) != lock))
		return false;
	for (unsigned i = 0; i < N_LIMITS; i++)
		__atomic_fetch_add(&line->sessions[i], found[i] - before[i], __ATOMIC_ACQ_REL);
	__atomic_store_n(&line->uncounted, 0, __ATOMIC_RELEASE);
	return true;
}

static int visit(struct subscriber_iterator *it, void *arg)
{
	struct limit_count *c = arg;
	struct limit_line *line = uncounted_line(it);

	it->cost = line ? subscriber_slots(it) : 1;
	if (line && !count(it, line, false) && !count(it, line, c->passes + 1 == PASSES_MAX))
		c->failed = true;
	return 0;
}

/* Begins the next pass, if one is needed. */
static int end_pass(struct limit_count *c)
{
	bool again = c->failed;

	subscriber_iterator_init(&c->it, c->m);
	c->failed = false;
	c->passes++;
	return again && c->passes < PASSES_MAX;
}

static void begin_again(struct limit_count *c)
{
	background_wait(&c->grace);
	end_pass(c);
	c->passes = 0;
	c->in_grace = false;
	c->m->uncounted = false;
}

int limit_count_step(struct limit_count *c, unsigned budget_us)
{
	uint64_t deadline_us = monotonic_us() + budget_us;

	/* Another mapping has its first limit now: a grace period that began before says nothing of it. */
	if (c->m->uncounted)
		begin_again(c);
	if (!c->in_grace) {
		background_start(&c->grace, wait_for_programs, mappings_datapath(c->m));
		c->in_grace = true;
	}
	if (background_busy(&c->grace))
		return LIMIT_COUNT_WAITS;
	if (subscriber_iterate(&c->it, deadline_us, visit, c))
		return LIMIT_COUNT_MORE;
	return end_pass(c) ? LIMIT_COUNT_MORE : LIMIT_COUNT_DONE;
}
