/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/event_notices.h"

#include <netinet/in.h>

#include "base/notice.h"
#include "proto/words.h"

/* The addresses of an event as text, which a notice refers to. */
struct event_text {
	char in[ADDR_TEXT], out[ADDR_TEXT], ext[ADDR_TEXT];
	char proto[8];
	char text[NOTICE_TEXT];
};

static struct event_text text_of(const struct nat_event *e)
{
	const char *proto = word_text(proto_words, e->proto);
	struct event_text t = { .text = "" };

	addr_format(e->in_addr, t.in);
	addr_format(e->out_addr, t.out);
	addr_format(e->ext_addr, t.ext);
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

static void tell_session(const struct nat_event *e, uint64_t wall_ns)
{
	bool opened = e->type == EVENT_SESSION_OPENED;
	struct event_text t = text_of(e);
	struct notice n =
		begin(e, wall_ns, NOTICE_SESSIONS, LOG_LEVEL_INFO, opened ? "session-opened" : "session-closed", &t);

	snprintf(t.text, sizeof(t.text), "%s %s:%u as %s:%u to %s:%u %s", t.proto, t.in, e->in_port, t.out, e->out_port,
		 t.ext, e->ext_port, opened ? "opened" : "closed");
	notice_add_text(&n, "proto", t.proto);
	notice_add_text(&n, "in_addr", t.in);
	notice_add_number(&n, "in_port", e->in_port);
	notice_add_text(&n, "out_addr", t.out);
	notice_add_number(&n, "out_port", e->out_port);
	notice_add_text(&n, "ext_addr", t.ext);
	notice_add_number(&n, "ext_port", e->ext_port);
	notice_tell(&n);
}

/* The word for a refusal, with its text; NULL: the event is none. */
static const char *refusal(const struct nat_event *e, struct event_text *t)
{
	switch (e->type) {
	case EVENT_QUOTA:
		snprintf(t->text, sizeof(t->text), "subscriber %s is at its quota of %u sessions", t->in, e->limit);
		return "quota";
	case EVENT_PORTS_EXHAUSTED:
		snprintf(t->text, sizeof(t->text), "subscriber %s has no free port left for %s towards %s:%u", t->in,
			 t->proto, t->ext, e->ext_port);
		return "ports";
	case EVENT_OVERFLOW_FULL:
		snprintf(t->text, sizeof(t->text), "subscriber %s: its slots and the overflow are full", t->in);
		return "overflow";
	case EVENT_FRAGMENTS:
		snprintf(t->text, sizeof(t->text), "subscriber %s has %u fragments waiting, which is the limit", t->in,
			 e->limit);
		return "fragments";
	default:
		return NULL;
	}
}

static const char *mapping_of(const struct config *c, uint32_t addr)
{
	for (size_t i = 0; c && i < c->n_mappings; i++)
		if (prefix_contains(c->mappings[i].in.base, c->mappings[i].in.plen, addr))
			return c->mappings[i].name;
	return "";
}

static void tell_refusal(const struct nat_event *e, uint64_t wall_ns, const struct config *c)
{
	struct event_text t = text_of(e);
	const char *event = refusal(e, &t), *mapping = mapping_of(c, e->in_addr);
	struct notice n;

	if (!event)
		return;
	n = begin(e, wall_ns, NOTICE_REFUSALS, LOG_LEVEL_WARNING, event, &t);
	notice_add_text(&n, "in_addr", t.in);
	if (*mapping)
		notice_add_text(&n, "mapping", mapping);
	if (e->limit)
		notice_add_number(&n, "limit", e->limit);
	if (e->type == EVENT_PORTS_EXHAUSTED) {
		notice_add_text(&n, "proto", t.proto);
		notice_add_text(&n, "ext_addr", t.ext);
		notice_add_number(&n, "ext_port", e->ext_port);
	}
	notice_tell(&n);
}

void event_notice(const struct nat_event *e, uint64_t wall_ns, const struct config *c)
{
	if (e->type == EVENT_SESSION_OPENED || e->type == EVENT_SESSION_CLOSED) {
		if (notice_wanted(NOTICE_SESSIONS))
			tell_session(e, wall_ns);
	} else if (notice_wanted(NOTICE_REFUSALS)) {
		tell_refusal(e, wall_ns, c);
	}
}
