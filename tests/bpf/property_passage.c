// SPDX-License-Identifier: BSD-2-Clause
/*
 * Passages: packets that the model knows the way of without opening anything, because a session, a portmap or an open
 * mapping takes them. Sent in fragments, they pass as a whole does; an ICMP error about one reaches its sender with the
 * quote as that sent it.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "property_judging.h"

#define FAR ADDR(192, 0, 2, 200) /* a router on the way */

struct passage {
	enum hook hook;
	enum reason reason;
	struct frame in, out;
	struct model_session *session; /* that it is of, or NULL */
};

/* By the session, if there is one, in either direction. */
static bool of_session(struct property *t, struct passage *ret)
{
	struct model *m = &t->model;
	struct model_session *s = m->n ? &m->session[random_below(&t->r, (uint32_t)m->n)] : NULL;
	bool inward = random_once(&t->r, 2), echo;
	uint32_t out_addr;

	if (!s || !model_counts(m, s) || property_is_pool(s->ext_addr) || s->ext_addr == UNTRANSLATED)
		return false;
	out_addr = s->out_addr;
	echo = s->proto == ICMP;
	*ret = (struct passage){ .hook = inward ? XDP_OUTSIDE : XDP_INSIDE,
				 .reason = inward ? REASON_out2in_translated : REASON_in2out_translated,
				 .session = s };
	ret->in = inward ? (struct frame){ .src = s->ext_addr,
					   .dst = out_addr,
					   .sport = s->ext_port,
					   .dport = s->out_port }
			 : (struct frame){
				   .src = s->in_addr, .dst = s->ext_addr, .sport = s->in_port, .dport = s->ext_port
			   };
	ret->out = ret->in;
	if (inward) {
		ret->out.dst = s->in_addr;
		ret->out.dport = s->in_port;
	} else {
		ret->out.src = out_addr;
		ret->out.sport = s->out_port;
	}
	ret->in.proto = ret->out.proto = s->proto;
	if (echo && inward)
		ret->in.icmp_type = ret->out.icmp_type = ECHO_REPLY_TYPE;
	return true;
}

/* An inside endpoint that needs no session, and the outside one that it has. */
struct way {
	uint32_t in_addr, out_addr;
	uint16_t in_port, out_port;
	uint8_t proto;
	const struct model_portmap *portmap; /* NULL: of an open mapping */
};

/* Whether what comes from an external endpoint gets in. */
static bool lets_in(const struct way *w, uint32_t ext_addr, uint16_t ext_port)
{
	return !w->portmap || model_portmap_admits(w->portmap, ext_addr, ext_port);
}

static bool random_way(struct property *t, uint8_t proto, struct way *ret)
{
	const struct model *m = &t->model;
	const struct model_portmap *p;
	uint16_t port = random_port(&t->r);

	if (!m->n_portmaps || random_once(&t->r, 3)) {
		*ret = (struct way){ OPEN_HOST,
				     model_outside_of(m, OPEN_HOST),
				     port,
				     port,
				     proto ? proto : random_once(&t->r, 2) ? TCP : UDP,
				     NULL };
		return true;
	}
	p = &m->portmap[random_below(&t->r, (uint32_t)m->n_portmaps)];
	*ret = (struct way){ p->in_addr, model_outside_of(m, p->in_addr), p->in_port, p->out_port, p->proto, p };
	return !proto || p->proto == proto;
}

/* No session, not even one that has ended, has to do with it. */
static bool is_stateless(struct model *m, const struct way *w, uint32_t ext_addr, uint16_t ext_port)
{
	return !model_find_in(m, w->in_addr, w->in_port, ext_addr, ext_port, w->proto) &&
	       !model_find_out(m, w->in_addr, w->out_addr, w->out_port, ext_addr, ext_port, w->proto);
}

static bool of_way(struct property *t, struct passage *ret)
{
	uint32_t ext_addr = random_external(&t->r);
	uint16_t ext_port = random_ext_port(&t->r);
	bool inward = random_once(&t->r, 2);
	struct way w;

	if (!random_way(t, 0, &w) || !is_stateless(&t->model, &w, ext_addr, ext_port) ||
	    (inward && !lets_in(&w, ext_addr, ext_port)))
		return false;
	*ret = (struct passage){ .hook = inward ? XDP_OUTSIDE : XDP_INSIDE,
				 .reason = inward ? REASON_out2in_translated : REASON_in2out_translated };
	if (inward) {
		ret->in = (struct frame){ .src = ext_addr, .dst = w.out_addr, .sport = ext_port, .dport = w.out_port };
		ret->out = (struct frame){ .src = ext_addr, .dst = w.in_addr, .sport = ext_port, .dport = w.in_port };
	} else {
		ret->in = (struct frame){ .src = w.in_addr, .dst = ext_addr, .sport = w.in_port, .dport = ext_port };
		ret->out = (struct frame){ .src = w.out_addr, .dst = ext_addr, .sport = w.out_port, .dport = ext_port };
	}
	ret->in.proto = ret->out.proto = w.proto;
	return true;
}

static bool of_hairpin(struct property *t, struct passage *ret)
{
	struct way from, to;

	if (!random_way(t, 0, &from) || !random_way(t, from.proto, &to) ||
	    !is_stateless(&t->model, &from, to.out_addr, to.out_port) ||
	    !is_stateless(&t->model, &to, from.out_addr, from.out_port) || !lets_in(&to, from.out_addr, from.out_port))
		return false;
	*ret = (struct passage){ .hook = XDP_INSIDE, .reason = REASON_hairpin_translated };
	ret->in =
		(struct frame){ .src = from.in_addr, .dst = to.out_addr, .sport = from.in_port, .dport = to.out_port };
	ret->out =
		(struct frame){ .src = from.out_addr, .dst = to.in_addr, .sport = from.out_port, .dport = to.in_port };
	ret->in.proto = ret->out.proto = from.proto;
	return true;
}

/* Stations and TTLs of a packet on its way through the gateway. */
static void put_stations(struct passage *p)
{
	bool inside = p->hook == XDP_INSIDE, outward = p->reason == REASON_in2out_translated;

	p->in.from = inside ? HOST : ROUTER;
	p->in.to = inside ? GATEWAY_IN : GATEWAY_OUT;
	p->out.from = outward ? GATEWAY_OUT : GATEWAY_IN;
	p->out.to = outward ? ROUTER : HOST;
	p->out.ttl = 63;
	p->in.flags = p->out.flags = MODEL_ACK;
}

static void run(struct property *t, enum hook hook, const uint8_t *frame, size_t size, const uint8_t *want,
		size_t want_size, enum reason reason, const char *what)
{
	struct random_packet p = { .size = size };
	struct outcome o = { 0 };

	memcpy(p.octet, frame, size);
	t->packets++;
	property_run_alone(t, hook, &p, &o);
	if (o.verdict != REDIRECT_XDP || o.reason != reason || o.opened || o.sent)
		property_fail(t, hook, &p, &o, what);
	if (o.size != want_size || memcmp(o.octet, want, want_size)) {
		frame_equal(what, o.octet, o.size, want, want_size);
		property_fail(t, hook, &p, &o, what);
	}
}

/* In two pieces, or three. */
static void send_fragments(struct property *t, const struct passage *p)
{
	struct frame in = p->in, out = p->out;
	uint16_t id = (uint16_t)t->packets;
	uint8_t whole[FRAME_MAX], wanted[FRAME_MAX], piece[FRAME_MAX], want[FRAME_MAX];
	unsigned end, at = 0, next = 8 * (4 + random_below(&t->r, 60));

	in.payload = out.payload = (uint16_t)(500 + random_below(&t->r, 700));
	end = in.payload + (in.proto == TCP ? 20U : 8U);
	frame_build(&in, whole);
	frame_build(&out, wanted);
	for (; at < end; at = next, next = at + 8 * (1 + random_below(&t->r, 90))) {
		bool more = next < end;
		size_t size = frame_fragment(whole, id, at, more ? next : end, more, piece);
		size_t want_size = frame_fragment(wanted, id, at, more ? next : end, more, want);

		run(t, p->hook, piece, size, want, want_size, p->reason, "a fragment");
		if (!at && p->session && p->reason == REASON_out2in_translated)
			session_from_outside(&t->model, p->session, MODEL_ACK);
		else if (!at && p->session)
			session_from_inside(&t->model, p->session, MODEL_ACK);
	}
}

/* From the receiver, or from a router between; it changes nothing. */
static void send_error(struct property *t, const struct passage *p)
{
	static const uint8_t kinds[][2] = { { 3, 3 }, { 3, 4 }, { 11, 0 }, { 12, 0 } };
	const uint8_t *kind = kinds[random_below(&t->r, 4)];
	bool back_in = p->reason == REASON_in2out_translated;
	struct icmp_error e = { .type = kind[0], .code = kind[1], .quote = p->out };
	struct icmp_error want = { .type = kind[0], .code = kind[1], .ttl = 63, .quote = p->in };
	uint8_t frame[FRAME_MAX], wanted[FRAME_MAX];
	size_t size, want_size;

	e.quote.ttl = want.quote.ttl = 9;
	e.quote.payload = want.quote.payload = (uint16_t)random_below(&t->r, 500);
	e.mtu = want.mtu = kind[1] == 4 ? 1300 : 0;
	e.from = back_in ? ROUTER : HOST;
	e.to = back_in ? GATEWAY_OUT : GATEWAY_IN;
	e.src = back_in ? FAR : p->out.dst;
	e.dst = p->out.src;
	want.from = p->hook == XDP_INSIDE ? GATEWAY_IN : GATEWAY_OUT;
	want.to = p->hook == XDP_INSIDE ? HOST : ROUTER;
	want.src = back_in ? FAR : p->in.dst;
	want.dst = p->in.src;
	size = icmp_error_build(&e, frame);
	want_size = icmp_error_build(&want, wanted);
	run(t, back_in ? XDP_OUTSIDE : XDP_INSIDE, frame, size, wanted, want_size, REASON_icmp_error_translated,
	    "an ICMP error");
}

void property_random_passage(struct property *t)
{
	static bool (*const kinds[])(struct property * t, struct passage * ret) = { of_session, of_way, of_way,
										    of_hairpin };
	struct passage p;

	if (!kinds[random_below(&t->r, 4)](t, &p))
		return;
	put_stations(&p);
	if (random_once(&t->r, 2))
		send_error(t, &p);
	else
		send_fragments(t, &p);
}
