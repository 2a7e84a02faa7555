/* SPDX-License-Identifier: BSD-2-Clause */
/* The index of inside prefixes of IPv6: struct indices6 of <detnat/prefix6.h>. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/virtual6.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_hosts.h"

/* Mappings and holds, whose ranges may be equal: then the hold decides. */
struct ranges6 {
	struct inside_range range[2 * MAX_MAPPINGS + 1];
	struct inside_run run[INSIDE_RUNS(2 * MAX_MAPPINGS + 1)];
	size_t n;
};

static bool is_virtual(const struct index_prefix *p)
{
	return p->used && p->first >> (32 - VIRTUAL_PLEN) == VIRTUAL_BASE >> (32 - VIRTUAL_PLEN);
}

static bool is_held(const struct prefix_index *x, const struct index_prefix *p)
{
	for (unsigned hold = MAX_MAPPINGS; hold < 2 * MAX_MAPPINGS; hold++)
		if (x->of[hold].used && x->of[hold].first == p->first && x->of[hold].last == p->last)
			return true;
	return false;
}

static void list_range(struct ranges6 *ret, uint32_t first, uint32_t last, unsigned number)
{
	ret->range[ret->n++] = (struct inside_range){ .first = inside_place(0, first),
						      .last = inside_place(0, last),
						      .number = (uint16_t)number };
}

static void list_ranges(const struct prefix_index *x, struct ranges6 *ret)
{
	for (unsigned number = 0; number < 2 * MAX_MAPPINGS; number++) {
		const struct index_prefix *p = &x->of[number];

		if (!is_virtual(p) || (number < MAX_MAPPINGS && is_held(x, p)))
			continue;
		list_range(ret, p->first, p->last, number);
	}
}

/*
 * Lists what drains of retired mappings: the subscribers whom no other mapping has. A smaller prefix is looked up
 * before one around it, and the latest of equal ones, as in drains.c.
 */
static void list_drains(const struct mappings *m, struct ranges6 *ret)
{
	const size_t n_live = ret->n;

	for (unsigned i = m->n_drains; i-- > 0;) {
		const struct mapping_drain *d = &m->drain[i];
		const uint64_t first = inside_place(0, d->in.base), last = inside_place(0, prefix_last(d->in));
		bool known = !d->whole || !prefix_is_virtual(d->in);

		for (size_t k = 0; k < ret->n && !known; k++) {
			const struct inside_range *r = &ret->range[k];

			known = r->first <= first && r->last >= last &&
				(k < n_live || (r->first == first && r->last == last));
		}
		if (!known)
			list_range(ret, d->in.base, prefix_last(d->in), (unsigned)d->number);
	}
}

/* The mapping with that number, if the datapath is to find subscribers of it. */
static const struct mapping_job *found_in(const struct mappings *m, unsigned number, enum table_stage stage)
{
	const struct mapping_job *t = number < MAX_MAPPINGS ? m->table[number] : NULL;

	return t && t->stage == stage && mapping_is_ipv6(&t->record) && t->n_subscribers ? t : NULL;
}

static struct range6 range_of(const struct mapping_job *t, uint32_t first, uint32_t last)
{
	const uint32_t base = t->record.geo.in_base;

	return (struct range6){
		.first = subscriber6_hi(&t->six, first - base),
		.last = subscriber6_hi(&t->six, last - base) | ~mask64(t->six.subscriber_plen),
		.virt = first,
		.leaf = (uint16_t)(INDEX_LEAF | (unsigned)t->number),
		.shift = (uint8_t)(SUBSCRIBER_PLEN_MAX - t->six.subscriber_plen),
	};
}

static int by_first(const void *a, const void *b)
{
	const struct range6 *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Appends the ranges of mappings of that stage; ret has n so far. Returns their number. */
static size_t append_ranges(const struct mappings *m, const struct ranges6 *all, size_t n_runs, enum table_stage stage,
			    struct range6 ret[static MAX_RANGES6], size_t n)
{
	for (size_t i = 0; i < n_runs; i++) {
		const struct mapping_job *t = found_in(m, all->run[i].number, stage);

		if (t && n < MAX_RANGES6)
			ret[n] = range_of(t, inside_addr(all->run[i].first), inside_addr(all->run[i].last));
		n += t != NULL;
	}
	return n;
}

size_t mappings_index6_ranges(const struct mappings *m, struct range6 ret[static MAX_RANGES6])
{
	_cleanup_free_ struct ranges6 *all = calloc(1, sizeof(*all));
	size_t n_runs, n;

	if (!all)
		return SIZE_MAX;
	list_ranges(&m->in, all);
	list_drains(m, all);
	n_runs = inside_runs(all->range, all->n, all->run);
	/* What drains gives way. */
	n = append_ranges(m, all, n_runs, TABLE_LIVE, ret, 0);
	n = append_ranges(m, all, n_runs, TABLE_RETIRED, ret, n);
	qsort(ret, n < MAX_RANGES6 ? n : MAX_RANGES6, sizeof(*ret), by_first);
	return n;
}

bool mappings_index6_has_room(const struct mappings *m, struct prefix in)
{
	_cleanup_free_ struct ranges6 *all = calloc(1, sizeof(*all));
	const unsigned new_one = 2 * MAX_MAPPINGS;
	size_t n_runs, n = 0;
	bool known = false;

	if (!all)
		return false;
	list_ranges(&m->in, all);
	for (size_t i = 0; i < all->n; i++) {
		if (all->range[i].first != in.base || all->range[i].last != prefix_last(in))
			continue;
		all->range[i].number = (uint16_t)new_one;
		known = true;
	}
	if (!known)
		list_range(all, in.base, prefix_last(in), new_one);
	n_runs = inside_runs(all->range, all->n, all->run);
	for (size_t i = 0; i < n_runs; i++)
		n += all->run[i].number == new_one || found_in(m, all->run[i].number, TABLE_LIVE) != NULL;
	return n <= MAX_RANGES6;
}

static uint64_t subscribers_of(const struct range6 *r)
{
	return (r->last - r->first) >> r->shift;
}

/* What the datapath is to find, in *ret. False if that cannot be known. */
static bool make_index(const struct mappings *m, struct index6 *ret)
{
	const struct range6 unused = { .first = ~0ULL };
	size_t n = mappings_index6_ranges(m, ret->range);

	if (n == SIZE_MAX)
		return false;
	/* The configuration is held to the limit. In the middle of a change there may briefly be more. */
	if (n > MAX_RANGES6)
		log_warning("the inside prefixes of IPv6 are in %zu pieces, of which %u are in force", n, MAX_RANGES6);
	ret->n = n < MAX_RANGES6 ? (uint32_t)n : MAX_RANGES6;
	ret->hint = (struct range6){ 0 };
	for (uint32_t i = 0; i < ret->n; i++)
		if (!ret->hint.leaf || subscribers_of(&ret->range[i]) > subscribers_of(&ret->hint))
			ret->hint = ret->range[i];
	for (uint32_t i = ret->n; i < MAX_RANGES6; i++)
		ret->range[i] = unused;
	return true;
}

/* The one that the programs read. */
static const struct index6 *current(const struct indices6 *x)
{
	return &x->index[__atomic_load_n(&x->current, __ATOMIC_ACQUIRE) & 1];
}

void mappings_index6_publish(struct mappings *m)
{
	struct indices6 *x = m->d->index6;
	struct index6 wanted = { 0 };
	uint32_t next;

	if (!x || !m->index6_stale || !make_index(m, &wanted))
		return;
	m->index6_stale = false;
	if (!memcmp(current(x), &wanted, sizeof(wanted)))
		return;
	/* Programs may still read what was in force before the last change. */
	if (m->index6_read)
		datapath_grace_period(m->d);
	next = !(x->current & 1);
	x->index[next] = wanted;
	__atomic_store_n(&x->current, next, __ATOMIC_SEQ_CST);
	m->index6_read = true;
	datapath_raise_epoch(m->d);
}

bool mappings_index6_right(const struct mappings *m)
{
	struct index6 wanted = { 0 };

	return !m->d->index6 || m->index6_stale || !make_index(m, &wanted) ||
	       !memcmp(current(m->d->index6), &wanted, sizeof(wanted));
}

void mappings_index6_changed(struct mappings *m)
{
	m->index6_stale = true;
	if (!m->changing)
		mappings_index6_publish(m);
}

bool mapping_hosts_indexed(const struct mappings *m, int number)
{
	const struct mapping *record = &m->d->mapping[number];
	const struct index6 *x = m->d->index6 ? current(m->d->index6) : NULL;
	const struct record6 *six;
	uint64_t at, last;

	if (!x || !mapping_is_ipv6(record) || record->record6 >= MAX_RECORDS6)
		return false;
	six = &m->d->record6[record->record6];
	at = six->in_hi;
	last = subscriber6_hi(six, record->geo.last_subscriber) | ~mask64(six->subscriber_plen);
	for (uint32_t i = 0; i < MAX_RANGES6 && x->range[i].leaf; i++) {
		if (x->range[i].last < at)
			continue;
		if (x->range[i].first > at)
			return false;
		if (x->range[i].last >= last)
			return true;
		at = x->range[i].last + 1;
	}
	return false;
}
