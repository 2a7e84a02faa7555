/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions for which there was no room are tried again after a second, then after twice as long each time; and what a
 * peer has announced and this gateway still lacks.
 */
#include "base/clock.h"
#include "copies/ownership.h"

/* Limits of one call: looked at, for all peers, and tried, for this one. */
#define LOOK_MAX 4096U
#define TRY_MAX	 256U
/* The longest time between two tries, in seconds: 1 <<; and where another session has the flow or the port. */
#define TRIES_MAX	5U
#define TRIES_MAX_CLASH 1U
/* After so many tries, a session that has no place is lacking. */
#define LACKING_AT 3U
/* A whole copy is asked for so often at most. */
#define ASK_US 30000000ULL

static bool is_due(const struct waiting_copy *w, uint32_t now, uint32_t second)
{
	uint32_t shift = w->clash && w->tries > TRIES_MAX_CLASH ? TRIES_MAX_CLASH : w->tries;

	return (int32_t)(now - w->tick) >= (int32_t)(second << shift);
}

static int try_again(struct copying *c, struct waiting_copy *w, uint32_t now)
{
	struct copied_mapping *cm = copied_mapping(c, w->mapping);
	const struct waiting_copy like = *w;

	if (!cm || !c->peer[w->peer].exchanged[w->mapping]) {
		waiting_del(&c->waiting, &like);
		return 0;
	}
	w->tries += w->tries < TRIES_MAX;
	w->tick = now;
	return copied_again(c, cm, &like);
}

int copying_retry(struct copying *c, unsigned peer, struct copying_counts *add)
{
	struct hash_table *w = &c->waiting;
	const struct datapath *d = mappings_datapath(c->m);
	uint32_t second = ticks_of_seconds(1, d->hz), now, tried = 0;
	int r = 0, f;

	copied_grants_retry(c, monotonic_us());
	if (!w->n)
		return 0;
	copied_mappings_look(c);
	r = copy_program_load(&c->program, d);
	if (r)
		return r;
	now = datapath_ticks(d);
	c->aside = (struct copying_counts){ 0 };
	c->counts = &c->aside;
	c->again = true;
	for (uint32_t i = 0; !r && w->n && i < LOOK_MAX && i < w->end && tried < TRY_MAX; i++) {
		struct waiting_copy *e = hash_get(&waiting_copies, w, c->peer[peer].retry_at++ % w->end);

		if (!e || e->peer != peer || !is_due(e, now, second))
			continue;
		tried++;
		r = try_again(c, e, now);
	}
	f = placing_flush(c);
	c->again = false;
	/* These have been counted as refused. */
	add->placed += c->aside.placed;
	add->updated += c->aside.updated;
	add->existing += c->aside.existing;
	return r ? r : f;
}

struct copying_lacks copying_lacks(const struct copying *c, unsigned peer)
{
	struct copying_lacks ret = c->peer[peer].lacks;
	uint32_t at = 0;

	for (const struct waiting_copy *w; (w = hash_walk(&waiting_copies, &c->waiting, &at));) {
		bool lacking = w->peer == peer && w->tries >= LACKING_AT;

		ret.sessions += lacking && w->room;
		ret.contested += lacking && !w->room && w->clash;
	}
	ret.unknown = c->peer[peer].missed;
	return ret;
}

bool copying_asks_again(struct copying *c, unsigned peer)
{
	struct copying_peer *p = &c->peer[peer];
	uint64_t now = monotonic_us();

	if (!p->missed || p->lacks.grants || c->waiting.n > WAITING_MAX / 2 ||
	    (p->asked_us && now - p->asked_us < ASK_US))
		return false;
	p->missed = false;
	p->asked_us = now;
	return true;
}
