/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of mappings: recorded before they take effect, confirmed after, and undone if they fail. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "recorder/history_private.h"

int history_confirm(struct history *h, int64_t steady_ns, struct error *err)
{
	h->effect_ns = steady_ns;
	return h->owes_start || h->owes_undo ? 0 : history_write_confirm(h, err);
}

/* Writes a list of the mappings if one has been renamed, or has got a tenant. */
static int record_names(struct history *h, const struct history_change *c, struct error *err)
{
	const struct history_mapping *add = c->add[FACT_MAPPING].of;
	bool changed = false;

	for (size_t i = 0; i < c->add[FACT_MAPPING].n; i++) {
		struct history_interval *v = history_facts_find(FACT_MAPPING, &h->file.index.mappings.facts, &add[i]);
		bool tenant = v && *add[i].tenant && !*v->mapping.tenant;

		if (!v || (!strcmp(v->mapping.name, add[i].name) && !tenant))
			continue;
		memcpy(v->mapping.name, add[i].name, sizeof(add[i].name));
		if (tenant)
			memcpy(v->mapping.tenant, add[i].tenant, sizeof(add[i].tenant));
		changed = true;
	}
	return changed ? history_write_list(h, EVENT_DAILY, TIME_NONE, &c->by, err) : 0;
}

/*
 * The open interval of a mapping that stays, but for its tenant; NULL: none. Without outside addresses, both tenants
 * may have one.
 */
static const struct history_interval *of_another_tenant(const struct history_index *x, const struct history_mapping *m)
{
	struct history_mapping any = *m;

	*any.tenant = '\0';
	if (prefix_is_none(m->out) || history_facts_find(FACT_MAPPING, &x->mappings.facts, m))
		return NULL;
	return history_facts_find(FACT_MAPPING, &x->mappings.facts, &any);
}

/* Mappings in both lists of a change continue. */
static size_t mapping_records(const struct history_index *x, const struct history_change *c, struct history_record *ret)
{
	const struct fact_list *del = &c->del[FACT_MAPPING], *add = &c->add[FACT_MAPPING];
	const struct history_facts *known = &x->mappings.facts;
	const struct history_interval *v;
	size_t n = 0;

	for (size_t i = 0; i < del->n; i++) {
		v = history_facts_find(FACT_MAPPING, known, history_fact_at(FACT_MAPPING, del, i));
		if (v && !history_list_has(FACT_MAPPING, add, add->n, history_fact_at(FACT_MAPPING, del, i)))
			ret[n++] = history_ending(FACT_MAPPING, &v->mapping);
	}
	for (size_t i = 0; i < add->n; i++) {
		v = of_another_tenant(x, history_fact_at(FACT_MAPPING, add, i));
		if (v && !history_list_has(FACT_MAPPING, del, del->n, &v->mapping))
			ret[n++] = history_ending(FACT_MAPPING, &v->mapping);
	}
	for (size_t i = 0; i < add->n; i++)
		if (!history_facts_find(FACT_MAPPING, known, history_fact_at(FACT_MAPPING, add, i)))
			ret[n++] = history_beginning(FACT_MAPPING, history_fact_at(FACT_MAPPING, add, i));
	return n;
}

/* Records of another kind, of what is not so already. Of facts with parts, some may be so. */
static size_t fact_records(const struct history_index *x, enum fact_kind kind, const struct history_change *c,
			   struct history_record *ret)
{
	const struct fact_list *del = &c->del[kind], *add = &c->add[kind];
	bool parts = fact_rows[kind].part;
	size_t n = 0;

	for (size_t i = 0; i < del->n; i++) {
		const void *v = history_facts_find(kind, &x->facts[kind], history_fact_at(kind, del, i));

		if (!v && !parts)
			continue;
		ret[n] = history_ending(kind, v && !parts ? history_fact_of(v) : history_fact_at(kind, del, i));
		*history_fact_from(kind, &ret[n].mapping) =
			v ? *history_fact_from(kind, history_fact_of(v)) : TIME_NONE;
		ret[n++].by = history_kinds[kind].by ? history_kinds[kind].by(history_fact_at(kind, del, i)) : c->by;
	}
	for (size_t i = 0; i < add->n; i++) {
		if (!parts && (history_facts_find(kind, &x->facts[kind], history_fact_at(kind, add, i)) ||
			       history_list_has(kind, add, i, history_fact_at(kind, add, i))))
			continue;
		ret[n] = history_beginning(kind, history_fact_at(kind, add, i));
		ret[n++].by = history_kinds[kind].by ? history_kinds[kind].by(history_fact_at(kind, add, i)) : c->by;
	}
	return n;
}

/* Whether a mapping of a record, and its blocks, leave a subscriber a block of the shared range. */
static bool has_still(const struct history_mapping *m, const struct history_grant *g)
{
	struct geometry geo;

	return !prefix_is_none(m->out) && fact_rows[FACT_GRANT].within(g, m) &&
	       !plan_blocks_geometry(m->in, m->out, &m->blocks, &geo) && history_grant_fits(&geo, g);
}

/* A block does not go from one tenant's subscriber to another's. */
static bool ends_and_goes_on(const struct history_record *records, size_t n, const struct history_grant *g)
{
	const struct history_mapping *ended = NULL, *m;
	bool goes_on = false;

	for (size_t i = 0; i < n && !ended; i++) {
		m = &records[i].mapping;
		if (records[i].event == EVENT_DEL && fact_rows[FACT_GRANT].within(g, m))
			ended = m;
	}
	for (size_t i = 0; i < n && ended && !goes_on; i++) {
		m = &records[i].mapping;
		goes_on = records[i].event == EVENT_ADD && history_same_tenant(ended->tenant, m->tenant) &&
			  has_still(m, g);
	}
	return goes_on;
}

/*
 * The end of a mapping is that of its grants. Those that a mapping which is added has again are said again: a block of
 * the shared range stays its subscriber's where only the blocks below or above it change. 0 or -ENOMEM.
 */
static int grants_again(const struct history_index *x, struct history_record *records, size_t *n)
{
	_cleanup_free_ struct history_grant *list = NULL;
	size_t n_open = 0, n_mappings = *n;

	if (!n_mappings || !x->grants.n_open)
		return 0;
	if (history_facts_list(FACT_GRANT, &x->grants.facts, &list, &n_open))
		return -ENOMEM;
	for (size_t i = 0; i < n_open; i++)
		if (ends_and_goes_on(records, n_mappings, &list[i]))
			records[(*n)++] = history_beginning(FACT_GRANT, &list[i]);
	return 0;
}

/* 0 or -ENOMEM. */
static int list_records(const struct history_index *x, const struct history_change *c, struct history_record *records,
			size_t *n)
{
	*n = mapping_records(x, c, records);
	if (grants_again(x, records, n))
		return -ENOMEM;
	for (size_t i = 0; i < *n; i++)
		records[i].by = c->by;
	for (enum fact_kind k = FACT_KINDS; --k > FACT_MAPPING;)
		*n += fact_records(x, k, c, &records[*n]);
	return 0;
}

/* Sets when those that begin have begun. */
static void date(const struct history_index *x, const struct history_change *c)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		for (size_t i = 0; i < c->add[k].n; i++) {
			void *fact = history_fact_at(k, &c->add[k], i);
			const void *v = history_facts_find(k, &x->facts[k], fact);

			if (v && history_kinds[k].dated)
				*history_fact_from(k, fact) = *history_fact_from(k, history_fact_of(v));
		}
	}
}

int history_change(struct history *h, const struct history_change *c, struct error *err)
{
	const struct history_index *x = &h->file.index;
	_cleanup_free_ struct history_record *records = NULL;
	size_t room = 1, n = 0;
	int r = history_settle(h, err);

	/* Before the changes, which a later list would make final. */
	if (!r)
		r = record_names(h, c, err);
	if (r)
		return r;
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		room += c->del[k].n + 2 * c->add[k].n;
	records = calloc(room + x->grants.n_open, sizeof(*records));
	if (!records || list_records(x, c, records, &n))
		return error_set(err, -ENOMEM, "out of memory");
	r = n ? history_append(h, records, n, err) : 0;
	if (r)
		return r;
	date(x, c);
	history_expect(h);
	return 0;
}

void history_change_free(struct history_change *c)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		free(c->del[k].of);
		free(c->add[k].of);
	}
	*c = (struct history_change){ 0 };
}

int history_reconcile(struct history *h, const struct history_mapping *present, size_t n, int64_t steady_ns,
		      struct error *err)
{
	h->effect_ns = steady_ns;
	if (history_present(h, FACT_MAPPING, present, n))
		return error_set(err, -ENOMEM, "mapping history: no memory to undo a change");
	h->owes_undo = true;
	return history_settle(h, err);
}

/* Whether the history has the same facts, since that time. */
static bool knows_present(const struct history *h, int64_t time)
{
	bool since = history_agrees(h);

	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		const struct history_facts *f = &h->file.index.facts[k];

		for (size_t i = 0; since && i < f->n_open; i++)
			since = *history_fact_from(k, history_fact_of(history_facts_number(k, f, f->open[i]))) <= time;
	}
	return since;
}

int history_assume(struct history *h, const struct history_mapping *present, size_t n, int64_t time, struct error *err)
{
	int r = 0;

	if (history_present(h, FACT_MAPPING, present, n))
		return error_set(err, -ENOMEM, "mapping history: out of memory");
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		history_date_present(h, k, time);
	/* The list of a start contains them, unless it was written meanwhile. */
	if (!h->owes_start && !knows_present(h, time)) {
		h->owes_start = h->was_early = true;
		r = history_settle(h, err);
	}
	if (h->owes_start)
		history_mark_unrecorded(h);
	return r;
}
