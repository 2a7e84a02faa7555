// SPDX-License-Identifier: BSD-2-Clause
/* portmap add, del, list. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_scan.h"
#include "config/port_pairs.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "tables/portmap_table.h"

static struct config_portmap portmap_given(const struct request *r)
{
	const struct arg_value *out = request_arg(r, "out"), *name = request_arg(r, "name");
	const struct arg_value *tenant = request_arg(r, "tenant");
	struct config_portmap m = { .protos = (uint8_t)request_arg(r, "proto")->number,
				    .in = request_arg(r, "in")->span };

	if (out->given)
		m.out = out->span;
	if (name->given)
		snprintf(m.name, sizeof(m.name), "%s", name->text);
	if (tenant->given)
		snprintf(m.tenant, sizeof(m.tenant), "%s", tenant->text);
	return m;
}

static int edit_add(struct config *c, void *arg, struct error *err)
{
	struct config_portmap m = portmap_given(arg);

	if (config_add_portmap(c, &m))
		return error_set(err, -ENOMEM, "out of memory");
	return portmap_validate_added(c, err);
}

static cJSON *answer_added(struct request *r)
{
	const struct config *c = r->context->active->config;
	const struct config_portmap m = portmap_given(r);
	const struct config_mapping *of = config_mapping_of_portmap(c, &m);
	struct endpoint out = config_portmap_out(c, &m, 0);
	cJSON *json = cJSON_CreateObject();

	json_add_name(json, "name", m.name);
	cJSON_AddStringToObject(json, "proto", word_text(portmap_words, m.protos));
	json_add_addr(json, "in_addr", m.in.addr);
	json_add_u64(json, "in_port", m.in.first);
	if (of && *of->tenant)
		cJSON_AddStringToObject(json, "tenant", of->tenant);
	json_add_addr(json, "out_addr", out.addr);
	json_add_u64(json, "out_port", out.port);
	json_add_u64(json, "ports", m.in.last - m.in.first + 1U);
	return json;
}

int verb_portmap_add(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_add, answer_added, err);
}

static int edit_del(struct config *c, void *arg, struct error *err)
{
	struct request *r = arg;
	struct port_span out = request_arg(r, "out")->span;
	const struct arg_value *proto = request_arg(r, "proto");
	int ret = config_del_portmap(c, (uint8_t)proto->number, out);
	char text[SPAN_TEXT];

	if (ret == -ENOENT)
		return error_set(err, ret, "there is no portmap of %s %s outside; `detnatctl portmap list` shows them",
				 word_text(portmap_words, proto->number), span_format(out, text));
	return ret ? error_set(err, ret, "out of memory") : 0;
}

static int edit_del_named(struct config *c, void *arg, struct error *err)
{
	return config_del_portmap_named(c, request_arg(arg, "proto")->text, err);
}

/* Calls visit for each port that the request names; stops at false, and returns it. */
static bool each_named(const struct request *r,
		       bool (*visit)(const struct request *r, uint8_t proto, struct endpoint out))
{
	const struct port_span span = request_arg(r, "out")->span;
	uint32_t protos = request_arg(r, "proto")->number;

	for (uint32_t port = span.first; port <= span.last; port++) {
		struct endpoint out = { span.addr, (uint16_t)port };

		if ((protos & PORTMAP_OF_TCP && !visit(r, IPPROTO_TCP, out)) ||
		    (protos & PORTMAP_OF_UDP && !visit(r, IPPROTO_UDP, out)))
			return false;
	}
	return true;
}

static bool is_lease(const struct request *r, uint8_t proto, struct endpoint out)
{
	const struct portmap *m = portmaps_by_out(r->context->portmaps, proto, out);

	return m && m->origin == PORTMAP_PCP;
}

static bool end_lease(const struct request *r, uint8_t proto, struct endpoint out)
{
	return !portmaps_end(r->context->portmaps, proto, out);
}

/* Leases are not in the configuration, so their end is no change of it, nor part of a batch. */
int verb_portmap_del(struct request *r, cJSON **ret_result, struct error *err)
{
	if (!request_arg(r, "out")->given)
		return request_change(r, edit_del_named, answer_empty, err);
	if (!r->in_batch && each_named(r, is_lease)) {
		each_named(r, end_lease);
		*ret_result = cJSON_CreateObject();
		return *ret_result ? 0 : -ENOMEM;
	}
	return request_change(r, edit_del, answer_empty, err);
}

struct portmap_listing {
	struct portmap_names names;
	struct portmap *list;
	size_t n;
	size_t next;
	struct evbuffer *output;
};

static void listing_free(void *state)
{
	struct portmap_listing *l = state;

	portmap_names_free(&l->names);
	free(l->list);
	free(l);
}

/* Portmaps of an inside or outside address, of a tenant (0: of any), and of an origin, or all. */
static int gather(struct portmap_listing *l, const struct request *r, uint8_t tenant)
{
	const struct arg_value *addr = request_arg(r, "addr"), *origin = request_arg(r, "origin");
	const struct portmaps *p = r->context->portmaps;
	size_t room = 0;

	for (unsigned i = 0; i < N_PORTMAP_ORIGINS; i++)
		room += portmaps_count(p, i);
	l->list = calloc(room + 1, sizeof(*l->list));
	if (!l->list)
		return -ENOMEM;
	for (const struct portmap *m = portmaps_next(p, NULL); m && l->n < room; m = portmaps_next(p, m))
		if ((!addr->given || m->in.addr == addr->addr || m->out.addr == addr->addr) &&
		    (!tenant || m->tenant == tenant) && (!origin->given || m->origin == origin->number))
			l->list[l->n++] = *m;
	qsort(l->list, l->n, sizeof(*l->list), assignments_order);
	return 0;
}

/* 1: more to come, when the client has read some of it. */
static int list_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct portmap_listing *l = r->state;
	const uint64_t until = monotonic_us() + REQUEST_SLICE_US;

	for (; l->next < l->n; l->next++) {
		_cleanup_json_ cJSON *json = NULL;
		_cleanup_free_ char *text = NULL;

		if (monotonic_us() >= until || evbuffer_get_length(l->output) >= REQUEST_OUTPUT_HIGH)
			return 1;
		json = portmap_json(r->context, &l->names, &l->list[l->next]);
		text = json ? cJSON_PrintUnformatted(json) : NULL;
		if (!text || evbuffer_add_printf(l->output, "%s\n", text) < 0)
			return error_set(err, -ENOMEM, "the listing broke off: out of memory");
	}
	return 0;
}

int verb_portmap_list(struct request *r, cJSON **ret_result, struct error *err)
{
	struct portmap_listing *l;
	uint8_t tenant;
	int ret = request_addr_tenant(r, &tenant, err);

	if (ret)
		return ret;
	l = calloc(1, sizeof(*l));
	if (!l || portmap_names_read(r->context->active->config, &l->names) || gather(l, r, tenant)) {
		if (l)
			listing_free(l);
		return error_set(err, -ENOMEM, "the agent is out of memory");
	}
	l->output = request_stream(r);
	request_run(r, list_step, l, listing_free);
	return 0;
}
