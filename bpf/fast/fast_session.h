/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The session of a packet from inside on the fast path, at any hook. */
#ifndef DETNAT_FAST_SESSION_H
#define DETNAT_FAST_SESSION_H

#include "fast/fast_extent.h"
#include "fast/fast_packet.h"
#include "session/fast_open.h"

/*
 * Handles a packet whose session is not in the preferred slot, or must be refreshed, opened or changed, and whose
 * source is good. Returns CONTINUE with the state word in *ret_word, or a verdict.
 */
static __always_inline int fast_session_of(const struct flow *f, struct slot *s, __u64 *ret_word)
{
	const struct mapping *m = f->m;

	*ret_word = slot_match_in(s, f->key, f->p.proto, f->now, m->timeout_ticks);
	if (!*ret_word) {
		struct subscriber *sub = subscriber_get(m, f->subscriber);
		__u32 home = home_bit(
			session_buckets(f->p.dst, f->p.dport, f->p.proto, f->port_offset, m->bucket_shift).first);
		struct slot *elsewhere = 0;

		if (!sub)
			return TO_SLOW_PATH;
		if (LOAD(sub->displaced) & home) {
			if (STAGE2 || !settings.extent_buckets) {
				elsewhere = own_lookup_in2out(f, ret_word);
				if (!elsewhere && settings.extent_buckets)
					elsewhere = extent_lookup_in2out(f, subscriber_extent(sub), ret_word);
				if (STAGE2 && elsewhere && word_owner(*ret_word) &&
				    !session_reopens(*ret_word, &f->p)) {
					session_hit(elsewhere, *ret_word, f->p.flags, m, f->subscriber | FROM_INSIDE);
					return CONTINUE;
				}
			} else {
				*ret_word = fast_packet_in2out(m, f->key, fast_flow(f, 0));
				if (*ret_word != EXTENT_NONE)
					return *ret_word == EXTENT_LEAVE ? TO_SLOW_PATH : CONTINUE;
			}
			/* One that has strayed, or is on a granted port, has the slow path to find it. */
			if (STAGE2 && !elsewhere && settings.extent_buckets && subscriber_extent(sub))
				return TO_SLOW_PATH;
		}
		if (!elsewhere)
			return fast_open(f, sub, s, home, ret_word);
		s = elsewhere;
	}
	if (session_reopens(*ret_word, &f->p))
		return TO_SLOW_PATH;
	session_hit_fast(s, *ret_word, &f->p, 1, f->now, m, f->subscriber);
	return CONTINUE;
}

#endif
