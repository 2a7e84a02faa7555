/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside to outside: the steps up to the subscriber's flow, with which all programs of this direction begin, and the
 * program for sessions in slots. The hooks differ in how they know that a packet leaves through an outside interface:
 * see in2out_admit().
 */
#ifndef DETNAT_IN2OUT_H
#define DETNAT_IN2OUT_H

#include "subscriber/classify.h"
#include "subscriber/drain_lookup.h"
#include "subscriber/stateless.h"
#include "packet/ip_options.h"
#include "session/session_slots.h"
#include "egress/source.h"
#include "egress/tenant.h"
#include "translate/translate.h"

#if STAGE2
#include "slow/in2out_stage2.h"
#elif FAMILY6
#include "slow/in2out_six.h"
#elif FORWARDS
#include "slow/in2out_forward.h"
#elif AT_INGRESS
#include "slow/in2out_ingress.h"
#else
#include "slow/in2out_tc.h"
#endif

/*
 * Returns 1 if a packet may open or use a session of its sender. An echo reply belongs to no session of its sender;
 * later fragments follow their first one.
 */
static __always_inline int packet_may_open(const struct packet *p)
{
	return p->proto != IPPROTO_ICMP || p->icmp_type == ICMP_ECHO || p->fragment == FRAGMENT_LATER;
}

/* A later fragment belongs to the session of its first one. */
static __always_inline int is_wanted(enum packet_kind kind, enum packet_kind wanted)
{
	return kind == wanted || (kind == PACKET_FRAGMENT && wanted == PACKET_SESSION);
}

/* Returns 1 for packets of an open mapping that need no session. Hairpins may: the other side can have sessions. */
static __always_inline int in2out_is_stateless(const struct in2out *io, enum packet_kind kind)
{
	return mapping_is_open(io->f.m) && kind_passes_open(kind) && !is_hairpin(io);
}

/* Handles a subscriber's packet that is not for the calling program, or that has forbidden IP options. */
static __always_inline int in2out_other_kind(ctx_t *ctx, const struct in2out *io, enum packet_kind kind,
					     enum reason refused)
{
	if (is_hairpin(io) && address_is_local(ctx, io->f.p.src, io->f.p.dst))
		return pass_untranslated();
	if (refused)
		return drop(refused);
	if (kind == PACKET_PROTOCOL)
		return mapping_is_one_to_one(io->f.m) ? tail_call(ctx, PROG_protocol)
						      : tail_call(ctx, PROG_refuse_protocol);
	return drop(parse_drop_reason(kind));
}

/* Handles a packet from inside whose source is in no mapping. */
static __always_inline int in2out_unmatched(ctx_t *ctx, const struct in2out *io)
{
	const struct packet *p = &io->f.p;

	/* Of an IPv6 subscriber whose mapping has drained, to a NAT64 prefix: the kernel has nothing to do with that.
	 */
	if (FAMILY6)
		return drop(REASON_drop_no_mapping);
	if (source_is_martian(p->src))
		return drop(REASON_drop_martian);
	if (!STAGE2 && tenant_is_alien(ctx, p->src))
		return drop(REASON_drop_tenant);
	if (!is_hairpin(io) || unmatched_is_dropped(packet_tenant(ctx), p->src))
		return source_unmatched(ctx, p);
	/* To a pool address, it is treated much like a packet from outside, but must not come from there. */
	if (source_is_forged(ctx, p->src, p->dst))
		return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : drop(REASON_drop_spoofed);
	return tail_call(ctx, PROG_routed_in);
}

/*
 * The draining mapping of a packet whose source is in no mapping now but may still have a session there. It opens no
 * new ones: see in2out_is_left_over().
 */
static __always_inline struct mapping *in2out_left_over(ctx_t *ctx, const struct packet *p, enum packet_kind kind)
{
	struct mapping *m;

	if (!settings.drains || !(kind == PACKET_FRAGMENT || (kind == PACKET_SESSION && packet_may_open(p))))
		return 0;
	m = drain_first(packet_tenant(ctx), p->src);
	return m && !six_turn_to(m, mapping_subscriber(&m->geo, p->src)) ? m : 0;
}

/* Returns 1 if the source of a packet is in no mapping, and it belongs to no session either. */
static __always_inline int in2out_is_left_over(const ctx_t *ctx, const struct in2out *io)
{
	return settings.drains && !index_find_inside(packet_tenant(ctx), io->f.p.src);
}

/*
 * Fills in *io for a subscriber's packet of the kind wanted, with its egress checked. PACKET_SESSION includes later
 * fragments, whose ports are 0. Returns CONTINUE or a verdict.
 */
static __always_inline int in2out_prepare(ctx_t *ctx, struct in2out *io, enum packet_kind wanted)
{
	struct packet *p = &io->f.p;
	enum packet_kind kind;
	enum reason refused;
	int verdict = in2out_admit(ctx, io, &kind);

	if (verdict != CONTINUE)
		return verdict;
	if (kind == PACKET_ICMP_OTHER && is_icmp_error(p))
		return is_hairpin(io) ? tail_call(ctx, PROG_icmp_hairpin) : tail_call(ctx, PROG_icmp_out);
	io->f.m = mapping_by_inside(packet_tenant(ctx), p->src);
	if (!io->f.m)
		io->f.m = in2out_left_over(ctx, p, kind);
	if (!io->f.m)
		return in2out_unmatched(ctx, io);
	if (!STAGE2 && tenant_differs(ctx, io->f.m))
		return drop(REASON_drop_tenant);
	verdict = in2out_source(ctx, io);
	if (verdict != CONTINUE)
		return verdict;
	refused = options_refusal(ctx, p);
	if (!STAGE2 && !refused && in2out_is_stateless(io, kind)) {
		if (wanted != PACKET_PROTOCOL)
			return tail_call(ctx, PROG_protocol);
		kind = PACKET_PROTOCOL;
	}
	if (!refused && kind == PACKET_SESSION && wanted == PACKET_SESSION && !packet_may_open(p) &&
	    !mapping_is_open(io->f.m))
		refused = REASON_drop_no_session;
	if (refused || !is_wanted(kind, wanted))
		return in2out_other_kind(ctx, io, kind, refused);
	verdict = in2out_egress_check(ctx, io);
	if (verdict != CONTINUE)
		return verdict;
	io->f.now = now_ticks();
	flow_from_inside(&io->f);
	return CONTINUE;
}

/* Translates and sends a packet whose session is found or opened. */
static __always_inline int in2out_finish(ctx_t *ctx, const struct in2out *io, __u16 out_port)
{
	const struct packet *p = &io->f.p;
	struct rewrite to = rewrite_of(p);

	to.src = mapping_out_addr(&io->f.m->geo, io->f.subscriber);
	to.sport = out_port;
	return translate_session(ctx, p, &to, in2out_egress(io), DIRECTION_OUT, p->src);
}

/* The program for sessions in slots; it tail-calls the others. */
static __always_inline int in2out(ctx_t *ctx)
{
	struct in2out io;
	__u64 word;
	int verdict = in2out_prepare(ctx, &io, PACKET_SESSION);

	if (verdict != CONTINUE)
		return verdict;
	if (io.f.p.fragment == FRAGMENT_LATER)
		return is_hairpin(&io) ? tail_call(ctx, PROG_fragment_hairpin) : tail_call(ctx, PROG_fragment);
	if (is_hairpin(&io))
		return tail_call(ctx, PROG_hairpin);

	struct slot *s = slot_lookup_in2out(&io.f, &word);

	if (!s || session_reopens(word, &io.f.p))
		return tail_call(ctx, PROG_open);
	session_hit(s, word, io.f.p.flags, io.f.m, io.f.subscriber | FROM_INSIDE);
	return in2out_finish(ctx, &io, word_out_port(word));
}

#endif
