// SPDX-License-Identifier: BSD-2-Clause
/* Session timeouts. */
#include "command.h"
#include "json_get.h"
#include "message.h"
#include "proto/timeouts.h"

static const struct column timeout_columns[] = {
	{ "TIMEOUT", "name", cell_text, false, 0 },
	{ "VALUE", "value", cell_seconds, true, 0 },
	{},
};

static void show_timeouts(struct writer *w, const cJSON *result, const cJSON *args)
{
	cJSON *table = cJSON_CreateArray();
	const cJSON *item;

	cJSON_ArrayForEach (item, result) {
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "name", item->string);
		cJSON_AddNumberToObject(row, "value", item->valuedouble);
		cJSON_AddItemToArray(table, row);
	}
	writer_table(w, timeout_columns, "no timeouts", table);
	cJSON_Delete(table);
}

static void warn_short(const cJSON *args)
{
	static const char *const names[N_TIMEOUTS] = {
#define X(constant, name, seconds) [constant] = #name,
		TIMEOUTS(X)
#undef X
	};

	for (unsigned i = 0; i < N_TIMEOUTS; i++) {
		const cJSON *given = json_get(args, names[i]);

		if (cJSON_IsNumber(given) && given->valuedouble < timeout_minima[i].seconds)
			message_warn("%s: %d s is below the %u s that %s requires", names[i], given->valueint,
				     timeout_minima[i].seconds, timeout_minima[i].source);
	}
}

const struct view view_timeouts_show = { .show = show_timeouts };
const struct view view_timeouts_set = { .show = show_timeouts, .warn = warn_short };
const struct view view_timeouts_reset = { .show = show_timeouts };
