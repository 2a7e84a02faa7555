/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The session quota of a subscriber (RFC 6888 REQ-5) and the refusal of a session beyond it (REQ-11): ICMP destination
 * unreachable to the subscriber and a notice to the operator, each at a limited rate.
 *
 * Sessions that have ended, and those that the outside has opened, give way to the subscriber's own: first all that
 * have expired, so that a slow or dead agent never causes refusals; then those that an RST has closed, the oldest
 * first, which otherwise wait until their timeout for a segment that shows that the RST was forged (RFC 7857
 * section 2.2); then those of the outside, in which the subscriber has been silent for longest. A session that gives
 * way is exchanged for the new one: its place in the count is never free, so no other opening can take it.
 *
 * A walk through all slots, those of the extent among them, finds the highest rank of any session (quota_rank()) and
 * where it was found first. The next openings take those of this rank or a higher one from there on. So many openings
 * in a tick share a walk, and "oldest" is as exact as ranks are: a quarter of the age.
 */
#ifndef DETNAT_QUOTA_H
#define DETNAT_QUOTA_H

#include <detnat/giving_way.h>

#include "session/bind_lines.h"
#include "session/search_limit.h"

#define REFUSALS_PER_SECOND 10U
#define REPORTS_PER_SECOND  1U

/* Buckets of a walk for a unit of search work: a walk looks at whole buckets, which is four times as fast. */
#define QUOTA_UNIT (4 * SEARCH_UNIT / BUCKET_SLOTS)

/* Results of quota_room(). */
enum quota_room {
	QUOTA_BELOW, /* one more session may be opened */
	QUOTA_PLACE, /* a session has given way: its place in the count is the caller's, to be taken or given back */
	QUOTA_FULL,
	QUOTA_TOO_FAST, /* of limit_room() alone */
};

struct quota_walk {
	const struct mapping *m;
	struct subscriber *s;
	__u32 subscriber;
	__u32 now;
	__u32 from; /* bucket */
	__u32 peek; /* 1: only see whether one would give way */
	__u32 proto;
	__u16 *pass; /* progress of the search, in this tick */
};

/*
 * The target and findings of a walk, one record per core. In a map, as the verifier would follow each combination of
 * values.
 */
struct quota_look {
	__u32 wanted; /* the lowest rank that is taken; 0: sessions are only ranked */
	__u32 peek;   /* quota_walk.peek */
	__u32 at;     /* the bucket that is looked at */
	__u32 rank;   /* the highest of those not expired; 0: none gives way */
	__u32 bucket; /* the first one with it */
	__u32 freed;  /* expired sessions removed */
	__u32 found;  /* 1: a session was taken, or seen by a peek */
	__u32 proto;  /* of the sessions that may give way; 0: any */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct quota_look);
} quota_looks SEC(".maps");

static __always_inline struct quota_look *quota_look_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&quota_looks, &zero);
}

/* The slots of a bucket, which is b, whose session the outside has opened. In extents their words say so. */
static __always_inline __u32 quota_inbound(const struct mapping *m, __u32 subscriber, __u32 bucket,
					   const struct bucket *b)
{
	__u32 inbound = 0;
	__u8 *octet;

	if (!settings.filtering || !LOAD(m->bindings.filtering))
		return 0;
	if (settings.extent_buckets && bucket >> m->bucket_shift) {
		for (__u32 k = 0; k < BUCKET_SLOTS; k++)
			inbound |= (__u32)word_is_inbound(LOAD(b->slot[k].truth)) << k;
		return inbound;
	}
	octet = inbound_octet(m, subscriber, bucket);
	return octet ? LOAD(*octet) : 0;
}

/*
 * Returns 1 if a session may give way, as far as is known without its rank. In one comparison: the verifier would
 * follow the rest of the bucket once more behind each.
 */
static __always_inline int quota_concerns(const struct mapping *m, __u64 word, __u32 inbound, __u32 now)
{
	__u32 state = word_state(word);
	__u32 not_live = ((__u32)(word >> 32 & 0xff) - SESSION_OPENING - 1) >> 31;
	__u32 waits = ((state ^ SESSION_TIME_WAIT) - 1) >> 31;
	__s64 left = (__s64)(__s32)m->timeout_ticks[session_timeout((__u8)state)] - word_age(word, now);

	barrier_var(left);
	return (__u32)((__u64)left >> 63 | state / SESSION_RESET | inbound) & ~(not_live | waits) & 1;
}

/* Returns 1 if a walk is for another protocol than a session's. */
static __always_inline int quota_is_of_another(const struct quota_look *l, __u64 word)
{
	return settings.limits && LOAD(l->proto) && LOAD(l->proto) != word_proto(word);
}

/* The rank of a session that quota_concerns(). */
SUBPROGRAM int quota_rank(const struct mapping *m, __u64 word, __u32 now)
{
	return m ? (int)giving_way_rank(word, now, m->timeout_ticks) : (int)QUOTA_RANK_EXPIRED;
}

/* Ends a session for another one, or because it has expired; its place in the quota remains. Returns 1 if so. */
static __always_inline int quota_take_away(const struct mapping *m, struct slot *slot, __u32 subscriber, __u64 word)
{
	__u64 key = LOAD(slot->key);

	if (!slot_change(slot, word, 0))
		return 0;
	limit_ended(m, subscriber, word_proto(word), 1);
	slot_closed(m, subscriber, key, word);
	return 1;
}

/*
 * A session that quota_concerns(): takes it, or sees it, if it has the walk's rank or a higher one. Without such a rank
 * removes it if it has expired, or notes its rank if that is the highest so far, and the bucket that the walk is at.
 * Returns 1 to end the walk.
 */
SUBPROGRAM int quota_slot(const struct mapping *m, struct slot *slot, __u32 subscriber, __u64 word, __u32 now)
{
	struct quota_look *l = quota_look_get();
	__u32 rank = (__u32)quota_rank(m, word, now), wanted, taken;

	if (!m || !slot || !l)
		return 0;
	wanted = LOAD(l->wanted);
	if (rank < (wanted ? wanted : QUOTA_RANK_EXPIRED)) {
		if (!wanted && rank > LOAD(l->rank)) {
			STORE(l->rank, rank);
			STORE(l->bucket, LOAD(l->at));
		}
		return 0;
	}
	taken = (wanted && LOAD(l->peek)) || quota_take_away(m, slot, subscriber, word);
	if (!wanted)
		STORE(l->freed, LOAD(l->freed) + taken);
	else if (taken)
		STORE(l->found, 1);
	return wanted && taken;
}

/* quota_slot() for the sessions of bucket i. Returns 1 to end the walk. */
SUBPROGRAM int quota_bucket(const struct mapping *m, __u32 subscriber, __u32 i, __u32 now)
{
	struct quota_look *l = quota_look_get();
	struct bucket *b = m ? subscriber_bucket(m, subscriber, i) : 0;
	__u32 inbound = b ? quota_inbound(m, subscriber, i, b) : 0;

	if (!l || !b)
		return 1;
	STORE(l->at, i);
	for (__u32 k = 0; k < BUCKET_SLOTS; k++) {
		__u64 word = LOAD(b->slot[k].truth);

		if (quota_concerns(m, word, inbound >> k, now) && !quota_is_of_another(l, word) &&
		    quota_slot(m, &b->slot[k], subscriber, word, now))
			return 1;
	}
	return 0;
}

static long quota_step(__u32 i, struct quota_walk *w)
{
	return quota_bucket(w->m, w->subscriber, w->from + i, w->now) ? LOOP_END : LOOP_ON;
}

/* A pass notes a bucket in 8 bits: of many buckets, the first one of four or 16. Log2 of how many it notes as one. */
static __always_inline __u32 quota_pass_shift(const struct quota_walk *w)
{
	__u32 buckets = subscriber_buckets(w->m, w->s);

	return buckets >> 10 ? 4 : buckets >> 8 ? 2 : 0;
}

/* A pass for sessions of a rank or a higher one, from a bucket on. */
static __always_inline __u16 quota_pass_of(const struct quota_walk *w, __u32 rank, __u32 bucket)
{
	return (__u16)(rank << 8 | (bucket >> quota_pass_shift(w) & 0xff));
}

/* Takes a session by the findings of the last walk. Returns 1 if one was taken, or seen. */
static __always_inline int quota_go_on(struct quota_walk *w, struct quota_look *l, __u32 pass)
{
	__u32 buckets = subscriber_buckets(w->m, w->s), end;

	w->from = (pass & 0xff) << quota_pass_shift(w);
	if (w->from >= buckets)
		w->from = 0;
	STORE(l->wanted, pass >> 8);
	STORE(l->peek, w->peek);
	STORE(l->found, 0);
	end = w->from + (__u32)bpf_loop(buckets - w->from, quota_step, w, 0);
	if (LOAD(l->found))
		STORE(*w->pass, quota_pass_of(w, pass >> 8, end - 1));
	/* Each part of a walk that is shared counts once. */
	search_count(w->s, end / QUOTA_UNIT - w->from / QUOTA_UNIT);
	return (int)LOAD(l->found);
}

/*
 * Looks at all slots. Returns 1 if sessions had expired: one's place in the count is the caller's, unless it only
 * peeks.
 */
static __always_inline int quota_look(struct quota_walk *w, struct quota_look *l)
{
	__u32 buckets = subscriber_buckets(w->m, w->s), freed;

	w->from = 0;
	STORE(l->wanted, 0);
	STORE(l->freed, 0);
	STORE(l->rank, 0);
	bpf_loop(buckets, quota_step, w, 0);
	search_count(w->s, buckets / QUOTA_UNIT + (buckets < QUOTA_UNIT));
	freed = LOAD(l->freed);
	if (!freed)
		return 0;
	__sync_fetch_and_add(&w->s->sessions, w->peek ? -freed : 1 - freed);
	return 1;
}

/* Looks for a session that gives way. Returns 1 if one did or, with a peek, would. */
static __always_inline int quota_give_way(struct quota_walk *w, struct quota_look *l)
{
	/* Once more, if others have taken the session that the walk found. */
	for (int i = 0; i < 4; i++) {
		__u32 pass = LOAD(*w->pass);

		if (pass != QUOTA_NOT_BEGUN && pass != QUOTA_IN_VAIN && quota_go_on(w, l, pass))
			return 1;
		if (quota_look(w, l))
			return 1;
		if (!LOAD(l->rank))
			break;
		STORE(*w->pass, quota_pass_of(w, LOAD(l->rank), LOAD(l->bucket)));
	}
	return 0;
}

/* Argument of quota_room(). */
#define QUOTA_PEEK 0x80000000U

/*
 * Returns whether a subscriber's packet may open a session, as enum quota_room. A search in vain is not repeated in the
 * same tick, unless a session has ended meanwhile.
 *
 * elsewhere: the subscriber's sessions in draining mappings; expired ones count until they are swept. With QUOTA_PEEK
 * only expired sessions give way, and QUOTA_PLACE means that another one would.
 */
SUBPROGRAM int quota_room(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 elsewhere)
{
	struct quota_look *l = quota_look_get();

	if (!m || !s || !p || !l)
		return QUOTA_FULL;

	struct quota_walk w = {
		.m = m,
		.s = s,
		.subscriber = mapping_subscriber(&m->geo, p->src),
		.now = now_ticks(),
		.peek = !!(elsewhere & QUOTA_PEEK),
		.pass = &s->quota_pass,
	};

	if (settings.limits)
		STORE(l->proto, 0);

	if (LOAD(s->sessions) + (elsewhere & ~QUOTA_PEEK) < m->sessions_per_user)
		return QUOTA_BELOW;
	if (LOAD(s->search_tick) == (__u16)w.now && LOAD(s->quota_pass) == QUOTA_IN_VAIN)
		return QUOTA_FULL;
	if (!search_begin(s, w.now) && quota_give_way(&w, l))
		return QUOTA_PLACE;
	STORE(s->quota_pass, (__u16)QUOTA_IN_VAIN);
	return QUOTA_FULL;
}

/*
 * The same for the limits of the mapping: at that of the packet's protocol, sessions of this protocol give way.
 * elsewhere: those in draining mappings. QUOTA_PLACE: the place in the quota of one that gave way is the caller's. The
 * rate comes first, so that nothing gives way for a session that it refuses: QUOTA_TOO_FAST. Beyond a limit that was
 * lowered one more place would not do, so there only expired sessions give way.
 */
SUBPROGRAM int limit_room(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 elsewhere)
{
	struct quota_look *l = quota_look_get();
	struct limit_line *line;
	__u32 of;

	if (!m || !s || !p || !l)
		return QUOTA_FULL;

	struct quota_walk w = {
		.m = m,
		.s = s,
		.subscriber = mapping_subscriber(&m->geo, p->src),
		.now = now_ticks(),
		.peek = !!(elsewhere & QUOTA_PEEK),
		.proto = p->proto,
	};

	line = limit_line_get(m, w.subscriber);
	if (!line)
		return QUOTA_BELOW;
	if (limit_is_too_fast(m, line))
		return QUOTA_TOO_FAST;
	if (!limit_is_reached(m, line, p->proto, elsewhere & ~QUOTA_PEEK))
		return QUOTA_BELOW;
	of = limit_protocol_of(p->proto);
	if (LOAD(line->pass_tick) != (__u16)w.now) {
		for (__u32 i = 0; i < N_LIMITS; i++)
			STORE(line->pass[i], QUOTA_NOT_BEGUN);
		STORE(line->pass_tick, (__u16)w.now);
	}
	w.pass = &line->pass[of];
	if (LOAD(*w.pass) == QUOTA_IN_VAIN)
		return QUOTA_FULL;
	STORE(l->proto, p->proto);
	if (!search_begin(s, w.now)) {
		if (limit_is_exceeded(m, line, p->proto, elsewhere & ~QUOTA_PEEK)) {
			w.peek = 1;
			quota_look(&w, l);
			w.peek = !!(elsewhere & QUOTA_PEEK);
		}
		if (!limit_is_reached(m, line, p->proto, elsewhere & ~QUOTA_PEEK))
			return QUOTA_BELOW;
		if (!limit_is_exceeded(m, line, p->proto, elsewhere & ~QUOTA_PEEK) && quota_give_way(&w, l))
			return QUOTA_PLACE;
	}
	STORE(line->pass[of], (__u16)QUOTA_IN_VAIN);
	return QUOTA_FULL;
}

/* Gives back the place of a session that has given way. */
static __always_inline void quota_give_back(struct subscriber *s)
{
	__sync_fetch_and_add(&s->sessions, -1U);
}

#endif
