/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk behind listings. */
#include <errno.h>
#include <string.h>

#include "proto/words.h"
#include "sessions/sessions.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"
#include "tables/overflow_map.h"

/* Sessions visited between two looks at the clock. */
#define LOOK_INTERVAL 16U

struct session_walk {
	struct subscriber_iterator it;
	uint64_t first, last; /* places */
	uint64_t last_here;   /* of mappings in use, or of the drain that is being walked */
	size_t drain;	      /* the next one to be walked */
	bool gathered;	      /* overflow sessions up to it.last are in the heap */
	struct overflow_scan scan;
	struct overflow_heap heap;
	uint64_t slot_place; /* the subscriber at which the last step stopped, */
	uint32_t slot;	     /* and the slot to continue at */

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
	w->it.one_kind = true;
	w->last = w->last_here = w->it.last;
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
	struct subscriber_iterator one;
	int r = is_nowhere(m, place) ? -ENOENT : session_walk_new(m, ret);

	if (r)
		return r;
	place = with_tenant(m, place);
	(*ret)->it.next = (*ret)->it.last = (*ret)->first = (*ret)->last = (*ret)->last_here = place;
	/* An address without sessions is in no run of subscribers. */
	(*ret)->gathered = subscriber_find(&one, m, place) || !overflow_count(one.subscriber);
	return 0;
}

uint64_t session_walk_place(const struct session_walk *w)
{
	return w->first;
}

void session_walk_free(struct session_walk *w)
{
	if (!w)
		return;
	overflow_scan_end(&w->scan);
	overflow_heap_free(&w->heap);
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
static bool visit_one(struct session_walk *w, uint64_t key, uint64_t word)
{
	const struct subscriber_iterator *it = &w->it;
	struct session s = session_of(it->map, it->in_addr, key, word, it->now, mappings_datapath(it->m)->hz);

	w->result = w->visit(&s, w->arg);
	if (w->result)
		return true;
	w->result = 1;
	return !(++w->visited % LOOK_INTERVAL) && monotonic_us() >= w->deadline_us;
}

static int visit_subscriber(struct subscriber_iterator *it, void *arg)
{
	struct session_walk *w = arg;
	const struct overflow_key *top;
	uint64_t key, word, place = subscriber_place(it);

	if (w->slot_place != place) {
		w->slot_place = place;
		w->slot = 0;
	}
	while (w->slot < subscriber_slots(it)) {
		const struct slot *slot = subscriber_slot(it, w->slot++);

		if (slot_read(slot, &key, &word) && visit_one(w, key, word))
			return 1;
	}
	while ((top = overflow_heap_top(&w->heap)) && overflow_heap_place(top) <= place) {
		struct overflow_key in2out = *top;
		bool own = overflow_heap_place(top) == place;

		overflow_heap_pop(&w->heap);
		in2out.pad = 0;
		if (own && !overflow_word(mappings_datapath(it->m), &in2out, &word) &&
		    mappings_of_overflow(it->m, &in2out) == it->number &&
		    visit_one(w, overflow_slot_key(&in2out), word))
			return 1;
	}
	return 0;
}

/* The tenant whose subscriber has a session beyond the slots; 0: none, or it is not known. */
static uint8_t tenant_of(const struct mappings *m, const struct overflow_key *key)
{
	int number = mappings_of_overflow(m, key);

	return number < 0 ? 0 : mappings_get(m, number)->tenant;
}

/* Gathers keys of overflow sessions of the subscribers walked: 1: more to do, 0: done, or -errno. */
static int gather(struct session_walk *w)
{
	const struct datapath *d = mappings_datapath(w->it.m);
	int r = overflow_scan_step(&w->scan, d);

	for (uint32_t i = 0; r >= 0 && i < w->scan.n; i++) {
		struct overflow_key key = w->scan.keys[i];

		if (key.direction != OVERFLOW_IN2OUT)
			continue;
		key.pad = tenant_of(w->it.m, &key);
		if (overflow_heap_place(&key) < w->it.next || overflow_heap_place(&key) > w->it.last)
			continue;
		if (overflow_heap_push(&w->heap, &key))
			r = -ENOMEM;
	}
	if (r <= 0) {
		overflow_scan_end(&w->scan);
		w->gathered = true;
		if (w->heap.cut)
			w->it.last = w->heap.end - 1;
	}
	return r;
}

/* Continues with draining sessions, which come after the others. */
static bool next_drain(struct session_walk *w)
{
	const struct mapping_drain *d;

	while (w->drain < mappings_drains(w->it.m, &d)) {
		if (!subscriber_iterator_drain(&w->it, w->drain++, w->first, w->last))
			continue;
		w->last_here = w->it.last;
		w->slot_place = 0;
		w->slot = 0;
		return true;
	}
	return false;
}

/* Slots and gathered overflow sessions are done: prepares to gather the next ones. False if there are none. */
static bool go_on(struct session_walk *w)
{
	if (w->it.last != w->last_here)
		w->it.last = w->last_here;
	else if (!next_drain(w))
		return false;
	overflow_heap_clear(&w->heap);
	w->gathered = false;
	return true;
}

int session_walk_step(struct session_walk *w, unsigned budget_us, session_visit visit, void *arg)
{
	w->visit = visit;
	w->arg = arg;
	w->deadline_us = monotonic_us() + budget_us;
	do {
		while (!w->gathered) {
			int r = gather(w);

			if (r < 0)
				return r;
			if (monotonic_us() >= w->deadline_us)
				return 1;
		}
		w->result = 1;
		if (subscriber_iterate(&w->it, w->deadline_us, visit_subscriber, w))
			return w->result;
	} while (go_on(w));
	return 0;
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

size_t session_text(const struct session *s, char text[static SESSION_TEXT])
{
	const char *proto = word_text(proto_words, s->proto);
	char *at = put_text(text, "{\"proto\":\"");

	at = put_text(at, proto ? proto : "other");
	at = put_text(at, "\",\"in_addr\":\"");
	at = put_addr(at, s->in_addr);
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
	at = put_text(at, ",\"state\":\"");
	at = put_text(at, session_state_name(s->state));
	at = put_text(at, "\",\"expires\":");
	at = put_number(at, s->expires);
	at = put_text(at, "}\n");
	return (size_t)(at - text);
}
