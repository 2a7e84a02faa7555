// SPDX-License-Identifier: BSD-2-Clause
/* What becomes of single packets. */
#include <string.h>

#include "command.h"

/* "255.255.255.255:65535" */
#define ENDPOINT_WIDTH 21

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
		meaning[CELL_TEXT];
	const cJSON *step;

	cell_text(packet, "time", time);
	cell_text(packet, "interface", interface);
	cell_text(packet, "hook", hook);
	cell_text(packet, "path", path);
	cell_text(packet, "verdict", verdict);
	cell_text(packet, "meaning", meaning);
	writer_line(w, "%s%s  %s (%s)", w->rows > 1 ? "\n" : "", time, interface, hook);
	cJSON_ArrayForEach (step, cJSON_GetObjectItemCaseSensitive(packet, "steps")) {
		char name[CELL_TEXT], src[CELL_TEXT], dst[CELL_TEXT], ns[CELL_TEXT], detail[CELL_TEXT];

		cell_text(step, "step", name);
		cell_text(step, "src", src);
		cell_text(step, "dst", dst);
		cell_number(step, "ns", ns);
		cell_text(step, "detail", detail);
		if (strcmp(detail, "-"))
			writer_line(w, "%8s ns  %-14s  %*s > %-*s  %s", ns, name, ENDPOINT_WIDTH, src, ENDPOINT_WIDTH,
				    dst, detail);
		else
			writer_line(w, "%8s ns  %-14s  %*s > %s", ns, name, ENDPOINT_WIDTH, src, dst);
	}
	writer_line(w, "             %s, %s path: %s", verdict, path, meaning);
}

const struct command trace_commands[] = {
	{ .verb = VERB_TRACE_START,
	  .usage = "[--in ADDR[:PORT]] [--out ADDR[:PORT]] [--ext ADDR[:PORT]] [--proto tcp|udp|icmp] [--count N]",
	  .purpose = "record what becomes of packets, step by step",
	  .details =
		  "--in: both directions of an inside address; --out: of an outside address; --ext: to or from an\n"
		  "external address; all that are given must fit. Without any, every packet is recorded. The trace\n"
		  "ends when it has N packets (1 to 10000, 100 by default), or after an hour; another start replaces\n"
		  "it and what it recorded.",
	  .example = "trace start --in 10.0.0.3 --proto tcp --count 20",
	  .show = show_started },
	{ .verb = VERB_TRACE_SHOW,
	  .usage = "",
	  .purpose = "show the packets recorded so far, with their addresses at each step",
	  .details = "Also after the trace has ended, until the next one is started.",
	  .example = "trace show",
	  .show_element = show_packet,
	  .empty = "no packets" },
	{ .verb = VERB_TRACE_STOP,
	  .usage = "",
	  .purpose = "end the trace; what was recorded stays",
	  .example = "trace stop",
	  .show = show_stopped },
	{},
};
