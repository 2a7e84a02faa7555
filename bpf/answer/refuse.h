/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs that refuse a session or a protocol. A refused session is counted, reported to the operator and answered
 * (RFC 6888 REQ-11).
 */
#ifndef DETNAT_REFUSE_H
#define DETNAT_REFUSE_H

#include "slow/in2out.h"
#include "session/quota.h"

/* A limit's own figures: the packets it has refused, and when an event is due. */
static __always_inline void refuse_report_limit(const struct flow *f, struct limit_line *line, enum reason reason)
{
	if (reason == REASON_drop_rate) {
		__sync_fetch_and_add(&line->refused_rate, 1);
		if (rate_allows(&line->rate_event_next, REPORTS_PER_SECOND))
			flow_notify(f, EVENT_RATE, LOAD(f->m->limit.rate));
	} else {
		__sync_fetch_and_add(&line->refused_protocol, 1);
		if (rate_allows(&line->protocol_event_next, REPORTS_PER_SECOND))
			flow_notify(f, EVENT_QUOTA_PROTOCOL, limit_of(f->m, f->p.proto));
	}
}

static __always_inline void refuse_report(const struct flow *f, struct subscriber *s, enum reason reason)
{
	int ports = reason == REASON_drop_ports_exhausted || reason == REASON_drop_growth_exhausted;

	if (settings.limits && (reason == REASON_drop_rate || reason == REASON_drop_quota_protocol)) {
		struct limit_line *line = limit_line_get(f->m, f->subscriber);

		if (line)
			refuse_report_limit(f, line, reason);
		return;
	}
	if (!rate_allows(ports ? &s->ports_event_next : &s->quota_event_next, REPORTS_PER_SECOND))
		return;
	flow_notify(f,
		    ports			  ? EVENT_PORTS_EXHAUSTED
		    : reason == REASON_drop_quota ? EVENT_QUOTA
						  : EVENT_EXTENTS_FULL,
		    f->m->sessions_per_user);
}

/*
 * Handles a subscriber's packet of a protocol that is not translated: answered as often as the rate limits allow (RFC
 * 1812 section 5.2.7.1).
 */
static __always_inline int refuse_protocol(ctx_t *ctx)
{
	struct packet p;
	struct arguments *n = arguments_get();
	const struct mapping *m = parse(ctx, &p) == PACKET_PROTOCOL ? mapping_by_inside(packet_tenant(ctx), p.src) : 0;
	struct subscriber *s = m ? subscriber_get(m, mapping_subscriber(&m->geo, p.src)) : 0;

	if (!s || !n || !rate_allows(&s->icmp_next, REFUSALS_PER_SECOND))
		return drop(REASON_drop_protocol);
	arguments_set(n, REASON_drop_protocol, REASON_sent_icmp_protocol, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
	return tail_call(ctx, PROG_icmp_error);
}

static __always_inline int refuse_session(ctx_t *ctx)
{
	struct in2out io;
	struct arguments *n = arguments_get();
	int verdict = in2out_prepare(ctx, &io, PACKET_SESSION);

	if (verdict != CONTINUE)
		return verdict;

	struct subscriber *s = subscriber_get(io.f.m, io.f.subscriber);
	enum reason reason = n ? LOAD(n->reason) : REASON_drop_quota;

	if (!s || !n)
		return drop(reason);
	__sync_fetch_and_add(&s->refused, 1);
	refuse_report(&io.f, s, reason);
	if (!rate_allows(&s->icmp_next, REFUSALS_PER_SECOND))
		return drop(reason);
	arguments_set(n, reason, REASON_sent_icmp_unreachable, ICMP_DEST_UNREACH, settings.quota_icmp_code, 0);
	return tail_call(ctx, PROG_icmp_error);
}

#endif
