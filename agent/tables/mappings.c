/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings in use: looked up, iterated, changed in place, deleted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tables/mapping_bindings.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_hosts.h"
#include "tables/mapping_limits.h"

/* Whether one that has come, or gone, leaves one of the largest what it is. */
static bool stays_largest(const struct mapping_job *largest, const struct mapping_job *t, bool came)
{
	return came ? largest && t->n_subscribers < largest->n_subscribers : t != largest;
}

static void order_changed(struct mappings *m, const struct mapping_job *t, bool came)
{
	m->n_runs = inside_runs(m->order, m->n_live, m->run);
	for (unsigned i = 0; i < ARRAY_SIZE(m->largest); i++)
		m->knows_largest &= stays_largest(m->largest[i], t, came);
	mappings_choose_hints(m);
}

void mappings_enter(struct mappings *m, struct mapping_job *t, int number)
{
	m->table[number] = t;
	t->number = number;
	t->sweep_due = t->n_buckets ? calloc(t->n_subscribers, sizeof(*t->sweep_due)) : NULL;
	t->openings = t->n_buckets ? calloc(t->n_subscribers, sizeof(*t->openings)) : NULL;
}

void mappings_set_live(struct mappings *m, struct mapping_job *t, int number)
{
	mappings_enter(m, t, number);
	mappings_note_live(m, t);
}

void mappings_note_live(struct mappings *m, struct mapping_job *t)
{
	struct inside_range range = inside_range_of(t->record.tenant, geometry_in(&t->record.geo), (unsigned)t->number);
	unsigned at = m->n_live++;

	/* In its place, so that there is nothing to sort. */
	for (; at && m->order[at - 1].first > range.first; at--)
		m->order[at] = m->order[at - 1];
	m->order[at] = range;
	mapping_job_set_stage(t, TABLE_LIVE);
	order_changed(m, t, true);
}

uint32_t *mappings_sweep_due(const struct mappings *m, int number)
{
	return m->table[number]->sweep_due;
}

uint32_t *mappings_openings(const struct mappings *m, int number)
{
	return m->table[number]->openings;
}

void mapping_job_free(struct mapping_job *t)
{
	binding_preparation_end(t);
	free(t->sweep_due);
	free(t->openings);
	free(t);
}

void mappings_unset_live(struct mappings *m, struct mapping_job *t)
{
	unsigned at = 0;
	int number;

	while (m->order[at].number != t->number)
		at++;
	m->n_live--;
	memmove(&m->order[at], &m->order[at + 1], (m->n_live - at) * sizeof(m->order[at]));
	order_changed(m, t, false);
	/* Its replacement may have the same prefix. */
	number = mappings_find_of(m, t->record.tenant, geometry_in(&t->record.geo), PREFIX_NONE);
	if (number < 0 || mappings_get(m, number)->tenant != t->record.tenant)
		mappings_hide_untranslated(m, &t->record);
}

static struct mapping_job *live(const struct mappings *m, int number)
{
	if (number < 0 || (unsigned)number >= MAX_MAPPINGS || !m->table[number] ||
	    m->table[number]->stage != TABLE_LIVE)
		return NULL;
	return m->table[number];
}

int mappings_find_any(const struct mappings *m, uint32_t in_addr)
{
	return prefix_index_find(&m->in, in_addr);
}

int mappings_find_inside(const struct mappings *m, uint8_t tenant, uint32_t in_addr)
{
	return tenant ? prefix_index_find_inside(&m->in, tenant, in_addr) : mappings_find_any(m, in_addr);
}

int mappings_find_outside(const struct mappings *m, uint32_t out_addr)
{
	return prefix_index_find(&m->out, out_addr);
}

uint8_t mappings_outside_tenant(const struct mappings *m, uint32_t out_addr)
{
	int number = mappings_find_outside(m, out_addr);

	return number < 0 ? 0 : mappings_get(m, number)->tenant;
}

/* The first range in order, of those from one on, that begins at a place or behind it. */
static unsigned first_from(const struct mappings *m, unsigned low, uint64_t place)
{
	unsigned high = m->n_live;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (m->order[middle].first < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The mapping of a tenant between two prefixes, or -ENOENT. */
static int find_in_tenant(const struct mappings *m, uint8_t tenant, unsigned from, struct prefix in, struct prefix out)
{
	const uint64_t place = inside_place(tenant, in.base);

	for (unsigned k = first_from(m, from, place); k < m->n_live && m->order[k].first == place; k++) {
		const struct geometry *g = &m->table[m->order[k].number]->record.geo;

		if (prefix_equal(geometry_in(g), in) && prefix_equal(geometry_out(g), out))
			return m->order[k].number;
	}
	return -ENOENT;
}

int mappings_find_of(const struct mappings *m, uint8_t tenant, struct prefix in, struct prefix out)
{
	int found = find_in_tenant(m, tenant, 0, in, out);

	/* The ranges of a tenant follow those of another. */
	for (unsigned k = 0; found < 0 && k < m->n_live;) {
		uint8_t other = inside_tenant(m->order[k].first);

		/* Two tenants have different outside addresses, or none. */
		if (!prefix_is_none(out) || !other || !tenant)
			found = find_in_tenant(m, other, k, in, out);
		k = first_from(m, k, inside_place(other, UINT32_MAX) + 1);
	}
	return found;
}

int mappings_find(const struct mappings *m, struct prefix in, struct prefix out)
{
	return mappings_find_of(m, 0, in, out);
}

int mappings_next(const struct mappings *m, int from)
{
	for (int number = from < 0 ? 0 : from; number < (int)MAX_MAPPINGS; number++)
		if (live(m, number))
			return number;
	return -1;
}

size_t mappings_in_use(const struct mappings *m)
{
	return m->n_live;
}

struct inside_range mappings_range_at(const struct mappings *m, size_t at)
{
	return m->order[at];
}

bool mappings_have_ipv6(const struct mappings *m)
{
	return m->n_ipv6;
}

bool mappings_is_retired(const struct mappings *m, int number)
{
	return m->n_retired && number >= 0 && (unsigned)number < MAX_MAPPINGS && m->table[number] &&
	       m->table[number]->stage == TABLE_RETIRED;
}

int mappings_next_retired(const struct mappings *m, int from)
{
	for (int number = m->n_retired ? from : (int)MAX_MAPPINGS; number < (int)MAX_MAPPINGS; number++)
		if (mappings_is_retired(m, number))
			return number;
	return -1;
}

size_t mappings_retired(const struct mappings *m)
{
	return m->n_retired;
}

int mappings_find_retired(const struct mappings *m, struct prefix in, struct prefix out)
{
	for (int number = mappings_next_retired(m, 0); number >= 0; number = mappings_next_retired(m, number + 1)) {
		const struct geometry *g = &m->table[number]->record.geo;

		if (prefix_equal(geometry_in(g), in) && prefix_equal(geometry_out(g), out))
			return number;
	}
	return -ENOENT;
}

int mappings_next_inside(const struct mappings *m, uint64_t place, uint64_t *ret_first, uint64_t *ret_last)
{
	for (size_t at = inside_run_at(m->run, m->n_runs, place); at < m->n_runs; at++) {
		if (!mapping_has_slots(&m->table[m->run[at].number]->record))
			continue;
		*ret_first = m->run[at].first;
		*ret_last = m->run[at].last;
		return m->run[at].number;
	}
	return -1;
}

int mappings_around(const struct mappings *m, uint8_t tenant, struct prefix in)
{
	return prefix_index_around(&m->in, tenant, in);
}

const struct mapping *mappings_get(const struct mappings *m, int number)
{
	return live(m, number) || mappings_is_retired(m, number) ? &m->d->mapping[number] : NULL;
}

struct subscriber *mappings_subscriber(const struct mappings *m, int number, uint32_t subscriber)
{
	return chunks_at(&m->subscribers, m->table[number]->record.first_subscriber + subscriber);
}

struct bucket *mappings_buckets(const struct mappings *m, int number, uint32_t subscriber)
{
	const struct mapping *record = &m->table[number]->record;

	return chunks_at(&m->buckets, record->first_bucket + (subscriber << record->bucket_shift));
}

uint32_t mappings_run(const struct mappings *m, int number, uint32_t subscriber)
{
	const struct mapping_job *t = m->table[number];
	uint64_t rest = t->n_subscribers - subscriber;
	uint32_t records = chunks_run(&m->subscribers, t->record.first_subscriber + subscriber);
	uint32_t buckets = chunks_run(&m->buckets, t->record.first_bucket + (subscriber << t->record.bucket_shift)) >>
			   t->record.bucket_shift;
	uint32_t run = records < buckets ? records : buckets;

	return run < rest ? run : (uint32_t)rest;
}

const char *mappings_tenant_name(const struct mappings *m, uint8_t tenant)
{
	return tenant ? m->tenant[tenant] : "";
}

void mappings_name_tenant(struct mappings *m, uint8_t tenant, const char *name)
{
	snprintf(m->tenant[tenant], sizeof(m->tenant[tenant]), "%s", name);
}

struct datapath *mappings_datapath(const struct mappings *m)
{
	return m->d;
}

/* Stores the layout as one word, as programs read it. */
static void binding_layout_store(struct binding_layout *at, struct binding_layout l)
{
	uint64_t word;

	memcpy(&word, &l, sizeof(word));
	__atomic_store_n((uint64_t *)(void *)at, word, __ATOMIC_RELEASE);
}

/* A mapping in use, or one that a change takes into use again. */
int mappings_find_kept(const struct mappings *m, const struct mapping_spec *spec)
{
	int number = mappings_find_of(m, spec->tenant, spec->in, spec->out);

	return number < 0 ? mappings_find_retired(m, spec->in, spec->out) : number;
}

/* Its untranslated prefixes are the new tenant's before they are no more the other's. */
void mappings_set_tenant(struct mappings *m, int number, uint8_t tenant)
{
	struct mapping *record = &m->table[number]->record;
	const struct mapping before = *record;

	record->tenant = tenant;
	if (m->table[number]->stage == TABLE_LIVE) {
		for (unsigned k = 0; k < m->n_live; k++)
			if (m->order[k].number == number)
				m->order[k] = inside_range_of(tenant, geometry_in(&record->geo), (unsigned)number);
		prefix_index_set_tenant(&m->in, (unsigned)number, tenant);
		order_changed(m, m->table[number], true);
	}
	if (mappings_show_untranslated(m, record))
		log_error("an untranslated prefix is not the tenant's yet; reload the configuration");
	__atomic_store_n(&m->d->mapping[number].tenant, tenant, __ATOMIC_RELAXED);
	mappings_hide_untranslated(m, &before);
}

int mappings_update(struct mappings *m, const struct mapping_spec *spec)
{
	int number = mappings_find_kept(m, spec);

	if (number < 0)
		return number;

	struct mapping_job *t = m->table[number];
	struct mapping *record = &t->record, *shared = &m->d->mapping[number];

	struct binding_layout bindings = mapping_bindings_layout(t, &spec->bindings);

	/* The sweep has postponed looks according to the former timeouts, and has bound no ports of sessions. */
	if (t->sweep_due && (memcmp(record->timeout_ticks, spec->timeout_ticks, sizeof(record->timeout_ticks)) ||
			     record->bindings.mapping != bindings.mapping))
		memset(t->sweep_due, 0, t->n_subscribers * sizeof(*t->sweep_due));
	record->sessions_per_user = spec->sessions_per_user;
	__atomic_store_n(&shared->sessions_per_user, spec->sessions_per_user, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < N_TIMEOUTS; i++) {
		record->timeout_ticks[i] = spec->timeout_ticks[i];
		__atomic_store_n(&shared->timeout_ticks[i], spec->timeout_ticks[i], __ATOMIC_RELAXED);
	}
	if (record->tenant != spec->tenant)
		mappings_set_tenant(m, number, spec->tenant);
	binding_preparation_finish(t, &bindings);
	record->bindings = bindings;
	binding_layout_store(&shared->bindings, bindings);
	mapping_limits_update(t, &spec->limit);
	mapping_hosts_update(t, spec);
	datapath_raise_epoch(m->d);
	return 0;
}

void mappings_set_growth(struct mappings *m, int number, struct growth_layout layout)
{
	uint32_t word;

	m->table[number]->record.growth = layout;
	memcpy(&word, &layout, sizeof(word));
	__atomic_store_n((uint32_t *)&m->d->mapping[number].growth, word, __ATOMIC_RELEASE);
}

void mapping_job_set_stage(struct mapping_job *t, enum table_stage stage)
{
	mapping_job_note_stage(t, stage);
	if (stage != TABLE_CLEARING || t->part_of)
		return;
	if (t->n_subscribers)
		chunks_retire(&t->m->subscribers, t->record.first_subscriber, t->n_subscribers);
	if (t->n_buckets)
		chunks_retire(&t->m->buckets, t->record.first_bucket, t->n_buckets);
	mapping_bindings_retire(t);
	mapping_limits_retire(t);
	mapping_hosts_retire(t);
}

void mappings_leave(struct mappings *m, struct mapping_job *t, enum table_stage stage)
{
	struct mapping_job **end = &m->leaving;

	while (*end)
		end = &(*end)->next;
	mapping_job_set_stage(t, stage);
	t->left_ns = clock_ns(CLOCK_REALTIME);
	t->next = NULL;
	*end = t;
	if (m->on_leave)
		m->on_leave(m->on_leave_arg);
}

void mappings_begin(struct mappings *m)
{
	m->changing = true;
}

void mappings_hold(struct mappings *m, uint8_t tenant, struct prefix in)
{
	mappings_unsettle(m);
	/* Without a free node nothing can be inserted there either. */
	(void)prefix_index_hold(&m->in, tenant, in);
	mappings_index6_changed(m);
	datapath_raise_epoch(m->d);
}

void mappings_show_shared(struct mappings *m, bool shown)
{
	prefix_index_show_shared(&m->in, shown);
	datapath_raise_epoch(m->d);
}

void mappings_release(struct mappings *m)
{
	prefix_index_release(&m->in);
	m->changing = false;
	m->index6_stale = m->index6_stale || m->d->index6;
	mappings_index6_publish(m);
	mappings_settled(m);
	datapath_raise_epoch(m->d);
}

int mappings_del_of(struct mappings *m, uint8_t tenant, struct prefix in, struct prefix out)
{
	int number = mappings_find_of(m, tenant, in, out);
	bool retired = number < 0;

	if (retired)
		number = mappings_find_retired(m, in, out);
	if (number < 0)
		return number;

	/* Inside first, so that no further sessions are opened. */
	if (!retired) {
		mapping_limits_returned(m, mappings_around(m, m->table[number]->record.tenant, in));
		prefix_index_remove(&m->in, in, (unsigned)number);
	}
	if (prefix_is_none(out))
		memset(&m->d->mapping[number], 0, sizeof(m->d->mapping[number]));
	else
		prefix_index_remove(&m->out, out, (unsigned)number);
	if (!retired)
		mappings_unset_live(m, m->table[number]);
	mapping_job_set_stage(m->table[number], TABLE_UNLINKED);
	if (m->n_drains) {
		mappings_forget_drains(m, number);
		mappings_forget_needless_drains(m);
		mappings_publish_drains(m);
	}
	mapping_hosts_left(m, m->table[number]);
	if (mapping_is_hidden(&m->table[number]->record))
		mappings_index6_changed(m);
	mappings_leave(m, m->table[number], TABLE_UNLINKED);
	datapath_raise_epoch(m->d);
	return 0;
}
