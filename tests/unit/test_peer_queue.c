/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue of a peer: its order, what it counts, and that it never grows beyond its limit. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "peers/frame.h"
#include "peers/peer_queue.h"

static struct peer_queue *queue;

static void make(void)
{
	cr_assert_eq(peer_queue_new(&queue), 0);
}

static void unmake(void)
{
	peer_queue_free(queue);
}

TestSuite(peer_queue, .init = make, .fini = unmake);

static void expect_first(uint8_t type, const char *text)
{
	size_t length;
	uint8_t found;
	const void *payload = peer_queue_first(queue, &found, &length);

	cr_assert(payload);
	cr_expect_eq(found, type);
	cr_assert_eq(length, strlen(text));
	cr_expect_eq(memcmp(payload, text, length), 0);
}

Test(peer_queue, payloads_come_out_in_the_order_in_which_they_went_in)
{
	size_t length;
	uint8_t type;

	cr_expect_null(peer_queue_first(queue, &type, &length));
	cr_assert_eq(peer_queue_put(queue, WIRE_MAPPINGS, "table", 5), 0);
	cr_assert_eq(peer_queue_put(queue, WIRE_WHOLE_END, NULL, 0), 0);
	cr_assert_eq(peer_queue_put(queue, WIRE_ALIVE, "alive", 5), 0);
	expect_first(WIRE_MAPPINGS, "table");
	expect_first(WIRE_MAPPINGS, "table");
	peer_queue_pop(queue);
	expect_first(WIRE_WHOLE_END, "");
	peer_queue_pop(queue);
	expect_first(WIRE_ALIVE, "alive");
	peer_queue_pop(queue);
	cr_expect_null(peer_queue_first(queue, &type, &length));
	peer_queue_pop(queue);
	cr_expect_eq(peer_queue_octets(queue), 0);
}

/* Two groups of records. */
struct records {
	struct wire_sessions a;
	struct wire_session of_a[2];
	struct wire_sessions b;
	struct wire_session of_b[1];
} __attribute__((packed));

Test(peer_queue, the_queue_counts_the_records_of_sessions_that_wait)
{
	struct records changes = { .a.count = htobe16(2), .b.count = htobe16(1) };
	struct {
		struct wire_range range;
		struct records records;
	} __attribute__((packed)) whole = { .records = changes };

	cr_assert_eq(peer_queue_put(queue, WIRE_CHANGES, &changes, sizeof(changes)), 0);
	cr_assert_eq(peer_queue_put(queue, WIRE_WHOLE, &whole, sizeof(whole)), 0);
	cr_assert_eq(peer_queue_put(queue, WIRE_ALIVE, &changes, sizeof(changes)), 0);
	cr_expect_eq(peer_queue_sessions(queue), 6);
	peer_queue_pop(queue);
	cr_expect_eq(peer_queue_sessions(queue), 3);
	peer_queue_clear(queue);
	cr_expect_eq(peer_queue_sessions(queue), 0);
	cr_expect_eq(peer_queue_octets(queue), 0);
}

Test(peer_queue, a_queue_that_is_full_takes_no_more_and_keeps_what_it_has)
{
	static uint8_t payload[WIRE_PAYLOAD_MAX];
	size_t n = 0, before;
	int r;

	while (!(r = peer_queue_put(queue, WIRE_CHANGES, payload, sizeof(payload))))
		cr_assert_lt(++n, 2000);
	cr_expect_eq(r, -ENOBUFS);
	before = peer_queue_octets(queue);
	cr_expect_leq(before, PEER_QUEUE_LIMIT);
	cr_expect_gt(before, PEER_QUEUE_LIMIT - 2 * sizeof(payload));
	cr_expect_eq(peer_queue_put(queue, WIRE_CHANGES, payload, sizeof(payload)), -ENOBUFS);
	cr_expect_eq(peer_queue_octets(queue), before);
	peer_queue_pop(queue);
	cr_expect_eq(peer_queue_put(queue, WIRE_CHANGES, payload, sizeof(payload)), 0);
}

Test(acknowledgement, an_acknowledgement_that_is_written_is_read_back)
{
	struct wire_alive alive = { 0x0102030405060708, 9, 0x1112131415161718 }, alive_back;
	struct wire_ack ack = { 1, 2, 3, 0x0102030405060708, 5 }, ack_back;
	uint8_t octets[sizeof(ack) + 1];

	alive_write(&alive, octets);
	cr_expect_eq(octets[0], 1);
	cr_assert_eq(alive_read(octets, sizeof(alive), &alive_back), 0);
	cr_expect_eq(memcmp(&alive, &alive_back, sizeof(alive)), 0);
	cr_expect_eq(alive_read(octets, sizeof(alive) - 1, &alive_back), -EPROTO);
	cr_expect_eq(alive_read(octets, sizeof(alive) + 1, &alive_back), -EPROTO);
	ack_write(&ack, octets);
	cr_assert_eq(ack_read(octets, sizeof(ack), &ack_back), 0);
	cr_expect_eq(memcmp(&ack, &ack_back, sizeof(ack)), 0);
	cr_expect_eq(ack_read(octets, sizeof(ack) - 1, &ack_back), -EPROTO);
	cr_expect_eq(ack_read(octets, sizeof(ack) + 1, &ack_back), -EPROTO);
}
