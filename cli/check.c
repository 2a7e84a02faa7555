// SPDX-License-Identifier: BSD-2-Clause
/* check: a line a finding, and what was looked at. */
#include "command.h"

static double number_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *text_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return text ? text : "";
}

static void show_check(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *checked = cJSON_GetObjectItemCaseSensitive(result, "checked");
	const cJSON *findings = cJSON_GetObjectItemCaseSensitive(result, "findings"), *f;
	double total = number_of(checked, "findings"), more = total - cJSON_GetArraySize(findings);

	cJSON_ArrayForEach (f, findings) {
		const char *repaired =
			cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(f, "repaired")) ? " (repaired)" : "";

		writer_line(w, "%s: %s: %s%s", text_of(f, "where"), text_of(f, "what"), text_of(f, "text"), repaired);
	}
	if (more > 0)
		writer_line(w, "... and %.0f more", more);
	writer_line(
		w,
		"%.0f sessions and %.0f in the overflow, of %.0f subscribers of %.0f mappings; %.0f interfaces, %.0f "
		"pins and programs, %.0f routes: %.0f findings, %.0f of them repaired",
		number_of(checked, "sessions"), number_of(checked, "overflow_sessions"),
		number_of(checked, "subscribers"), number_of(checked, "mappings"), number_of(checked, "interfaces"),
		number_of(checked, "pins"), number_of(checked, "routes"), total, number_of(checked, "repaired"));
	if (number_of(checked, "unsettled") > 0)
		writer_line(w, "%.0f could not be judged, as they changed all the time",
			    number_of(checked, "unsettled"));
}

static int status_of(const cJSON *result, struct error *err)
{
	double total = number_of(cJSON_GetObjectItemCaseSensitive(result, "checked"), "findings");
	double repaired = number_of(cJSON_GetObjectItemCaseSensitive(result, "checked"), "repaired");

	if (total <= 0)
		return EXIT_DONE;
	if (repaired >= total)
		return error_set(err, EXIT_REFUSED, "%.0f findings, all repaired", total);
	return error_set(err, EXIT_REFUSED, "%.0f findings%s", total - repaired,
			 repaired > 0 ? " left" : "; detnatctl check --repair mends what can be mended");
}

const struct command check_commands[] = {
	{ .verb = VERB_CHECK,
	  .usage = "[--repair]",
	  .purpose = "compare sessions, counts, programs, pins, routes, guard and history",
	  .details =
		  "Packets go on meanwhile. With --repair, counts are set right, sessions that no packet can find are\n"
		  "closed, and programs, pins, routes and the guard that are missing put back. Exit status 1 where\n"
		  "anything was found.",
	  .example = "check",
	  .show = show_check,
	  .status = status_of },
	{},
};
