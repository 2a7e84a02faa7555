/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peer_receiver.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "peers/frame.h"
#include "peers/peer_clock.h"
#include "peers/peer_queue.h"

/* A peer that is silent for three of its intervals is not vouched for; after this time, its connection is closed. */
#define LEAST_SILENCE_MS 2000U
#define CLOSED_AFTER_MS	 30000U
#define WHY_TEXT	 192U

struct receiver {
	struct copying *copying;
	unsigned number;
	receiver_wants_copy wants_copy;
	void *arg;
	struct connection *connection; /* NULL: the peer has none to us */
	uint32_t interval_ms;
	uint64_t heard_ms; /* CLOCK_MONOTONIC; 0: never */
	uint64_t began_ms; /* since when it is connected, or was, CLOCK_MONOTONIC; 0: never was */
	bool complete;	   /* the whole copy has come, and no silence since */
	bool ask_again;
	struct wire_alive alive; /* of the peer's clock */
	struct peer_clock clock; /* since the connection began */
	uint64_t received;
	uint64_t refused_before; /* when the connection began */
	struct copying_counts counts;
	struct copying_table_report report;
	char why[WHY_TEXT];
};

static uint64_t now_ms(void)
{
	return monotonic_us() / 1000;
}

int receiver_new(struct copying *copying, unsigned number, receiver_wants_copy wants_copy, void *arg,
		 struct receiver **ret)
{
	struct receiver *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->copying = copying;
	r->number = number;
	r->wants_copy = wants_copy;
	r->arg = arg;
	*ret = r;
	return 0;
}

void receiver_free(struct receiver *r)
{
	if (!r)
		return;
	connection_free(r->connection);
	free(r);
}

void receiver_note(struct receiver *r, const char *why)
{
	snprintf(r->why, sizeof(r->why), "%s", why);
}

static void on_ended(void *arg, const char *why)
{
	struct receiver *r = arg;

	receiver_note(r, why);
	connection_free(take_pointer(r->connection));
}

static bool is_silent(const struct receiver *r)
{
	uint64_t patience_ms = 3ULL * r->interval_ms;

	return !r->heard_ms ||
	       now_ms() - r->heard_ms > (patience_ms > LEAST_SILENCE_MS ? patience_ms : LEAST_SILENCE_MS);
}

static int acknowledge(struct receiver *r, const struct frame *f)
{
	const struct wire_ack ack = {
		.sequence = f->sequence,
		.alive_ms = r->alive.sent_ms,
		.pass_ms = r->alive.pass_ms,
		.sessions = copying_held(r->copying, r->number),
		.refused = r->counts.refused - r->refused_before,
	};
	const struct copying_lacks lacks = copying_lacks(r->copying, r->number);
	uint8_t payload[sizeof(ack)], flags = 0;
	int ret;

	if (r->ask_again)
		flags |= ACK_COPY_AGAIN;
	if (copying_lacks_any(&lacks))
		flags |= ACK_LACKS;
	ack_write(&ack, payload);
	ret = connection_send(r->connection, WIRE_ACK, flags, payload, sizeof(payload));
	if (!ret)
		r->ask_again = false;
	return ret;
}

static int take_alive(struct receiver *r, const struct frame *f, struct error *why)
{
	int ret = alive_read(f->payload, f->length, &r->alive);

	if (!ret) {
		peer_clock_note(&r->clock, r->alive.wall_ms, wall_clock_ms());
		ret = acknowledge(r, f);
	}
	return ret ? error_set(why, ret, ret == -EPROTO ? "a malformed sign of life" : "out of memory") : 0;
}

static int take_mappings(struct receiver *r, const struct frame *f, struct error *why)
{
	int ret = f->type == WIRE_MAPPINGS
			  ? copying_mappings(r->copying, r->number, f->payload, f->length, &r->report)
			  : copying_mappings_part(r->copying, r->number, f->payload, f->length, &r->report);

	if (ret > 0)
		return 0;
	if (ret)
		return error_set(why, ret, "a malformed table of mappings");
	if (r->report.whole)
		r->wants_copy(r->arg);
	return 0;
}

static int take_sessions(struct receiver *r, const struct frame *f, struct error *why)
{
	int ret = copying_apply(r->copying, r->number, f->type, f->payload, f->length, &r->counts);

	if (ret > 0)
		return ret;
	if (ret)
		return ret == -EPROTO ? error_set(why, ret, "malformed records of sessions")
				      : error_set(why, ret, "its sessions cannot be stored: %s", strerror(-ret));
	r->received += payload_sessions(f->type, f->payload, f->length);
	if (f->type == WIRE_WHOLE_END)
		r->complete = true;
	return 0;
}

static int on_frame(void *arg, const struct frame *f, struct error *why)
{
	struct receiver *r = arg;

	/* Announcements may have been missed meanwhile. */
	r->ask_again |= is_silent(r);
	r->heard_ms = now_ms();
	if (f->type == WIRE_ALIVE)
		return take_alive(r, f, why);
	if (f->type == WIRE_MAPPINGS || f->type == WIRE_MAPPINGS_PART)
		return take_mappings(r, f, why);
	if (wire_is_of_sessions(f->type))
		return take_sessions(r, f, why);
	return error_set(why, -EPROTO, "a frame of type %u, which is unknown", f->type);
}

static void on_ready(void *arg, const struct hello *h)
{
}

static void on_room(void *arg)
{
}

static const struct connection_ops ops = {
	.ready = on_ready,
	.frame = on_frame,
	.room = on_room,
	.ended = on_ended,
};

void receiver_take(struct receiver *r, struct connection *c, uint32_t interval_ms)
{
	connection_free(r->connection);
	r->connection = c;
	connection_hand_over(c, &ops, r);
	/* A long silence between two connections ends the vouching; a short one does not. */
	r->complete &= !is_silent(r);
	r->interval_ms = interval_ms;
	r->began_ms = r->heard_ms = now_ms();
	r->refused_before = r->counts.refused;
	r->clock = (struct peer_clock){ 0 };
	r->why[0] = '\0';
}

void receiver_tick(struct receiver *r)
{
	if (!is_silent(r)) {
		/* The next payload reports the error, too. */
		copying_retry(r->copying, r->number, &r->counts);
		r->ask_again |= copying_asks_again(r->copying, r->number);
		return;
	}
	r->complete = false;
	if (r->connection && now_ms() - r->heard_ms > CLOSED_AFTER_MS)
		on_ended(r, "it has gone silent");
}

bool receiver_vouches(const struct receiver *r)
{
	return r->complete && !is_silent(r);
}

bool receiver_knew(const struct receiver *r, const struct receiver *silent)
{
	return r->began_ms <= silent->heard_ms;
}

void receiver_ask_again(struct receiver *r)
{
	r->ask_again = true;
	r->complete = false;
}

void receiver_mappings_changed(struct receiver *r)
{
	if (!r->connection)
		return;
	copying_report(r->copying, r->number, &r->report);
	if (r->report.whole)
		r->wants_copy(r->arg);
}

void receiver_figures(const struct receiver *r, struct receiver_figures *ret)
{
	*ret = (struct receiver_figures){
		.connected = r->connection && !is_silent(r),
		.complete = receiver_vouches(r),
		.mismatch = !r->report.common && (r->report.differs || r->report.lacking),
		.why = r->connection && is_silent(r) ? "it has gone silent" : r->why,
		.received = r->received,
		.refused = r->counts.refused,
		.existing = r->counts.existing,
		.held = copying_held(r->copying, r->number),
		.memory = r->connection ? connection_memory(r->connection) : 0,
		.lacks = copying_lacks(r->copying, r->number),
		.report = r->report,
	};
	ret->has_clock = ret->connected && peer_clock_ahead(&r->clock, &ret->clock_ahead_ms);
}
