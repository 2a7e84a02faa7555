/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/event_notices_private.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include "base/timestamp.h"
#include "base/virtual6.h"
#include "proto/words.h"

static void put_ext6(const struct nat_event *e, const struct mappings *m, char text[static INSIDE_TEXT])
{
	int number = mappings_find_any(m, e->in_addr);
	struct address6 ext;

	*text = '\0';
	if (number < 0 || !mapping_is_ipv6(mappings_get(m, number)))
		return;
	ext = mappings_ext6(m, mappings_get(m, number), e->ext_addr);
	address6_text(&ext, text);
}

/* The host of a session, whose number the event has; of an IPv4 subscriber, or where that is not known, "". */
static void put_host(const struct nat_event *e, const struct mappings *m, char text[static INSIDE_TEXT])
{
	int number = m && virtual6_is(e->in_addr) ? mappings_find_any(m, e->in_addr) : -1;
	struct address6 host;

	*text = '\0';
	if (number < 0 || !mapping_is_ipv6(mappings_get(m, number)))
		return;
	host = mappings_host(m, mappings_get(m, number), e->in_addr, e->limit);
	if (host.lo)
		address6_text(&host, text);
}

struct event_text event_text_of(const struct nat_event *e, const struct mappings *m)
{
	const char *proto = word_text(proto_words, e->proto);
	struct event_text t = { .tenant = m ? mappings_tenant_name(m, (uint8_t)e->tenant) : "" };

	inside_text(e->in_addr, t.in);
	snprintf(t.who, sizeof(t.who), "%s%s%s", t.in, *t.tenant ? " of " : "", t.tenant);
	addr_format(e->out_addr, t.out);
	addr_format(e->ext_addr, t.ext);
	if (m && virtual6_is(e->in_addr) && e->ext_addr)
		put_ext6(e, m, t.ext6);
	if (proto)
		snprintf(t.proto, sizeof(t.proto), "%s", proto);
	else
		snprintf(t.proto, sizeof(t.proto), "%u", e->proto);
	return t;
}

static struct notice begin(const struct nat_event *e, uint64_t wall_ns, enum notice_kind kind, enum log_level level,
			   const char *event, const struct event_text *t)
{
	struct notice n = notice_now(kind, level, event, t->text);

	n.wall_ns = wall_ns;
	n.in = (struct prefix){ e->in_addr, 32 };
	return n;
}

/* Adds the subscriber's address and, if it has one, its tenant. */
static void add_subscriber(struct notice *n, const struct event_text *t)
{
	notice_add_text(n, strchr(t->in, ':') ? "in_prefix" : "in_addr", t->in);
	if (*t->tenant)
		notice_add_text(n, "tenant", t->tenant);
}

static void add_ext(struct notice *n, const struct nat_event *e, const struct event_text *t)
{
	notice_add_text(n, "ext_addr", t->ext);
	if (*t->ext6)
		notice_add_text(n, "ext_addr6", t->ext6);
	notice_add_number(n, "ext_port", e->ext_port);
}

static void tell_session(const struct nat_event *e, uint64_t wall_ns, const struct mappings *m)
{
	bool opened = e->type == EVENT_SESSION_OPENED;
	struct event_text t = event_text_of(e, m);
	struct notice n =
		begin(e, wall_ns, NOTICE_SESSIONS, LOG_LEVEL_INFO, opened ? "session-opened" : "session-closed", &t);
	char host[INSIDE_TEXT];

	put_host(e, m, host);
	snprintf(t.text, sizeof(t.text),
		 virtual6_is(e->in_addr) ? "%s [%s]:%u as %s:%u to %s:%u %s" : "%s %s:%u as %s:%u to %s:%u %s", t.proto,
		 *host ? host : t.in, e->in_port, t.out, e->out_port, t.ext, e->ext_port, opened ? "opened" : "closed");
	notice_add_text(&n, "proto", t.proto);
	if (*host)
		notice_add_text(&n, "in_addr", host);
	add_subscriber(&n, &t);
	notice_add_number(&n, "in_port", e->in_port);
	notice_add_text(&n, "out_addr", t.out);
	notice_add_number(&n, "out_port", e->out_port);
	add_ext(&n, e, &t);
	notice_tell(&n);
}

/* The word for a refusal, with its text; NULL: the event is not one. */
static const char *refusal(const struct nat_event *e, struct event_text *t)
{
	switch (e->type) {
	case EVENT_QUOTA:
		snprintf(t->text, sizeof(t->text), "subscriber %s is at its quota of %u sessions", t->who, e->limit);
		return "quota";
	case EVENT_QUOTA_PROTOCOL:
		snprintf(t->text, sizeof(t->text), "subscriber %s is at its limit of %u sessions of %s", t->who,
			 e->limit, t->proto);
		return "quota-protocol";
	case EVENT_RATE:
		snprintf(t->text, sizeof(t->text), "subscriber %s opens more than %u sessions a second", t->who,
			 e->limit);
		return "rate";
	case EVENT_PORTS_EXHAUSTED:
		snprintf(t->text, sizeof(t->text), "subscriber %s has no free port left for %s towards %s:%u", t->who,
			 t->proto, t->ext, e->ext_port);
		return "ports";
	case EVENT_EXTENTS_FULL:
		snprintf(t->text, sizeof(t->text), "subscriber %s: its slots and the room beyond them are full",
			 t->who);
		return "overflow";
	case EVENT_FRAGMENTS:
		snprintf(t->text, sizeof(t->text), "subscriber %s has %u fragments waiting, which is the limit", t->who,
			 e->limit);
		return "fragments";
	default:
		return NULL;
	}
}

static const struct config_mapping *mapping_of(const struct config *c, const struct nat_event *e)
{
	return c ? config_mapping_of_pair(c, e->in_addr, e->out_addr, NULL) : NULL;
}

static void tell_refusal(const struct nat_event *e, uint64_t wall_ns, const struct config *c, const struct mappings *m)
{
	struct event_text t = event_text_of(e, m);
	const struct config_mapping *mapping = mapping_of(c, e);
	const char *event = refusal(e, &t);
	struct notice n;

	if (!event)
		return;
	n = begin(e, wall_ns, NOTICE_REFUSALS, LOG_LEVEL_WARNING, event, &t);
	add_subscriber(&n, &t);
	if (mapping && *mapping->name)
		notice_add_text(&n, "mapping", mapping->name);
	if (e->limit)
		notice_add_number(&n, "limit", e->limit);
	if (e->type == EVENT_QUOTA_PROTOCOL)
		notice_add_text(&n, "proto", t.proto);
	if (e->type == EVENT_PORTS_EXHAUSTED) {
		notice_add_text(&n, "proto", t.proto);
		add_ext(&n, e, &t);
	}
	notice_tell(&n);
}

void event_notice(const struct nat_event *e, uint64_t wall_ns, const struct config *c, const struct mappings *m)
{
	if (e->type == EVENT_SESSION_OPENED || e->type == EVENT_SESSION_CLOSED) {
		if (notice_wanted(NOTICE_SESSIONS))
			tell_session(e, wall_ns, m);
	} else if (notice_wanted(NOTICE_REFUSALS)) {
		tell_refusal(e, wall_ns, c, m);
	}
}

void event_grant_notice(const struct nat_event *e, bool made, const struct mappings *m)
{
	struct event_text t = event_text_of(e, m);
	struct notice n =
		begin(e, clock_ns(CLOCK_REALTIME), NOTICE_GRANTS, LOG_LEVEL_INFO, made ? "granted" : "grant-ended", &t);

	snprintf(t.text, sizeof(t.text), "ports %u-%u of %s %s %s", e->out_port, e->ext_port, t.out,
		 made ? "are granted to" : "are taken back from", t.who);
	add_subscriber(&n, &t);
	notice_add_text(&n, "out_addr", t.out);
	notice_add_number(&n, "port_lo", e->out_port);
	notice_add_number(&n, "port_hi", e->ext_port);
	notice_tell(&n);
}
