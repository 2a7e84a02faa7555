/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A subscriber's slots are read in one go, so that one counter of external addresses serves all subscribers. Sessions
 * beyond the slots come later, in any order: their subscribers are candidates, each with a counter of its own.
 *
 * Openings are half the changes of a subscriber's lock, which the datapath takes once for each.
 */
#include "sessions/survey.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/copies.h>

#include "base/hash.h"
#include "sessions/sessions_private.h"
#include "tables/overflow_map.h"

/* A sample of the lock, which is never 0. */
#define SAMPLED 1U

struct candidate {
	struct hash_entry entry;
	int number; /* of the mapping */
	struct surveyed found;
	struct hll destinations;
};

struct survey {
	struct survey_rules rules;
	struct hll destinations; /* of the present subscriber */
	struct hash_table candidates;
	struct top_heap lowest; /* the candidates by sessions beyond the slots */

	/* A pass of its own. */
	struct subscriber_iterator it;
	struct overflow_scan scan;
	bool slots_done;
};

static uint64_t hash(const void *entry)
{
	const struct candidate *c = entry;

	return HASH_OF(inside_place(c->found.tenant, c->found.in_addr));
}

static bool same(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return x->found.in_addr == y->found.in_addr && x->found.tenant == y->found.tenant;
}

static const struct hash_type candidates = {
	.size = sizeof(struct candidate), .max = SURVEY_CANDIDATES, .hash = hash, .same = same
};

int survey_new(struct mappings *m, const struct survey_rules *rules, struct survey **ret)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->rules = *rules;
	s->lowest.limit = SURVEY_CANDIDATES;
	subscriber_iterator_init(&s->it, m);
	s->it.idle_turn = 1; /* under a mask of 0: skips those without sessions */
	s->it.one_kind = true;
	*ret = s;
	return 0;
}

void survey_free(struct survey *s)
{
	if (!s)
		return;
	overflow_scan_end(&s->scan);
	hash_free(&s->candidates);
	top_heap_free(&s->lowest);
	free(s);
}

struct survey_rules *survey_rules(struct survey *s)
{
	return &s->rules;
}

static void report(struct survey *s, const struct surveyed *found)
{
	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++)
		if (found->n[kind] >= s->rules.least[kind]) {
			s->rules.report(s->rules.arg, found);
			return;
		}
}

static bool asks_for_port(const struct survey_ports *ports, uint16_t port)
{
	for (unsigned i = 0; i < ports->n; i++)
		if (ports->port[i] == port)
			return true;
	return !ports->n;
}

static void count(const struct survey *s, struct surveyed *found, struct hll *destinations, uint64_t key, uint64_t word)
{
	uint8_t state = word_state(word);

	if (!asks_for_port(&s->rules.ports, key_ext_port(key)))
		return;
	found->n[SURVEY_HALF_OPEN] += state == SESSION_SYN_SENT || state == SESSION_SYN_ANSWERED;
	if (s->rules.least[SURVEY_DESTINATIONS] != SURVEY_NEVER)
		hll_add(destinations, HASH_OF(key_ext_addr(key)));
}

/* Openings a second since the last survey; notes those of now. */
static uint32_t count_openings(const struct survey *s, const struct subscriber_iterator *it)
{
	uint32_t *samples = s->rules.elapsed_us ? mappings_openings(it->m, it->number) : NULL;
	uint32_t lock, before, *at;

	if (!samples)
		return 0;
	at = &samples[mapping_subscriber(&it->map->geo, it->in_addr)];
	lock = __atomic_load_n(&it->subscriber->lock, __ATOMIC_RELAXED) | SAMPLED;
	before = *at;
	*at = lock;
	if (!before || s->rules.elapsed_us == SURVEY_FIRST)
		return 0;
	return (uint32_t)(((uint64_t)(lock - before) / 2 * 1000000 + s->rules.elapsed_us / 2) / s->rules.elapsed_us);
}

static bool is_set(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

/* Counts the sessions in slots that are no copies; returns their number. Adds copies in extents to *copied. */
static uint32_t count_slots(struct survey *s, const struct subscriber_iterator *it, const uint64_t *copies,
			    uint32_t *copied, struct surveyed *found)
{
	uint32_t own = 0;

	for (uint32_t i = 0; i < subscriber_slots(it); i++) {
		const struct slot *slot = subscriber_slot(it, i);
		uint64_t word = load_truth(slot);

		if (!counts_now(&it->limits, word, it->now) || (copies && i < it->n_slots && is_set(copies, i)))
			continue;
		if (word_owner(word)) {
			++*copied;
			continue;
		}
		own++;
		count(s, found, &s->destinations, __atomic_load_n(&slot->key, __ATOMIC_RELAXED), word);
	}
	return own;
}

static void drop_lowest(struct survey *s)
{
	const struct top_rank *lowest = top_heap_ranks(&s->lowest);
	struct candidate like = { .found.in_addr = lowest->in_addr, .found.tenant = lowest->tenant };
	struct candidate *c = hash_find(&candidates, &s->candidates, &like);

	if (!c)
		return;
	if (s->rules.least[SURVEY_DESTINATIONS] != SURVEY_NEVER)
		c->found.n[SURVEY_DESTINATIONS] = hll_count(&c->destinations);
	report(s, &c->found);
	hash_del(&candidates, &s->candidates, c);
}

/* Whether the subscriber is counted on beyond its slots. */
static bool becomes_candidate(struct survey *s, const struct subscriber_iterator *it, const struct surveyed *found)
{
	struct top_rank rank = { .first = overflow_count(it->subscriber),
				 .in_addr = it->in_addr,
				 .tenant = it->map->tenant };
	struct candidate like = { .number = it->number, .found = *found };

	if (!rank.first || !top_heap_takes(&s->lowest, &rank))
		return false;
	like.destinations = s->destinations;
	if (s->candidates.n == SURVEY_CANDIDATES)
		drop_lowest(s);
	if (!hash_add(&candidates, &s->candidates, &like))
		return false;
	if (!top_heap_put(&s->lowest, &rank))
		return true;
	hash_del(&candidates, &s->candidates, hash_find(&candidates, &s->candidates, &like));
	return false;
}

void survey_subscriber(struct survey *s, const struct subscriber_iterator *it)
{
	const uint32_t *least = s->rules.least;
	uint32_t sessions = __atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED), copied = 0, own;
	struct surveyed found = { .in_addr = it->in_addr,
				  .n[SURVEY_RATE] = count_openings(s, it),
				  .tenant = it->map->tenant };
	uint64_t copies[SURVEY_SLOT_WORDS] = { 0 };

	/* No figure but that of openings is higher than the number of sessions. */
	if (sessions < least[SURVEY_HALF_OPEN] && sessions < least[SURVEY_DESTINATIONS] &&
	    found.n[SURVEY_RATE] < least[SURVEY_RATE])
		return;
	if (least[SURVEY_DESTINATIONS] != SURVEY_NEVER)
		memset(&s->destinations, 0, sizeof(s->destinations));
	if (s->rules.copies)
		copied = s->rules.copies(s->rules.copies_arg, it->number,
					 mapping_subscriber(&it->map->geo, it->in_addr), copies);
	own = count_slots(s, it, copied ? copies : NULL, &copied, &found);
	/* Copies are opened here as sessions are. */
	if (copied > own)
		found.n[SURVEY_RATE] = 0;
	if (becomes_candidate(s, it, &found))
		return;
	if (least[SURVEY_DESTINATIONS] != SURVEY_NEVER)
		found.n[SURVEY_DESTINATIONS] = hll_count(&s->destinations);
	report(s, &found);
}

void survey_overflow(struct survey *s, const struct mappings *m, int number, const struct overflow_key *key,
		     const struct overflow_session *session)
{
	struct candidate like = { .found.in_addr = key->in_addr, .found.tenant = mappings_get(m, number)->tenant }, *c;

	c = beyond_owner(session->mark, session->truth) ? NULL : hash_find(&candidates, &s->candidates, &like);
	if (c && c->number == number && !mappings_drain_of(m, number, key->in_addr))
		count(s, &c->found, &c->destinations, overflow_slot_key(key), session->truth);
}

void survey_end(struct survey *s)
{
	struct candidate *c;

	for (uint32_t at = 0; (c = hash_walk(&candidates, &s->candidates, &at));) {
		if (s->rules.least[SURVEY_DESTINATIONS] != SURVEY_NEVER)
			c->found.n[SURVEY_DESTINATIONS] = hll_count(&c->destinations);
		report(s, &c->found);
	}
	hash_clear(&s->candidates);
	top_heap_free(&s->lowest);
}

static int visit(struct subscriber_iterator *it, void *arg)
{
	struct survey *s = arg;
	uint32_t sessions = __atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED);

	if (sessions < s->rules.least[SURVEY_HALF_OPEN] && sessions < s->rules.least[SURVEY_DESTINATIONS])
		it->cost = 1;
	survey_subscriber(s, it);
	return 0;
}

/* A batch: 1: more to do, 0: done, or -errno. */
static int scan_overflow(struct survey *s)
{
	struct mappings *m = s->it.m;
	const struct datapath *d = mappings_datapath(m);
	int r = overflow_scan_step(&s->scan, d);
	uint32_t now = datapath_ticks(d);

	for (uint32_t i = 0; r >= 0 && i < s->scan.n; i++) {
		const struct overflow_key *key = &s->scan.keys[i];
		int number = key->direction == OVERFLOW_IN2OUT ? mappings_of_overflow(m, key) : -1;

		if (number >= 0 && word_counts(s->scan.sessions[i].truth, now, mappings_get(m, number)->timeout_ticks))
			survey_overflow(s, m, number, key, &s->scan.sessions[i]);
	}
	return r;
}

int survey_step(struct survey *s, unsigned budget_us)
{
	uint64_t deadline_us = monotonic_us() + budget_us;
	int r = 0;

	if (!s->slots_done) {
		if (subscriber_iterate(&s->it, deadline_us, visit, s))
			return 1;
		s->slots_done = true;
	}
	while (s->candidates.n && (r = scan_overflow(s)) > 0)
		if (monotonic_us() >= deadline_us)
			return 1;
	overflow_scan_end(&s->scan);
	/* The map has been replaced: what was found is at least what there is. */
	if (r < 0 && r != -EAGAIN)
		return r;
	survey_end(s);
	return 0;
}
