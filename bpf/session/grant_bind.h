/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoint-independent mapping on granted ports, <detnat/growth.h>: once no port of the block is left, an inside
 * endpoint gets one of the subscriber's granted blocks, for all its sessions. All functions that bind hold the opener's
 * lock. Compiled away while no mapping with blocks that grow binds ports.
 */
#ifndef DETNAT_GRANT_BIND_H
#define DETNAT_GRANT_BIND_H

#include "session/grant.h"
#include "session/held_ports.h"
#include "session/portmap.h"
#include "session/search_limit.h"

static __always_inline struct grant_binding_key grant_binding_key_in(__u32 in_addr, __u32 out_addr, __u16 in_port,
								     __u8 proto)
{
	return (struct grant_binding_key){ .in_addr = in_addr,
					   .out_addr = out_addr,
					   .port = in_port,
					   .proto = proto,
					   .direction = GRANT_BOUND_INSIDE };
}

static __always_inline struct grant_binding_key grant_binding_key_out(__u32 out_addr, __u16 out_port, __u8 proto)
{
	return (struct grant_binding_key){
		.out_addr = out_addr, .port = out_port, .proto = proto, .direction = GRANT_BOUND_OUTSIDE
	};
}

/* The binding of a packet's inside endpoint, valid until the program ends; NULL: none. */
static __always_inline struct grant_binding *grant_binding_get(const struct mapping *m, const struct packet *p)
{
	struct grant_binding_key key = grant_binding_key_in(
		p->src, mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src)), p->sport, p->proto);

	return bpf_map_lookup_elem(&grant_bindings, &key);
}

/* A stamp never goes back. */
static __always_inline void grant_binding_raise(struct grant_binding *b, __u32 seen)
{
	if ((__s32)(seen - LOAD(b->seen)) > 0)
		STORE(b->seen, seen);
}

/* Returns 1 if a port is in one of the subscriber's blocks that are open for sessions. */
SUBPROGRAM int grant_opens(const struct mapping *m, __u32 in_addr, __u32 out_port)
{
	if (!m)
		return 0;
	for (__u32 k = 0; k < GROWTH_MAX_BLOCKS; k++) {
		__u32 lo;

		if (k >= LOAD(m->growth.max_blocks))
			return 0;
		lo = (__u32)grant_port_lo(m, in_addr, k);
		if (lo && out_port - lo < LOAD(m->growth.block))
			return 1;
	}
	return 0;
}

/* Adds to the number of a subscriber's bindings. */
static __always_inline void grant_bindings_count(__u32 in_addr, __u32 out_addr, __s32 n)
{
	struct grant_binding_key key = { .in_addr = in_addr, .out_addr = out_addr, .direction = GRANT_BOUND_COUNT };
	struct grant_binding *b = bpf_map_lookup_elem(&grant_bindings, &key), first = { .seen = (__u32)n };

	if (!b && n > 0)
		bpf_map_update_elem(&grant_bindings, &key, &first, BPF_NOEXIST);
	else if (b && LOAD(b->seen) + (__u32)n)
		STORE(b->seen, LOAD(b->seen) + (__u32)n);
	else
		bpf_map_delete_elem(&grant_bindings, &key);
}

static __always_inline int grant_bindings_any(__u32 in_addr, __u32 out_addr)
{
	struct grant_binding_key key = { .in_addr = in_addr, .out_addr = out_addr, .direction = GRANT_BOUND_COUNT };

	return !!bpf_map_lookup_elem(&grant_bindings, &key);
}

/* Under the lock: removes the binding of an outside port, if there is one. */
SUBPROGRAM int grant_unbind(__u32 out_addr, __u32 out_port, __u32 proto)
{
	struct grant_binding_key key = grant_binding_key_out(out_addr, (__u16)out_port, (__u8)proto);
	struct grant_binding *b = bpf_map_lookup_elem(&grant_bindings, &key);
	__u32 in_addr = b ? LOAD(b->addr) : 0;
	__u16 in_port = b ? LOAD(b->port) : 0;

	if (!b)
		return 0;
	bpf_map_delete_elem(&grant_bindings, &key);
	key = grant_binding_key_in(in_addr, out_addr, in_port, (__u8)proto);
	b = bpf_map_lookup_elem(&grant_bindings, &key);
	if (b && LOAD(b->port) == (__u16)out_port)
		bpf_map_delete_elem(&grant_bindings, &key);
	grant_bindings_count(in_addr, out_addr, -1);
	return 0;
}

/*
 * Returns 1 if a port is left, although it has a binding: that has expired, and no packet from inside has kept it for
 * half a lifetime more, in which the agent's sweep keeps those of sessions.
 */
static __always_inline int grant_binding_is_left(const struct mapping *m, const struct grant_binding *of_outside,
						 __u32 out_addr, __u8 proto)
{
	struct grant_binding_key key =
		grant_binding_key_in(LOAD(of_outside->addr), out_addr, LOAD(of_outside->port), proto);
	struct grant_binding *b = bpf_map_lookup_elem(&grant_bindings, &key);
	__u32 life = binding_life(m, proto);

	return !b || (__s32)(now_ticks() - LOAD(b->seen)) > (__s32)(life + life / 2);
}

/* Under the lock: returns 1 if a session of the extent has a granted port towards a packet's endpoint. */
static __always_inline int grant_port_has_session(const struct mapping *m, const struct subscriber *s,
						  const struct packet *p, __u32 out_port)
{
	__u32 subscriber = mapping_subscriber(&m->geo, p->src), extent = subscriber_extent(s);
	__u64 key = slot_key(p->dst, p->dport, 0);

	return extent_has(m, extent_search_port(m, extent, key, port_offset_of(m, subscriber, out_port),
						out_port << 8 | p->proto));
}

/* Under the lock: returns 1 if a granted port can be bound to a packet's inside endpoint. */
SUBPROGRAM int grant_port_is_free(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 out_port)
{
	struct grant_binding_key key;
	struct grant_binding *b;

	if (!m || !s || !p)
		return 0;
	if (settings.portmaps && portmap_is_on(m, mapping_subscriber(&m->geo, p->src), p->proto, out_port))
		return 0;
	key = grant_binding_key_out(mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src)), (__u16)out_port,
				    p->proto);
	b = bpf_map_lookup_elem(&grant_bindings, &key);
	if (b && !grant_binding_is_left(m, b, key.out_addr, p->proto))
		return 0;
	return !settings.extent_buckets || !grant_port_has_session(m, s, p, out_port);
}

/* A walk through the ports of a granted block. */
struct grant_bind_walk {
	const struct mapping *m;
	struct subscriber *s;
	const struct packet *p;
	__u32 port_lo;
	__u32 ports;
	__u32 port; /* found; 0: none */
};

static long grant_bind_step(__u32 i, struct grant_bind_walk *w)
{
	__u32 at = i + w->p->sport % w->ports, port;

	port = w->port_lo + (at < w->ports ? at : at - w->ports);
	if (!grant_port_is_free(w->m, w->s, w->p, port))
		return LOOP_ON;
	w->port = port;
	return LOOP_END;
}

/* Units of search work for so many ports of granted blocks. */
#define GRANT_PORTS_OF_UNIT 64U

/* Under the lock: a port of the subscriber's granted blocks that can be bound; 0: none. */
static __always_inline __u32 grant_bind_search(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	struct grant_bind_walk w = { .m = m, .s = s, .p = p, .ports = LOAD(m->growth.block) };
	__u32 n = LOAD(m->growth.max_blocks), last = grant_search_first(s, n), walked = 0;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i <= GROWTH_MAX_BLOCKS && !w.port; i++) {
		__u32 k = i ? i - 1 : last;

		if (k >= n || !w.ports)
			break;
		w.port_lo = (__u32)grant_port_lo(m, p->src, k);
		if (w.port_lo)
			walked += (__u32)bpf_loop(w.ports, grant_bind_step, &w, 0);
	}
	search_count(s, walked / GRANT_PORTS_OF_UNIT + !w.port);
	return w.port;
}

/* The line of an inside port's first choice; NULL only while tables are being deleted. */
static __always_inline struct binding_line *grant_home_line(const struct mapping *m, const struct packet *p)
{
	return binding_line_get(m, mapping_subscriber(&m->geo, p->src), p->proto,
				mapping_first_choice(&m->geo, p->sport) >> PORT_GROUP_SHIFT);
}

#define GRANTED_BIT ((__u64)BINDING_GRANTED << 32)

/* Under the lock: binds a port that can be bound. Returns 0, or -1 if the map is full. */
SUBPROGRAM int grant_bind_port(const struct mapping *m, const struct packet *p, __u32 out_port, __u32 seen)
{
	struct grant_binding_key key;
	struct grant_binding b = {}, *former;
	struct binding_line *home;
	__u32 out_addr;

	if (!m || !p)
		return -1;
	home = grant_home_line(m, p);
	if (!home)
		return -1;
	out_addr = mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src));
	grant_unbind(out_addr, out_port, p->proto);
	former = grant_binding_get(m, p);
	if (former)
		grant_unbind(out_addr, LOAD(former->port), p->proto);
	/* Noted first, so that openings find the binding as soon as it exists. */
	__sync_fetch_and_or(&home->entry[0], GRANTED_BIT);
	key = grant_binding_key_out(out_addr, (__u16)out_port, p->proto);
	b.addr = p->src;
	b.port = p->sport;
	b.seen = seen;
	if (bpf_map_update_elem(&grant_bindings, &key, &b, BPF_NOEXIST))
		return -1;
	key = grant_binding_key_in(p->src, out_addr, p->sport, p->proto);
	b.addr = out_addr;
	b.port = (__u16)out_port;
	if (bpf_map_update_elem(&grant_bindings, &key, &b, BPF_ANY)) {
		key = grant_binding_key_out(out_addr, (__u16)out_port, p->proto);
		bpf_map_delete_elem(&grant_bindings, &key);
		return -1;
	}
	grant_bindings_count(p->src, out_addr, 1);
	return 0;
}

/*
 * Under the lock: returns 1 if sessions use a port whose binding is left. The next search passes over it, as in
 * binding_raise_held().
 */
SUBPROGRAM int grant_port_is_held(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 out_port)
{
	struct binding_search *b = binding_search_get();
	__u32 subscriber, life;
	struct grant_binding_key key;
	struct grant_binding *left;

	if (!m || !s || !p || !b)
		return 1;
	subscriber = mapping_subscriber(&m->geo, p->src);
	key = grant_binding_key_out(mapping_out_addr(&m->geo, subscriber), (__u16)out_port, p->proto);
	left = bpf_map_lookup_elem(&grant_bindings, &key);
	if (!left)
		return 0;
	STORE(b->held, 0);
	held_ports_walk(m, s, subscriber, p->proto, out_port);
	if (!(LOAD(b->held) & 1))
		return 0;
	key = grant_binding_key_in(LOAD(left->addr), key.out_addr, LOAD(left->port), p->proto);
	left = bpf_map_lookup_elem(&grant_bindings, &key);
	life = binding_life(m, p->proto);
	if (!left)
		return 0;
	grant_binding_raise(left, now_ticks() - life - life / 2 + BINDING_HELD_TICKS);
	return 1;
}

/* A granted port as an offset in the block of a packet's sender, beyond the block. */
static __always_inline __s32 grant_offset(const struct mapping *m, const struct packet *p, __u32 out_port)
{
	return (__s32)((out_port - mapping_port_lo(&m->geo, mapping_subscriber(&m->geo, p->src))) & 0xffff);
}

/*
 * Under the lock: binds a granted port to a packet's inside endpoint. Returns its offset, or BINDING_NONE, or
 * BINDING_BUSY.
 */
SUBPROGRAM int grant_bind(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	__u32 mark, port;

	if (!m || !s || !p)
		return BINDING_BUSY;
	mark = growth_mark(now_ticks(), grants_of(m, p->src), binding_mark(p->proto));
	if (LOAD(s->growth_vain) == mark)
		return BINDING_NONE;
	port = grant_bind_search(m, s, p);
	if (!port) {
		STORE(s->growth_vain, mark);
		return BINDING_NONE;
	}
	if (grant_port_is_held(m, s, p, port))
		return BINDING_BUSY;
	return grant_bind_port(m, p, port, now_ticks()) ? BINDING_BUSY : grant_offset(m, p, port);
}

/*
 * Under the lock: the granted port that a packet's inside endpoint has, as an offset; BINDING_NONE: it has none on
 * which sessions may open, and any other is given up.
 */
SUBPROGRAM int grant_binding_of(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	struct binding_line *home;
	struct grant_binding *b;
	__u32 out_addr;

	if (!m || !s || !p)
		return BINDING_NONE;
	home = grant_home_line(m, p);
	if (!home || !(binding_flags(LOAD(home->entry[0])) & BINDING_GRANTED))
		return BINDING_NONE;
	out_addr = mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src));
	b = grant_binding_get(m, p);
	if (b && grant_opens(m, p->src, LOAD(b->port))) {
		grant_binding_raise(b, now_ticks());
		return grant_offset(m, p, LOAD(b->port));
	}
	if (b)
		grant_unbind(out_addr, LOAD(b->port), p->proto);
	if (!grant_bindings_any(p->src, out_addr))
		__sync_fetch_and_and(&home->entry[0], ~GRANTED_BIT);
	return BINDING_NONE;
}

/*
 * The binding of the port to which a packet from outside to a subscriber of m is sent, as an entry of the block's; 0:
 * none on which a session may open.
 */
SUBPROGRAM __u64 grant_binding_to(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	struct grant_binding_key key;
	struct grant_binding *b;
	__u32 in_addr;
	__u16 in_port;

	if (!m || !p)
		return 0;
	in_addr = m->geo.in_base + subscriber;
	key = grant_binding_key_out(p->dst, p->dport, p->proto);
	b = bpf_map_lookup_elem(&grant_bindings, &key);
	if (!b || LOAD(b->addr) != in_addr || !grant_opens(m, in_addr, p->dport))
		return 0;
	in_port = LOAD(b->port);
	key = grant_binding_key_in(in_addr, p->dst, in_port, p->proto);
	b = bpf_map_lookup_elem(&grant_bindings, &key);
	return b && LOAD(b->port) == p->dport ? binding_entry(in_port, BINDING_BOUND, LOAD(b->seen)) : 0;
}

/* Under the lock: does what the agent asks for. */
static __always_inline int grant_binding_changed_locked(const struct grant_binding_change *c)
{
	struct grant_binding_key key = grant_binding_key_out(c->out_addr, c->out_port, c->proto);
	struct grant_binding *b = bpf_map_lookup_elem(&grant_bindings, &key);
	__u32 in_addr = b ? LOAD(b->addr) : 0;
	__u16 in_port = b ? LOAD(b->port) : 0;

	if (!b || (c->request == GRANT_BINDING_KEEP && in_port != c->in_port))
		return GRANT_BINDING_NOT;
	key = grant_binding_key_in(in_addr, c->out_addr, in_port, c->proto);
	b = bpf_map_lookup_elem(&grant_bindings, &key);
	if (c->request == GRANT_BINDING_KEEP) {
		if (b && LOAD(b->port) == c->out_port)
			grant_binding_raise(b, c->seen);
		return GRANT_BINDING_DONE;
	}
	if (c->request == GRANT_BINDING_EXPIRE && b && (__s32)(LOAD(b->seen) - c->seen) > 0)
		return GRANT_BINDING_NOT;
	grant_unbind(c->out_addr, c->out_port, c->proto);
	return GRANT_BINDING_DONE;
}

/* Takes the lock of the subscriber that has the port. Returns enum grant_binding_changed. */
static __always_inline int grant_binding_do(const struct grant_binding_change *c)
{
	struct grant_binding_key key = grant_binding_key_out(c->out_addr, c->out_port, c->proto);
	const struct grant_binding *b = bpf_map_lookup_elem(&grant_bindings, &key);
	const struct mapping *m = mapping_by_outside(c->out_addr);
	__u32 in_addr = b ? LOAD(b->addr) : 0;
	struct subscriber *s;
	int r;

	if (!b || !m || !mapping_has_inside(&m->geo, in_addr))
		return GRANT_BINDING_NOT;
	s = subscriber_get(m, mapping_subscriber(&m->geo, in_addr));
	if (!s)
		return GRANT_BINDING_NOT;
	if (open_lock(s))
		return GRANT_BINDING_BUSY;
	r = grant_binding_changed_locked(c);
	open_unlock(s);
	return r;
}

#endif
