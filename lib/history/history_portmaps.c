/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_gaps.h"
#include "history/history_portmaps.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/timestamp.h"
#include "proto/words.h"

void history_portmaps_free(struct history_portmaps *p)
{
	free(p->interval);
	hash_index_free(&p->open);
	free(p->pauses.at);
	*p = (struct history_portmaps){ 0 };
}

static uint64_t hash_of(uint8_t proto, struct endpoint out)
{
	return HASH_OF((uint64_t)out.addr << 32 | (uint64_t)out.port << 8 | proto);
}

struct portmap_interval *history_portmap_open(const struct history_portmaps *p, uint8_t proto, struct endpoint out)
{
	uint64_t hash = p->open.n ? hash_of(proto, out) : 0;
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&p->open, hash, &step, &number);) {
		struct portmap_interval *v = &p->interval[number];

		if (v->proto == proto && v->out.addr == out.addr && v->out.port == out.port)
			return v;
	}
	return NULL;
}

bool history_portmap_same(const struct portmap_interval *a, const struct portmap_interval *b)
{
	return endpoint_equal(a->in, b->in) && history_same_tenant(a->tenant, b->tenant);
}

static uint64_t hash_interval(const void *interval)
{
	const struct portmap_interval *v = interval;

	return hash_of(v->proto, v->out);
}

static struct history_spans spans_of(struct history_portmaps *p)
{
	return (struct history_spans){ p->interval, p->n, sizeof(*p->interval), &p->pauses, &p->open, hash_interval };
}

static int note_open(struct history_portmaps *p, struct portmap_interval *v)
{
	const struct history_spans s = spans_of(p);

	return history_spans_open(&s, &v->span);
}

static void end_one(struct history_portmaps *p, struct portmap_interval *v, struct history_at at)
{
	const struct history_spans s = spans_of(p);

	history_spans_end(&s, &v->span, at);
}

int history_portmaps_index(struct history_portmaps *p)
{
	const struct history_spans s = spans_of(p);

	return history_spans_index(&s);
}

static int begin_one(struct history_portmaps *p, struct portmap_interval v)
{
	if (history_grow(&p->interval, p->n, sizeof(*p->interval)))
		return -ENOMEM;
	p->interval[p->n] = v;
	if (note_open(p, &p->interval[p->n]))
		return -ENOMEM;
	p->n++;
	return 0;
}

int history_portmaps_take(struct history_portmaps *p, const struct history_portmap *m, bool ends, uint32_t begin,
			  struct history_at at)
{
	for (uint32_t i = 0; i <= (uint32_t)m->in.last - m->in.first; i++) {
		struct portmap_interval v = { .in = { m->in.addr, (uint16_t)(m->in.first + i) },
					      .out = { m->out.addr, (uint16_t)(m->out.first + i) },
					      .proto = m->proto,
					      .from = m->from,
					      .begin = begin,
					      .line = at.line };
		struct portmap_interval *known = history_portmap_open(p, v.proto, v.out);
		int r = 0;

		memcpy(v.tenant, m->tenant, sizeof(v.tenant));
		if (!ends && known && history_portmap_same(known, &v))
			continue;
		if (known)
			end_one(p, known, at);
		/* If lines are missing, only the end shows that it existed. */
		if (!known || !ends)
			r = begin_one(p, v);
		if (!known && ends && !r)
			end_one(p, &p->interval[p->n - 1], at);
		if (r)
			return r;
	}
	return 0;
}

void history_portmaps_end(struct history_portmaps *p, struct history_at at)
{
	const struct history_spans s = spans_of(p);

	history_spans_end_all(&s, at);
}

bool history_portmaps_undo(struct history_portmaps *p, struct history_times *t, uint64_t line, struct history_at at,
			   int *ret)
{
	const struct history_spans s = spans_of(p);

	return history_spans_undo(&s, t, line, at, ret);
}

static int compare(const void *a, const void *b)
{
	const struct history_portmap *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	if (x->out.addr != y->out.addr)
		return x->out.addr < y->out.addr ? -1 : 1;
	return x->out.first < y->out.first ? -1 : x->out.first > y->out.first;
}

size_t history_portmaps_merge(struct history_portmap *list, size_t n)
{
	size_t merged = 0;

	if (n)
		qsort(list, n, sizeof(*list), compare);
	for (size_t i = 0; i < n; i++) {
		struct history_portmap *last = merged ? &list[merged - 1] : NULL;
		const struct history_portmap *m = &list[i];

		if (last && last->proto == m->proto && last->from == m->from && last->out.addr == m->out.addr &&
		    last->in.addr == m->in.addr && !strcmp(last->tenant, m->tenant) &&
		    last->out.last + 1 == m->out.first && last->in.last + 1 == m->in.first) {
			last->out.last = m->out.last;
			last->in.last = m->in.last;
		} else {
			list[merged++] = *m;
		}
	}
	return merged;
}

struct history_portmap history_portmap_of_port(const struct portmap_interval *v)
{
	struct history_portmap m = { .in = { v->in.addr, v->in.port, v->in.port },
				     .out = { v->out.addr, v->out.port, v->out.port },
				     .proto = v->proto,
				     .from = v->from };

	memcpy(m.tenant, v->tenant, sizeof(m.tenant));
	return m;
}

int history_portmaps_list(const struct history_portmaps *p, struct history_portmap **ret, size_t *ret_n)
{
	struct history_portmap *list = calloc((size_t)p->open.n + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++) {
		const struct portmap_interval *v = &p->interval[i];

		if (v->to == TIME_OPEN)
			list[n++] = history_portmap_of_port(v);
	}
	*ret = list;
	*ret_n = history_portmaps_merge(list, n);
	return 0;
}

void history_portmap_write(FILE *out, const struct history_portmap *m)
{
	char in[SPAN_TEXT], out_text[SPAN_TEXT], from[TIME_TEXT];

	fprintf(out, "\"proto\":\"%s\",\"in\":\"%s\",\"out\":\"%s\",\"from\":\"%s\"", word_text(proto_words, m->proto),
		span_format(m->in, in), span_format(m->out, out_text), time_format(m->from, from));
	history_tenant_write(out, m->tenant);
}

bool history_portmap_read(const cJSON *json, struct history_portmap *ret)
{
	const char *proto = json_text(json, "proto", NULL), *in = json_text(json, "in", NULL),
		   *out = json_text(json, "out", NULL);
	const char *from = json_text(json, "from", NULL);
	uint32_t number;

	if (!proto || !in || !out || !from || word_number(proto_words, proto, &number) || number == IPPROTO_ICMP ||
	    span_parse(in, &ret->in) || span_parse(out, &ret->out) || time_parse(from, &ret->from) ||
	    ret->in.last - ret->in.first != ret->out.last - ret->out.first)
		return false;
	ret->proto = (uint8_t)number;
	history_tenant_read(json, ret->tenant);
	return true;
}
