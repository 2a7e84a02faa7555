// SPDX-License-Identifier: BSD-2-Clause
/* binding list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/handlers.h"
#include "base/virtual6.h"
#include "control/request.h"
#include "sessions/bound_ports.h"

struct binding_listing {
	const struct request *request;
	struct binding_walk *walk;
	uint8_t tenant; /* of whose subscribers; 0: of all */
};

static int list_one(const struct binding *b, void *arg)
{
	const struct binding_listing *l = arg;
	const struct mappings *m = l->request->context->mappings;
	uint8_t tenant = mappings_outside_tenant(m, b->out_addr);
	const char *name = mappings_tenant_name(m, tenant);
	char in[INSIDE_TEXT], outside[INSIDE_TEXT];

	if (l->tenant && l->tenant != tenant)
		return 0;
	return evbuffer_add_printf(l->request->stream,
				   "{\"in_addr\":\"%s\",\"in_port\":%u,\"out_addr\":\"%s\",\"out_port\":%u,"
				   "\"proto\":\"%s\",\"sessions\":%u,\"expires\":%u%s%s%s}\n",
				   inside_text(b->in_addr, in), b->in_port, addr_format(b->out_addr, outside),
				   b->out_port, word_text(proto_words, b->proto), b->sessions, b->expires,
				   *name ? ",\"tenant\":\"" : "", name, *name ? "\"" : "") < 0;
}

/* More follows when the client has read some of it. */
static bool output_is_full(void *arg)
{
	const struct binding_listing *l = arg;

	return evbuffer_get_length(l->request->stream) >= REQUEST_OUTPUT_HIGH;
}

static int list_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct binding_listing *l = r->state;
	int ret = binding_walk_step(l->walk, REQUEST_SLICE_US, list_one, output_is_full, l);

	return ret < 0 ? error_set(err, ret, "the bindings cannot be listed: %s", strerror(-ret)) : ret;
}

static void list_free(void *state)
{
	struct binding_listing *l = state;

	binding_walk_free(l->walk);
	free(l);
}

int verb_binding_list(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *addr = request_arg(r, "addr");
	struct mappings *m = r->context->mappings;
	struct binding_listing *l;
	uint8_t tenant;
	int ret = request_addr_tenant(r, &tenant, err);

	if (ret)
		return ret;
	l = calloc(1, sizeof(*l));
	ret = !l	    ? -ENOMEM
	      : addr->given ? binding_walk_new_subscriber(m, inside_place(tenant, addr->addr), &l->walk)
			    : binding_walk_new(m, &l->walk);
	if (ret)
		free(l);
	if (ret == -ENOENT)
		return refuse_inside(addr->addr, ret, err);
	if (ret)
		return error_set(err, ret, "the bindings cannot be listed: %s", strerror(-ret));
	l->request = r;
	l->tenant = tenant;
	request_run(r, list_step, l, list_free);
	request_stream(r);
	return 0;
}
