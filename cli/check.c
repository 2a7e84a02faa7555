// SPDX-License-Identifier: BSD-2-Clause
/* check: one line per finding, and a summary. */
#include "command.h"
#include "json_get.h"

static void show_check(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *checked = json_get(result, "checked");
	const cJSON *findings = json_get(result, "findings"), *f;
	double total = json_number(checked, "findings"), more = total - cJSON_GetArraySize(findings);

	cJSON_ArrayForEach (f, findings) {
		const char *repaired = cJSON_IsTrue(json_get(f, "repaired")) ? " (repaired)" : "";

		writer_line(w, "%s: %s: %s%s", json_text(f, "where", ""), json_text(f, "what", ""),
			    json_text(f, "text", ""), repaired);
	}
	if (more > 0)
		writer_line(w, "... and %.0f more", more);
	writer_line(w,
		    "%.0f sessions in the slots and %.0f beyond, of %.0f subscribers of %.0f mappings; %.0f "
		    "interfaces, %.0f "
		    "pins and programs, %.0f routes: %.0f findings, %.0f of them repaired",
		    json_number(checked, "sessions"), json_number(checked, "overflow_sessions"),
		    json_number(checked, "subscribers"), json_number(checked, "mappings"),
		    json_number(checked, "interfaces"), json_number(checked, "pins"), json_number(checked, "routes"),
		    total, json_number(checked, "repaired"));
	if (json_number(checked, "unsettled") > 0)
		writer_line(w, "%.0f could not be judged, as they changed all the time",
			    json_number(checked, "unsettled"));
}

static int status_of(const cJSON *result, struct error *err)
{
	double total = json_number(json_get(result, "checked"), "findings");
	double repaired = json_number(json_get(result, "checked"), "repaired");

	if (total <= 0)
		return EXIT_DONE;
	if (repaired >= total)
		return error_set(err, EXIT_REFUSED, "%.0f findings, all repaired", total);
	return error_set(err, EXIT_REFUSED, "%.0f findings%s", total - repaired,
			 repaired > 0 ? " left" : "; detnatctl check --repair repairs findings where possible");
}

const struct view view_check = { .show = show_check, .status = status_of };
