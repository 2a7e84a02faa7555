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

/* A subscriber with sessions beyond the slots, which are found by a pass through all. */
struct tallied {
	int number;
	uint32_t subscriber;
	uint32_t lock; /* before that pass */
	uint32_t sessions[N_LIMITS];
};

struct limit_count {
	struct mappings *m;
	struct background grace;
	bool in_grace, grace_over;
	struct subscriber_iterator it;
	struct overflow_scan scan;
	struct tallied *list; /* in the order of the iterator: by number, for each */
	size_t n, room;
	bool gathered, scanned;
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
	overflow_scan_end(&c->scan);
	free(c->list);
	free(c);
}

static struct limit_line *uncounted_line(const struct subscriber_iterator *it)
{
	struct limit_line *line =
		mappings_limit_line(it->m, it->number, mapping_subscriber(&it->map->geo, it->in_addr));

	return line && __atomic_load_n(&line->uncounted, __ATOMIC_ACQUIRE) ? line : NULL;
}

static int compare(const void *a, const void *b)
{
	const struct tallied *x = a, *y = b;

	return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
				      : (x->subscriber > y->subscriber) - (x->subscriber < y->subscriber);
}

static struct tallied *find(const struct limit_count *c, int number, uint32_t subscriber)
{
	const struct tallied key = { .number = number, .subscriber = subscriber };

	return c->n ? bsearch(&key, c->list, c->n, sizeof(*c->list), compare) : NULL;
}

static uint32_t lock_of(const struct subscriber *s)
{
	return __atomic_load_n(&s->lock, __ATOMIC_ACQUIRE);
}

/* Notes a subscriber whose sessions beyond the slots must be found. */
static int gather(struct subscriber_iterator *it, void *arg)
{
	struct limit_count *c = arg;

	it->cost = 1;
	if (!uncounted_line(it) || !overflow_count(it->subscriber))
		return 0;
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct tallied *list = realloc(c->list, room * sizeof(*list));

		/* Its turn comes in the next pass. */
		if (!list)
			return 0;
		c->list = list;
		c->room = room;
	}
	c->list[c->n++] = (struct tallied){ .number = it->number,
					    .subscriber = mapping_subscriber(&it->map->geo, it->in_addr),
					    .lock = lock_of(it->subscriber) };
	return 0;
}

/* A batch of the pass through the sessions beyond the slots: 1: more to do, 0: done. */
static int scan(struct limit_count *c)
{
	int r = overflow_scan_step(&c->scan, mappings_datapath(c->m));

	for (uint32_t i = 0; r >= 0 && i < c->scan.n; i++) {
		const struct overflow_key *key = &c->scan.keys[i];
		int number = key->direction == OVERFLOW_IN2OUT ? mappings_of_overflow(c->m, key) : -1;
		struct tallied *t =
			number < 0
				? NULL
				: find(c, number, mapping_subscriber(&mappings_get(c->m, number)->geo, key->in_addr));

		if (t)
			t->sessions[limit_protocol_of(key->proto)]++;
	}
	if (r <= 0)
		overflow_scan_end(&c->scan);
	/* The map has been replaced: what was found is no tally of anything, and the subscribers' turn comes again. */
	if (r < 0)
		c->n = 0;
	return r > 0;
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
static bool count(struct limit_count *c, const struct subscriber_iterator *it, struct limit_line *line, bool anyway)
{
	const struct subscriber *s = it->subscriber;
	const struct tallied *t = find(c, it->number, mapping_subscriber(&it->map->geo, it->in_addr));
	uint32_t lock = lock_of(s), found[N_LIMITS], beyond[N_LIMITS], before[N_LIMITS], after[N_LIMITS], sessions;

	sessions = __atomic_load_n(&s->sessions, __ATOMIC_ACQUIRE);
	read_line(line, before);
	limit_count_slots(it->slots, it->n_slots, found);
	limit_count_slots(it->beyond, it->n_beyond, beyond);
	for (unsigned i = 0; i < N_LIMITS; i++)
		found[i] += beyond[i] + (t ? t->sessions[i] : 0);
	read_line(line, after);
	if (!anyway && (lock & 1 || (t && t->lock != lock) || overflow_count(s) != (t ? sum(t->sessions) : 0) ||
			sum(found) != sessions || memcmp(before, after, sizeof(before)) != 0 ||
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
	if (line && !count(c, it, line, false) && !count(c, it, line, c->passes + 1 == PASSES_MAX))
		c->failed = true;
	return 0;
}

/* Begins the next pass, if one is needed. */
static int end_pass(struct limit_count *c)
{
	bool again = c->failed;

	subscriber_iterator_init(&c->it, c->m);
	c->n = 0;
	c->gathered = c->scanned = c->failed = false;
	c->passes++;
	return again && c->passes < PASSES_MAX;
}

static void begin_again(struct limit_count *c)
{
	background_wait(&c->grace);
	overflow_scan_end(&c->scan);
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
	if (!c->gathered) {
		if (subscriber_iterate(&c->it, deadline_us, gather, c))
			return LIMIT_COUNT_MORE;
		if (c->n)
			qsort(c->list, c->n, sizeof(*c->list), compare);
		subscriber_iterator_init(&c->it, c->m);
		c->gathered = true;
	}
	while (!c->scanned) {
		c->scanned = !c->n || !scan(c);
		if (monotonic_us() >= deadline_us)
			return LIMIT_COUNT_MORE;
	}
	if (subscriber_iterate(&c->it, deadline_us, visit, c))
		return LIMIT_COUNT_MORE;
	return end_pass(c) ? LIMIT_COUNT_MORE : LIMIT_COUNT_DONE;
}
