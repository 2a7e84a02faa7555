/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions/pool_states.h"

#include <errno.h>
#include <stdlib.h>

#include "base/inside_runs.h"
#include "tables/mapping_drains.h"

const char *const pool_state_texts[N_POOL_STATES] = {
#define X(constant, text) [constant] = text,
	POOL_STATES(X)
#undef X
};

struct pool_states {
	const struct mappings *mappings;
	struct pool *pool; /* by address */
	size_t n;
	size_t room;
	struct inside_run *run;
	size_t n_runs;
	struct prefix within; /* 0.0.0.0/0: all */
	size_t at;	      /* the pool under way */
	uint64_t offset;      /* of the next address in it */
};

void pool_states_free(struct pool_states *s)
{
	if (!s)
		return;
	free(s->pool);
	free(s->run);
	free(s);
}

static int add_pool(struct pool_states *s, const struct pool *p)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct pool *more = reallocarray(s->pool, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->pool = more;
		s->room = room;
	}
	s->pool[s->n++] = *p;
	return 0;
}

/* Adds the part of a spare prefix that is in no pool; the pools come first in the list. */
static int add_spare(struct pool_states *s, size_t n_pools, struct pool spare)
{
	bool used = false;

	for (size_t i = 0; i < n_pools; i++) {
		if (!prefixes_overlap(s->pool[i].out, spare.out))
			continue;
		if (prefix_within(spare.out, s->pool[i].out))
			return 0;
		used = true;
	}
	if (!used)
		return add_pool(s, &spare);
	spare.out.plen++;
	if (add_spare(s, n_pools, spare))
		return -ENOMEM;
	spare.out.base |= 1U << (32 - spare.out.plen);
	return add_spare(s, n_pools, spare);
}

static int by_address(const void *a, const void *b)
{
	const struct pool *x = a, *y = b;

	return (x->out.base > y->out.base) - (x->out.base < y->out.base);
}

/* Gathers all pools of the tables, including draining ones, and the inside addresses of each mapping in use. */
static int gather_pools(struct pool_states *s, const struct mappings *m, const struct config *c)
{
	_cleanup_free_ struct inside_range *inside = calloc(MAX_MAPPINGS, sizeof(*inside));
	size_t n = 0;

	s->run = calloc(INSIDE_RUNS(MAX_MAPPINGS), sizeof(*s->run));
	if (!inside || !s->run)
		return -ENOMEM;
	for (int number = 0; number < (int)MAX_MAPPINGS; number++) {
		const struct mapping *record = mappings_get(m, number);
		const struct geometry *g = record ? &record->geo : NULL;
		struct pool p = { .number = number };

		if (!g)
			continue;
		p.in = geometry_in(g);
		p.geo = *g;
		if (!mappings_is_retired(m, number))
			inside[n++] = inside_range_of(record->tenant, p.in, (unsigned)number);
		p.tenant = record->tenant;
		if (g->out_plen == PLEN_NONE)
			continue;
		p.out = p.of = geometry_out(g);
		snprintf(p.name, sizeof(p.name), "%s", config_mapping_name(c, tenant_name(c, p.tenant), p.in, p.out));
		if (add_pool(s, &p))
			return -ENOMEM;
	}
	s->n_runs = inside_runs(inside, n, s->run);
	return 0;
}

static int gather(struct pool_states *s, const struct mappings *m, const struct config *c)
{
	int r = gather_pools(s, m, c);
	size_t n_pools = s->n;

	for (size_t i = 0; !r && i < c->n_mappings; i++) {
		const struct config_mapping *of = &c->mappings[i];

		for (uint32_t k = 0; !r && !of->part && k < of->n_spare; k++) {
			struct pool spare = { .out = of->spare[k],
					      .in = of->in,
					      .of = of->out,
					      .tenant = config_mapping_tenant(c, of),
					      .number = -1 };

			snprintf(spare.name, sizeof(spare.name), "%s", of->name);
			r = add_spare(s, n_pools, spare);
		}
	}
	if (s->n)
		qsort(s->pool, s->n, sizeof(*s->pool), by_address);
	return r;
}

/* Number of inside addresses first..last that the mapping itself translates. */
static uint64_t count_between(const struct pool_states *s, const struct pool *p, uint32_t first, uint32_t last)
{
	const uint64_t begin = inside_place(p->tenant, first), end = inside_place(p->tenant, last);
	uint64_t n = 0;

	for (size_t i = inside_run_at(s->run, s->n_runs, begin); i < s->n_runs && s->run[i].first <= end; i++) {
		uint64_t from = s->run[i].first > begin ? s->run[i].first : begin;
		uint64_t to = s->run[i].last < end ? s->run[i].last : end;

		if (s->run[i].number == p->number)
			n += to - from + 1;
	}
	return n;
}

/* The subscribers of one outside address: every stride-th of the mapping's from the first one on. */
struct sharers {
	uint32_t first;
	uint32_t stride;
	uint32_t n;
};

/* Number of subscribers of an outside address that the mapping itself translates. */
static uint64_t subscribers_of(const struct pool_states *s, const struct pool *p, const struct sharers *of)
{
	uint32_t in = p->geo.in_base + of->first;
	uint64_t n = 0;

	if (of->stride == 1 && of->n)
		return count_between(s, p, in, in + of->n - 1);
	for (uint32_t i = 0; i < of->n; i++, in += of->stride)
		n += count_between(s, p, in, in);
	return n;
}

/* Sessions, from the records of the subscribers, whether they now have an exception or not. */
static uint64_t sessions_of(const struct mappings *m, const struct pool *p, const struct sharers *of)
{
	const struct mapping *record = mappings_get(m, p->number);
	uint64_t sessions = 0;
	uint32_t done = 0;

	/* It may have been deleted since the listing began. */
	if (!record || !mapping_equal(&record->geo, &p->geo) || record->first_bucket == NO_BUCKETS)
		return 0;
	while (done < of->n) {
		uint32_t subscriber = of->first + done * of->stride, run = mappings_run(m, p->number, subscriber);
		const struct subscriber *s = mappings_subscriber(m, p->number, subscriber);

		for (uint32_t i = 0; i < run && done < of->n; i += of->stride, done++)
			sessions += __atomic_load_n(&s[i].sessions, __ATOMIC_RELAXED);
	}
	return sessions;
}

/* Goes to the next address within the prefix: false where there is none. */
static bool goto_next(struct pool_states *s)
{
	for (; s->at < s->n; s->at++, s->offset = 0) {
		const struct prefix out = s->pool[s->at].out;

		if (!prefixes_overlap(out, s->within))
			continue;
		if (s->within.base > out.base && s->offset < s->within.base - out.base)
			s->offset = s->within.base - out.base;
		if (s->offset < prefix_count(out) && prefix_holds(s->within, (uint32_t)(out.base + s->offset)))
			return true;
	}
	return false;
}

bool pool_states_next(struct pool_states *s, struct pool_address *ret)
{
	const struct pool *p;
	struct sharers of;

	if (!goto_next(s))
		return false;
	p = &s->pool[s->at];
	*ret = (struct pool_address){ .pool = p, .state = POOL_SPARE, .addr = (uint32_t)(p->out.base + s->offset) };
	s->offset++;
	if (p->number < 0)
		return true;
	of.n = mapping_sharers(&p->geo, ret->addr, &of.first, &of.stride);
	ret->subscribers = subscribers_of(s, p, &of);
	ret->sessions = sessions_of(s->mappings, p, &of);
	ret->state = ret->subscribers ? POOL_IN_USE : ret->sessions ? POOL_DRAINING : POOL_OUT_OF_USE;
	return true;
}

uint64_t pool_states_pass(struct pool_states *s)
{
	const struct pool *p;
	struct sharers of;
	size_t at;

	if (!goto_next(s) || s->offset)
		return 0;
	p = &s->pool[s->at];
	at = inside_run_at(s->run, s->n_runs, inside_place(p->tenant, p->in.base));
	/* Not if addresses at the end have no subscribers. */
	if (p->number < 0 || !mapping_sharers(&p->geo, p->out.base + p->geo.last_out, &of.first, &of.stride))
		return 0;
	if (at == s->n_runs || s->run[at].number != p->number ||
	    s->run[at].first != inside_place(p->tenant, p->in.base) ||
	    s->run[at].last != inside_place(p->tenant, prefix_last(p->in)))
		return 0;
	s->at++;
	return prefix_count(p->out);
}

int pool_states_new(const struct mappings *m, const struct config *c, const struct prefix *within,
		    struct pool_states **ret)
{
	struct pool_states *s = calloc(1, sizeof(*s));
	int r = s ? gather(s, m, c) : -ENOMEM;

	if (!r) {
		s->mappings = m;
		s->within = within ? *within : (struct prefix){ 0, 0 };
		r = !within || goto_next(s) ? 0 : -ENOENT;
	}
	if (r) {
		pool_states_free(s);
		return r;
	}
	*ret = s;
	return 0;
}
