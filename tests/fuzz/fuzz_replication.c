// SPDX-License-Identifier: BSD-2-Clause
/*
 * A stream of any octets from a gateway: without a key, frames and payloads are read as far as they are well formed,
 * and in order; with one, nothing that was not made by it is ever taken; what frame_write() makes is read back as it
 * was. The first octet says which of these; of the third kind, each payload is preceded by its type and its length.
 */
#include "../../agent/peers/frame.c"
#include "../../agent/peers/peer_queue.c"

static const uint8_t key[REPLICATION_KEY] = "a key that the fuzzer lacks";
static const uint8_t hellos[2][HELLO_SIZE] = { "dialler", "acceptor" };

void key_forget(void *secret, size_t size)
{
	explicit_bzero(secret, size);
}

static struct frame_channel channel(bool keyed)
{
	struct frame_channel c;

	frame_channel_derive(&c, keyed ? key : NULL, FRAME_FROM_DIALLER, hellos[0], HELLO_SIZE, hellos[1], HELLO_SIZE);
	return c;
}

/* Each payload is read as every kind. */
static void read_payload(const struct frame *f)
{
	uint8_t *payload = malloc(f->length + !f->length), out[HELLO_MAX];
	struct wire_alive alive;
	struct wire_ack ack;
	struct hello hello;

	/* On the heap, so that a read behind the end is seen. */
	memcpy(payload, f->payload, f->length);
	if (!alive_read(payload, f->length, &alive)) {
		alive_write(&alive, out);
		if (memcmp(out, payload, sizeof(alive)))
			abort();
	}
	if (!ack_read(payload, f->length, &ack)) {
		ack_write(&ack, out);
		if (memcmp(out, payload, sizeof(ack)))
			abort();
	}
	if (!hello_read(payload, f->length, &hello) &&
	    (hello.version != WIRE_VERSION || !hello.interval_ms || hello.interval_ms > HELLO_LONGEST_INTERVAL_MS))
		abort();
	if (payload_sessions(WIRE_CHANGES, payload, f->length) > UINT16_MAX * (f->length / 8 + 1) ||
	    payload_sessions(WIRE_WHOLE, payload, f->length) > UINT16_MAX * (f->length / 8 + 1))
		abort();
	free(payload);
}

static void read_stream(const uint8_t *data, size_t size, bool keyed)
{
	struct frame_channel c = channel(keyed);
	uint64_t expected = 0;

	for (size_t at = 0; at < size;) {
		ssize_t n = frame_peek(&c, data + at, size - at);
		struct frame f;

		if (n <= 0 || (size_t)n > size - at)
			return;
		if (n > (ssize_t)(FRAME_HEADER + FRAME_MAX_PAYLOAD + FRAME_MAC))
			abort();
		if (frame_read(&c, data + at, (size_t)n, &f))
			return;
		if (keyed || f.sequence != expected++)
			abort();
		read_payload(&f);
		at += (size_t)n;
	}
}

static void write_and_read(const uint8_t *data, size_t size)
{
	static uint8_t octets[FRAME_HEADER + FRAME_MAX_PAYLOAD + FRAME_MAC];
	struct frame_channel from = channel(true), to = channel(true);

	for (size_t at = 0; size - at >= 3;) {
		uint8_t type = data[at];
		size_t length = (size_t)(data[at + 1] << 8 | data[at + 2]);
		struct frame f;

		at += 3;
		if (length > size - at)
			length = size - at;
		if (length > FRAME_MAX_PAYLOAD)
			length = FRAME_MAX_PAYLOAD;
		frame_write(&from, type, 0, data + at, length, octets);
		if (frame_read(&to, octets, frame_size(&to, length), &f) || f.type != type || f.length != length ||
		    memcmp(f.payload, data + at, length))
			abort();
		read_payload(&f);
		at += length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % 3) {
	case 0:
		read_stream(data + 1, size - 1, false);
		break;
	case 1:
		read_stream(data + 1, size - 1, true);
		break;
	default:
		write_and_read(data + 1, size - 1);
	}
	return 0;
}
