// SPDX-License-Identifier: BSD-2-Clause
/* Sessions of NAT events: each lasts from the event that begins it to the one that ends it. */
#include "traffic/reader.h"

/* Sessions at a time, in some 200 MB. Beyond them, a session has its beginning alone. */
#define MAX_EVENTS (1U << 21)

struct begun {
	struct hash_entry entry;
	struct traffic_flow flow;
};

static uint64_t begun_hash(const void *entry)
{
	const struct traffic_flow *f = &((const struct begun *)entry)->flow;

	return HASH_OF((uint64_t)f->src << 32 | f->dst, (uint64_t)f->sport << 32 | (uint64_t)f->dport << 8 | f->proto);
}

static bool begun_same(const void *a, const void *b)
{
	const struct traffic_flow *x = &((const struct begun *)a)->flow, *y = &((const struct begun *)b)->flow;

	return x->src == y->src && x->dst == y->dst && x->sport == y->sport && x->dport == y->dport &&
	       x->proto == y->proto;
}

static const struct hash_type type = {
	.size = sizeof(struct begun), .max = MAX_EVENTS, .hash = begun_hash, .same = begun_same
};

/* A session whose end is not in the file goes on until the last event. */
static enum line_is pass_on(struct reading *r, struct traffic_flow flow, int64_t end_ms)
{
	flow.last_ms = end_ms;
	flow.exact = true;
	return reading_take(r, &flow);
}

enum line_is event_begins(struct reading *r, const struct traffic_flow *flow)
{
	struct begun like = { .flow = *flow }, *before = hash_find(&type, &r->events, &like);
	enum line_is is = LINE_TAKEN;

	r->last_event_ms = flow->first_ms > r->last_event_ms ? flow->first_ms : r->last_event_ms;
	if (before) {
		is = pass_on(r, before->flow, flow->first_ms);
		hash_del(&type, &r->events, before);
	}
	if (is == LINE_FAILED || hash_add(&type, &r->events, &like))
		return is;
	return pass_on(r, *flow, flow->first_ms);
}

enum line_is event_ends(struct reading *r, const struct traffic_flow *flow)
{
	struct begun like = { .flow = *flow }, *before = hash_find(&type, &r->events, &like);
	enum line_is is;

	r->last_event_ms = flow->first_ms > r->last_event_ms ? flow->first_ms : r->last_event_ms;
	/* It began before the file did, at an unknown time: it counts where it ends. */
	if (!before)
		return pass_on(r, *flow, flow->first_ms);
	is = pass_on(r, before->flow, flow->first_ms);
	hash_del(&type, &r->events, before);
	return is;
}

enum line_is events_finish(struct reading *r)
{
	enum line_is is = LINE_SILENT;
	struct begun *begun;

	for (uint32_t at = 0; is != LINE_FAILED && (begun = hash_walk(&type, &r->events, &at));)
		is = pass_on(r, begun->flow, r->last_event_ms);
	hash_free(&r->events);
	return is == LINE_FAILED ? is : LINE_SILENT;
}
