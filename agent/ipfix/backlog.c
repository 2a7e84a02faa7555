/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ipfix_queue_init(struct ipfix_queue *q)
{
	*q = (struct ipfix_queue){ 0 };
	STAILQ_INIT(&q->entries);
}

void ipfix_queue_clear(struct ipfix_queue *q)
{
	struct ipfix_entry *e;

	while ((e = STAILQ_FIRST(&q->entries))) {
		STAILQ_REMOVE_HEAD(&q->entries, link);
		free(e);
	}
	ipfix_queue_init(q);
}

static size_t entry_octets(uint16_t length)
{
	return sizeof(struct ipfix_entry) + length;
}

int ipfix_queue_put(struct ipfix_queue *q, const struct ipfix_message *m, uint32_t skipped)
{
	size_t size = entry_octets(m->length);
	struct ipfix_entry *e;

	if (q->octets + size > IPFIX_QUEUE_OCTETS)
		return -ENOSPC;
	e = malloc(size);
	if (!e)
		return -ENOMEM;
	*e = (struct ipfix_entry){
		.skipped = skipped,
		.length = m->length,
		.records = m->records,
		.events = m->events,
	};
	memcpy(e->octets, m->octets, m->length);
	STAILQ_INSERT_TAIL(&q->entries, e, link);
	if (!q->unsent)
		q->unsent = e;
	q->octets += size;
	q->events += e->events;
	return 0;
}

void ipfix_queue_sent(struct ipfix_queue *q)
{
	q->events -= q->unsent->events;
	q->unsent = STAILQ_NEXT(q->unsent, link);
}

void ipfix_queue_pop(struct ipfix_queue *q)
{
	struct ipfix_entry *e = STAILQ_FIRST(&q->entries);

	STAILQ_REMOVE_HEAD(&q->entries, link);
	q->octets -= entry_octets(e->length);
	free(e);
}

struct ipfix_entry *ipfix_queue_take_unsent(struct ipfix_queue *q)
{
	struct ipfix_entry *e = q->unsent;

	q->unsent = STAILQ_NEXT(e, link);
	STAILQ_REMOVE(&q->entries, e, ipfix_entry, link);
	q->octets -= entry_octets(e->length);
	q->events -= e->events;
	return e;
}

void ipfix_queue_rewind(struct ipfix_queue *q)
{
	struct ipfix_entry *e;

	for (e = STAILQ_FIRST(&q->entries); e && e != q->unsent; e = STAILQ_NEXT(e, link))
		q->events += e->events;
	q->unsent = STAILQ_FIRST(&q->entries);
}
