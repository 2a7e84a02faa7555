// SPDX-License-Identifier: BSD-2-Clause
/* Portmaps. */
#include "command.h"
#include "json_get.h"

static const struct column portmap_columns[] = {
	{ "NAME", "name", cell_text, false, 12 },
	{ "PROTO", "proto", cell_text, false, 5 },
	{ "OUTSIDE", "out", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "INSIDE", "in", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "TENANT", "tenant", cell_text, false, WIDTH_IF_FIRST(12) },
	{ "ORIGIN", "origin", cell_text, false, 6 },
	{ "EXPIRES IN", "expires", cell_seconds, true, 10 },
	{ "PACKETS IN", "packets_in", cell_number, true, 10 },
	{ "PACKETS OUT", "packets_out", cell_number, true, 11 },
	{ "FILTERS", "filters", cell_list, false, 0 },
	{},
};

/* "443", or "8000-8009". */
static void ports_text(const cJSON *object, const char *key, char text[static CELL_TEXT])
{
	double first = json_number(object, key), n = json_number(object, "ports");

	if (n > 1)
		snprintf(text, CELL_TEXT, "%.0f-%.0f", first, first + n - 1);
	else
		snprintf(text, CELL_TEXT, "%.0f", first);
}

static void show_added(struct writer *w, const cJSON *result, const cJSON *args)
{
	char proto[CELL_TEXT], in[CELL_TEXT], out[CELL_TEXT], in_ports[CELL_TEXT], out_ports[CELL_TEXT];

	cell_text(result, "proto", proto);
	cell_text(result, "in_addr", in);
	cell_text(result, "out_addr", out);
	ports_text(result, "in_port", in_ports);
	ports_text(result, "out_port", out_ports);
	writer_line(w, "added %s %s:%s to %s:%s", proto, out, out_ports, in, in_ports);
}

static void show_deleted(struct writer *w, const cJSON *result, const cJSON *args)
{
	char proto[CELL_TEXT], out[CELL_TEXT];

	cell_text(args, "proto", proto);
	cell_text(args, "out", out);
	if (json_get(args, "out"))
		writer_line(w, "deleted %s %s", proto, out);
	else
		writer_line(w, "deleted %s", proto);
}

const struct view view_portmap_add = { .show = show_added };
const struct view view_portmap_del = { .show = show_deleted };
const struct view view_portmap_list = { .columns = portmap_columns, .empty = "no portmaps" };
