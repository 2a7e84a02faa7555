/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two sessions of one flow, or of one outside endpoint, at two gateways: which of them gives way (rule 7 of
 * docs/internals/OWNERSHIP.md). Each gateway decides for its own session, and both decide the same, as each tells the
 * other how old its session is for as long as neither has given way.
 */
#include "base/clock.h"
#include "copies/found_session.h"

/* Seconds by which a session's last packet must be older for it to give way. */
#define GIVES_WAY_S 3U
/*
 * Without a packet for so many seconds, a session is not in use. A peer that lacks it knows the time of its last packet
 * after so many.
 */
#define IDLE_S	8U
#define KNOWS_S 5U

/*
 * Whether the peer has the claim to what an announced session and one here, this gateway's own, both have, as neither
 * is in use: the last packets came within seconds of each other. By then the peer must know how old the one here is, so
 * that it has given way if it had to.
 */
static bool idle_gives_way(const struct copying *c, const struct placing *p, uint32_t ours, uint32_t theirs)
{
	uint32_t hz = mappings_datapath(c->m)->hz, idle = ticks_of_seconds(IDLE_S, hz);
	uint64_t now_ms = monotonic_us() / 1000, age_ms = 1000ULL * seconds_of_ticks(ours, hz);

	return c->again && c->order[p->peer] > c->order[0] && ours >= idle && theirs >= idle &&
	       ours + ticks_of_seconds(GIVES_WAY_S, hz) >= theirs &&
	       c->peer[p->peer].known_ms + age_ms >= now_ms + KNOWS_S * 1000ULL;
}

/* Whether a session of this gateway's own gives way to an announced one: it is older, or neither is in use. */
static bool own_gives_way(const struct copying *c, uint64_t word, const struct placing *p)
{
	uint32_t hz = mappings_datapath(c->m)->hz, now = datapath_ticks(mappings_datapath(c->m));
	uint32_t theirs = ticks_of_seconds(p->age_s, hz) + (now - p->told), ours = now - word_seen(word);

	if ((int32_t)ours < 0)
		return false;
	return (p->age_s < WIRE_AGE_MAX && ours > theirs + ticks_of_seconds(GIVES_WAY_S, hz)) ||
	       idle_gives_way(c, p, ours, theirs);
}

void gives_way(struct copying *c, const struct session_copy *r, const struct placing *p, const struct found_session *s)
{
	if (p->behalf || (s->owner && c->up >> s->owner & 1))
		return;
	/*
	 * It stays: it is told once more, so that the peer knows when its last packet came. Only where the other one
	 * has waited, or gateways would answer each other all the time.
	 */
	if (!s->owner && !own_gives_way(c, s->word, p)) {
		if (c->again)
			found_tell_again(c, s);
		return;
	}
	if (found_end(c, s))
		report_end(c, r, s->id.key, s->word);
}

/*
 * The obstacle on the port of a request: a session, a binding, or a portmap, which stays.
 */
void port_gives_way(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	const struct session_tuple id = slot_session_id(cm, r->subscriber, r->key, r->word);
	bool in_slot = r->slot < cm->tables.n_slots;
	struct found_session s;

	if (in_slot ? found_in_slot(c, cm, r->subscriber, r->slot, &s) : found_beyond_port(c, &id, &s))
		gives_way(c, r, p, &s);
	else if (!in_slot && !p->behalf)
		bindings_give_way(c, r);
}
