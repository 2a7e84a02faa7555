/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Gives a subscriber an extent, or a larger one in place of a full one, under the opener's lock: <detnat/extents.h>,
 * which says what others may do meanwhile.
 */
#ifndef DETNAT_EXTENT_GROW_H
#define DETNAT_EXTENT_GROW_H

#include "session/opening.h"
#include "session/search_limit.h"

/* Where a session was copied from and to, as slots of the two extents. */
struct extent_moved {
	__u16 from;
	__u16 to;
};

/* Those of one move, of one core: the largest extent that is moved has a quarter of the slots of the largest of all. */
#define EXTENT_MOVES ((BUCKET_SLOTS << EXTENT_MAX_SHIFT) >> EXTENT_GROWS_BY)

struct extent_moves {
	__u32 n;
	__u32 pad;
	__u64 word[EXTENT_MOVES]; /* as they were copied */
	struct extent_moved moved[EXTENT_MOVES];
};
_Static_assert(sizeof(struct extent_moves) <= 32768, "what the kernel allows a value of one core");
_Static_assert(BUCKET_SLOTS << EXTENT_MAX_SHIFT <= 1U << 16, "slots in struct extent_moved");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct extent_moves);
} extent_moves SEC(".maps");

static __always_inline struct extent_moves *extent_moves_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&extent_moves, &zero);
}

static __always_inline struct extent_moved *extent_moved_at(struct extent_moves *moves, __u32 at)
{
	barrier_var(at); /* as in line_entry() */
	return &moves->moved[at & (EXTENT_MOVES - 1)];
}

static __always_inline __u64 *extent_moved_word(struct extent_moves *moves, __u32 at)
{
	barrier_var(at);
	return &moves->word[at & (EXTENT_MOVES - 1)];
}

/* Number of the first slot of an extent. */
static __always_inline __u32 extent_first_slot(__u32 extent)
{
	return extent_first(extent) << BUCKET_SLOTS_SHIFT;
}

static __always_inline struct extent_pool *extent_pool_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&extent_pool, &zero);
}

/* How often a list is tried that other cores change. */
#define EXTENT_TRIES 8

/* Takes the first extent of a list of free ones. Returns its first bucket, plus one; 0: there is none. */
static __always_inline __u32 extent_pop(__u64 *list)
{
	for (int i = 0; i < EXTENT_TRIES; i++) {
		__u64 word = LOAD(*list);
		struct slot *link = (__u32)word ? extent_slot(extent_slot_number((__u32)word - 1, 0)) : 0;

		if (!link)
			return 0;
		if (__sync_val_compare_and_swap(list, word, extent_list_with(word, (__u32)LOAD(link->key))) == word)
			return (__u32)word;
	}
	return 0;
}

/*
 * Puts an extent, given by its first bucket, in front of a list of retired ones. It leads to the next one only a moment
 * after: the agent, who alone takes extents from such a list, takes all, and waits before it reads where each leads.
 */
static __always_inline void extent_push(__u64 *list, __u32 first)
{
	struct slot *link = extent_slot(extent_slot_number(first, 0));

	if (link)
		STORE(link->key, (__u32)__sync_lock_test_and_set(list, (__u64)first + 1));
}

/* Takes an extent for a subscriber; 0: none is left, or not for one subscriber. */
SUBPROGRAM __u32 extent_take(__u32 shift)
{
	struct extent_pool *pool = extent_pool_get();
	__u64 size = 1ULL << (shift & 15), used, at;
	__u32 first;

	if (!pool || shift > EXTENT_MAX_SHIFT)
		return 0;
	used = __sync_fetch_and_add(&pool->used, size);
	if (used < settings.extent_buckets &&
	    size * BUCKET_SLOTS <= extent_share((__u64)settings.extent_buckets * BUCKET_SLOTS,
						(settings.extent_buckets - used) * BUCKET_SLOTS)) {
		first = extent_pop(&pool->free[shift / EXTENT_GROWS_BY & 7]);
		if (first)
			return extent_of(first - 1, shift);
		/* Never beyond the last one, not even for a moment: the agent takes what is below for used once. */
		for (int i = 0; i < EXTENT_TRIES; i++) {
			at = LOAD(pool->next);
			if (at + size > settings.extent_buckets)
				break;
			if (__sync_val_compare_and_swap(&pool->next, at, at + size) == at)
				return extent_of((__u32)at, shift);
		}
	}
	__sync_fetch_and_add(&pool->used, -size);
	__sync_fetch_and_add(&pool->refused, 1);
	return 0;
}

/* Gives up an extent that no record has any more: a core may be about to read it still. */
SUBPROGRAM int extent_retire(__u32 extent)
{
	struct extent_pool *pool = extent_pool_get();

	if (pool && extent)
		extent_push(&pool->retired[extent_shift(extent) / EXTENT_GROWS_BY & 7], extent_first(extent));
	return 0;
}

/*
 * By what a session or a signpost of an extent is placed in another one: offset << 8 | protocol. On a stack of its own,
 * too.
 */
SUBPROGRAM __u32 extent_place_of(const struct mapping *m, __u32 subscriber, __u32 extent, __u64 key, __u64 word)
{
	__u32 near, far;

	if (!m || !extent)
		return 0;
	if (word_is_signpost(word))
		return signpost_offset(key) << 8 | signpost_proto(word);
	near = port_offset_of(m, subscriber, word_out_port(word));
	far = settings.growth ? far_offset_of(m, subscriber, word_out_port(word)) : near;
	if (far != near && extent_search_signpost(extent, key, word_proto(word)) == word_out_port(word))
		near = far;
	return near << 8 | word_proto(word);
}

/* A move of a subscriber's sessions from one extent to another. */
struct extent_move {
	const struct mapping *m;
	struct subscriber *s;
	__u32 subscriber;
	__u32 from;
	__u32 to;
	__u32 failed;
};

/*
 * Copies the session or the signpost in a slot of the former extent, if there is one. Returns 1 if the other extent has
 * no room. The former signpost stays: a lookup that still finds it finds no session behind it, and looks again. Inlined
 * into the callback, as one frame takes less stack than two (stacks.py).
 */
static __always_inline int extent_copy(const struct extent_move *w, __u32 at)
{
	struct slot *slot = extent_slot(extent_first_slot(w->from) + at);
	struct extent_moves *moves;
	struct extent_moved *moved;
	__u64 word, key;
	__u32 place, n;
	__s64 room;

	if (!slot)
		return 1;
	word = LOAD(slot->truth);
	/* Only an opener changes it, and has the lock. */
	key = LOAD(slot->key);
	if (!word_is_live(word) && !word_is_signpost(word))
		return 0;
	place = extent_place_of(w->m, w->subscriber, w->from, key, word);
	room = extent_room(w->to, key, (__u8)place, place >> 8);
	slot = extent_slot(room);
	moves = extent_moves_get();
	if (!slot || !moves)
		return 1;
	STORE(slot->key, key);
	STORE(slot->truth, word);
	if (!word_is_live(word))
		return 0;
	n = LOAD(moves->n);
	if (n >= EXTENT_MOVES)
		return 1;
	moved = extent_moved_at(moves, n);
	STORE(*extent_moved_word(moves, n), word);
	STORE(moved->from, (__u16)at);
	STORE(moved->to, (__u16)((__u32)room - extent_first_slot(w->to)));
	STORE(moves->n, n + 1);
	return 0;
}

static long extent_copy_step(__u32 i, struct extent_move *w)
{
	if (extent_copy(w, i))
		STORE(w->failed, 1);
	return LOAD(w->failed) ? LOOP_END : LOOP_ON;
}

/*
 * Empties the slot that the i-th session was copied from, and hands over what has become of it since. slots: the first
 * ones of the two extents, from 32 | to 32.
 */
SUBPROGRAM int extent_hand_over(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u64 slots, __u32 i)
{
	struct extent_moves *moves = extent_moves_get();
	__u64 copied, word, now, merged;
	struct extent_moved *moved;
	struct slot *old, *slot;
	__s32 correction;

	if (!m || !s || !moves)
		return 0;
	moved = extent_moved_at(moves, i);
	copied = LOAD(*extent_moved_word(moves, i));
	old = extent_slot((__u32)(slots >> 32) + LOAD(moved->from));
	slot = extent_slot((__u32)slots + LOAD(moved->to));
	if (!old || !slot)
		return 0;
	word = __sync_lock_test_and_set(&old->truth, 0);
	now = LOAD(slot->truth);
	merged = extent_merged(copied, word, now);
	for (int k = 0; k < EXTENT_TRIES; k++) {
		if (merged == now || slot_change(slot, now, merged))
			break;
		now = LOAD(slot->truth);
		merged = extent_merged(copied, word, now);
	}
	correction = extent_correction(copied, word, now, merged);
	if (correction) {
		if (settings.limits)
			limit_count(m, subscriber, word_proto(copied), (__u32)correction);
		__sync_fetch_and_add(&s->sessions, (__u32)correction);
	}
	return 0;
}

static long extent_hand_over_step(__u32 i, struct extent_move *w)
{
	return extent_hand_over(w->m, w->s, w->subscriber,
				(__u64)extent_first_slot(w->from) << 32 | extent_first_slot(w->to), i)
		       ? LOOP_END
		       : LOOP_ON;
}

/* Under the lock: makes an extent the subscriber's; others may change the flag beside it. */
static __always_inline void extent_publish(struct subscriber *s, __u32 from, __u32 to)
{
	order_writes();
	order_and_add(&s->hairpins, (to - from) << EXTENT_AT);
}

/*
 * Under the lock: moves the subscriber's sessions to a new extent of the same or another size. Returns 1; 0: they do
 * not fit, and stay where they are.
 */
static __always_inline int extent_move(struct extent_move *w)
{
	struct extent_moves *moves = extent_moves_get();
	__u32 n;

	if (!moves)
		return 0;
	STORE(moves->n, 0);
	bpf_loop(BUCKET_SLOTS * extent_buckets(w->from), extent_copy_step, w, 0);
	search_end(w->s, BUCKET_SLOTS * extent_buckets(w->from));
	if (LOAD(w->failed))
		return 0;
	extent_publish(w->s, w->from, w->to);
	n = LOAD(moves->n);
	bpf_loop(n, extent_hand_over_step, w, 0);
	return 1;
}

/* Results of extent_exchange(). */
enum extent_exchanged { EXTENT_NOT, EXTENT_GIVEN, EXTENT_TOO_SMALL };

/* Under the lock: gives a subscriber an extent of a size in place of a smaller one or of none. */
SUBPROGRAM int extent_exchange(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 shift)
{
	struct extent_pool *pool = extent_pool_get();
	struct extent_move w = { .m = m, .s = s, .subscriber = subscriber };

	if (!m || !s || !pool || shift > EXTENT_MAX_SHIFT)
		return EXTENT_NOT;
	w.from = subscriber_extent(s);
	w.to = extent_take(shift);
	if (!w.to)
		return EXTENT_NOT;
	if (!w.from) {
		extent_publish(s, 0, w.to);
		return EXTENT_GIVEN;
	}
	if (!extent_move(&w)) {
		extent_retire(w.to);
		return EXTENT_TOO_SMALL;
	}
	extent_retire(w.from);
	__sync_fetch_and_add(&pool->grown, 1);
	return EXTENT_GIVEN;
}

/*
 * Under the lock: gives a subscriber its first extent, or a larger one; once more larger if its sessions meet there
 * with too many others. Returns 1 if it has.
 */
static __always_inline int extent_grow(const struct mapping *m, struct subscriber *s, __u32 subscriber)
{
	__u32 extent = subscriber_extent(s), shift = extent ? extent_shift(extent) + EXTENT_GROWS_BY : 0;
	int given = extent_exchange(m, s, subscriber, shift);

	if (given == EXTENT_TOO_SMALL)
		given = extent_exchange(m, s, subscriber, shift + EXTENT_GROWS_BY);
	return given == EXTENT_GIVEN;
}

/* A walk through the buckets of an extent. */
struct extent_look {
	__u32 first;
	__u32 found; /* 1: one has a session, or one that is being opened */
};

SUBPROGRAM int extent_bucket_is_used(__u32 number)
{
	struct bucket *b = extent_bucket(number);

	if (!b)
		return 1;
	for (__u32 i = 0; i < BUCKET_SLOTS; i++)
		if (!word_is_free(LOAD(b->slot[i].truth)))
			return 1;
	return 0;
}

static long extent_look_step(__u32 i, struct extent_look *w)
{
	w->found = (__u32)extent_bucket_is_used(w->first + i);
	return w->found ? LOOP_END : LOOP_ON;
}

/* For the agent: retires a subscriber's extent if no session is left there; or leaves it. Returns 1 if so. */
static __always_inline int extent_do_release(const struct extent_release *r)
{
	__u32 number = r->mapping, subscriber = r->subscriber, extent = r->extent, leave = r->leave;
	struct mapping_table *t = mapping_table_get();
	struct extent_look w = { .first = extent_first(extent) };
	const struct mapping *m;
	struct subscriber *s;
	int released = 0;

	if (!t || !extent || number >= MAX_MAPPINGS)
		return 0;
	m = mapping_of_leaf(t, INDEX_LEAF | number);
	if (!m || m->first_bucket == NO_BUCKETS || subscriber > m->geo.last_subscriber)
		return 0;
	s = subscriber_get(m, subscriber);
	if (!s || open_lock(s))
		return 0;
	if (subscriber_extent(s) == extent) {
		if (!leave)
			bpf_loop(extent_buckets(extent), extent_look_step, &w, 0);
		if (!w.found) {
			extent_publish(s, extent, 0);
			if (!leave)
				extent_retire(extent);
			released = 1;
		}
	}
	open_unlock(s);
	return released;
}

/* Of a subscriber and a tick: what opening.vain has once it was to get a larger extent in this tick, and did not. */
static __always_inline __u32 extent_mark(const struct mapping *m, __u32 subscriber, __u32 now)
{
	return ((m->first_subscriber + subscriber) * 0x9e3779b1U) ^ now;
}

/* Returns 1 if a flow's subscriber may get a larger extent. */
static __always_inline int extent_may_grow(const struct opening *o, const struct flow *f)
{
	return settings.extent_buckets && LOAD(o->vain) != extent_mark(f->m, f->subscriber, f->now);
}

/* Gives a subscriber a larger extent, or notes that there is none. Takes the lock. */
static __always_inline void extent_provide(const struct mapping *m, struct subscriber *s, __u32 subscriber)
{
	struct opening *o = opening_record();
	int grown = 0;

	if (!open_lock(s)) {
		grown = extent_grow(m, s, subscriber);
		open_unlock(s);
	}
	if (o && !grown)
		STORE(o->vain, extent_mark(m, subscriber, now_ticks()));
}

/*
 * Under the lock, after a scan: returns 1 if the session should get room in a larger extent, given where it may stand,
 * see open_room(). One in time-wait gives way before its subscriber gets more room.
 */
static __always_inline int extent_is_due(const struct opening *o, const struct subscriber *s, __u32 room)
{
	__u32 free = LOAD(o->room) >> OPENING_EXTENT, extent = subscriber_extent(s);

	if (room & OPENING_OWN)
		return 0;
	if (!room)
		return !LOAD(o->time_wait);
	return extent_is_crowded(free, LOAD(o->port_offset)) && extent_shift(extent) < EXTENT_MAX_SHIFT;
}

#endif
