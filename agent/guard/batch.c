/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/batch.h"

#include "base/base.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

struct nlmsghdr *batch_message(struct guard_batch *b, uint16_t type, uint16_t flags)
{
	if (b->failed)
		return NULL;
	if (b->room - b->size < BATCH_MESSAGE_ROOM) {
		char *larger = realloc(b->data, b->room + 4UL * BATCH_MESSAGE_ROOM);

		if (!larger) {
			b->failed = true;
			return NULL;
		}
		b->data = larger;
		b->room += 4UL * BATCH_MESSAGE_ROOM;
	}
	/* The library omits the end of an expression's string when writing, but needs it when reading. */
	memset(b->data + b->size, 0, BATCH_MESSAGE_ROOM);
	return nftnl_nlmsg_build_hdr(b->data + b->size, type, NFPROTO_INET, flags, ++b->seq);
}

void batch_message_end(struct guard_batch *b, const struct nlmsghdr *h)
{
	b->size += MNL_ALIGN(h->nlmsg_len);
}

void batch_begin(struct guard_batch *b)
{
	*b = (struct guard_batch){ 0 };
	if (batch_message(b, NFNL_MSG_BATCH_BEGIN, 0))
		batch_message_end(b, nftnl_batch_begin(b->data, b->seq));
}

int batch_end(struct guard_batch *b)
{
	struct nlmsghdr *last = NULL;

	/* The kernel answers each message that fails, and always the last one. */
	for (size_t at = 0; at < b->size; at += MNL_ALIGN(last->nlmsg_len))
		last = (struct nlmsghdr *)(b->data + at);
	if (last)
		last->nlmsg_flags |= NLM_F_ACK;
	b->last_in_batch = b->seq;
	if (batch_message(b, NFNL_MSG_BATCH_END, 0))
		batch_message_end(b, nftnl_batch_end(b->data + b->size, b->seq));
	return b->failed ? -ENOMEM : 0;
}

void batch_free(struct guard_batch *b)
{
	free(b->data);
	*b = (struct guard_batch){ 0 };
}
