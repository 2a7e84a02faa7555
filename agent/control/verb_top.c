// SPDX-License-Identifier: BSD-2-Clause
/* top: the subscribers are found in slices, and then sent as a stream. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "control/handlers.h"
#include "sessions/top.h"

/* Subscribers shown by default. */
#define TOP_DEFAULT 1000U

/* Lines sent in one slice; after some hundred, a client must read before it gets more. */
#define LINES 256U

struct listing {
	struct top *top;
	bool found;
	size_t sent;
};

static int add_line(struct evbuffer *out, const struct top_entry *e)
{
	char addr[ADDR_TEXT];

	return evbuffer_add_printf(out,
				   "{\"in_addr\":\"%s\",\"sessions\":%u,\"quota_exceeded\":%" PRIu64
				   ",\"quota\":%u,\"ports_used\":%u,\"ports_per_host\":%u,\"ports\":%u,"
				   "\"draining\":%u}\n",
				   addr_format(e->in_addr, addr), e->sessions, e->quota_exceeded, e->quota,
				   e->ports_used, e->ports_per_host, e->ports, e->draining);
}

static int send_lines(struct request *r, struct listing *l)
{
	const struct top_entry *entries;
	size_t n, end;

	entries = top_entries(l->top, &n);
	end = l->sent + LINES < n ? l->sent + LINES : n;
	while (l->sent < end)
		if (add_line(r->stream, &entries[l->sent++]) < 0)
			return -ENOMEM;
	return l->sent < n;
}

static int top_step_request(struct request *r, cJSON **ret_result, struct error *err)
{
	struct listing *l = r->state;
	int ret = 0;

	if (!l->found) {
		ret = top_step(l->top, REQUEST_COUNT_US);
		if (ret < 0)
			return error_set(err, ret, "the subscribers cannot be listed: %s", strerror(-ret));
		l->found = !ret;
		if (l->found)
			request_stream(r);
		return 1;
	}
	ret = send_lines(r, l);
	return ret < 0 ? error_set(err, ret, "the listing broke off: %s", strerror(-ret)) : ret;
}

static void listing_free(void *state)
{
	struct listing *l = state;

	top_free(l->top);
	free(l);
}

int verb_top(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *n = request_arg(r, "n"), *by = request_arg(r, "by");
	enum top_order order = by->given ? (enum top_order)by->number : TOP_BY_SESSIONS;
	struct listing *l = calloc(1, sizeof(*l));

	if (!l ||
	    top_new(r->context->mappings, r->context->grants, order, n->given ? n->number : TOP_DEFAULT, &l->top)) {
		free(l);
		return error_set(err, -ENOMEM, "the agent is out of memory");
	}
	request_run(r, top_step_request, l, listing_free);
	return 0;
}
