// SPDX-License-Identifier: BSD-2-Clause
#include "leases/accounting_servers.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct accounting_server {
	char name[SERVER_NAMES][LEASE_ID];
	bool used[SERVER_NAMES]; /* sessions were named so */
	char from[LEASE_ID];
	uint64_t turn; /* when it was heard of */

	/* Least distance of its clock in this window and in the one before; INT64_MAX: none. */
	int64_t window, least, before;
};

static bool same_name(const struct accounting_server *x, const struct accounting *a, enum server_name k)
{
	return *a->name[k] && !strcmp(x->name[k], a->name[k]);
}

/* Whether a record without the best name of a server is of one that has it: it came from there, too. */
static bool is_of(const struct accounting_server *x, const struct accounting *a)
{
	if (*a->name[NAME_IPV4] && *x->name[NAME_IPV4])
		return same_name(x, a, NAME_IPV4);
	if (strcmp(x->from, a->from) != 0)
		return false;
	if (same_name(x, a, NAME_IDENTIFIER) || same_name(x, a, NAME_IPV6))
		return true;
	/* A server that sends for itself alone. */
	return !*a->name[NAME_IPV4] && *a->from && !strcmp(x->name[NAME_IPV4], a->from) &&
	       (!*a->name[NAME_IDENTIFIER] || !*x->name[NAME_IDENTIFIER]);
}

/* The only server that a record may be of; NULL: there is none, or more than one. */
static struct accounting_server *find(const struct accounting_servers *s, const struct accounting *a)
{
	struct accounting_server *found = NULL;

	for (unsigned i = 0; i < s->n; i++) {
		struct accounting_server *x = &s->server[i];

		if (!is_of(x, a))
			continue;
		if (same_name(x, a, NAME_IPV4) ||
		    (!*a->name[NAME_IPV4] && !*x->name[NAME_IPV4] && same_name(x, a, NAME_IDENTIFIER)))
			return x;
		if (found)
			return NULL;
		found = x;
	}
	return found;
}

static struct accounting_server *add(struct accounting_servers *s)
{
	struct accounting_server *x;

	if (!s->server)
		s->server = calloc(ACCOUNTING_SERVERS, sizeof(*s->server));
	if (!s->server)
		return NULL;
	x = &s->server[0];
	for (unsigned i = 1; i < s->n; i++)
		if (s->server[i].turn < x->turn)
			x = &s->server[i];
	if (s->n < ACCOUNTING_SERVERS)
		x = &s->server[s->n++];
	*x = (struct accounting_server){ .least = INT64_MAX, .before = INT64_MAX };
	return x;
}

static void learn_names(struct accounting_server *x, const struct accounting *a)
{
	for (unsigned k = 0; k < SERVER_NAMES; k++) {
		if (!*a->name[k] || !strcmp(x->name[k], a->name[k]))
			continue;
		memcpy(x->name[k], a->name[k], sizeof(x->name[k]));
		x->used[k] = false;
	}
	memcpy(x->from, a->from, sizeof(x->from));
}

/* The best name of a server is the one of its sessions. All names that its sessions had have ended with a restart. */
static void name_server(struct accounting_server *x, struct accounting *a)
{
	bool restart = a->status == ACCOUNTING_ON || a->status == ACCOUNTING_OFF, named = false;

	for (unsigned k = 0; k < SERVER_NAMES; k++) {
		bool best = *x->name[k] && !named;

		named |= best;
		x->used[k] |= best && !restart;
		if (best || (restart && x->used[k]))
			memcpy(a->server[a->n_servers++], x->name[k], sizeof(x->name[k]));
	}
}

static int64_t distance(int64_t a, int64_t b)
{
	return a < b ? b - a : a - b;
}

static bool is_near(int64_t a, int64_t b)
{
	return a != INT64_MAX && b != INT64_MAX && distance(a, b) <= CLOCK_SLACK_S;
}

/* Returns whether it is known how far the clock is off, and how far. */
static bool learn_clock(struct accounting_server *x, int64_t received, int64_t lag, int64_t *ret_off)
{
	if (received < x->window || received - x->window >= CLOCK_WINDOW_S) {
		x->before = x->least;
		x->least = INT64_MAX;
		x->window = received;
	}
	x->least = lag < x->least ? lag : x->least;
	*ret_off = x->least < x->before ? x->least : x->before;
	return is_near(*ret_off, 0) || is_near(x->least, x->before);
}

static void set_early(struct accounting *a, int64_t early)
{
	if (early < a->time)
		a->early = early;
}

static void date_by_clock(struct accounting_server *x, struct accounting *a, int64_t received)
{
	int64_t lag = a->time - a->event, off = 0, waited;
	bool known = x && learn_clock(x, received, lag, &off);

	waited = lag - (known ? off : 0);
	if (waited <= CLOCK_SLACK_S || !known)
		set_early(a, a->time - (waited < ACCOUNTING_STALE_S ? waited : ACCOUNTING_STALE_S));
	else
		a->time -= waited;
	a->stale = known && waited > ACCOUNTING_STALE_S;
}

void accounting_date(struct accounting_servers *s, struct accounting *a, int64_t received)
{
	struct accounting_server *x = find(s, a);

	if (!*a->name[NAME_IPV4] && !*a->name[NAME_IDENTIFIER] && !*a->name[NAME_IPV6])
		memcpy(a->name[NAME_IPV4], a->from, sizeof(a->from));
	x = x ? x : add(s);
	a->n_servers = 0;
	if (x) {
		x->turn = ++s->turn;
		learn_names(x, a);
		name_server(x, a);
	}
	if (!a->n_servers)
		snprintf(a->server[a->n_servers++], LEASE_ID, "%s",
			 *a->name[NAME_IPV4]	     ? a->name[NAME_IPV4]
			 : *a->name[NAME_IDENTIFIER] ? a->name[NAME_IDENTIFIER]
						     : a->name[NAME_IPV6]);
	a->time = received;
	a->early = TIME_NONE;
	a->stale = false;
	if (a->delay > ACCOUNTING_STALE_S)
		a->early = received - ACCOUNTING_STALE_S;
	else
		a->time -= a->delay;
	if (a->event)
		date_by_clock(x, a, received);
}

void accounting_servers_forget_clocks(struct accounting_servers *s)
{
	for (unsigned i = 0; i < s->n; i++)
		s->server[i].least = s->server[i].before = INT64_MAX;
}

void accounting_servers_free(struct accounting_servers *s)
{
	free(s->server);
	*s = (struct accounting_servers){ 0 };
}
