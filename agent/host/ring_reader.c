/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/ring_reader.h"

#include <bpf/libbpf.h>
#include <stdlib.h>

#include "base/base.h"

struct ring_reader {
	const struct ring_reader_ops *ops;
	void *arg;
	struct ring_buffer *ring;
	struct event *readable;
	struct event *due;
	unsigned taken; /* samples of this turn */
};

/* A negative value ends the turn; libbpf consumes this sample all the same. */
static int on_sample(void *arg, void *data, size_t size)
{
	struct ring_reader *r = arg;

	r->ops->sample(r->arg, data, size);
	return ++r->taken == r->ops->budget ? -ECANCELED : 0;
}

static void turn_in(struct ring_reader *r, uint64_t ms)
{
	const struct timeval in = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	evtimer_add(r->due, &in);
}

/* During a pause the ring buffer is not polled. */
static void schedule(struct ring_reader *r, uint64_t due_ms)
{
	unsigned pause_ms = r->ops->pause_ms;

	if (pause_ms && (r->taken || due_ms <= pause_ms)) {
		event_del(r->readable);
		turn_in(r, pause_ms);
		return;
	}
	event_add(r->readable, NULL);
	if (due_ms == RING_READER_IDLE)
		evtimer_del(r->due);
	else
		turn_in(r, due_ms);
}

void ring_reader_turn(struct ring_reader *r)
{
	uint64_t due_ms = RING_READER_IDLE;

	r->taken = 0;
	if (r->ops->turn_begins)
		r->ops->turn_begins(r->arg);
	ring_buffer__consume(r->ring);
	if (r->ops->turn_ended)
		due_ms = r->ops->turn_ended(r->arg, r->taken);
	schedule(r, due_ms);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	ring_reader_turn(arg);
}

int ring_reader_new(struct event_base *base, int map, const struct ring_reader_ops *ops, void *arg,
		    struct ring_reader **ret)
{
	struct ring_reader *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->ops = ops;
	r->arg = arg;
	errno = 0;
	r->ring = ring_buffer__new(map, on_sample, r, NULL);
	if (r->ring) {
		r->readable = event_new(base, ring_buffer__epoll_fd(r->ring), EV_READ, on_event, r);
		r->due = evtimer_new(base, on_event, r);
	}
	if (!r->readable || !r->due || event_add(r->readable, NULL)) {
		error = errno_or(ENOMEM);
		ring_reader_free(r);
		return error;
	}
	*ret = r;
	return 0;
}

void ring_reader_free(struct ring_reader *r)
{
	if (!r)
		return;
	if (r->readable)
		event_free(r->readable);
	if (r->due)
		event_free(r->due);
	ring_buffer__free(r->ring);
	free(r);
}
