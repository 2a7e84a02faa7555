/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions in the overflow, as the receiver takes them from a peer: nothing that is read is trusted. */
#include <errno.h>

#include "replication/copying_place.h"

void copied_overflow_whole_began(struct copying *c, unsigned peer)
{
	number_set_free(&c->peer[peer].heard);
	c->peer[peer].heard_all = true;
	c->peer[peer].purge = PURGE_NONE;
}

void copied_overflow_whole_ended(struct copying *c, unsigned peer)
{
	c->peer[peer].purge = c->peer[peer].heard_all ? PURGE_DUE : PURGE_NONE;
}

/* What is being applied. */
struct applying {
	struct copying *c;
	unsigned peer;
	uint32_t now;
};

/* The mapping of a record. 0: *ret, NULL if it is not exchanged; -EPROTO. */
static int mapping_of(const struct applying *a, const struct wire_overflow *w, struct copied_mapping **ret)
{
	uint16_t number = be16toh(w->mapping);

	if (number >= MAX_MAPPINGS)
		return -EPROTO;
	*ret = copied_mapping(a->c, a->c->peer[a->peer].ours[number]);
	return *ret && be32toh(w->subscriber) >= (*ret)->tables.n_subscribers ? -EPROTO : 0;
}

static int apply(const struct applying *a, const struct wire_overflow *w, const struct copied_mapping *cm)
{
	bool whole = be16toh(w->flags) & WIRE_OVERFLOW_WHOLE;
	struct session_copy r = {
		.key = be64toh(w->key),
		.word = state_word(be16toh(w->out_port), w->proto, w->state, a->now),
		.request = w->state ? COPY_TO_OVERFLOW : COPY_END,
		/* News of a session are of the one that has it by now; else the peer that vouches for it keeps it. */
		.takes = whole ? (uint8_t)~a->c->up : UINT8_MAX,
	};

	r.mark = overflow_mark(a->peer, r.word);
	if (w->state &&
	    (!copy_state_fits(r.key, w->proto, w->state) || !has_subscriber(a->c, cm, be32toh(w->subscriber)))) {
		a->c->counts->refused++;
		return 0;
	}
	return placing_add_overflow(a->c, cm, be32toh(w->subscriber), &r, true);
}

int copied_overflow_again(struct copying *c, const struct copied_mapping *cm, const struct waiting_copy *w)
{
	const struct applying a = { .c = c, .peer = w->peer, .now = datapath_ticks(mappings_datapath(c->m)) };
	const struct wire_overflow record = {
		.key = htobe64(w->key),
		.subscriber = htobe32(w->subscriber),
		.out_port = htobe16(w->out_port),
		.proto = w->proto,
		.state = w->state,
		/* No news. */
		.flags = htobe16(WIRE_OVERFLOW_WHOLE),
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
	const struct applying a = {
		.c = c,
		.peer = peer,
		.now = datapath_ticks(mappings_datapath(c->m)),
	};
	size_t n = length / sizeof(*w);
	int r, f;

	if (length % sizeof(*w))
		return -EPROTO;
	c->counts = add;
	/* The port, or the flow, of a session that has ended may be that of another record. */
	r = apply_records(&a, w, n, true);
	if (!r)
		r = apply_records(&a, w, n, false);
	f = placing_flush(c);
	return r ? r : f;
}
