/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_portmaps.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/timestamp.h"
#include "proto/words.h"

#define STILL	   TIME_OPEN
#define FIRST_ROOM 64U

void history_portmaps_free(struct history_portmaps *p)
{
	free(p->interval);
	free(p->heads);
	free(p->pauses.at);
	*p = (struct history_portmaps){ 0 };
}

static uint32_t *head_of(const struct history_portmaps *p, uint8_t proto, struct endpoint out)
{
	uint64_t key = (uint64_t)out.addr << 32 | (uint64_t)out.port << 8 | proto;

	return &p->heads[HASH_OF(key) & (p->n_heads - 1)];
}

static struct portmap_interval *number_at(const struct history_portmaps *p, uint32_t number)
{
	return number ? &p->interval[number - 1] : NULL;
}

struct portmap_interval *history_portmap_open(const struct history_portmaps *p, uint8_t proto, struct endpoint out)
{
	struct portmap_interval *v = p->n_heads ? number_at(p, *head_of(p, proto, out)) : NULL;

	while (v && (v->proto != proto || v->out.addr != out.addr || v->out.port != out.port))
		v = number_at(p, v->next);
	return v;
}

static void link_open(struct history_portmaps *p, struct portmap_interval *v)
{
	uint32_t *head = head_of(p, v->proto, v->out);

	v->to = STILL;
	v->end = MOMENT_NONE;
	v->end_line = 0;
	v->next = *head;
	*head = (uint32_t)(v - p->interval) + 1;
	p->n_open++;
}

static void end_one(struct history_portmaps *p, struct portmap_interval *v, struct history_at at)
{
	uint32_t number = (uint32_t)(v - p->interval) + 1, *link = head_of(p, v->proto, v->out);

	while (*link != number)
		link = &number_at(p, *link)->next;
	*link = v->next;
	v->to = at.time;
	v->end = at.moment;
	v->end_line = at.line;
	p->n_open--;
}

int history_portmaps_rehash(struct history_portmaps *p)
{
	uint32_t *heads = calloc(p->room, sizeof(*heads));

	if (!heads)
		return -ENOMEM;
	free(p->heads);
	p->heads = heads;
	p->n_heads = (uint32_t)p->room;
	p->n_open = 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->interval[i].to == STILL)
			link_open(p, &p->interval[i]);
	return 0;
}

static int grow(struct history_portmaps *p)
{
	size_t room = p->room ? 2 * p->room : FIRST_ROOM;
	struct portmap_interval *interval = reallocarray(p->interval, room, sizeof(*interval));

	if (!interval)
		return -ENOMEM;
	p->interval = interval;
	p->room = room;
	return history_portmaps_rehash(p);
}

static int begin_one(struct history_portmaps *p, struct portmap_interval v)
{
	if (p->n == p->room && grow(p))
		return -ENOMEM;
	p->interval[p->n] = v;
	link_open(p, &p->interval[p->n++]);
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

		if (!ends && known && known->in.addr == v.in.addr && known->in.port == v.in.port)
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
	for (size_t i = 0; p->n_open && i < p->n; i++)
		if (p->interval[i].to == STILL)
			end_one(p, &p->interval[i], at);
}

bool history_portmaps_undo(struct history_portmaps *p, struct history_times *t, uint64_t line, struct history_at at,
			   int *ret)
{
	bool found = false;

	*ret = 0;
	at.line = line;
	for (size_t i = p->n; i-- > 0 && !*ret;) {
		struct portmap_interval *v = &p->interval[i];
		bool begun = v->line == line && v->to == STILL, ended = v->end_line == line && v->line != line;

		if (v->undone || (!begun && !ended))
			continue;
		at.moment = history_times_undo(t, begun ? v->begin : v->end, at.time, line);
		if (at.moment == MOMENT_NONE)
			*ret = -ENOMEM;
		else if (begun)
			end_one(p, v, at);
		else
			*ret = history_pauses_add(&p->pauses, i, v->end, at.moment);
		v->undone = begun;
		if (!*ret && ended)
			link_open(p, v);
		found = true;
	}
	return found;
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
		    last->in.addr == m->in.addr && last->out.last + 1 == m->out.first &&
		    last->in.last + 1 == m->in.first) {
			last->out.last = m->out.last;
			last->in.last = m->in.last;
		} else {
			list[merged++] = *m;
		}
	}
	return merged;
}

int history_portmaps_list(const struct history_portmaps *p, struct history_portmap **ret, size_t *ret_n)
{
	struct history_portmap *list = calloc(p->n_open + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++) {
		const struct portmap_interval *v = &p->interval[i];

		if (v->to == STILL)
			list[n++] = (struct history_portmap){ .in = { v->in.addr, v->in.port, v->in.port },
							      .out = { v->out.addr, v->out.port, v->out.port },
							      .proto = v->proto,
							      .from = v->from };
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
}

static const char *text_of(const cJSON *json, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

bool history_portmap_read(const cJSON *json, struct history_portmap *ret)
{
	const char *proto = text_of(json, "proto"), *in = text_of(json, "in"), *out = text_of(json, "out");
	const char *from = text_of(json, "from");
	uint32_t number;

	if (!proto || !in || !out || !from || word_number(proto_words, proto, &number) || number == IPPROTO_ICMP ||
	    span_parse(in, &ret->in) || span_parse(out, &ret->out) || time_parse(from, &ret->from) ||
	    ret->in.last - ret->in.first != ret->out.last - ret->out.first)
		return false;
	ret->proto = (uint8_t)number;
	return true;
}
