/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_gaps.h"
#include "history/history_grants.h"

#include <errno.h>
#include <stdlib.h>

#include <detnat/growth.h>

#include "base/json_text.h"
#include "base/base.h"
#include "base/timestamp.h"

void history_grants_free(struct history_grants *g)
{
	free(g->interval);
	free(g->pauses.at);
	hash_index_free(&g->open);
	*g = (struct history_grants){ 0 };
}

bool history_grant_same(const struct history_grant *a, const struct history_grant *b)
{
	return a->in == b->in && a->out == b->out && a->port_lo == b->port_lo && a->ports == b->ports;
}

bool history_grant_fits(const struct geometry *geo, const struct history_grant *g)
{
	int number;

	if (!geo->ports_per_host || !mapping_has_inside(geo, g->in) ||
	    mapping_out_addr(geo, mapping_subscriber(geo, g->in)) != g->out)
		return false;
	number = growth_block_of(geo, g->ports, g->port_lo);
	return number >= 0 && growth_port_lo(geo, g->ports, (uint32_t)number) == g->port_lo;
}

static uint64_t hash_of(uint32_t out, uint16_t port_lo)
{
	return HASH_OF((uint64_t)out << 16 | port_lo);
}

struct grant_interval *history_grant_open(const struct history_grants *g, uint32_t out, uint16_t port_lo)
{
	uint64_t hash = g->open.n ? hash_of(out, port_lo) : 0;
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&g->open, hash, &step, &number);) {
		struct grant_interval *v = &g->interval[number];

		if (v->grant.out == out && v->grant.port_lo == port_lo)
			return v;
	}
	return NULL;
}

static uint64_t hash_interval(const void *interval)
{
	const struct grant_interval *v = interval;

	return hash_of(v->grant.out, v->grant.port_lo);
}

static struct history_spans spans_of(struct history_grants *g)
{
	return (struct history_spans){ g->interval, g->n, sizeof(*g->interval), &g->pauses, &g->open, hash_interval };
}

static int note_open(struct history_grants *g, struct grant_interval *v)
{
	const struct history_spans s = spans_of(g);

	return history_spans_open(&s, &v->span);
}

static void end_one(struct history_grants *g, struct grant_interval *v, struct history_at at)
{
	const struct history_spans s = spans_of(g);

	history_spans_end(&s, &v->span, at);
}

int history_grants_index(struct history_grants *g)
{
	const struct history_spans s = spans_of(g);

	return history_spans_index(&s);
}

static int begin_one(struct history_grants *g, const struct history_grant *record, uint32_t begin, uint64_t line)
{
	if (history_grow(&g->interval, g->n, sizeof(*g->interval)))
		return -ENOMEM;
	g->interval[g->n] = (struct grant_interval){ .grant = *record, .begin = begin, .line = line };
	if (note_open(g, &g->interval[g->n]))
		return -ENOMEM;
	g->n++;
	return 0;
}

int history_grants_take(struct history_grants *g, const struct history_grant *record, bool ends, uint32_t begin,
			struct history_at at)
{
	struct grant_interval *known = history_grant_open(g, record->out, record->port_lo);
	int r = 0;

	if (!ends && known && history_grant_same(&known->grant, record))
		return 0;
	if (known)
		end_one(g, known, at);
	/* If lines are missing, only the end shows that it existed. */
	if (!known || !ends)
		r = begin_one(g, record, begin, at.line);
	if (!known && ends && !r)
		end_one(g, &g->interval[g->n - 1], at);
	return r;
}

/* The numbers of the open ones, in their order; the caller frees them. NULL: out of memory. */
static uint32_t *open_numbers(const struct history_grants *g)
{
	uint32_t *list = calloc((size_t)g->open.n + 1, sizeof(*list)), at = 0, n = 0;

	while (list && hash_index_walk(&g->open, &at, &list[n]))
		n++;
	return list;
}

int history_grants_end_of(struct history_grants *g, struct prefix in, struct prefix out, struct history_at at)
{
	_cleanup_free_ uint32_t *list = NULL;
	uint32_t n = g->open.n;

	if (!n)
		return 0;
	list = open_numbers(g);
	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct grant_interval *v = &g->interval[list[i]];

		if (prefix_holds(in, v->grant.in) && prefix_holds(out, v->grant.out))
			end_one(g, v, at);
	}
	return 0;
}

void history_grants_end_all(struct history_grants *g, struct history_at at)
{
	const struct history_spans s = spans_of(g);

	history_spans_end_all(&s, at);
}

bool history_grants_undo(struct history_grants *g, struct history_times *t, uint64_t line, struct history_at at,
			 int *ret)
{
	const struct history_spans s = spans_of(g);

	return history_spans_undo(&s, t, line, at, ret);
}

static int compare(const void *a, const void *b)
{
	const struct history_grant *x = a, *y = b;

	if (x->out != y->out)
		return x->out < y->out ? -1 : 1;
	return (x->port_lo > y->port_lo) - (x->port_lo < y->port_lo);
}

int history_grants_list(const struct history_grants *g, struct history_grant **ret, size_t *ret_n)
{
	struct history_grant *list = calloc((size_t)g->open.n + 1, sizeof(*list));
	uint32_t at = 0, number;
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	while (hash_index_walk(&g->open, &at, &number))
		list[n++] = g->interval[number].grant;
	if (n)
		qsort(list, n, sizeof(*list), compare);
	*ret = list;
	*ret_n = n;
	return 0;
}

void history_grant_write(FILE *out, const struct history_grant *g)
{
	char in[ADDR_TEXT], address[ADDR_TEXT], from[TIME_TEXT];

	fprintf(out, "\"in\":\"%s\",\"out\":\"%s\",\"port_lo\":%u,\"port_hi\":%u,\"from\":\"%s\"",
		addr_format(g->in, in), addr_format(g->out, address), g->port_lo, g->port_lo + g->ports - 1U,
		time_format(g->from, from));
}

static bool read_port(const cJSON *json, const char *key, uint16_t *ret)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, key);

	if (!cJSON_IsNumber(number) || !(number->valuedouble >= 1 && number->valuedouble <= UINT16_MAX))
		return false;
	*ret = (uint16_t)number->valuedouble;
	return *ret == number->valuedouble;
}

bool history_grant_read(const cJSON *json, struct history_grant *ret)
{
	const char *in = json_text(json, "in", NULL), *out = json_text(json, "out", NULL),
		   *from = json_text(json, "from", NULL);
	uint16_t last;

	if (!in || !out || !from || addr_parse(in, &ret->in) || addr_parse(out, &ret->out) ||
	    time_parse(from, &ret->from) || !read_port(json, "port_lo", &ret->port_lo) ||
	    !read_port(json, "port_hi", &last) || last < ret->port_lo)
		return false;
	ret->ports = (uint16_t)(last - ret->port_lo + 1);
	return true;
}
