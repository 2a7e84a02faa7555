// SPDX-License-Identifier: BSD-2-Clause
/* Packet tracing. */
#include <string.h>

#include "command.h"
#include "json_get.h"
#include "pcap.h"

static void show_started(struct writer *w, const cJSON *result, const cJSON *args)
{
	writer_line(w, "started");
}

static void show_stopped(struct writer *w, const cJSON *result, const cJSON *args)
{
	writer_line(w, "stopped");
}

static void show_packet(struct writer *w, const cJSON *packet)
{
	char time[CELL_TEXT], interface[CELL_TEXT], hook[CELL_TEXT], path[CELL_TEXT], verdict[CELL_TEXT],
		meaning[CELL_TEXT], tenant[CELL_TEXT];
	const cJSON *step;

	cell_text(packet, "time", time);
	cell_text(packet, "interface", interface);
	cell_text(packet, "hook", hook);
	cell_text(packet, "path", path);
	cell_text(packet, "verdict", verdict);
	cell_text(packet, "meaning", meaning);
	cell_text(packet, "tenant", tenant);
	if (w->rows > 1)
		writer_line(w, "%s", "");
	writer_line(w, "%s  %s (%s)%s%s", time, interface, hook, strcmp(tenant, "-") ? "  " : "",
		    strcmp(tenant, "-") ? tenant : "");
	cJSON_ArrayForEach (step, json_get(packet, "steps")) {
		char name[CELL_TEXT], src[CELL_TEXT], dst[CELL_TEXT], ns[CELL_TEXT], detail[CELL_TEXT];
		char at[32], way[2 * CELL_TEXT + 4];

		cell_text(step, "step", name);
		cell_text(step, "src", src);
		cell_text(step, "dst", dst);
		cell_number(step, "ns", ns);
		cell_text(step, "detail", detail);
		snprintf(at, sizeof(at), "%.24s ns", ns);
		snprintf(way, sizeof(way), "%*s > %s", ENDPOINT_WIDTH, src, dst);

		const struct cell cells[] = { { at, 11, true },
					      { name, 14, false },
					      { way, 2 * ENDPOINT_WIDTH + 3, false } };

		writer_row(w, cells, ARRAY_SIZE(cells), "%s", strcmp(detail, "-") ? detail : "");
	}
	writer_line(w, "             %s, %s path: %s", verdict, path, meaning);
}

const struct view view_trace_start = { .show = show_started };
const struct view view_trace_show = { .empty = "no packets", .show_element = show_packet, .save = pcap_save };
const struct view view_trace_pcap = { .empty = "no packets", .show_element = show_packet, .save = pcap_save };
const struct view view_trace_stop = { .show = show_stopped };
