/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peer_sender.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/log.h"
#include "peers/frame.h"
#include "peers/peer_queue.h"

/* A whole copy waits while more than this does; changes may use the rest of the queue. */
#define WHOLE_WAITS   (1U << 20)
#define FIRST_WAIT_MS 250U
/* A connection that has lasted this long was a good one: the next is dialled at once. */
#define GOOD_MS		10000U
#define LONGEST_WAIT_MS 8000U
/*
 * A peer acknowledges each sign of life; without acknowledgements it is given up after this time, or three of its
 * intervals.
 */
#define ACK_PATIENCE_MS 5000U
#define ALIVE_MS	500U
#define WHY_TEXT	192U
/* Signs of life under way that are remembered. */
#define TOLD_TIMES 16U

struct sender {
	const struct sending *shared;
	struct endpoint peer;
	unsigned number;
	struct connection *connection; /* NULL: none is dialled */
	bool ready;
	struct peer_queue *queue;
	struct copying_whole *whole;
	bool telling;			/* a whole copy has begun: changes follow */
	bool complete;			/* the peer has acknowledged a whole copy on this connection */
	bool asked;			/* the peer wants another one */
	uint64_t whole_end_ms;		/* when its end was put into the queue; 0: it was not */
	uint64_t ack_ms;		/* when the last acknowledgement came, or the connection was made */
	uint64_t alive_ms;		/* when the last sign of life was put into the queue */
	struct wire_alive acknowledged; /* the newest, in host order; sent_ms 0: none */
	uint64_t ready_ms;		/* when the connection was ready */
	uint64_t dial_ms;		/* when to dial next */
	unsigned wait_ms;
	uint64_t pass_ms;
	char why[WHY_TEXT];
	uint64_t sent, copies, overruns;
	/* Sessions announced by the time a sign of life was queued, in a ring. */
	struct {
		uint64_t alive_ms;
		uint64_t told;
	} told[TOLD_TIMES];
	unsigned next_told;
	bool has_copies, lacks;
	uint64_t copies_there, told_then;
};

static uint64_t now_ms(void)
{
	return monotonic_us() / 1000;
}

int sender_new(const struct sending *shared, struct endpoint peer, unsigned number, struct sender **ret)
{
	struct sender *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->shared = shared;
	s->peer = peer;
	s->number = number;
	s->wait_ms = FIRST_WAIT_MS;
	r = peer_queue_new(&s->queue);
	if (r) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void forget_connection(struct sender *s)
{
	connection_free(take_pointer(s->connection));
	copying_whole_free(take_pointer(s->whole));
	peer_queue_clear(s->queue);
	s->ready = s->telling = s->complete = false;
	s->whole_end_ms = 0;
	s->acknowledged = (struct wire_alive){ 0 };
}

void sender_free(struct sender *s)
{
	if (!s)
		return;
	forget_connection(s);
	peer_queue_free(s->queue);
	free(s);
}

/* Waiting payloads become frames as the connection has room. */
static void pump(struct sender *s)
{
	const void *payload;
	uint8_t type;
	size_t length;

	while (s->ready && connection_room(s->connection) && (payload = peer_queue_first(s->queue, &type, &length))) {
		if (connection_send(s->connection, type, 0, payload, length))
			return;
		s->sent += payload_sessions(type, payload, length);
		peer_queue_pop(s->queue);
	}
}

static void on_room(void *arg)
{
	pump(arg);
}

static void wait_before_dialling(struct sender *s)
{
	s->dial_ms = now_ms() + s->wait_ms;
	s->wait_ms = s->wait_ms * 2 < LONGEST_WAIT_MS ? s->wait_ms * 2 : LONGEST_WAIT_MS;
}

static void fail(struct sender *s, const char *why)
{
	snprintf(s->why, sizeof(s->why), "%s", why);
	if (s->ready && now_ms() - s->ready_ms >= GOOD_MS)
		s->wait_ms = FIRST_WAIT_MS;
	forget_connection(s);
	wait_before_dialling(s);
}

static void on_ended(void *arg, const char *why)
{
	fail(arg, why);
}

/* Goes into the queue, so that its acknowledgement covers everything before it. */
static void put_alive(struct sender *s)
{
	uint8_t payload[sizeof(struct wire_alive)];

	s->alive_ms = now_ms();
	alive_write(&(struct wire_alive){ s->alive_ms, s->pass_ms, wall_clock_ms() }, payload);
	s->told[s->next_told % TOLD_TIMES].alive_ms = s->alive_ms;
	s->told[s->next_told++ % TOLD_TIMES].told = copying_told(s->shared->copying);
	/* If the queue is full, a whole copy is due, and another sign of life. */
	peer_queue_put(s->queue, WIRE_ALIVE, payload, sizeof(payload));
}

static int on_whole(unsigned type, const void *payload, size_t length, void *arg)
{
	struct sender *s = arg;
	int r;

	if (peer_queue_octets(s->queue) > WHOLE_WAITS)
		return -ENOBUFS;
	r = peer_queue_put(s->queue, (uint8_t)type, payload, length);
	if (!r && type == WIRE_WHOLE_END)
		s->whole_end_ms = now_ms();
	return r;
}

bool sender_step(struct sender *s, unsigned budget_us)
{
	int r;

	if (!s->whole || peer_queue_octets(s->queue) > WHOLE_WAITS)
		return false;
	r = copying_whole_step(s->whole, budget_us, on_whole, s);
	if (r == 0) {
		copying_whole_free(take_pointer(s->whole));
		/* The acknowledgement of this one is that of the whole copy. */
		put_alive(s);
	} else if (r < 0 && r != -ENOBUFS) {
		log_warning("replication: a whole copy failed, and begins again: %s", strerror(-r));
		copying_whole_free(take_pointer(s->whole));
		s->telling = false;
	}
	pump(s);
	return r > 0;
}

static void begin_copy(struct sender *s)
{
	if (!s->ready)
		return;
	copying_whole_free(take_pointer(s->whole));
	s->whole_end_ms = 0;
	s->telling = false;
	if (copying_whole_new(s->shared->copying, s->number, &s->whole)) {
		log_error("replication: no memory for a whole copy; it is tried again");
		return;
	}
	s->telling = true;
	s->copies++;
	/* The table of mappings comes before changes that use its numbers. */
	sender_step(s, 1);
}

void sender_copy_again(struct sender *s)
{
	s->complete = s->asked = s->has_copies = false;
	begin_copy(s);
}

static void on_ready(void *arg, const struct hello *h)
{
	struct sender *s = arg;

	s->ready = true;
	s->ready_ms = now_ms();
	s->why[0] = '\0';
	s->ack_ms = now_ms();
	put_alive(s);
	sender_copy_again(s);
}

/* Notes the copies that the peer had, and the sessions announced by then. */
static void note_copies(struct sender *s, const struct wire_ack *ack)
{
	for (unsigned i = 0; s->complete && i < TOLD_TIMES; i++) {
		if (s->told[i].alive_ms != ack->alive_ms)
			continue;
		s->has_copies = true;
		s->copies_there = ack->sessions;
		s->told_then = s->told[i].told;
	}
}

static int on_frame(void *arg, const struct frame *f, struct error *why)
{
	struct sender *s = arg;
	struct wire_ack ack;

	if (f->type != WIRE_ACK || ack_read(f->payload, f->length, &ack))
		return error_set(why, -EPROTO, "it does not speak this protocol");
	s->ack_ms = now_ms();
	/* Ignores an acknowledgement of something never sent. */
	if (ack.alive_ms <= s->alive_ms && ack.alive_ms >= s->acknowledged.sent_ms && ack.pass_ms <= s->pass_ms)
		s->acknowledged = (struct wire_alive){ .sent_ms = ack.alive_ms, .pass_ms = ack.pass_ms };
	note_copies(s, &ack);
	if (s->whole_end_ms && ack.alive_ms >= s->whole_end_ms)
		s->complete = true;
	if (s->complete)
		copying_known(s->shared->copying, s->number, s->acknowledged.pass_ms);
	/* Comes a few times a second at most: acknowledgements are small, whole copies are not. */
	s->asked |= f->flags & ACK_COPY_AGAIN;
	s->lacks = f->flags & ACK_LACKS;
	return 0;
}

static const struct connection_ops ops = {
	.ready = on_ready,
	.frame = on_frame,
	.room = on_room,
	.ended = on_ended,
};

static void dial(struct sender *s)
{
	int r = connection_dial(&s->shared->connection, s->peer, &ops, s, &s->connection);

	if (r)
		fail(s, strerror(-r));
}

void sender_tell(struct sender *s, unsigned type, const void *payload, size_t length)
{
	if (!s->telling || !peer_queue_put(s->queue, (uint8_t)type, payload, length))
		return;
	s->overruns++;
	peer_queue_clear(s->queue);
	sender_copy_again(s);
}

void sender_hurry(struct sender *s)
{
	s->dial_ms = 0;
}

static uint64_t ack_patience_ms(const struct sender *s)
{
	uint64_t intervals = 3ULL * s->shared->connection.interval_ms;

	return intervals > ACK_PATIENCE_MS ? intervals : ACK_PATIENCE_MS;
}

static void tick_ready(struct sender *s, uint64_t now)
{
	if (now - s->ack_ms > ack_patience_ms(s)) {
		fail(s, "it acknowledges nothing");
		return;
	}
	if (now - s->alive_ms >= ALIVE_MS / 2)
		put_alive(s);
	if (copying_tells_again(s->shared->copying, s->number) || s->asked)
		sender_copy_again(s);
	if (!s->telling || (!s->whole && now - s->whole_end_ms > SENDER_WHOLE_AGAIN_S * 1000ULL))
		begin_copy(s);
	pump(s);
}

void sender_tick(struct sender *s, uint64_t pass_ms, const char *refused)
{
	uint64_t now = now_ms();

	s->pass_ms = pass_ms;
	if (refused && s->connection)
		fail(s, refused);
	if (s->ready) {
		tick_ready(s, now);
	} else if (!s->connection && now >= s->dial_ms) {
		if (refused)
			fail(s, refused);
		else
			dial(s);
	}
}

void sender_figures(const struct sender *s, struct sender_figures *ret)
{
	*ret = (struct sender_figures){
		.connected = s->ready,
		.complete = s->ready && s->complete,
		.why = s->why,
		.has_lag = s->ready && s->acknowledged.pass_ms,
		.sent = s->sent,
		.unsent = peer_queue_sessions(s->queue),
		.copies = s->copies,
		.overruns = s->overruns,
		.memory = peer_queue_octets(s->queue) + (s->connection ? connection_memory(s->connection) : 0),
	};
	ret->lacks = s->ready && s->lacks;
	ret->has_copies = ret->complete && s->has_copies;
	ret->copies_there = s->copies_there;
	ret->told_then = s->told_then;
	if (ret->has_lag)
		ret->lag_ms = now_ms() - s->acknowledged.pass_ms;
}
