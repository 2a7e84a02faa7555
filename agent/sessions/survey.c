/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A subscriber's slots are read in one go, so that one counter of external addresses serves all subscribers.
 *
 * Openings are half the changes of a subscriber's lock, which the datapath takes once for each.
 */
#include "sessions/survey.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/hash.h"
#include "sessions/sessions_private.h"

/* A sample of the lock, which is never 0. */
#define SAMPLED 1U

struct survey {
	struct survey_rules rules;
	struct hll destinations;       /* of the present subscriber */
	struct subscriber_iterator it; /* of a pass of its own */
};

int survey_new(struct mappings *m, const struct survey_rules *rules, struct survey **ret)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->rules = *rules;
	subscriber_iterator_init(&s->it, m);
	s->it.idle_turn = 1; /* under a mask of 0: skips those without sessions */
	s->it.one_kind = true;
	*ret = s;
	return 0;
}

void survey_free(struct survey *s)
{
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

static void count(struct survey *s, struct surveyed *found, uint64_t key, uint64_t word)
{
	uint8_t state = word_state(word);

	if (!asks_for_port(&s->rules.ports, key_ext_port(key)))
		return;
	found->n[SURVEY_HALF_OPEN] += state == SESSION_SYN_SENT || state == SESSION_SYN_ANSWERED;
	if (s->rules.least[SURVEY_DESTINATIONS] != SURVEY_NEVER)
		hll_add(&s->destinations, HASH_OF(key_ext_addr(key)));
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
		count(s, found, __atomic_load_n(&slot->key, __ATOMIC_RELAXED), word);
	}
	return own;
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
	if (least[SURVEY_DESTINATIONS] != SURVEY_NEVER)
		found.n[SURVEY_DESTINATIONS] = hll_count(&s->destinations);
	report(s, &found);
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

int survey_step(struct survey *s, unsigned budget_us)
{
	return subscriber_iterate(&s->it, monotonic_us() + budget_us, visit, s);
}
