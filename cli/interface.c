// SPDX-License-Identifier: BSD-2-Clause
/* Interfaces. */
#include <string.h>

#include "command.h"

/* Whether detnat is under libxdp's dispatcher, and the programs there with their priorities, in their order. */
static void cell_shared(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *programs = cJSON_GetObjectItem(row, "programs"), *program;
	size_t n;

	cell_flag(row, key, text);
	n = strlen(text);
	cJSON_ArrayForEach (program, programs) {
		const cJSON *name = cJSON_GetObjectItem(program, "name"),
			    *priority = cJSON_GetObjectItem(program, "priority");

		if (n < CELL_TEXT && cJSON_IsString(name) && cJSON_IsNumber(priority))
			n += (size_t)snprintf(text + n, CELL_TEXT - n, "%s%s %d",
					      program == programs->child ? ": " : ", ", name->valuestring,
					      priority->valueint);
	}
}

/* The tenant of an inside interface, or the tenants of an outside one. */
static void cell_tenant(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	if (cJSON_IsString(cJSON_GetObjectItem(row, key)))
		cell_text(row, key, text);
	else
		cell_list(row, "outside_of", text);
}

static const struct column interface_columns[] = {
	{ "INTERFACE", "name", cell_text, false, 0 },
	{ "ROLE", "role", cell_text, false, 0 },
	{ "TENANT", "tenant", cell_tenant, false, WIDTH_IF_ANY },
	{ "XDP", "xdp", cell_reasoned, false, 0 },
	{ "FORWARDING", "forwarding", cell_reasoned, false, 0 },
	{ "SHARED", "shared", cell_shared, false, 0 },
	{ "LINK", "link", cell_text, false, 0 },
	{ "PROBLEM", "problem", cell_text, false, 0 },
	{},
};

static void show_change(struct writer *w, const char *what, const cJSON *args)
{
	char name[CELL_TEXT], role[CELL_TEXT];

	cell_text(args, "name", name);
	cell_text(args, "role", role);
	writer_line(w, "%s %s %s", what, name, role);
}

static void show_added(struct writer *w, const cJSON *result, const cJSON *args)
{
	show_change(w, "added", args);
}

static void show_deleted(struct writer *w, const cJSON *result, const cJSON *args)
{
	show_change(w, "deleted", args);
}

const struct view view_interface_add = { .show = show_added };
const struct view view_interface_del = { .show = show_deleted };
const struct view view_interface_list = { .columns = interface_columns, .empty = "no interfaces" };
