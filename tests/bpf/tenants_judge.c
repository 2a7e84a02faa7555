// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include <criterion/criterion.h>

#include "tenants_judge.h"

const uint32_t pool_of_side[3] = { 0, POOL, POOL_B };

unsigned pool_at(uint32_t addr)
{
	return addr >> 2 == POOL >> 2 ? FIRST : addr >> 2 == POOL_B >> 2 ? SECOND : OUTSIDE;
}

bool is_inside(uint32_t addr)
{
	return addr >> 8 == INSIDE >> 8;
}

static uint16_t port_at(const uint8_t *octet)
{
	return (uint16_t)(octet[0] << 8 | octet[1]);
}

uint32_t addr_at(const uint8_t *octet)
{
	return (uint32_t)port_at(octet) << 16 | port_at(octet + 2);
}

struct ends ends_at(const uint8_t *ip, uint8_t proto)
{
	struct ends e = { addr_at(ip + 12), addr_at(ip + 16), port_at(ip + 20), port_at(ip + 22) };

	if (proto == ICMP)
		e.sport = e.dport = port_at(ip + 24);
	return e;
}

static struct note *find_note(struct state *s, const struct note *like)
{
	for (size_t i = 0; i < s->notes; i++) {
		struct note *n = &s->note[i];

		if (n->tenant == like->tenant && n->proto == like->proto && n->out == like->out &&
		    n->out_port == like->out_port && n->ext == like->ext && n->ext_port == like->ext_port)
			return n;
	}
	return NULL;
}

/* Whom an outside endpoint of a tenant's pool leads to, for packets of an external one; false: it has never been used.
 */
static bool owner_of(struct state *s, unsigned tenant, uint8_t proto, struct ends outside, struct ends *ret)
{
	const struct note like = { .tenant = (uint8_t)tenant,
				   .proto = proto,
				   .out = outside.dst,
				   .out_port = outside.dport,
				   .ext = outside.src,
				   .ext_port = proto == ICMP ? 0 : outside.sport };
	const struct note *n = find_note(s, &like);

	if (!n && proto == UDP && outside.dst == pool_of_side[tenant] && outside.dport == CAM) {
		*ret = (struct ends){ .dst = SUBSCRIBER, .dport = CAM_IN };
		s->t.portmaps[tenant]++;
		return true;
	}
	if (n)
		*ret = (struct ends){ .dst = n->in, .dport = n->in_port };
	return n;
}

/* The source is one of the sender's own outside endpoints. */
static void check_source(const struct state *s, const struct sent *p, const struct ends *out)
{
	uint32_t n = p->of.src - INSIDE;

	cr_assert_eq(out->src, pool_of_side[p->from] + n / 64, "packet %u: leaves as %08x of side %u", s->i, out->src,
		     p->from);
	cr_assert(p->later || (unsigned)(out->sport - 1024) / PORTS == n % 64, "packet %u: port %u of host %u", s->i,
		  out->sport, n);
}

static void add_note(struct state *s, const struct note *new, struct note *former)
{
	cr_assert(former || s->notes < sizeof(s->note) / sizeof(*s->note));
	*(former ? former : &s->note[s->notes++]) = *new;
}

static struct note note_of(const struct sent *p)
{
	return (struct note){ .tenant = (uint8_t)p->from,
			      .proto = p->proto,
			      .in = p->of.src,
			      .in_port = p->of.sport,
			      .ext = p->of.dst,
			      .ext_port = p->proto == ICMP ? 0 : p->of.dport };
}

static void note_source(struct state *s, const struct sent *p, const struct ends *out)
{
	struct note new = note_of(p);

	new.out = out->src;
	new.out_port = out->sport;
	if (!p->later)
		add_note(s, &new, find_note(s, &new));
}

/* A hairpin that nobody takes opens its sender's session, whose outside endpoint has not been seen. */
static bool is_unseen(const struct state *s, const struct note *like)
{
	for (size_t i = 0; i < s->notes; i++)
		if (!memcmp(&s->note[i], like, sizeof(*like)))
			return true;
	return false;
}

void note_unseen(struct state *s, const struct sent *p)
{
	const struct note new = note_of(p);

	if (p->from && pool_at(p->of.dst) && !p->later && !p->error && !is_unseen(s, &new))
		add_note(s, &new, NULL);
}

/* The destination is what the tenant's subscriber has used the outside endpoint for. src: the sender, as is seen
 * outside. */
static void check_destination(struct state *s, const struct sent *p, unsigned to, struct ends outside,
			      const struct ends *out)
{
	struct ends owner;

	/* A later fragment goes where the first one went; it has one endpoint here. */
	if (p->later) {
		cr_assert_eq(out->dst, SUBSCRIBER, "packet %u", s->i);
		return;
	}
	if (!owner_of(s, to, p->proto, outside, &owner)) {
		const struct note unseen = { .tenant = (uint8_t)to,
					     .proto = p->proto,
					     .in = out->dst,
					     .in_port = out->dport,
					     .ext = outside.src,
					     .ext_port = p->proto == ICMP ? 0 : outside.sport };

		cr_assert((unsigned)(outside.dport - 1024) / PORTS == (out->dst - INSIDE) % 64 && is_unseen(s, &unseen),
			  "packet %u: %08x:%u leads nowhere in %u", s->i, outside.dst, outside.dport, to);
		return;
	}
	cr_assert(out->dst == owner.dst && out->dport == owner.dport, "packet %u: to %08x:%u, not %08x:%u", s->i,
		  out->dst, out->dport, owner.dst, owner.dport);
}

/* The error is told of in the terms of whom it reaches. `of` is what the quoted packet's ends were. */
static void judge_error(struct state *s, const struct sent *p, unsigned to, const uint8_t *frame)
{
	const struct ends quoted = ends_at(frame + 42, p->proto), outer = ends_at(frame + 14, ICMP);
	struct ends owner;

	if (p->from) {
		const struct ends outside = { quoted.src, quoted.dst, quoted.sport, quoted.dport };

		cr_assert_eq(pool_at(outer.src), p->from, "packet %u: an error of %08x", s->i, outer.src);
		if (to)
			return;
		cr_assert(owner_of(s, p->from, p->proto, outside, &owner), "packet %u", s->i);
		cr_assert(owner.dst == p->of.dst && owner.dport == p->of.dport, "packet %u: about another's session",
			  s->i);
		s->t.errors_out[p->from]++;
		return;
	}
	cr_assert(owner_of(s, to, p->proto, (struct ends){ p->of.dst, p->of.src, p->of.dport, p->of.sport }, &owner),
		  "packet %u", s->i);
	cr_assert(outer.dst == owner.dst && quoted.src == owner.dst && quoted.sport == owner.dport,
		  "packet %u: an error to %08x about %08x:%u, of %08x:%u", s->i, outer.dst, quoted.src, quoted.sport,
		  owner.dst, owner.dport);
	s->t.errors_in[to]++;
}

void judge(struct state *s, const struct sent *p, unsigned to, const uint8_t *frame)
{
	const struct ends out = ends_at(frame + 14, p->proto);
	struct ends outside = p->of;
	unsigned pool = pool_at(addr_at(frame + 30)) ? OUTSIDE : pool_at(p->of.dst);

	cr_assert_eq(is_inside(addr_at(frame + 30)), to != OUTSIDE, "packet %u: to %08x by side %u", s->i,
		     addr_at(frame + 30), to);
	if (p->error) {
		judge_error(s, p, to, frame);
		return;
	}
	if (is_inside(p->of.dst)) {
		cr_assert(p->from == to && out.src == p->of.src && out.dst == p->of.dst, "packet %u: routed to side %u",
			  s->i, to);
		return;
	}
	cr_assert_eq(pool, to, "packet %u: sent to %08x, by side %u", s->i, p->of.dst, to);
	if (p->from) {
		check_source(s, p, &out);
		note_source(s, p, &out);
		outside.src = out.src;
		outside.sport = out.sport;
	}
	if (to)
		check_destination(s, p, to, outside, &out);
	s->t.pieces[p->from ? p->from : to] += p->later;
	s->t.outwards[p->from] += !to;
	s->t.answers[to] += !p->from;
	s->t.hairpins[p->from][to] += p->from && to;
}
