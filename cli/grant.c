// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks of the shared range. */
#include "command.h"
#include "json_get.h"

/* "203.0.113.1:58368-58495" */
static void cell_block(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	char out[CELL_TEXT];

	cell_text(row, "out_addr", out);
	snprintf(text, CELL_TEXT, "%.15s:%u-%u", out, (unsigned)json_number(row, "port_lo"),
		 (unsigned)json_number(row, "port_hi"));
}

static const struct column grant_columns[] = {
	{ "INSIDE", "in_addr", cell_text, false, 15 },
	{ "TENANT", "tenant", cell_text, false, WIDTH_IF_FIRST(12) },
	{ "OUTSIDE", "out_addr", cell_block, false, ENDPOINT_WIDTH + 6 },
	{ "FROM", "from", cell_text, false, 20 },
	{ "SESSIONS", "sessions", cell_number, true, 8 },
	{},
};

static void show_revoked(struct writer *w, const cJSON *result, const cJSON *args)
{
	char block[CELL_TEXT], in[CELL_TEXT];
	double drain = json_number(result, "drain");

	cell_block(result, "out_addr", block);
	cell_text(result, "in_addr", in);
	if (drain > 0)
		writer_line(w, "%s is being taken back from %s; its sessions end in %.0f s", block, in, drain);
	else
		writer_line(w, "%s is being taken back from %s; its sessions end", block, in);
}

const struct view view_grant_list = { .columns = grant_columns, .empty = "no granted blocks" };
const struct view view_grant_revoke = { .show = show_revoked };
