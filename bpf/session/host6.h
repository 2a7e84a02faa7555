/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The lines of a subscriber's hosts, <detnat/prefix6.h>. Lines are made under the opener's lock, lowest free number
 * first. A line whose lower half is 0 is empty: no host has such an address (RFC 4291 section 2.6.1). Of those that are
 * not, some may name hosts whose sessions have all ended: the slots say so, and are asked only once no line is empty.
 */
#ifndef DETNAT_HOST6_H
#define DETNAT_HOST6_H

#include "base/lock.h"
#include "session/opening.h"
#include "session/quota.h"

/* How long a host must have been silent to give way to another one, seconds. */
#define HOST6_SILENT_S 60U

/* What a walk has found, one record per core. */
struct host6_look {
	__u64 used;	      /* a bit for each number that a live session has */
	__u32 age[HOSTS_MAX]; /* of its youngest session, ticks */
	__u32 ending;	      /* number whose sessions are to end; HOST6_NONE */
	__u32 failed;	      /* 1: one of them has been refreshed meanwhile */
	__s32 empty;	      /* lowest empty line; -1 */
	__s32 found;	      /* the host's line; -1 */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct host6_look);
} host6_looks SEC(".maps");

static __always_inline struct host6_look *host6_look_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&host6_looks, &zero);
}

/* Looks at line i for the host. */
static long host6_look_line(__u32 i, void *unused)
{
	struct host6_look *l = host6_look_get();
	const struct six *x = six_get();
	const struct host6 *h = x ? host6_of(x, i) : 0;

	if (!l || !h)
		return LOOP_END;
	if (host6_has(x, h)) {
		STORE(l->found, (__s32)i);
		return LOOP_END;
	}
	if (!LOAD(h->lo) && LOAD(l->empty) < 0)
		STORE(l->empty, (__s32)i);
	return LOOP_ON;
}

/* Number of the line of the packet's host, also in struct six; -1: it has none. */
SUBPROGRAM int host6_find(void)
{
	struct host6_look *l = host6_look_get();
	struct six *x = six_get();

	if (!l || !x)
		return -1;
	STORE(l->found, -1);
	STORE(l->empty, -1);
	bpf_loop(LOAD(x->hosts), host6_look_line, 0, 0);
	STORE(x->host, (__u32)LOAD(l->found));
	return LOAD(l->found);
}

/* See bpf/base/family.h: of one subscriber in another mapping, as while it drains, hosts have other numbers. */
SUBPROGRAM int six_turn_to(const struct mapping *m, __u32 subscriber)
{
	struct six *x = six_get();
	const struct record6 *r;

	if (!m || !x)
		return -1;
	r = record6_of(LOAD(m->record6));
	if (!r)
		return -1;
	STORE(x->line, host6_number(r, m->host_shift, subscriber, 0));
	STORE(x->hosts, r->hosts);
	host6_find();
	return 0;
}

struct host6_walk {
	const struct mapping *m;
	struct subscriber *s;
	__u32 subscriber;
	__u32 now;
};

/*
 * Under the lock: a session in a slot. If it has expired it ends, if its host gives way it ends, too; else it is noted.
 */
SUBPROGRAM int host6_look_slot(const struct mapping *m, struct subscriber *s, struct slot *slot, __u32 subscriber)
{
	struct host6_look *l = host6_look_get();
	__u32 host, age, now = now_ticks();
	__u64 word, key;
	__s32 ticks;

	if (!m || !s || !slot || !l)
		return 0;
	word = LOAD(slot->truth);
	if (!word_is_live(word) || slot_gives_way(m, s, slot, subscriber, PORT_FREE))
		return 0;
	host = word_host(word);
	if (host == LOAD(l->ending)) {
		key = LOAD(slot->key);
		if (!slot_change(slot, word, 0)) {
			STORE(l->failed, 1);
			return 0;
		}
		if (word_state(word) != SESSION_TIME_WAIT) {
			limit_ended(m, subscriber, word_proto(word), 1);
			__sync_fetch_and_add(&s->sessions, -1U);
		}
		slot_closed(m, subscriber, key, word);
		return 0;
	}
	ticks = word_age(word, now);
	age = ticks < 0 ? 0 : (__u32)ticks;
	if (!(LOAD(l->used) >> host & 1) || age < LOAD(l->age[host & (HOSTS_MAX - 1)]))
		STORE(l->age[host & (HOSTS_MAX - 1)], age);
	STORE(l->used, LOAD(l->used) | 1ULL << host);
	return 0;
}

static long host6_look_bucket(__u32 i, struct host6_walk *w)
{
	struct bucket *b = subscriber_bucket(w->m, w->subscriber, i);

	if (!b)
		return LOOP_END;
	for (__u32 k = 0; k < BUCKET_SLOTS; k++)
		host6_look_slot(w->m, w->s, &b->slot[k], w->subscriber);
	return LOOP_ON;
}

/* Under the lock: looks at all slots. ending: as in struct host6_look. */
static __always_inline void host6_walk(struct host6_walk *w, struct host6_look *l, __u32 ending)
{
	__u32 buckets = subscriber_buckets(w->m, w->s);

	STORE(l->used, 0);
	STORE(l->ending, ending);
	STORE(l->failed, 0);
	bpf_loop(buckets, host6_look_bucket, w, 0);
	search_count(w->s, buckets / QUOTA_UNIT + (buckets < QUOTA_UNIT));
}

/* Line i, after a walk: empties it if no session has its number; else notes the host silent for longest. */
static long host6_clear_line(__u32 i, void *unused)
{
	struct host6_look *l = host6_look_get();
	const struct six *x = six_get();
	struct host6 *h = x ? host6_of(x, i) : 0;

	if (!l || !h)
		return LOOP_END;
	if (LOAD(h->count))
		return LOOP_ON;
	if (!(LOAD(l->used) >> (i & (HOSTS_MAX - 1)) & 1)) {
		STORE(h->lo, 0);
		if (LOAD(l->empty) < 0)
			STORE(l->empty, (__s32)i);
	} else if (LOAD(l->found) < 0 ||
		   LOAD(l->age[i & (HOSTS_MAX - 1)]) > LOAD(l->age[LOAD(l->found) & (HOSTS_MAX - 1)])) {
		STORE(l->found, (__s32)i);
	}
	return LOOP_ON;
}

/* Under the lock, where no line is empty: empties those that can be; one at least, or returns -1. */
SUBPROGRAM int host6_make_room(const struct mapping *m, struct subscriber *s, __u32 subscriber)
{
	struct host6_walk w = { .m = m, .s = s, .subscriber = subscriber, .now = now_ticks() };
	struct host6_look *l = host6_look_get();
	struct six *x = six_get();
	__u32 oldest;

	if (!m || !s || !l || !x || search_begin(s, w.now))
		return -1;
	host6_walk(&w, l, HOST6_NONE);
	STORE(l->found, -1);
	bpf_loop(LOAD(x->hosts), host6_clear_line, 0, 0);
	if (LOAD(l->empty) >= 0)
		return 0;
	if (LOAD(l->found) < 0)
		return -1;
	oldest = (__u32)LOAD(l->found) & (HOSTS_MAX - 1);
	if (LOAD(l->age[oldest]) < ticks_of_seconds(HOST6_SILENT_S, settings.hz))
		return -1;
	host6_walk(&w, l, oldest);
	if (LOAD(l->failed))
		return -1;
	STORE(l->empty, (__s32)oldest);
	return 0;
}

/*
 * Under the lock: finds or makes the line of the packet's host, whose number is in struct six from then on. Returns 0,
 * or -1: none is free.
 */
SUBPROGRAM int host6_take(const struct mapping *m, struct subscriber *s, __u32 subscriber)
{
	struct host6_look *l = host6_look_get();
	struct six *x = six_get();
	struct host6 *h;

	if (!m || !s)
		return -1;
	if (host6_find() >= 0)
		return 0;
	if (!l || !x || (LOAD(l->empty) < 0 && host6_make_room(m, s, subscriber)))
		return -1;
	h = host6_of(x, (__u32)LOAD(l->empty));
	if (!h)
		return -1;
	/* No live session has its number: who reads it finds, by the state word, that it was another's. */
	STORE(h->lo, 0);
	order_writes();
	STORE(h->hi, six_bits(x));
	STORE(h->inner, 0);
	order_writes();
	STORE(h->lo, LOAD(x->lo));
	order_writes();
	STORE(x->host, (__u32)LOAD(l->empty));
	return 0;
}

#endif
