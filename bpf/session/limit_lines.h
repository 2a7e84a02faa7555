/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits of a subscriber beside the quota, <detnat/limits.h>: its line, which openings and endings keep. All of it is
 * compiled away while no mapping has limits.
 */
#ifndef DETNAT_BPF_LIMITS_H
#define DETNAT_BPF_LIMITS_H

#include <detnat/limits.h>

#include "base/subprogram.h"
#include "subscriber/drain_lookup.h"

static __always_inline int mapping_is_limited(const struct mapping *m)
{
	return !FAMILY6 && settings.limits && LOAD(m->limited);
}

/* The line of a subscriber of m; NULL: the mapping has no limits. */
static __always_inline struct limit_line *limit_line_get(const struct mapping *m, __u32 subscriber)
{
	__u32 number, chunk, within;
	void *records;

	if (!mapping_is_limited(m))
		return 0;
	number = LOAD(m->limit.first) + subscriber;
	chunk = number >> SUBSCRIBER_CHUNK_SHIFT;
	within = number & (SUBSCRIBER_CHUNK - 1);
	records = bpf_map_lookup_elem(&subscribers, &chunk);
	return records ? bpf_map_lookup_elem(records, &within) : 0;
}

/* Allows searches that were in vain in this tick, among the sessions of a protocol, to be repeated. */
static __always_inline void limit_search_anew(struct limit_line *line, __u32 of)
{
	if (LOAD(line->pass[of]) == QUOTA_IN_VAIN)
		STORE(line->pass[of], QUOTA_NOT_BEGUN);
}

/* Changes the count of a protocol. Not inlined: endings are many places, and seldom of a mapping with limits. */
SUBPROGRAM int limit_count(const struct mapping *m, __u32 subscriber, __u32 proto, __u32 change)
{
	struct limit_line *line = m ? limit_line_get(m, subscriber) : 0;
	__u32 of = limit_protocol_of((__u8)proto);

	if (!line)
		return 0;
	__sync_fetch_and_add(&line->sessions[of], change);
	limit_search_anew(line, of);
	return 0;
}

/* Takes sessions that count off the count of their protocol. subscriber.sessions is lowered afterwards, never before.
 */
static __always_inline void limit_ended(const struct mapping *m, __u32 subscriber, __u8 proto, __u32 sessions)
{
	if (!FAMILY6 && settings.limits)
		limit_count(m, subscriber, proto, -sessions);
}

/* The limit of a protocol; 0: none. The index is bounded for the verifier. */
static __always_inline __u32 limit_of(const struct mapping *m, __u32 proto)
{
	__u32 at = limit_protocol_of((__u8)proto);

	return at == LIMIT_TCP	 ? LOAD(m->limit.sessions[LIMIT_TCP])
	       : at == LIMIT_UDP ? LOAD(m->limit.sessions[LIMIT_UDP])
				 : LOAD(m->limit.sessions[LIMIT_ICMP]);
}

/* Sessions of a protocol beyond those that its limit allows; elsewhere: those in mappings that drain. */
static __always_inline __s32 limit_excess(const struct limit_line *line, __u32 limit, __u32 proto, __u32 elsewhere)
{
	return (__s32)(LOAD(line->sessions[limit_protocol_of((__u8)proto)]) + elsewhere - limit);
}

/* Returns 1 if the sessions of a protocol are at its limit. elsewhere: those in mappings that drain. */
static __always_inline int limit_is_reached(const struct mapping *m, const struct limit_line *line, __u32 proto,
					    __u32 elsewhere)
{
	__u32 limit = limit_of(m, proto);

	return limit && !LOAD(line->uncounted) && limit_excess(line, limit, proto, elsewhere) >= 0;
}

/* Returns 1 if there are more, after limit_is_reached(): the limit was lowered, or others drain. */
static __always_inline int limit_is_exceeded(const struct mapping *m, const struct limit_line *line, __u32 proto,
					     __u32 elsewhere)
{
	return limit_excess(line, limit_of(m, proto), proto, elsewhere) > 0;
}

/* limit_is_reached() for a subscriber of m. */
SUBPROGRAM int limit_refuses(const struct mapping *m, __u32 subscriber, __u32 proto)
{
	struct limit_line *line = m ? limit_line_get(m, subscriber) : 0;

	return m && line && limit_is_reached(m, line, proto, 0);
}

/*
 * Programs of the type syscall place copies of sessions that a peer has. They count, but no limit refuses them: they
 * exist, and a takeover would end them. Such programs may not read the coarse clock, either.
 */
#ifdef SYSCALL_PROGRAMS
#define OPENINGS_ARE_COPIES 1
#define limit_clock_ns()    bpf_ktime_get_ns()
#else
#define OPENINGS_ARE_COPIES 0
#define limit_clock_ns()    bpf_ktime_get_coarse_ns()
#endif

/* When the bucket is full after one more token; 0: there is none. The coarse clock may be a jiffy late. */
static __always_inline __u64 limit_token(const struct mapping *m, const struct limit_line *line)
{
	__u64 full_ns = limit_take_token(&m->limit, LOAD(line->full_ns), limit_clock_ns());

	return full_ns ? full_ns : limit_take_token(&m->limit, LOAD(line->full_ns), bpf_ktime_get_ns());
}

/* Returns 1 if a subscriber has no token for one more session. */
static __always_inline int limit_is_too_fast(const struct mapping *m, const struct limit_line *line)
{
	return LOAD(m->limit.interval_ns) && !limit_token(m, line);
}

/* Results of limit_take(). */
enum limit_taken { LIMIT_TAKEN, LIMIT_REACHED, LIMIT_TOO_FAST };

/* In the protocol that limit_take() and limit_give_back() get: the opening takes a token. */
#define LIMIT_WITH_TOKEN 0x100U

/* Under the lock: counts a session before it exists, and takes a token for it. Returns enum limit_taken. */
SUBPROGRAM int limit_take(const struct mapping *m, __u32 subscriber, __u32 proto)
{
	struct limit_line *line = m ? limit_line_get(m, subscriber) : 0;

	if (!m || !line)
		return LIMIT_TAKEN;
	if (!OPENINGS_ARE_COPIES && limit_is_reached(m, line, proto, 0))
		return LIMIT_REACHED;
	if (!OPENINGS_ARE_COPIES && proto & LIMIT_WITH_TOKEN && LOAD(m->limit.interval_ns)) {
		__u64 full_ns = limit_token(m, line);

		if (!full_ns)
			return LIMIT_TOO_FAST;
		STORE(line->full_ns, full_ns);
	}
	__sync_fetch_and_add(&line->sessions[limit_protocol_of((__u8)proto)], 1);
	return LIMIT_TAKEN;
}

/* Under the lock: undoes limit_take(). */
SUBPROGRAM int limit_give_back(const struct mapping *m, __u32 subscriber, __u32 proto)
{
	struct limit_line *line = m ? limit_line_get(m, subscriber) : 0;

	if (!m || !line)
		return 0;
	__sync_fetch_and_add(&line->sessions[limit_protocol_of((__u8)proto)], -1U);
	if (proto & LIMIT_WITH_TOKEN && LOAD(m->limit.interval_ns))
		STORE(line->full_ns, LOAD(line->full_ns) - LOAD(m->limit.interval_ns));
	return 0;
}

/* limit_search_anew() for a subscriber of m. */
SUBPROGRAM int limit_searches_anew(const struct mapping *m, __u32 subscriber, __u32 proto)
{
	struct limit_line *line = m ? limit_line_get(m, subscriber) : 0;

	if (line)
		limit_search_anew(line, limit_protocol_of((__u8)proto));
	return 0;
}

/* proto: 0: sessions of all; else of this protocol, in those mappings that have limits themselves. */
SUBPROGRAM int drain_count_sessions(__u32 tenant, __u32 addr, __u32 proto)
{
	const struct drain_entry *e = drain_entry_of(addr);
	const struct mapping_table *t = mapping_table_get();
	int sum = 0;

	if (!e || !t)
		return 0;
	for (__u32 i = 0; i < DRAIN_DEPTH; i++) {
		const struct mapping *m;
		__u32 subscriber;

		if (i >= e->n)
			break;
		m = &t->mapping[e->from[i].mapping & (MAX_MAPPINGS - 1)];
		if (!drain_is_of(m, tenant))
			continue;
		subscriber = mapping_subscriber(&m->geo, addr);
		if (settings.limits && proto) {
			const struct limit_line *line = limit_line_get(m, subscriber);

			sum += line ? (int)LOAD(line->sessions[limit_protocol_of((__u8)proto)]) : 0;
		} else {
			const struct subscriber *s = subscriber_get(m, subscriber);

			sum += s ? (int)LOAD(s->sessions) : 0;
		}
	}
	return sum > 0 ? sum : 0;
}

/* Sessions of an inside address of m in mappings that drain: they count against its quota. */
static __always_inline __u32 drain_sessions(const struct mapping *m, __u32 addr)
{
	return settings.drains ? (__u32)drain_count_sessions(LOAD(m->tenant), addr, 0) : 0;
}

/* The same of a protocol. */
static __always_inline __u32 drain_sessions_of(const struct mapping *of, __u32 addr, __u8 proto)
{
	return settings.drains && settings.limits ? (__u32)drain_count_sessions(LOAD(of->tenant), addr, proto) : 0;
}

#endif
