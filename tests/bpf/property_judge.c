// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include <criterion/criterion.h>

#include "property.h"

#define GATEWAY_INSIDE	ADDR(10, 0, 0, 1)
#define GATEWAY_OUTSIDE ADDR(198, 51, 100, 1)

/* What is being judged. */
struct judging {
	struct property *t;
	enum hook hook;
	const struct random_packet *p;
	const struct outcome *o;
};

static void fail(const struct judging *j, const char *what)
{
	property_fail(j->t, j->hook, j->p, j->o, what);
}

#define EXPECT(j, condition, what)     \
	do {                           \
		if (!(condition))      \
			fail(j, what); \
	} while (0)

static bool at_tc(const struct judging *j)
{
	return j->hook == TC_OUTSIDE;
}

/* Dropped for a reason, or where `type` is not 0 answered with an ICMP error as the limits allow. Opens nothing. */
static void expect_drop(const struct judging *j, enum reason reason, uint8_t type, uint8_t code)
{
	uint32_t gateway = j->hook == XDP_OUTSIDE ? GATEWAY_OUTSIDE : GATEWAY_INSIDE;
	const char *wrong;

	EXPECT(j, j->o->reason == reason, "should have been dropped for another reason");
	EXPECT(j, j->o->opened == 0, "a packet that is dropped opened a session");
	if (j->o->sent && type) {
		EXPECT(j, j->o->sent == 1 && j->o->verdict == (at_tc(j) ? DROP_TC : REDIRECT_XDP),
		       "one answer, sent back or handed to the agent");
		wrong = random_packet_compare_error(j->p, gateway, type, code, at_tc(j), j->o->octet, j->o->size);
		EXPECT(j, !wrong, wrong);
		return;
	}
	EXPECT(j, !j->o->sent, "answered for no reason");
	EXPECT(j, j->o->verdict == (at_tc(j) ? DROP_TC : DROP_XDP), "should have been dropped");
}

static void expect_untouched(const struct judging *j)
{
	const struct change none = { .src = j->p->src, .dst = j->p->dst, .sport = j->p->sport, .dport = j->p->dport };

	EXPECT(j, j->o->reason == REASON_passed_untranslated, "is not for translation");
	EXPECT(j, j->o->verdict == (at_tc(j) ? PASS_TC : PASS_XDP), "should have gone up");
	EXPECT(j, !j->o->opened && !j->o->sent, "should have had no effect");
	EXPECT(j, j->o->size == j->p->size, "another length");
	if (!j->p->flaw)
		EXPECT(j, !random_packet_compare(j->p, &none, j->o->octet, j->o->size), "has changed");
}

static int find_flow(const struct session *s, void *arg)
{
	struct model_session *like = arg;

	if (s->proto == like->proto && s->in_port == like->in_port && s->ext_addr == like->ext_addr &&
	    s->ext_port == like->ext_port) {
		like->out_port = s->out_port;
		return 1;
	}
	return 0;
}

/* The outside port of a flow that has a session, by the tables: for a hairpin, which may not have got on. */
static bool port_in_tables(struct model_session *like)
{
	struct session_walk *w;
	int r;

	cr_assert_eq(session_walk_new_subscriber(mappings, like->in_addr, &w), 0);
	while ((r = session_walk_step(w, 1000000, find_flow, like)) > 0 && !like->out_port)
		;
	session_walk_free(w);
	return like->out_port != 0;
}

static struct model_session flow_of(const struct random_packet *p)
{
	return (struct model_session){ .in_addr = p->src,
				       .in_port = p->sport,
				       .ext_addr = p->dst,
				       .ext_port = p->proto == ICMP ? 0 : p->dport,
				       .proto = p->proto };
}

/* Whether a session, `counting` ones alone or closed ones too, holds an outside port towards the flow's peer. */
static bool port_is_held(struct model *m, const struct model_session *flow, uint16_t port, bool counting)
{
	const struct model_session *s =
		model_find_out(m, flow->in_addr, port, flow->ext_addr, flow->ext_port, flow->proto);

	return s && (!counting || model_counts(m, s));
}

/*
 * Where a session opens though the subscriber is at its quota, or all its ports are held, one that an RST has closed
 * has given way: of those in slots, the oldest. Ages within two seconds are alike. Expired ones beyond the slots may
 * count in the quota until the agent's sweep, so then one may have given way, and `must` is false.
 */
static void judge_giving_way(const struct judging *j, const struct model_session *flow, bool must)
{
	struct model *m = &j->t->model;
	struct model_session *gone = NULL;
	double oldest = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct model_session *s = &m->session[i];
		struct model_session like = *s;

		if (s->in_addr != flow->in_addr || !s->tcp.reset || s->overflow || !model_counts(m, s))
			continue;
		oldest = oldest && oldest < s->deadline ? oldest : s->deadline;
		like.out_port = 0;
		if (port_in_tables(&like))
			continue;
		EXPECT(j, !gone, "more than one gave way");
		gone = s;
	}
	if (!gone && !must)
		return;
	EXPECT(j, gone, "opened beyond the quota, or on the port of another session");
	EXPECT(j, gone->out_port == flow->out_port || gone->deadline <= oldest + 2, "not the oldest gave way");
	model_remove(m, gone);
}

/* Whether the subscriber is at its quota, those counted that have expired beyond the slots. */
static bool is_crowded(const struct model *m, const struct model_session *flow)
{
	return model_count(m, flow->in_addr) + model_count_stale(m, flow->in_addr) >=
	       model_inside(m, flow->in_addr)->quota;
}

static bool ports_are_out(struct model *m, const struct model_session *flow)
{
	return model_ports_held(m, flow->in_addr, flow->ext_addr, flow->ext_port, flow->proto) ==
	       model_ports(model_inside(m, flow->in_addr));
}

static void judge_opening(const struct judging *j, const struct model_session *flow)
{
	struct model *m = &j->t->model;
	const struct model_mapping *map = model_inside(m, flow->in_addr);
	unsigned lo = model_port_lo(map, flow->in_addr);
	uint16_t choice = model_first_choice(map, flow->in_addr, flow->in_port);
	struct model_session *s;

	EXPECT(j, j->o->opened == 1, "should have opened one session");
	if (is_crowded(m, flow) || ports_are_out(m, flow))
		judge_giving_way(j, flow, model_count(m, flow->in_addr) >= map->quota || ports_are_out(m, flow));
	EXPECT(j, model_count(m, flow->in_addr) < map->quota, "opened beyond the quota");
	EXPECT(j, flow->out_port >= lo && flow->out_port < lo + model_ports(map), "a port of another subscriber");
	EXPECT(j, !port_is_held(m, flow, flow->out_port, true), "the port of another session");
	EXPECT(j, flow->out_port == choice || port_is_held(m, flow, choice, false), "not the first choice");
	s = model_open(m, flow, j->p->flags);
	EXPECT(j, s, "the model is full");
	s->overflow = j->o->overflowed;
}

/* A closed session beyond the slots is given up at once. */
static void from_inside(struct model *m, struct model_session *s, uint8_t flags)
{
	model_from_inside(m, s, flags);
	if (s->tcp.closed && s->overflow)
		model_remove(m, s);
}

static void from_outside(struct model *m, struct model_session *s, uint8_t flags)
{
	model_from_outside(m, s, flags);
	if (s->tcp.closed && s->overflow)
		model_remove(m, s);
}

static bool judge_refusal(const struct judging *j, const struct model_session *flow)
{
	struct model *m = &j->t->model;

	if (j->o->reason == REASON_drop_quota)
		EXPECT(j, is_crowded(m, flow), "refused below the quota");
	else if (j->o->reason == REASON_drop_ports_exhausted)
		EXPECT(j, ports_are_out(m, flow) || property_searched_in_vain(flow->in_addr),
		       "refused though a port is free");
	else
		return false;
	/* Room below the quota is made before a port is looked for. */
	if (j->o->reason == REASON_drop_ports_exhausted && is_crowded(m, flow))
		judge_giving_way(j, flow, false);
	expect_drop(j, j->o->reason, 3, 1);
	return true;
}

/*
 * The sender's session: found, opened, or refused. flow->out_port is what the packet left by. Whether there is one.
 */
static bool judge_sender(const struct judging *j, struct model_session *flow, bool translated)
{
	struct model *m = &j->t->model;
	struct model_session *s =
		model_find_in(m, flow->in_addr, flow->in_port, flow->ext_addr, flow->ext_port, flow->proto);

	if (s && !s->tcp.closed) {
		EXPECT(j, translated && !j->o->opened && flow->out_port == s->out_port, "has a session already");
		from_inside(m, s, j->p->flags);
		return true;
	}
	if (!translated)
		return judge_refusal(j, flow) ? false : (fail(j, "should have been translated"), false);
	if (s && !j->o->opened) {
		EXPECT(j, flow->out_port == s->out_port, "has a session in time-wait");
		if (model_reopens(s, j->p->flags) && is_crowded(m, flow)) {
			judge_giving_way(j, flow,
					 model_count(m, flow->in_addr) >= model_inside(m, flow->in_addr)->quota);
			s = model_find_in(m, flow->in_addr, flow->in_port, flow->ext_addr, flow->ext_port, flow->proto);
		}
		from_inside(m, s, j->p->flags);
		return true;
	}
	judge_opening(j, flow);
	return true;
}

static bool is_private(uint32_t addr)
{
	return addr >> 24 == 10 || addr >> 20 == 0xac1 || addr >> 16 == 0xc0a8 || addr >> 22 == 0x191;
}

static bool is_martian(uint32_t addr)
{
	return addr >> 24 == 0 || addr >> 24 == 127 || addr >> 28 >= 14;
}

/* By outside addresses from one subscriber to another: as if it had gone out and come back. */
static void judge_hairpin(const struct judging *j)
{
	const struct random_packet *p = j->p;
	struct model *m = &j->t->model;
	struct model_session flow = flow_of(p), *receiver = NULL, *known;
	struct change c = { .from = GATEWAY_IN, .to = HOST, .dst = p->dst, .ttl_lowered = 1 };
	uint32_t in_addr;
	const char *wrong;

	if (p->ttl <= 1) {
		expect_drop(j, REASON_drop_ttl, 11, 0);
		return;
	}
	if (j->o->reason == REASON_drop_quota || j->o->reason == REASON_drop_ports_exhausted) {
		judge_sender(j, &flow, false);
		return;
	}
	known = model_find_in(m, flow.in_addr, flow.in_port, flow.ext_addr, flow.ext_port, flow.proto);
	if (known && !j->o->opened)
		flow.out_port = known->out_port; /* this packet may have closed it */
	else
		EXPECT(j, port_in_tables(&flow), "the sender has no session");
	judge_sender(j, &flow, true);
	/* One that opens is then applied as well: a FIN counts at once. */
	if (j->o->opened)
		from_inside(m, model_find_in(m, flow.in_addr, flow.in_port, flow.ext_addr, flow.ext_port, flow.proto),
			    p->flags);
	c.src = model_out_addr(model_inside(m, p->src), p->src);
	c.sport = flow.out_port;
	if (model_owner(m, p->dst, p->dport, &in_addr))
		receiver = model_find_out(m, in_addr, p->dport, c.src, c.sport, p->proto);
	if (!receiver || (receiver->tcp.closed && j->o->reason == REASON_drop_no_session)) {
		EXPECT(j, j->o->verdict == DROP_XDP && j->o->reason == REASON_drop_no_session && !j->o->sent,
		       "there is no session at the receiver");
		if (receiver)
			model_remove(m, receiver);
		return;
	}
	c.dst = receiver->in_addr;
	c.dport = receiver->in_port;
	from_outside(m, receiver, p->flags);
	EXPECT(j, j->o->verdict == REDIRECT_XDP && j->o->reason == REASON_hairpin_translated, "is a hairpin");
	wrong = random_packet_compare(p, &c, j->o->octet, j->o->size);
	EXPECT(j, !wrong, wrong);
}

static void judge_translated_out(const struct judging *j)
{
	const struct random_packet *p = j->p;
	struct model_session flow = flow_of(p);
	struct change c = { .dst = p->dst, .dport = p->dport };
	int translated = j->o->reason == REASON_in2out_translated;
	const char *wrong;

	if (translated) {
		size_t at = random_packet_port_at(p, true);

		EXPECT(j, at + 2 <= j->o->size, "cut short");
		flow.out_port = (uint16_t)(j->o->octet[at] << 8 | j->o->octet[at + 1]);
	}
	if (!judge_sender(j, &flow, translated))
		return;
	EXPECT(j, j->o->verdict == (at_tc(j) ? PASS_TC : REDIRECT_XDP) && !j->o->sent, "should go out");
	if (!at_tc(j)) {
		c.from = GATEWAY_OUT;
		c.to = ROUTER;
		c.ttl_lowered = 1;
	}
	c.src = model_out_addr(model_inside(&j->t->model, p->src), p->src);
	c.sport = flow.out_port;
	wrong = random_packet_compare(p, &c, j->o->octet, j->o->size);
	EXPECT(j, !wrong, wrong);
}

void property_judge_inside(struct property *t, enum hook hook, const struct random_packet *p, const struct outcome *o)
{
	const struct judging judging = { t, hook, p, o }, *j = &judging;
	const struct model_mapping *map = model_inside(&t->model, p->src);
	bool hairpin = property_is_pool(p->dst);

	if (FLAW_IS_OF_IP(p->flaw))
		expect_drop(j, REASON_drop_malformed, 0, 0);
	else if (!at_tc(j) && p->to != GATEWAY_IN)
		expect_untouched(j);
	else if (!map && (is_martian(p->src) || property_is_pool(p->src)))
		expect_drop(j, REASON_drop_martian, 0, 0);
	else if (!map && is_private(p->src))
		expect_drop(j, REASON_drop_no_mapping, 0, 0);
	else if (!map)
		expect_untouched(j);
	else if (p->flaw)
		expect_drop(j, REASON_drop_malformed, 0, 0);
	else if (p->echo_reply)
		expect_drop(j, REASON_drop_no_session, 0, 0);
	else if (hairpin)
		judge_hairpin(j);
	else if (!at_tc(j) && p->ttl <= 1)
		expect_untouched(j);
	else
		judge_translated_out(j);
}

static void judge_translated_in(const struct judging *j, struct model_session *s)
{
	const struct random_packet *p = j->p;
	struct change c = { .from = GATEWAY_IN, .to = HOST, .src = p->src, .sport = p->sport, .ttl_lowered = 1 };
	const char *wrong;

	if (s->tcp.closed && j->o->reason == REASON_drop_no_session) {
		expect_drop(j, REASON_drop_no_session, 0, 0);
		model_remove(&j->t->model, s);
		return;
	}
	if (p->ttl <= 1) {
		expect_drop(j, REASON_drop_ttl, 11, 0);
		return;
	}
	EXPECT(j, j->o->verdict == REDIRECT_XDP && j->o->reason == REASON_out2in_translated, "belongs to a session");
	EXPECT(j, !j->o->opened && !j->o->sent, "from outside nothing is opened");
	c.dst = s->in_addr;
	c.dport = s->in_port;
	wrong = random_packet_compare(p, &c, j->o->octet, j->o->size);
	EXPECT(j, !wrong, wrong);
	from_outside(&j->t->model, s, p->flags);
}

void property_judge_outside(struct property *t, const struct random_packet *p, const struct outcome *o)
{
	const struct judging judging = { t, XDP_OUTSIDE, p, o }, *j = &judging;
	struct model_session *s = NULL;
	uint32_t in_addr = 0;
	bool owned;

	if (FLAW_IS_OF_IP(p->flaw)) {
		expect_drop(j, REASON_drop_malformed, 0, 0);
		return;
	}
	if (p->to != GATEWAY_OUT || (!property_is_pool(p->dst) && !model_inside(&t->model, p->dst))) {
		expect_untouched(j);
		return;
	}
	if (!property_is_pool(p->dst) || p->flaw) {
		expect_drop(j, property_is_pool(p->dst) ? REASON_drop_malformed : REASON_drop_direct_to_inside, 0, 0);
		return;
	}
	owned = model_owner(&t->model, p->dst, p->proto == ICMP && !p->echo_reply ? 0 : p->dport, &in_addr);
	if (owned && (is_martian(p->src) || property_is_pool(p->src))) {
		expect_drop(j, REASON_drop_martian, 0, 0);
		return;
	}
	if (owned)
		s = model_find_out(&t->model, in_addr, p->dport, p->src, p->sport, p->proto);
	if (s)
		judge_translated_in(j, s);
	else
		expect_drop(j, REASON_drop_no_session, 0, 0);
}

void property_judge_any(struct property *t, enum hook hook, const struct random_packet *p, const struct outcome *o)
{
	const struct judging judging = { t, hook, p, o }, *j = &judging;
	const struct model_mapping *map = model_inside(&t->model, LOOSE);
	uint32_t addr = model_out_addr(map, LOOSE);
	bool later = (o->octet[20] & 0x1f) || o->octet[21];
	unsigned port = (unsigned)o->octet[34] << 8 | o->octet[35];

	if (hook != XDP_INSIDE || o->verdict != REDIRECT_XDP || o->sent)
		return;
	/* It left: by the block of the subscriber, and not otherwise. */
	EXPECT(j, o->size >= 34, "not even a header");
	EXPECT(j,
	       o->octet[26] == addr >> 24 && o->octet[27] == (addr >> 16 & 255) && o->octet[28] == (addr >> 8 & 255) &&
		       o->octet[29] == (addr & 255),
	       "left by an address that is not the subscriber's");
	if (o->octet[14] != 0x45 || later || (p->proto != TCP && p->proto != UDP))
		return;
	EXPECT(j, port >= model_port_lo(map, LOOSE) && port < model_port_lo(map, LOOSE) + model_ports(map),
	       "left by a port that is not the subscriber's");
}

struct comparing {
	struct property *t;
	unsigned n, all;
};

static int compare_session(const struct session *s, void *arg)
{
	struct comparing *c = arg;
	const struct model_session *m;
	double left;

	c->all++;
	cr_assert(property_is_told(s), "%08x:%u to %08x:%u by port %u was never told of", s->in_addr, s->in_port,
		  s->ext_addr, s->ext_port, s->out_port);
	if (!s->counts)
		return 0;
	c->n++;
	m = model_find_in(&c->t->model, s->in_addr, s->in_port, s->ext_addr, s->ext_port, s->proto);
	cr_assert(m && !m->tcp.closed, "a session of %08x:%u to %08x:%u that the model knows nothing of", s->in_addr,
		  s->in_port, s->ext_addr, s->ext_port);
	left = m->deadline - c->t->model.now;
	cr_assert_eq(m->out_port, s->out_port);
	cr_assert(m->proto != TCP || (m->tcp.established && !m->tcp.fin_in && !m->tcp.fin_out && !m->tcp.reset) ==
					     (s->state == SESSION_ESTABLISHED),
		  "state %s, which the model takes for another", session_state_name(s->state));
	cr_assert_eq(m->proto == TCP && m->tcp.reset, !!(s->state & SESSION_RESET));
	cr_assert(s->expires <= left + 2 && s->expires + 3 >= left, "%u seconds left, not %.0f", s->expires, left);
	return 0;
}

void property_compare_tables(struct property *t)
{
	property_skip(t, 1);
	property_events_apply();
	for (int i = 0; i < PROPERTY_SUBSCRIBERS; i++) {
		uint32_t in_addr = property_subscriber[i];
		struct comparing c = { .t = t };
		struct session_walk *w;

		cr_assert_eq(session_walk_new_subscriber(mappings, in_addr, &w), 0);
		while (session_walk_step(w, 1000000, compare_session, &c) > 0)
			;
		session_walk_free(w);
		cr_assert_eq(c.n, model_count(&t->model, in_addr), "%08x has %u sessions, by the model %u", in_addr,
			     c.n, model_count(&t->model, in_addr));
		cr_assert_eq(sessions_of(in_addr), c.n);
		cr_assert_eq(property_told(in_addr), c.all, "%u sessions, and %u told of", c.all,
			     property_told(in_addr));
	}
}
