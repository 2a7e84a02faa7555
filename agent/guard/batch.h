/* SPDX-License-Identifier: BSD-2-Clause */
/* A batch of nftables messages, sent as one transaction. */
#ifndef DETNAT_BATCH_H
#define DETNAT_BATCH_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard_batch {
	char *data;
	size_t size;
	size_t room;
	uint32_t seq;		/* of the last message */
	uint32_t last_in_batch; /* of the last one before the end, which requests an acknowledgement */
	bool failed;		/* out of memory */
};

/* Passes on a pointer that a library allocated; if it is NULL, the batch has failed. */
#define BATCH_CHECKED(b, pointer)               \
	({                                      \
		typeof(pointer) _p = (pointer); \
		if (!_p)                        \
			(b)->failed = true;     \
		_p;                             \
	})

/* The longest message that batch_message() has room for. */
#define BATCH_MESSAGE_ROOM 16384U

void batch_begin(struct guard_batch *b);

/* The header of a message of family inet, for the caller to add attributes to; NULL if the batch has failed. */
struct nlmsghdr *batch_message(struct guard_batch *b, uint16_t type, uint16_t flags);
void batch_message_end(struct guard_batch *b, const struct nlmsghdr *h);

/* 0, or -ENOMEM if anything failed. */
int batch_end(struct guard_batch *b);

void batch_free(struct guard_batch *b);

#define _cleanup_batch_ __attribute__((cleanup(batch_free)))

#endif
