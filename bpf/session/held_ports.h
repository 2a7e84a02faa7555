/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which ports a subscriber's sessions use, found by a walk through all of its slots: before a port whose binding has
 * expired is another inside endpoint's. Packets on the fast path do not keep bindings, and the agent that does may be
 * slow or dead.
 */
#ifndef DETNAT_HELD_PORTS_H
#define DETNAT_HELD_PORTS_H

#include "session/bind_lines.h"
#include "session/search_limit.h"
#include "session/slot_lookup.h"

/* Ticks for which searches pass over a port on which sessions were found. */
#define BINDING_HELD_TICKS 8U

struct held_ports_walk {
	const struct mapping *m;
	__u32 subscriber;
	__u32 first; /* port */
	__u32 now;
	__u8 proto;
};

static long held_ports_of_bucket(__u32 i, struct held_ports_walk *w)
{
	struct binding_search *b = binding_search_get();
	struct bucket *bucket = subscriber_bucket(w->m, w->subscriber, i);

	if (!b || !bucket)
		return LOOP_END;
	for (__u32 k = 0; k < BUCKET_SLOTS; k++) {
		__u64 word = LOAD(bucket->slot[k].truth);
		__u32 at = word_out_port(word) - w->first;

		if (word_is_live(word) && word_proto(word) == w->proto && at < PORT_GROUP &&
		    !word_expired(word, w->now, w->m->timeout_ticks))
			ADD_BITS(b->held, 1U << (at & (PORT_GROUP - 1)));
	}
	return LOOP_ON;
}

/* Adds to binding_search.held the ports of a protocol that sessions use, of PORT_GROUP ports. */
static __always_inline void held_ports_walk(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u8 proto,
					    __u32 first)
{
	struct held_ports_walk w = {
		.m = m,
		.subscriber = subscriber,
		.first = first,
		.now = now_ticks(),
		.proto = proto,
	};

	bpf_loop(subscriber_buckets(m, s), held_ports_of_bucket, &w, 0);
	search_end(s, BUCKET_SLOTS * subscriber_buckets(m, s));
}

#endif
