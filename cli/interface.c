// SPDX-License-Identifier: BSD-2-Clause
/* Interfaces. */
#include "command.h"

static const struct column interface_columns[] = {
	{ "INTERFACE", "name", cell_text, false, 0 },  { "ROLE", "role", cell_text, false, 0 },
	{ "XDP", "xdp", cell_reasoned, false, 0 },     { "FORWARDING", "forwarding", cell_reasoned, false, 0 },
	{ "SHARED", "shared", cell_flag, false, 0 },   { "LINK", "link", cell_text, false, 0 },
	{ "PROBLEM", "problem", cell_text, false, 0 }, {},
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
