// SPDX-License-Identifier: BSD-2-Clause
/* The judge of what the outside may open, and of hosts that are not translated. */
#include <criterion/criterion.h>

#include "property_judging.h"

struct model_session outside_flow(const struct random_packet *p, uint32_t src, uint16_t sport, uint32_t in_addr)
{
	return (struct model_session){ .in_addr = in_addr,
				       .out_port = p->dport,
				       .ext_addr = src,
				       .ext_port = sport,
				       .proto = p->proto,
				       .inbound = true };
}

static bool begins(const struct random_packet *p)
{
	return p->proto != TCP || (p->flags & (MODEL_SYN | MODEL_ACK | MODEL_RST | MODEL_FIN)) == MODEL_SYN;
}

/*
 * The binding that a packet is let in by; NULL: none. Sessions are kept in slots only, so none that has strayed, unless
 * its port is a granted one.
 */
static struct model_binding *lets_in(const struct judging *j, const struct model_session *flow)
{
	struct model *m = &j->t->model;
	const struct model_mapping *map = model_inside(m, flow->in_addr);
	struct model_binding *b;
	unsigned lo;

	if (!map || !model_lets_anyone(m, flow->in_addr, flow->proto) || !begins(j->p))
		return NULL;
	b = model_binding_out(m, flow->in_addr, flow->out_port, flow->proto);
	if (!b || !model_binding_may_hold(m, b))
		return NULL;
	if (model_grant_at(m, model_out_addr(map, flow->in_addr), b->out_port))
		return model_grant_opens(m, flow->in_addr, b->out_port) ? b : NULL;
	lo = model_port_lo(map, flow->in_addr);
	return (b->out_port - lo) / 8 == (model_first_choice(map, b->in_addr, b->in_port) - lo) / 8 ? b : NULL;
}

/* Sessions that may be in slots, expired ones included. Those in time-wait make room. */
static unsigned slots_taken(const struct model *m, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->session[i].in_addr == in_addr && !m->session[i].tcp.closed;
	return n;
}

bool is_inbound_refusal(enum reason reason)
{
	return reason == REASON_drop_inbound_limit || reason == REASON_drop_inbound_quota ||
	       reason == REASON_drop_inbound_slots;
}

static void judge_inbound_refusal(const struct judging *j, const struct model_session *flow)
{
	const struct model *m = &j->t->model;
	const struct model_mapping *map = model_inside(m, flow->in_addr);
	unsigned slots = map->slots < 16 ? map->slots : 16; /* of both buckets */

	EXPECT(j, !j->o->inbound, "refused and opened");
	if (j->o->reason == REASON_drop_inbound_limit)
		EXPECT(j,
		       model_inbound(m, flow->in_addr) >= model_inbound_limit(map) ||
			       property_inbound_counted(j->t, flow->in_addr),
		       "refused though the outside may open more");
	else if (j->o->reason == REASON_drop_inbound_quota)
		EXPECT(j,
		       property_sessions_counted(flow->in_addr) >= map->quota ||
			       property_limit_counted(flow->in_addr, flow->proto),
		       "refused below the quota and the limit");
	else
		EXPECT(j, slots_taken(m, flow->in_addr) >= slots, "refused though there are slots");
}

static int find_life(const struct session *s, void *arg)
{
	struct model_session *like = arg;

	if (s->proto != like->proto || s->in_port != like->in_port || s->ext_addr != like->ext_addr ||
	    s->ext_port != like->ext_port || s->out_addr != like->out_addr)
		return 0;
	like->deadline = s->expires;
	return 1;
}

/*
 * A session that the outside opens ends with its binding, unless the inside answers: when depends on when the agent's
 * sweep has last looked at the binding's sessions.
 */
static void judge_life(const struct judging *j, const struct model_binding *b, struct model_session *s)
{
	struct model *m = &j->t->model;
	double life = s->deadline - m->now;
	struct session_walk *w;

	s->deadline = -1;
	cr_assert_eq(session_walk_new_subscriber(mappings, s->in_addr, &w), 0);
	while (session_walk_step(w, 1000000, find_life, s) > 0 && s->deadline < 0)
		;
	session_walk_free(w);
	EXPECT(j, s->deadline + m->now >= b->opened + life - 3, "ends before its binding");
	EXPECT(j, s->deadline + m->now <= b->used + life + 2, "outlives its binding");
	s->deadline += m->now;
	s->seen = s->deadline - life;
}

enum arrival judge_inbound(const struct judging *j, struct model_session *flow)
{
	struct model *m = &j->t->model;
	struct model_binding *b = flow->in_addr ? lets_in(j, flow) : NULL;
	const struct model_mapping *map = model_inside(m, flow->in_addr);
	struct model_session *s;

	EXPECT(j, b || (!j->o->inbound && !is_inbound_refusal(j->o->reason)), "no one may send to that port");
	if (!b)
		return ARRIVAL_NONE;
	if (is_inbound_refusal(j->o->reason)) {
		judge_inbound_refusal(j, flow);
		return ARRIVAL_REFUSED;
	}
	flow->in_port = b->in_port;
	if (!j->o->inbound) {
		s = model_find_in(m, flow->in_addr, flow->in_port, flow->ext_addr, flow->ext_port, flow->proto);
		/* It is let in, though the inside endpoint answers by the session that it has with the sender. */
		if (s && j->o->reason != REASON_drop_no_session)
			return ARRIVAL_TAKEN;
		/* Or that session, on the port that the endpoint had before, is in the way. */
		if (s && s->out_port != b->out_port)
			return ARRIVAL_NONE;
		EXPECT(j, !model_binding_is_fresh(m, b), "anyone may send to that port");
		return ARRIVAL_NONE;
	}
	EXPECT(j, model_inbound(m, flow->in_addr) < model_inbound_limit(map), "the outside opened more than it may");
	EXPECT(j, model_count(m, flow->in_addr) < map->quota, "the outside opened beyond the quota");
	EXPECT(j,
	       !model_limit(m, flow->in_addr, flow->proto) ||
		       model_count_of(m, flow->in_addr, flow->proto) < model_limit(m, flow->in_addr, flow->proto),
	       "the outside opened beyond the limit of the protocol");
	s = model_open(m, flow, j->p->flags);
	EXPECT(j, s, "the model is full");
	judge_life(j, b, s);
	return ARRIVAL_TAKEN;
}

static bool is_routed_flow(const struct property *t, const struct routed *flow)
{
	for (size_t i = 0; i < t->n_routed; i++) {
		const struct routed *r = &t->routed[i];

		if (r->in_addr == flow->in_addr && r->in_port == flow->in_port && r->port == flow->port &&
		    r->proto == flow->proto)
			return true;
	}
	return false;
}

static void note_routed(struct property *t, const struct routed *flow)
{
	if (is_routed_flow(t, flow))
		return;
	cr_assert_lt(t->n_routed, sizeof(t->routed) / sizeof(*t->routed));
	t->routed[t->n_routed++] = *flow;
}

void judge_routed(const struct judging *j)
{
	const struct random_packet *p = j->p;
	struct change c = { .from = GATEWAY_IN,
			    .to = HOST,
			    .src = p->src,
			    .dst = p->dst,
			    .sport = p->sport,
			    .dport = p->dport,
			    .ttl_lowered = 1 };

	if (p->flaw) {
		expect_drop(j, REASON_drop_malformed, 0, 0);
		return;
	}
	/* Whom it would reach is asked first, and is not known to this model. */
	if (p->ttl <= 1 && j->o->reason == REASON_drop_ttl) {
		expect_drop(j, REASON_drop_ttl, 11, 0);
		return;
	}
	judge_hairpin_receiver(j, &c);
	if (j->o->reason == REASON_hairpin_translated)
		note_routed(j->t, &(struct routed){ c.dst, c.dport, p->sport, p->proto });
}

void judge_to_routed(const struct judging *j, const struct model_mapping *map)
{
	const struct random_packet *p = j->p;
	struct model *m = &j->t->model;
	struct change c = { .from = GATEWAY_IN, .to = HOST, .dst = p->dst, .dport = p->dport, .ttl_lowered = 1 };
	struct model_session *s = model_find_in(m, p->src, p->sport, p->dst, p->dport, p->proto);
	const struct model_portmap *portmap = model_portmap_in(m, p->src, p->sport, p->proto);
	bool untouched = j->o->reason == REASON_passed_untranslated;

	if (p->flaw || !is_routed_flow(j->t, &(struct routed){ p->src, p->sport, p->dport, p->proto }) ||
	    (untouched && (p->proto == ICMP || (map->kind != MODEL_OPEN && !portmap && (!s || s->tcp.closed))))) {
		expect_untouched(j);
		return;
	}
	if (p->ttl <= 1) {
		expect_drop(j, REASON_drop_ttl, 11, 0);
		return;
	}
	c.src = model_outside_of(m, p->src);
	c.sport = map->kind == MODEL_OPEN ? p->sport : portmap ? portmap->out_port : 0;
	if (s && !s->tcp.closed) {
		c.src = s->out_addr;
		c.sport = s->out_port;
		session_from_inside(m, s, p->flags);
	}
	EXPECT(j, j->o->portmap_out == (!s && portmap), "by its portmap, unless there is a session");
	expect_translated(j, REASON_hairpin_translated, &c);
}
