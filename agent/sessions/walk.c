/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk behind listings. */
#include <errno.h>
#include <string.h>

#include "base/virtual6.h"
#include "proto/words.h"
#include "sessions/sessions.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"

/* Sessions visited between two looks at the clock. */
#define LOOK_INTERVAL 16U

struct session_walk {
	struct subscriber_iterator it;
	uint64_t first; /* place */
	/* The subscriber at which the last step stopped, and the slot to continue at. */
	uint64_t slot_place;
	unsigned slot_kind;
	uint32_t slot;

	/* For the present step. */
	session_visit visit;
	void *arg;
	uint64_t deadline_us;
	unsigned visited;
	int result;
};

int session_walk_new(struct mappings *m, struct session_walk **ret)
{
	struct session_walk *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	subscriber_iterator_init(&w->it, m);
	*ret = w;
	return 0;
}

/* The place with the tenant, where it was not known. */
static uint64_t with_tenant(struct mappings *m, uint64_t place)
{
	struct subscriber_iterator it;

	return inside_tenant(place) || subscriber_find_any(&it, m, place) ? place : subscriber_place(&it);
}

bool is_nowhere(const struct mappings *m, uint64_t place)
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; i < n; i++)
		if (drain_holds(m, &d[i], place))
			return false;
	return mappings_find_inside(m, inside_tenant(place), inside_addr(place)) < 0;
}

int session_walk_new_subscriber(struct mappings *m, uint64_t place, struct session_walk **ret)
{
	int r = is_nowhere(m, place) ? -ENOENT : session_walk_new(m, ret);

	if (r)
		return r;
	place = with_tenant(m, place);
	(*ret)->it.next = (*ret)->it.last = (*ret)->first = place;
	return 0;
}

uint64_t session_walk_place(const struct session_walk *w)
{
	return w->first;
}

void session_walk_free(struct session_walk *w)
{
	free(w);
}

void session_walk_skip_idle(struct session_walk *w)
{
	w->it.idle_turn = 1; /* under a mask of 0 */
}

unsigned session_walk_kind(const struct session_walk *w)
{
	return w->it.kind;
}

/* True to stop here: the time is up, or visit asked for it. */
static bool visit_one(struct session_walk *w, const struct session *s)
{
	w->result = w->visit(s, w->arg);
	if (w->result)
		return true;
	w->result = 1;
	return !(++w->visited % LOOK_INTERVAL) && monotonic_us() >= w->deadline_us;
}

static int visit_subscriber(struct subscriber_iterator *it, void *arg)
{
	struct session_walk *w = arg;
	uint64_t key, word, place = subscriber_place(it);

	if (w->slot_place != place || w->slot_kind != it->kind) {
		w->slot_place = place;
		w->slot_kind = it->kind;
		w->slot = 0;
	}
	while (w->slot < subscriber_slots(it)) {
		const struct slot *slot = subscriber_slot(it, w->slot++);

		while (slot_read(slot, &key, &word)) {
			struct session s = session_of(it->m, it->map, it->in_addr, key, word, it->now);

			if (!slot_has(it->map, slot, word))
				continue;
			if (visit_one(w, &s))
				return 1;
			break;
		}
	}
	return 0;
}

int session_walk_step(struct session_walk *w, unsigned budget_us, session_visit visit, void *arg)
{
	w->visit = visit;
	w->arg = arg;
	w->deadline_us = monotonic_us() + budget_us;
	w->result = 1;
	return subscriber_iterate(&w->it, w->deadline_us, visit_subscriber, w) ? w->result : 0;
}

static char *put_text(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *put_number(char *at, uint32_t n)
{
	char digits[10];
	unsigned i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	memcpy(at, &digits[i], sizeof(digits) - i);
	return at + sizeof(digits) - i;
}

static char *put_addr(char *at, uint32_t addr)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		at = put_number(at, addr >> shift & 255);
		*at++ = '.';
	}
	return at - 1;
}

/* Of an IPv6 subscriber, its host's address, and its prefix. */
static char *put_inside(char *at, const struct session *s)
{
	char text[INSIDE_TEXT];

	if (!virtual6_is(s->in_addr))
		return put_addr(at, s->in_addr);
	at = put_text(at, address6_text(&s->host, text));
	at = put_text(at, "\",\"in_prefix\":\"");
	return put_text(at, inside_text(s->in_addr, text));
}

size_t session_text(const struct session *s, char text[static SESSION_TEXT])
{
	const char *proto = word_text(proto_words, s->proto);
	char *at = put_text(text, "{\"proto\":\"");

	at = put_text(at, proto ? proto : "other");
	at = put_text(at, "\",\"in_addr\":\"");
	at = put_inside(at, s);
	at = put_text(at, "\",\"in_port\":");
	at = put_number(at, s->in_port);
	at = put_text(at, ",\"out_addr\":\"");
	at = put_addr(at, s->out_addr);
	at = put_text(at, "\",\"out_port\":");
	at = put_number(at, s->out_port);
	at = put_text(at, ",\"ext_addr\":\"");
	at = put_addr(at, s->ext_addr);
	at = put_text(at, "\",\"ext_port\":");
	at = put_number(at, s->ext_port);
	if (virtual6_is(s->in_addr)) {
		char six[INSIDE_TEXT];

		at = put_text(at, ",\"ext_addr6\":\"");
		at = put_text(at, address6_text(&s->ext6, six));
		at = put_text(at, "\"");
	}
	at = put_text(at, ",\"state\":\"");
	at = put_text(at, session_state_name(s->state));
	at = put_text(at, "\",\"expires\":");
	at = put_number(at, s->expires);
	at = put_text(at, "}\n");
	return (size_t)(at - text);
}
