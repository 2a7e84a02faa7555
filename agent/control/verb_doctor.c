// SPDX-License-Identifier: BSD-2-Clause
/* doctor: what is wrong with the machine under the running configuration. */
#include <errno.h>
#include <string.h>

#include "control/answer.h"
#include "control/handlers.h"
#include "diagnosis/doctor.h"
#include "diagnosis/unanswered.h"
#include "links/devices.h"

static void add_line(void *arg, const char *check, enum doctor_level level, const char *text)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "level", doctor_level_word(level));
	cJSON_AddStringToObject(object, "check", check);
	cJSON_AddStringToObject(object, "text", text);
	cJSON_AddItemToArray(((cJSON **)arg)[doctor_rank(check, level)], object);
}

int verb_doctor(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct active_config *a = r->context->active;
	_cleanup_config_ struct config *present = devices_present(r->context->devices, a->config);
	cJSON *json = cJSON_CreateObject(), *lists[DOCTOR_N_RANKS], *all = cJSON_AddArrayToObject(json, "findings");
	int ret;

	for (unsigned rank = 0; rank < DOCTOR_N_RANKS; rank++)
		lists[rank] = cJSON_CreateArray();
	ret = present ? doctor_lines(present, a->path, add_line, lists) : -ENOMEM;
	unanswered_say(r->context, add_line, lists);
	json_add_u64(json, "failures", (uint64_t)cJSON_GetArraySize(lists[0]));
	json_add_u64(json, "warnings", (uint64_t)cJSON_GetArraySize(lists[1]) + (uint64_t)cJSON_GetArraySize(lists[2]));
	/* The worst comes first. */
	for (unsigned rank = 0; rank < DOCTOR_N_RANKS; rank++) {
		while (lists[rank] && lists[rank]->child)
			cJSON_AddItemToArray(all, cJSON_DetachItemFromArray(lists[rank], 0));
		cJSON_Delete(lists[rank]);
	}
	if (ret) {
		cJSON_Delete(json);
		return error_set(err, ret, "the interfaces cannot be read: %s", strerror(-ret));
	}
	*ret_result = json;
	return 0;
}
