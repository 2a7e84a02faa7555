/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two sessions of one flow, or of one outside endpoint, at two gateways: which of them gives way (rule 7 of
 * docs/internals/OWNERSHIP.md). Each gateway decides for its own session, and both decide the same, as each tells the
 * other how old its session is for as long as neither has given way.
 */
#include "base/clock.h"
#include "copies/ownership.h"
#include "copies/session_beyond.h"

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

/*
 * A session of this gateway's own stays in the way of one of a peer's: it is told once more, so that the peer knows
 * when its last packet came. Only where the other one has waited, or gateways would answer each other all the time.
 */
static void tell_again(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint64_t key,
		       uint64_t word)
{
	uint16_t *note = &cm->notes[(size_t)subscriber * cm->tables.n_slots + slot], id = session_id(key, word);

	if (!c->again || !word_is_open(word) || !note_is_of(*note, id))
		return;
	*note = note_of_told_again(id, word_state(word));
	cm->flags[subscriber] |= SUBSCRIBER_UNSURE;
}

static void tell_beyond_again(const struct copying *c, const struct overflow_id *id)
{
	struct overflow_told *t = c->again ? overflow_tolds_find(&c->overflow_told, id) : NULL;

	if (t && !t->peer)
		t->again = true;
}

void slot_gives_way(struct copying *c, const struct session_copy *r, const struct placing *p, uint32_t slot)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	struct slot *s = (struct slot *)mappings_buckets(c->m, r->mapping, r->subscriber) + slot;
	uint16_t none = 0, *marks = copy_marks_of(&cm->marks, r->subscriber), *mark = marks ? marks + slot : &none;
	uint64_t word = load_word(s), key;
	uint32_t now = datapath_ticks(mappings_datapath(c->m));
	bool copy;

	if (p->behalf || !word_is_live(word) || !read_slot(s, word, &key))
		return;
	copy = *mark && mark_settle(c, cm, r->subscriber, slot, mark, NULL, now);
	if (copy && c->up >> mark_peer(*mark) & 1)
		return;
	if (!copy && !own_gives_way(c, word, p)) {
		tell_again(c, cm, r->subscriber, slot, key, word);
		return;
	}
	if (!end_copy(c, cm, r->subscriber, slot, word))
		return;
	if (copy)
		mark_clear(c, cm, r->subscriber, slot, mark);
	report_end(c, r, key, word);
}

void beyond_gives_way(struct copying *c, const struct session_copy *r, const struct placing *p,
		      const struct session_beyond *b)
{
	const struct overflow_id id = slot_session_id(&c->mapping[r->mapping], r->subscriber, b->key, b->word);
	unsigned of = session_beyond_owner(b);

	if (p->behalf || (of && c->up >> of & 1))
		return;
	if (!of && !own_gives_way(c, b->word, p)) {
		tell_beyond_again(c, &id);
		return;
	}
	if (!session_beyond_end(c, &id, b))
		return;
	if (of)
		overflow_uncopy(c, &id, of);
	report_end(c, r, b->key, b->word);
}

/*
 * The obstacle on the port of a request: a session in a slot or beyond the slots, a binding, or a portmap, which stays.
 */
void port_gives_way(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	const struct copied_mapping *cm = &c->mapping[r->mapping];
	const struct overflow_id id = slot_session_id(cm, r->subscriber, r->key, r->word);
	struct session_beyond b;

	if (r->slot < cm->tables.n_slots) {
		slot_gives_way(c, r, p, r->slot);
		return;
	}
	if (session_beyond_find_port(c, &id, &b))
		beyond_gives_way(c, r, p, &b);
	else if (!p->behalf)
		bindings_give_way(c, r);
}
