/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens a session in the common case: its two buckets hold nothing of the flow, its first-choice port is free towards
 * the endpoint, and so is a slot. For subscribers with portmaps and in mappings with bindings, subprograms choose the
 * port under the lock. Also refuses a session beyond the quota if neither an event nor an ICMP error is due. open.h
 * does everything else.
 */
#ifndef DETNAT_FAST_OPEN_H
#define DETNAT_FAST_OPEN_H

#include "session/bind_port.h"
#include "session/inbound_slots.h"
#include "session/quota.h"

/* First state of the session that this packet opens. */
static __always_inline __u8 open_state(const struct packet *p)
{
	if (p->proto == IPPROTO_TCP)
		return tcp_first_state(p->flags);
	return p->proto == IPPROTO_UDP ? SESSION_UDP : SESSION_ICMP;
}

/* The free slots of a bucket as seen by an opener. */
struct bucket_view {
	__u32 free;
	__u32 last_free;
};

/*
 * 0 if a slot that is not free holds, or could hold, the flow itself or its outside port towards its endpoint. One
 * value, not a comparison for each: the verifier would follow the rest of the buckets once more behind each.
 */
static __always_inline __u64 slot_concerns_not(const struct slot *s, __u64 word, __u64 key, __u64 port_and_proto)
{
	__u64 other = LOAD(s->key) ^ key, port_or_proto = (word >> 40 ^ port_and_proto) & (0xffff00 | WORD_PROTO);

	return other >> 16 | port_or_proto * (other & 0xffff);
}

/* Returns 1 if a bucket concerns the flow. Counts free slots without branches, for the verifier as well. */
static __always_inline int bucket_view(const struct bucket *b, __u64 key, __u64 port_and_proto, struct bucket_view *ret)
{
	*ret = (struct bucket_view){};
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		__u64 word = LOAD(b->slot[i].truth);
		__u32 is_free = word_free_bit(word);

		ret->free += is_free;
		ret->last_free ^= (ret->last_free ^ i) & -is_free;
		if (!(slot_concerns_not(&b->slot[i], word, key, port_and_proto) | is_free))
			return 1;
	}
	return 0;
}

/*
 * Chooses a slot if sessions of the bucket are displaced, the preferred slot is taken, or the subscriber's slots are
 * crowded. Returns NULL if open.h has to look closer.
 */
static __always_inline struct slot *fast_open_slot(const struct flow *f, const struct subscriber *s, __u64 word,
						   int crowded, int *ret_displaced)
{
	__u32 at = f->port_offset & (BUCKET_SLOTS - 1);
	struct bucket_view first, second;
	struct bucket_choice b;
	__u64 taken;

	/* Sessions in its extent may concern the flow, too. */
	if ((settings.extent_buckets && subscriber_extent(s)) || flow_buckets(f, &b))
		return 0;
	if (bucket_view(b.first, f->key, word >> 40, &first) || bucket_view(b.second, f->key, word >> 40, &second) ||
	    !(first.free + second.free))
		return 0;
	taken = LOAD(b.first->slot[at].truth);
	/* Held by an expired session, which open.h replaces. */
	if (!word_is_free(taken) && word_expired(taken, f->now, f->m->timeout_ticks))
		return 0;
	*ret_displaced = !word_is_free(taken) || (crowded && second.free > first.free);
	if (!*ret_displaced)
		return &b.first->slot[at];
	if (second.free <= first.free)
		return &b.first->slot[first.last_free & (BUCKET_SLOTS - 1)];
	if (!word_is_free(LOAD(b.second->slot[at].truth)))
		at = second.last_free;
	return &b.second->slot[at & (BUCKET_SLOTS - 1)];
}

/*
 * Refuses a flow without a slot if its subscriber is at its quota. One packet per tick goes to the slow path, which
 * looks for sessions that give way; so do packets for which an event or an ICMP error is due: see quota.h and refuse.h.
 */
static __always_inline int fast_refuse(const struct flow *f, struct subscriber *s)
{
	__u32 jiffies = (__u32)bpf_jiffies64();

	if (LOAD(s->quota_pass) != QUOTA_IN_VAIN || LOAD(s->search_tick) != (__u16)f->now ||
	    rate_is_due(LOAD(s->icmp_next), jiffies) || rate_is_due(LOAD(s->quota_event_next), jiffies))
		return TO_SLOW_PATH;
	/* Packets that need no session pass at the quota, too. */
	if (unlikely(s->beyond))
		return TO_SLOW_PATH;
	__sync_fetch_and_add(&s->refused, 1);
	return drop(REASON_drop_quota);
}

/* Added to union opener, takes the lock and counts one session; below the quota, that carries nothing into the lock. */
#define OPENER_NEXT (1ULL << 32 | 1)

/* Under the lock, whose value is `lock`: writes a flow's session to a free slot, and gives the lock back. */
static __always_inline void fast_open_write(const struct flow *f, struct subscriber *s, struct slot *slot, __u64 word,
					    __u32 lock)
{
	*(volatile __u64 *)&slot->key = f->key;
	order_writes();
	*(volatile __u64 *)&slot->truth = word;
	order_writes();
	*(volatile __u32 *)&s->lock = lock + 1;
}

static __always_inline void fast_open_report(const struct flow *f, __u16 out_port)
{
	count_add(REASON_sessions_opened, 1);
	session_notify(f, out_port);
}

/* A flow as subprograms get it, beside its key: subscriber 32 | outside port 16 | TCP flags 8 | protocol 8. */
static __always_inline __u64 fast_flow(const struct flow *f, __u16 out_port)
{
	return (__u64)f->subscriber << 32 | (__u32)out_port << 16 | (__u32)f->p.flags << 8 | f->p.proto;
}

static __always_inline struct flow fast_flow_of(const struct mapping *m, __u64 key, __u64 flow)
{
	struct flow f = { .m = m, .subscriber = (__u32)(flow >> 32), .now = now_ticks(), .key = key };

	f.p.src = m->geo.in_base + f.subscriber;
	f.p.dst = key_ext_addr(key);
	f.p.sport = key_in_port(key);
	f.p.dport = key_ext_port(key);
	f.p.proto = (__u8)flow;
	f.p.flags = (__u8)(flow >> 8);
	f.port_offset = mapping_first_choice(&m->geo, f.p.sport);
	return f;
}

/*
 * Refuses a flow without a slot for a limit of its subscriber, as fast_refuse() does for the quota. Returns the reason;
 * 0: it is not refused; TO_SLOW_PATH: not here. flow: fast_flow().
 */
SUBPROGRAM int fast_limit_refuse(const struct mapping *m, struct subscriber *s, __u64 flow)
{
	__u32 jiffies = (__u32)bpf_jiffies64(), of = limit_protocol_of((__u8)flow);
	struct limit_line *line = m ? limit_line_get(m, (__u32)(flow >> 32)) : 0;

	if (!m || !s || !line)
		return 0;
	if (limit_is_too_fast(m, line)) {
		if (s->beyond || rate_is_due(LOAD(s->icmp_next), jiffies) ||
		    rate_is_due(LOAD(line->rate_event_next), jiffies))
			return TO_SLOW_PATH;
		__sync_fetch_and_add(&line->refused_rate, 1);
		__sync_fetch_and_add(&s->refused, 1);
		return REASON_drop_rate;
	}
	if (!limit_is_reached(m, line, (__u8)flow, 0))
		return 0;
	if (s->beyond || LOAD(line->pass_tick) != (__u16)now_ticks() || LOAD(line->pass[of]) != QUOTA_IN_VAIN ||
	    rate_is_due(LOAD(s->icmp_next), jiffies) || rate_is_due(LOAD(line->protocol_event_next), jiffies))
		return TO_SLOW_PATH;
	__sync_fetch_and_add(&line->refused_protocol, 1);
	__sync_fetch_and_add(&s->refused, 1);
	return REASON_drop_quota_protocol;
}

/* Set in the port that fast_port_take() returns if it is a portmap's, so that the packet opens no session. */
#define PORT_OF_PORTMAP 0x10000

/* Under the lock: counts a flow's session as the limits want it. Returns -1 if they refuse it. */
static __always_inline int fast_limit_take(const struct mapping *m, const struct flow *f)
{
	return mapping_is_limited(m) && limit_take(m, f->subscriber, f->p.proto | LIMIT_WITH_TOKEN) != LIMIT_TAKEN ? -1
														   : 0;
}

/* Under the lock: gives back a flow's places in the limits and in the quota, and the lock. flow: fast_flow(). */
SUBPROGRAM int fast_give_back(const struct mapping *m, struct subscriber *s, __u64 flow)
{
	if (!m || !s)
		return 0;
	if (mapping_is_limited(m))
		limit_give_back(m, (__u32)(flow >> 32), (__u8)flow | LIMIT_WITH_TOKEN);
	__sync_fetch_and_add(&s->sessions, -1U);
	open_unlock(s);
	return 0;
}

/* Under the lock: the outside port of a flow that opens a session, as an offset in the block; -1. */
static __always_inline int fast_port_of(const struct flow *f, struct subscriber *s)
{
	if (binding_maps(f->m, f->p.proto))
		return binding_take_home(f->m, s, f->subscriber, (__u32)f->p.sport << 8 | f->p.proto);
	return binding_may_have(f->m, s, f->subscriber, f->p.proto, f->port_offset) ? (int)f->port_offset : -1;
}

/*
 * The outside port of a flow without a session, of a subscriber that has portmaps or whose mapping has bindings: its
 * portmap's; or its session's, then the subscriber is locked and counts it, and fast_open_to() opens it. -1, without
 * the lock: the packet is for the slow path. flow: fast_flow().
 */
SUBPROGRAM int fast_port_take(const struct mapping *m, struct subscriber *s, __u64 key, __u64 flow)
{
	struct portmap_value *v;
	union opener before, after;
	struct flow f;
	int offset;

	if (!m || !s)
		return -1;
	f = fast_flow_of(m, key, flow);
	if (subscriber_may_map_in(s, f.p.proto, f.p.sport)) {
		int port = portmap_take_line((__u64)f.p.src << 32 | mapping_out_addr(&m->geo, f.subscriber), f.p.sport,
					     f.p.proto, PORTMAP_IN2OUT);

		if (port >= 0)
			return PORT_OF_PORTMAP | port;
		v = portmap_of_inside(m, &f.p);
		if (v) {
			portmap_count(v, REASON_portmap_out);
			return PORT_OF_PORTMAP | v->port;
		}
	}
	before.word = LOAD(s->opener.word);
	if (before.sessions >= m->sessions_per_user || before.lock & 1)
		return -1;
	after.word = before.word + OPENER_NEXT;
	if (__sync_val_compare_and_swap(&s->opener.word, before.word, after.word) != before.word)
		return -1;
	if (fast_limit_take(m, &f)) {
		__sync_fetch_and_add(&s->sessions, -1U);
		open_unlock(s);
		return -1;
	}
	offset = fast_port_of(&f, s);
	if (offset < 0) {
		fast_give_back(m, s, flow);
		return -1;
	}
	return (int)(mapping_port_lo(&m->geo, f.subscriber) + (__u32)offset);
}

/* The bit of a slot of two buckets, see opening_slot(). */
static __always_inline __u32 fast_slot_bit(const struct bucket_choice *b, const struct slot *slot)
{
	__u64 first = (__u64)((const char *)slot - (const char *)b->first);
	__u64 second = (__u64)((const char *)slot - (const char *)b->second);

	return first < sizeof(struct bucket) ? 1U << (first / sizeof(*slot))
					     : 1U << BUCKET_SLOTS << (second / sizeof(*slot) & (BUCKET_SLOTS - 1));
}

/*
 * Opens the session of a flow, after fast_port_take(), with the outside port in `flow`, and gives the lock back.
 * Returns the state word; 0: the packet is for the slow path, and fast_give_back() is to follow.
 */
SUBPROGRAM __u64 fast_open_to(const struct mapping *m, struct subscriber *s, __u64 key, __u64 flow)
{
	__u16 out_port = (__u16)(flow >> 16);
	int displaced = 0, crowded, other;
	struct bucket_choice b;
	struct slot *slot = 0;
	struct flow f;
	__u64 word;

	if (!m || !s)
		return 0;
	f = fast_flow_of(m, key, flow);
	word = state_word(out_port, f.p.proto, open_state(&f.p), f.now);
	crowded = slots_crowded(LOAD(s->sessions) - 1, m->bucket_shift);
	other = out_port != mapping_port_lo(&m->geo, f.subscriber) + f.port_offset;
	if (!flow_buckets(&f, &b)) {
		slot = preferred_slot(&b, f.port_offset);
		if (crowded || other || !word_is_free(LOAD(slot->truth)) || LOAD(s->displaced) & b.home)
			slot = fast_open_slot(&f, s, word, crowded, &displaced);
	}
	if (!slot)
		return 0;
	if (displaced || other)
		displace(s, b.home);
	if (settings.filtering)
		inbound_mark(&f, fast_slot_bit(&b, slot), 0);
	fast_open_write(&f, s, slot, word, LOAD(s->lock));
	return word;
}

/* fast_open() of such a subscriber. */
static __always_inline int fast_open_featured(const struct flow *f, struct subscriber *s, __u64 *ret_word)
{
	int port = fast_port_take(f->m, s, f->key, fast_flow(f, 0));

	if (port < 0)
		return TO_SLOW_PATH;
	if (port & PORT_OF_PORTMAP) {
		*ret_word = state_word((__u16)port, f->p.proto, SESSION_UDP, f->now);
		return CONTINUE;
	}
	*ret_word = fast_open_to(f->m, s, f->key, fast_flow(f, (__u16)port));
	if (!*ret_word) {
		fast_give_back(f->m, s, fast_flow(f, 0));
		return TO_SLOW_PATH;
	}
	fast_open_report(f, (__u16)port);
	return CONTINUE;
}

/* Returns 1 if a portmap may have the inside port of an opening, or the outside port that it would get. */
static __always_inline int opening_meets_portmap(const struct flow *f, const struct subscriber *s, __u32 out_port)
{
	return s->beyond == SUBSCRIBER_PORTMAPS &&
	       (subscriber_may_map_in(s, f->p.proto, f->p.sport) || subscriber_may_map_out(s, f->p.proto, out_port));
}

/* Returns 1 if an opening is one for fast_open_featured(). */
static __always_inline int opening_is_featured(const struct flow *f, const struct subscriber *s, __u32 out_port)
{
	return (settings.portmaps && opening_meets_portmap(f, s, out_port)) ||
	       (settings.bindings &&
		(binding_maps(f->m, f->p.proto) || (settings.filtering && LOAD(f->m->bindings.filtering))));
}

/* What an opening is to change in its subscriber's line of limits, see fast_limit_look(). */
struct fast_limit {
	struct limit_line *line;
	__u64 full_ns; /* 0: it takes no token */
};

/*
 * Before the lock: looks whether the limits allow a flow's session. That holds under the lock, too, if no other core
 * has taken it meanwhile: only openers raise counts and take tokens. Returns 0, or 1 if the limits refuse it.
 */
static __always_inline int fast_limit_look(const struct flow *f, struct fast_limit *ret)
{
	struct limit_line *line = limit_line_get(f->m, f->subscriber);

	*ret = (struct fast_limit){ .line = line };
	if (!line || limit_is_reached(f->m, line, f->p.proto, 0))
		return 1;
	if (LOAD(f->m->limit.interval_ns)) {
		ret->full_ns = limit_token(f->m, line);
		return !ret->full_ns;
	}
	return 0;
}

/* Under the lock: counts a session as fast_limit_look() has found, before it exists. */
static __always_inline void fast_limit_enter(const struct fast_limit *l, __u8 proto)
{
	__sync_fetch_and_add(&l->line->sessions[limit_protocol_of(proto)], 1);
	if (l->full_ns)
		STORE(l->line->full_ns, l->full_ns);
}

/*
 * Opens a session in a slot of the flow's buckets. The word with count and lock, `before`, is read first, and the lock
 * is taken last, by a compare-and-swap: if the word is unchanged, no other core has opened a session meanwhile. Only
 * openers change free slots. limit: NULL where the mapping has no limits.
 */
static __always_inline int fast_open_at(const struct flow *f, struct subscriber *s, struct slot *slot, __u32 home,
					__u32 out_port, union opener before, const struct fast_limit *limit,
					__u64 *ret_word)
{
	__u64 word = state_word((__u16)out_port, f->p.proto, open_state(&f->p), host6_stamp(f->now));
	union opener after = { .word = before.word + OPENER_NEXT };
	int displaced, crowded;

	if (unlikely(before.sessions >= f->m->sessions_per_user))
		return fast_refuse(f, s);
	if (before.lock & 1)
		return TO_SLOW_PATH;
	displaced = 0;
	crowded = slots_crowded(before.sessions, f->m->bucket_shift);
	if (unlikely(crowded || !word_is_free(LOAD(slot->truth)) || LOAD(s->displaced) & home)) {
		slot = fast_open_slot(f, s, word, crowded, &displaced);
		if (!slot)
			return TO_SLOW_PATH;
	}
	if (__sync_val_compare_and_swap(&s->opener.word, before.word, after.word) != before.word)
		return TO_SLOW_PATH;
	if (limit)
		fast_limit_enter(limit, f->p.proto);
	if (displaced)
		displace(s, home);
	fast_open_write(f, s, slot, word, after.lock);
	fast_open_report(f, word_out_port(word));
	*ret_word = word;
	return CONTINUE;
}

/* fast_open() of a subscriber with limits. */
static __always_inline int fast_open_limited(const struct flow *f, struct subscriber *s, struct slot *slot, __u32 home,
					     __u32 out_port, __u64 *ret_word)
{
	union opener before = { .word = LOAD(s->opener.word) };
	struct fast_limit limit;

	order_reads();
	if (unlikely(fast_limit_look(f, &limit))) {
		int refused = fast_limit_refuse(f->m, s, fast_flow(f, 0));

		/* 0: there is room by now. */
		return refused == TO_SLOW_PATH || !refused ? TO_SLOW_PATH : drop((enum reason)refused);
	}
	if (!opening_is_featured(f, s, out_port))
		return fast_open_at(f, s, slot, home, out_port, before, &limit, ret_word);
	if (unlikely(before.sessions >= f->m->sessions_per_user))
		return fast_refuse(f, s);
	return fast_open_featured(f, s, ret_word);
}

/* Opens a session for a flow that is not in its preferred slot. */
static __always_inline int fast_open(const struct flow *f, struct subscriber *s, struct slot *slot, __u32 home,
				     __u64 *ret_word)
{
	__u32 out_port = mapping_port_lo(&f->m->geo, f->subscriber) + f->port_offset;
	union opener before;

	if (settings.openings) {
		if (opening_is_slow(f->m, out_port))
			return TO_SLOW_PATH;
		if (mapping_is_limited(f->m))
			return fast_open_limited(f, s, slot, home, out_port, ret_word);
	}
	if (opening_is_featured(f, s, out_port))
		return FAMILY6 ? TO_SLOW_PATH : fast_open_featured(f, s, ret_word);
	before.word = LOAD(s->opener.word);
	order_reads();
	if (!six_may_open())
		return TO_SLOW_PATH;
	return fast_open_at(f, s, slot, home, out_port, before, 0, ret_word);
}

#endif
