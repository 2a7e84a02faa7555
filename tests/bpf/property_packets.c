// SPDX-License-Identifier: BSD-2-Clause
/* Random packets of and to the model's subscribers, run and judged. */
#include "property.h"

/* BPF_PROG_TEST_RUN takes no frame for tc that ends before its IPv4 header does. */
static void build(struct random *r, struct random_packet *p)
{
	if (redirect_tc_wanted() && p->flaw == FLAW_CUT_IN_HEADER)
		p->flaw = FLAW_TOTAL_BEYOND_FRAME;
	random_packet_build(r, p);
}

static const uint32_t external[] = { EXTERNAL, ADDR(192, 0, 2, 1), ADDR(203, 0, 112, 255), ADDR(9, 9, 9, 9) };
static const uint16_t ports[] = { 5000, 5015, 5030, 6008, 6304, 6305, 1023, 0, 65535, 7, 15, 40000 };
static const uint16_t ext_ports[] = { 53, 443, 80 };
static const uint8_t tcp_flags[] = { 0x02, 0x12, 0x10, 0x18, 0x11, 0x01, 0x04, 0x14, 0x10, 0x02, 0x00, 0x29 };

#define PICK(r, array) ((array)[random_below(r, sizeof(array) / sizeof(*(array)))])

uint32_t random_external(struct random *r)
{
	return PICK(r, external);
}

uint16_t random_port(struct random *r)
{
	return PICK(r, ports);
}

uint16_t random_ext_port(struct random *r)
{
	return PICK(r, ext_ports);
}

uint8_t random_flags(struct random *r)
{
	return PICK(r, tcp_flags);
}

static uint32_t random_subscriber(struct property *t)
{
	return property_scene->subscriber[random_below(&t->r, (uint32_t)property_scene->n_subscribers)];
}

uint8_t random_proto(struct random *r)
{
	static const uint8_t protos[] = { TCP, TCP, UDP, UDP, UDP, ICMP };

	return PICK(r, protos);
}

static uint8_t random_ttl(struct random *r)
{
	return (uint8_t)(random_once(r, 25) ? random_below(r, 3) : 2 + random_below(r, 254));
}

static enum flaw random_flaw(struct random *r)
{
	return random_once(r, 12) ? (enum flaw)(1 + random_below(r, N_FLAWS - 1)) : FLAW_NONE;
}

/* A source that has no business there. */
static uint32_t unmapped(struct random *r)
{
	static const uint32_t strays[] = { UNMAPPED + 0x10000,	ADDR(192, 168, 1, 1), ADDR(100, 64, 0, 1),
					   ADDR(192, 0, 2, 77), ADDR(127, 0, 0, 1),   ADDR(0, 0, 0, 9),
					   ADDR(240, 0, 0, 1),	ADDR(224, 0, 0, 5),   POOL + 1,
					   ADDR(203, 0, 114, 0) };

	return PICK(r, strays);
}

/* To a port of LOOSE, whose sessions the model does not know. */
static bool is_to_loose(const struct model *m, const struct random_packet *p)
{
	uint32_t in_addr;

	return model_owner(m, p->dst, p->dport, &in_addr) && in_addr == LOOSE;
}

/* Towards where another subscriber is seen from outside. */
static void aim_at_subscriber(struct property *t, struct random_packet *p)
{
	uint32_t other = random_subscriber(t);
	const struct model_mapping *m = model_inside(&t->model, other);

	if (p->proto == ICMP)
		p->proto = UDP;
	/* Or where it used to be seen. */
	for (size_t i = 0; i < t->model.n_mappings; i++)
		if (t->model.mapping[i].former && other - t->model.mapping[i].in_base < t->model.mapping[i].in_count &&
		    random_once(&t->r, 2))
			m = &t->model.mapping[i];
	p->dst = model_out_addr(m, other);
	p->dport = model_first_choice(m, other, ports[random_below(&t->r, 3)]);
	p->sport = ports[random_below(&t->r, 3)];
}

/* Towards what is reached without a session of the receiver's: a portmap, an open mapping, a bound port. */
static void aim_at_reachable(struct property *t, struct random_packet *p)
{
	struct random *r = &t->r;
	const struct model *m = &t->model;
	const struct model_portmap *portmap;
	const struct model_binding *b;

	switch (random_below(r, 4)) {
	case 0:
		p->dst = model_outside_of(m, OPEN_HOST);
		p->dport = random_port(r);
		break;
	case 1:
		if (!m->n_portmaps)
			break;
		portmap = &m->portmap[random_below(r, (uint32_t)m->n_portmaps)];
		p->proto = portmap->proto;
		p->dst = model_outside_of(m, portmap->in_addr);
		p->dport = (uint16_t)(portmap->out_port + random_once(r, 10));
		break;
	default:
		if (!m->n_bindings)
			break;
		b = &m->binding[random_below(r, (uint32_t)m->n_bindings)];
		p->proto = b->proto;
		p->dst = model_outside_of(m, b->in_addr);
		p->dport = (uint16_t)(b->out_port + random_once(r, 10));
		if (random_once(r, 3))
			p->flags = MODEL_SYN;
	}
}

/* From where no session is needed. */
static void begin_reachable(struct property *t, struct random_packet *p)
{
	struct random *r = &t->r;
	const struct model *m = &t->model;
	const struct model_portmap *portmap;

	switch (random_below(r, 3)) {
	case 0:
		p->src = OPEN_HOST;
		p->sport = random_port(r);
		break;
	case 1:
		p->src = UNTRANSLATED;
		break;
	default:
		if (!m->n_portmaps)
			break;
		portmap = &m->portmap[random_below(r, (uint32_t)m->n_portmaps)];
		p->src = portmap->in_addr;
		p->sport = portmap->in_port;
		p->proto = portmap->proto;
	}
}

/* What would pass if it came from outside, but comes from inside. */
static void forge_outside(struct property *t, struct random_packet *p)
{
	struct random *r = &t->r;
	const struct model_session *s = t->model.n ? &t->model.session[random_below(r, (uint32_t)t->model.n)] : NULL;

	p->src = PICK(r, external);
	p->sport = PICK(r, ext_ports);
	if (s && random_once(r, 2)) {
		p->src = s->ext_addr;
		p->dst = s->out_addr;
		p->sport = s->ext_port;
		p->dport = s->out_port;
		p->proto = s->proto;
	} else if (property_scene->reachable && !random_once(r, 3)) {
		aim_at_reachable(t, p);
	} else {
		p->dst = model_outside_of(&t->model, random_subscriber(t));
		p->dport = random_port(r);
	}
}

void property_random_inside(struct property *t)
{
	struct random *r = &t->r;
	struct random_packet p = { .from = HOST,
				   .to = random_once(r, 60) ? NOBODY : GATEWAY_IN,
				   .src = random_once(r, 30) ? unmapped(r) : random_subscriber(t),
				   .dst = PICK(r, external),
				   .sport = PICK(r, ports),
				   .dport = PICK(r, ext_ports),
				   .proto = random_proto(r),
				   .flags = PICK(r, tcp_flags),
				   .ttl = random_ttl(r),
				   .flaw = random_flaw(r) };
	enum hook hook = random_once(r, 4) ? TC_OUTSIDE : XDP_INSIDE;
	struct outcome o = { 0 };

	/* Often again what it has sent before. */
	if (random_once(r, 25)) {
		forge_outside(t, &p);
	} else if (t->model.n && random_once(r, 2)) {
		const struct model_session *s = &t->model.session[random_below(r, (uint32_t)t->model.n)];

		p.src = s->in_addr;
		p.dst = s->ext_addr;
		p.sport = s->in_port;
		p.dport = s->ext_port;
		p.proto = s->proto;
	} else if (random_once(r, property_scene->growing ? 2 : 4)) {
		/* More inside ports to one peer than a block has. */
		p.src = property_scene->subscriber[property_scene->small + random_below(r, 3)];
		p.dst = EXTERNAL;
		p.sport = (uint16_t)random_below(r, property_scene->growing ? 60 : 40);
		p.dport = 53;
		p.proto = UDP;
	} else if (random_once(r, 6) && model_inside(&t->model, p.src)) {
		aim_at_subscriber(t, &p);
	} else if (property_scene->reachable) {
		if (random_once(r, 2))
			begin_reachable(t, &p);
		if (random_once(r, 3) && model_inside(&t->model, p.src))
			aim_at_reachable(t, &p);
	}
	p.echo_reply = p.proto == ICMP && random_once(r, 10);
	if (p.echo_reply) {
		p.dport = p.sport;
		p.sport = 0;
	} else if (p.proto == ICMP) {
		p.dport = 0;
	}
	if (property_is_pool(p.dst) || p.dst == UNTRANSLATED)
		hook = XDP_INSIDE;
	/* What the kernel routes has a sound header and a TTL left. */
	if (hook == TC_OUTSIDE && FLAW_IS_OF_IP(p.flaw))
		p.flaw = FLAW_NONE;
	if (hook == TC_OUTSIDE && !p.ttl)
		p.ttl = 1;
	if (is_to_loose(&t->model, &p) || property_was_pool(p.dst))
		return;
	build(r, &p);
	property_run(t, hook, &p, &o);
	property_judge_inside(t, hook, &p, &o);
}

void property_random_outside(struct property *t)
{
	struct random *r = &t->r;
	struct random_packet p = { .from = ROUTER,
				   .to = random_once(r, 60) ? NOBODY : GATEWAY_OUT,
				   .src = random_once(r, 30) ? unmapped(r) : PICK(r, external),
				   .dst = POOL + random_below(r, 5),
				   .sport = PICK(r, ext_ports),
				   .dport = (uint16_t)random_below(r, 65536),
				   .proto = random_proto(r),
				   .flags = PICK(r, tcp_flags),
				   .ttl = random_ttl(r),
				   .flaw = random_flaw(r) };
	struct outcome o = { 0 };

	p.echo_reply = !random_once(r, 4);
	if (property_scene->reachable && random_once(r, 3)) {
		aim_at_reachable(t, &p);
	} else if (t->model.n && !random_once(r, 5)) {
		/* Mostly a reply to a session's packet; some of them nearly. */
		const struct model_session *s = &t->model.session[random_below(r, (uint32_t)t->model.n)];

		p.src = s->ext_addr;
		p.dst = s->out_addr;
		p.sport = s->ext_port;
		p.dport = s->out_port;
		p.proto = s->proto;
		switch (random_below(r, 16)) {
		case 0:
			p.dport++;
			break;
		case 1:
			p.sport++;
			break;
		case 2:
			p.src = PICK(r, external);
			break;
		case 3:
			p.dst = s->in_addr;
			break;
		case 4:
			p.proto = random_proto(r);
			break;
		case 5:
			p.dst = PICK(r, external);
			break;
		default:
			break;
		}
	}
	p.echo_reply = p.echo_reply && p.proto == ICMP;
	if (property_scene->reachable && random_once(r, 60))
		p.dst = UNTRANSLATED;
	if (random_once(r, 40))
		p.src = GATEWAY_ADDRESS;
	if (p.proto == ICMP && p.echo_reply)
		p.sport = 0;
	if (p.proto == ICMP && !p.echo_reply) {
		p.sport = p.dport;
		p.dport = 0;
	}
	if (is_to_loose(&t->model, &p))
		return;
	build(r, &p);
	property_run(t, XDP_OUTSIDE, &p, &o);
	property_judge_outside(t, &p, &o);
}
