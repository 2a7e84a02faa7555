// SPDX-License-Identifier: BSD-2-Clause
#include "leases/statements_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/cleanup.h"

const char *lease_doubt_word(enum lease_doubt doubt)
{
	static const char *const words[] = {
#define X(constant, word) [constant] = (word),
		LEASE_DOUBTS(X)
#undef X
	};

	return words[doubt];
}

bool lease_same_customer(const struct lease_holder *a, const struct lease_holder *b)
{
	if (strcmp(a->tenant, b->tenant) != 0 || strcmp(a->id, b->id) != 0)
		return false;
	if (*a->id)
		return true;
	return *a->mac || *b->mac ? !strcmp(a->mac, b->mac) : !strcmp(a->session, b->session);
}

bool holder_is_mac_alone(const struct lease_holder *h)
{
	const char *id = !strncmp(h->id, "01:", 3) ? h->id + 3 : h->id;

	return *h->mac && !*h->session && (!*h->id || !strcmp(id, h->mac) || !strcmp(h->id, h->mac));
}

bool holders_may_be_one(const struct lease_holder *a, const struct lease_holder *b)
{
	return lease_same_customer(a, b) || (!strcmp(a->tenant, b->tenant) && !strcmp(a->mac, b->mac) &&
					     (holder_is_mac_alone(a) || holder_is_mac_alone(b)));
}

int statements_new(const struct lease_addr *addr, struct statements **ret)
{
	struct statements *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->addr = *addr;
	x->first = TIME_OPEN;
	x->last = TIME_NONE;
	*ret = x;
	return 0;
}

void statements_free(struct statements *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; i < x->n_stays; i++)
		free(x->stay[i].statement);
	lease_pool_free(&x->pool);
	free(x->stay);
	free(x->bounds);
	free(x->list);
	lease_spans_free(&x->spans);
	stay_lists_free(&x->lists);
	stay_lists_free(&x->elsewhere);
	free(x);
}

void statements_note(struct statements *x, int64_t time)
{
	lease_spans_note(&x->spans, time);
	x->first = least(x->first, time);
	x->last = most(x->last, time);
}

/* In either order, as a clock is set forward and back. */
int statements_doubt(struct statements *x, int64_t from, int64_t to, enum lease_doubt doubt)
{
	if (from == TIME_NONE || to == TIME_OPEN || from == to)
		return 0;
	return lease_spans_add(&x->spans,
			       (struct lease_span){ .from = least(from, to), .to = most(from, to), .doubt = doubt });
}

/* A text of a tenant's: two tenants may have servers of one address, and numbers alike. */
static int take_of_tenant(struct statements *x, const struct lease_line *l, const char *kind, const char *text,
			  size_t size, uint32_t *ret)
{
	char whole[LEASE_TENANT + 2 + LEASE_SESSION + LEASE_ID];

	snprintf(whole, sizeof(whole), "%s/%s%.*s", l->tenant, kind, (int)size, text);
	return lease_pool_add(&x->pool, whole, ret);
}

static int take_server(struct statements *x, const struct lease_line *l, uint32_t *ret)
{
	const char *slash = strchr(l->session, '/');

	*ret = 0;
	if (!slash || slash == l->session)
		return 0;
	return take_of_tenant(x, l, "", l->session, (size_t)(slash - l->session), ret);
}

/* Of its number or, without one, of the customer. */
static int take_key(struct statements *x, const struct lease_line *l, uint32_t *ret)
{
	const char *customer = *l->id ? l->id : l->mac;

	if (*l->session)
		return take_of_tenant(x, l, "#", l->session, strlen(l->session), ret);
	return take_of_tenant(x, l, "@", customer, strlen(customer), ret);
}

static int take_texts(struct statements *x, const struct lease_line *l, struct statement *ret)
{
	if (lease_pool_add(&x->pool, l->tenant, &ret->tenant) || lease_pool_add(&x->pool, l->id, &ret->id) ||
	    lease_pool_add(&x->pool, l->mac, &ret->mac) || lease_pool_add(&x->pool, l->circuit, &ret->circuit) ||
	    lease_pool_add(&x->pool, l->session, &ret->session) || take_key(x, l, &ret->key))
		return -ENOMEM;
	return take_server(x, l, &ret->server);
}

/* A session's own words: its beginning is one where the line says that it is of this very moment. */
static enum lease_event event_of(const struct lease_line *l)
{
	if (l->event != LEASE_OPEN)
		return l->event;
	return l->from != TIME_NONE && l->from == l->early ? LEASE_START : LEASE_INTERIM;
}

static int take_statement(struct statements *x, const struct lease_line *l)
{
	struct statement s = {
		.early = lease_line_early(l),
		.late = lease_line_late(l),
		.event_at = l->late == TIME_NONE || l->event == LEASE_OPEN ? TIME_NONE : l->time,
		.from = l->from,
		.until = TIME_NONE,
		.order = x->lines,
		.event = event_of(l),
		.here = l->event != LEASE_OFF && !memcmp(&l->addr, &x->addr, sizeof(l->addr)),
		.ends = lease_ends_session(l),
		.stranger = lease_of_stranger(l),
		.broken = l->broken,
		.stay = NO_STAY,
	};

	/* Lines of DHCP have no session, and `to` is the term; an accounting record's is when the next one is late. */
	if (!*l->session && l->event != LEASE_STOP && l->to != TIME_OPEN)
		s.until = l->to;
	if (s.event == LEASE_START && s.from != TIME_NONE && s.from < s.early)
		s.event = LEASE_INTERIM;
	if (take_texts(x, l, &s) || array_grow(&x->list, x->n, &x->room, sizeof(*x->list)))
		return -ENOMEM;
	x->list[x->n++] = s;
	return 0;
}

/*
 * Nothing is known from the end of the former recording, be it of the same second. The first one knows nothing of
 * before: only imported lines do, up to the last of them. A source that is added says nothing of what others said
 * before (`from` is 0).
 */
static int take_begin(struct statements *x, const struct lease_line *l, int64_t last)
{
	if (l->from == 0)
		return lease_spans_add(
			&x->spans, (struct lease_span){ .from = 0, .to = l->time, .doubt = DOUBT_GAP, .added = true });
	if (l->from != TIME_NONE)
		return statements_doubt(x, l->from, l->time + (l->from == l->time), DOUBT_GAP);
	return lease_spans_add(&x->spans, (struct lease_span){ .from = last < l->time ? last : l->time,
							       .to = l->time,
							       .doubt = DOUBT_GAP,
							       .reaches_back = true });
}

int statements_feed(struct statements *x, const struct lease_line *l)
{
	int64_t last = x->last;

	x->lines++;
	statements_note(x, l->time);
	switch (l->event) {
	case LEASE_START:
	case LEASE_INTERIM:
	case LEASE_STOP:
	case LEASE_OFF:
	case LEASE_OPEN:
		return take_statement(x, l);
	case LEASE_BEGIN:
		return take_begin(x, l, last);
	case LEASE_LOST:
		return statements_doubt(x, l->from, l->to == TIME_OPEN ? l->time : l->to, DOUBT_GAP);
	case LEASE_STEP:
		return statements_doubt(x, l->from, l->to, DOUBT_CLOCK);
	case LEASE_ERASED:
		return lease_spans_add(
			&x->spans,
			(struct lease_span){ .from = l->from, .to = l->to, .doubt = DOUBT_ERASED, .erased = l->time });
	case LEASE_MARK:
		break;
	}
	return 0;
}

static int by_time(const void *pa, const void *pb)
{
	const struct statement *a = pa, *b = pb;

	if (a->late != b->late)
		return a->late < b->late ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

static bool is_bound(const struct statement *s)
{
	return s->event == LEASE_START || s->event == LEASE_STOP;
}

/* What is said first of each number, since it was used last; NO_STATEMENT: nothing before this statement. */
static void find_first(const struct statements *x, uint32_t *ret)
{
	for (uint32_t i = 0; i < x->n; i++) {
		uint32_t former = x->list[i].former;

		ret[i] = former == NO_STATEMENT ? NO_STATEMENT : ret[former];
		if (former != NO_STATEMENT && x->list[former].here &&
		    (ret[i] == NO_STATEMENT || is_bound(&x->list[former])))
			ret[i] = former;
	}
}

/* What is said last of it, until it is used again. */
static void find_last(const struct statements *x, uint32_t *ret)
{
	for (uint32_t i = (uint32_t)x->n; i-- > 0;) {
		uint32_t next = x->list[i].next;
		const struct statement *s = next == NO_STATEMENT ? NULL : &x->list[next];

		ret[i] = !s || (s->here && is_bound(s)) ? NO_STATEMENT : ret[next];
		if (s && s->here && s->event != LEASE_START && ret[i] == NO_STATEMENT)
			ret[i] = next;
	}
}

/* A clock that was set back by more than CLOCK_SLACK_S would contradict the length of a session by as much. */
#define SAME_LENGTH_S 2

static bool confirms(const struct statements *x, uint32_t number, const struct statement *s)
{
	const struct statement *other = number == NO_STATEMENT ? NULL : &x->list[number];

	return other && other->event_at == TIME_NONE && other->from != TIME_NONE && other->id == s->id &&
	       other->tenant == s->tenant && distance(other->from, s->from) <= SAME_LENGTH_S;
}

/*
 * A record that has waited is of its event for certain, if its length is right by what is said first or last. Returns
 * whether there is such a record.
 */
static bool settle(struct statements *x, const uint32_t *first, const uint32_t *last)
{
	bool any = false;

	for (uint32_t i = 0; i < x->n; i++) {
		struct statement *s = &x->list[i];

		if (s->here && s->session && s->event_at != TIME_NONE && s->from != TIME_NONE)
			s->settled = (s->event != LEASE_START && confirms(x, first[i], s)) ||
				     (s->event != LEASE_STOP && confirms(x, last[i], s));
		any |= s->settled;
	}
	for (uint32_t i = 0; i < x->n; i++)
		if (x->list[i].settled)
			x->list[i].late = x->list[i].event_at;
	return any;
}

/* Whether the record of a statement about another address is about this one, too: the session has both. */
static void find_both(struct statements *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		struct statement *s = &x->list[i];

		s->both = s->here ||
			  (s->former != NO_STATEMENT && x->list[s->former].late == s->late && x->list[s->former].both);
	}
	for (uint32_t i = (uint32_t)x->n; i-- > 0;) {
		struct statement *s = &x->list[i];

		s->both |= s->next != NO_STATEMENT && x->list[s->next].late == s->late && x->list[s->next].both;
	}
}

/* In order of time, with those of one key linked. */
static int order(struct statements *x)
{
	_cleanup_free_ uint32_t *latest = malloc((x->pool.size + 1) * sizeof(*latest));

	if (!latest)
		return -ENOMEM;
	memset(latest, 0xff, (x->pool.size + 1) * sizeof(*latest));
	if (x->n)
		qsort(x->list, x->n, sizeof(*x->list), by_time);
	x->vague = 0;
	for (uint32_t i = 0; i < x->n; i++) {
		struct statement *s = &x->list[i];

		s->former = latest[s->key];
		s->next = NO_STATEMENT;
		if (s->former != NO_STATEMENT)
			x->list[s->former].next = i;
		latest[s->key] = i;
		x->vague = most(x->vague, s->late - s->early);
	}
	find_both(x);
	return 0;
}

int statements_finish(struct statements *x)
{
	_cleanup_free_ uint32_t *first = calloc(x->n + 1, sizeof(*first));
	_cleanup_free_ uint32_t *last = calloc(x->n + 1, sizeof(*last));
	int r = first && last ? order(x) : -ENOMEM;

	r = r ? r : lease_spans_order(&x->spans);
	if (r)
		return r;
	find_first(x, first);
	find_last(x, last);
	if (settle(x, first, last))
		r = order(x);
	r = r ? r : stays_find(x);
	return r ? r : stays_bound(x);
}
