// SPDX-License-Identifier: BSD-2-Clause
#include "leases/accounting_servers.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/text.h"

struct accounting_server {
	char name[SERVER_NAMES][LEASE_ID];
	bool used[SERVER_NAMES]; /* sessions were named so */
	char from[LEASE_ID];
	uint64_t turn; /* when it was heard of */

	/* Least distance of its clock in this window and in those before; INT64_MAX: none. */
	int64_t window, least, before, earlier;
	int64_t known;	 /* how far the clock is off; INT64_MAX: unknown */
	int64_t written; /* the same, as it is written down */
};

/* Names as they are written down, and those that sessions were named for. */
static const char *const keys[SERVER_NAMES] = { "ipv4", "identifier", "ipv6" };
static const char *const used_keys[SERVER_NAMES] = { "used_ipv4", "used_identifier", "used_ipv6" };

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

static void forget_clock(struct accounting_server *x)
{
	x->least = x->before = x->earlier = x->known = INT64_MAX;
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
	*x = (struct accounting_server){ .written = INT64_MAX };
	forget_clock(x);
	return x;
}

/* Whether a name is new. */
static bool learn_names(struct accounting_server *x, const struct accounting *a)
{
	bool news = strcmp(x->from, a->from) != 0;

	for (unsigned k = 0; k < SERVER_NAMES; k++) {
		if (!*a->name[k] || !strcmp(x->name[k], a->name[k]))
			continue;
		memcpy(x->name[k], a->name[k], sizeof(x->name[k]));
		x->used[k] = false;
		news = true;
	}
	memcpy(x->from, a->from, sizeof(x->from));
	return news;
}

/*
 * The best name of a server is the one of its sessions. All names that its sessions had have ended with a restart.
 * Returns whether one is used for the first time.
 */
static bool name_server(struct accounting_server *x, struct accounting *a)
{
	bool restart = a->status == ACCOUNTING_ON || a->status == ACCOUNTING_OFF, named = false, news = false;

	for (unsigned k = 0; k < SERVER_NAMES; k++) {
		bool best = *x->name[k] && !named;

		named |= best;
		news |= best && !restart && !x->used[k];
		x->used[k] |= best && !restart;
		if (best || (restart && x->used[k]))
			memcpy(a->server[a->n_servers++], x->name[k], sizeof(x->name[k]));
	}
	return news;
}

static bool is_near(int64_t a, int64_t b)
{
	return a != INT64_MAX && b != INT64_MAX && distance(a, b) <= CLOCK_SLACK_S;
}

/*
 * Learns how far the clock is off. That it is further off than was known takes three windows: until then it may have
 * been set back, or its records have waited.
 */
static void learn_clock(struct accounting_server *x, int64_t received, int64_t lag)
{
	int64_t off;

	if (received < x->window || received - x->window >= CLOCK_WINDOW_S) {
		x->earlier = x->before;
		x->before = x->least;
		x->least = INT64_MAX;
		x->window = received;
	}
	x->least = least(x->least, lag);
	off = least(x->least, x->before);
	if (is_near(off, 0) ||
	    (is_near(x->least, x->before) && (off <= x->known || is_near(off, x->known) || is_near(off, x->earlier))))
		x->known = off;
	else if (x->known != INT64_MAX && off < x->known - CLOCK_SLACK_S)
		x->known = INT64_MAX;
}

/* Whether what is known of a clock is no longer what was written. */
static bool tell_clock(struct accounting_server *x)
{
	if (x->known == x->written || is_near(x->known, x->written))
		return false;
	x->written = x->known;
	return true;
}

/*
 * A record that came later than others has waited, or the server's clock was set back: it is of its event, or as late
 * as its arrival. A line is of one day: if these are not, it is of its arrival, or as early as its event.
 */
static void date_by_event(struct accounting *a, int64_t event)
{
	if (event / DAY_S != a->time / DAY_S) {
		a->early = event;
		return;
	}
	a->late = a->time;
	a->time = event;
}

static void date_by_clock(struct accounting_server *x, struct accounting *a, int64_t received)
{
	int64_t lag = a->time - a->event, waited, slack;
	bool known;

	if (x)
		learn_clock(x, received, lag);
	known = x && x->known != INT64_MAX;
	waited = lag - (known ? x->known : 0);
	a->stale = known && waited > ACCOUNTING_STALE_S;
	/* Of a few seconds, it is not known whether the clock is late by them, or whether all records were. */
	slack = known && x->known > 0 && is_near(x->known, 0) ? x->known : 0;
	a->early = known ? TIME_NONE : a->early;
	if (known && waited > CLOCK_SLACK_S)
		date_by_event(a, a->time - waited);
	else
		slack += waited < ACCOUNTING_STALE_S ? waited : ACCOUNTING_STALE_S;
	if (slack > 0)
		a->early = (a->early != TIME_NONE && known ? a->early : a->time) - slack;
}

/* A step is noticed within a second or two: what was sent around it may be of the clock as it was, or as it is. */
#define STEP_NOTICED_S 2

/* A duration before the receiver's clock reads `received`, it read *a->time at the latest. */
static void date_by_delay(const struct accounting_servers *s, struct accounting *a, int64_t received)
{
	int64_t late = received - a->delay, early = late;

	for (unsigned i = s->n_steps; i-- > 0 && early < s->step[i].at + STEP_NOTICED_S;) {
		const struct clock_step *step = &s->step[i];
		int64_t most = late - step->by, least = early - step->by;

		late = late >= step->at - STEP_NOTICED_S && late > most ? late : most;
		early = early >= step->at - STEP_NOTICED_S && early < least ? early : least;
	}
	a->time = late < received ? late : received;
	/* A delay has whole seconds. */
	a->early = (early < a->time ? early : a->time) - 1;
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
		s->news |= learn_names(x, a);
		s->news |= name_server(x, a);
	}
	if (!a->n_servers)
		snprintf(a->server[a->n_servers++], LEASE_ID, "%s",
			 *a->name[NAME_IPV4]	     ? a->name[NAME_IPV4]
			 : *a->name[NAME_IDENTIFIER] ? a->name[NAME_IDENTIFIER]
						     : a->name[NAME_IPV6]);
	a->time = received;
	a->early = a->late = TIME_NONE;
	a->stale = false;
	if (a->delay > ACCOUNTING_STALE_S) {
		a->early = received - ACCOUNTING_STALE_S;
	} else if (a->delay) {
		date_by_delay(s, a, received);
	}
	if (a->event)
		date_by_clock(x, a, received);
	if (x)
		s->news |= tell_clock(x);
}

void accounting_servers_clock_set(struct accounting_servers *s, struct clock_step step)
{
	if (s->n_steps == ACCOUNTING_STEPS)
		memmove(s->step, s->step + 1, --s->n_steps * sizeof(*s->step));
	s->step[s->n_steps++] = step;
	for (unsigned i = 0; i < s->n; i++)
		forget_clock(&s->server[i]);
}

void accounting_servers_write(const struct accounting_servers *s, FILE *out)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct accounting_server *x = &s->server[i];

		fprintf(out, "%c{\"from\":", i ? ',' : '[');
		text_json_string(out, x->from);
		for (unsigned k = 0; k < SERVER_NAMES; k++) {
			fprintf(out, ",\"%s\":", x->used[k] ? used_keys[k] : keys[k]);
			text_json_string(out, x->name[k]);
		}
		if (x->written != INT64_MAX)
			fprintf(out, ",\"behind\":%" PRId64, x->written);
		fputc('}', out);
	}
	fputs(s->n ? "]" : "[]", out);
}

static void read_name(const cJSON *json, const char *key, char ret[static LEASE_ID])
{
	const char *text = json_text(json, key, "");

	if (*text)
		text_keep(ret, LEASE_ID, text, strlen(text));
}

void accounting_servers_read(struct accounting_servers *s, const struct cJSON *json)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, json) {
		const cJSON *behind = cJSON_GetObjectItemCaseSensitive(item, "behind");
		struct accounting_server *x = cJSON_IsObject(item) ? add(s) : NULL;

		if (!x)
			continue;
		x->turn = ++s->turn;
		read_name(item, "from", x->from);
		for (unsigned k = 0; k < SERVER_NAMES; k++) {
			read_name(item, keys[k], x->name[k]);
			read_name(item, used_keys[k], x->name[k]);
			x->used[k] = cJSON_HasObjectItem(item, used_keys[k]);
		}
		/* The next record begins a window, whose least distance is compared with this one. */
		if (cJSON_IsNumber(behind) && fabs(behind->valuedouble) < 1e15)
			x->least = x->known = x->written = (int64_t)behind->valuedouble;
	}
}

void accounting_servers_free(struct accounting_servers *s)
{
	free(s->server);
	*s = (struct accounting_servers){ 0 };
}
