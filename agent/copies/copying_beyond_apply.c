/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions beyond the slots, as the receiver takes them from a peer: it trusts nothing it reads. */
#include <errno.h>

#include "copies/copying_apply.h"
#include "copies/found_session.h"

/* Whether a waiting session has not been announced since the table. */
static bool is_left_out(const struct waiting_copy *e, const void *arg)
{
	const struct copying_peer *all = arg;

	return e->beyond && all[e->peer].complete && e->round != all[e->peer].round;
}

void copied_beyond_whole_ended(struct copying *c, unsigned peer)
{
	c->peer[peer].complete = true;
	waiting_forget(&c->waiting, is_left_out, c->peer);
}

static struct told_session session_of(const struct wire_beyond *w)
{
	return (struct told_session){
		.key = be64toh(w->key),
		.out_port = be16toh(w->out_port),
		.proto = w->proto,
		.state = wire_session_state(w->state),
		.inbound = be16toh(w->flags) & WIRE_BEYOND_INBOUND,
		.behalf = w->state & WIRE_ON_BEHALF,
		.beyond = true,
		.turn = wire_turn(w->flags),
		.age_s = wire_age_s(w->flags),
	};
}

/* The peer has ended it. */
static void end(const struct applying *a, const struct session_tuple *id)
{
	const struct waiting_copy like = { .subscriber = id->subscriber,
					   .key = id->key,
					   .mapping = id->mapping,
					   .peer = (uint8_t)a->peer,
					   .proto = id->proto,
					   .beyond = true };
	struct found_session s;

	waiting_del(&a->c->waiting, &like);
	if (!found_beyond(a->c, id, &s) || s.owner != a->peer || s.id.out_port != id->out_port || !found_end(a->c, &s))
		return;
	found_forget(a->c, &s);
	a->c->counts->ended++;
}

int apply_beyond(const struct applying *a, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		 uint32_t round)
{
	const struct placing p = { .peer = (uint8_t)a->peer,
				   .turn = t->turn,
				   .age_s = t->age_s,
				   .told = a->told,
				   .behalf = t->behalf,
				   .round = round };

	if (!copy_state_fits(t->key, t->proto, t->state) || !has_subscriber(a->c, cm, subscriber)) {
		a->c->counts->refused++;
		return 0;
	}
	return placing_waits(a->c, cm, subscriber, t, &p, a->now) ? 0
								  : placing_add(a->c, cm, subscriber, t, &p, a->now);
}

/* The records that end sessions, or the others. */
static int apply_records(const struct applying *a, const struct wire_beyond *w, size_t n, bool ends)
{
	struct copying *c = a->c;
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		const struct told_session t = session_of(&w[i]);
		uint16_t number = be16toh(w[i].mapping);
		uint32_t subscriber = be32toh(w[i].subscriber);
		struct copied_mapping *cm;

		if (!w[i].state != ends)
			continue;
		cm = number < MAX_MAPPINGS ? copied_mapping(c, c->peer[a->peer].ours[number]) : NULL;
		if (number >= MAX_MAPPINGS || (cm && subscriber >= cm->tables.n_subscribers))
			return -EPROTO;
		if (!cm)
			c->counts->skipped++;
		else if (ends)
			end(a, &(struct session_tuple){ t.key, subscriber, (uint16_t)cm->number, t.out_port, t.proto });
		else
			r = apply_beyond(a, cm, subscriber, &t, c->peer[a->peer].round);
	}
	return r;
}

int copied_beyond_apply(const struct applying *a, const void *payload, size_t length)
{
	const struct wire_beyond *w = payload;
	size_t n = length / sizeof(*w);
	int r;

	if (length % sizeof(*w))
		return -EPROTO;
	/* Another record may need the port, or the flow, of an ended session. */
	r = apply_records(a, w, n, true);
	return r ? r : apply_records(a, w, n, false);
}
