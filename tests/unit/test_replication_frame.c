/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames between gateways, and the hellos that their keys come from: what is taken, and what ends the connection. */
#include <criterion/criterion.h>
#include <string.h>

#include "peers/frame.h"

static const uint8_t key[REPLICATION_KEY] = "0123456789abcdef0123456789abcde";
static const uint8_t other_key[REPLICATION_KEY] = "0123456789abcdef0123456789abcdf";
static const uint8_t hellos[2][HELLO_SIZE] = { "dialler", "acceptor" };

/* Both ends of a direction. */
struct ends {
	struct frame_channel from;
	struct frame_channel to;
};

static void derive(struct frame_channel *c, const uint8_t *with, enum frame_direction direction)
{
	frame_channel_derive(c, with, direction, hellos[0], HELLO_SIZE, hellos[1], HELLO_SIZE);
}

static struct ends connected(const uint8_t *with)
{
	struct ends e;

	derive(&e.from, with, FRAME_FROM_DIALLER);
	derive(&e.to, with, FRAME_FROM_DIALLER);
	return e;
}

static size_t put(struct frame_channel *c, const char *text, uint8_t *out)
{
	frame_write(c, 7, 3, text, strlen(text), out);
	return frame_size(c, strlen(text));
}

static void expect(const struct frame *f, uint64_t sequence, const char *text)
{
	cr_expect_eq(f->type, 7);
	cr_expect_eq(f->flags, 3);
	cr_expect_eq(f->sequence, sequence);
	cr_expect_eq(f->length, strlen(text));
	cr_expect_eq(memcmp(f->payload, text, f->length), 0);
}

Test(replication_frame, frames_arrive_as_they_were_sent)
{
	for (int keyed = 0; keyed < 2; keyed++) {
		struct ends e = connected(keyed ? key : NULL);
		uint8_t octets[200];
		struct frame f;

		for (uint64_t i = 0; i < 3; i++) {
			size_t size = put(&e.from, i ? "sessions" : "", octets);

			cr_expect_eq(size, FRAME_HEADER + (i ? 8 : 0) + (keyed ? FRAME_MAC : 0));
			cr_expect_eq(frame_peek(&e.to, octets, FRAME_HEADER), (ssize_t)size);
			cr_assert_eq(frame_read(&e.to, octets, size, &f), 0);
			expect(&f, i, i ? "sessions" : "");
		}
	}
}

Test(replication_frame, a_frame_that_has_not_come_whole_says_how_much_there_will_be)
{
	struct ends e = connected(key);
	uint8_t octets[200];
	size_t size = put(&e.from, "sessions", octets);
	struct frame f;

	for (size_t n = 0; n < FRAME_HEADER; n++)
		cr_expect_eq(frame_peek(&e.to, octets, n), 0, "%zu", n);
	for (size_t n = FRAME_HEADER; n <= size; n++)
		cr_expect_eq(frame_peek(&e.to, octets, n), (ssize_t)size, "%zu", n);
	for (size_t n = 0; n < size; n++)
		cr_expect_eq(frame_read(&e.to, octets, n, &f), -EPROTO, "%zu", n);
	cr_expect_eq(frame_read(&e.to, octets, size, &f), 0);
}

Test(replication_frame, every_changed_bit_is_noticed)
{
	uint8_t octets[200], changed[200];
	struct ends e = connected(key);
	size_t size = put(&e.from, "sessions", octets);

	for (size_t bit = 0; bit < size * 8; bit++) {
		struct frame_channel c;
		struct frame f;

		derive(&c, key, FRAME_FROM_DIALLER);
		memcpy(changed, octets, size);
		changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* In the length and in what must be 0, the form is wrong already. */
		cr_expect_neq(frame_read(&c, changed, size, &f), 0, "bit %zu", bit);
	}
}

Test(replication_frame, a_frame_that_is_repeated_ends_the_connection)
{
	struct ends e = connected(key);
	uint8_t octets[200];
	size_t size = put(&e.from, "sessions", octets);
	struct frame f;

	cr_assert_eq(frame_read(&e.to, octets, size, &f), 0);
	cr_expect_eq(frame_read(&e.to, octets, size, &f), -EILSEQ);
}

Test(replication_frame, a_frame_that_overtakes_another_ends_the_connection)
{
	struct ends e = connected(key);
	uint8_t first[200], second[200];
	size_t size;
	struct frame f;

	put(&e.from, "first", first);
	size = put(&e.from, "second", second);
	cr_expect_eq(frame_read(&e.to, second, size, &f), -EILSEQ);
}

Test(replication_frame, a_frame_that_was_left_out_is_noticed_without_a_key_too)
{
	struct ends e = connected(NULL);
	uint8_t first[200], second[200];
	size_t size;
	struct frame f;

	put(&e.from, "first", first);
	size = put(&e.from, "second", second);
	cr_expect_eq(frame_read(&e.to, second, size, &f), -EILSEQ);
}

Test(replication_frame, another_key_another_direction_and_another_connection_have_another_hmac)
{
	uint8_t octets[200];
	struct ends e = connected(key);
	size_t size = put(&e.from, "sessions", octets);
	struct frame_channel c;
	struct frame f;

	derive(&c, other_key, FRAME_FROM_DIALLER);
	cr_expect_eq(frame_read(&c, octets, size, &f), -EBADMSG);
	derive(&c, key, FRAME_FROM_ACCEPTOR);
	cr_expect_eq(frame_read(&c, octets, size, &f), -EBADMSG);
	frame_channel_hello(&c, key);
	cr_expect_eq(frame_read(&c, octets, size, &f), -EBADMSG);
	for (int side = 0; side < 2; side++) {
		uint8_t nonces[2][HELLO_SIZE];

		memcpy(nonces, hellos, sizeof(nonces));
		nonces[side][HELLO_SIZE - 1] ^= 1;
		frame_channel_derive(&c, key, FRAME_FROM_DIALLER, nonces[0], HELLO_SIZE, nonces[1], HELLO_SIZE);
		cr_expect_eq(frame_read(&c, octets, size, &f), -EBADMSG, "side %d", side);
	}
	/* The same octets with another boundary between the hellos. */
	frame_channel_derive(&c, key, FRAME_FROM_DIALLER, (const uint8_t *)hellos, HELLO_SIZE + 1,
			     (const uint8_t *)hellos + HELLO_SIZE + 1, HELLO_SIZE - 1);
	cr_expect_eq(frame_read(&c, octets, size, &f), -EBADMSG);
}

Test(replication_frame, a_huge_length_is_refused_before_the_payload_comes)
{
	struct ends e = connected(key);
	uint8_t octets[FRAME_HEADER] = { 0 };

	octets[5] = FRAME_HAS_MAC;
	octets[2] = FRAME_MAX_PAYLOAD >> 8;
	octets[3] = FRAME_MAX_PAYLOAD & 255;
	cr_expect_eq(frame_peek(&e.to, octets, sizeof(octets)), FRAME_HEADER + FRAME_MAX_PAYLOAD + FRAME_MAC);
	octets[3]++;
	cr_expect_eq(frame_peek(&e.to, octets, sizeof(octets)), -EPROTO);
	memset(octets, 0xff, 4);
	cr_expect_eq(frame_peek(&e.to, octets, sizeof(octets)), -EPROTO);
}

Test(replication_frame, a_frame_without_an_hmac_is_none_where_one_is_wanted)
{
	struct ends keyed = connected(key), plain = connected(NULL);
	uint8_t octets[200];
	size_t size = put(&plain.from, "sessions", octets);
	struct frame f;

	cr_expect_eq(frame_read(&keyed.to, octets, size, &f), -ENOKEY);
	size = put(&keyed.from, "sessions", octets);
	cr_expect_eq(frame_read(&plain.to, octets, size, &f), -ENOKEY);
}

static struct hello a_hello(void)
{
	struct hello h;

	cr_assert_eq(hello_make((struct endpoint){ 0xc0000201, 9470 }, 1000, &h), 0);
	return h;
}

Test(replication_hello, a_hello_is_read_as_it_was_written)
{
	struct hello h = a_hello(), back;
	uint8_t octets[HELLO_SIZE];

	h.tables = 0x0102030405060708;
	hello_write(&h, octets);
	cr_assert_eq(hello_read(octets, sizeof(octets), &back), 0);
	cr_expect_eq(back.version, WIRE_VERSION);
	cr_expect_eq(memcmp(back.nonce, h.nonce, sizeof(h.nonce)), 0);
	cr_expect_eq(back.listen.addr, 0xc0000201);
	cr_expect_eq(back.listen.port, 9470);
	cr_expect_eq(back.interval_ms, 1000);
	cr_expect_eq(back.tables, 0x0102030405060708);
}

Test(replication_hello, two_hellos_have_two_nonces)
{
	struct hello a = a_hello(), b = a_hello();

	cr_expect_neq(memcmp(a.nonce, b.nonce, sizeof(a.nonce)), 0);
}

Test(replication_hello, a_longer_hello_is_read_as_far_as_it_is_known)
{
	struct hello h = a_hello(), back;
	uint8_t octets[HELLO_MAX + 1] = { 0 };

	hello_write(&h, octets);
	cr_expect_eq(hello_read(octets, HELLO_MAX, &back), 0);
	cr_expect_eq(hello_read(octets, HELLO_MAX + 1, &back), -EPROTO);
	for (size_t n = 0; n < HELLO_SIZE; n++)
		cr_expect_eq(hello_read(octets, n, &back), -EPROTO, "%zu", n);
}

Test(replication_hello, another_version_or_interval_is_refused)
{
	struct hello h = a_hello(), back = { 0 };
	uint8_t octets[HELLO_SIZE];

	h.version = WIRE_VERSION + 1;
	hello_write(&h, octets);
	cr_expect_eq(hello_read(octets, sizeof(octets), &back), -EPROTONOSUPPORT);
	cr_expect_eq(back.version, WIRE_VERSION + 1);
	h.version = WIRE_VERSION;
	h.interval_ms = 0;
	hello_write(&h, octets);
	cr_expect_eq(hello_read(octets, sizeof(octets), &back), -EPROTO);
	h.interval_ms = HELLO_LONGEST_INTERVAL_MS + 1;
	hello_write(&h, octets);
	cr_expect_eq(hello_read(octets, sizeof(octets), &back), -EPROTO);
}
