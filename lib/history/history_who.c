/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intervals are sorted by outside prefix and time. For each reckoning of the clock that had the second, and for each
 * prefix length in use, a question looks up the prefix around the address and searches it backwards from the last
 * interval that had begun; the latest end of all intervals up to each one bounds how far back the search goes.
 */
#include "base/address.h"
#include "base/array_grow.h"
#include "base/base.h"
#include "base/search.h"
#include "history/history_pieces.h"
#include "history/history_who.h"
#include "history/history_who_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/mapping.h>
#include <detnat/tables.h>

void who_free(struct who *w)
{
	if (!w)
		return;
	free(w->held);
	holdings_free(&w->holdings);
	free(w->portmaps.held);
	free(w->grants.held);
	free(w->forgotten.held);
	free(w->unknown);
	free(w->gaps.at);
	free(w->latest_end);
	free(w->earliest_start);
	pieces_free(&w->pieces);
	free(w->holder);
	free(w);
}

static int compare_held(const void *pa, const void *pb, void *times)
{
	const struct held *a = pa, *b = pb;
	int r = prefix_order(a->out, b->out);

	return r ? r : history_times_order(times, a->begin, b->begin);
}

static void take_intervals(struct who *w, const struct history_index *x)
{
	struct holdings *all = &w->holdings;

	for (size_t i = 0; i < x->mappings.n; i++) {
		const struct history_interval *v = &x->mappings.interval[i];
		const struct history_mapping *m = &v->mapping;
		struct held *h = &all->inner[all->n++];

		*h = (struct held){ .in = m->in,
				    .out = m->out,
				    .begin = v->begin,
				    .end = v->end,
				    .reach = v->end,
				    .number = i,
				    .open = m->open,
				    .blocks = m->blocks };
		memcpy(h->name, m->name, sizeof(m->name));
		memcpy(h->tenant, m->tenant, sizeof(m->tenant));
		all->lengths |= prefix_is_range(m->in) ? 0 : 1ULL << m->in.plen;
		w->low_ports |=
			m->open || (!plan_blocks_default(&m->blocks) && m->blocks.first_port < MAPPING_FIRST_PORT);
		if (prefix_is_none(m->out))
			continue;
		w->held[w->n_held++] = *h;
		w->lengths |= prefix_is_range(m->out) ? 0 : 1ULL << m->out.plen;
	}
}

static void take_epochs(struct who *w, const struct history_times *t)
{
	for (uint32_t k = 0; k < t->n_epochs; k++)
		w->latest_end[k] = k && w->latest_end[k - 1] > t->epoch[k].end ? w->latest_end[k - 1] : t->epoch[k].end;
	for (uint32_t k = t->n_epochs; k-- > 0;)
		w->earliest_start[k] = k + 1 < t->n_epochs && w->earliest_start[k + 1] < t->epoch[k].start
					       ? w->earliest_start[k + 1]
					       : t->epoch[k].start;
}

static int prepare(struct who *w, const struct history_index *x)
{
	const struct history_times *t = &w->holdings.times;

	take_intervals(w, x);
	if (holdings_init(&w->holdings, x))
		return -ENOMEM;
	if (w->n_held)
		qsort_r(w->held, w->n_held, sizeof(*w->held), compare_held, &w->holdings.times);
	w->first_range = first_range_of(w->held, w->n_held, true);
	for (size_t i = 1; i < w->n_held; i++)
		if (!prefix_order(w->held[i].out, w->held[i - 1].out) &&
		    history_times_order_late(t, w->held[i].reach, w->held[i - 1].reach) < 0)
			w->held[i].reach = w->held[i - 1].reach;
	if (x->gaps.n)
		memcpy(w->gaps.at, x->gaps.at, x->gaps.n * sizeof(*w->gaps.at));
	w->gaps.n = x->gaps.n;
	w->first_time = x->first_time;
	w->replicated = x->replicated;
	for (size_t i = 0; i < x->grants.n; i++)
		if (x->grants.interval[i].grant.ports > w->longest)
			w->longest = x->grants.interval[i].grant.ports;
	take_epochs(w, t);
	return 0;
}

int who_new(const struct history_index *x, struct who **ret)
{
	struct who *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->held = calloc(x->mappings.n + 1, sizeof(*w->held));
	w->holdings.inner = calloc(x->mappings.n + 1, sizeof(*w->holdings.inner));
	w->gaps.at = calloc(x->gaps.n + 1, sizeof(*w->gaps.at));
	w->latest_end = calloc(x->times.n_epochs + 1U, sizeof(*w->latest_end));
	w->earliest_start = calloc(x->times.n_epochs + 1U, sizeof(*w->earliest_start));
	if (!w->held || !w->holdings.inner || !w->gaps.at || !w->latest_end || !w->earliest_start ||
	    who_facts_new(FACT_PORTMAP, &x->portmaps.facts, &x->times, false, &w->portmaps) ||
	    who_facts_new(FACT_GRANT, &x->grants.facts, &x->times, false, &w->grants) ||
	    who_facts_new(FACT_GRANT, &x->grants.facts, &x->times, true, &w->forgotten) ||
	    who_unknown_new(&x->grants, &x->times, w) || prepare(w, x)) {
		who_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

/* Whether an interval is of a lesser prefix, or of this one and had begun. */
static bool comes_before(const struct search *s, const struct held *h, struct prefix out)
{
	int r = prefix_order(h->out, out);

	return r < 0 || (!r && history_times_begun(s->times, h->begin, s->epoch, s->t));
}

/* Number of the subscriber that has the port, or -1. */
static int64_t subscriber_of(const struct search *s, const struct held *h, const struct geometry *g)
{
	return h->open ? (int64_t)s->addr - g->out_base : mapping_reverse(g, s->addr, s->port);
}

/* Compares two holders, of one subscriber or both recorded to have held it at the end of the second. */
static bool is_better(const struct search *s, const struct who_holder *a, const struct who_holder *b)
{
	if (a->holds != b->holds)
		return a->holds;
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	if (a->by != b->by)
		return a->by > b->by;
	return history_times_order(s->times, a->begin, b->begin) >= 0;
}

static void note(struct search *s, const struct held *h, uint32_t end, struct who_holder one)
{
	struct who *w = s->w;

	one.in = h->in;
	one.out = h->out;
	memcpy(one.name, h->name, sizeof(one.name));
	memcpy(one.tenant, h->tenant, sizeof(one.tenant));
	one.epoch = s->epoch;
	s->known |= one.holds ? one.protos : 0;
	one.from = history_times_from(s->times, one.begin, s->epoch, s->t);
	one.to = history_times_to(s->times, end, s->epoch, s->t);
	for (size_t i = 0; i < w->n_holders; i++) {
		uint8_t protos = w->holder[i].protos | one.protos;

		if (!who_same_subscriber(&w->holder[i], &one))
			continue;
		if (is_better(s, &one, &w->holder[i]))
			w->holder[i] = one;
		w->holder[i].protos = protos;
		return;
	}
	s->r = array_grow(&w->holder, w->n_holders, &w->room, sizeof(*w->holder));
	if (!s->r)
		w->holder[w->n_holders++] = one;
}

#define ALL_PROTOS 3U

/* The protocols of portmaps, in the order of the bits of a holder. */
static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

static struct history_portmap portmap_place(const struct search *s, uint8_t proto)
{
	return (struct history_portmap){ .proto = proto, .out = { s->addr, (uint16_t)s->port, (uint16_t)s->port } };
}

/* A port in no block: portmaps may have had it. */
static void consider_portmap(struct search *s, const struct held *h, unsigned bit, const struct who_fact *v)
{
	const struct history_portmap *m = (const void *)(v + 1);
	struct who_holder one = { .in_addr = m->in.addr,
				  .begin = v->whole_begin,
				  .by = bit ? BY_UDP_PORTMAP : BY_TCP_PORTMAP,
				  .protos = (uint8_t)(1U << bit) };

	if (!prefix_holds(h->in, m->in.addr) || !history_same_tenant(m->tenant, h->tenant) ||
	    !history_times_touch(s->times, v->begin, v->end, s->epoch, s->t))
		return;
	one.holds = history_times_hold(s->times, v->begin, v->end, s->epoch, s->t) &&
		    history_times_hold(s->times, h->begin, h->end, s->epoch, s->t);
	note(s, h, v->whole_end, one);
}

static void consider_portmaps(struct search *s, const struct held *h)
{
	const struct who_facts *w = &s->w->portmaps;

	for (unsigned i = 0; i < ARRAY_SIZE(protos); i++) {
		struct history_portmap place = portmap_place(s, protos[i]);
		size_t end = who_facts_until(w, &place);

		for (size_t k = who_facts_before(w, &place); k < end; k++)
			consider_portmap(s, h, i, who_facts_number(w, k));
	}
}

/* A subscriber had a granted block while it had both the grant and the mapping. */
static void consider_grant(struct search *s, const struct held *h, const struct who_fact *g)
{
	const struct history_grant *grant = (const void *)(g + 1);
	const struct history_times *t = s->times;
	struct pieces *p = &s->w->pieces;

	if (s->r || !prefix_holds(h->in, grant->in))
		return;
	s->r = held_pieces(&s->w->holdings, h, grant->in, p);
	s->shared |= who_unknown_beside(s, g);
	for (size_t i = 0; !s->r && i < p->n; i++) {
		struct piece both = p->piece[i];
		struct who_holder one = { .in_addr = grant->in,
					  .by = BY_GRANT,
					  .port_lo = grant->port_lo,
					  .ports = grant->ports,
					  .protos = ALL_PROTOS };

		if (!history_times_touch(t, both.begin, both.end, s->epoch, s->t))
			continue;
		one.holds = history_times_hold(t, both.begin, both.end, s->epoch, s->t) &&
			    history_times_hold(t, g->begin, g->end, s->epoch, s->t);
		if (history_times_order(t, g->begin, both.begin) > 0)
			both.begin = g->begin;
		if (history_times_order(t, both.begin, g->end) >= 0 ||
		    history_times_order(t, both.begin, both.end) >= 0)
			continue;
		if (history_times_to(t, g->end, s->epoch, s->t) < history_times_to(t, both.end, s->epoch, s->t))
			both.end = g->end;
		one.begin = both.begin;
		note(s, h, both.end, one);
	}
}

/*
 * A port in no block: subscribers may have been granted it. Of each block that may have it, the last grants that had
 * begun are looked at, as far back as one may have lasted.
 */
static void consider_grants(struct search *s, const struct held *h)
{
	const struct who_facts *w = &s->w->grants;
	const struct history_grant highest = { .out = s->addr, .port_lo = (uint16_t)s->port };
	size_t end = who_facts_until(w, &highest);

	for (size_t from = who_first_grant(s), next; from < end; from = next) {
		size_t i = from;

		next = who_facts_until(w, who_facts_number(w, from) + 1);
		i += count_while(k, next - from,
				 history_times_begun(s->times, who_facts_number(w, from + k)->begin, s->epoch, s->t));
		while (i-- > from && history_times_lasts(s->times, who_facts_number(w, i)->reach, s->epoch, s->t)) {
			const struct who_fact *g = who_facts_number(w, i);

			if (who_grant_has(s, g) && history_times_lasts(s->times, g->end, s->epoch, s->t))
				consider_grant(s, h, g);
		}
	}
}

static void consider_block(struct search *s, const struct held *h, uint32_t in_addr)
{
	struct pieces *p = &s->w->pieces;
	bool holds = false;

	s->r = held_pieces(&s->w->holdings, h, in_addr, p);
	for (size_t i = 0; !s->r && i < p->n; i++) {
		struct who_holder one = {
			.in_addr = in_addr, .begin = p->piece[i].begin, .by = BY_BLOCK, .protos = ALL_PROTOS
		};

		if (!history_times_touch(s->times, p->piece[i].begin, p->piece[i].end, s->epoch, s->t))
			continue;
		one.holds = history_times_hold(s->times, p->piece[i].begin, p->piece[i].end, s->epoch, s->t);
		holds |= one.holds;
		note(s, h, p->piece[i].end, one);
	}
	if (holds || !history_times_hold(s->times, h->begin, h->end, s->epoch, s->t))
		return;
	s->covered = true;
	s->kept = h;
	s->kept_in = in_addr;
	s->kept_epoch = s->epoch;
}

static void consider(struct search *s, const struct held *h)
{
	struct geometry g;
	int64_t subscriber;

	if (!history_times_touch(s->times, h->begin, h->end, s->epoch, s->t) ||
	    plan_blocks_geometry(h->in, h->out, &h->blocks, &g))
		return;
	subscriber = subscriber_of(s, h, &g);
	if (subscriber >= 0) {
		consider_block(s, h, g.in_base + (uint32_t)subscriber);
		return;
	}
	if (history_times_hold(s->times, h->begin, h->end, s->epoch, s->t)) {
		s->covers = h;
		s->covered = true;
	}
	consider_portmaps(s, h);
	if (!h->open)
		consider_grants(s, h);
}

static void look_in(struct search *s, struct prefix out)
{
	for (size_t i = count_while(k, s->w->n_held, comes_before(s, &s->w->held[k], out)); i-- > 0 && !s->r;) {
		const struct held *h = &s->w->held[i];

		if (prefix_order(h->out, out) || !history_times_lasts(s->times, h->reach, s->epoch, s->t))
			return;
		consider(s, h);
	}
}

static void look(struct search *s)
{
	const struct history_gap *gap;

	s->known = 0;
	s->covered = false;
	for (uint64_t lengths = s->w->lengths; lengths; lengths &= lengths - 1) {
		unsigned plen = (unsigned)__builtin_ctzll(lengths);

		look_in(s, (struct prefix){ s->addr & prefix_mask(plen), (uint8_t)plen });
	}
	for (size_t i = s->w->n_held; i-- > s->w->first_range && !s->r;)
		if (prefix_holds(s->w->held[i].out, s->addr))
			consider(s, &s->w->held[i]);
	gap = s->known == ALL_PROTOS ? NULL : history_gaps_find(&s->w->gaps, s->times, s->epoch, s->t);
	/* Where lines are lost, the remaining ones show who had it, but not that no subscriber had. */
	if (gap && !s->gap && (!s->covered || gap->damage))
		s->gap = gap;
}

/* Looks into each reckoning of the clock that had the second. */
static void look_in_all(struct search *s)
{
	const struct who *w = s->w;
	const struct history_times *t = s->times;

	s->epoch = (uint32_t)count_while(k, t->n_epochs, w->latest_end[k] < s->t);
	for (; s->epoch < t->n_epochs && w->earliest_start[s->epoch] <= s->t; s->epoch++)
		if (history_times_had(t, s->epoch, s->t))
			look(s);
}

static const struct who_holder *best_of(const struct search *s)
{
	const struct who_holder *best = NULL;

	for (size_t i = 0; i < s->w->n_holders; i++) {
		const struct who_holder *h = &s->w->holder[i];

		if (h->holds && (!best || is_better(s, h, best)))
			best = h;
	}
	return best;
}

/* Whether a portmap of the endpoint belongs to an answer: of its subscriber or, for a port in no block, any. */
static bool is_told(const struct search *s, const struct who_holder *best, const struct who_fact *v)
{
	const struct history_portmap *m = (const void *)(v + 1);

	return history_times_hold(s->times, v->begin, v->end, best->epoch, s->t) &&
	       (best->by < BY_GRANT || (m->in.addr == best->in_addr && history_same_tenant(m->tenant, best->tenant)));
}

static void add_portmaps(const struct search *s, const struct who_holder *best, struct who_answer *a)
{
	const struct who_facts *w = &s->w->portmaps;

	for (unsigned i = 0; i < ARRAY_SIZE(protos); i++) {
		struct history_portmap place = portmap_place(s, protos[i]);
		struct portmap_interval *told = &a->portmap[a->n_portmaps];
		size_t k = who_facts_before(w, &place), end = who_facts_until(w, &place);

		while (k < end && !is_told(s, best, who_facts_number(w, k)))
			k++;
		if (k == end)
			continue;
		memcpy(&told->portmap, who_facts_number(w, k) + 1, sizeof(told->portmap));
		told->portmap.from =
			history_times_from(s->times, who_facts_number(w, k)->whole_begin, best->epoch, s->t);
		told->to = history_times_to(s->times, who_facts_number(w, k)->whole_end, best->epoch, s->t);
		a->n_portmaps++;
	}
}

/* The holder of a protocol according to the answer. */
static uint32_t told_of(const struct who_answer *a, uint8_t proto)
{
	for (unsigned i = 0; i < a->n_portmaps; i++)
		if (a->portmap[i].portmap.proto == proto)
			return a->portmap[i].portmap.in.addr;
	return a->best.in_addr;
}

/* Whether, for each protocol that a holder may have had, an answer and its portmaps show it. */
static bool tells_all(const struct who_answer *a, const struct who_holder *h)
{
	bool all = !strcmp(h->tenant, a->best.tenant);

	for (unsigned i = 0; i < ARRAY_SIZE(protos); i++)
		all &= !(h->protos & 1U << i) || told_of(a, protos[i]) == h->in_addr;
	return all;
}

/* The one that had held it longest, of equals the last, among those that the answer does not cover wholly. */
static const struct who_holder *other_of(const struct search *s, const struct who_answer *a, bool found)
{
	const struct who_holder *other = NULL;

	for (size_t i = 0; i < s->w->n_holders; i++) {
		struct who_holder *h = &s->w->holder[i];

		h->also = !found || !tells_all(a, h);
		if (!h->also)
			continue;
		if (!other || h->from <= other->from)
			other = h;
	}
	return other;
}

static int compare_holders(const void *pa, const void *pb, void *times)
{
	const struct who_holder *a = pa, *b = pb;

	return history_times_order(times, a->begin, b->begin);
}

enum who_result who_ask(struct who *w, struct endpoint out, int64_t t, struct who_answer *ret, struct error *why)
{
	struct search s = { .w = w, .times = &w->holdings.times, .port = out.port, .addr = out.addr, .t = t };
	struct who_answer answer = { 0 };
	const struct who_holder *best;

	w->n_holders = 0;
	look_in_all(&s);
	if (s.r) {
		*ret = answer;
		return (enum who_result)error_set(why, WHO_NO_RECORD, "out of memory");
	}
	if (w->n_holders)
		qsort_r(w->holder, w->n_holders, sizeof(*w->holder), compare_holders, (void *)(uintptr_t)s.times);
	best = s.gap || s.shared ? NULL : best_of(&s);
	if (best) {
		answer.best = *best;
		add_portmaps(&s, best, &answer);
	}
	answer.holders = w->holder;
	answer.n_holders = w->n_holders;
	answer.other = other_of(&s, &answer, best);
	*ret = answer;
	return best ? WHO_FOUND : who_explain(&s, why);
}
