/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue of messages that wait for a collector. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>

#include "ipfix/backlog.h"

static struct ipfix_queue queue;
static struct ipfix_message message;

static void put(uint16_t length, uint16_t events)
{
	message.length = length;
	message.records = message.events = events;
	message.octets[0] = (uint8_t)events;
	cr_assert_eq(ipfix_queue_put(&queue, &message, 0), 0);
}

Test(ipfix_queue, first_in_is_first_out_and_what_is_not_acknowledged_comes_again)
{
	ipfix_queue_init(&queue);
	cr_assert(ipfix_queue_empty(&queue));
	put(100, 1);
	put(200, 2);
	put(300, 3);
	cr_assert_eq(queue.events, 6);
	ipfix_queue_sent(&queue);
	ipfix_queue_sent(&queue);
	cr_assert_eq(queue.events, 3);
	cr_assert_eq(queue.unsent->octets[0], 3);
	ipfix_queue_pop(&queue);
	ipfix_queue_rewind(&queue);
	cr_assert_eq(queue.events, 5);
	cr_assert_eq(queue.unsent->octets[0], 2);

	/* One in the middle, where the first is sent. */
	ipfix_queue_sent(&queue);

	struct ipfix_entry *taken = ipfix_queue_take_unsent(&queue);

	cr_assert_eq(taken->events, 3);
	free(taken);
	cr_assert_null(queue.unsent);
	put(100, 4);
	cr_assert_eq(queue.unsent->octets[0], 4);
	ipfix_queue_clear(&queue);
	cr_assert(ipfix_queue_empty(&queue));
	cr_assert_eq(queue.octets, 0);
}

Test(ipfix_queue, takes_no_more_octets_than_its_bound_and_all_of_it_again_when_emptied)
{
	unsigned n = 0;

	ipfix_queue_init(&queue);
	for (int round = 0; round < 2; round++) {
		unsigned taken = 0;

		message.length = 400;
		message.events = 1;
		while (!ipfix_queue_put(&queue, &message, 0))
			taken++;
		cr_assert_eq(ipfix_queue_put(&queue, &message, 0), -ENOSPC);
		cr_assert_leq(queue.octets, IPFIX_QUEUE_OCTETS);
		cr_assert_gt(taken * 400, IPFIX_QUEUE_OCTETS / 4 * 3);
		cr_assert(!round || taken == n);
		n = taken;
		while (queue.unsent) {
			ipfix_queue_sent(&queue);
			ipfix_queue_pop(&queue);
		}
		cr_assert_eq(queue.octets, 0);
	}
}
