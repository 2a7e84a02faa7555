// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>

#include <criterion/criterion.h>

#include "property_judging.h"

#define GATEWAY_INSIDE ADDR(10, 0, 0, 1)

void judging_fail(const struct judging *j, const char *what)
{
	property_fail(j->t, j->hook, j->p, j->o, what);
}

bool at_tc(const struct judging *j)
{
	return j->hook == TC_OUTSIDE;
}

void expect_drop(const struct judging *j, enum reason reason, uint8_t type, uint8_t code)
{
	uint32_t gateway = j->hook == XDP_OUTSIDE ? GATEWAY_ADDRESS : GATEWAY_INSIDE;
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

void expect_untouched(const struct judging *j)
{
	const struct change none = { .src = j->p->src, .dst = j->p->dst, .sport = j->p->sport, .dport = j->p->dport };

	EXPECT(j, j->o->reason == REASON_passed_untranslated, "is not for translation");
	EXPECT(j, j->o->verdict == (at_tc(j) ? PASS_TC : PASS_XDP), "should have gone up");
	EXPECT(j, !j->o->opened && !j->o->sent, "should have had no effect");
	EXPECT(j, j->o->size == j->p->size, "another length");
	if (!j->p->flaw)
		EXPECT(j, !random_packet_compare(j->p, &none, j->o->octet, j->o->size), "has changed");
}

void session_from_inside(struct model *m, struct model_session *s, uint8_t flags)
{
	model_from_inside(m, s, flags);
}

void session_from_outside(struct model *m, struct model_session *s, uint8_t flags)
{
	model_from_outside(m, s, flags);
}

void expect_translated(const struct judging *j, enum reason reason, const struct change *c)
{
	const char *wrong;

	EXPECT(j, j->o->reason == reason, "should have been translated");
	EXPECT(j, j->o->verdict == (at_tc(j) ? PASS_TC : REDIRECT_XDP) && !j->o->sent, "should have been sent");
	wrong = random_packet_compare(j->p, c, j->o->octet, j->o->size);
	EXPECT(j, !wrong, wrong);
}

static struct model_session flow_of(const struct random_packet *p)
{
	return (struct model_session){ .in_addr = p->src,
				       .in_port = p->sport,
				       .ext_addr = p->dst,
				       .ext_port = p->proto == ICMP ? 0 : p->dport,
				       .proto = p->proto };
}

static bool is_private(uint32_t addr)
{
	return addr >> 24 == 10 || addr >> 20 == 0xac1 || addr >> 16 == 0xc0a8 || addr >> 22 == 0x191;
}

static bool is_martian(uint32_t addr)
{
	return addr >> 24 == 0 || addr >> 24 == 127 || addr >> 28 >= 14;
}

/* The port that a hairpin's sender is seen from. */
static uint16_t hairpin_port(const struct judging *j, struct model_session flow)
{
	const struct model_session *known =
		model_find_in(&j->t->model, flow.in_addr, flow.in_port, flow.ext_addr, flow.ext_port, flow.proto);
	uint16_t port;

	if (stateless_port(j, &flow, &port))
		return port;
	/* This packet may have closed it. */
	if (known && !opened_by_sender(j))
		return known->out_port;
	flow.out_addr = model_outside_of(&j->t->model, flow.in_addr);
	EXPECT(j, port_in_tables(&flow), "the sender has no session");
	return flow.out_port;
}

/* Whether the packet got as far as a portmap. */
static bool asked_portmap(const struct judging *j)
{
	return j->o->portmap_in || j->o->reason == REASON_drop_portmap_filter;
}

void judge_hairpin_receiver(const struct judging *j, struct change *c)
{
	const struct random_packet *p = j->p;
	struct model *m = &j->t->model;
	struct model_session *receiver = NULL, flow;
	const struct model_portmap *portmap = model_portmap_out(m, p->dst, p->dport, p->proto);
	uint32_t in_addr;
	bool known = model_owner(m, p->dst, p->dport, &in_addr);
	bool owned = known && model_outside_of(m, in_addr) == p->dst;

	if (known)
		receiver = model_find_out(m, in_addr, p->dst, p->dport, c->src, c->sport, p->proto);
	if (receiver && receiver->tcp.closed && (j->o->reason == REASON_drop_no_session || j->o->inbound)) {
		model_remove(m, receiver);
		receiver = NULL;
	}
	if (receiver && receiver->tcp.closed && portmap && asked_portmap(j)) {
		model_remove(m, receiver);
		receiver = NULL;
	}
	if (owned && model_inside(m, in_addr)->kind == MODEL_OPEN) {
		c->dst = in_addr;
	} else if (receiver) {
		c->dst = receiver->in_addr;
		c->dport = receiver->in_port;
		session_from_outside(m, receiver, p->flags);
	} else if (portmap && !model_portmap_admits(portmap, c->src, c->sport)) {
		EXPECT(j, j->o->verdict == DROP_XDP && j->o->reason == REASON_drop_portmap_filter && !j->o->sent,
		       "its filters leave the sender out");
		return;
	} else if (portmap) {
		c->dst = portmap->in_addr;
		c->dport = portmap->in_port;
		EXPECT(j, j->o->portmap_in, "not counted for its portmap");
	} else {
		flow = outside_flow(p, c->src, c->sport, owned ? in_addr : 0);
		switch (judge_inbound(j, &flow)) {
		case ARRIVAL_TAKEN:
			c->dst = in_addr;
			c->dport = flow.in_port;
			break;
		case ARRIVAL_REFUSED:
			EXPECT(j, j->o->verdict == DROP_XDP && !j->o->sent, "dropped in silence");
			return;
		default:
			EXPECT(j, j->o->verdict == DROP_XDP && j->o->reason == REASON_drop_no_session && !j->o->sent,
			       "there is no session at the receiver");
			return;
		}
	}
	expect_translated(j, REASON_hairpin_translated, c);
}

static bool is_refusal(enum reason reason)
{
	return reason == REASON_drop_quota || reason == REASON_drop_quota_protocol || reason == REASON_drop_rate ||
	       reason == REASON_drop_ports_exhausted || reason == REASON_drop_growth_exhausted ||
	       reason == REASON_drop_busy;
}

/* By outside addresses from one subscriber to another: as if it had gone out and come back. */
static void judge_hairpin(const struct judging *j)
{
	const struct random_packet *p = j->p;
	struct model *m = &j->t->model;
	struct model_session flow = flow_of(p);
	struct change c = { .from = GATEWAY_IN, .to = HOST, .dst = p->dst, .dport = p->dport, .ttl_lowered = 1 };
	bool opened = opened_by_sender(j);

	if (p->ttl <= 1) {
		expect_drop(j, REASON_drop_ttl, 11, 0);
		return;
	}
	if (is_refusal(j->o->reason)) {
		judge_sender(j, &flow, false);
		return;
	}
	flow.out_port = hairpin_port(j, flow);
	judge_sender(j, &flow, true);
	/* One that opens is then applied as well: a FIN counts at once. */
	if (opened)
		session_from_inside(
			m, model_find_in(m, flow.in_addr, flow.in_port, flow.ext_addr, flow.ext_port, flow.proto),
			p->flags);
	c.src = flow.out_addr;
	c.sport = flow.out_port;
	judge_hairpin_receiver(j, &c);
}

static void judge_translated_out(const struct judging *j)
{
	const struct random_packet *p = j->p;
	struct model_session flow = flow_of(p);
	struct change c = { .dst = p->dst, .dport = p->dport };
	int translated = j->o->reason == REASON_in2out_translated;

	if (translated) {
		size_t at = random_packet_port_at(p, true);

		EXPECT(j, at + 2 <= j->o->size, "cut short");
		flow.out_port = (uint16_t)(j->o->octet[at] << 8 | j->o->octet[at + 1]);
		/* Of an echo reply, from an open mapping, the identifier is the other side's. */
		if (p->echo_reply)
			flow.out_port = p->sport;
	}
	if (!judge_sender(j, &flow, translated))
		return;
	if (!at_tc(j)) {
		c.from = GATEWAY_OUT;
		c.to = ROUTER;
		c.ttl_lowered = 1;
	}
	c.src = flow.out_addr;
	c.sport = flow.out_port;
	expect_translated(j, REASON_in2out_translated, &c);
}

/* What no mapping covers, or one that translates nothing. */
static void judge_unmapped(const struct judging *j, const struct model_mapping *map)
{
	const struct random_packet *p = j->p;

	if (is_martian(p->src) || property_is_pool(p->src))
		expect_drop(j, REASON_drop_martian, 0, 0);
	else if (!map && is_private(p->src))
		expect_drop(j, REASON_drop_no_mapping, 0, 0);
	else if (property_is_pool(p->dst) && !map)
		/* All other sources are routed outside: it pretends to come from there. */
		expect_drop(j, REASON_drop_spoofed, 0, 0);
	else if (property_is_pool(p->dst))
		judge_routed(j);
	else
		expect_untouched(j);
}

void property_judge_inside(struct property *t, enum hook hook, const struct random_packet *p, const struct outcome *o)
{
	const struct judging judging = { t, hook, p, o }, *j = &judging;
	const struct model_mapping *map = model_inside(&t->model, p->src);

	if (FLAW_IS_OF_IP(p->flaw))
		expect_drop(j, REASON_drop_malformed, 0, 0);
	else if (!at_tc(j) && p->to != GATEWAY_IN)
		expect_untouched(j);
	else if (!map || map->kind == MODEL_UNTRANSLATED)
		judge_unmapped(j, map);
	else if (p->dst == UNTRANSLATED)
		judge_to_routed(j, map);
	else if (p->flaw)
		expect_drop(j, REASON_drop_malformed, 0, 0);
	else if (p->echo_reply && map->kind != MODEL_OPEN)
		expect_drop(j, REASON_drop_no_session, 0, 0);
	else if (property_is_pool(p->dst))
		judge_hairpin(j);
	else if (!at_tc(j) && p->ttl <= 1)
		expect_untouched(j);
	else
		judge_translated_out(j);
}

/* To a session, a portmap or an open mapping, which is of in_addr and in_port. */
static void judge_arrival(const struct judging *j, uint32_t in_addr, uint16_t in_port)
{
	const struct random_packet *p = j->p;
	struct change c = { .from = GATEWAY_IN, .to = HOST, .src = p->src, .sport = p->sport, .ttl_lowered = 1 };

	if (p->ttl <= 1) {
		expect_drop(j, REASON_drop_ttl, 11, 0);
		return;
	}
	c.dst = in_addr;
	c.dport = in_port;
	expect_translated(j, REASON_out2in_translated, &c);
}

static void judge_translated_in(const struct judging *j, struct model_session *s)
{
	EXPECT(j, !j->o->opened, "has a session, so none is opened");
	EXPECT(j, !j->o->portmap_in, "a session goes before a portmap");
	judge_arrival(j, s->in_addr, s->in_port);
	if (j->p->ttl > 1)
		session_from_outside(&j->t->model, s, j->p->flags);
}

static void judge_portmap_in(const struct judging *j, const struct model_portmap *portmap)
{
	if (is_martian(j->p->src) || property_is_pool(j->p->src)) {
		expect_drop(j, REASON_drop_martian, 0, 0);
		return;
	}
	EXPECT(j, !j->o->opened, "a portmap needs no session");
	if (!model_portmap_admits(portmap, j->p->src, j->p->sport)) {
		EXPECT(j, !j->o->portmap_in, "counted for a portmap that did not take it");
		expect_drop(j, REASON_drop_portmap_filter, 0, 0);
		return;
	}
	EXPECT(j, j->o->portmap_in == (j->p->ttl > 1), "counted if it passes");
	judge_arrival(j, portmap->in_addr, portmap->in_port);
}

/* To a port of a subscriber's block, or to an open mapping. */
static void judge_owned(const struct judging *j, uint32_t in_addr)
{
	const struct random_packet *p = j->p;
	struct model *m = &j->t->model;
	const struct model_portmap *portmap = model_portmap_out(m, p->dst, p->dport, p->proto);
	struct model_session *s, flow;

	if (is_martian(p->src) || property_is_pool(p->src)) {
		expect_drop(j, REASON_drop_martian, 0, 0);
		return;
	}
	s = model_find_out(m, in_addr, p->dst, p->dport, p->src, p->sport, p->proto);
	/* Kept for a subscriber with an exception, or for sessions of a former mapping. */
	if (model_outside_of(m, in_addr) != p->dst && (!s || s->tcp.closed)) {
		/* One in time-wait may still be there. */
		if (s && j->o->reason != REASON_drop_no_session) {
			judge_translated_in(j, s);
			return;
		}
		expect_drop(j, REASON_drop_no_session, 0, 0);
		return;
	}
	if (model_inside(m, in_addr)->kind == MODEL_OPEN) {
		EXPECT(j, !j->o->opened, "an open mapping needs no session");
		judge_arrival(j, in_addr, p->dport);
		return;
	}
	j->t->drained += s && s->out_addr != model_outside_of(m, in_addr);
	/* One in time-wait may be gone. */
	if (s && s->tcp.closed &&
	    (j->o->reason == REASON_drop_no_session || j->o->inbound || (portmap && asked_portmap(j)))) {
		model_remove(m, s);
		s = NULL;
	}
	flow = outside_flow(p, p->src, p->sport, in_addr);
	if (s)
		judge_translated_in(j, s);
	else if (portmap)
		judge_portmap_in(j, portmap);
	else if (p->ttl <= 1 && j->o->reason == REASON_drop_ttl && model_lets_anyone(m, in_addr, p->proto))
		expect_drop(j, REASON_drop_ttl, 11, 0);
	else if (judge_inbound(j, &flow) == ARRIVAL_TAKEN)
		judge_arrival(j, in_addr, flow.in_port);
	else
		expect_drop(j, is_inbound_refusal(j->o->reason) ? j->o->reason : REASON_drop_no_session, 0, 0);
}

/* From the gateway's own address, which no other host has: it reaches nobody, whatever is asked first. */
static void judge_own_source(const struct judging *j)
{
	static const enum reason reasons[] = { REASON_drop_martian, REASON_drop_no_session, REASON_drop_portmap_filter,
					       REASON_drop_malformed, REASON_drop_direct_to_inside };
	bool known = (j->p->ttl <= 1 && j->o->reason == REASON_drop_ttl) ||
		     (is_inbound_refusal(j->o->reason) && j->o->verdict == DROP_XDP);

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		known |= j->o->reason == reasons[i] && j->o->verdict == DROP_XDP;
	EXPECT(j, known, "the gateway's own address came from outside");
	EXPECT(j, !j->o->opened && !j->o->portmap_in, "had an effect");
}

void property_judge_outside(struct property *t, const struct random_packet *p, const struct outcome *o)
{
	const struct judging judging = { t, XDP_OUTSIDE, p, o }, *j = &judging;
	const struct model_mapping *direct = model_inside(&t->model, p->dst);
	const struct model_portmap *portmap;
	uint32_t in_addr = 0;

	if (FLAW_IS_OF_IP(p->flaw)) {
		expect_drop(j, REASON_drop_malformed, 0, 0);
		return;
	}
	if (p->to != GATEWAY_OUT || (!property_is_pool(p->dst) && (!direct || direct->kind == MODEL_UNTRANSLATED))) {
		expect_untouched(j);
		return;
	}
	if (!property_is_pool(p->dst) || p->flaw) {
		expect_drop(j, property_is_pool(p->dst) ? REASON_drop_malformed : REASON_drop_direct_to_inside, 0, 0);
		return;
	}
	if (p->src == GATEWAY_ADDRESS) {
		judge_own_source(j);
		return;
	}
	portmap = model_portmap_out(&t->model, p->dst, p->dport, p->proto);
	if (model_owner(&t->model, p->dst, p->proto == ICMP && !p->echo_reply ? 0 : p->dport, &in_addr))
		judge_owned(j, in_addr);
	else if (portmap)
		judge_portmap_in(j, portmap);
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
