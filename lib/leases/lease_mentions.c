// SPDX-License-Identifier: BSD-2-Clause
/* Where days mention the address of a question, and when, in the orders in which they are looked at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_large.h"
#include "base/base.h"
#include "base/search.h"
#include "leases/lease_days_private.h"

static int take_mention(void *arg, const struct lease_row *row)
{
	struct question *q = arg;
	int64_t time = lease_row_time(&q->d->day[q->of], row);

	if (row->wrong)
		return 0;
	if (array_grow(&q->mention, q->n, &q->room, sizeof(*q->mention)))
		return -ENOMEM;
	q->mention[q->n++] = (struct mention){
		.time = time,
		.of = row->of,
		.day = (uint32_t)q->of,
		.at = row->at,
		.event = row->event,
		.broken = row->broken,
		.session = row->session,
		.vague = row->vague,
	};
	return 0;
}

static bool by_now(const struct question *q, const struct mention *m)
{
	return m->event == LEASE_OPEN && q->d->day[m->day].begin <= q->from;
}

/* Of lines that repeat one statement, the statement is taken, or the last by the time of the question. */
static void take_once(struct question *q, size_t first, size_t n)
{
	struct mention *kept = owned(q, first), *broken = NULL;

	for (size_t i = first; i < first + n; i++) {
		struct mention *m = owned(q, i);

		m->again = m->event == LEASE_OPEN;
		kept = by_now(q, m) && kept->event == LEASE_OPEN ? m : kept;
		broken = m->broken ? m : broken;
	}
	kept->again = false;
	for (size_t i = first; i < first + n; i++)
		kept->repeated |= by_now(q, owned(q, i));
	if (broken)
		broken->again = false;
}

int64_t lease_mention_known(const struct question *q, const struct mention *m)
{
	int64_t from = m->time;
	size_t i = m->repeated ? count_while(k, q->n,
					     owned(q, k)->of < m->of ||
						     (owned(q, k)->of == m->of && owned(q, k)->time < m->time))
			       : q->n;

	for (; i < q->n && owned(q, i)->of == m->of && owned(q, i)->time == m->time; i++)
		if (by_now(q, owned(q, i)))
			from = most(from, q->d->day[owned(q, i)->day].begin);
	return from;
}

enum order { BY_DAY, BY_TIME, BY_OWNER };

/* What repeats a statement comes behind it. */
static uint64_t key_of(const struct mention *m, enum order by, int64_t first)
{
	if (by == BY_TIME)
		return (uint64_t)(m->time - first) << 1 | (m->event == LEASE_OPEN);
	return by == BY_DAY ? m->day : m->of;
}

#define DIGIT_BITS 11U

/* Orders mentions by a key, and those with the same one as they were; often they are in order. spare: room for as many.
 */
static void order_by(const struct question *q, enum order by, int64_t first, uint32_t *list, uint32_t *spare)
{
	uint64_t last = 0, most_key = 0;
	bool ordered = true;

	for (size_t i = 0; i < q->n; i++) {
		uint64_t key = key_of(&q->mention[list[i]], by, first);

		ordered &= key >= last;
		most_key = key > most_key ? key : most_key;
		last = key;
	}
	for (unsigned shift = 0; !ordered && shift < 64 && most_key >> shift; shift += DIGIT_BITS) {
		uint32_t place[(1U << DIGIT_BITS) + 1] = { 0 };
		const uint64_t mask = (1U << DIGIT_BITS) - 1;

		for (size_t i = 0; i < q->n; i++)
			place[(key_of(&q->mention[list[i]], by, first) >> shift & mask) + 1]++;
		for (size_t i = 1; i <= mask; i++)
			place[i] += place[i - 1];
		for (size_t i = 0; i < q->n; i++)
			spare[place[key_of(&q->mention[list[i]], by, first) >> shift & mask]++] = list[i];
		memcpy(list, spare, q->n * sizeof(*list));
	}
}

static int order_mentions(struct question *q)
{
	_cleanup_free_ uint32_t *spare = array_large(q->n, sizeof(*spare));
	int64_t first = INT64_MAX;

	free(q->owned);
	free(q->timed);
	q->owned = array_large(q->n, sizeof(*q->owned));
	q->timed = array_large(q->n, sizeof(*q->timed));
	if (!spare || !q->owned || !q->timed)
		return -ENOMEM;
	for (size_t i = 0; i < q->n; i++) {
		q->timed[i] = (uint32_t)i;
		first = least(first, q->mention[i].time);
	}
	order_by(q, BY_DAY, first, q->timed, spare);
	order_by(q, BY_TIME, first, q->timed, spare);
	memcpy(q->owned, q->timed, q->n * sizeof(*q->owned));
	order_by(q, BY_OWNER, first, q->owned, spare);
	return 0;
}

static bool same_moment(const struct mention *a, const struct mention *b)
{
	return a->of == b->of && a->time == b->time;
}

/* Makes room for the mentions of days that are ready and not taken yet. 0 or -ENOMEM. */
static int make_room(struct question *q, uint64_t key)
{
	struct mention *larger;
	size_t room = q->n;

	for (size_t i = 0; i < q->d->names.n; i++)
		room += q->d->day[i].ready && !q->taken[i] ? lease_index_most(&q->d->day[i], key) : 0;
	if (room <= q->room)
		return 0;
	larger = array_large(room, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	if (q->n)
		memcpy(larger, q->mention, q->n * sizeof(*larger));
	free(q->mention);
	q->mention = larger;
	q->room = room;
	return 0;
}

int lease_mentions_take(struct question *q)
{
	uint64_t key = lease_day_addr_key(q->addr);
	size_t before = q->n;
	int r = make_room(q, key);

	for (size_t i = 0; i < q->d->names.n && !r; i++) {
		q->of = q->at = i;
		if (q->d->day[i].ready && !q->taken[i])
			r = lease_index_rows(q->d->dir, &q->d->day[i], key, take_mention, q);
		q->taken[i] |= q->d->day[i].ready;
	}
	if (r || q->n == before)
		return r;
	r = order_mentions(q);
	if (r)
		return r;
	for (size_t i = 0, end; i < q->n; i = end) {
		for (end = i + 1; end < q->n && same_moment(owned(q, i), owned(q, end));)
			end++;
		take_once(q, i, end - i);
	}
	q->n_timed = 0;
	for (size_t i = 0; i < q->n; i++)
		if (!timed(q, i)->again)
			q->timed[q->n_timed++] = q->timed[i];
	return 0;
}
