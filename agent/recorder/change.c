/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of mappings: recorded before they take effect, confirmed after, and undone if they fail. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "recorder/history_private.h"

int history_confirm(struct history *h, int64_t steady_ns, struct error *err)
{
	h->effect_ns = steady_ns;
	return h->owes_start || h->owes_undo ? 0 : history_write_confirm(h, err);
}

/* Expects the tables to match the history. */
static void expect_open(struct history *h)
{
	struct history_mapping *list = calloc(h->file.index.n_open + 1, sizeof(*list));

	if (!list) {
		log_error("mapping history: out of memory");
		return;
	}
	h->n_present = history_list_open(&h->file.index, list);
	free(h->present);
	h->present = list;
}

/* Writes a list of the mappings if one has been renamed, or has got a tenant. */
static int record_names(struct history *h, const struct history_mapping *add, size_t n, struct error *err)
{
	bool changed = false;

	for (size_t i = 0; i < n; i++) {
		struct history_interval *v = history_index_find_open(&h->file.index, &add[i]);
		bool tenant = v && *add[i].tenant && !*v->tenant;

		if (!v || (!strcmp(v->name, add[i].name) && !tenant))
			continue;
		memcpy(v->name, add[i].name, sizeof(v->name));
		if (tenant)
			memcpy(v->tenant, add[i].tenant, sizeof(v->tenant));
		changed = true;
	}
	return changed ? history_write_list(h, EVENT_DAILY, TIME_NONE, &h->by, err) : 0;
}

/*
 * The open interval of a mapping that stays, but for its tenant; NULL: none. Without outside addresses, both tenants
 * may have one.
 */
static const struct history_interval *of_another_tenant(const struct history_index *x, const struct history_mapping *m)
{
	struct history_mapping any = *m;

	*any.tenant = '\0';
	if (prefix_is_none(m->out))
		return NULL;
	return history_index_find_open(x, m) ? NULL : history_index_find_open(x, &any);
}

int history_change(struct history *h, const struct history_mapping *del, size_t n_del,
		   const struct history_mapping *add, size_t n_add, const struct history_portmap_change *portmaps,
		   const struct history_drain_change *drains, struct error *err)
{
	const struct history_index *x = &h->file.index;
	const struct history_drain_change none = { 0 };

	drains = drains ? drains : &none;

	const size_t room = n_del + 2 * n_add + portmaps->n_del + portmaps->n_add + drains->n_end + drains->n_begin +
			    x->grants.n_open + 1;
	ssize_t again;
	_cleanup_free_ struct history_record *records = calloc(room, sizeof(*records));
	size_t n = 0;
	int r = records ? history_settle(h, err) : error_set(err, -ENOMEM, "out of memory");

	/* Before the changes, which a later list would make final. */
	if (!r)
		r = record_names(h, add, n_add, err);
	if (r)
		return r;
	for (size_t i = 0; i < n_del; i++) {
		const struct history_interval *v = history_index_find_open(x, &del[i]);

		if (!v || history_list_has(add, n_add, &del[i]))
			continue;
		records[n].event = EVENT_DEL;
		records[n++].mapping = history_mapping_of(v);
	}
	for (size_t i = 0; i < n_add; i++) {
		const struct history_interval *v = of_another_tenant(x, &add[i]);
		struct history_mapping former = v ? history_mapping_of(v) : (struct history_mapping){ 0 };

		if (!v || history_list_has(del, n_del, &former))
			continue;
		records[n].event = EVENT_DEL;
		records[n++].mapping = former;
	}
	for (size_t i = 0; i < n_add; i++) {
		if (history_index_find_open(x, &add[i]))
			continue;
		records[n].event = EVENT_ADD;
		records[n].mapping = add[i];
		records[n++].mapping.from = TIME_NONE;
	}
	/* The end of a mapping is that of its grants: those that go on are said again. */
	again = history_grants_again(x, records, n, &records[n]);
	if (again < 0)
		return error_set(err, -ENOMEM, "out of memory");
	n += (size_t)again;
	n += history_drain_records(h, drains, &records[n]);
	n += history_portmap_records(h, portmaps, &records[n]);
	r = n ? history_append(h, records, n, err) : 0;
	if (!r) {
		expect_open(h);
		history_portmaps_expect(h);
		history_drains_expect(h);
		history_grants_expect(h);
	}
	return r;
}

int history_grants(struct history *h, const struct history_grant_change *c, struct error *err)
{
	_cleanup_free_ struct history_record *records = calloc(c->n_end + c->n_begin + 1, sizeof(*records));
	size_t n;
	int r = records ? history_settle(h, err) : error_set(err, -ENOMEM, "out of memory");

	if (r)
		return r;
	n = history_grant_records(&h->file.index.grants, c, records);
	r = n ? history_append(h, records, n, err) : 0;
	if (r)
		return r;
	history_grants_date(&h->file.index.grants, c);
	history_grants_expect(h);
	return 0;
}

int history_reconcile(struct history *h, const struct history_mapping *present, size_t n, int64_t steady_ns,
		      struct error *err)
{
	h->effect_ns = steady_ns;
	if (history_keep_present(h, present, n))
		return error_set(err, -ENOMEM, "mapping history: no memory to undo a change");
	h->owes_undo = true;
	return history_settle(h, err);
}

/* Sets the time since when the mappings have been in the tables. */
static void date_present(struct history *h, int64_t time)
{
	for (size_t i = 0; i < h->n_present; i++)
		h->present[i].from = time;
	for (size_t i = 0; i < h->portmaps.n; i++)
		h->portmaps.interval[i].from = time;
	for (size_t i = 0; i < h->n_drains; i++)
		h->drains[i].from = time;
	for (size_t i = 0; i < h->grants.n; i++)
		h->grants.interval[i].grant.from = time;
}

/* Whether the history has the same mappings, since that time. */
static bool knows_present(const struct history *h, int64_t time)
{
	const struct history_index *x = &h->file.index;
	bool since = history_agrees(h) && history_drains_agree(h);

	for (size_t i = 0; since && i < x->n_open; i++)
		since = x->intervals[x->open[i]].from <= time;
	for (size_t i = 0; since && i < x->portmaps.n; i++)
		since = x->portmaps.interval[i].to != TIME_OPEN || x->portmaps.interval[i].from <= time;
	for (size_t i = 0; since && i < x->grants.n; i++)
		since = x->grants.interval[i].to != TIME_OPEN || x->grants.interval[i].grant.from <= time;
	return since;
}

int history_assume(struct history *h, const struct history_mapping *present, size_t n, int64_t time, struct error *err)
{
	int r = 0;

	if (history_keep_present(h, present, n))
		return error_set(err, -ENOMEM, "mapping history: out of memory");
	date_present(h, time);
	/* The list of a start contains them, unless it was written meanwhile. */
	if (!h->owes_start && !knows_present(h, time)) {
		h->owes_start = h->was_early = true;
		r = history_settle(h, err);
	}
	if (h->owes_start)
		history_mark_unrecorded(h);
	return r;
}
