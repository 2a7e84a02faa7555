/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peer_queue.h"

#include <errno.h>
#include <event2/buffer.h>
#include <string.h>

#include "base/base.h"
#include "copies/wire.h"

/* Precedes each payload in the buffer. */
struct envelope {
	uint32_t length;
	uint8_t type;
};

struct peer_queue {
	struct evbuffer *buffer;
	uint64_t sessions;
};

int peer_queue_new(struct peer_queue **ret)
{
	struct peer_queue *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->buffer = evbuffer_new();
	if (!o->buffer) {
		free(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

void peer_queue_free(struct peer_queue *o)
{
	if (!o)
		return;
	evbuffer_free(o->buffer);
	free(o);
}

uint64_t payload_sessions(uint8_t type, const void *payload, size_t length)
{
	size_t at = type == WIRE_WHOLE ? sizeof(struct wire_range) : 0;
	uint64_t n = 0;

	if (type == WIRE_BEYOND)
		return length / sizeof(struct wire_beyond);
	if (type == WIRE_ENDED)
		return length / sizeof(struct wire_ended);
	if (type != WIRE_WHOLE && type != WIRE_CHANGES)
		return 0;
	while (at + sizeof(struct wire_sessions) <= length) {
		struct wire_sessions s;

		memcpy(&s, (const uint8_t *)payload + at, sizeof(s));
		n += be16toh(s.count);
		at += sizeof(s) + be16toh(s.count) * sizeof(struct wire_session);
	}
	return n;
}

int peer_queue_put(struct peer_queue *o, uint8_t type, const void *payload, size_t length)
{
	const struct envelope e = { .length = (uint32_t)length, .type = type };
	struct evbuffer_iovec at;

	if (peer_queue_octets(o) + sizeof(e) + length > PEER_QUEUE_LIMIT)
		return -ENOBUFS;
	if (evbuffer_reserve_space(o->buffer, (ev_ssize_t)(sizeof(e) + length), &at, 1) != 1)
		return -ENOMEM;
	memcpy(at.iov_base, &e, sizeof(e));
	if (length)
		memcpy((uint8_t *)at.iov_base + sizeof(e), payload, length);
	at.iov_len = sizeof(e) + length;
	if (evbuffer_commit_space(o->buffer, &at, 1))
		return -ENOMEM;
	o->sessions += payload_sessions(type, payload, length);
	return 0;
}

void peer_queue_clear(struct peer_queue *o)
{
	evbuffer_drain(o->buffer, SIZE_MAX);
	o->sessions = 0;
}

const void *peer_queue_first(struct peer_queue *o, uint8_t *ret_type, size_t *ret_length)
{
	const uint8_t *octets;
	struct envelope e;

	if (evbuffer_copyout(o->buffer, &e, sizeof(e)) != sizeof(e))
		return NULL;
	octets = evbuffer_pullup(o->buffer, (ev_ssize_t)(sizeof(e) + e.length));
	if (!octets)
		return NULL;
	*ret_type = e.type;
	*ret_length = e.length;
	return octets + sizeof(e);
}

void peer_queue_pop(struct peer_queue *o)
{
	uint8_t type;
	size_t length;
	const void *payload = peer_queue_first(o, &type, &length);

	if (!payload)
		return;
	o->sessions -= payload_sessions(type, payload, length);
	evbuffer_drain(o->buffer, sizeof(struct envelope) + length);
}

size_t peer_queue_octets(const struct peer_queue *o)
{
	return evbuffer_get_length(o->buffer);
}

uint64_t peer_queue_sessions(const struct peer_queue *o)
{
	return o->sessions;
}
