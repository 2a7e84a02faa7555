// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_index_private.h"

#include <string.h>

#include "base/array_grow.h"

int lease_index_new(struct lease_index **ret)
{
	struct lease_index *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->first_time = TIME_OPEN;
	x->last_time = TIME_NONE;
	*ret = x;
	return 0;
}

void lease_index_free(struct lease_index *x)
{
	if (!x)
		return;
	lease_pool_free(&x->pool);
	lease_pool_free(&x->sessions);
	hash_index_free(&x->latest);
	free(x->lease);
	free(x->off);
	free(x->lost);
	free(x->erasure);
	free(x->begin);
	free(x);
}

int64_t lease_index_until(const struct lease_index *x)
{
	return x->last_time;
}

size_t lease_index_count(const struct lease_index *x)
{
	return x->n;
}

/* Sessions are told apart by their texts, customers without one by the place of their id in the pool. */
static uint64_t hash_of(const struct lease *l, const char *session)
{
	uint64_t addr[2];

	memcpy(addr, l->addr.octet, sizeof(addr));
	return HASH_OF(addr[0], addr[1] ^ l->addr.plen, l->tenant,
		       *session ? hash_octets(session, strlen(session)) : ~(uint64_t)l->id);
}

/* Whether a line is about a lease, unless that ended before. */
static bool same_lease(const struct lease_index *x, const struct lease *a, const struct lease *line,
		       const char *session)
{
	return !memcmp(&a->addr, &line->addr, sizeof(a->addr)) && a->tenant == line->tenant &&
	       !strcmp(lease_pool_text(&x->sessions, a->session), session) && (*session || a->id == line->id);
}

static struct lease *find_latest(struct lease_index *x, const struct lease *line, const char *session, uint64_t hash,
				 uint32_t *ret)
{
	for (uint32_t step = 0; hash_index_next(&x->latest, hash, &step, ret);)
		if (same_lease(x, &x->lease[*ret], line, session))
			return &x->lease[*ret];
	return NULL;
}

/* Adds a text that is often that of the line before. */
static int take_text(struct lease_index *x, const char *text, uint32_t *last, uint32_t *ret)
{
	if ((!*last || strcmp(lease_pool_text(&x->pool, *last), text) != 0) && lease_pool_add(&x->pool, text, last))
		return -ENOMEM;
	*ret = *last;
	return 0;
}

/* The part of a session before the slash, with the tenant: servers of two tenants may have the same address. */
static int take_server(struct lease_index *x, const char *tenant, const char *session, uint32_t *ret)
{
	const char *slash = strchr(session, '/');
	char server[LEASE_TENANT + LEASE_SESSION];

	*ret = 0;
	if (!slash || slash == session)
		return 0;
	snprintf(server, sizeof(server), "%s%s%.*s", tenant, *tenant ? "/" : "", (int)(slash - session), session);
	return take_text(x, server, &x->last_server, ret);
}

/* All but the session. */
static int take_texts(struct lease_index *x, const struct lease_line *line, struct lease *ret)
{
	if (take_text(x, line->tenant, &x->last_tenant, &ret->tenant) || lease_pool_add(&x->pool, line->id, &ret->id) ||
	    lease_pool_add(&x->pool, line->mac, &ret->mac) || lease_pool_add(&x->pool, line->circuit, &ret->circuit))
		return -ENOMEM;
	return take_server(x, line->tenant, line->session, &ret->server);
}

static int64_t lower(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t higher(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* When a line says that its lease began; the time of the line if it does not say. */
static int64_t begin_of(const struct lease_line *l)
{
	return l->from == TIME_NONE ? l->time : l->from;
}

static int64_t end_of(const struct lease_line *l)
{
	return l->event == LEASE_STOP && l->to == TIME_OPEN ? l->time : l->to;
}

/* Whether a line is about a lease that ended before it, or was expected to: it begins another. */
static bool begins_anew(const struct lease *l, const struct lease_line *line)
{
	return (l->stopped || l->to != TIME_OPEN) && begin_of(line) > l->to;
}

static void keep_text(uint32_t *at, uint32_t later)
{
	*at = later ? later : *at;
}

/* A further line of a lease. Stopped leases stay so: lines may come late. */
static void go_on(struct lease *l, const struct lease_line *line, const struct lease *texts)
{
	int64_t gap = line->time - l->seen, end = end_of(line);

	keep_text(&l->id, texts->id);
	keep_text(&l->mac, texts->mac);
	keep_text(&l->circuit, texts->circuit);
	l->gap = higher(l->gap, gap < 0 ? -gap : gap);
	/* A start knows its second; what other lines reckon back to may be one off. */
	if (line->event == LEASE_START || (!l->started && line->from != TIME_NONE))
		l->from = l->started || line->event != LEASE_START ? lower(l->from, begin_of(line)) : begin_of(line);
	l->started |= line->event == LEASE_START;
	if (line->event == LEASE_STOP) {
		l->to = l->stopped ? higher(l->to, end) : end;
		l->stopped = true;
	} else if (!l->stopped && line->time >= l->seen) {
		l->to = end;
	}
	l->seen = higher(l->seen, line->time);
	l->line = texts->line;
}

static int add_lease(struct lease_index *x, const struct lease_line *line, const struct lease *texts, uint64_t hash)
{
	struct lease *l;

	if (x->n == UINT32_MAX || array_grow(&x->lease, x->n, &x->room, sizeof(*x->lease)) ||
	    hash_index_add(&x->latest, hash, (uint32_t)x->n))
		return -ENOMEM;
	l = &x->lease[x->n++];
	*l = *texts;
	if (lease_pool_append(&x->sessions, line->session, &l->session))
		return -ENOMEM;
	l->from = begin_of(line);
	l->to = end_of(line);
	l->seen = line->time;
	l->stopped = line->event == LEASE_STOP;
	l->started = line->event == LEASE_START;
	return 0;
}

static int take_lease(struct lease_index *x, const struct lease_line *line)
{
	struct lease texts = { .addr = line->addr, .line = x->lines }, *l;
	uint32_t number;
	uint64_t hash;

	if (take_texts(x, line, &texts))
		return -ENOMEM;
	hash = hash_of(&texts, line->session);
	l = find_latest(x, &texts, line->session, hash, &number);
	if (l && !begins_anew(l, line)) {
		go_on(l, line, &texts);
		return 0;
	}
	if (l)
		hash_index_del(&x->latest, hash, number);
	return add_lease(x, line, &texts, hash);
}

static int take_off(struct lease_index *x, const struct lease_line *line)
{
	struct lease_off off = { .time = line->time, .line = x->lines };

	if (take_server(x, line->tenant, line->session, &off.server) ||
	    array_grow(&x->off, x->n_off, &x->off_room, sizeof(*x->off)))
		return -ENOMEM;
	x->off[x->n_off++] = off;
	return 0;
}

static int take_lost(struct lease_index *x, int64_t from, int64_t to)
{
	if (from == TIME_NONE || from >= to)
		return 0;
	if (array_grow(&x->lost, x->n_lost, &x->lost_room, sizeof(*x->lost)))
		return -ENOMEM;
	x->lost[x->n_lost++] = (struct lease_span){ from, to };
	return 0;
}

/* What went at once is of one customer, and the days between are of his, too. */
static int take_erased(struct lease_index *x, const struct lease_line *line)
{
	struct lease_erasure *e = x->n_erasures ? &x->erasure[x->n_erasures - 1] : NULL;
	int64_t to = lower(line->to, line->time + 1);

	if (e && e->time == line->time) {
		e->from = lower(e->from, line->from);
		e->to = higher(e->to, to);
		return 0;
	}
	if (array_grow(&x->erasure, x->n_erasures, &x->erasure_room, sizeof(*x->erasure)))
		return -ENOMEM;
	x->erasure[x->n_erasures++] = (struct lease_erasure){ line->from, to, line->time };
	return 0;
}

/* The first recording knows nothing of before but what lines say that were imported. */
static int take_begin(struct lease_index *x, const struct lease_line *line, int64_t before)
{
	if (line->from != TIME_NONE)
		return take_lost(x, line->from, line->time);
	if (array_grow(&x->begin, x->n_begin, &x->begin_room, sizeof(*x->begin)))
		return -ENOMEM;
	x->begin[x->n_begin++] = (struct lease_begin){ line->time, before };
	return 0;
}

void lease_index_note(struct lease_index *x, int64_t time)
{
	for (size_t i = 0; i < x->n_begin; i++)
		if (time < x->begin[i].time)
			x->begin[i].before = higher(x->begin[i].before, time);
	x->first_time = lower(x->first_time, time);
	x->last_time = higher(x->last_time, time);
}

int lease_index_feed(struct lease_index *x, const struct lease_line *line)
{
	int64_t before = x->last_time;

	x->lines++;
	lease_index_note(x, line->time);
	switch (line->event) {
	case LEASE_START:
	case LEASE_INTERIM:
	case LEASE_STOP:
		return take_lease(x, line);
	case LEASE_OFF:
		return take_off(x, line);
	case LEASE_BEGIN:
		return take_begin(x, line, before);
	case LEASE_LOST:
		return take_lost(x, line->from, line->to == TIME_OPEN ? line->time : line->to);
	case LEASE_ERASED:
		return take_erased(x, line);
	case LEASE_MARK:
		break;
	}
	return 0;
}

int lease_index_finish(struct lease_index *x)
{
	for (size_t i = 0; i < x->n_begin; i++)
		if (take_lost(x, x->begin[i].before, x->begin[i].time))
			return -ENOMEM;
	hash_index_free(&x->latest);
	x->latest = (struct hash_index){ 0 };
	return lease_ends_find(x);
}
