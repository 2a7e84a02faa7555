// SPDX-License-Identifier: BSD-2-Clause
/* The judge of openings: ports, quota, and what gives way. */
#include <criterion/criterion.h>

#include "property_judging.h"

static int find_flow(const struct session *s, void *arg)
{
	struct model_session *like = arg;

	if (s->proto == like->proto && s->in_port == like->in_port && s->ext_addr == like->ext_addr &&
	    s->ext_port == like->ext_port && (!like->out_addr || s->out_addr == like->out_addr)) {
		like->out_port = s->out_port;
		return 1;
	}
	return 0;
}

bool port_in_tables(struct model_session *like)
{
	struct session_walk *w;
	int r;

	cr_assert_eq(session_walk_new_subscriber(mappings, like->in_addr, &w), 0);
	while ((r = session_walk_step(w, 1000000, find_flow, like)) > 0 && !like->out_port)
		;
	session_walk_free(w);
	return like->out_port != 0;
}

unsigned opened_by_sender(const struct judging *j)
{
	return j->o->opened - j->o->inbound;
}

/* Whether a session, `counting` ones alone or closed ones too, holds an outside port towards the flow's peer. */
static bool port_is_held(struct model *m, const struct model_session *flow, uint16_t port, bool counting)
{
	const struct model_session *s = model_find_out(m, flow->in_addr, model_outside_of(m, flow->in_addr), port,
						       flow->ext_addr, flow->ext_port, flow->proto);

	return s && (!counting || model_counts(m, s));
}

/* Those that may give way, and how old they are. */
static bool is_reset(const struct model_session *s)
{
	return s->tcp.reset;
}

/* "The oldest" is one that none is older than by more than a quarter and two seconds. */
static bool is_much_older(double age, double than)
{
	return age > than * 1.25 + 2;
}

#define TICK_SECONDS 0.5 /* and more */

/* How long an end of the outside's takes is not known of TCP, whose stamps move with its state. */
static bool is_older(const struct model *m, const struct model_session *s, const struct model_session *than)
{
	/*
	 * One that was closed a moment ago need not have been seen by the walk that the openings of a tick share.
	 */
	if (is_reset(than))
		return is_reset(s) && m->now - s->closed_at > TICK_SECONDS &&
		       is_much_older(m->now + TRANSITORY_SECONDS - s->deadline,
				     m->now + TRANSITORY_SECONDS - than->deadline);
	return s->inbound && s->proto == UDP && than->proto == UDP &&
	       is_much_older(m->now - s->seen, m->now - than->seen);
}

/* Whether the flow's protocol is at its limit; and perhaps, with those counted that have expired beyond the slots. */
static bool is_full_of(const struct model *m, const struct model_session *flow)
{
	unsigned limit = model_limit(m, flow->in_addr, flow->proto);

	return limit && model_count_of(m, flow->in_addr, flow->proto) >= limit;
}

static bool is_crowded_of(const struct model *m, const struct model_session *flow)
{
	unsigned limit = model_limit(m, flow->in_addr, flow->proto);

	return limit &&
	       model_count_of(m, flow->in_addr, flow->proto) + model_count_stale_of(m, flow->in_addr, flow->proto) >=
		       limit;
}

/*
 * Whether sessions of the flow's protocol, in the mapping that would open it, may give way: at the limit, but not
 * beyond one that was lowered.
 */
static bool gives_way_of(const struct model *m, const struct model_session *flow)
{
	if (model_count_of(m, flow->in_addr, flow->proto) + model_count_stale_of(m, flow->in_addr, flow->proto) >
	    model_limit(m, flow->in_addr, flow->proto))
		return false;
	for (size_t i = 0; i < m->n; i++) {
		const struct model_session *s = &m->session[i];

		if (s->in_addr == flow->in_addr && s->proto == flow->proto && model_counts(m, s) &&
		    s->out_addr == model_outside_of(m, flow->in_addr) && (is_reset(s) || s->inbound))
			return true;
	}
	return false;
}

/*
 * Where a session opens though the subscriber is at its quota, or all its ports are held, another has given way: of
 * those that an RST has closed the oldest in slots, or one beyond them; or of those that the outside has opened the one
 * in which the subscriber has been silent for longest. Expired ones beyond the slots may count in the quota until the
 * agent's sweep, so then one may have given way, and `must` is false. Returns the one, or NULL.
 */
static struct model_session *find_gone(const struct judging *j, const struct model_session *flow, bool must)
{
	/* At the limit of a protocol, one of its sessions gives way. */
	bool of_protocol = is_crowded_of(&j->t->model, flow);
	struct model *m = &j->t->model;
	struct model_session *gone = NULL;

	for (size_t i = 0; i < m->n; i++) {
		struct model_session *s = &m->session[i];
		struct model_session like = *s;

		if (s->in_addr != flow->in_addr || !(is_reset(s) || s->inbound) || !model_counts(m, s))
			continue;
		like.out_port = 0;
		if (port_in_tables(&like))
			continue;
		EXPECT(j, !gone, "more than one gave way");
		EXPECT(j, s->proto == flow->proto || !is_full_of(m, flow), "not one of the protocol gave way");
		gone = s;
	}
	if (!gone && !must)
		return NULL;
	EXPECT(j, gone, "opened beyond the quota, or on the port of another session");
	for (size_t i = 0; i < m->n; i++)
		EXPECT(j,
		       m->session[i].in_addr != flow->in_addr || m->session[i].out_addr != gone->out_addr ||
			       (of_protocol && m->session[i].proto != flow->proto) ||
			       !model_counts(m, &m->session[i]) || gone->out_port == flow->out_port ||
			       !is_older(m, &m->session[i], gone),
		       "not the oldest gave way");
	return gone;
}

static void judge_giving_way(const struct judging *j, const struct model_session *flow, bool must)
{
	struct model_session *gone = find_gone(j, flow, must);

	if (gone)
		model_remove(&j->t->model, gone);
}

/* Whether the subscriber is at its quota, those counted that have expired beyond the slots. */
static bool is_crowded(const struct model *m, const struct model_session *flow)
{
	return model_count(m, flow->in_addr) + model_count_stale(m, flow->in_addr) >=
	       model_inside(m, flow->in_addr)->quota;
}

static bool block_is_out(struct model *m, const struct model_session *flow)
{
	const struct model_mapping *map = model_inside(m, flow->in_addr);
	unsigned lo = model_port_lo(map, flow->in_addr);
	unsigned held = model_ports_held(m, flow->in_addr, flow->ext_addr, flow->ext_port, flow->proto);

	if (model_has_one_port(m, flow->in_addr, flow->proto))
		return model_block_is_bound(m, flow->in_addr, flow->proto);
	for (size_t i = 0; i < m->n_portmaps; i++) {
		const struct model_portmap *p = &m->portmap[i];

		held += p->in_addr == flow->in_addr && p->proto == flow->proto &&
			(unsigned)(p->out_port - lo) < model_ports(map) && !port_is_held(m, flow, p->out_port, true);
	}
	return held + !lo == model_ports(map);
}

/* No port of the block is free, nor of the blocks granted beside it. */
static bool ports_are_out(struct model *m, const struct model_session *flow)
{
	if (!block_is_out(m, flow))
		return false;
	return model_has_one_port(m, flow->in_addr, flow->proto) ? model_grants_are_bound(m, flow->in_addr, flow->proto)
								 : model_grants_are_held(m, flow);
}

/* Any session of another inside endpoint's on a port, towards anybody. */
static bool serves_another(const struct model *m, const struct model_session *flow)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct model_session *s = &m->session[i];

		if (s->in_addr == flow->in_addr && s->out_port == flow->out_port && s->proto == flow->proto &&
		    s->in_port != flow->in_port && model_counts(m, s))
			return true;
	}
	return false;
}

static bool same_group(unsigned lo, uint16_t a, uint16_t b)
{
	return (a - lo) / 8 == (b - lo) / 8;
}

/* The port of a session whose inside endpoint has one port towards everybody. */
static void judge_one_port(const struct judging *j, const struct model_session *flow)
{
	struct model *m = &j->t->model;
	const struct model_mapping *map = model_inside(m, flow->in_addr);
	const struct model_binding *b = model_binding_in(m, flow->in_addr, flow->in_port, flow->proto);
	const struct model_binding *at = model_binding_out(m, flow->in_addr, flow->out_port, flow->proto);
	uint16_t choice = model_first_choice(map, flow->in_addr, flow->in_port);
	unsigned lo = model_port_lo(map, flow->in_addr);
	bool lost = b && model_portmap_out(m, model_out_addr(map, flow->in_addr), b->out_port, flow->proto);

	/* On which none opens any more. */
	lost |= b && (unsigned)(b->out_port - lo) >= model_ports(map) &&
		!model_grant_opens(m, flow->in_addr, b->out_port);
	EXPECT(j, !serves_another(m, flow), "the port of another inside endpoint");
	if (b && !lost && model_binding_holds(m, b))
		EXPECT(j, flow->out_port == b->out_port, "has a port towards everybody");
	if (!b || flow->out_port != b->out_port)
		EXPECT(j, !at || !model_binding_holds(m, at), "a port that is bound to another inside endpoint");
	if ((!b || flow->out_port != b->out_port) && (unsigned)(flow->out_port - lo) < model_ports(map)) {
		EXPECT(j,
		       flow->out_port == choice || !choice ||
			       model_binding_out(m, flow->in_addr, choice, flow->proto) ||
			       model_portmap_out(m, model_out_addr(map, flow->in_addr), choice, flow->proto),
		       "not the first choice, which is not bound");
		EXPECT(j,
		       same_group(lo, flow->out_port, choice) ||
			       model_group_is_bound(m, flow->in_addr, choice, flow->proto),
		       "strayed though its group has a port");
	}
	EXPECT(j, model_bind(m, flow->in_addr, flow->in_port, flow->out_port, flow->proto), "the model is full");
}

/* Whether the session that the packet opened from inside stands beyond the slots. */
static bool beyond_of_sender(const struct judging *j)
{
	bool receivers = j->o->inbound && model_grant_at(&j->t->model, j->p->dst, j->p->dport);

	return j->o->beyond > receivers;
}

/* A session that opens on a granted port: no port of the block is left. */
static void judge_granted(const struct judging *j, const struct model_session *flow)
{
	struct model *m = &j->t->model;
	const struct model_binding *b = model_binding_in(m, flow->in_addr, flow->in_port, flow->proto);
	bool own = model_has_one_port(m, flow->in_addr, flow->proto) && b && b->out_port == flow->out_port;

	j->t->granted++;
	EXPECT(j, model_grant_opens(m, flow->in_addr, flow->out_port), "a port of another subscriber");
	EXPECT(j, own || block_is_out(m, flow) || property_searched_in_vain(j->t, flow->in_addr),
	       "on a granted port though one of the block is free");
	EXPECT(j, beyond_of_sender(j), "granted ports have no slots");
}

static void judge_opening(const struct judging *j, const struct model_session *flow)
{
	struct model *m = &j->t->model;
	const struct model_mapping *map = model_inside(m, flow->in_addr);
	unsigned lo = model_port_lo(map, flow->in_addr);
	uint16_t choice = model_first_choice(map, flow->in_addr, flow->in_port);
	uint32_t out_addr = model_out_addr(map, flow->in_addr);
	bool one_port = model_has_one_port(m, flow->in_addr, flow->proto);
	bool granted = flow->out_port < lo || flow->out_port >= lo + model_ports(map);
	/* A port of a session that an RST has closed goes before one that is granted. */
	bool out = !one_port && (granted ? ports_are_out(m, flow) : block_is_out(m, flow));

	EXPECT(j, opened_by_sender(j) == 1, "should have opened one session");
	EXPECT(j, flow->out_port, "with outside port 0");
	if (granted)
		judge_granted(j, flow);
	if (is_crowded(m, flow) || is_crowded_of(m, flow) || out)
		judge_giving_way(j, flow, model_count(m, flow->in_addr) >= map->quota || is_full_of(m, flow) || out);
	EXPECT(j, model_count(m, flow->in_addr) < map->quota, "opened beyond the quota");
	EXPECT(j, !is_full_of(m, flow), "opened beyond the limit of the protocol");
	EXPECT(j, !j->t->no_token && j->o->token == map->rated, "opened without a token");
	EXPECT(j, !port_is_held(m, flow, flow->out_port, true), "the port of another session");
	EXPECT(j, !model_portmap_out(m, out_addr, flow->out_port, flow->proto), "the port of a portmap");
	if (one_port)
		judge_one_port(j, flow);
	else
		EXPECT(j,
		       granted || flow->out_port == choice || !choice || port_is_held(m, flow, choice, false) ||
			       model_portmap_out(m, out_addr, choice, flow->proto),
		       "not the first choice");
	EXPECT(j, model_open(m, flow, j->p->flags), "the model is full");
}

/* Whether blocks grow, and the subscriber has all that it may have. */
static bool may_not_grow(const struct model *m, uint32_t in_addr)
{
	const struct model_mapping *map = model_inside(m, in_addr);

	return map->grow_block && model_grants_open(m, in_addr) >= map->grow_max;
}

static bool judge_refusal(const struct judging *j, const struct model_session *flow)
{
	struct model *m = &j->t->model;
	struct model_session *gone;

	EXPECT(j, !j->o->token, "refused, and a token taken");
	/* What the quota has refused within the tick is not asked about again. */
	EXPECT(j,
	       j->t->no_token == (j->o->reason == REASON_drop_rate) ||
		       (j->o->reason == REASON_drop_quota && is_crowded(m, flow)),
	       "refused for want of a token, or not");
	if (j->o->reason == REASON_drop_rate) {
		expect_drop(j, j->o->reason, 3, 1);
		return true;
	}
	if (j->o->reason == REASON_drop_quota_protocol) {
		EXPECT(j, is_crowded_of(m, flow), "refused below the limit of the protocol");
		EXPECT(j, !gives_way_of(m, flow) || property_searches_spent(j->t, flow->in_addr),
		       "refused though sessions of the protocol should give way");
	} else if (j->o->reason == REASON_drop_quota) {
		EXPECT(j, is_crowded(m, flow), "refused below the quota");
		EXPECT(j, !model_inbound(m, flow->in_addr) || property_searches_spent(j->t, flow->in_addr),
		       "refused though the outside has sessions that should give way");
	} else if (j->o->reason == REASON_drop_ports_exhausted || j->o->reason == REASON_drop_growth_exhausted) {
		EXPECT(j, ports_are_out(m, flow) || property_searched_in_vain(j->t, flow->in_addr),
		       "refused though a port is free");
		EXPECT(j, (j->o->reason == REASON_drop_growth_exhausted) == may_not_grow(m, flow->in_addr),
		       "whether it may have another block");
	} else if (j->o->reason == REASON_drop_busy) {
		/* A search for a bound port passes over those that it has found to be in use only the next time. */
		EXPECT(j,
		       property_searches_spent(j->t, flow->in_addr) ||
			       (model_has_one_port(m, flow->in_addr, flow->proto) &&
				model_group_is_bound(m, flow->in_addr,
						     model_first_choice(model_inside(m, flow->in_addr), flow->in_addr,
									flow->in_port),
						     flow->proto)),
		       "refused though searches are left");
	} else {
		return false;
	}
	/* Room below the quota is made before a port is looked for, but what the outside has opened ends after a bound
	 * one is found. */
	if (j->o->reason != REASON_drop_quota && j->o->reason != REASON_drop_quota_protocol &&
	    (is_crowded(m, flow) || is_crowded_of(m, flow))) {
		gone = find_gone(j, flow, false);
		EXPECT(j,
		       !gone || is_reset(gone) || j->o->reason == REASON_drop_busy ||
			       !model_has_one_port(m, flow->in_addr, flow->proto),
		       "a session of the outside's ended for nothing");
		if (gone)
			model_remove(m, gone);
	}
	if (j->o->reason == REASON_drop_busy)
		expect_drop(j, j->o->reason, 0, 0);
	else
		expect_drop(j, j->o->reason, 3, 1);
	return true;
}

/* A connection in time-wait is reopened by the subscriber. */
static void judge_reopening(const struct judging *j, const struct model_session *flow, struct model_session *s)
{
	struct model *m = &j->t->model;
	const struct model_mapping *map = model_inside(m, flow->in_addr);

	EXPECT(j, !j->o->token || (map->rated && model_reopens(s, j->p->flags)), "took a token without opening");
	if (model_reopens(s, j->p->flags))
		EXPECT(j, !j->t->no_token && j->o->token == map->rated, "reopened without a token");
	if (model_reopens(s, j->p->flags) && (is_crowded(m, flow) || is_crowded_of(m, flow))) {
		judge_giving_way(j, flow, model_count(m, flow->in_addr) >= map->quota || is_full_of(m, flow));
		s = model_find_in(m, flow->in_addr, flow->in_port, flow->ext_addr, flow->ext_port, flow->proto);
	}
	if (model_reopens(s, j->p->flags) && model_has_one_port(m, flow->in_addr, flow->proto))
		model_bind(m, flow->in_addr, flow->in_port, s->out_port, flow->proto);
	session_from_inside(m, s, j->p->flags);
}

/* A connection in time-wait whose port has become a portmap's ends, so that the SYN has to come again. */
static bool judge_lost_port(const struct judging *j, const struct model_session *flow, struct model_session *s)
{
	struct model *m = &j->t->model;

	if (j->o->reason != REASON_drop_busy || !s || !model_reopens(s, j->p->flags) ||
	    !model_portmap_out(m, model_outside_of(m, flow->in_addr), s->out_port, s->proto))
		return false;
	expect_drop(j, REASON_drop_busy, 0, 0);
	model_remove(m, s);
	if (is_crowded(m, flow) || is_crowded_of(m, flow))
		judge_giving_way(j, flow, false);
	return true;
}

bool stateless_port(const struct judging *j, const struct model_session *flow, uint16_t *ret)
{
	struct model *m = &j->t->model;
	const struct model_session *s =
		model_find_in(m, flow->in_addr, flow->in_port, flow->ext_addr, flow->ext_port, flow->proto);
	const struct model_portmap *p = model_portmap_in(m, flow->in_addr, flow->in_port, flow->proto);
	struct model_session like = *flow;

	like.out_port = 0;
	if (model_inside(m, flow->in_addr)->kind == MODEL_OPEN) {
		*ret = flow->in_port;
		return true;
	}
	/* One in time-wait has its port, until it is reopened or gone. */
	if (!p || (s && !s->tcp.closed) || (s && !model_reopens(s, j->p->flags) && port_in_tables(&like)))
		return false;
	*ret = p->out_port;
	return true;
}

/* What belongs to an open mapping, or to a portmap. */
static void judge_stateless(const struct judging *j, const struct model_session *flow, uint16_t port)
{
	struct model *m = &j->t->model;
	struct model_session *s =
		model_find_in(m, flow->in_addr, flow->in_port, flow->ext_addr, flow->ext_port, flow->proto);
	bool open = model_inside(m, flow->in_addr)->kind == MODEL_OPEN;

	EXPECT(j, !opened_by_sender(j), "opened a session that it does not need");
	EXPECT(j, flow->out_port == port, "left by another port");
	EXPECT(j, open || j->o->portmap_out, "not counted for its portmap");
	if (s)
		model_remove(m, s);
}

static bool has_been_cut(const struct model *m, const struct model_session *flow)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct model_session *s = &m->session[i];

		if (s->cut && s->in_addr == flow->in_addr && s->in_port == flow->in_port &&
		    s->ext_addr == flow->ext_addr && s->ext_port == flow->ext_port && s->proto == flow->proto)
			return true;
	}
	return false;
}

/*
 * The sender's session: found, opened, or refused. flow->out_port is what the packet left by. Whether there is one.
 */
bool judge_sender(const struct judging *j, struct model_session *flow, bool translated)
{
	struct model *m = &j->t->model;
	struct model_session *s =
		model_find_in(m, flow->in_addr, flow->in_port, flow->ext_addr, flow->ext_port, flow->proto);
	uint16_t port;

	flow->out_addr = s ? s->out_addr : model_outside_of(m, flow->in_addr);
	if (translated && s && s->out_addr != model_outside_of(m, flow->in_addr))
		j->t->drained++;
	j->t->cut += translated && has_been_cut(m, flow);
	if (stateless_port(j, flow, &port)) {
		EXPECT(j, translated, "should have been translated without a session");
		judge_stateless(j, flow, port);
		return true;
	}
	EXPECT(j, !j->o->portmap_out, "counted for a portmap");
	if (s && !s->tcp.closed) {
		EXPECT(j, translated && !opened_by_sender(j) && flow->out_port == s->out_port, "has a session already");
		EXPECT(j, !j->o->token, "has a session, and took a token");
		session_from_inside(m, s, j->p->flags);
		return true;
	}
	if (!translated && judge_lost_port(j, flow, s))
		return false;
	if (!translated)
		return judge_refusal(j, flow) ? false : (judging_fail(j, "should have been translated"), false);
	if (s && !opened_by_sender(j)) {
		EXPECT(j, flow->out_port == s->out_port, "has a session in time-wait");
		judge_reopening(j, flow, s);
		return true;
	}
	flow->out_addr = model_outside_of(m, flow->in_addr);
	judge_opening(j, flow);
	return true;
}
