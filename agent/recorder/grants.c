/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants in the history. There may be 10^5 of them, and many a second: a list of what the tables have is kept only
 * while they may differ from the history.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/array_grow.h"
#include "recorder/history_private.h"

/* The open interval of the same grant, or NULL. */
static const struct grant_interval *open_same(const struct history_grants *in, const struct history_grant *g)
{
	return history_facts_find(FACT_GRANT, &in->facts, g);
}

bool history_grants_agree(const struct history *h)
{
	return h->grants_expected || history_facts_agree(FACT_GRANT, &h->file.index.grants.facts, &h->grants.facts);
}

int history_grants_present(struct history *h, const struct history_grant *list, size_t n)
{
	int r = history_take_all(FACT_GRANT, &h->grants.facts, list, n);

	h->grants_expected = false;
	for (size_t i = 0; i < h->grants.n; i++)
		h->grants.interval[i].grant.from = TIME_NONE;
	return r;
}

void history_grants_expect(struct history *h)
{
	history_facts_free(&h->grants.facts);
	h->grants_expected = true;
}

int history_grants_copy(const struct history *h, struct history_grant **ret, size_t *ret_n)
{
	return history_facts_list(FACT_GRANT, history_grants_agree(h) ? &h->file.index.grants.facts : &h->grants.facts,
				  ret, ret_n);
}

static struct history_record ending(const struct grant_interval *v)
{
	return (struct history_record){ .event = EVENT_GRANT, .grant = v->grant, .ends = true };
}

static struct history_record beginning(const struct history_grant *g)
{
	struct history_record r = { .event = EVENT_GRANT, .grant = *g };

	r.grant.from = TIME_NONE;
	return r;
}

static struct history_by by_of(const struct history_grant *g)
{
	return history_by(g->replicated ? BY_REPLICATION : BY_GROWTH);
}

size_t history_grant_records(const struct history_grants *known, const struct history_grant_change *c,
			     struct history_record *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_end; i++) {
		const struct grant_interval *v = open_same(known, &c->end[i]);

		if (v)
			ret[n] = ending(v), ret[n++].by = by_of(&c->end[i]);
	}
	for (size_t i = 0; i < c->n_begin; i++)
		if (!open_same(known, &c->begin[i]))
			ret[n] = beginning(&c->begin[i]), ret[n++].by = by_of(&c->begin[i]);
	return n;
}

/* Whether a mapping of a record, and its blocks, leave a subscriber a block of the shared range. */
static bool has_still(const struct history_mapping *m, const struct history_grant *g)
{
	struct geometry geo;

	return !prefix_is_none(m->out) && prefix_holds(m->in, g->in) && prefix_holds(m->out, g->out) &&
	       !plan_blocks_geometry(m->in, m->out, &m->blocks, &geo) && history_grant_fits(&geo, g);
}

/* A block does not go from one tenant's subscriber to another's. */
static bool ends_and_goes_on(const struct history_record *records, size_t n, const struct history_grant *g)
{
	const struct history_mapping *ended = NULL, *m;
	bool goes_on = false;

	for (size_t i = 0; i < n && !ended; i++) {
		m = &records[i].mapping;
		if (records[i].event == EVENT_DEL && prefix_holds(m->in, g->in) && prefix_holds(m->out, g->out))
			ended = m;
	}
	for (size_t i = 0; i < n && ended && !goes_on; i++) {
		m = &records[i].mapping;
		goes_on = records[i].event == EVENT_ADD && history_same_tenant(ended->tenant, m->tenant) &&
			  has_still(m, g);
	}
	return goes_on;
}

ssize_t history_grants_again(const struct history_index *x, const struct history_record *records, size_t n,
			     struct history_record *ret)
{
	_cleanup_free_ struct history_grant *list = NULL;
	size_t n_open = 0;
	ssize_t found = 0;

	if (!n || !x->grants.n_open)
		return 0;
	if (history_facts_list(FACT_GRANT, &x->grants.facts, &list, &n_open))
		return -ENOMEM;
	for (size_t i = 0; i < n_open; i++)
		if (ends_and_goes_on(records, n, &list[i]))
			ret[found++] = beginning(&list[i]);
	return found;
}

void history_grants_date(const struct history_grants *known, const struct history_grant_change *c)
{
	for (size_t i = 0; i < c->n_begin; i++) {
		const struct grant_interval *v = open_same(known, &c->begin[i]);

		c->begin[i].from = v ? v->grant.from : TIME_NONE;
	}
}

static bool is_late(const struct history_index *x, const struct grant_interval *v)
{
	return !v->undone && (v->line > x->settled || v->end_line > x->settled);
}

size_t history_grants_late(const struct history *h, const struct history_ends *ends)
{
	const struct history_index *x = &h->file.index;
	size_t n = 0;

	/* An end that is taken back brings grants that the same change has said again. */
	if (h->grants_expected || (!ends->n && history_grants_agree(h)))
		return 0;
	for (size_t i = 0; i < x->grants.n; i++)
		n += is_late(x, &x->grants.interval[i]);
	return n;
}

static int by_line(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int history_ends_list(const struct history_index *x, struct history_ends *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n_intervals; i++)
		n += x->intervals[i].to != TIME_OPEN && x->intervals[i].end_line > x->settled;
	*ret = (struct history_ends){ .line = calloc(n + 1, sizeof(*ret->line)) };
	if (!ret->line)
		return -ENOMEM;
	for (size_t i = 0; i < x->n_intervals; i++)
		if (x->intervals[i].to != TIME_OPEN && x->intervals[i].end_line > x->settled)
			ret->line[ret->n++] = x->intervals[i].end_line;
	if (ret->n)
		qsort(ret->line, ret->n, sizeof(*ret->line), by_line);
	return 0;
}

bool history_ends_has(const struct history_ends *e, uint64_t line)
{
	return e->n && bsearch(&line, e->line, e->n, sizeof(*e->line), by_line);
}

struct undoing {
	const struct history *h;
	const struct history_ends *ends;
	const struct history_record *undone;
	size_t n_undone;
};

/* Whether the end of a grant, by that of its mapping, is taken back. */
static bool comes_back(const struct undoing *u, const struct grant_interval *v)
{
	for (size_t i = 0; i < u->n_undone; i++)
		if (v->to != TIME_OPEN && u->undone[i].first == v->end_line)
			return true;
	return false;
}

/* The line to take back so that the last interval of a grant, after `before`, matches the tables; 0: none. */
static uint64_t wrong_line(const struct undoing *u, const struct grant_interval *v, const struct grant_interval *before)
{
	bool present = open_same(&u->h->grants, &v->grant);

	if (v->to == TIME_OPEN)
		return present && !(before && comes_back(u, before)) ? 0 : v->line;
	return present && !history_ends_has(u->ends, v->end_line) ? v->end_line : 0;
}

/* By block and subscriber; of the same ones, the last to begin comes first. */
static int by_grant(const void *a, const void *b)
{
	const struct grant_interval *x = *(const struct grant_interval *const *)a;
	const struct grant_interval *y = *(const struct grant_interval *const *)b;

	if (x->grant.out != y->grant.out)
		return x->grant.out < y->grant.out ? -1 : 1;
	if (x->grant.port_lo != y->grant.port_lo || x->grant.ports != y->grant.ports)
		return x->grant.port_lo != y->grant.port_lo ? x->grant.port_lo - y->grant.port_lo
							    : x->grant.ports - y->grant.ports;
	if (x->grant.in != y->grant.in)
		return x->grant.in < y->grant.in ? -1 : 1;
	return x->line != y->line ? (x->line < y->line ? 1 : -1) : 0;
}

size_t history_grants_wrong(const struct history *h, const struct history_ends *ends,
			    const struct history_record *undone, size_t n_undone, size_t room,
			    struct history_record *ret)
{
	const struct history_index *x = &h->file.index;
	const struct undoing u = { h, ends, undone, n_undone };
	_cleanup_free_ const struct grant_interval **late = calloc(room + 1, sizeof(const struct grant_interval *));
	size_t n_late = 0, n = 0;

	/* Without memory, their end is recorded instead. */
	if (!late)
		return 0;
	for (size_t i = 0; i < x->grants.n && n_late < room; i++)
		if (is_late(x, &x->grants.interval[i]))
			late[n_late++] = &x->grants.interval[i];
	if (n_late)
		qsort(late, n_late, sizeof(const struct grant_interval *), by_grant);
	for (size_t i = 0; i < n_late; i++) {
		bool again = i && history_grant_same(&late[i - 1]->grant, &late[i]->grant);
		bool before = i + 1 < n_late && history_grant_same(&late[i]->grant, &late[i + 1]->grant);
		uint64_t line = again ? 0 : wrong_line(&u, late[i], before ? late[i + 1] : NULL);

		if (line > x->settled)
			ret[n++] = (struct history_record){ .event = EVENT_UNDO, .first = line, .last = line };
	}
	return history_undo_once(ret, n);
}

int history_grants_align(struct history *h, struct error *err)
{
	const struct history_grants *known = &h->file.index.grants;
	_cleanup_free_ struct history_record *records = NULL;
	size_t n = 0;

	if (history_grants_agree(h))
		return 0;
	records = calloc((size_t)known->n_open + h->grants.n_open + 1, sizeof(*records));
	if (!records)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < known->n; i++) {
		const struct grant_interval *v = &known->interval[i];

		if (v->to == TIME_OPEN && !open_same(&h->grants, &v->grant))
			records[n++] = ending(v);
	}
	for (size_t i = 0; i < h->grants.n; i++) {
		const struct grant_interval *v = &h->grants.interval[i];

		if (v->to == TIME_OPEN && !open_same(known, &v->grant))
			records[n++] = beginning(&v->grant);
	}
	return n ? history_append(h, records, n, err) : 0;
}

int history_rested_grants(const struct history *h, int64_t seconds, struct history_grant **ret, size_t *ret_n)
{
	const struct history_grants *known = &h->file.index.grants;
	int64_t now = history_now();
	struct history_grant *list = NULL;
	size_t n = 0, room = 0;

	for (size_t i = 0; !h->taken_over && i < known->n; i++) {
		const struct grant_interval *v = &known->interval[i];
		int64_t ended = v->to == TIME_OPEN ? now : v->to;

		if (v->undone || ended < now - seconds)
			continue;
		if (array_grow(&list, n, &room, sizeof(*list))) {
			free(list);
			return -ENOMEM;
		}
		list[n] = v->grant;
		list[n++].from = ended;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}
