// SPDX-License-Identifier: BSD-2-Clause
/* grant list, grant revoke. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "base/virtual6.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "growth/block_growth.h"

struct grant_listing {
	struct growth *growth;
	struct evbuffer *output;
	uint8_t tenant; /* 0: of all */
	bool counted;
	bool gathered;
	struct grant *list;
	size_t n;
	size_t next;
};

static void listing_free(void *state)
{
	struct grant_listing *l = state;

	growth_forget(l->growth, l);
	free(l->list);
	free(l);
}

/* Those of subscribers, of an inside or outside address or all. */
static int gather(struct grant_listing *l, const struct request *r)
{
	const struct arg_value *addr = request_arg(r, "addr");
	const struct grants *g = r->context->grants;
	struct grant_figures figures;
	uint32_t at = 0;

	grants_count(g, &figures);
	l->list = calloc(figures.grants + 1, sizeof(*l->list));
	if (!l->list)
		return -ENOMEM;
	for (const struct grant *i; l->n < figures.grants && (i = grants_walk(g, &at));)
		if ((i->state == GRANT_OPEN || i->state == GRANT_CLOSED) &&
		    (!addr->given || i->in_addr == addr->addr || i->out_addr == addr->addr) &&
		    (!l->tenant || l->tenant == mappings_outside_tenant(r->context->mappings, i->out_addr)))
			l->list[l->n++] = *i;
	if (l->n)
		qsort(l->list, l->n, sizeof(*l->list), assignments_order);
	l->gathered = true;
	return 0;
}

static int write_one(const struct request *r, struct evbuffer *out, const struct grant *i)
{
	const char *tenant =
		mappings_tenant_name(r->context->mappings, mappings_outside_tenant(r->context->mappings, i->out_addr));
	char in[INSIDE_TEXT], outside[INSIDE_TEXT], from[TIME_TEXT];

	return evbuffer_add_printf(
		out,
		"{\"in_addr\":\"%s\",\"out_addr\":\"%s\",\"port_lo\":%u,\"port_hi\":%u,\"from\":\"%s\","
		"\"sessions\":%u%s%s%s}\n",
		inside_text(i->in_addr, in), addr_format(i->out_addr, outside), i->port_lo, i->port_lo + i->ports - 1U,
		time_format((int64_t)i->from, from), i->sessions, *tenant ? ",\"tenant\":\"" : "", tenant,
		*tenant ? "\"" : "");
}

/* 1: more to come, once the sessions are counted, and when the client has read some of it. */
static int list_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct grant_listing *l = r->state;
	const uint64_t until = monotonic_us() + REQUEST_SLICE_US;

	if (!l->counted)
		return 1;
	if (!l->gathered && gather(l, r))
		return error_set(err, -ENOMEM, "the listing broke off: out of memory");
	for (; l->next < l->n; l->next++) {
		if (monotonic_us() >= until || evbuffer_get_length(l->output) >= REQUEST_OUTPUT_HIGH)
			return 1;
		if (write_one(r, l->output, &l->list[l->next]) < 0)
			return error_set(err, -ENOMEM, "the listing broke off: out of memory");
	}
	return 0;
}

static void on_counted(void *arg)
{
	struct grant_listing *l = arg;

	l->counted = true;
}

int verb_grant_list(struct request *r, cJSON **ret_result, struct error *err)
{
	struct grant_listing *l;
	uint8_t tenant;
	int ret = request_addr_tenant(r, &tenant, err);

	if (ret)
		return ret;
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(err, -ENOMEM, "the agent is out of memory");
	l->growth = r->context->growth;
	l->tenant = tenant;
	if (growth_count(l->growth, on_counted, l)) {
		free(l);
		return error_set(err, -ENOMEM, "the agent is out of memory");
	}
	l->output = request_stream(r);
	request_run(r, list_step, l, listing_free);
	return 0;
}

int verb_grant_revoke(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct endpoint out = request_arg(r, "out")->endpoint;
	uint32_t drain = request_arg(r, "drain")->number;
	const struct grant *i = grants_owner(r->context->grants, out.addr, out.port);
	struct grant was = i ? *i : (struct grant){ 0 };
	int ret = growth_revoke(r->context->growth, out.addr, out.port, drain);
	char text[INSIDE_TEXT];
	cJSON *json;

	if (ret == -ENOENT)
		return error_set(err, ret, "%s:%u is not granted; `detnatctl grant list` shows what is",
				 addr_format(out.addr, text), out.port);
	if (ret)
		return error_set(err, ret, "%s:%u is just being granted or taken back: try again",
				 addr_format(out.addr, text), out.port);
	json = cJSON_CreateObject();
	json_add_addr(json, "in_addr", was.in_addr);
	json_add_addr(json, "out_addr", was.out_addr);
	json_add_u64(json, "port_lo", was.port_lo);
	json_add_u64(json, "port_hi", was.port_lo + was.ports - 1U);
	json_add_u64(json, "drain", drain);
	*ret_result = json;
	return json ? 0 : -ENOMEM;
}
