/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions beyond the slots, as the receiver takes them from a peer: it trusts nothing it reads. */
#include <errno.h>

#include "copies/ownership.h"

/* After a table without a whole copy, changes are followed for ten minutes. */
#define HEARD_MAX (1U << 22)

void copied_overflow_whole_began(struct copying *c, unsigned peer)
{
	hash_index_free(&c->peer[peer].heard);
	c->peer[peer].heard_all = true;
	c->peer[peer].purge = PURGE_NONE;
}

/* Whether a waiting session has not been announced since the table. */
static bool is_unheard(const struct waiting_copy *e, const void *arg)
{
	const struct copying *c = arg;
	const struct overflow_id id = { .key = e->key,
					.subscriber = e->subscriber,
					.mapping = e->mapping,
					.out_port = e->out_port,
					.proto = e->proto };
	const struct copying_peer *p = &c->peer[e->peer];

	return e->beyond && p->purge == PURGE_DUE && !hash_set_has(&p->heard, overflow_id_hash(&id));
}

void copied_overflow_whole_ended(struct copying *c, unsigned peer)
{
	c->peer[peer].purge = c->peer[peer].heard_all ? PURGE_DUE : PURGE_NONE;
	waiting_forget(&c->waiting, is_unheard, c);
}

/* The announcement being applied. */
struct applying {
	struct copying *c;
	unsigned peer;
	uint32_t now;
	uint32_t told; /* tick at which the peer has announced it */
};

/* Gateways from which the peer takes the session, a bit for each peer, and 0 for this gateway: rules 3, 8 and 9. */
static uint8_t takes(const struct applying *a, const struct overflow_id *id, const struct placing *p)
{
	const struct overflow_told *t = overflow_tolds_find(&a->c->overflow_told, id);
	unsigned of = t ? t->peer : 0;
	/* Nothing is known of a copy that no scan has found yet. */
	uint8_t set = t ? (uint8_t)~a->c->up & 0xfeU : 0xfeU;

	if (p->behalf)
		return 0;
	if (t && of ? copy_is_replaced(a->c, p, of, t->turn, t->behalf)
		    : claim_wins(a->c, a->peer, p->turn, 0, t ? t->turn : 0))
		set |= (uint8_t)(1U << of);
	return set;
}

/* The mapping of a record. 0: *ret, NULL if it is not exchanged; -EPROTO. */
static int mapping_of(const struct applying *a, const struct wire_overflow *w, struct copied_mapping **ret)
{
	uint16_t number = be16toh(w->mapping);

	if (number >= MAX_MAPPINGS)
		return -EPROTO;
	*ret = copied_mapping(a->c, a->c->peer[a->peer].ours[number]);
	return *ret && be32toh(w->subscriber) >= (*ret)->tables.n_subscribers ? -EPROTO : 0;
}

static struct overflow_id id_of_record(const struct wire_overflow *w, const struct copied_mapping *cm)
{
	return (struct overflow_id){ .key = be64toh(w->key),
				     .subscriber = be32toh(w->subscriber),
				     .mapping = (uint16_t)cm->number,
				     .out_port = be16toh(w->out_port),
				     .proto = w->proto };
}

/* The peer has it: it is not purged. */
static void note_heard(const struct applying *a, const struct wire_overflow *w, const struct copied_mapping *cm)
{
	const struct overflow_id id = id_of_record(w, cm);
	struct copying_peer *p = &a->c->peer[a->peer];

	if (!p->heard_all || (p->heard.n < HEARD_MAX && !hash_set_add(&p->heard, overflow_id_hash(&id))))
		return;
	/* Purges nothing until the next whole copy. */
	hash_index_free(&p->heard);
	p->heard_all = false;
	p->purge = PURGE_NONE;
}

static int apply(const struct applying *a, const struct wire_overflow *w, const struct copied_mapping *cm)
{
	const struct told_session t = {
		.state = wire_session_state(w->state),
		.behalf = w->state & WIRE_ON_BEHALF,
		.turn = wire_turn(w->flags),
		.age_s = wire_age_s(w->flags),
	};
	const struct placing p = {
		.peer = (uint8_t)a->peer, .turn = t.turn, .age_s = t.age_s, .told = a->told, .behalf = t.behalf
	};
	const struct overflow_id id = id_of_record(w, cm);
	struct session_copy r = {
		.key = be64toh(w->key),
		.word = state_word(be16toh(w->out_port), w->proto, t.state, a->now),
		.request = w->state ? COPY_TO_OVERFLOW : COPY_END,
		.takes = w->state ? takes(a, &id, &p) : 0,
		.inbound = !!(be16toh(w->flags) & WIRE_OVERFLOW_INBOUND),
	};

	r.mark = overflow_mark(a->peer, r.word);
	r.turn = t.turn < WORD_TURN_MAX ? t.turn : WORD_TURN_MAX;
	if (w->state && (!copy_state_fits(r.key, w->proto, t.state) || !has_subscriber(a->c, cm, id.subscriber))) {
		a->c->counts->refused++;
		return 0;
	}
	if (w->state && ended_here(a->c, &p, &id)) {
		r.subscriber = id.subscriber;
		r.mapping = id.mapping;
		wait_for(a->c, &r, &p);
		a->c->counts->existing++;
		return 0;
	}
	return placing_add_overflow(a->c, cm, be32toh(w->subscriber), &r, &t, a->told);
}

int copied_overflow_again(struct copying *c, const struct copied_mapping *cm, const struct waiting_copy *w)
{
	const struct applying a = {
		.c = c, .peer = w->peer, .now = datapath_ticks(mappings_datapath(c->m)), .told = w->told
	};
	const struct wire_overflow record = {
		.key = htobe64(w->key),
		.subscriber = htobe32(w->subscriber),
		.out_port = htobe16(w->out_port),
		.proto = w->proto,
		.state = wire_state(w->state, w->behalf),
		.flags = wire_flags(w->inbound ? WIRE_OVERFLOW_INBOUND : 0, w->turn, w->age_s),
	};

	return apply(&a, &record, cm);
}

/* The records that end sessions, or the others. */
static int apply_records(const struct applying *a, const struct wire_overflow *w, size_t n, bool ends)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		struct copied_mapping *cm;

		if (!w[i].state != ends)
			continue;
		r = mapping_of(a, &w[i], &cm);
		if (!r && cm && !ends)
			note_heard(a, &w[i], cm);
		if (!r && cm)
			r = apply(a, &w[i], cm);
		else if (!r)
			a->c->counts->skipped++;
	}
	return r;
}

int copied_overflow_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
			  struct copying_counts *add)
{
	const struct wire_overflow *w = payload;
	uint32_t now = datapath_ticks(mappings_datapath(c->m));
	const struct applying a = { .c = c, .peer = peer, .now = now, .told = now };
	size_t n = length / sizeof(*w);
	int r, f;

	if (length % sizeof(*w))
		return -EPROTO;
	c->counts = add;
	/* Another record may need the port, or the flow, of an ended session. */
	r = apply_records(&a, w, n, true);
	if (!r)
		r = apply_records(&a, w, n, false);
	f = placing_flush(c);
	return r ? r : f;
}
