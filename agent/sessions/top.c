/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The record of a subscriber has its number of sessions, including expired ones that have not been freed: it is never
 * too low. So a subscriber whose record does not rank among the highest need not be examined, and with 16 million
 * subscribers nearly all cost one load. For the others, slots are counted if a session may have expired, and at the end
 * for all that were chosen.
 */
#include "sessions/top.h"

#include <errno.h>
#include <string.h>

#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"

/* Slots that are counted in any case, for some milliseconds. Beyond that the record is trusted while possible. */
#define EXACT_SLOTS (1U << 20)

/* The cost of adding one, in slots read. */
#define PUT_COST 64U

/* Subscribers measured between two looks at the clock. */
#define LOOK_INTERVAL 8U

#define N_PROTOCOLS 3U
#define WORD_BITS   64U

enum phase { PHASE_CHOOSE, PHASE_MEASURE, PHASE_DONE };

/* A chosen subscriber; they are sorted by place. */
struct chosen {
	uint64_t place;	 /* inside_place() */
	uint32_t figure; /* of top_new_of() */
};

struct top {
	struct mappings *m;
	const struct grants *grants;
	enum top_order order;
	bool listed; /* the subscribers are those of a list */
	enum phase phase;
	struct subscriber_iterator it;
	struct top_heap heap;
	uint32_t looked; /* slots */
	bool failed;	 /* out of memory */

	struct chosen *chosen;
	size_t n_chosen;

	struct top_entry *entries;
	size_t n_entries;
	size_t measured; /* number of chosen subscribers */
	uint64_t used[N_PROTOCOLS][65536U / WORD_BITS];
};

int top_new(struct mappings *m, const struct grants *grants, enum top_order order, uint32_t n, struct top **ret)
{
	struct top *t = calloc(1, sizeof(*t));
	const struct mapping_drain *drain;

	if (!t)
		return -ENOMEM;
	t->m = m;
	t->grants = grants;
	t->order = order;
	t->heap.limit = n;
	subscriber_iterator_init(&t->it, m);
	/* Sessions may drain from other mappings. */
	if (order == TOP_BY_SESSIONS && !mappings_drains(m, &drain))
		t->it.idle_turn = 1; /* under a mask of 0: skips those without sessions */
	*ret = t;
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct chosen *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

int top_new_of(struct mappings *m, const struct grants *grants, const struct top_figure *list, size_t n,
	       struct top **ret)
{
	struct top *t;

	if (top_new(m, grants, TOP_BY_SESSIONS, 1, &t))
		return -ENOMEM;
	t->listed = true;
	t->phase = PHASE_MEASURE;
	t->chosen = calloc(n + 1, sizeof(*t->chosen));
	t->entries = calloc(n + 1, sizeof(*t->entries));
	if (!t->chosen || !t->entries) {
		top_free(t);
		return -ENOMEM;
	}
	t->n_chosen = n;
	for (size_t i = 0; i < n; i++)
		t->chosen[i] = (struct chosen){ .place = inside_place(list[i].tenant, list[i].in_addr),
						.figure = list[i].figure };
	qsort(t->chosen, n, sizeof(*t->chosen), compare_places);
	*ret = t;
	return 0;
}

void top_free(struct top *t)
{
	if (!t)
		return;
	top_heap_free(&t->heap);
	free(t->chosen);
	free(t->entries);
	free(t);
}

static struct top_rank rank_of(enum top_order order, uint64_t place, uint64_t sessions, uint64_t refused)
{
	bool by_sessions = order == TOP_BY_SESSIONS;

	return (struct top_rank){
		.first = by_sessions ? sessions : refused,
		.second = by_sessions ? refused : sessions,
		.in_addr = inside_addr(place),
		.tenant = inside_tenant(place),
	};
}

/* Sessions according to the record, less expired ones if there may be any. */
static uint32_t count_sessions(struct top *t, struct subscriber_iterator *it, uint32_t recorded)
{
	uint32_t sessions;

	if (t->looked >= EXACT_SLOTS && !subscriber_due(it))
		return recorded;
	t->looked += t->looked < EXACT_SLOTS ? subscriber_slots(it) : 0;
	it->cost = subscriber_slots(it);
	sessions = subscriber_count(it);
	return sessions < recorded ? sessions : recorded;
}

/*
 * Each subscriber is chosen once: through its mapping or, without one, through the first from which its sessions drain.
 */
static bool is_first(const struct subscriber_iterator *it)
{
	struct subscriber_iterator first;

	return !it->kind || (!subscriber_find_any(&first, it->m, subscriber_place(it)) && first.number == it->number);
}

static int choose(struct subscriber_iterator *it, void *arg)
{
	struct top *t = arg;
	uint32_t recorded = __atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED);
	uint64_t refused = __atomic_load_n(&it->subscriber->refused, __ATOMIC_RELAXED);
	const struct mapping_drain *drain;
	struct elsewhere elsewhere = { 0 };
	struct top_rank rank;

	it->cost = 1;
	if (mappings_drains(t->m, &drain)) {
		if (!is_first(it))
			return 0;
		elsewhere = subscriber_elsewhere(t->m, it);
		it->cost += elsewhere.recorded;
	}
	rank = rank_of(t->order, subscriber_place(it), recorded + elsewhere.recorded, refused);
	if (!rank.first || !top_heap_takes(&t->heap, &rank))
		return 0;
	rank = rank_of(t->order, subscriber_place(it),
		       (recorded ? count_sessions(t, it, recorded) : 0) + elsewhere.in_slots, refused);
	if (!rank.first || !top_heap_takes(&t->heap, &rank))
		return 0;
	t->failed |= top_heap_put(&t->heap, &rank) != 0;
	it->cost += PUT_COST;
	return 0;
}

static int take_chosen(struct top *t)
{
	if (t->failed)
		return -ENOMEM;
	if (!t->heap.heap.n)
		return 0;
	t->chosen = calloc(t->heap.heap.n, sizeof(*t->chosen));
	t->entries = calloc(t->heap.heap.n, sizeof(*t->entries));
	if (!t->chosen || !t->entries)
		return -ENOMEM;
	t->n_chosen = t->heap.heap.n;
	for (size_t i = 0; i < t->n_chosen; i++) {
		const struct top_rank *rank = &top_heap_ranks(&t->heap)[i];

		t->chosen[i].place = inside_place(rank->tenant, rank->in_addr);
	}
	top_heap_free(&t->heap);
	qsort(t->chosen, t->n_chosen, sizeof(*t->chosen), compare_places);
	return 0;
}

/* Ports of the blocks that a subscriber has by grants. */
static uint32_t granted_ports(const struct grants *g, uint64_t place)
{
	uint32_t n = 0;

	for (const struct grant *i = g ? grants_of(g, place, NULL) : NULL; i; i = grants_of(g, place, i))
		n += i->state == GRANT_OPEN || i->state == GRANT_CLOSED ? i->ports : 0;
	return n;
}

static uint32_t at_most(uint32_t n, uint32_t most)
{
	return n < most ? n : most;
}

static unsigned protocol_of_state(uint8_t state)
{
	return state == SESSION_UDP ? 0 : state == SESSION_ICMP ? 1 : 2;
}

/* Counts all slots; sessions of a mapping deleted meanwhile do not count. */
static void measure(struct top *t, const struct chosen *chosen)
{
	struct top_entry *e = &t->entries[t->n_entries];
	uint32_t ports[N_PROTOCOLS] = { 0 }, port_lo;
	struct subscriber_iterator it;
	const struct geometry *g;
	uint32_t draining, granted, on_grants = 0;

	if (subscriber_find_any(&it, t->m, chosen->place))
		return;
	draining = subscriber_elsewhere(t->m, &it).in_slots;
	g = &it.map->geo;
	port_lo = mapping_port_lo(g, mapping_subscriber(g, it.in_addr));
	*e = (struct top_entry){
		.in_addr = it.in_addr,
		.sessions = draining,
		.draining = draining,
		.quota = it.map->sessions_per_user,
		.quota_exceeded = __atomic_load_n(&it.subscriber->refused, __ATOMIC_RELAXED),
		.ports_per_host = g->ports_per_host,
		.figure = chosen->figure,
		.tenant = it.map->tenant,
	};
	for (unsigned p = 0; p < N_PROTOCOLS; p++)
		memset(t->used[p], 0, (g->ports_per_host + WORD_BITS - 1) / WORD_BITS * sizeof(t->used[p][0]));
	for (uint32_t i = 0; i < subscriber_slots(&it); i++) {
		uint64_t word = load_truth(subscriber_slot(&it, i));
		uint32_t port = word_out_port(word) - port_lo;
		unsigned p = protocol_of_state(word_state(word));

		if (!counts_now(&it.limits, word, it.now))
			continue;
		e->sessions++;
		on_grants += port >= g->ports_per_host;
		if (port >= g->ports_per_host || t->used[p][port / WORD_BITS] & 1ULL << port % WORD_BITS)
			continue;
		t->used[p][port / WORD_BITS] |= 1ULL << port % WORD_BITS;
		ports[p]++;
	}
	/* All of them if no mapping has the address. */
	if (mappings_find_inside(t->m, it.map->tenant, it.in_addr) != it.number)
		e->draining = e->sessions;
	for (unsigned p = 0; p < N_PROTOCOLS; p++)
		e->ports_used = ports[p] > e->ports_used ? ports[p] : e->ports_used;
	granted = granted_ports(t->grants, chosen->place);
	e->ports = g->ports_per_host + granted;
	e->ports_used = at_most(e->ports_used, g->ports_per_host) + at_most(on_grants, granted);
	t->n_entries += t->listed || (t->order == TOP_BY_SESSIONS ? e->sessions > 0 : e->quota_exceeded > 0);
}

static uint64_t place_of(const struct top_entry *e)
{
	return inside_place(e->tenant, e->in_addr);
}

static int compare_by_sessions(const void *a, const void *b)
{
	const struct top_entry *x = a, *y = b;
	struct top_rank rx = rank_of(TOP_BY_SESSIONS, place_of(x), x->sessions, x->quota_exceeded);
	struct top_rank ry = rank_of(TOP_BY_SESSIONS, place_of(y), y->sessions, y->quota_exceeded);

	return top_rank_compare(&rx, &ry);
}

static int compare_by_quota(const void *a, const void *b)
{
	const struct top_entry *x = a, *y = b;
	struct top_rank rx = rank_of(TOP_BY_QUOTA, place_of(x), x->sessions, x->quota_exceeded);
	struct top_rank ry = rank_of(TOP_BY_QUOTA, place_of(y), y->sessions, y->quota_exceeded);

	return top_rank_compare(&rx, &ry);
}

static int compare_by_figure(const void *a, const void *b)
{
	const struct top_entry *x = a, *y = b;
	struct top_rank rx = { x->figure, x->sessions, x->in_addr, x->tenant };
	struct top_rank ry = { y->figure, y->sessions, y->in_addr, y->tenant };

	return top_rank_compare(&rx, &ry);
}

static void sort_entries(struct top *t)
{
	if (t->n_entries)
		qsort(t->entries, t->n_entries, sizeof(*t->entries),
		      t->listed			    ? compare_by_figure
		      : t->order == TOP_BY_SESSIONS ? compare_by_sessions
						    : compare_by_quota);
}

/* Continues a phase: 1: the time is up, 0: the phase has ended, or -errno. */
static int phase_step(struct top *t, uint64_t deadline_us)
{
	switch (t->phase) {
	case PHASE_CHOOSE:
		if (subscriber_iterate(&t->it, deadline_us, choose, t))
			return 1;
		return take_chosen(t);
	case PHASE_MEASURE:
		while (t->measured < t->n_chosen) {
			measure(t, &t->chosen[t->measured]);
			if (!(++t->measured % LOOK_INTERVAL) && monotonic_us() >= deadline_us)
				return 1;
		}
		sort_entries(t);
		return 0;
	case PHASE_DONE:
		break;
	}
	return 0;
}

int top_step(struct top *t, unsigned budget_us)
{
	uint64_t deadline_us = monotonic_us() + budget_us;

	while (t->phase != PHASE_DONE) {
		int r = phase_step(t, deadline_us);

		if (r)
			return r;
		t->phase++;
	}
	return 0;
}

const struct top_entry *top_entries(const struct top *t, size_t *ret_n)
{
	*ret_n = t->n_entries;
	return t->entries;
}

int top_rank_compare(const void *a, const void *b)
{
	const struct top_rank *x = a, *y = b;

	if (x->first != y->first)
		return x->first > y->first ? -1 : 1;
	if (x->second != y->second)
		return x->second > y->second ? -1 : 1;
	if (x->tenant != y->tenant)
		return x->tenant < y->tenant ? -1 : 1;
	return (x->in_addr > y->in_addr) - (x->in_addr < y->in_addr);
}

static int compare_lowest_first(const void *a, const void *b)
{
	return top_rank_compare(b, a);
}

static const struct heap_type ranks = { .item_size = sizeof(struct top_rank), .compare = compare_lowest_first };
_Static_assert(sizeof(struct top_rank) <= HEAP_ITEM_MAX, "fits into a heap");

const struct top_rank *top_heap_ranks(const struct top_heap *h)
{
	return h->heap.items;
}

bool top_heap_takes(const struct top_heap *h, const struct top_rank *rank)
{
	return h->heap.n < h->limit || top_rank_compare(rank, top_heap_ranks(h)) < 0;
}

int top_heap_put(struct top_heap *h, const struct top_rank *rank)
{
	h->heap.max = h->limit;
	if (h->heap.n < h->limit)
		return heap_push(&ranks, &h->heap, rank);
	heap_replace_top(&ranks, &h->heap, rank);
	return 0;
}

void top_heap_free(struct top_heap *h)
{
	heap_free(&h->heap);
}

int top_heap_figures(struct top_heap *h, struct top_figure **ret, size_t *ret_n)
{
	struct top_rank *found = h->heap.items;
	size_t n = h->heap.n;
	struct top_figure *list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	if (n)
		qsort(found, n, sizeof(*found), top_rank_compare);
	for (size_t i = 0; i < n; i++)
		list[i] = (struct top_figure){ found[i].in_addr, (uint32_t)found[i].first, found[i].tenant };
	top_heap_free(h);
	*ret = list;
	*ret_n = n;
	return 0;
}
