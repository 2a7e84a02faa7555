/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps of the configuration in the history. Leases are not in it: their ports are in the subscriber's own block. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/history_private.h"

bool history_portmaps_agree(const struct history *h)
{
	return history_facts_agree(FACT_PORTMAP, &h->file.index.portmaps.facts, &h->portmaps.facts);
}

int history_take_all(enum fact_kind kind, struct history_facts *f, const void *list, size_t n)
{
	const char *fact = list;
	int r = 0;

	history_facts_free(f);
	for (; n && !r; n--, fact += fact_rows[kind].fact_size)
		r = history_facts_take(kind, f, fact, false, 0, (struct history_at){ 0 });
	return r;
}

int history_portmaps_present(struct history *h, const struct history_portmap *list, size_t n)
{
	return history_take_all(FACT_PORTMAP, &h->portmaps.facts, list, n);
}

void history_portmaps_expect(struct history *h)
{
	_cleanup_free_ struct history_portmap *list = NULL;
	size_t n = 0;

	if (!history_facts_list(FACT_PORTMAP, &h->file.index.portmaps.facts, &list, &n))
		history_portmaps_present(h, list, n);
}

size_t history_portmap_records(const struct history *h, const struct history_portmap_change *c,
			       struct history_record *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_del; i++) {
		const struct history_portmap *m = &c->del[i];
		const struct portmap_interval *v = history_facts_at(FACT_PORTMAP, &h->file.index.portmaps.facts, m);

		ret[n] = (struct history_record){ .event = EVENT_PORTMAP, .portmap = *m, .ends = true };
		ret[n++].portmap.from = v ? v->from : TIME_NONE;
	}
	for (size_t i = 0; i < c->n_add; i++) {
		ret[n] = (struct history_record){ .event = EVENT_PORTMAP, .portmap = c->add[i] };
		ret[n++].portmap.from = TIME_NONE;
	}
	return n;
}

/* The line to take back so that an interval matches the datapath; 0: none. */
static uint64_t wrong_line(const struct history *h, const struct portmap_interval *v)
{
	bool present = history_facts_have(FACT_PORTMAP, &h->portmaps.facts, v);

	if (v->to == TIME_OPEN)
		return present ? 0 : v->line;
	return present && !history_facts_have(FACT_PORTMAP, &h->file.index.portmaps.facts, v) ? v->end_line : 0;
}

/* By outside and inside endpoint; of the same ones, the last to begin comes first. */
static int by_pair(const void *a, const void *b)
{
	const struct portmap_interval *x = *(const struct portmap_interval *const *)a;
	const struct portmap_interval *y = *(const struct portmap_interval *const *)b;

	if (x->out.addr != y->out.addr || x->in.addr != y->in.addr)
		return x->out.addr != y->out.addr ? (x->out.addr < y->out.addr ? -1 : 1)
						  : (x->in.addr < y->in.addr ? -1 : 1);
	if (x->out.port != y->out.port || x->in.port != y->in.port)
		return x->out.port != y->out.port ? x->out.port - y->out.port : x->in.port - y->in.port;
	if (x->proto != y->proto)
		return x->proto - y->proto;
	if (strcmp(x->tenant, y->tenant) != 0)
		return strcmp(x->tenant, y->tenant);
	return x->line != y->line ? (x->line < y->line ? 1 : -1) : 0;
}

static bool same_pair(const struct portmap_interval *a, const struct portmap_interval *b)
{
	return fact_rows[FACT_PORTMAP].same(a, b) && fact_rows[FACT_PORTMAP].meets(a, b);
}

size_t history_portmaps_wrong(const struct history *h, struct history_record *ret)
{
	const struct history_index *x = &h->file.index;
	_cleanup_free_ const struct portmap_interval **late =
		calloc(x->portmaps.n + 1, sizeof(const struct portmap_interval *));
	size_t n_late = 0, n = 0;

	/* Without memory, their end is recorded instead. */
	if (!late || history_portmaps_agree(h))
		return 0;
	for (size_t i = 0; i < x->portmaps.n; i++) {
		const struct portmap_interval *v = &x->portmaps.interval[i];

		if (!v->undone && (v->line > x->settled || v->end_line > x->settled))
			late[n_late++] = v;
	}
	if (n_late)
		qsort(late, n_late, sizeof(const struct portmap_interval *), by_pair);
	for (size_t i = 0; i < n_late; i++) {
		uint64_t line = i && same_pair(late[i - 1], late[i]) ? 0 : wrong_line(h, late[i]);

		if (line > x->settled)
			ret[n++] = (struct history_record){ .event = EVENT_UNDO, .first = line, .last = line };
	}
	return history_undo_once(ret, n);
}

/* The open ports of one that are not open in the other, as spans; the caller frees them. NULL: out of memory. */
static struct history_portmap *missing_in(const struct history_portmaps *p, const struct history_portmaps *other,
					  bool now, size_t *ret_n)
{
	struct history_portmap *list = calloc((size_t)p->n_open + 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; list && i < p->n; i++) {
		const struct portmap_interval *v = &p->interval[i];

		if (v->to != TIME_OPEN || history_facts_have(FACT_PORTMAP, &other->facts, v))
			continue;
		list[n] = history_portmap_of_port(v);
		list[n].from = now ? TIME_NONE : v->from;
		n++;
	}
	*ret_n = list ? history_portmaps_merge(list, n) : 0;
	return list;
}

int history_portmaps_align(struct history *h, struct error *err)
{
	const struct history_portmaps *known = &h->file.index.portmaps;
	_cleanup_free_ struct history_portmap *gone = NULL, *added = NULL;
	_cleanup_free_ struct history_record *records = NULL;
	size_t n_gone, n_added, n = 0;

	if (history_portmaps_agree(h))
		return 0;
	gone = missing_in(known, &h->portmaps, false, &n_gone);
	added = missing_in(&h->portmaps, known, true, &n_added);
	records = calloc(n_gone + n_added + 1, sizeof(*records));
	if (!gone || !added || !records)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n_gone; i++)
		records[n++] = (struct history_record){ .event = EVENT_PORTMAP, .portmap = gone[i], .ends = true };
	for (size_t i = 0; i < n_added; i++)
		records[n++] = (struct history_record){ .event = EVENT_PORTMAP, .portmap = added[i] };
	return n ? history_append(h, records, n, err) : 0;
}
