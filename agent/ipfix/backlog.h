/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queue of messages for a collector, first in, first out, of at most IPFIX_QUEUE_OCTETS. Messages before `unsent` have
 * been sent and wait for an acknowledgement (TCP). They are queued finished and stamped when sent.
 */
#ifndef DETNAT_BACKLOG_H
#define DETNAT_BACKLOG_H

#include <sys/queue.h>

#include "ipfix/encode.h"

/* Room for about 250,000 session records, headers of entries included. */
#define IPFIX_QUEUE_OCTETS (8U << 20)

struct ipfix_entry {
	STAILQ_ENTRY(ipfix_entry) link;
	uint32_t skipped; /* data records lost between the message before and this one */
	uint16_t length;
	uint16_t records;
	uint16_t events;
	bool counted; /* in the figures, as sent */
	uint8_t octets[];
};

struct ipfix_queue {
	STAILQ_HEAD(ipfix_entries, ipfix_entry) entries;
	struct ipfix_entry *unsent; /* the first one; NULL: all are sent */
	size_t octets;
	uint64_t events; /* not sent yet */
};

void ipfix_queue_init(struct ipfix_queue *q);
void ipfix_queue_clear(struct ipfix_queue *q);

static inline bool ipfix_queue_empty(const struct ipfix_queue *q)
{
	return STAILQ_EMPTY(&q->entries);
}

/* Appends a copy of a message: 0, -ENOSPC if the queue is full, or -ENOMEM. */
int ipfix_queue_put(struct ipfix_queue *q, const struct ipfix_message *m, uint32_t skipped);

/* Marks the first unsent message, which must exist, as sent. */
void ipfix_queue_sent(struct ipfix_queue *q);

/* Removes the first message, which must exist and be sent. */
void ipfix_queue_pop(struct ipfix_queue *q);

/* Removes the first unsent message, which must exist, and returns it; the caller frees it. */
struct ipfix_entry *ipfix_queue_take_unsent(struct ipfix_queue *q);

/* Marks all messages as unsent. */
void ipfix_queue_rewind(struct ipfix_queue *q);

#endif
