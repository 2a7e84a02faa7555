// SPDX-License-Identifier: BSD-2-Clause
/* Which statements belong together: sessions whose numbers are used again, that move, or are heard of too late. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/cleanup.h"
#include "base/search.h"
#include "leases/statements_private.h"

/* Two sources, or a source and its copy, may differ by as much about when a session began. */
#define SAME_BEGIN_S 5LL

static bool same_text(uint32_t a, uint32_t b)
{
	return a == b || !a || !b;
}

bool stay_is_of(const struct stay *y, const struct statement *s)
{
	if (y->tenant != s->tenant || y->session != s->session)
		return false;
	return s->session ? same_text(y->id, s->id) && same_text(y->mac, s->mac) : y->id == s->id && y->mac == s->mac;
}

/*
 * Whether a statement is of another session than a stay, whose number was used again: by when it began, or as the stay
 * is over, or the number had become another customer's. A lease that was renewed begins anew for some servers.
 */
static bool is_another(const struct statements *x, const struct stay *y, const struct statement *s)
{
	int64_t begin = y->since, from = s->event == LEASE_START ? s->early : s->from;

	if (s->event == LEASE_START && y->over != TIME_OPEN && s->early >= y->over)
		return true;
	if (!s->session && from != TIME_NONE && from == stay_last(x, y)->from)
		return false;
	if (from != TIME_NONE && begin != TIME_NONE)
		return distance(from, begin) > SAME_BEGIN_S;
	if (from != TIME_NONE)
		return from > stay_last(x, y)->early;
	return y->end != TIME_OPEN && s->early > y->end;
}

/* Whether the server gave the address to another one between a stay and a statement. */
static bool given_away(const struct statements *x, const struct stay *y, const struct statement *s)
{
	for (const struct statement *i = stay_last(x, y) + 1; i < s; i++)
		if (i->here && i->stay != NO_STAY && &x->stay[i->stay] != y)
			return true;
	return false;
}

/* Whether a DHCP lease is renewed: its term had not ended, and nobody else had it meanwhile. */
static bool renews(const struct statements *x, const struct stay *y, const struct statement *s)
{
	const struct statement *last = stay_last(x, y);

	return y->over == TIME_OPEN && (last->until == TIME_NONE || last->until >= s->early) && !given_away(x, y, s);
}

/* Whether a session without a number began after the last statement of a stay, as it says: its server shows how old it
 * is. */
static bool began_since(const struct statements *x, const struct stay *y, const struct statement *s)
{
	return s->event == LEASE_INTERIM && s->from != TIME_NONE && s->from > stay_last(x, y)->late;
}

static bool goes_on(const struct statements *x, const struct stay *y, const struct statement *s)
{
	if (!stay_is_of(y, s) || (y->moved && s->early > y->over))
		return false;
	if (!s->session && s->event != LEASE_STOP)
		return renews(x, y, s) && !began_since(x, y, s);
	return !is_another(x, y, s);
}

int64_t stay_began_after(const struct statements *x, const struct statement *s)
{
	if (s->from == TIME_NONE || lease_spans_between(&x->spans, SPANS_UNCLEAR, s->from, s->early))
		return TIME_NONE;
	return s->from - 1 - (s->late - s->early);
}

/* ---- Stays by the names of their sessions */

/* In place of a MAC: the sessions of a number, or of a server, that may not be over. */
#define OF_OPEN (UINT32_MAX - 1)
/* The same: those of a tenant's that have no number, as leases by DHCP. */
#define OF_LEASES (UINT32_MAX - 2)

/* Seconds of one list; those within SAME_BEGIN_S are in two. */
#define SINCE_STEP_S (2 * SAME_BEGIN_S + 1)

static struct stay_names named(uint32_t of, uint32_t id, uint32_t mac)
{
	return (struct stay_names){ of, id, mac, 0 };
}

/* The same, of those that began around a second. */
static struct stay_names named_since(uint32_t of, uint32_t id, uint32_t mac, int64_t since)
{
	return (struct stay_names){ of, id, mac, (uint32_t)(since / SINCE_STEP_S) };
}

static uint32_t number_of(const struct statements *x, const struct stay *y)
{
	return (uint32_t)(y - x->stay);
}

static int list_in_each(struct statements *x, const struct stay *y, struct stay_names names)
{
	int r = 0;

	for (unsigned kind = 0; kind < STAY_KINDS && !r; kind++)
		r = stay_list_add(&x->lists, stay_kept(names, kind), number_of(x, y));
	return r;
}

static int list_since(struct statements *x, const struct stay *y)
{
	return !y->session || y->since == TIME_NONE ? 0
						    : list_in_each(x, y, named_since(y->key, y->id, y->mac, y->since));
}

static int list_names(struct statements *x, const struct stay *y)
{
	int r = list_in_each(x, y, named(y->key, y->id, y->mac));

	return r ? r : list_since(x, y);
}

static int list_lease(struct statements *x, const struct stay *y)
{
	return y->session ? 0 : stay_list_add(&x->lists, named(y->tenant, ANY_NAME, OF_LEASES), number_of(x, y));
}

/* Among those that end as their number is used again, or their server is restarted. */
static int list_open(struct statements *x, struct stay *y)
{
	int r = 0;

	if (y->session && !y->listed)
		r = stay_list_append(&x->lists, named(y->key, ANY_NAME, OF_OPEN), number_of(x, y));
	y->listed = true;
	if (!r && y->server && !y->at_server)
		r = stay_list_append(&x->lists, named(y->server, ANY_NAME, OF_OPEN), number_of(x, y));
	y->at_server = true;
	return r;
}

/* The latest stay in a list before another one, with which a statement goes on (NULL: any); NO_STAY: there is none. */
static uint32_t latest_in(struct statements *x, struct stay_names names, uint32_t before, const struct statement *s)
{
	uint32_t *at = stay_list(&x->lists, names);

	while (at && *at != LIST_END) {
		struct stay_link *link = &x->lists.link[*at];
		const struct stay *y = &x->stay[link->number];
		bool named =
			(names.id == ANY_NAME || names.id == y->id) && (names.mac == ANY_NAME || names.mac == y->mac);

		/* Its names have become known since. */
		if (!named)
			*at = link->next;
		else if (link->number < before && (!s || goes_on(x, y, s)))
			return link->number;
		else
			at = &link->next;
	}
	return NO_STAY;
}

static int add_to(struct statements *x, struct stay *y, uint32_t number)
{
	int64_t from = x->list[number].from;

	if (array_grow(&y->statement, y->n, &y->room, sizeof(*y->statement)))
		return -ENOMEM;
	y->statement[y->n++] = number;
	if (from == TIME_NONE || (y->since != TIME_NONE && from >= y->since))
		return 0;
	y->since = from;
	return list_since(x, y);
}

static int begin_stay(struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];
	const uint32_t *elsewhere = stay_list(&x->elsewhere, named(s->key, s->id, s->mac));
	struct stay *y;
	int r;

	if (array_grow(&x->stay, x->n_stays, &x->stay_room, sizeof(*x->stay)))
		return -ENOMEM;
	y = &x->stay[x->n_stays++];
	*y = (struct stay){
		.tenant = s->tenant,
		.id = s->id,
		.mac = s->mac,
		.circuit = s->circuit,
		.session = s->session,
		.server = s->server,
		.key = s->key,
		.started = s->event == LEASE_START,
		.moved_in = s->session && elsewhere ? x->list[*elsewhere].early : TIME_NONE,
		.since = TIME_NONE,
		.end = TIME_OPEN,
		.over = TIME_OPEN,
	};
	y->begin = y->started ? s->early : most(stay_began_after(x, s), y->moved_in);
	r = list_names(x, y);
	r = r ? r : list_lease(x, y);
	r = r ? r : list_open(x, y);
	return r ? r : add_to(x, y, number);
}

/* A later name of a customer that was not known at first. */
static int keep_texts(struct statements *x, struct stay *y, const struct statement *s)
{
	bool named = (s->id && !y->id) || (s->mac && !y->mac);

	y->id = y->id ? y->id : s->id;
	y->mac = y->mac ? y->mac : s->mac;
	y->circuit = s->circuit ? s->circuit : y->circuit;
	return named ? list_names(x, y) : 0;
}

/* The end of a stay that is recorded, or known to have been by then. */
static void end_stay(struct stay *y, int64_t end, bool recorded)
{
	y->end = least(y->end, end);
	if (recorded)
		y->over = y->over == TIME_OPEN ? end : most(y->over, end);
	if (recorded)
		y->end = y->over;
}

static void end_by_restart(struct stay *y, int64_t end)
{
	end_stay(y, end, true);
	y->off = true;
}

/* The same of a session, whatever is known of its names. */
static uint32_t latest_of(struct statements *x, struct stay_names names, uint32_t before, const struct statement *s)
{
	uint32_t found = NO_STAY;

	for (unsigned kind = 0; kind < STAY_KINDS; kind++) {
		uint32_t i = latest_in(x, stay_sought(names, kind), before, s);

		if (i != NO_STAY && (found == NO_STAY || i > found))
			found = i;
	}
	return found;
}

/* The latest stay of a statement's session before another one that began when it says; NO_STAY: there is none. */
static uint32_t former_of(struct statements *x, const struct statement *s, uint32_t latest)
{
	uint32_t a = latest_of(x, named_since(s->key, s->id, s->mac, s->from - SAME_BEGIN_S), latest, s);
	uint32_t b = latest_of(x, named_since(s->key, s->id, s->mac, s->from + SAME_BEGIN_S), latest, s);

	return a == NO_STAY || (b != NO_STAY && b > a) ? b : a;
}

/*
 * The stay that a statement goes on with: the latest of its session, or one of before that began when it says. Returns
 * NULL if there is none.
 */
static struct stay *stay_of(struct statements *x, const struct statement *s)
{
	struct stay_names own = named(s->key, s->id, s->mac);
	uint32_t found = s->session ? latest_of(x, own, NO_STAY, NULL) : latest_in(x, own, NO_STAY, NULL);

	if (found != NO_STAY && !goes_on(x, &x->stay[found], s))
		found = s->session && s->from != TIME_NONE ? former_of(x, s, found) : NO_STAY;
	return found == NO_STAY ? NULL : &x->stay[found];
}

/* What ends stays that may not be over. */
struct ending {
	struct statements *x;
	const struct statement *by;
	int64_t began;
};

static enum stay_visit end_used_again(void *arg, uint32_t number)
{
	struct ending *e = arg;
	struct stay *y = &e->x->stay[number];

	/* Those that follow began later. */
	if (e->began != TIME_NONE && e->x->list[y->statement[0]].late > e->began)
		return VISIT_ENOUGH;
	if (y->over == TIME_OPEN && !goes_on(e->x, y, e->by))
		end_stay(y, e->by->late, false);
	y->listed = y->over == TIME_OPEN && y->end == TIME_OPEN;
	return y->listed ? VISIT_KEEP : VISIT_DROP;
}

/* Sessions of a number that is used again have ended by then, whatever they were. One of before may be heard of late.
 */
static void end_former(struct statements *x, const struct statement *s)
{
	struct ending e = { x, s, s->session ? stay_began_after(x, s) : TIME_NONE };

	if (s->session && (e.began != TIME_NONE || s->event != LEASE_STOP))
		stay_list_visit(&x->lists, named(s->key, ANY_NAME, OF_OPEN), end_used_again, &e);
}

int64_t stay_ended_by(const struct statements *x, const struct stay *y, const struct statement *s)
{
	int64_t began = x->list[y->statement[0]].from;

	return s->event == LEASE_STOP && s->from != TIME_NONE && began > s->from + 1 ? s->late + began - s->from
										     : s->late;
}

/*
 * Whether what is heard of a session after its end was on the way for long. If its length says that the session went on
 * until then, its end is in doubt. A restart of the server says nothing of a session that has gone on.
 */
static bool came_late(struct stay *y, const struct statement *s)
{
	bool contradicts = s->from != TIME_NONE && s->early > y->over;

	if (y->over == TIME_OPEN || (s->event == LEASE_STOP && s->early > y->over))
		return false;
	if (contradicts && y->off)
		y->over = TIME_OPEN;
	else if (contradicts)
		end_stay(y, s->late, true);
	return y->over != TIME_OPEN;
}

/* A statement of a stay that was there before. */
static int go_on(struct statements *x, struct stay *y, uint32_t number)
{
	int r = add_to(x, y, number);

	if (r)
		return r;
	y->off = false;
	y->end = y->over;
	r = keep_texts(x, y, &x->list[number]);
	return r || y->over != TIME_OPEN ? r : list_open(x, y);
}

/*
 * Whoever has the address by DHCP has it no more, and may never have had it: a stranger has. Who was heard of since has
 * it by another lease.
 */
static void take_stranger(struct statements *x, const struct statement *s)
{
	const uint32_t *first = stay_list(&x->lists, named(s->tenant, ANY_NAME, OF_LEASES));
	uint32_t at = first ? *first : LIST_END;
	struct stay *y;

	while (at != LIST_END && stay_last(x, &x->stay[x->lists.link[at].number])->early > s->early)
		at = x->lists.link[at].next;
	if (at == LIST_END)
		return;
	y = &x->stay[x->lists.link[at].number];
	if (y->over != TIME_OPEN || (stay_last(x, y)->until != TIME_NONE && stay_last(x, y)->until < s->early))
		return;
	end_stay(y, s->late, true);
	y->declined = true;
}

static int take_here(struct statements *x, uint32_t number)
{
	struct statement *s = &x->list[number];
	struct stay *y = stay_of(x, s);
	int r;

	end_former(x, s);
	/* What is heard of a session after its end was on the way for long. */
	if (y && came_late(y, s))
		return 0;
	r = y ? go_on(x, y, number) : begin_stay(x, number);
	if (r)
		return r;
	y = y ? y : &x->stay[x->n_stays - 1];
	s->stay = number_of(x, y);
	if (s->event == LEASE_STOP)
		end_stay(y, stay_ended_by(x, y, s), true);
	return 0;
}

/* A session that has another address, of the same family, or has ended, has this one no more. */
static int take_elsewhere(struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];
	struct stay *y = stay_of(x, s);
	uint32_t *last;

	if (s->both)
		return 0;
	if (y && y->over == TIME_OPEN) {
		end_stay(y, s->late, true);
		y->moved = !s->ends;
	}
	last = stay_list_make(&x->elsewhere, named(s->key, s->id, s->mac));
	if (!last)
		return -ENOMEM;
	*last = number;
	return 0;
}

static enum stay_visit end_restarted(void *arg, uint32_t number)
{
	struct ending *e = arg;
	struct stay *y = &e->x->stay[number];

	/* What began in the same second may have begun after it. */
	if (e->x->list[y->statement[0]].late >= e->by->early)
		return VISIT_ENOUGH;
	if (y->over == TIME_OPEN)
		end_by_restart(y, e->by->late);
	y->at_server = false;
	return VISIT_DROP;
}

static void take_off(struct statements *x, const struct statement *s)
{
	struct ending e = { x, s, TIME_NONE };

	if (s->server)
		stay_list_visit(&x->lists, named(s->server, ANY_NAME, OF_OPEN), end_restarted, &e);
}

int stays_find(struct statements *x)
{
	int r = 0;

	for (uint32_t i = 0; i < x->n && !r; i++) {
		const struct statement *s = &x->list[i];

		if (s->event == LEASE_OFF)
			take_off(x, s);
		else if (s->stranger && s->here)
			take_stranger(x, s);
		else if (s->here)
			r = take_here(x, i);
		else
			r = take_elsewhere(x, i);
	}
	return r;
}
