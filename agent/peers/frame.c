/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/frame.h"

#include <endian.h>
#include <errno.h>
#include <nettle/memops.h>
#include <string.h>
#include <sys/random.h>

/* Names the protocol in the derivation of keys, so that no other protocol can use them. */
static const char label[] = "detnat replication";

struct frame_header {
	uint32_t length_be;
	uint8_t type;
	uint8_t flags;
	uint16_t zero;
	uint64_t sequence_be;
} __attribute__((packed));
_Static_assert(sizeof(struct frame_header) == FRAME_HEADER, "frame header");

static void set_key(struct frame_channel *c, const uint8_t *key)
{
	*c = (struct frame_channel){ .keyed = key };
	if (key)
		hmac_sha256_set_key(&c->mac, REPLICATION_KEY, key);
}

static void add(struct hmac_sha256_ctx *mac, const void *data, size_t length)
{
	const uint32_t length_be = htobe32((uint32_t)length);

	hmac_sha256_update(mac, sizeof(length_be), (const uint8_t *)&length_be);
	hmac_sha256_update(mac, length, data);
}

/* Derives the key of a direction from the group's key in c and two hellos. */
static void derive(struct frame_channel *c, uint8_t direction, const uint8_t *first, size_t n_first,
		   const uint8_t *second, size_t n_second)
{
	uint8_t derived[REPLICATION_KEY];

	add(&c->mac, label, sizeof(label));
	add(&c->mac, &direction, 1);
	add(&c->mac, first, n_first);
	add(&c->mac, second, n_second);
	hmac_sha256_digest(&c->mac, sizeof(derived), derived);
	hmac_sha256_set_key(&c->mac, sizeof(derived), derived);
	key_forget(derived, sizeof(derived));
}

void frame_channel_hello(struct frame_channel *c, const uint8_t *key)
{
	set_key(c, key);
	if (key)
		derive(c, 0, NULL, 0, NULL, 0);
}

void frame_channel_derive(struct frame_channel *c, const uint8_t *key, enum frame_direction direction,
			  const uint8_t *hello_dialler, size_t length_dialler, const uint8_t *hello_acceptor,
			  size_t length_acceptor)
{
	set_key(c, key);
	if (key)
		derive(c, (uint8_t)direction, hello_dialler, length_dialler, hello_acceptor, length_acceptor);
}

void frame_channel_forget(struct frame_channel *c)
{
	key_forget(c, sizeof(*c));
}

size_t frame_size(const struct frame_channel *c, size_t length)
{
	return FRAME_HEADER + length + (c->keyed ? FRAME_MAC : 0);
}

void frame_write(struct frame_channel *c, uint8_t type, uint8_t flags, const void *payload, size_t length, uint8_t *out)
{
	const struct frame_header h = {
		.length_be = htobe32((uint32_t)length),
		.type = type,
		.flags = (flags & ~FRAME_HAS_MAC) | (c->keyed ? FRAME_HAS_MAC : 0),
		.sequence_be = htobe64(c->sequence++),
	};

	memcpy(out, &h, sizeof(h));
	if (length)
		memcpy(out + sizeof(h), payload, length);
	if (!c->keyed)
		return;
	hmac_sha256_update(&c->mac, sizeof(h) + length, out);
	hmac_sha256_digest(&c->mac, FRAME_MAC, out + sizeof(h) + length);
}

ssize_t frame_peek(const struct frame_channel *c, const uint8_t *data, size_t size)
{
	struct frame_header h;

	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	if (be32toh(h.length_be) > FRAME_MAX_PAYLOAD || h.zero)
		return -EPROTO;
	if (c->keyed != !!(h.flags & FRAME_HAS_MAC))
		return -ENOKEY;
	return (ssize_t)frame_size(c, be32toh(h.length_be));
}

int frame_read(struct frame_channel *c, const uint8_t *data, size_t size, struct frame *ret)
{
	ssize_t expected = frame_peek(c, data, size);
	uint8_t mac[FRAME_MAC];
	struct frame_header h;
	size_t length;

	if (expected < 0)
		return (int)expected;
	if ((size_t)expected != size || !size)
		return -EPROTO;
	memcpy(&h, data, sizeof(h));
	length = be32toh(h.length_be);
	if (c->keyed) {
		hmac_sha256_update(&c->mac, sizeof(h) + length, data);
		hmac_sha256_digest(&c->mac, sizeof(mac), mac);
		/* Takes constant time, which does not reveal how much of it is right. */
		if (!memeql_sec(mac, data + sizeof(h) + length, sizeof(mac)))
			return -EBADMSG;
	}
	if (be64toh(h.sequence_be) != c->sequence)
		return -EILSEQ;
	c->sequence++;
	*ret = (struct frame){ h.type, h.flags & ~FRAME_HAS_MAC, be64toh(h.sequence_be), data + sizeof(h), length };
	return 0;
}

int hello_make(struct endpoint listen, uint32_t interval_ms, struct hello *ret)
{
	struct hello h = { .version = WIRE_VERSION, .listen = listen, .interval_ms = interval_ms };

	errno = 0;
	if (getrandom(h.nonce, sizeof(h.nonce), 0) != (ssize_t)sizeof(h.nonce))
		return errno_or(EIO);
	*ret = h;
	return 0;
}

void hello_write(const struct hello *h, uint8_t out[static HELLO_SIZE])
{
	struct wire_hello w = {
		.version = htobe32(h->version),
		.listen_addr = htobe32(h->listen.addr),
		.listen_port = htobe16(h->listen.port),
		.interval_ms = htobe32(h->interval_ms),
		.tables = htobe64(h->tables),
	};

	memcpy(w.nonce, h->nonce, sizeof(w.nonce));
	memcpy(out, &w, sizeof(w));
}

int hello_read(const uint8_t *data, size_t size, struct hello *ret)
{
	struct wire_hello w = { 0 };
	struct hello h;

	/* A hello of another version may be shorter. */
	if (size < offsetof(struct wire_hello, tables) || size > HELLO_MAX)
		return -EPROTO;
	memcpy(&w, data, size < sizeof(w) ? size : sizeof(w));
	h = (struct hello){
		.version = be32toh(w.version),
		.listen = { be32toh(w.listen_addr), be16toh(w.listen_port) },
		.interval_ms = be32toh(w.interval_ms),
		.tables = be64toh(w.tables),
	};
	memcpy(h.nonce, w.nonce, sizeof(h.nonce));
	if (h.version == WIRE_VERSION &&
	    (size < sizeof(w) || !h.interval_ms || h.interval_ms > HELLO_LONGEST_INTERVAL_MS))
		return -EPROTO;
	*ret = h;
	return h.version == WIRE_VERSION ? 0 : -EPROTONOSUPPORT;
}

void alive_write(const struct wire_alive *a, uint8_t out[static sizeof(struct wire_alive)])
{
	const struct wire_alive w = { htobe64(a->sent_ms), htobe64(a->pass_ms), htobe64(a->wall_ms) };

	memcpy(out, &w, sizeof(w));
}

int alive_read(const uint8_t *payload, size_t length, struct wire_alive *ret)
{
	struct wire_alive w;

	if (length != sizeof(w))
		return -EPROTO;
	memcpy(&w, payload, sizeof(w));
	*ret = (struct wire_alive){ be64toh(w.sent_ms), be64toh(w.pass_ms), be64toh(w.wall_ms) };
	return 0;
}

void ack_write(const struct wire_ack *a, uint8_t out[static sizeof(struct wire_ack)])
{
	const struct wire_ack w = {
		.sequence = htobe64(a->sequence),
		.alive_ms = htobe64(a->alive_ms),
		.pass_ms = htobe64(a->pass_ms),
		.sessions = htobe64(a->sessions),
		.refused = htobe64(a->refused),
	};

	memcpy(out, &w, sizeof(w));
}

int ack_read(const uint8_t *payload, size_t length, struct wire_ack *ret)
{
	struct wire_ack w;

	if (length != sizeof(w))
		return -EPROTO;
	memcpy(&w, payload, sizeof(w));
	*ret = (struct wire_ack){
		.sequence = be64toh(w.sequence),
		.alive_ms = be64toh(w.alive_ms),
		.pass_ms = be64toh(w.pass_ms),
		.sessions = be64toh(w.sessions),
		.refused = be64toh(w.refused),
	};
	return 0;
}
