/* SPDX-License-Identifier: BSD-2-Clause */
#include "suspects/suspects.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/inside_runs.h"
#include "base/log.h"
#include "base/notice.h"
#include "base/virtual6.h"
#include "peers/replication.h"
#include "suspects/stranger_rates.h"

/* Between two reports of a subscriber. */
#define TOLD_US 3600000000ULL

/* Reports of a pass, and subscribers that are remembered for an hour; beyond, they are counted. */
#define REPORTS	 16U
#define MAX_TOLD 65536U

/* Between two lines of the log about subscribers beyond, and between two searches for old ones. */
#define CROWDED_US 60000000ULL

/* A shorter time between two passes shows no rate. */
#define SHORTEST_US 1000000ULL

#define TEXT 480U

/* A subscriber that reached a threshold. */
struct suspect {
	uint32_t excess; /* the highest figure in relation to its threshold, EXCESS_ONE: 1 */
	uint32_t kinds;	 /* bits: those that are known, as sessions and packets of strangers are found apart */
	struct surveyed found;
};
#define EXCESS_ONE 256U

/* A subscriber, by inside_place() of base/inside_runs.h. */
struct told {
	struct hash_entry entry;
	uint64_t place;
	uint64_t at_us;
};

/* Subscribers by a rate. */
struct rate_list {
	struct top_heap heap; /* of the pass under way */
	bool known;	      /* likewise */
	struct top_figure *highest;
	size_t n_highest;
};

struct suspects {
	const struct parts *parts;
	uint32_t threshold[N_SURVEY_KINDS]; /* or SURVEY_NEVER */
	struct survey *survey;		    /* of the pass under way, or NULL */
	uint64_t begun_us;		    /* the last pass with a survey; 0: none */
	struct heap worst;		    /* of the pass under way, those to report */
	uint64_t found[N_SURVEY_KINDS];	    /* in the pass under way */
	uint64_t due;			    /* of these, subscribers not reported in the last hour: */
	struct hash_table noted;	    /* one that has sessions in two mappings is found twice */
	struct rate_list rates[N_SURVEY_KINDS];
	struct stranger_rates strangers;
	struct hash_table told;
	uint64_t crowded_us, swept_us;
	struct suspect_figures figures;
};

static const char *const kind_texts[] = {
	[SURVEY_HALF_OPEN] = "half_open",
	[SURVEY_DESTINATIONS] = "destinations",
	[SURVEY_RATE] = "rate",
	[SURVEY_INBOUND] = "inbound",
};
_Static_assert(ARRAY_SIZE(kind_texts) == N_SURVEY_KINDS, "all have a name");

static const char *const kind_phrases[] = {
	[SURVEY_HALF_OPEN] = "half-open TCP sessions",
	[SURVEY_DESTINATIONS] = "external addresses",
	[SURVEY_RATE] = "openings a second",
	[SURVEY_INBOUND] = "packets of strangers a second",
};

const char *suspect_kind_text(enum survey_kind kind)
{
	return kind_texts[kind];
}

/* Those that were reported */

static uint64_t told_hash(const void *entry)
{
	const struct told *t = entry;

	return HASH_OF(t->place);
}

static bool told_same(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return x->place == y->place;
}

static const struct hash_type tolds = {
	.size = sizeof(struct told), .max = MAX_TOLD, .hash = told_hash, .same = told_same
};

static uint64_t place_of(const struct surveyed *found)
{
	return inside_place(found->tenant, found->in_addr);
}

static bool was_told(const struct suspects *s, const struct surveyed *found, uint64_t now_us)
{
	const struct told *t = hash_find(&tolds, &s->told, &(struct told){ .place = place_of(found) });

	return t && now_us - t->at_us < TOLD_US;
}

/* False: too many are remembered. */
static bool remember(struct suspects *s, const struct surveyed *found, uint64_t now_us)
{
	const struct told like = { .place = place_of(found), .at_us = now_us };
	struct told *t = hash_find(&tolds, &s->told, &like);

	if (!t)
		return hash_add(&tolds, &s->told, &like);
	t->at_us = now_us;
	return true;
}

static void forget_old(struct suspects *s, uint64_t now_us)
{
	struct told *t;

	if (now_us - s->swept_us < CROWDED_US)
		return;
	s->swept_us = now_us;
	for (uint32_t at = 0; (t = hash_walk(&tolds, &s->told, &at));)
		if (now_us - t->at_us >= TOLD_US)
			hash_del(&tolds, &s->told, t);
}

/* Reports */

static void tell(const struct suspects *s, const struct suspect *suspect)
{
	const struct surveyed *found = &suspect->found;
	const char *tenant = mappings_tenant_name(s->parts->mappings, found->tenant);
	char addr[INSIDE_TEXT], list[TEXT] = "", text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_SUSPECTS, LOG_LEVEL_WARNING, "suspect", text);
	size_t used = 0;

	inside_text(found->in_addr, addr);
	n.in = (struct prefix){ found->in_addr, 32 };
	notice_add_text(&n, virtual6_is(found->in_addr) ? "in_prefix" : "in_addr", addr);
	if (*tenant)
		notice_add_text(&n, "tenant", tenant);
	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++) {
		if (s->threshold[kind] == SURVEY_NEVER || !(suspect->kinds & 1U << kind))
			continue;
		notice_add_number(&n, kind_texts[kind], found->n[kind]);
		if (found->n[kind] < s->threshold[kind])
			continue;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s %u %s (threshold %u)", used ? "," : "",
					 found->n[kind], kind_phrases[kind], s->threshold[kind]);
	}
	snprintf(text, sizeof(text), "subscriber %s%s%s has%s", addr, *tenant ? " of " : "", tenant, list);
	log_warning("suspect: %s", text);
	notice_tell(&n);
}

static int compare_excess(const void *a, const void *b)
{
	const struct suspect *x = a, *y = b;

	uint64_t place_x = place_of(&x->found), place_y = place_of(&y->found);

	return x->excess != y->excess ? (x->excess > y->excess) - (x->excess < y->excess)
				      : (place_x < place_y) - (place_x > place_y);
}

static const struct heap_type worst = { .item_size = sizeof(struct suspect), .compare = compare_excess };
_Static_assert(sizeof(struct suspect) <= HEAP_ITEM_MAX, "fits into a heap");

static int compare_worst_first(const void *a, const void *b)
{
	return compare_excess(b, a);
}

/* One report for what is known of a subscriber: adds the later ones of a list to the first of each. */
static void merge(struct suspect *list, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct suspect *first = list;

		while (place_of(&first->found) != place_of(&list[i].found))
			first++;
		if (first == &list[i])
			continue;
		first->kinds |= list[i].kinds;
		for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++)
			first->found.n[kind] += list[i].found.n[kind];
	}
}

static void tell_all(struct suspects *s, uint64_t now_us)
{
	struct suspect *list = s->worst.items;
	uint64_t told = 0;

	forget_old(s, now_us);
	if (s->worst.n)
		qsort(list, s->worst.n, sizeof(*list), compare_worst_first);
	merge(list, s->worst.n);
	for (size_t i = 0; i < s->worst.n; i++) {
		if (was_told(s, &list[i].found, now_us))
			continue;
		if (!remember(s, &list[i].found, now_us))
			break;
		tell(s, &list[i]);
		told++;
	}
	s->figures.told += told;
	s->figures.untold = s->due - told;
	heap_free(&s->worst);
	if (!s->figures.untold || (s->crowded_us && now_us - s->crowded_us < CROWDED_US))
		return;
	s->crowded_us = now_us;
	log_warning("suspect: %" PRIu64 " more subscribers reach a threshold; `detnatctl top --by` shows them",
		    s->figures.untold);
}

/* A pass */

/* 0: no threshold is reached. */
static uint32_t excess_of(struct suspects *s, const struct surveyed *found)
{
	uint64_t most = 0;

	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++) {
		uint64_t share = (uint64_t)found->n[kind] * EXCESS_ONE / s->threshold[kind];

		if (found->n[kind] < s->threshold[kind])
			continue;
		s->found[kind]++;
		most = share > most ? share : most;
	}
	return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

/* Whether the pass finds a subscriber for the first time. Beyond MAX_TOLD of them, some may count twice. */
static bool is_new(struct suspects *s, const struct surveyed *found)
{
	const struct told like = { .place = place_of(found) };

	if (hash_find(&tolds, &s->noted, &like))
		return false;
	hash_add(&tolds, &s->noted, &like);
	return true;
}

static void note_suspect(struct suspects *s, const struct surveyed *found, uint32_t kinds)
{
	struct suspect x = { .excess = excess_of(s, found), .kinds = kinds, .found = *found };

	if (!x.excess || was_told(s, found, s->begun_us))
		return;
	s->due += is_new(s, found);
	s->worst.max = REPORTS;
	if (s->worst.n < REPORTS)
		heap_push(&worst, &s->worst, &x);
	else if (compare_excess(&x, s->worst.items) > 0)
		heap_replace_top(&worst, &s->worst, &x);
}

static void note_rate(struct suspects *s, const struct surveyed *found, enum survey_kind kind)
{
	struct top_rank rank = { .first = found->n[kind], .in_addr = found->in_addr, .tenant = found->tenant };
	struct top_heap *heap = &s->rates[kind].heap;

	if (rank.first && top_heap_takes(heap, &rank))
		top_heap_put(heap, &rank);
}

/* Lower rates are of no interest once there are enough, unless they make suspects. */
static void raise_least(struct suspects *s)
{
	const struct top_heap *heap = &s->rates[SURVEY_RATE].heap;
	uint32_t lowest = heap->heap.n == SUSPECTS_SHOWN ? (uint32_t)top_heap_ranks(heap)->first : 1;

	survey_rules(s->survey)->least[SURVEY_RATE] =
		lowest < s->threshold[SURVEY_RATE] ? lowest : s->threshold[SURVEY_RATE];
}

static void report(void *arg, const struct surveyed *found)
{
	struct suspects *s = arg;

	note_rate(s, found, SURVEY_RATE);
	raise_least(s);
	note_suspect(s, found, ~(1U << SURVEY_INBOUND));
}

static void report_inbound(void *arg, const struct surveyed *found)
{
	struct suspects *s = arg;

	note_rate(s, found, SURVEY_INBOUND);
	note_suspect(s, found, 1U << SURVEY_INBOUND);
}

static uint32_t copies(void *arg, int number, uint32_t subscriber, uint64_t bits[static SURVEY_SLOT_WORDS])
{
	return replication_copies(arg, number, subscriber, bits);
}

void suspects_leave_out_copies(const struct parts *parts, struct survey_rules *rules)
{
	if (!parts->replication || !replication_peers(parts->replication))
		return;
	rules->copies = copies;
	rules->copies_arg = parts->replication;
}

static void forget_pass(struct suspects *s)
{
	survey_free(take_pointer(s->survey));
	heap_free(&s->worst);
	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++) {
		top_heap_free(&s->rates[kind].heap);
		s->rates[kind].heap.limit = SUSPECTS_SHOWN;
	}
	memset(s->found, 0, sizeof(s->found));
	s->due = 0;
	hash_clear(&s->noted);
}

struct survey *suspects_begin(struct suspects *s, uint64_t now_us)
{
	struct survey_rules rules = { .report = report, .arg = s, .elapsed_us = SURVEY_FIRST };

	forget_pass(s);
	if (s->begun_us && now_us - s->begun_us < SHORTEST_US)
		return NULL;
	memcpy(rules.least, s->threshold, sizeof(rules.least));
	rules.least[SURVEY_RATE] = 1;
	rules.least[SURVEY_INBOUND] = SURVEY_NEVER;
	suspects_leave_out_copies(s->parts, &rules);
	s->rates[SURVEY_RATE].known = s->begun_us;
	stranger_rates_begin(&s->strangers);
	if (s->begun_us)
		rules.elapsed_us = now_us - s->begun_us;
	if (survey_new(s->parts->mappings, &rules, &s->survey))
		return NULL;
	s->begun_us = now_us;
	return s->survey;
}

int suspects_step(struct suspects *s, uint64_t now_us, unsigned budget_us)
{
	return s->survey ? stranger_rates_step(&s->strangers, now_us, budget_us, report_inbound, s) : 0;
}

static void keep_rates(struct rate_list *r)
{
	struct top_figure *list;
	size_t n;

	if (!r->known || top_heap_figures(&r->heap, &list, &n))
		return;
	free(r->highest);
	r->highest = list;
	r->n_highest = n;
}

void suspects_end(struct suspects *s, uint64_t now_us)
{
	if (!s->survey)
		return;
	memcpy(s->figures.now, s->found, sizeof(s->found));
	tell_all(s, now_us);
	s->rates[SURVEY_INBOUND].known = stranger_rates_known(&s->strangers);
	keep_rates(&s->rates[SURVEY_RATE]);
	keep_rates(&s->rates[SURVEY_INBOUND]);
	forget_pass(s);
}

void suspects_abort(struct suspects *s)
{
	/* Some subscribers have new samples, and others old ones. */
	if (s->survey) {
		s->begun_us = 0;
		stranger_rates_forget(&s->strangers);
	}
	forget_pass(s);
}

const struct top_figure *suspects_rates(const struct suspects *s, enum survey_kind kind, size_t *ret_n)
{
	*ret_n = s->rates[kind].n_highest;
	return s->rates[kind].highest;
}

struct suspect_figures suspects_figures(const struct suspects *s)
{
	return s->figures;
}

static uint32_t threshold_of(uint32_t configured)
{
	return configured ? configured : SURVEY_NEVER;
}

void suspects_configure(struct suspects *s, const struct config_suspects *c)
{
	s->threshold[SURVEY_HALF_OPEN] = threshold_of(c->half_open);
	s->threshold[SURVEY_DESTINATIONS] = threshold_of(c->destinations);
	s->threshold[SURVEY_RATE] = threshold_of(c->rate);
	s->threshold[SURVEY_INBOUND] = threshold_of(c->inbound);
	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++) {
		s->figures.asked[kind] = s->threshold[kind] != SURVEY_NEVER;
		if (!s->figures.asked[kind])
			s->figures.now[kind] = 0;
	}
}

int suspects_new(const struct parts *parts, struct suspects **ret)
{
	struct suspects *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->parts = parts;
	s->strangers.mappings = parts->mappings;
	forget_pass(s);
	suspects_configure(s, &(struct config_suspects){ 0 });
	*ret = s;
	return 0;
}

void suspects_free(struct suspects *s)
{
	if (!s)
		return;
	forget_pass(s);
	hash_free(&s->told);
	hash_free(&s->noted);
	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++)
		free(s->rates[kind].highest);
	free(s);
}
