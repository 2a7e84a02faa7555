// SPDX-License-Identifier: BSD-2-Clause
/* Gateways with which sessions are copied. */
#include <string.h>

#include "command.h"
#include "json_get.h"

/* Hundredths of a second. */
static void cell_lag(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	if (cJSON_IsNumber(json_get(row, key)))
		snprintf(text, CELL_TEXT, "%.2f s", json_number(row, key));
	else
		snprintf(text, CELL_TEXT, "-");
}

static const struct column peer_columns[] = {
	{ "PEER", "peer", cell_text, false, ENDPOINT_WIDTH },
	{ "STATE", "state", cell_text, false, 12 },
	{ "SENT", "sessions_sent", cell_number, true, 10 },
	{ "RECEIVED", "sessions_received", cell_number, true, 10 },
	{ "REFUSED", "sessions_refused", cell_number, true, 10 },
	{ "COPIES", "copies", cell_number, true, 10 },
	{ "LAG", "lag_seconds", cell_lag, true, 8 },
	{ "UNSENT", "unsent", cell_number, true, 10 },
	{ "MAPPINGS", "mapping_digest", cell_text, false, 16 },
	{},
};

static void show_difference(struct writer *w, const char *at, const cJSON *d)
{
	const char *text = json_text(d, "text", NULL), *proto = json_text(d, "proto", NULL),
		   *tenant = json_text(d, "tenant", "");

	writer_line(w, "%s: %s %s%s%s%s%s to %s %s%s%s%s", at, json_text(d, "what", "-"), proto ? proto : "",
		    proto ? " " : "", json_text(d, "in", "-"), *tenant ? " of " : "", tenant, json_text(d, "out", "-"),
		    json_text(d, "reason", "-"), text ? ": " : "", text ? text : "",
		    cJSON_IsTrue(json_get(d, "matters")) ? "" : " (may differ)");
}

/* Whether a line already reports that the mapping is not exchanged. */
static bool is_named(const cJSON *not_exchanged, const cJSON *d)
{
	const cJSON *m;

	if (json_text(d, "text", NULL))
		return false;
	cJSON_ArrayForEach (m, not_exchanged) {
		if (!strcmp(json_text(m, "in", ""), json_text(d, "in", "")) &&
		    !strcmp(json_text(m, "out", ""), json_text(d, "out", "")))
			return true;
	}
	return false;
}

/* Whether the reason of a peer is the first of the differences below it. */
static bool repeats(const cJSON *peer)
{
	const cJSON *d;

	cJSON_ArrayForEach (d, json_get(peer, "differences")) {
		if (cJSON_IsTrue(json_get(d, "matters")))
			return !strcmp(json_text(peer, "state", ""), "differs");
	}
	return false;
}

/* Which gateways tell as a trouble, too. */
#define CLOCK_DIFFERS_S 5

static void show_clock(struct writer *w, const char *at, const cJSON *ahead)
{
	double s = cJSON_IsNumber(ahead) ? ahead->valuedouble : 0;

	if (s >= CLOCK_DIFFERS_S)
		writer_line(w, "%s: its clock is %.0f s ahead of this gateway's", at, s);
	else if (s <= -CLOCK_DIFFERS_S)
		writer_line(w, "%s: its clock is %.0f s behind this gateway's", at, -s);
}

static void show_peers(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *peer, *m, *d;

	writer_table(w, peer_columns, "no sessions are copied to or from other gateways", result);
	cJSON_ArrayForEach (peer, result) {
		const char *at = json_text(peer, "peer", "-"), *reason = json_text(peer, "reason", NULL);

		if (reason && !repeats(peer))
			writer_line(w, "%s: %s", at, reason);
		if (cJSON_IsTrue(json_get(peer, "spoken_for")))
			writer_line(w, "%s: this gateway tells the others of its sessions, on its behalf", at);
		show_clock(w, at, json_get(peer, "clock_ahead_seconds"));
		cJSON_ArrayForEach (m, json_get(peer, "not_exchanged")) {
			writer_line(w, "%s: not exchanged: %s to %s, which %s", at, json_text(m, "in", "-"),
				    json_text(m, "out", "-"), json_text(m, "reason", "-"));
		}
		cJSON_ArrayForEach (d, json_get(peer, "differences")) {
			if (!is_named(json_get(peer, "not_exchanged"), d))
				show_difference(w, at, d);
		}
	}
}

static void show_resync(struct writer *w, const cJSON *result, const cJSON *args)
{
	writer_line(w, "all sessions are copied again, to %s and back", json_text(args, "peer", "-"));
}

const struct view view_peer_list = { .show = show_peers };
const struct view view_peer_resync = { .show = show_resync };
