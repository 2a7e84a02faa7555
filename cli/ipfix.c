// SPDX-License-Identifier: BSD-2-Clause
/* IPFIX export. */
#include "command.h"
#include "json_get.h"

/* A single collector is a string, several are an array. */
static void cell_collectors(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	if (cJSON_IsArray(json_get(row, key)))
		cell_list(row, key, text);
	else
		cell_text(row, key, text);
}

static const struct column ipfix_fields[] = {
	{ "Collector", "collector", cell_collectors, false, 0 },
	{ "Source", "source", cell_text, false, 0 },
	{ "Observation domain", "domain_id", cell_number, false, 0 },
	{ "Path MTU (octets)", "path_mtu", cell_number, false, 0 },
	{ "Template interval", "template_interval", cell_seconds, false, 0 },
	{ "Events", "events", cell_list, false, 0 },
	{ "Records sent", "records_sent", cell_number, false, 0 },
	{ "Messages sent", "messages_sent", cell_number, false, 0 },
	{ "Records lost", "records_lost", cell_number, false, 0 },
	{ "Events lost", "events_lost", cell_number, false, 0 },
	{},
};

static const struct column collector_columns[] = {
	{ "COLLECTOR", "collector", cell_text, false, 0 },
	{ "CONNECTED", "connected", cell_flag, false, 0 },
	{ "RECONNECTS", "reconnects", cell_number, true, 0 },
	{ "SENT", "records_sent", cell_number, true, 0 },
	{ "WAITING", "records_waiting", cell_number, true, 0 },
	{ "LOST", "records_lost", cell_number, true, 0 },
	{},
};

static void show_ipfix(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *collectors = json_get(result, "collectors");

	if (!cJSON_GetArraySize(result)) {
		writer_line(w, "no collector");
		return;
	}
	writer_fields(w, ipfix_fields, result);
	if (!cJSON_GetArraySize(collectors))
		return;
	writer_line(w, "%s", "");
	writer_table(w, collector_columns, "", collectors);
}

static void show_disabled(struct writer *w, const cJSON *result, const cJSON *args)
{
	writer_line(w, "disabled");
}

const struct view view_ipfix_show = { .show = show_ipfix };
const struct view view_ipfix_set = { .show = show_ipfix };
const struct view view_ipfix_disable = { .show = show_disabled };
const struct view view_ipfix_flush = { .show = show_ipfix };
