/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Opens a session beyond the slots, for packets from either side. */
#ifndef DETNAT_OVERFLOW_OPEN_H
#define DETNAT_OVERFLOW_OPEN_H

#include "session/overflow_lists.h"
#include "session/opening.h"

#define EEXIST 17

/*
 * Inserts both entries of a session that is admitted and counted. Returns 0, or -errno with neither inserted. Not
 * inlined, as the next function, for the stack: their keys and events would leave the search for a port no room.
 */
static __noinline long overflow_insert(const struct flow *f, __u64 word, __u32 inbound)
{
	struct overflow_key key = overflow_key_of_port(f->m, &f->p, word_out_port(word)); /* of both, to save stack */
	struct overflow_session session = { .in_port = f->p.sport };
	long r = bpf_map_update_elem(&overflow, &key, &session, BPF_NOEXIST);

	if (r)
		return r;
	overflow_key_turn(&key, OVERFLOW_IN2OUT, f->p.sport);
	session = (struct overflow_session){ .truth = word, .inbound = (__u8)inbound };
	r = bpf_map_update_elem(&overflow, &key, &session, BPF_NOEXIST);
	if (!r)
		return 0;
	overflow_key_turn(&key, OVERFLOW_OUT2IN, word_out_port(word));
	bpf_map_delete_elem(&overflow, &key);
	return r;
}

static __noinline void overflow_opened(const struct flow *f, __u16 out_port)
{
	count_add(REASON_sessions_opened, 1);
	count_add(REASON_sessions_overflowed, 1);
	session_notify(EVENT_SESSION_OPENED, f, out_port);
}

/*
 * Under the lock, for an admitted flow as seen from inside, and a free port: opens its session with a state word.
 * inbound: 1 if the outside opens it. Returns OPENED, OPEN_EXISTS, OPEN_NO_ROOM, or as quota_take().
 */
static __always_inline enum opened overflow_open(const struct flow *f, struct subscriber *s, __u64 word, __u32 inbound)
{
	__u16 out_port = word_out_port(word);
	enum opened taken;
	long r;

	/* Half an entry is no session, and goes; without others the search for a port has not looked. */
	if (overflow_port_used(f->m, s, &f->p, out_port))
		return OPEN_NO_ROOM;
	taken = quota_take(f->m, s, f->subscriber, f->p.proto);
	if (taken != OPENED)
		return taken;
	__sync_fetch_and_add(&s->overflow, 1);
	r = overflow_insert(f, word, inbound);
	if (!r) {
		overflow_list_add(f->m, s, f->subscriber, f->key, (__u32)out_port << 8 | f->p.proto);
		overflow_opened(f, out_port);
		return OPENED;
	}
	__sync_fetch_and_add(&s->overflow, -1U);
	quota_leave(f->m, s, f->subscriber, f->p.proto);
	return r == -EEXIST ? OPEN_EXISTS : OPEN_NO_ROOM;
}

#endif
