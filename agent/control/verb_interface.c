// SPDX-License-Identifier: BSD-2-Clause
/* interface add, del, list. */
#include <errno.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "control/answer.h"
#include "control/handlers.h"
#include "links/devices.h"
#include "proto/words.h"

static int edit_add(struct config *c, void *arg, struct error *err)
{
	const struct request *r = arg;
	const char *name = request_arg(r, "name")->text;
	uint32_t role = request_arg(r, "role")->number;
	const struct config_tenant *t;
	int ret = request_config_tenant(r, c, &t, err);

	if (ret)
		return ret;
	if (c->n_tenants && !t)
		return error_set(err, -EINVAL, "interface %s: of which tenant? --tenant says it", name);
	ret = t ? config_add_tenant_interface(c, t, name, (uint8_t)role) : config_add_interface(c, name, (uint8_t)role);
	if (ret == -EBUSY)
		return error_set(err, ret, "interface %s is an inside interface of another tenant", name);
	if (ret == -EEXIST)
		return error_set(err, ret, "interface %s is %s already", name, roles_text(role));
	return ret ? error_set(err, ret, "interface %s: %s", name, strerror(-ret)) : 0;
}

static int edit_del(struct config *c, void *arg, struct error *err)
{
	const struct request *r = arg;
	const char *name = request_arg(r, "name")->text,
		   *configured = devices_configured_name(r->context->devices, name);
	uint32_t role = request_arg(r, "role")->number;
	const char *pattern = devices_pattern(r->context->devices, name);
	const struct config_tenant *t;
	int ret = request_config_tenant(r, c, &t, err);

	if (ret)
		return ret;

	/* An interface renamed since is known under both names. */
	if (configured && !config_find_interface(c, name))
		name = configured;
	if (pattern && !config_find_interface(c, name))
		return error_set(err, -ENOENT, "interface %s matches %s: 'detnatctl interface del' takes that name",
				 name, pattern);
	ret = t ? config_del_tenant_interface(c, t, name, (uint8_t)role) : config_del_interface(c, name, (uint8_t)role);
	if (ret == -ENOENT)
		return error_set(err, ret, "interface %s is not %s", name, roles_text(role));
	return ret ? error_set(err, ret, "interface %s: %s", name, strerror(-ret)) : 0;
}

int verb_interface_add(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_add, answer_empty, err);
}

int verb_interface_del(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_del, answer_empty, err);
}

static const char *attachment_name(enum device_attachment attachment, bool sends)
{
	switch (attachment) {
	case DEVICE_XDP_NATIVE:
		return "native";
	case DEVICE_XDP_SKB:
		return "skb";
	case DEVICE_TC:
		return sends ? "tc" : "none";
	case DEVICE_ABSENT:
		break;
	}
	return "absent";
}

/* The verdicts after which the next program runs, as libxdp names them. */
static cJSON *chain_of(uint32_t chain)
{
	static const char *const verdicts[] = { "XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT" };
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (chain & 1U << i)
			cJSON_AddItemToArray(list, cJSON_CreateString(verdicts[i]));
	return list;
}

/* What runs under libxdp's dispatcher; NULL: detnat is not under it. */
static void add_share(cJSON *json, const struct share_answer *a)
{
	cJSON *list, *dispatcher;

	cJSON_AddBoolToObject(json, "shared", a != NULL);
	if (!a) {
		cJSON_AddNullToObject(json, "dispatcher");
		cJSON_AddNullToObject(json, "programs");
		return;
	}
	dispatcher = cJSON_AddObjectToObject(json, "dispatcher");
	json_add_u64(dispatcher, "id", a->dispatcher);
	json_add_u64(dispatcher, "version", a->dispatcher_version);
	cJSON_AddBoolToObject(dispatcher, "frags", a->frags);
	list = cJSON_AddArrayToObject(json, "programs");
	for (unsigned i = 0; i < a->n_programs; i++) {
		const struct share_program *p = &a->program[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "name", p->name);
		json_add_u64(item, "priority", p->priority);
		cJSON_AddItemToObject(item, "chain", chain_of(p->chain));
		cJSON_AddBoolToObject(item, "frags", p->frags);
		cJSON_AddBoolToObject(item, "own", p->own);
		cJSON_AddItemToArray(list, item);
	}
}

/* The tenants that have it, inside first. */
static void add_tenants(cJSON *json, const struct config *c, const struct config_interface *i)
{
	const struct config_tenant *of = config_interface_tenant(c, i);
	cJSON *list;

	if (!c->n_tenants)
		return;
	json_add_text(json, "tenant", of ? of->name : NULL);
	list = cJSON_AddArrayToObject(json, "outside_of");
	for (size_t k = 0; k < c->n_tenants; k++)
		if (config_interface_is_outside_of(c, i, &c->tenants[k]))
			cJSON_AddItemToArray(list, cJSON_CreateString(c->tenants[k].name));
}

int verb_interface_list(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct config *c = r->context->active->config;
	const struct devices *v = r->context->devices;
	cJSON *list = cJSON_CreateArray();

	const struct config_interface *f;
	struct config_interface place;

	for (size_t i = 0; (f = devices_listed(v, c, i, &place)); i++) {
		cJSON *json = cJSON_CreateObject();
		bool grave;

		cJSON_AddStringToObject(json, "name", f->name);
		cJSON_AddStringToObject(json, "role", roles_text(f->roles));
		add_tenants(json, c, f);
		cJSON_AddStringToObject(json, "xdp",
					attachment_name(devices_attachment(v, f->name), devices_tc_sends(v, f->name)));
		json_add_text(json, "xdp_reason", devices_without_xdp(v, f->name));
		add_share(json, devices_share(v, f->name));
		answer_add_forwarding(r->context, json, f->name);
		json_add_text(json, "pattern", devices_pattern(v, f->name));
		if (interface_is_pattern(f->name))
			json_add_u64(json, "matches", devices_matches(v, f->name));
		else
			cJSON_AddNullToObject(json, "matches");
		json_add_text(json, "link", devices_link_name(v, f->name));
		json_add_text(json, "problem", devices_problem(v, f->name, &grave));
		cJSON_AddItemToArray(list, json);
	}
	*ret_result = list;
	return list ? 0 : -ENOMEM;
}
