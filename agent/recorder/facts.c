/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tables have, beside what the history says: one list of facts of each kind. There may be 10^5 grants, and
 * many a second: a list is kept only while it may differ from the history.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "recorder/history_private.h"

int history_take_all(enum fact_kind kind, struct history_facts *f, const void *list, size_t n)
{
	const char *fact = list;
	int r = 0;

	history_facts_free(f);
	for (; n && !r; n--, fact += fact_rows[kind].size)
		r = history_facts_take(kind, f, fact, false, 0, (struct history_at){ 0 });
	return r;
}

int history_present(struct history *h, enum fact_kind kind, const void *list, size_t n)
{
	int r = history_take_all(kind, &h->present[kind], list, n);

	h->expected[kind] = false;
	history_date_present(h, kind, TIME_NONE);
	return r;
}

void history_date_present(struct history *h, enum fact_kind kind, int64_t time)
{
	for (size_t i = 0; i < h->present[kind].n; i++)
		*history_fact_from(kind, history_fact_of(history_facts_number(kind, &h->present[kind], i))) = time;
}

void history_expect(struct history *h)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		history_facts_free(&h->present[k]);
		h->expected[k] = true;
	}
}

static bool agrees_on(const struct history *h, enum fact_kind kind)
{
	return h->expected[kind] || history_facts_agree(kind, &h->file.index.facts[kind], &h->present[kind]);
}

bool history_agrees(const struct history *h)
{
	bool agrees = !h->file.index.lost;

	for (enum fact_kind k = 0; k < FACT_KINDS && agrees; k++)
		agrees = agrees_on(h, k);
	return agrees;
}

int history_list_known(const struct history *h, enum fact_kind kind, bool dated, void *ret, size_t *ret_n)
{
	bool known = h->expected[kind] || (dated && agrees_on(h, kind));

	return history_facts_list(kind, known ? &h->file.index.facts[kind] : &h->present[kind], ret, ret_n);
}

struct history_record history_ending(enum fact_kind kind, const void *fact)
{
	struct history_record r = { .event = fact_rows[kind].ends, .ends = true };

	memcpy(&r.mapping, fact, fact_rows[kind].size);
	return r;
}

struct history_record history_beginning(enum fact_kind kind, const void *fact)
{
	struct history_record r = { .event = fact_rows[kind].begins };

	memcpy(&r.mapping, fact, fact_rows[kind].size);
	*history_fact_from(kind, &r.mapping) = TIME_NONE;
	return r;
}

/* An interval of the last change, which may have to be taken back. */
struct late {
	const struct history_span *v;
	uint64_t hash;
};

/* The lines to take back. */
struct undoing {
	uint64_t *line;
	size_t n, room;
};

static bool has_line(const struct undoing *u, uint64_t line)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->line[i] == line)
			return true;
	return false;
}

/* By place; of one place, the last to begin comes first. */
static int by_place(const void *pa, const void *pb)
{
	const struct late *a = pa, *b = pb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->v->line != b->v->line ? (a->v->line < b->v->line ? 1 : -1) : 0;
}

static int list_late(const struct history_index *x, enum fact_kind kind, struct late **ret, size_t *ret_n)
{
	const struct history_facts *f = &x->facts[kind];
	size_t room = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct history_span *v = history_facts_number(kind, f, i);

		if (v->undone || (v->line <= x->settled && v->end_line <= x->settled))
			continue;
		if (array_grow(ret, *ret_n, &room, sizeof(**ret)))
			return -ENOMEM;
		(*ret)[(*ret_n)++] = (struct late){ v, history_fact_hash(kind, history_fact_of(v)) };
	}
	if (*ret_n)
		qsort(*ret, *ret_n, sizeof(**ret), by_place);
	return 0;
}

static bool is_same(enum fact_kind kind, const struct late *a, const struct late *b)
{
	return a->hash == b->hash && history_facts_same(kind, history_fact_of(a->v), history_fact_of(b->v));
}

/* Whether a fact has a later interval than this one. */
static bool goes_on(enum fact_kind kind, const struct late *late, size_t i)
{
	for (size_t k = i; k-- > 0 && late[k].hash == late[i].hash;)
		if (is_same(kind, &late[k], &late[i]))
			return true;
	return false;
}

/* Whether an earlier interval ended with its mapping, whose end is taken back: that brings it back as well. */
static bool comes_back(const struct undoing *u, enum fact_kind kind, const struct late *late, size_t n, size_t i)
{
	for (size_t k = i + 1; k < n && late[k].hash == late[i].hash; k++)
		if (is_same(kind, &late[k], &late[i]))
			return late[k].v->carried && has_line(u, late[k].v->end_line);
	return false;
}

/* The line to take back so that the last interval of a fact matches the tables; 0: none. */
static uint64_t wrong_line(const struct history *h, const struct undoing *u, enum fact_kind kind,
			   const struct late *late, size_t n, size_t i)
{
	const struct history_span *v = late[i].v;
	const void *fact = history_fact_of(v);
	bool present = history_facts_find(kind, &h->present[kind], fact);

	if (v->to == TIME_OPEN)
		return present && !comes_back(u, kind, late, n, i) ? 0 : v->line;
	/* The end of a mapping, which ends others, is taken back only as that. */
	if (!present || v->carried || history_facts_find(kind, &h->file.index.facts[kind], fact))
		return 0;
	return v->end_line;
}

/* Only the last change of a fact counts. */
static int list_wrong(const struct history *h, enum fact_kind kind, struct undoing *u)
{
	_cleanup_free_ struct late *late = NULL;
	size_t n = 0;
	int r = h->expected[kind] ? 0 : list_late(&h->file.index, kind, &late, &n);

	for (size_t i = 0; i < n && !r; i++) {
		uint64_t line = goes_on(kind, late, i) ? 0 : wrong_line(h, u, kind, late, n, i);

		if (line <= h->file.index.settled)
			continue;
		r = array_grow(&u->line, u->n, &u->room, sizeof(*u->line));
		if (!r)
			u->line[u->n++] = line;
	}
	return r;
}

static int latest_first(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? 1 : -(*x > *y);
}

/* Lines may depend on each other: the last one comes first. One line may have ended many. */
int history_undo(struct history *h, struct error *err)
{
	struct undoing u = { 0 };
	_cleanup_free_ struct history_record *records = NULL;
	size_t n = 0;
	int r = 0;

	for (enum fact_kind k = 0; k < FACT_KINDS && !r; k++)
		r = list_wrong(h, k, &u);
	records = calloc(u.n + 1, sizeof(*records));
	if (u.n)
		qsort(u.line, u.n, sizeof(*u.line), latest_first);
	for (size_t i = 0; records && i < u.n; i++)
		if (!i || u.line[i - 1] != u.line[i])
			records[n++] =
				(struct history_record){ .event = EVENT_UNDO, .first = u.line[i], .last = u.line[i] };
	free(u.line);
	if (r || !records)
		return error_set(err, -ENOMEM, "out of memory");
	return n ? history_append(h, records, n, err) : 0;
}

/* Adds a record for each fact that is open in one list and not in the other. */
static int add_missing(enum fact_kind kind, const struct history_facts *f, const struct history_facts *in, bool ends,
		       struct history_record *ret, size_t *n)
{
	_cleanup_free_ char *list = NULL;
	struct history_facts more = { 0 };
	size_t n_more = 0;
	int r = 0;

	for (size_t i = 0; i < f->n && !r; i++) {
		const struct history_span *v = history_facts_number(kind, f, i);

		if (v->to != TIME_OPEN || history_facts_find(kind, in, history_fact_of(v)))
			continue;
		r = history_facts_take(kind, &more, history_fact_of(v), false, 0, (struct history_at){ 0 });
	}
	if (!r)
		r = history_facts_list(kind, &more, &list, &n_more);
	for (size_t i = 0; i < n_more && !r; i++) {
		const void *fact = list + i * fact_rows[kind].size;

		ret[*n] = ends ? history_ending(kind, fact) : history_beginning(kind, fact);
		ret[(*n)++].by = history_by(BY_TABLES);
	}
	history_facts_free(&more);
	return r;
}

int history_align(struct history *h, enum fact_kind kind, struct error *err)
{
	const struct history_facts *known = &h->file.index.facts[kind], *present = &h->present[kind];
	_cleanup_free_ struct history_record *records = NULL;
	size_t n = 0;

	if (agrees_on(h, kind))
		return 0;
	records = calloc(known->n_open + present->n_open + 1, sizeof(*records));
	if (!records || add_missing(kind, known, present, true, records, &n) ||
	    add_missing(kind, present, known, false, records, &n))
		return error_set(err, -ENOMEM, "out of memory");
	return n ? history_append(h, records, n, err) : 0;
}

bool history_list_has(enum fact_kind kind, const struct fact_list *list, size_t n, const void *fact)
{
	for (size_t i = 0; i < n; i++)
		if (history_facts_same(kind, history_fact_at(kind, list, i), fact))
			return true;
	return false;
}

/* ---- `check` names the first difference */

enum side { NOT_RECORDED, NOT_IN_TABLES };

/* Says what a fact is, with its members in the place of their keys. */
static void describe(enum fact_kind kind, const void *fact, struct error *ret)
{
	char key[16], room[INSIDE_TEXT];
	int used;

	ret->text[0] = '\0';
	for (const char *form = history_kinds[kind].text; *form; form += used) {
		size_t n = strlen(ret->text);
		const char *text = room;

		used = snprintf(room, sizeof(room), "%c", *form);
		if (sscanf(form, "<%15[a-z_]>%n", key, &used) == 1)
			text = history_fact_text(kind, fact, key, room);
		snprintf(ret->text + n, sizeof(ret->text) - n, "%s", *text ? text : "none");
	}
}

/* why may be NULL. */
static bool differs(struct error *why, enum side side, enum fact_kind kind, const void *fact)
{
	struct error text;

	describe(kind, fact, &text);
	error_set(why, 0, "%s is in the %s", text.text,
		  side == NOT_RECORDED ? "tables, and not in the history" : "history, and not in the tables");
	return false;
}

/* Whether the history cannot be compared: it is not open, or one of its records has yet to be written. */
static bool is_silent(const struct history *h)
{
	return !h->opened || h->owes_start || h->owes_undo;
}

bool history_holds(const struct history *h, enum fact_kind kind, const void *present, size_t n, struct error *why)
{
	const struct history_facts *known = &h->file.index.facts[kind];
	struct history_facts there = { 0 };
	const void *more = NULL, *less = NULL;

	if (is_silent(h))
		return true;
	if (!history_take_all(kind, &there, present, n)) {
		more = history_facts_missing(kind, &there, known);
		less = more ? NULL : history_facts_missing(kind, known, &there);
	}
	if (more || less)
		differs(why, more ? NOT_RECORDED : NOT_IN_TABLES, kind, more ? more : less);
	history_facts_free(&there);
	return !more && !less;
}

bool history_holds_change(const struct history *h, const struct history_change *c, struct error *why)
{
	bool holds = true, silent = is_silent(h);

	for (enum fact_kind k = 0; k < FACT_KINDS && !silent && holds; k++) {
		const struct history_facts *known = &h->file.index.facts[k];
		const struct fact_list *made = &c->add[k], *ended = &c->del[k];

		for (size_t i = 0; i < made->n && holds; i++)
			holds = history_facts_find(k, known, history_fact_at(k, made, i)) ||
				differs(why, NOT_RECORDED, k, history_fact_at(k, made, i));
		for (size_t i = 0; i < ended->n && holds; i++)
			holds = !history_facts_at(k, known, history_fact_at(k, ended, i)) ||
				history_list_has(k, made, made->n, history_fact_at(k, ended, i)) ||
				differs(why, NOT_IN_TABLES, k, history_fact_at(k, ended, i));
	}
	return holds;
}

int history_rested(const struct history *h, int64_t seconds, struct history_rest **ret, size_t *ret_n)
{
	int64_t now = history_now();

	return history_rests(&h->file.index, now - seconds, h->taken_over ? TIME_NONE : now, ret, ret_n);
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

		if (v->undone || ended < now - seconds || history_grant_unknown(&v->grant))
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
