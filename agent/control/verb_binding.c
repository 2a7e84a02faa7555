// SPDX-License-Identifier: BSD-2-Clause
/* binding list. */
#include <errno.h>
#include <string.h>

#include "control/handlers.h"
#include "control/request.h"
#include "sessions/bound_ports.h"

static int list_one(const struct binding *b, void *arg)
{
	struct evbuffer *out = arg;
	char in[ADDR_TEXT], outside[ADDR_TEXT];

	return evbuffer_add_printf(out,
				   "{\"in_addr\":\"%s\",\"in_port\":%u,\"out_addr\":\"%s\",\"out_port\":%u,"
				   "\"proto\":\"%s\",\"sessions\":%u,\"expires\":%u}\n",
				   addr_format(b->in_addr, in), b->in_port, addr_format(b->out_addr, outside),
				   b->out_port, word_text(proto_words, b->proto), b->sessions, b->expires) < 0;
}

/* More follows when the client has read some of it. */
static bool output_is_full(void *arg)
{
	return evbuffer_get_length(arg) >= REQUEST_OUTPUT_HIGH;
}

static int list_step(struct request *r, cJSON **ret_result, struct error *err)
{
	int ret = binding_walk_step(r->state, REQUEST_SLICE_US, list_one, output_is_full, r->stream);

	return ret < 0 ? error_set(err, ret, "the bindings cannot be listed: %s", strerror(-ret)) : ret;
}

static void list_free(void *state)
{
	binding_walk_free(state);
}

int verb_binding_list(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *addr = request_arg(r, "addr");
	struct mappings *m = r->context->mappings;
	struct binding_walk *walk;
	int ret = addr->given ? binding_walk_new_subscriber(m, addr->addr, &walk) : binding_walk_new(m, &walk);

	if (ret == -ENOENT)
		return refuse_inside(addr->addr, ret, err);
	if (ret)
		return error_set(err, ret, "the bindings cannot be listed: %s", strerror(-ret));
	request_run(r, list_step, walk, list_free);
	request_stream(r);
	return 0;
}
