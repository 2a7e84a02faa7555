// SPDX-License-Identifier: BSD-2-Clause
/* Outside addresses, and subscribers that get others. */
#include <string.h>

#include "command.h"
#include "json_get.h"

/* An address, or the first and the last of a range. */
static void cell_range(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	if (json_number(row, "addresses") > 1)
		snprintf(text, CELL_TEXT, "%s-%s", json_text(row, key, "-"), json_text(row, "last", "-"));
	else
		cell_text(row, key, text);
}

static const struct column pool_columns[] = {
	{ "ADDR", "addr", cell_range, false, 31 },
	{ "STATE", "state", cell_text, false, 10 },
	{ "SUBSCRIBERS", "subscribers", cell_number, true, 11 },
	{ "SESSIONS", "sessions", cell_number, true, 10 },
	{ "STRANGERS/S", "packets_per_second", cell_number, true, 11 },
	{ "MAPPING", "mapping", cell_text, false, 16 },
	{ "TENANT", "tenant", cell_text, false, WIDTH_IF_FIRST(12) },
	{ "INSIDE", "in", cell_text, false, 18 },
	{},
};

/* ", 2 portmaps moved", if any were. */
static const char *portmaps_text(const cJSON *result, const cJSON *args, char text[static CELL_TEXT])
{
	double n = json_number(result, "portmaps");

	*text = '\0';
	if (n > 0)
		snprintf(text, CELL_TEXT, "; %.0f portmap%s %sd", n, n == 1 ? "" : "s",
			 json_text(args, "portmaps", "move"));
	return text;
}

static void show_drained(struct writer *w, const cJSON *result, const cJSON *args)
{
	char portmaps[CELL_TEXT];

	writer_line(
		w,
		"%s: %.0f subscriber%s other outside addresses, by %.0f mapping%s; sessions go on for %.0f s at most%s",
		json_text(args, "out", "-"), json_number(result, "subscribers"),
		json_number(result, "subscribers") == 1 ? " has" : "s have", json_number(result, "mappings"),
		json_number(result, "mappings") == 1 ? "" : "s", json_number(result, "drain"),
		portmaps_text(result, args, portmaps));
}

static void show_restored(struct writer *w, const cJSON *result, const cJSON *args)
{
	char portmaps[CELL_TEXT];

	writer_line(w, "%s: %.0f subscriber%s again; sessions opened meanwhile go on for %.0f s at most%s",
		    json_text(args, "out", "-"), json_number(result, "subscribers"),
		    json_number(result, "subscribers") == 1 ? " has it" : "s have it", json_number(result, "drain"),
		    portmaps_text(result, args, portmaps));
}

static void show_moved(struct writer *w, const cJSON *result, const cJSON *args)
{
	const char *until = json_text(result, "until", NULL), *in = json_inside(result, "-");
	const char *mapping = json_text(result, "mapping", "");

	/* A mapping without a name is identified by its inside prefix, which contains only the subscriber. */
	writer_line(w, "moved %s to %s by mapping %s%s%s%s", in, json_text(result, "out_addr", "-"),
		    *mapping ? mapping : in, *mapping || strchr(in, ':') ? "" : "/32", until ? ", until " : "",
		    until ? until : "");
}

const struct view view_pool_list = { .columns = pool_columns, .empty = "no pools" };
const struct view view_pool_drain = { .show = show_drained };
const struct view view_pool_restore = { .show = show_restored };
const struct view view_user_move = { .show = show_moved };
