/* SPDX-License-Identifier: BSD-2-Clause */
/* The running configuration for an agent of 1.0.0 that takes the datapath over again (datapath/hand_back.h). */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "config/fields.h"

/* Removes what 1.0.0 does not know of an object, and says so if `told`. */
static void forget(cJSON *object, const char *const *names, size_t n, bool told)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_json_ cJSON *item = cJSON_DetachItemFromObject(object, names[i]);

		if (item && told && !(cJSON_IsArray(item) && !cJSON_GetArraySize(item)))
			log_warning("1.0.0 does not know '%s', and goes on without it", names[i]);
	}
}

static void forget_event(cJSON *ipfix)
{
	cJSON *events = cJSON_GetObjectItem(ipfix, "events");

	for (int i = cJSON_GetArraySize(events) - 1; i >= 0; i--) {
		const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(events, i));

		if (name && !strcmp(name, "blocks"))
			cJSON_DeleteItemFromArray(events, i);
	}
}

/* Where tc sends, 1.0.0 runs XDP, which the way back puts there: see hand_back_run.c. */
static void run_xdp(cJSON *json)
{
	cJSON *item;

	cJSON_ArrayForEach (item, json) {
		const char *text = cJSON_GetStringValue(item);

		if (text && item->string && !strcmp(item->string, "xdp_mode") && !strcmp(text, "tc"))
			cJSON_SetValuestring(item, "auto");
		else
			run_xdp(item);
	}
}

char *config_of_former(const char *running, struct error *err)
{
	static const char *const top[] = { "leases",	    "lease_retention", "grant_retention",
					   "audit_queries", "suspects",	       "attack" };
	/* Where the tables are as 1.0.0 has them, these say what goes without saying. */
	static const char *const of_mappings[] = {
		"subscribers_per_address", "ports_per_host", "first_port", "block_pitch", "order", "growth", "limits"
	};
	_cleanup_json_ cJSON *json = cJSON_Parse(running);
	cJSON *mapping;

	cJSON_ArrayForEach (mapping, cJSON_GetObjectItem(json, "mappings")) {
		const char *in = cJSON_GetStringValue(cJSON_GetObjectItem(mapping, "in"));

		if (!in || strchr(in, '-') || cJSON_GetObjectItem(mapping, "exclude")) {
			error_set(err, -EXDEV,
				  "1.0.0 cannot take over: a mapping has 'exclude', or an 'in' that is no "
				  "prefix");
			return NULL;
		}
		forget(mapping, of_mappings, ARRAY_SIZE(of_mappings), false);
	}
	if (cJSON_GetArraySize(cJSON_GetObjectItem(json, "tenants"))) {
		error_set(err, -EXDEV, "1.0.0 cannot take over: there are 'tenants'");
		return NULL;
	}
	forget(json, top, ARRAY_SIZE(top), true);
	forget_event(cJSON_GetObjectItem(json, "ipfix"));
	run_xdp(json);
	return json ? cJSON_PrintUnformatted(json) : NULL;
}
