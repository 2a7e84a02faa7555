/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/notice.h"
#include "base/trouble.h"
#include "peers/peer_clock.h"
#include "peers/replication_private.h"

/* A peer that has not come up after a start, or has gone, is trouble after this time. */
#define PATIENCE_MS 5000U

static const char *const names[] = {
#define X(constant, name) [constant] = name,
	PEER_STATES(X)
#undef X
};

const char *peer_state_name(enum peer_state state)
{
	return names[state];
}

static const char *endpoint_text(struct endpoint e, char text[static SPAN_TEXT])
{
	return span_format((struct port_span){ e.addr, e.port, e.port }, text);
}

static enum peer_state state_of(const struct sender_figures *s, const struct receiver_figures *r, uint32_t differ)
{
	if (!s->connected || !r->connected)
		return PEER_DOWN;
	if (r->mismatch)
		return PEER_MISMATCH;
	if (!s->complete || !r->complete)
		return PEER_COPYING;
	return differ || s->lacks || copying_lacks_any(&r->lacks) ? PEER_DIFFERS : PEER_SYNCHRONISED;
}

/* The reason why a peer is down, as far as the two directions know it. */
static void write_reason(const struct sender_figures *s, const struct receiver_figures *r, char *text, size_t size)
{
	const char *to = s->connected ? "" : s->why, *from = r->connected ? "" : r->why;

	if (!s->connected && !*to)
		to = "not connected yet";
	if (!r->connected && !*from)
		from = "it has not connected to this gateway";
	if (*to && *from && strcmp(to, from) != 0)
		snprintf(text, size, "%s; %s", to, from);
	else
		snprintf(text, size, "%s", *to ? to : from);
}

const char *replication_difference_text(const struct copying_rule_difference *d,
					char text[static COPYING_DIFFERENCE_LINE])
{
	static const char *const why[] = { [COPYING_DIFFERS] = "differs: ",
					   [COPYING_LACKING_HERE] = "is missing here",
					   [COPYING_LACKING_THERE] = "is missing there" };
	char in[ADDR_TEXT], out[ADDR_TEXT], span[SPAN_TEXT];
	const char *of = *d->tenant ? " of " : "";

	if (d->portmap)
		snprintf(text, COPYING_DIFFERENCE_LINE, "portmap %s %s%s%s %s%s",
			 d->proto == IPPROTO_TCP ? "tcp" : "udp", endpoint_text(d->out_at, span), of, d->tenant,
			 why[d->why], d->text);
	else
		snprintf(text, COPYING_DIFFERENCE_LINE, "mapping %s%s%s to %s %s%s", prefix_text(d->in, in), of,
			 d->tenant, prefix_text(d->out, out), why[d->why], d->text);
	return text;
}

/* What one of the two lacks of the other's. */
static void write_lacking(const struct peer_figures *f, char *text, size_t size)
{
	const struct copying_lacks *l = &f->lacks;

	if (l->grants || l->sessions)
		snprintf(
			text, size,
			"%u granted blocks and %u sessions that it has announced cannot be stored here; they are tried "
			"again",
			l->grants, l->sessions);
	else if (l->contested)
		snprintf(text, size,
			 "%u sessions that it has announced have the flow or the outside endpoint of one in use here, "
			 "until either ends; `detnatctl check` names them",
			 l->contested);
	else if (l->unknown)
		snprintf(text, size, "not all that it has announced could be stored here; it is asked for again");
	else
		snprintf(text, size,
			 "it cannot store all that was announced to it; `detnatctl peer list` there has more");
}

/* The first difference that matters. */
static void write_difference(const struct copying_differences *all, char *text, size_t size)
{
	const struct copying_rule_difference *d = all->item;
	char line[COPYING_DIFFERENCE_LINE], more[32] = "";

	while (d < all->item + all->n && !d->matters)
		d++;
	if (all->n_matter > 1)
		snprintf(more, sizeof(more), ", and %u more", all->n_matter - 1);
	if (d == all->item + all->n)
		snprintf(text, size, "%u mappings or portmaps differ", all->n_matter);
	else
		snprintf(text, size, "%.*s%s", (int)(size - sizeof(more)), replication_difference_text(d, line), more);
}

void replication_peer_figures(const struct replication_peer *p, struct peer_figures *ret)
{
	const struct copying_differences *differences = copying_differences(p->copying, p->number);
	struct sender_figures s;
	struct receiver_figures r;

	sender_figures(p->sender, &s);
	receiver_figures(p->receiver, &r);
	*ret = (struct peer_figures){
		.peer = p->at,
		.number = p->number,
		.state = state_of(&s, &r, differences->n_matter),
		.differ = differences->n_matter,
		.differs_long = p->differs_ms && replication_now_ms() - p->differs_ms >= PATIENCE_MS,
		/* It has none of mappings that it lacks. */
		.has_copies_there = s.has_copies && !differences->n_spread && !copying_speaks(p->copying),
		.lacks = r.lacks,
		.lacks_there = s.lacks,
		.copies_there = s.copies_there,
		.told_then = s.told_then,
		.has_lag = s.has_lag,
		.lag_ms = s.lag_ms,
		.sent = s.sent,
		.received = r.received,
		.refused = r.refused,
		.existing = r.existing,
		.held = r.held,
		.unsent = s.unsent,
		.copies = s.copies,
		.overruns = s.overruns,
		.memory = s.memory + r.memory,
		.spoken_for = p->spoken_for,
		.has_clock = r.has_clock,
		.clock_ahead_ms = r.clock_ahead_ms,
	};
	if (ret->state == PEER_DOWN)
		write_reason(&s, &r, ret->reason, sizeof(ret->reason));
	else if (ret->state == PEER_MISMATCH)
		snprintf(ret->reason, sizeof(ret->reason),
			 "no mapping is the same on both gateways: %u differ, %u are on one of them only",
			 r.report.differs, r.report.lacking);
	else if (ret->state == PEER_DIFFERS && ret->differ)
		write_difference(differences, ret->reason, sizeof(ret->reason));
	else if (ret->state == PEER_DIFFERS)
		write_lacking(ret, ret->reason, sizeof(ret->reason));
}

static void tell(const struct replication_peer *p, const struct peer_figures *f)
{
	bool up = f->state == PEER_SYNCHRONISED;
	const char *event = up				? "peer-up"
			    : f->state == PEER_MISMATCH ? "peer-mismatch"
			    : f->state == PEER_DIFFERS	? "peer-differs"
							: "peer-down";
	enum log_level level = up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
	char at[SPAN_TEXT], text[NOTICE_TEXT];
	struct notice n;

	endpoint_text(p->at, at);
	snprintf(text, sizeof(text), "peer %s is %s%s%s", at, peer_state_name(f->state), *f->reason ? ": " : "",
		 f->reason);
	n = notice_now(NOTICE_PEERS, level, event, text);
	notice_add_text(&n, "peer", at);
	notice_add_text(&n, "state", peer_state_name(f->state));
	if (*f->reason)
		notice_add_text(&n, "reason", f->reason);
	log_write(level, "%s", text);
	notice_tell(&n);
}

/* A peer that copies again has not gone; nor has one that was never up, which the trouble reports. */
static void follow(struct replication_peer *p, const struct peer_figures *f)
{
	enum peer_state before = p->state;

	if (f->state == before)
		return;
	p->state = f->state;
	p->since_ms = replication_now_ms();
	if (f->state == PEER_COPYING)
		return;
	if (f->state == p->told && p->was_up)
		return;
	if (f->state == PEER_DOWN && !p->was_up)
		return;
	p->was_up = f->state == PEER_SYNCHRONISED || f->state == PEER_DIFFERS;
	p->told = f->state;
	tell(p, f);
}

/* The faults, one after the other. */
struct wrongs {
	char text[TROUBLE_TEXT];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add_wrong(struct wrongs *w, const char *format, ...)
{
	va_list ap;

	if (w->length && w->length < sizeof(w->text))
		w->length += (size_t)snprintf(w->text + w->length, sizeof(w->text) - w->length, "; ");
	if (w->length >= sizeof(w->text))
		return;
	va_start(ap, format);
	w->length += (size_t)vsnprintf(w->text + w->length, sizeof(w->text) - w->length, format, ap);
	va_end(ap);
}

static void look_at_marks(const struct replication *r, struct wrongs *w)
{
	const char *path;
	int ret = copying_marks(r->copying, &path);

	if (ret)
		add_wrong(w,
			  "%s cannot be written: %s. The marks of copied sessions are lost when the agent ends; tried "
			  "again every second",
			  path, strerror(-ret));
}

/* The configurations of gateways change one after the other. */
static void look_at_differences(struct replication_peer *p, const struct peer_figures *f, struct wrongs *w)
{
	uint64_t now = replication_now_ms();
	char at[SPAN_TEXT];

	if (f->state != PEER_DIFFERS) {
		p->differs_ms = 0;
		return;
	}
	if (!p->differs_ms)
		p->differs_ms = now;
	if (now - p->differs_ms < PATIENCE_MS)
		return;
	add_wrong(w, "a takeover by or from %s would lose sessions: %s", endpoint_text(p->at, at), f->reason);
}

/* A clock that drifts is told of once, not each second with another figure. */
#define CLOCK_TOLD_S 3

static void look_at_clock(struct replication_peer *p, const struct peer_figures *f, struct wrongs *w)
{
	int64_t ahead_s = peer_clock_seconds(f->clock_ahead_ms), of_told = ahead_s - p->clock_told_s;
	char at[SPAN_TEXT];

	/* What was known of it last holds. */
	if (f->has_clock && !peer_clock_differs(f->clock_ahead_ms))
		p->clock_told_s = 0;
	else if (f->has_clock && (of_told >= CLOCK_TOLD_S || of_told <= -CLOCK_TOLD_S))
		p->clock_told_s = ahead_s;
	if (p->clock_told_s)
		add_wrong(w,
			  "the clock of %s is %lld s %s this one: `who` means another second there, and after a split "
			  "the clock that is ahead decides about leases and blocks; set the one that is wrong",
			  endpoint_text(p->at, at), llabs((long long)p->clock_told_s),
			  p->clock_told_s > 0 ? "ahead of" : "behind");
}

void replication_state_tick(struct replication *r)
{
	struct wrongs wrongs = { 0 };
	uint64_t now = replication_now_ms();
	char at[SPAN_TEXT];

	for (unsigned i = 0; i < r->n_peers; i++) {
		struct replication_peer *p = &r->peer[i];
		struct peer_figures f;

		replication_peer_figures(p, &f);
		follow(p, &f);
		if ((p->state == PEER_DOWN || p->state == PEER_MISMATCH) && now - p->since_ms >= PATIENCE_MS)
			add_wrong(&wrongs, "%s%s: %s", wrongs.length ? "" : "no sessions are exchanged with ",
				  endpoint_text(p->at, at), f.reason);
		look_at_differences(p, &f, &wrongs);
		look_at_clock(p, &f, &wrongs);
	}
	if (r->ticks % REPLICATION_TICKS_A_SECOND)
		return;
	look_at_marks(r, &wrongs);
	if (wrongs.length)
		trouble_set(TROUBLE_REPLICATION, "%s", wrongs.text);
	else
		trouble_clear(TROUBLE_REPLICATION);
}

void replication_state_end(void)
{
	trouble_clear(TROUBLE_REPLICATION);
}

/* Figures for verbs and metrics. */

bool replication_enabled(const struct replication *r)
{
	return r->now.rules.enabled;
}

unsigned replication_peers(const struct replication *r)
{
	return r->n_peers;
}

void replication_peer(const struct replication *r, unsigned n, struct peer_figures *ret)
{
	replication_peer_figures(&r->peer[n], ret);
}

bool replication_difference(const struct replication *r, unsigned n, unsigned k, struct prefix *ret_in,
			    struct prefix *ret_out, enum copying_difference *ret_why)
{
	return copying_difference(r->copying, r->peer[n].number, k, ret_in, ret_out, ret_why);
}

const struct copying_differences *replication_differences(const struct replication *r, unsigned n)
{
	return copying_differences(r->copying, r->peer[n].number);
}

uint64_t replication_digest(const struct replication *r)
{
	return r->copying ? copying_digest(r->copying) : 0;
}

int replication_resync(struct replication *r, struct endpoint peer)
{
	for (unsigned i = 0; i < r->n_peers; i++) {
		struct replication_peer *p = &r->peer[i];
		struct peer_figures f;

		if (p->at.addr != peer.addr || p->at.port != peer.port)
			continue;
		replication_peer_figures(p, &f);
		if (f.state == PEER_DOWN)
			return -ENOTCONN;
		sender_copy_again(p->sender);
		receiver_ask_again(p->receiver);
		return 0;
	}
	return -ENOENT;
}

int replication_subscriber(const struct replication *r, uint8_t tenant, uint32_t in_addr,
			   struct copying_subscriber *ret)
{
	return r->copying ? copying_subscriber(r->copying, tenant, in_addr, ret) : -ENOENT;
}

uint32_t replication_copies(const struct replication *r, int number, uint32_t subscriber, uint64_t *bits)
{
	return r->copying ? copying_copies(r->copying, number, subscriber, bits) : 0;
}

uint64_t replication_memory(const struct replication *r)
{
	uint64_t memory = r->copying ? copying_memory(r->copying) : 0;

	for (unsigned i = 0; i < r->n_peers; i++) {
		struct peer_figures f;

		replication_peer_figures(&r->peer[i], &f);
		memory += f.memory;
	}
	return memory;
}
