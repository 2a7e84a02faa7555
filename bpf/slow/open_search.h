/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens sessions that find no port in their first choice's group, or no room. Any free port of the block will do: a
 * signpost leads packets from inside there.
 */
#ifndef DETNAT_OPEN_SEARCH_H
#define DETNAT_OPEN_SEARCH_H

#include "slow/open_grant.h"

/*
 * A walk through the port groups of the block, starting with the first choice's: once for each member of enum port_of
 * whose bit is set in opening.others. A single loop, because the verifier checks the body of each loop separately.
 */
struct port_search {
	const struct flow *f;
	struct subscriber *s;
};

static __always_inline __u32 port_groups(const struct flow *f)
{
	return (f->m->geo.ports_per_host + PORT_GROUP - 1) >> PORT_GROUP_SHIFT;
}

static long port_search_group(__u32 i, struct port_search *ps)
{
	const struct flow *f = ps->f;
	__u32 groups = port_groups(f), of = i / groups, at = i % groups;
	__u32 group = (f->port_offset >> PORT_GROUP_SHIFT) + at;
	struct opening *o = opening_get(f->m, &f->p, f->port_offset);
	struct bucket_choice b;

	if (!o || !(LOAD(o->others) >> of))
		return LOOP_END;
	if (!(LOAD(o->others) >> of & 1))
		return LOOP_ON;
	if (group >= groups)
		group -= groups;
	o = open_scan(f, ps->s, at ? group << PORT_GROUP_SHIFT : f->port_offset, &b);
	if (!o)
		return LOOP_END;
	if (!at && LOAD(o->existing)) {
		opening_choose(o, PORT_OF_EXISTING);
		return LOOP_END;
	}
	if (of != PORT_FREE) {
		__u32 mask = port_mask(o, of);

		if (!mask || !port_take(f->m, ps->s, opening_slot_of(o, &b, mask), &f->p, of))
			return LOOP_ON;
		ADD_BITS(o->room, mask & -mask);
		return LOOP_END;
	}
	if (opening_port(o, f, ps->s) >= 0)
		return LOOP_END;
	if (LOAD(o->time_wait_port))
		ADD_BITS(o->others, 1U << PORT_OF_TIME_WAIT);
	if (LOAD(o->reset_port))
		ADD_BITS(o->others, 1U << PORT_OF_RESET);
	return LOOP_ON;
}

/*
 * Value of subscriber.exhausted if no port is free towards an endpoint, or held in time-wait, but some by reset
 * sessions: unlike those of search_mark() and binding_mark(), and never 0.
 */
static __always_inline __u16 search_mark_of_reset(const struct packet *p)
{
	return (__u16)((search_mark(p) & 0x7ffc) | 2);
}

/* Under the lock: searches for a port. Returns opening.port. */
static __always_inline __s32 port_search(const struct flow *f, struct subscriber *s)
{
	struct port_search ps = { .f = f, .s = s };
	struct opening *o = opening_get(f->m, &f->p, f->port_offset);
	__u32 groups = port_groups(f), skipped = 0;
	long walked;
	__s32 port;

	if (!o)
		return PORT_NONE;
	opening_choose(o, PORT_NONE);
	*(volatile __u32 *)&o->others = 1U << PORT_FREE;
	if (s->exhausted == search_mark_of_reset(&f->p)) {
		*(volatile __u32 *)&o->others = 1U << PORT_OF_RESET;
		skipped = groups * PORT_OF_RESET;
	}
	walked = bpf_loop(groups * N_PORT_OF, port_search_group, &ps, 0);
	port = LOAD(o->port);
	if (port == PORT_NONE || walked > groups)
		search_count(s, ((__u32)walked - skipped) * 2 * BUCKET_SLOTS / SEARCH_UNIT + (port == PORT_NONE));
	if (port == PORT_NONE)
		s->exhausted = search_mark(&f->p);
	else if (walked > groups * PORT_OF_RESET)
		s->exhausted = search_mark_of_reset(&f->p);
	return port;
}

/* Under the lock: port_search() for a flow whose port is bound. */
static __always_inline __s32 port_bound(const struct flow *f, struct subscriber *s, __u32 offset)
{
	struct bucket_choice b;
	struct opening *o = open_scan(f, s, offset, &b);

	if (!o)
		return PORT_NONE;
	if (LOAD(o->existing))
		return PORT_OF_EXISTING;
	opening_choose(o, open_bound_port(o, offset));
	return LOAD(o->port);
}

/* Under the lock, for an admitted flow: opens its session on any port of the block, or the bound one, if it is free. */
static __always_inline enum opened open_on_any_port(const struct flow *f, struct subscriber *s, __u32 bound,
						    __u64 *ret_word)
{
	__s32 port;

	if (s->exhausted == search_mark(&f->p))
		return OPEN_NO_PORT;
	if (open_exists_apart(f, s))
		return OPEN_EXISTS;
	if (!settings.extent_buckets)
		return OPEN_NO_ROOM;
	port = settings.bindings && bound ? port_bound(f, s, bound - 1) : port_search(f, s);
	if (port >= 0)
		return open_stray(f, s, open_word(f, mapping_port_lo(&f->m->geo, f->subscriber) + (__u32)port),
				  ret_word);
	return port == PORT_NONE ? OPEN_NO_PORT : OPEN_EXISTS;
}

static __always_inline enum opened open_beyond(const struct flow *f, struct subscriber *s, __u32 bound, __u64 *ret_word)
{
	return open_by_search(open_on_any_port, f, s, bound, ret_word);
}

/*
 * Opens the session of a packet from inside beyond the slots, on any port of the block, under the lock. Returns enum
 * opened; OPEN_LOST also if the lock is held for too long or this tick's searches are used up.
 */
SUBPROGRAM int open_beyond_slots(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 bound,
				 __u64 *ret_word)
{
	return open_under_lock(open_beyond, m, s, p, bound, ret_word);
}

/* The program for a flow from inside that found no room in its slots. */
static __always_inline int open_search(ctx_t *ctx)
{
	struct in2out io;
	struct subscriber *s;
	int verdict = open_prepare(ctx, &io, &s), opened, granted;

	if (verdict != CONTINUE)
		return verdict;

	struct arguments *n = settings.bindings ? arguments_get() : 0;
	__u32 bound = n ? *(volatile __u32 *)&n->bound : 0;
	__u64 word = 0;

	/* The mapping may have changed since: the port is one of another block then. */
	if (n && *(volatile __u32 *)&n->binder != io.f.m->first_subscriber + io.f.subscriber)
		return drop(REASON_drop_busy);
	granted = settings.growth && settings.bindings && bound_is_granted(io.f.m, bound);
	opened = granted ? OPEN_NO_PORT : open_with_room(open_beyond_slots, &io.f, s, (int)bound, &word);
	/* Blocks of IPv6 subscribers do not grow. */
	if (!FAMILY6 && opened == OPEN_NO_PORT && (granted || (mapping_grows(io.f.m) && !bound)))
		opened = open_with_room(open_on_grants, &io.f, s, (int)bound, &word);
	switch (opened) {
	case OPENED:
		return open_finish(ctx, &io, word_out_port(word));
	case OPEN_NO_PORT:
		return bound ? refuse(ctx, REASON_drop_ports_exhausted) : open_grow(ctx, &io.f, s);
	case OPEN_NO_ROOM:
		return refuse(ctx, REASON_drop_overflow_full);
	case OPEN_NO_HOST:
		return refuse(ctx, REASON_drop_hosts);
	case OPEN_AT_QUOTA:
	case OPEN_AT_LIMIT:
	case OPEN_TOO_FAST:
		return refuse(ctx, open_refusal(opened));
	case OPEN_GROWS:
		return extent_wait(ctx, io.f.m, io.f.p.src, PROG_open);
	case OPEN_EXISTS:
		/* Another core has opened the flow's session meanwhile. */
		return tail_call(ctx, PROG_open);
	default:
		return drop(REASON_drop_busy);
	}
}

#endif
