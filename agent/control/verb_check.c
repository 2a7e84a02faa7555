// SPDX-License-Identifier: BSD-2-Clause
/* check: shows the findings of diagnosis/checking.h. */
#include <errno.h>

#include "control/handlers.h"
#include "diagnosis/checking.h"

static cJSON *figures(const struct checking *c)
{
	const struct findings *findings = checking_findings(c);
	const struct checking_figures all = checking_figures(c);
	const struct check_figures *f = all.tables;
	cJSON *json = cJSON_CreateObject();
	bool ok = json && json_add_u64(json, "mappings", f->mappings) &&
		  json_add_u64(json, "subscribers", f->subscribers) && json_add_u64(json, "slots", f->slots) &&
		  json_add_u64(json, "sessions", f->sessions) && json_add_u64(json, "overflow_sessions", f->beyond) &&
		  json_add_u64(json, "bindings", f->bindings) && json_add_u64(json, "interfaces", all.interfaces) &&
		  json_add_u64(json, "routes", all.routes) && json_add_u64(json, "pins", all.pins) &&
		  json_add_u64(json, "portmaps", all.portmaps) && json_add_u64(json, "grants", all.grants) &&
		  json_add_u64(json, "guard", all.guard) && json_add_u64(json, "peers", all.peers) &&
		  json_add_u64(json, "looked_again", f->looked_again) &&
		  json_add_u64(json, "unsettled", f->unsettled) && json_add_u64(json, "findings", findings->total) &&
		  json_add_u64(json, "repaired", findings->repaired);

	if (ok)
		return json;
	cJSON_Delete(json);
	return NULL;
}

static cJSON *finding_json(const struct finding *f)
{
	cJSON *json = cJSON_CreateObject();

	if (json && cJSON_AddStringToObject(json, "what", finding_kind_name(f->kind)) &&
	    cJSON_AddStringToObject(json, "where", f->where) && cJSON_AddStringToObject(json, "text", f->text) &&
	    cJSON_AddBoolToObject(json, "repaired", f->repaired))
		return json;
	cJSON_Delete(json);
	return NULL;
}

static cJSON *answer(const struct checking *c)
{
	const struct findings *findings = checking_findings(c);
	cJSON *json = cJSON_CreateObject(), *list = json ? cJSON_AddArrayToObject(json, "findings") : NULL;
	cJSON *checked = figures(c);
	bool ok = list && checked && !findings->failed;

	if (checked && (!json || !cJSON_AddItemToObject(json, "checked", checked)))
		cJSON_Delete(checked);
	for (size_t i = 0; ok && i < findings->n; i++) {
		cJSON *item = finding_json(&findings->finding[i]);

		ok = item && cJSON_AddItemToArray(list, item);
	}
	if (ok)
		return json;
	cJSON_Delete(json);
	return NULL;
}

static int check_step(struct request *r, cJSON **ret_result, struct error *err)
{
	int ret = checking_step(r->state, REQUEST_COUNT_US / 2, err);

	if (ret)
		return ret;
	*ret_result = answer(r->state);
	return *ret_result ? 0 : error_set(err, -ENOMEM, "the agent is out of memory");
}

static void check_free(void *state)
{
	checking_free(state);
}

int verb_check(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *repair = request_arg(r, "repair");
	struct checking *c;

	if (checking_new(r->context, repair->given && repair->number, &c))
		return error_set(err, -ENOMEM, "the agent is out of memory");
	request_run(r, check_step, c, check_free);
	return 0;
}
