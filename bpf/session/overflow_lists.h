/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lists of a subscriber's sessions beyond the slots, <detnat/overflow_list.h>, in which openings find ended sessions to
 * replace. A list is a ring: a search goes on where the last one ended.
 */
#ifndef DETNAT_BPF_OVERFLOW_LIST_H
#define DETNAT_BPF_OVERFLOW_LIST_H

#include "session/bind_lines.h"
#include "session/overflow.h"
#include "session/search_limit.h"

/* A new chunk: never written. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct overflow_list);
} overflow_list_blank SEC(".maps");

static __always_inline struct overflow_list *overflow_chunk_get(const struct mapping *m, __u32 subscriber, __u32 chunk)
{
	struct overflow_list_key key = { .subscriber = m->first_subscriber + subscriber, .chunk = chunk };

	return bpf_map_lookup_elem(&overflow_lists, &key);
}

/* The same; makes the chunk if it is missing. NULL: the kernel did not. */
static __always_inline struct overflow_list *overflow_chunk_make(const struct mapping *m, __u32 subscriber, __u32 chunk)
{
	struct overflow_list_key key = { .subscriber = m->first_subscriber + subscriber, .chunk = chunk };
	struct overflow_list *l = bpf_map_lookup_elem(&overflow_lists, &key);
	__u32 zero = 0;
	void *blank;

	if (l)
		return l;
	blank = bpf_map_lookup_elem(&overflow_list_blank, &zero);
	if (!blank || bpf_map_update_elem(&overflow_lists, &key, blank, BPF_NOEXIST))
		return 0;
	return bpf_map_lookup_elem(&overflow_lists, &key);
}

/* The entry at a place of its chunk; see line_entry(). */
static __always_inline struct overflow_listed *overflow_listed_at(struct overflow_list *chunk, __u32 at)
{
	barrier_var(at);
	return &chunk->session[at & (OVERFLOW_CHUNK - 1)];
}

/* Takes an entry off the list; the last entry moves to its place. */
SUBPROGRAM int overflow_list_drop(const struct mapping *m, __u32 subscriber, __u32 at)
{
	struct overflow_list *head, *chunk, *of_last;
	__u32 last;

	if (!m)
		return 0;
	head = overflow_chunk_get(m, subscriber, 0);
	if (!head || !LOAD(head->n))
		return 0;
	last = LOAD(head->n) - 1;
	chunk = overflow_chunk_get(m, subscriber, at >> OVERFLOW_CHUNK_SHIFT);
	of_last = overflow_chunk_get(m, subscriber, last >> OVERFLOW_CHUNK_SHIFT);
	if (chunk && of_last)
		*overflow_listed_at(chunk, at) = *overflow_listed_at(of_last, last);
	STORE(head->n, last);
	return 0;
}

/* The key of a listed session's IN2OUT entry; 0 if the list has no such entry. */
static __always_inline int overflow_listed_key(const struct mapping *m, __u32 subscriber, __u32 at,
					       struct overflow_key *ret, __u16 *ret_port)
{
	struct overflow_list *chunk;
	const struct overflow_listed *l;

	chunk = overflow_chunk_get(m, subscriber, at >> OVERFLOW_CHUNK_SHIFT);
	if (!chunk)
		return 0;
	l = overflow_listed_at(chunk, at);
	*ret = overflow_key_of(&m->geo, m->geo.in_base + subscriber, 0, 0, 0);
	ret->port = key_in_port(LOAD(l->key));
	ret->ext_addr = key_ext_addr(LOAD(l->key));
	ret->ext_port = key_ext_port(LOAD(l->key));
	ret->proto = LOAD(l->proto);
	*ret_port = LOAD(l->out_port);
	return 1;
}

/* Returns the state word of the session at a place of the list, or 0 if the session is gone. */
SUBPROGRAM __u64 overflow_listed_word(const struct mapping *m, __u32 subscriber, __u32 at)
{
	struct overflow_session *o;
	struct overflow_key in;
	__u16 port;
	__u64 word;

	if (!m || !overflow_listed_key(m, subscriber, at, &in, &port))
		return 0;
	o = bpf_map_lookup_elem(&overflow, &in);
	word = o ? LOAD(o->truth) : 0;
	return word_out_port(word) == port ? word : 0;
}

/* Returns 1 if the outside has opened the session at a place of the list. */
SUBPROGRAM int overflow_listed_inbound(const struct mapping *m, __u32 subscriber, __u32 at)
{
	const struct overflow_session *o;
	struct overflow_key in;
	__u16 port;

	if (!settings.growth || !settings.filtering || !m || !overflow_listed_key(m, subscriber, at, &in, &port))
		return 0;
	o = bpf_map_lookup_elem(&overflow, &in);
	return o && word_out_port(LOAD(o->truth)) == port && LOAD(o->inbound);
}

/* The next place of a list to look at, or -1 if it is empty. */
static __always_inline __s32 overflow_list_next(struct overflow_list *head)
{
	__u32 n = LOAD(head->n), next = LOAD(head->next);

	return n ? (__s32)(next < n ? next : 0) : -1;
}

/* Entries examined whenever one is added, to remove those of sessions that are gone. */
#define OVERFLOW_LIST_TIDY 2

/* Under the lock: lists a session. port_and_proto: out_port << 8 | proto. */
SUBPROGRAM int overflow_list_add(const struct mapping *m, const struct subscriber *s, __u32 subscriber, __u64 key,
				 __u32 port_and_proto)
{
	struct overflow_list *head, *chunk;
	struct overflow_listed *l;
	__s32 at = -1;
	__u32 n;

	if (!m || !s)
		return 0;
	head = overflow_chunk_make(m, subscriber, 0);
	if (!head)
		return 0;
	for (int i = 0; i < OVERFLOW_LIST_TIDY; i++) {
		at = overflow_list_next(head);
		if (at < 0)
			break;
		if (overflow_listed_word(m, subscriber, (__u32)at)) {
			STORE(head->next, (__u32)at + 1);
		} else {
			overflow_list_drop(m, subscriber, (__u32)at);
			STORE(head->next, (__u32)at);
		}
	}
	n = LOAD(head->n);
	if (n < overflow_list_room(subscriber_overflow(LOAD(s->overflow))))
		at = (__s32)n;
	if (at < 0)
		return 0;
	chunk = overflow_chunk_make(m, subscriber, (__u32)at >> OVERFLOW_CHUNK_SHIFT);
	if (!chunk)
		return 0;
	l = overflow_listed_at(chunk, (__u32)at);
	STORE(l->key, key);
	STORE(l->out_port, (__u16)(port_and_proto >> 8));
	STORE(l->proto, (__u8)port_and_proto);
	if ((__u32)at == n)
		STORE(head->n, n + 1);
	return 0;
}

/* Entries that are looked at before the lock is given to others, and how often, for one opening. */
#define OVERFLOW_LIST_STEPS  128U
#define OVERFLOW_LIST_ROUNDS 16
#define OVERFLOW_LIST_MOST   (OVERFLOW_LIST_ROUNDS * OVERFLOW_LIST_STEPS)
/* Entries for a unit of search work. */
#define OVERFLOW_LIST_UNIT 16U

struct overflow_list_walk {
	const struct mapping *m;
	struct subscriber *s;
	__u32 subscriber;
	__u32 now;
	__u32 what; /* OVERFLOW_LIST_… */
	__u32 found;
};

/* Flags of a walk through a list. */
#define OVERFLOW_LIST_PEEK	0x80000000U	/* only look whether one gives way */
#define OVERFLOW_LIST_INBOUND	0x40000000U	/* those that the outside has opened give way, too */
#define OVERFLOW_LIST_OF(proto) ((proto) << 16) /* only those of a protocol; 0: any */
#define OVERFLOW_LIST_FLAGS	(OVERFLOW_LIST_PEEK | OVERFLOW_LIST_INBOUND | OVERFLOW_LIST_OF(0xffU))

/* Under the lock: ends the session at a place of the list in favour of another one, which has its place in the count.
 */
SUBPROGRAM int overflow_list_end(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 at, __u64 word)
{
	struct overflow_key in;
	__u16 port;

	if (!m || !s || !overflow_listed_key(m, subscriber, at, &in, &port))
		return 0;
	__sync_fetch_and_add(&s->sessions, 1);
	if (!overflow_delete(m, s, &in, word)) {
		__sync_fetch_and_add(&s->sessions, -1U);
		return 0;
	}
	overflow_closed(&in, word);
	overflow_list_drop(m, subscriber, at);
	return 1;
}

/* Returns 1 if a walk is for another protocol than a session's. */
static __always_inline int overflow_list_is_of_another(__u32 what, __u64 word)
{
	return settings.limits && what & OVERFLOW_LIST_OF(0xffU) &&
	       (what & OVERFLOW_LIST_OF(0xffU)) != OVERFLOW_LIST_OF((__u32)word_proto(word));
}

/*
 * Looks at the next place of the list, under the lock. Returns 0; 1: the list is empty; 2: the session there was ended,
 * or, with `peek`, would be.
 */
SUBPROGRAM int overflow_list_look(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 now,
				  __u32 what)
{
	struct overflow_list *head = m && s ? overflow_chunk_get(m, subscriber, 0) : 0;
	__s32 at = head ? overflow_list_next(head) : -1;
	__u64 word;

	if (!m || !s || !head || at < 0)
		return 1;
	word = overflow_listed_word(m, subscriber, (__u32)at);
	if (!word) {
		overflow_list_drop(m, subscriber, (__u32)at);
		STORE(head->next, (__u32)at);
		return 0;
	}
	STORE(head->next, (__u32)at);
	if (!overflow_list_is_of_another(what, word) &&
	    (word_state(word) & SESSION_RESET || word_expired(word, now, m->timeout_ticks) ||
	     (what & OVERFLOW_LIST_INBOUND && overflow_listed_inbound(m, subscriber, (__u32)at))) &&
	    (what & OVERFLOW_LIST_PEEK || overflow_list_end(m, s, subscriber, (__u32)at, word)))
		return 2;
	STORE(head->next, (__u32)at + 1);
	return 0;
}

static long overflow_list_step(__u32 i, struct overflow_list_walk *w)
{
	int looked = overflow_list_look(w->m, w->s, w->subscriber, w->now, w->what);

	(void)i;
	if (looked == 2)
		STORE(w->found, 1);
	return looked != 0;
}

/*
 * Takes the lock and looks at so many places of the list, OVERFLOW_LIST_STEPS at most. Returns how many it has looked
 * at; 0: somebody keeps the lock; -1: a session was ended, or, with OVERFLOW_LIST_PEEK, would be.
 */
SUBPROGRAM int overflow_list_round(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 now,
				   __u32 steps_and_flags)
{
	struct overflow_list_walk w = { m, s, subscriber, now, steps_and_flags & OVERFLOW_LIST_FLAGS, 0 };
	__u32 steps = steps_and_flags & ~OVERFLOW_LIST_FLAGS;

	if (!m || !s || open_lock(s))
		return 0;
	steps = steps < OVERFLOW_LIST_STEPS ? steps : OVERFLOW_LIST_STEPS;
	steps = (__u32)bpf_loop(steps, overflow_list_step, &w, 0);
	open_unlock(s);
	search_count(s, steps / OVERFLOW_LIST_UNIT);
	return LOAD(w.found) ? -1 : (int)steps;
}

/*
 * Ends a session beyond the slots that has expired or that an RST has closed, or as the flags say: its place in the
 * count is the caller's. Returns 1 if there is one. Takes the lock.
 */
SUBPROGRAM int overflow_gives_way(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 now,
				  __u32 flags)
{
	struct overflow_list *head;
	__u32 n;
	__s32 left;

	if (!m || !s)
		return 0;
	head = overflow_chunk_get(m, subscriber, 0);
	n = head ? LOAD(head->n) : 0;
	left = (__s32)(n < OVERFLOW_LIST_MOST ? n : OVERFLOW_LIST_MOST);
	/* One way on from each round: the verifier would follow all the others once more behind a second one. */
	for (int round = 0; round < OVERFLOW_LIST_ROUNDS && left > 0; round++) {
		int looked = overflow_list_round(m, s, subscriber, now, (__u32)left | flags);

		if (looked <= 0)
			return looked < 0;
		left -= looked;
	}
	return 0;
}

#endif
