// SPDX-License-Identifier: BSD-2-Clause
/* Events, one per line. */
#include "command.h"
#include "json_get.h"

static void show_event(struct writer *w, const cJSON *event)
{
	const char *mapping = json_text(event, "mapping", ""), *tenant = json_text(event, "tenant", "");

	/* A mapping's own events have its name in their text. */
	if (!json_inside(event, NULL))
		mapping = tenant = "";
	writer_line(w, "%s %s: %s%s%s%s%s%s%s", json_text(event, "time", "-"), json_text(event, "event", "-"),
		    json_text(event, "text", "-"), *mapping || *tenant ? " (" : "", mapping,
		    *mapping && *tenant ? ", " : "", *tenant ? "tenant " : "", tenant, *mapping || *tenant ? ")" : "");
}

const struct view view_monitor = { .show_element = show_event, .lines = true };
