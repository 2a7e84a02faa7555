// SPDX-License-Identifier: BSD-2-Clause
/* forward and reverse: the endpoints of a mapping, by its arithmetic. */
#include <errno.h>
#include <string.h>

#include "control/answer.h"
#include "base/virtual6.h"
#include "control/handlers.h"
#include "diagnosis/explain.h"
#include "tables/grant_table.h"
#include "tables/mapping_drains.h"

static const char *title_of(const struct request *r, const struct mapping *m, char title[static MAPPING_TITLE])
{
	const struct config *c = r->context->active->config;

	return config_mapping_title(c, tenant_name(c, m->tenant), geometry_in(&m->geo), geometry_out(&m->geo), title);
}

static const char *drains_at_all(const struct mappings *m, uint8_t tenant, uint32_t in_addr)
{
	cJSON *json = cJSON_CreateObject();
	bool drains = json_add_draining(json, m, tenant, in_addr);

	cJSON_Delete(json);
	return drains ? ", and explain its sessions that drain" : "";
}

int verb_forward(struct request *r, cJSON **ret_result, struct error *err)
{
	uint32_t addr = request_arg(r, "addr")->addr;
	char text[INSIDE_TEXT], title[MAPPING_TITLE];
	struct port_block block;
	uint8_t tenant;
	cJSON *json;
	int number, ret = request_find_tenant(r, addr, &tenant, err);

	if (ret)
		return ret;
	number = mappings_find_inside(r->context->mappings, tenant, addr);
	if (number < 0)
		return error_set(err, -ENOENT,
				 "%s is not an inside address of any mapping; `detnatctl mapping list` shows them%s",
				 inside_text(addr, text), drains_at_all(r->context->mappings, tenant, addr));
	if (mappings_get(r->context->mappings, number)->geo.out_plen == PLEN_NONE)
		return error_set(err, -ENOENT, "%s is not translated, as %s says", inside_text(addr, text),
				 title_of(r, mappings_get(r->context->mappings, number), title));
	block = mapping_block(&mappings_get(r->context->mappings, number)->geo, addr);
	json = cJSON_CreateObject();
	json_add_inside(json, addr);
	json_add_addr(json, "out_addr", block.out_addr);
	json_add_u64(json, "port_lo", block.port_lo);
	json_add_u64(json, "port_hi", block.port_hi);
	json_add_mapping_name(json, "mapping", r->context->active->config, mappings_get(r->context->mappings, number));
	json_add_draining(json, r->context->mappings, tenant, addr);
	json_add_grants(json, r->context->grants, mappings_get(r->context->mappings, number),
			inside_place(tenant, addr));
	*ret_result = json;
	return json ? 0 : -ENOMEM;
}

/* An outside endpoint in no block that belongs to a portmap. */
static cJSON *reverse_portmap(const struct request *r, struct endpoint out)
{
	cJSON *json = cJSON_CreateObject();
	const struct portmap *m = json_add_portmaps(json, r->context, out);
	int number = m ? mappings_find_inside(r->context->mappings, m->tenant, m->in.addr) : -1;

	if (number < 0) {
		cJSON_Delete(json);
		return NULL;
	}
	json_add_addr(json, "out_addr", out.addr);
	json_add_u64(json, "out_port", out.port);
	json_add_inside(json, m->in.addr);
	json_add_mapping_name(json, "mapping", r->context->active->config, mappings_get(r->context->mappings, number));
	return json;
}

/* An outside endpoint of the shared range. */
static int reverse_shared(const struct request *r, const struct mapping *m, struct endpoint out, cJSON **ret,
			  struct error *err)
{
	const struct grant *i = grants_owner(r->context->grants, out.addr, out.port);
	char text[INSIDE_TEXT], why[NO_BLOCK_TEXT];
	cJSON *json;

	if (!i)
		return error_set(err, -ENOENT, "%s:%u has no subscriber: %s", addr_format(out.addr, text), out.port,
				 explain_not_granted(r->context, out, why));
	json = cJSON_CreateObject();
	json_add_addr(json, "out_addr", out.addr);
	json_add_u64(json, "out_port", out.port);
	json_add_inside(json, i->in_addr);
	json_add_block(cJSON_AddObjectToObject(json, "granted"), i);
	json_add_mapping_name(json, "mapping", r->context->active->config, m);
	*ret = json;
	return json ? 0 : -ENOMEM;
}

/* The mapping from which sessions of an endpoint drain, or have drained. */
static void add_former(cJSON *json, struct prefix in, struct prefix out)
{
	cJSON *former = cJSON_AddObjectToObject(json, "drains_from");

	json_add_prefix(former, "in", in);
	json_add_prefix(former, "out", out);
}

/* Shows the last subscriber of an outside endpoint whose mapping has drained, while the endpoint rests. */
static cJSON *reverse_rest(const struct request *r, struct endpoint out)
{
	const struct config *c = r->context->active->config;

	for (size_t i = 0; i < c->n_rests; i++) {
		const struct config_rest *rest = &c->rests[i];
		struct geometry g = rest->geo;
		int64_t subscriber = -1;
		cJSON *json;

		if (config_rest_left(rest) && prefix_holds(rest->out, out.addr) &&
		    (g.ports_per_host ||
		     !mapping_geometry(rest->in.base, rest->in.plen, rest->out.base, rest->out.plen, &g)))
			subscriber = mapping_owner(&g, out.addr, out.port);
		if (subscriber < 0)
			continue;
		json = cJSON_CreateObject();
		json_add_addr(json, "out_addr", out.addr);
		json_add_u64(json, "out_port", out.port);
		json_add_inside(json, g.in_base + (uint32_t)subscriber);
		if (*rest->tenant)
			cJSON_AddStringToObject(json, "tenant", rest->tenant);
		json_add_u64(json, "rest_left", config_rest_left(rest));
		add_former(json, rest->in, rest->out);
		return json;
	}
	return NULL;
}

int verb_reverse(struct request *r, cJSON **ret_result, struct error *err)
{
	struct endpoint out = request_arg(r, "endpoint")->endpoint;
	int number = mappings_find_outside(r->context->mappings, out.addr);
	const struct mapping_drain *drain;
	const struct geometry *g;
	char text[INSIDE_TEXT], kept[KEPT_TEXT], why[NO_BLOCK_TEXT];
	int64_t subscriber;
	cJSON *json;

	addr_format(out.addr, text);
	if (number < 0) {
		*ret_result = reverse_rest(r, out);
		return *ret_result ? 0 : error_set(err, -ENOENT, "no mapping has the pool address %s", text);
	}
	g = &mappings_get(r->context->mappings, number)->geo;
	subscriber = mapping_owner(g, out.addr, out.port);
	if (subscriber < 0) {
		*ret_result = reverse_portmap(r, out);
		if (*ret_result)
			return 0;
	}
	if (subscriber < 0 && explain_is_shared(r->context, number, out))
		return reverse_shared(r, mappings_get(r->context->mappings, number), out, ret_result, err);
	if (subscriber < 0)
		return error_set(err, -ENOENT, "%s:%u has no subscriber: %s", text, out.port,
				 explain_no_block(g, out, why));
	if (explain_kept(r->context, number, g->in_base + (uint32_t)subscriber, kept))
		return error_set(err, -ENOENT, "%s:%u is %s", text, out.port, kept);
	json = cJSON_CreateObject();
	json_add_addr(json, "out_addr", out.addr);
	json_add_u64(json, "out_port", out.port);
	json_add_inside(json, g->in_base + (uint32_t)subscriber);
	drain = mappings_drain_of(r->context->mappings, number, g->in_base + (uint32_t)subscriber);
	if (drain) {
		json_add_u64(json, "drain_left", mapping_drain_left(drain));
		add_former(json, geometry_in(g), geometry_out(g));
	}
	json_add_portmaps(json, r->context, out);
	json_add_mapping_name(json, "mapping", r->context->active->config, mappings_get(r->context->mappings, number));
	*ret_result = json;
	return json ? 0 : -ENOMEM;
}
