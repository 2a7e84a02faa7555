/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Portmaps, <detnat/portmaps.h>. From outside they take packets of no session, from inside packets that would open one.
 * Compiled away while none is configured.
 */
#ifndef DETNAT_PORTMAP_H
#define DETNAT_PORTMAP_H

#include "base/count.h"
#include "session/session_slots.h"

#define NS_PER_S 1000000000ULL

/* Counts a packet that a portmap has taken. reason: portmap_in or portmap_out. */
static __always_inline void portmap_count(struct portmap_value *v, enum reason reason)
{
	__sync_fetch_and_add(&v->packets, 1);
	count_add(reason, 1);
	TRACE_STEP(portmap, (__u64)v->addr << 32 | v->port, 0);
}

/* Returns 1 if a lease ended long ago, but no agent was there to delete it. */
static __always_inline int portmap_is_over(const struct portmap_value *v)
{
	__u64 expires_s = LOAD(v->expires_s);

	return expires_s && (__s64)(bpf_ktime_get_boot_ns() - expires_s * NS_PER_S) > (__s64)(LEASE_LEFT_S * NS_PER_S);
}

/* The portmap of a key, valid until the program ends; NULL: none is in force. */
static __always_inline struct portmap_value *portmap_get(const struct portmap_key *key)
{
	struct portmap_value *v = settings.portmaps ? bpf_map_lookup_elem(&portmaps, key) : 0;

	return v && !portmap_is_over(v) ? v : 0;
}

/*
 * The other port of a portmap of <detnat/portmap_lines.h>, with the packet counted; -1: it is not there. addresses: of
 * its own endpoint, with that port, and the other one's, as in a line.
 */
SUBPROGRAM int portmap_take_line(__u64 addresses, __u32 port, __u32 proto, __u32 direction)
{
	__u64 hash = portmap_line_hash((__u32)(addresses >> 32), port, proto);

	for (__u32 second = 0; second < 2; second++) {
		__u32 number = portmap_line_number(hash, second, direction ? PORTMAP_OUT2IN : PORTMAP_IN2OUT);
		struct portmap_line *line = bpf_map_lookup_elem(&portmap_lines, &number);

		if (!line)
			return -1;
#pragma unroll
		for (__u32 i = 0; i < PORTMAP_LINE; i++) {
			__u32 ports;

			if (LOAD(line->addresses[i]) != addresses || LOAD(line->proto[i]) != (__u8)proto)
				continue;
			order_reads();
			ports = LOAD(line->ports[i]);
			order_reads();
			/* Read again: the agent may have made it another portmap's. */
			if (ports >> 16 != port || LOAD(line->addresses[i]) != addresses ||
			    LOAD(line->proto[i]) != (__u8)proto)
				continue;
			__sync_fetch_and_add(&line->packets[i], 1);
			count_add(direction ? REASON_portmap_in : REASON_portmap_out, 1);
			TRACE_STEP(portmap, addresses << 32 | (__u16)ports, 0);
			return (__u16)ports;
		}
	}
	return -1;
}

/* The portmap of a packet's destination, an outside endpoint, valid until the program ends; NULL: none. */
static __always_inline struct portmap_value *portmap_of_outside(const struct packet *p)
{
	struct portmap_key key = { .addr = p->dst, .port = p->dport, .proto = p->proto, .direction = PORTMAP_OUT2IN };

	return portmap_get(&key);
}

/*
 * The portmap of a packet's source, an inside endpoint that m maps; NULL: none. Not one that an agent has left behind
 * in the middle of a change, which would be another subscriber's outside address.
 */
static __always_inline struct portmap_value *portmap_of_inside(const struct mapping *m, const struct packet *p)
{
	struct portmap_key key = portmap_key_inside(LOAD(m->tenant), p->src, p->sport, p->proto);
	struct portmap_value *v = portmap_get(&key);

	return v && v->addr == mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src)) ? v : 0;
}

static __always_inline int subscriber_has_portmaps(const struct subscriber *s)
{
	return settings.portmaps && LOAD(s->beyond) & SUBSCRIBER_PORTMAPS;
}

/* Returns 1 if a portmap of the subscriber may have an inside port, or an outside one. */
static __always_inline int subscriber_may_map_in(const struct subscriber *s, __u8 proto, __u16 in_port)
{
	return subscriber_has_portmaps(s) && LOAD(s->portmap_in) & portmap_bit(proto, in_port);
}

static __always_inline int subscriber_may_map_out(const struct subscriber *s, __u8 proto, __u32 out_port)
{
	return subscriber_has_portmaps(s) && LOAD(s->portmap_out) & portmap_bit(proto, (__u16)out_port);
}

/* portmap_packet_in2out() of a subscriber that has portmaps. */
SUBPROGRAM int portmap_take_in2out(const struct mapping *m, const struct packet *p)
{
	struct portmap_value *v;
	struct slot *slot;
	struct flow f;
	__u64 word, key;

	if (!m || !p)
		return 0;
	v = portmap_of_inside(m, p);
	if (!v)
		return 0;
	f = flow_of(m, p);
	slot = slot_lookup_in2out(&f, &word);
	if (slot) {
		/* Another core has opened it, before the portmap was made. */
		if (!session_reopens(word, p))
			return 0;
		/* The segments to come must not find it either. */
		key = LOAD(slot->key);
		if (!slot_change(slot, word, 0))
			return 0;
		slot_closed(m, f.subscriber, key, word);
	}
	portmap_count(v, REASON_portmap_out);
	return v->port;
}

/*
 * Outside port of the portmap that a packet from inside leaves by, which has no session or reopens one; 0: none. A
 * session in time-wait gives way to it.
 */
static __always_inline int portmap_packet_in2out(const struct mapping *m, const struct subscriber *s,
						 const struct packet *p)
{
	return subscriber_may_map_in(s, p->proto, p->sport) ? portmap_take_in2out(m, p) : 0;
}

/* The same for an ICMP error about such a packet, and for any subscriber. */
static __always_inline int portmap_quote_in2out(const struct mapping *m, const struct packet *p)
{
	struct portmap_value *v = portmap_of_inside(m, p);

	return v ? v->port : 0;
}

/* Returns 1 if a portmap has an outside port of a subscriber, so that no session may get it. */
static __always_inline int portmap_is_on(const struct mapping *m, __u32 subscriber, __u8 proto, __u32 out_port)
{
	struct portmap_key key = { .addr = mapping_out_addr(&m->geo, subscriber),
				   .port = (__u16)out_port,
				   .proto = proto,
				   .direction = PORTMAP_OUT2IN };

	return !!bpf_map_lookup_elem(&portmaps, &key);
}

/*
 * The same for the sender of a packet; port 0 counts as held. The inside endpoint of the portmap itself opens no
 * session.
 */
SUBPROGRAM int portmap_holds(const struct mapping *m, const struct subscriber *s, const struct packet *p,
			     __u32 out_port)
{
	if (!m || !s || !p)
		return 0;
	return !out_port || (subscriber_may_map_out(s, p->proto, out_port) &&
			     portmap_is_on(m, mapping_subscriber(&m->geo, p->src), p->proto, out_port));
}

/* Returns 1 if there may be ports of a subscriber's block that no session gets: port 0, or one that a portmap holds. */
static __always_inline int ports_are_withheld(const struct subscriber *s)
{
	return settings.port_zero || subscriber_has_portmaps(s);
}

/* Returns 1 if no session of a packet's sender may have an outside port. */
static __always_inline int port_is_withheld(const struct mapping *m, const struct subscriber *s, const struct packet *p,
					    __u32 out_port)
{
	return ports_are_withheld(s) && portmap_holds(m, s, p, out_port);
}

#endif
