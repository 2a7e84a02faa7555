// SPDX-License-Identifier: BSD-2-Clause
#include "refusals.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "base/hash.h"

#define OTHERS "others"
#define HOUR_S 3600

/* The first place of a table is for all that find none. */
struct place {
	uint64_t key;
	int64_t hour;
	bool used;
	struct refusals_more more;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct place known[1 + REFUSALS_KNOWN], strangers[1 + REFUSALS_STRANGER];

static const struct table {
	struct place *places;
	size_t n;
} tables[] = { { known, ARRAY_SIZE(known) }, { strangers, ARRAY_SIZE(strangers) } };

static uint64_t key_of(const struct refusal_of *r)
{
	return HASH_OF(hash_octets(r->whom, strlen(r->whom)), hash_octets(r->kind, strlen(r->kind)),
		       hash_octets(r->what, strlen(r->what)));
}

static void begin(struct place *p, const struct refusal_of *r, uint64_t key, int64_t hour)
{
	*p = (struct place){ .key = key, .hour = hour, .used = true, .more.ledger = r->ledger };
	snprintf(p->more.whom, sizeof(p->more.whom), "%s", r->whom);
	snprintf(p->more.kind, sizeof(p->more.kind), "%s", r->kind);
	snprintf(p->more.why, sizeof(p->more.why), "%s", r->why);
}

/* The place of a key, or one that is free, or the first one. What an hour before has counted is not free. */
static struct place *place_of(const struct table *t, uint64_t key, int64_t hour)
{
	struct place *vacant = &t->places[0];

	for (size_t i = 1; i < t->n; i++) {
		struct place *p = &t->places[i];

		if (p->used && p->hour == hour && p->key == key)
			return p;
		if (vacant == t->places && (!p->used || (p->hour != hour && !p->more.times)))
			vacant = p;
	}
	return vacant;
}

static bool count(const struct table *t, const struct refusal_of *r, int64_t hour)
{
	static const struct refusal_of others = {
		.whom = OTHERS, .kind = OTHERS, .why = "too many were refused", .ledger = true
	};
	uint64_t key = key_of(r);
	struct place *p = place_of(t, key, hour);
	bool crowded = p == t->places, is_there = p->used && p->hour == hour;

	if (!is_there && crowded && !p->more.times)
		begin(p, &others, 0, hour);
	else if (!is_there && !crowded)
		begin(p, r, key, hour);
	p->more.times += is_there || crowded;
	return !is_there && !crowded;
}

bool refusals_first(const struct refusal_of *r, int64_t now)
{
	bool first;

	pthread_mutex_lock(&mutex);
	first = count(&tables[!r->known], r, now / HOUR_S);
	pthread_mutex_unlock(&mutex);
	return first;
}

/* Of a place whose hour is over; the place keeps that it was the first, so that the hour has no second one. */
static bool take(struct place *p, int64_t hour, bool all, struct refusals_more *ret)
{
	if (!p->used || !p->more.times || (p->hour == hour && !all))
		return false;
	*ret = p->more;
	p->more.times = 0;
	return true;
}

void refusals_take(int64_t now, bool all, void (*tell)(void *arg, const struct refusals_more *m), void *arg)
{
	for (size_t k = 0; k < ARRAY_SIZE(tables); k++)
		for (size_t i = 0; i < tables[k].n; i++) {
			struct refusals_more more;
			bool is;

			pthread_mutex_lock(&mutex);
			is = take(&tables[k].places[i], now / HOUR_S, all, &more);
			pthread_mutex_unlock(&mutex);
			if (is)
				tell(arg, &more);
		}
}
